//! The lock of an inventory: its file, and how one is made.

use std::path::{Path, PathBuf};

use anyhow::bail;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::document::{Lock, MAX_LOCK, lock_file};
use crate::files;
use crate::inventory::Inventory;
use crate::lock::{Observed, parameters};
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::reference::{ANY_TARGET, Prefix};
use crate::session::{Session, read_without_target, unless_stopped};
use crate::settings::{Environment, Flags, Settings};
use crate::trust::TrustGate;
use oci_copy::copy::{Outcome, Preflight};
use oci_copy::store::write_whole;

use super::planned::Planned;
use super::{failure_summary, planning};

/// The file of the lock of an inventory: the one that is named, or the one beside its data file.
pub(crate) fn path(settings: &Settings, inventory: &Inventory) -> PathBuf {
    let beside = || inventory.dir.join(lock_file(&inventory.eks_version));
    settings.lock.file.clone().unwrap_or_else(beside)
}

/// Reads a lock.
///
/// # Errors
/// When there is no such file, or it is not a lock.
pub(crate) fn read(path: &Path) -> Result<Lock, Problems> {
    Lock::read(&read_text(path)?, &path.display().to_string())
}

fn read_text(path: &Path) -> Result<Vec<u8>, Problems> {
    files::read_within(path, MAX_LOCK as u64).map_err(|what| {
        let problem = Problem::input(path.display().to_string(), what);
        let remedy = "write the lock with `replicator lock`";
        problem.remedy(remedy).into()
    })
}

/// The lock that a deployment of an inventory keeps to, with its name in messages: the file that `Lock` names, or else
/// the lock of the bundle, or else the one beside the data file.
///
/// # Errors
/// When there is no such file.
pub(super) fn text(
    settings: &Settings,
    inventory: &Inventory,
) -> Result<(String, Bytes), Problems> {
    if let (None, Some(bundled)) = (&settings.lock.file, &inventory.bundled_lock) {
        return Ok((bundled.place.clone(), bundled.text.clone()));
    }
    let path = path(settings, inventory);
    Ok((path.display().to_string(), read_text(&path)?.into()))
}

/// Records the exact content that data files mean, and writes the lock: the whole of `replicator lock`. Returns its
/// file and the lock. Reads manifests, and no layers.
///
/// # Errors
/// Bad input ([`crate::problem::is_input`]); every artifact that a source does not give; gaps, where they keep a
/// deployment from starting; and that `stop` was cancelled. Then nothing is written. Also when the file cannot be written.
pub async fn lock(
    flags: &Flags,
    environment: &Environment,
    progress: &Progress,
    stop: &CancellationToken,
) -> anyhow::Result<(PathBuf, Lock)> {
    let (settings, inventory, _) = read_without_target(flags, environment)?;
    for warning in &inventory.warnings {
        tracing::warn!("{warning}");
    }
    let path = path(&settings, &inventory);
    files::check_file(&path, Some("--lock"))?;
    let making = async {
        let session = Session::for_inventory(settings, &inventory, stop).await?;
        let (lock, planned) = make(&session, &inventory, progress).await?;
        session.warn_about(&planned.plan, &inventory);
        planned.report().1?;
        Ok(lock)
    };
    let lock = unless_stopped(stop, "stopped before the lock was made", Box::pin(making)).await?;
    write_whole(&path, lock.to_json().as_bytes())?;
    Ok((path, lock))
}

/// Makes the lock of an inventory, with the plan that it was made of. Reads manifests, and no layers.
///
/// # Errors
/// What is wrong with data files and charts, and every artifact that a source does not give.
pub(crate) async fn make(
    session: &Session,
    inventory: &Inventory,
    progress: &Progress,
) -> anyhow::Result<(Lock, Planned)> {
    let prefix = &ANY_TARGET.parse()?;
    let mut planned =
        Box::pin(planning::from_sources(session, inventory, prefix, progress)).await?;
    let copies = &planned.plan.copies;
    progress.querying(copies.len());
    let described = planned.engine(session).describe(&planned.requests()).await;
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
