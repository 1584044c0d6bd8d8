//! `replicator prune`

mod show;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::document::PrunePlan;
use crate::files;
use crate::progress::count;
use crate::prune::{PruneOptions, Pruner, UNUSED_FOR, read_plan};
use crate::settings::{Environment, Flags};
use oci_copy::store::write_whole;

use super::output::Output;
use super::{Exit, Invocation, print};

/// Find images in ECR that no deployment needs any more, and delete them
///
/// Lists the manifests below the project's prefix that no published result in the bucket needs, current or kept, of
/// any deployment, that no given lock names, and that nothing pulled or pushed for some time. Writes that plan to a
/// file and deletes nothing. --apply deletes what the plan has, except what has changed or came into use since. Only
/// repositories whose tags say that this program created them for the project are looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  replicator prune --project idf
      list what can be deleted, and write prune-plan.json
  replicator prune --apply prune-plan.json
      delete exactly that
  replicator prune --project idf --lock approved.lock.json --unused-for 30 -o wide

Exit codes: 0 done; 1 a call failed, a result cannot be read, or something of the plan was skipped; 2 bad input, or
nothing says what is needed; 3 with --exit-code: there is something to delete.")]
pub(super) struct Prune {
    /// The Seed-Farmer project [env: `SEEDFARMER_PROJECT_NAME`]
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// What the repositories' names begin with, if it is not the project's private ECR
    /// [env: `REPLICATOR_REGISTRY_PREFIX`]
    #[arg(long, value_name = "PREFIX")]
    registry_prefix: Option<String>,
    /// Also keep what this lock names (repeatable)
    #[arg(long, value_name = "FILE")]
    lock: Vec<PathBuf>,
    /// For how many days nothing may have pulled or pushed an image [default: 90]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=36_500), conflicts_with = "apply")]
    unused_for: Option<u32>,
    /// The file that the plan is written to. An existing plan is replaced; what was read for it is not read again
    #[arg(
        long,
        value_name = "FILE",
        default_value = "prune-plan.json",
        conflicts_with = "apply"
    )]
    plan: PathBuf,
    /// Count layers that images share once. ECR records the manifests of all images that are read for this as pulled
    #[arg(long, conflicts_with = "apply")]
    exact_sizes: bool,
    /// The price of storage in US dollars for a GB and month [default: 0.10, ECR's in commercial regions]
    #[arg(long, value_name = "USD", conflicts_with = "apply", value_parser = price)]
    price: Option<f64>,
    /// Delete what this plan has, after checking again that nothing needs it
    #[arg(long, value_name = "PLAN")]
    apply: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    /// End with exit code 3 if there is something to delete
    #[arg(long, help_heading = "Output", conflicts_with = "apply")]
    exit_code: bool,
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().map_err(|error| error.to_string())?;
    let is_price = price.is_finite() && (0.0..=1_000.0).contains(&price);
    is_price
        .then_some(price)
        .ok_or_else(|| "a price is from 0 to 1000".to_owned())
}

impl Prune {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        if let Some(path) = &self.apply {
            return self.apply(path, with.environment).await;
        }
        files::check_file(&self.plan, Some("--plan"))?;
        let pruner = Pruner::open(&self.flags(), with.environment, &self.lock).await?;
        let options = PruneOptions {
            unused_for_days: self.unused_for.unwrap_or(UNUSED_FOR),
            price_per_gb: self.price,
            exact_sizes: self.exact_sizes,
            earlier: Some(self.plan.clone()),
        };
        let plan = pruner.plan(&options).await?;
        write_whole(&self.plan, plan.to_json().as_bytes()).map_err(anyhow::Error::new)?;
        let is_empty = plan.repositories.is_empty();
        let shown = PrunePlan {
            reads: BTreeMap::new(),
            ..plan
        };
        let text = self.output.text(with.environment, &shown, |width| {
            show::plan(&shown, &self.plan.display().to_string(), width)
        })?;
        print(text).await?;
        let changes = self.exit_code && !is_empty;
        Ok(if changes { Exit::Changes } else { Exit::Done })
    }

    fn flags(&self) -> Flags {
        let flags = Flags {
            project: self.project.clone(),
            ..Flags::default()
        };
        match &self.registry_prefix {
            Some(prefix) => flags.with("registry_prefix", prefix),
            None => flags,
        }
    }

    async fn apply(&self, path: &Path, environment: &Environment) -> anyhow::Result<Exit> {
        let (place, flags) = (path.display().to_string(), self.flags());
        let plan = read_plan(path)?;
        let pruner = Pruner::open_for(&plan, &place, &flags, environment, &self.lock).await?;
        let done = pruner.apply(&plan).await?;
        let text = self
            .output
            .text(environment, &done, |_| show::pruned(&done))?;
        print(text).await?;
        let skipped = done.skipped.len();
        if skipped == 0 {
            return Ok(Exit::Done);
        }
        tracing::error!(
            "{} of the plan {} not deleted, for the reasons above",
            count(skipped, "item"),
            if skipped == 1 { "was" } else { "were" }
        );
        Ok(Exit::Failed)
    }
}
