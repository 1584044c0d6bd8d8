//! `replicator deploy`

use crate::deploy::deploy;
use crate::progress::Progress;
use crate::settings::Flags;

use super::flags::{BundleFlags, DataFlags, NetworkFlags, RepositoryFlags};
use super::{Exit, Invocation};

/// Copy all charts and images of an EKS version, and publish the result
///
/// Fetches the charts that the data files name, finds the images they use, copies charts and images
/// to the target, and writes `replication_result.json` (the Helm values that make the charts use the
/// copies), `updated_images.json` and `replication_report.json`. With ECR as target, the result is also
/// uploaded to the module's bucket, and its location written to `SEEDFARMER_MODULE_METADATA`. If anything
/// fails, everything else is still copied, but nothing is published.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("output", |arg| arg.requires("dry_run")),
    mut_arg("json", |arg| arg.requires("dry_run")),
    mut_arg("exit_code", |arg| arg.requires("dry_run")),
    mut_arg("no_observe", |arg| arg.requires("dry_run")),
    mut_arg("bandwidth", |arg| arg.requires("dry_run"))
)]
pub(super) struct Deploy {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    repositories: RepositoryFlags,
    /// The same as `replicator plan`: show what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    plan: super::plan::Options,
    #[command(flatten)]
    bundle: BundleFlags,
}

impl Deploy {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        Box::pin(self.run_with(&self.flags(), with)).await
    }

    pub(super) fn flags(&self) -> Flags {
        let flags = self.repositories.onto(self.data.flags(&self.network));
        self.bundle.onto(flags)
    }

    /// The same with other flags.
    pub(super) async fn run_with(
        &self,
        flags: &Flags,
        with: &Invocation<'_>,
    ) -> anyhow::Result<Exit> {
        if self.dry_run {
            return Box::pin(self.plan.run(flags, with)).await;
        }
        let progress = Progress::start(with.screen);
        Box::pin(deploy(flags, with.environment, &progress, with.stop)).await?;
        Ok(Exit::Done)
    }
}
