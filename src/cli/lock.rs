//! `replicator lock`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use crate::document::{Lock, MAX_LOCK, lock_file};
use crate::inventory::Inventory;
use crate::lock::{Observed, parameters};
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress, Screen};
use crate::reference::Prefix;
use crate::settings::{DataFiles, Environment, Settings};
use crate::trust::TrustGate;
use oci_copy::copy::{Engine, Outcome, Preflight, Request};
use oci_copy::store::write_whole;

use super::document_location::read_file_within;
use super::flags::{DataFlags, NetworkFlags};
use super::planning::{self, Planned};
use super::{Session, failure_summary};

/// The prefix that a plan for a lock has: a lock is for every target.
pub(super) const ANY_TARGET: &str = "target.invalid/";

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
    mut_arg("out", |arg| arg.hide(true)),
    mut_arg("registry_prefix", |arg| arg.hide(true)),
    mut_arg("fan_out", |arg| arg.hide(true)),
    mut_arg("project", |arg| arg.hide(true)),
    mut_arg("deployment", |arg| arg.hide(true)),
    mut_arg("module", |arg| arg.hide(true)),
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
    pub(super) async fn run(
        &self,
        environment: &Environment,
        screen: &Screen,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let flags = self.data.flags(&self.network);
        let settings = Settings::without_target(&flags, environment);
        let inventory =
            DataFiles::new(&flags, environment).and_then(|files| Inventory::read(&files));
        let (settings, inventory) = Problems::both(settings, inventory)?;
        for warning in &inventory.warnings {
            tracing::warn!("{warning}");
        }
        let path = path(&settings, &inventory);
        let session = Session::for_inventory(settings, &inventory, stop).await?;
        let prefix = ANY_TARGET.parse()?;
        let progress = Progress::start(screen);
        let (lock, planned) = make(&session, &inventory, &prefix, &progress).await?;
        drop(progress);
        super::plan_warnings(&planned.plan, &inventory, &session);
        planned.report().1?;
        write_whole(&path, lock.to_json().as_bytes())?;
        let bytes = lock.images.iter().map(|image| image.bytes);
        let bytes = bytes.chain(lock.charts.values().map(|chart| chart.bytes));
        tracing::info!(
            "{}: {} and {}, {}",
            path.display(),
            progress::count(lock.charts.len(), "chart"),
            progress::count(lock.images.len(), "image"),
            progress::bytes(bytes.fold(0, u64::saturating_add))
        );
        Ok(())
    }
}

/// The file of the lock of an inventory.
pub(super) fn path(settings: &Settings, inventory: &Inventory) -> PathBuf {
    let beside = || inventory.dir.join(lock_file(&inventory.eks_version));
    settings.lock.file.clone().unwrap_or_else(beside)
}

/// Reads a lock.
///
/// # Errors
/// When there is no such file, or it is not a lock.
pub(super) fn read(path: &Path) -> Result<Lock, Problems> {
    let shown = path.display().to_string();
    let text = read_file_within(path, MAX_LOCK as u64).map_err(|what| {
        Problem::input(&shown, what).remedy("write the lock with `replicator lock`")
    })?;
    Lock::read(&text, &shown)
}

/// Makes the lock of an inventory, with the plan that it was made of.
///
/// # Errors
/// What is wrong with data files and charts, and every artifact that a source does not give.
pub(super) async fn make(
    session: &Session,
    inventory: &Inventory,
    prefix: &Prefix,
    progress: &Progress,
) -> anyhow::Result<(Lock, Planned)> {
    let mut planned = planning::from_sources(session, inventory, prefix, progress).await?;
    let copies = &planned.plan.copies;
    progress.querying(copies.len());
    let requests: Vec<Request> = copies.iter().map(Into::into).collect();
    let engine = Engine::guarded(
        Arc::clone(&session.stores),
        &session.settings.copy,
        Arc::new(()),
        planned.gate(),
    );
    let described = engine.describe(&requests).await;
    let (mut descriptions, mut failed) = (Vec::new(), Vec::new());
    for (copy, described) in copies.iter().zip(described) {
        match described {
            Ok(description) => {
                for note in &description.notes {
                    tracing::warn!("{}: {note}", copy.source_text);
                }
                descriptions.push(description);
            }
            Err(error) => failed.push((copy.clone(), Outcome::failed(error))),
        }
    }
    if !failed.is_empty() {
        let count = progress::count(failed.len(), "artifact");
        let (copies, outcomes): (Vec<_>, Vec<_>) = failed.into_iter().unzip();
        failure_summary::report(&copies, outcomes);
        bail!("{count} cannot be locked, nothing was written");
    }
    if session.settings.closure.pin_digests {
        let known = descriptions.iter().map(|description| {
            let mut known = Preflight::default();
            known.digest = Some(description.digest.clone());
            known
        });
        planned.pin(known.collect()).await?;
    }
    let observed = Observed {
        plan: &planned.plan,
        charts: &planned.charts,
        proof: planned.proof.as_ref(),
        descriptions: &descriptions,
    };
    let parameters = parameters(&session.settings, &inventory.eks_version);
    let mut lock = observed.lock(inventory, parameters)?;
    if let Some(gate) = &planned.gate {
        record_trust(&mut lock, gate, prefix);
    }
    Ok((lock, planned))
}

/// Records who signed what.
fn record_trust(lock: &mut Lock, gate: &TrustGate, prefix: &Prefix) {
    let answer = |target: &str| gate.answer(&prefix.join(target));
    for image in &mut lock.images {
        image.trust = answer(&image.target);
    }
    for chart in lock.charts.values_mut() {
        chart.trust = answer(&chart.target);
    }
}
