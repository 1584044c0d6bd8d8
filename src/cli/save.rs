//! `replicator save`

use std::path::PathBuf;
use std::time::Instant;

use crate::progress::{self, Progress};
use crate::save::{SMALLEST_PART, SaveOptions, save};

use super::flags::{BundleFlags, DataFlags, NetworkFlags, OF_TARGETS, hidden};
use super::{Exit, Invocation};

/// Save all charts and images of an EKS version into one file
///
/// Writes what `deploy` would copy, with the data files, into a tar that `replicator load` deploys where no source can be
/// reached. The tar is an OCI image layout: after `tar x`, skopeo and oras read it. A run that was interrupted
/// is continued by the same command; the file gets its name when it is complete. What is saved is what the lock has,
/// where there is one; otherwise a lock is made, and is in the file. The same lock gives the same bytes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  replicator save --eks-version 1.34 bundle.tar
  replicator save --eks-version 1.34 --split 4GiB bundle.tar
      write bundle.tar.001, bundle.tar.002 and so on; `cat bundle.tar.*` makes one file of them
  replicator save --eks-version 1.35 --since 1.34.tar 1.35.tar
      only what a target lacks that 1.34.tar was loaded into",
    mut_args(hidden(&OF_TARGETS)),
    mut_arg("bundle", |arg| arg.hide(true))
)]
pub(super) struct Save {
    /// The file to write, or `s3://BUCKET/KEY`
    #[arg(value_name = "FILE")]
    file: String,
    /// Leave out the layers that this earlier bundle, or the one of this lock, has brought to the target's repositories
    #[arg(long, value_name = "BUNDLE|LOCK")]
    since: Option<PathBuf>,
    /// Write parts of at most this size, such as 4GiB: FILE.001, FILE.002 and so on
    #[arg(long, value_name = "SIZE", value_parser = size)]
    split: Option<u64>,
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    bundle: BundleFlags,
}

/// A size such as `4GiB` or `700MB`.
fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("", 1),
    ];
    let text = text.trim();
    let found = UNITS.into_iter().find_map(|(unit, factor)| {
        let number = text.strip_suffix(unit)?.trim_end();
        number.parse::<u64>().ok()?.checked_mul(factor)
    });
    match found {
        Some(size) if size >= SMALLEST_PART => Ok(size),
        Some(_) => Err(format!("a part has at least {} KiB", SMALLEST_PART >> 10)),
        None => Err("it is not a size such as 4GiB or 700MB".to_owned()),
    }
}

impl Save {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let started = Instant::now();
        let flags = self.bundle.onto(self.data.flags(&self.network));
        let options = SaveOptions {
            since: self.since.clone(),
            split: self.split,
        };
        let progress = Progress::start(with.screen);
        let input = (&flags, with.environment);
        let saved = Box::pin(save(&self.file, &options, input, &progress, with.stop)).await?;
        drop(progress);
        tracing::info!(
            "saved {} in {}: {}",
            progress::bytes(saved.bytes),
            progress::duration(started.elapsed()),
            saved.names.join(", ")
        );
        Ok(Exit::Done)
    }
}
