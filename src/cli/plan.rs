//! `replicator plan`

use crate::deploy::{self, PlanOptions};
use crate::progress::Progress;
use crate::settings::Flags;

use super::flags::{BundleFlags, DataFlags, NetworkFlags, RepositoryFlags};
use super::output::Output;
use super::{Exit, Invocation, estimate, print, table};

/// Show what `deploy` would do
///
/// Fetches the charts, queries source and target, and prints a table of all artifacts, by chart. Writes nothing,
/// unless --out names a folder for `replication_result.json`, `updated_images.json` and `replication_closure.json`.
/// If a host cannot be queried, sizes and states are shown as unknown. The exit code is 1 then, and if an image does
/// not exist.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 planned; 1 a host cannot be queried or an artifact does not exist; 2 bad input; \
                  3 with --exit-code: a deployment would change something.",
    mut_arg("out", |arg| arg.help(
        "Write replication_result.json and updated_images.json of the plan into this folder [default: write no files]"
    ))
)]
pub(super) struct Plan {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    repositories: RepositoryFlags,
    #[command(flatten)]
    bundle: BundleFlags,
    #[command(flatten)]
    options: Options,
}

/// The options of a plan, which `deploy --dry-run` has too.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    output: Output,
    /// The same as -o json
    #[arg(long, help_heading = "Output", conflicts_with = "output")]
    json: bool,
    /// End with exit code 3 if a deployment would change something
    #[arg(long, help_heading = "Output")]
    exit_code: bool,
    /// Query no registry: sizes and states are shown as unknown
    #[arg(long, help_heading = "Copying")]
    no_observe: bool,
    /// The throughput to estimate the time with, such as 20MiB/s or 100Mbit/s [default: what the last deployment into
    /// the output folder had]
    #[arg(long, value_name = "RATE", value_parser = estimate::bandwidth, help_heading = "Output")]
    bandwidth: Option<f64>,
}

impl Plan {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let flags = self.repositories.onto(self.data.flags(&self.network));
        let flags = self.bundle.onto(flags);
        Box::pin(self.options.run(&flags, with)).await
    }
}

impl Options {
    /// Plans, and prints the plan. Returns the exit code.
    pub(super) async fn run(&self, flags: &Flags, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        let options = PlanOptions {
            no_observe: self.no_observe,
            bandwidth: self.bandwidth,
        };
        let planned = deploy::plan(flags, with.environment, &progress, with.stop, options);
        let preview = Box::pin(planned).await?;
        drop(progress);
        let output = self.output.or_json(self.json);
        let text = output.text(with.environment, &preview.to_document(), |width| {
            table::table(&preview, width)
        })?;
        print(text).await?;
        preview.check()?;
        let is_refused = self.exit_code && preview.has_changes();
        Ok(if is_refused {
            Exit::Changes
        } else {
            Exit::Done
        })
    }
}
