//! `replicator deploy`

use tokio_util::sync::CancellationToken;

use crate::deploy::deploy;
use crate::progress::{Progress, Screen};
use crate::settings::{Environment, Flags};

use super::DONE;
use super::flags::{BundleFlags, DataFlags, NetworkFlags, RepositoryFlags};

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
    pub(super) async fn run(
        &self,
        environment: &Environment,
        screen: &Screen,
        stop: &CancellationToken,
    ) -> anyhow::Result<u8> {
        Box::pin(self.run_with(self.flags(), (environment, screen), stop)).await
    }

    pub(super) fn flags(&self) -> Flags {
        let flags = self.repositories.onto(self.data.flags(&self.network));
        self.bundle.onto(flags)
    }

    pub(super) async fn run_with(
        &self,
        flags: Flags,
        (environment, screen): (&Environment, &Screen),
        stop: &CancellationToken,
    ) -> anyhow::Result<u8> {
        if self.dry_run {
            return Box::pin(self.plan.run(&flags, environment, screen)).await;
        }
        let progress = Progress::start(screen);
        Box::pin(deploy(&flags, environment, &progress, stop)).await?;
        Ok(DONE)
    }
}
