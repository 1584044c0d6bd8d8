//! `replicator doctor`

use std::fmt::Write;

use anyhow::bail;
use serde_json::json;

use crate::diagnosis::{DiagnosisOptions, diagnose};
use crate::doctor::{Finding, State};
use crate::progress::{self, Progress};

use super::flags::{DataFlags, NetworkFlags, RepositoryFlags, RetentionFlags};
use super::output::Output;
use super::{Exit, Invocation, print};

/// Check everything that a deployment needs, before it starts
///
/// Checks credentials, account and clock; each permission that these settings need (simulated by IAM, or by
/// harmless calls); quotas of ECR and CodeBuild; every source with its credentials, and the pulls that are left;
/// bucket and keys; disk and memory; and with --vpc-id the endpoints that a cluster needs to pull. Prints a row for
/// each, with what to do about it. Writes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  replicator doctor --eks-version 1.34 --project idf --deployment dev --module replication-images
  replicator doctor --role-arn arn:aws:iam::123456789012:role/idf-dev-replication-images
      check the permissions of the module's role, with your own credentials
  replicator doctor --vpc-id vpc-0123456789abcdef0 -o json

Exit codes: 0 a deployment can succeed (there may be warnings); 1 something is broken; 2 bad input.")]
pub(super) struct Doctor {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    repositories: RepositoryFlags,
    #[command(flatten)]
    retention: RetentionFlags,
    /// The role whose permissions are checked [default: the one of the credentials]
    #[arg(long, value_name = "ARN", help_heading = "AWS")]
    role_arn: Option<String>,
    /// Also check the endpoints of this VPC
    #[arg(long, value_name = "ID", help_heading = "AWS")]
    vpc_id: Option<String>,
    #[command(flatten)]
    output: Output,
}

impl Doctor {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        let flags = self.repositories.onto(self.data.flags(&self.network));
        let flags = self.retention.onto(flags);
        let options = DiagnosisOptions {
            role_arn: self.role_arn.clone(),
            vpc_id: self.vpc_id.clone(),
        };
        let diagnosis = diagnose(&flags, with.environment, &options, &progress, with.stop);
        let findings = Box::pin(diagnosis).await?;
        drop(progress);
        let document = json!({"findings": findings});
        let text = self
            .output
            .text(with.environment, &document, |width| table(&findings, width))?;
        print(text).await?;
        let broken = count(&findings, State::Broken);
        if broken > 0 {
            bail!("{} failed", progress::count(broken, "check"));
        }
        Ok(Exit::Done)
    }
}

fn count(findings: &[Finding], state: State) -> usize {
    let of_state = findings.iter().filter(|finding| finding.state == state);
    of_state.count()
}

/// A row for each finding, its remedy below it; lines are wrapped to a width.
fn table(findings: &[Finding], width: Option<usize>) -> String {
    let width = width.unwrap_or(usize::MAX);
    let heads = findings.iter().map(|finding| finding.check.chars().count());
    let check = heads.max().unwrap_or_default().clamp(5, 24);
    let indent = 9 + check + 2;
    let mut text = format!("{:9}{:check$}  FOUND\n", "STATE", "CHECK");
    for finding in findings {
        let state = match finding.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Broken => "BROKEN",
            State::Skipped => "skipped",
        };
        let remedy = finding.remedy.iter().map(|remedy| format!("-> {remedy}"));
        let lines = std::iter::once(finding.found.clone()).chain(remedy);
        let lines = lines.flat_map(|text| wrapped(&text, width.saturating_sub(indent).max(20)));
        for (number, line) in lines.enumerate() {
            let (state, name) = match number {
                0 => (state, finding.check.as_str()),
                _ => ("", ""),
            };
            let row = format!("{state:9}{name:check$}  {line}");
            writeln!(text, "{}", row.trim_end()).expect("writing to a String cannot fail");
        }
    }
    let all = progress::count(findings.len(), "check");
    let (broken, warnings) = (
        count(findings, State::Broken),
        count(findings, State::Warning),
    );
    let warnings = progress::count(warnings, "warning");
    writeln!(text, "\n{all}: {broken} broken, {warnings}")
        .expect("writing to a String cannot fail");
    text
}

/// The lines of a text in a width; a word that is longer is cut.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for part in letters.chunks(width) {
            let part: String = part.iter().collect();
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + part.chars().count() <= width => {
                    line.push(' ');
                    line.push_str(&part);
                }
                _ => lines.push(part),
            }
        }
    }
    lines
}
