//! `replicator lock`

use crate::deploy;
use crate::progress::{self, Progress};

use super::flags::{DataFlags, NetworkFlags, OF_TARGETS, hidden};
use super::{Exit, Invocation};

/// Record the exact content that the data files of an EKS version mean
///
/// Fetches the charts, reads the manifests of all images at their sources (no layers), and writes a lock: the
/// SHA-256 of each chart's archive, the digest of each image with its platforms, sizes and referrers, the result
/// of the closure proof, and a checksum of the data files. The same content gives the same bytes, and the lock is
/// for every target. `deploy --locked` then copies only what is locked.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  replicator lock --eks-version 1.34
      write 1.34.lock.json beside the data file 1.34.yaml
  replicator lock --eks-version 1.34 --lock approved.json

Exit codes: 0 written; 1 a host cannot be queried or an artifact does not exist; 2 bad input.",
    mut_args(hidden(&OF_TARGETS)),
    mut_arg("locked", |arg| arg.hide(true)),
    mut_arg("lock", |arg| arg.help(
        "Write the lock to this file [env: REPLICATOR_LOCK] [default: <eks-version>.lock.json beside the data file]"
    ))
)]
pub(super) struct MakeLock {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    network: NetworkFlags,
}

impl MakeLock {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let flags = self.data.flags(&self.network);
        let progress = Progress::start(with.screen);
        let locked = deploy::lock(&flags, with.environment, &progress, with.stop);
        let (path, lock) = Box::pin(locked).await?;
        drop(progress);
        let bytes = lock.images.iter().map(|image| image.bytes);
        let bytes = bytes.chain(lock.charts.values().map(|chart| chart.bytes));
        tracing::info!(
            "{}: {} and {}, {}",
            path.display(),
            progress::count(lock.charts.len(), "chart"),
            progress::count(lock.images.len(), "image"),
            progress::bytes(bytes.fold(0, u64::saturating_add))
        );
        Ok(Exit::Done)
    }
}
