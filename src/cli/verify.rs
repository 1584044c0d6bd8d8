//! `replicator verify`

use std::path::PathBuf;

use anyhow::anyhow;

use crate::document::{AttestationFindings, ProofFindings};
use crate::document_location::{self, is_kept};
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::session::Session;
use crate::verification::{ArtifactFindings, DeploymentRecord};

use super::findings::{self, Age};
use super::flags::{JOBS_OF_REQUESTS, NetworkFlags, OF_COPYING, hidden};
use super::{Exit, Invocation, print};

/// Check that everything a result document names is at the target
///
/// Checks for every chart and image that its name exists and has the recorded digest, and that everything below
/// it exists: every platform of an index and every layer (queried, not read). Reports what is missing, what
/// differs and what could not be checked. Reads only from the target, and writes nothing.
///
/// Without RESULT it reads the module's own document from its bucket in a Seed-Farmer build, and otherwise
/// `replication_result.json` in the output folder. A document without digests (of the Python module, or too
/// large for them) names only charts and additional images; a `replication_report.json` names everything.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  replicator verify
  replicator verify out/replication_result.json --json
  replicator verify s3://idf-dkr-img-rep-md-eu-west-1-123456789012/dev-replication-images-metadata.json

  replicator verify --prove

Exit codes: 0 everything is there; 1 something is missing, differs, could not be checked or is not as it
was proved; 2 bad input.",
    mut_args(hidden(&OF_COPYING)),
    mut_arg("jobs", |arg| arg.help(JOBS_OF_REQUESTS))
)]
pub(super) struct Verify {
    /// A result document or a report: a file or its folder, `s3://BUCKET/KEY`, or a kept result of `replicator publish --list`
    #[arg(value_name = "RESULT")]
    result: Option<String>,
    /// The output folder of the deployment [default: .]
    #[arg(long, value_name = "DIR", conflicts_with = "result")]
    out: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkFlags,
    /// Also prove again that the charts at the target, rendered as they were when they were deployed, name only
    /// images that are there
    #[arg(long)]
    prove: bool,
    /// Also check that this key made an attestation of each copy: a file with a public key in PEM, or the ARN of a
    /// key of KMS [default: the parameter `AttestationKmsKeyArn`]
    #[arg(long, value_name = "KEY")]
    attestation_key: Option<String>,
    /// Print the findings as JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
}

impl Verify {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        if let Some(flag) = self.network.about_copying() {
            let what = "verify checks everything that was recorded, whatever was selected when it was copied";
            let problem = Problem::input(flag, what).remedy("leave the flag out");
            return Err(Problems::from(problem).into());
        }
        let flags = self.network.flags();
        let wanted = self.result.as_deref();
        let out = self.out.as_deref();
        let (settings, location) = document_location::find(wanted, out, &flags, with.environment)?;
        let session = Session::open(settings, with.stop)?;
        let record = DeploymentRecord::read(&location, &session).await?;
        for warning in record.warnings() {
            tracing::warn!("{warning}");
        }
        let found = record.check(&session, &progress).await;
        let age = if wanted.is_some_and(is_kept) {
            Age::Earlier
        } else {
            Age::Current
        };
        findings::log(&found, age);
        let mut proved = None;
        if self.prove {
            let found = record.prove(&session, &progress).await?;
            proved = Some(logged(found, |found| &found.problems));
        }
        let key = self.attestation_key.as_ref();
        let key = key.or(session.settings.attestation_key.as_ref());
        let mut attested = None;
        if let Some(key) = key {
            let found = record.check_attestations(key, &session, &progress);
            attested = Some(logged(found.await?, |found| &found.problems));
        }
        drop(progress);
        if self.json {
            let document = found.to_document(proved.clone(), attested.clone());
            let text = serde_json::to_string_pretty(&document)? + "\n";
            print(text).await?;
        }
        conclude(&found, attested.as_ref(), proved.as_ref())?;
        Ok(Exit::Done)
    }
}

/// Logs the problems of what was found.
fn logged<T>(found: T, problems: fn(&T) -> &[String]) -> T {
    for problem in problems(&found) {
        tracing::error!("{problem}");
    }
    found
}

/// What all checks together amount to.
fn conclude(
    found: &ArtifactFindings<'_>,
    attested: Option<&AttestationFindings>,
    proved: Option<&ProofFindings>,
) -> anyhow::Result<()> {
    let failed = |verified: anyhow::Result<()>, what: String| match verified {
        Ok(()) => Err(anyhow!(what)),
        Err(error) => Err(error.context(what)),
    };
    let mut verified = findings::conclude(found);
    if let Some(AttestationFindings {
        verified: count,
        problems,
    }) = attested
    {
        if problems.is_empty() {
            tracing::info!("attested: {}", progress::count(*count, "artifact"));
        } else {
            let what = progress::count(problems.len(), "artifact");
            verified = failed(verified, format!("{what} without a valid attestation"));
        }
    }
    if let Some(ProofFindings { charts, problems }) = proved {
        if problems.is_empty() {
            tracing::info!("proved again: {}", progress::count(*charts, "chart"));
        } else {
            let what = "what is deployed is not what was proved";
            verified = failed(verified, what.to_owned());
        }
    }
    verified
}
