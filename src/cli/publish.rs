//! `replicator publish`

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::rollback::{Republished, ResultHistory, Rollback};
use crate::settings::Flags;

use super::findings::{self, Age};
use super::flags::{JOBS_OF_REQUESTS, ModuleFlags, NetworkFlags, OF_COPYING, hidden};
use super::output::Output;
use super::{Exit, Invocation, print};

/// Publish an earlier result again: roll back
///
/// Checks that every chart and image that RESULT names is at the target with its recorded digest, then publishes
/// RESULT as `deploy` does: the document with its proof, and the module's metadata. Nothing is copied and no tag is
/// moved. If something is missing or differs, it says what, and publishes nothing. The result that is replaced is
/// kept, so this can be undone.
///
/// The last ten results that later ones replaced are kept: beside the module's document in its bucket, and for
/// another target than ECR in the folder `replication_results` of the output folder.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "replicator publish [OPTIONS] <RESULT>\n       replicator publish [OPTIONS] --list",
    after_help = "Examples:
  replicator publish --list
      the current result and those that are kept, newest first
  replicator diff 1 replication_result.json
      what has changed since the newest kept result
  replicator publish 1 --dry-run
      check that everything that it names is still at the target
  replicator publish 1
  replicator publish 20261126T214000Z-1.34-3f9a1c0b7e2d --project idf --deployment dev --module replication-images

Exit codes: 0 published; 1 something is missing, differs or could not be checked, and nothing was published;
2 bad input.",
    mut_args(hidden(&OF_COPYING)),
    mut_arg("jobs", |arg| arg.help(JOBS_OF_REQUESTS))
)]
pub(super) struct Publish {
    /// The result: the number or the name of a kept one as --list shows it, a file, or `s3://BUCKET/KEY`
    #[arg(value_name = "RESULT")]
    result: Option<String>,
    /// List the current result and the kept ones
    #[arg(long, conflicts_with_all = ["result", "dry_run", "without_digests"])]
    list: bool,
    /// Check everything, and publish nothing
    #[arg(long)]
    dry_run: bool,
    /// Publish a document that records no digests (of the Python module, or too large for them), although only its
    /// charts and additional images can be checked
    #[arg(long)]
    without_digests: bool,
    /// The output folder of the deployment, where the target is not ECR [default: .]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The target, if it is not the project's private ECR [env: `REPLICATOR_REGISTRY_PREFIX`]
    #[arg(long, value_name = "PREFIX")]
    registry_prefix: Option<String>,
    #[command(flatten)]
    module: ModuleFlags,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    network: NetworkFlags,
}

impl Publish {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        if let Some(flag) = self.network.about_copying() {
            let problem = Problem::input(flag, "publish copies nothing");
            return Err(Problems::from(problem.remedy("leave the flag out")).into());
        }
        let rollback = Rollback::open(&self.flags(), with.environment, with.stop)?;
        let (document, text) = if self.list {
            listed(&rollback.history().await?)?
        } else {
            self.published(&self.publish(&rollback, &progress).await?)?
        };
        drop(progress);
        let printed = self.output.text(with.environment, &document, |_| text)?;
        print(printed).await?;
        Ok(Exit::Done)
    }

    fn flags(&self) -> Flags {
        let flags = Flags {
            out: self.out.clone(),
            ..self.module.onto(self.network.flags())
        };
        match &self.registry_prefix {
            Some(prefix) => flags.with("registry_prefix", prefix),
            None => flags,
        }
    }

    async fn publish(
        &self,
        rollback: &Rollback,
        progress: &Progress,
    ) -> anyhow::Result<Republished> {
        let Some(wanted) = self.result.as_deref() else {
            let problem = Problem::input("RESULT", "no result is named");
            let remedy = "`replicator publish --list` shows the results that are kept; name one by its number or name,\n\
                          or a file or `s3://BUCKET/KEY`";
            return Err(Problems::from(problem.remedy(remedy)).into());
        };
        let candidate = rollback.read(wanted, self.without_digests).await?;
        for warning in candidate.record().warnings() {
            tracing::warn!("{warning}");
        }
        let checked = rollback.check(&candidate, progress).await?;
        findings::log(checked.findings(), Age::Earlier);
        findings::conclude(checked.findings()).context("nothing was published")?;
        rollback.publish(&checked, self.dry_run).await
    }

    /// What was published, as a document and as text.
    fn published(&self, done: &Republished) -> anyhow::Result<(Value, String)> {
        let (place, kept) = (&done.place, done.kept.as_ref());
        let artifacts = progress::count(done.artifacts, "artifact");
        let mut text = match (self.dry_run, done.was_current) {
            (_, true) => format!("{place} is this result already: {artifacts} at the target\n"),
            (true, false) => format!("would publish {place}: {artifacts} at the target\n"),
            (false, false) => format!("published {place}: {artifacts} at the target\n"),
        };
        if let Some(kept) = kept {
            writeln!(text, "kept {kept}, which it replaces")?;
        }
        let document = json!({
            "result": done.result,
            "published": (!self.dry_run).then_some(place),
            "wasCurrent": done.was_current,
            "artifacts": done.artifacts,
            "kept": kept.map(ToString::to_string),
        });
        Ok((document, text))
    }
}

/// The results of a deployment, as a document and as text.
fn listed(results: &ResultHistory) -> anyhow::Result<(Value, String)> {
    let place = &results.place;
    let mut text = match &results.current {
        Some(current) => format!(
            "current: {place} (EKS {}, {})\n",
            current.eks_version.as_deref().unwrap_or("version unknown"),
            current.mark
        ),
        None => format!("current: none at {place}\n"),
    };
    if results.kept.is_empty() {
        text.push_str("no result is kept\n");
        if results.is_folder {
            text.push_str(
                "with ECR as target they are in the module's bucket: give --project, --deployment and --module\n",
            );
        }
    } else {
        text.push_str("\n NO  PUBLISHED             EKS   NAME\n");
    }
    let mut kept = Vec::new();
    for (index, one) in results.kept.iter().enumerate() {
        let (number, name) = (index + 1, &one.name);
        let version = name.eks_version();
        writeln!(
            text,
            "{number:>3}  {}  {:<5} {name}",
            name.published(),
            version.unwrap_or("-")
        )?;
        kept.push(json!({
            "number": number, "name": name.to_string(), "published": name.published(),
            "eksVersion": version, "digest": name.mark(), "place": one.place,
        }));
    }
    let current = results.current.as_ref();
    let current = current.map(|current| {
        json!({"place": place, "eksVersion": current.eks_version, "digest": current.mark})
    });
    Ok((json!({"current": current, "kept": kept}), text))
}
