//! Saves what a deployment would copy into a bundle: one tar with all artifacts, the data files, the lock and the proof.

mod contents;
mod pinned;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use tokio_util::sync::CancellationToken;

use crate::bundle::{Bundle, BundleLocation, Since};
use crate::deploy::planned::Planned;
use crate::deploy::{failure_summary, locking, planning};
use crate::document::Lock;
use crate::files;
use crate::inventory::Inventory;
use crate::lock;
use crate::plan::Copy;
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::reference::ANY_TARGET;
use crate::session::{Session, read_without_target, unless_stopped};
use crate::settings::{Environment, Flags};
use oci_copy::copy::{Detail, Engine, Events, Gate, Outcome, Preflight, Request};
use oci_copy::store::archive::Writer;

use write::Known;

/// The smallest part of a split bundle, in bytes.
pub const SMALLEST_PART: u64 = 64 * 1024;

/// What is said of a bundle that was stopped before its first byte.
const STOPPED: &str = "stopped before anything was written";

/// Options of [`save`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SaveOptions {
    /// Leaves out the layers that this earlier bundle, or the one of this lock, has brought to the target's
    /// repositories.
    pub since: Option<PathBuf>,
    /// Writes parts of at most this size, in bytes, at least [`SMALLEST_PART`]: FILE.001, FILE.002 and so on.
    pub split: Option<u64>,
}

/// A bundle that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Its size, in bytes.
    pub bytes: u64,
    /// Its files, or the URL of its object.
    pub names: Vec<String>,
}

/// Saves all charts and images of an EKS version into a file or an object (`s3://BUCKET/KEY`): the whole of
/// `replicator save`. What is saved is what the lock has, where there is one; the same lock gives the same bytes.
///
/// If `stop` is cancelled, or the run fails, what was written is kept, and the same call goes on with it.
///
/// # Errors
/// Bad input, for which nothing was started ([`crate::problem::is_input`]); otherwise what failed. Failed artifacts
/// have been logged.
pub async fn save(
    file: &str,
    options: &SaveOptions,
    (flags, environment): (&Flags, &Environment),
    progress: &Arc<Progress>,
    stop: &CancellationToken,
) -> anyhow::Result<Saved> {
    let flags = checked_flags(file, options, flags)?;
    let (settings, inventory, files) = read_without_target(&flags, environment)?;
    for warning in &inventory.warnings {
        tracing::warn!("{warning}");
    }
    let planning = async {
        let session = Session::for_inventory(settings, &inventory, stop).await?;
        // What is not a bundle or a lock is refused before the sources are read.
        let since = match &options.since {
            Some(path) => Some(since(path, &session).await?),
            None => None,
        };
        let locked = locked(&session, &inventory, progress).await?;
        Ok((session, since, locked))
    };
    let (session, since, (lock, planned, is_locked)) =
        unless_stopped(stop, STOPPED, Box::pin(planning)).await?;
    session.warn_about(&planned.plan, &inventory);
    planned.report().1?;
    let Planned { plan, proof, .. } = &planned;
    // What the bundle is written to is known by this name, whatever it is.
    let home = PathBuf::from(file);
    let copies = contents::bundled(plan, &home)?;
    let pinned = pinned::pinned(&copies, &lock, &planned.charts)?;

    let writer = Writer::new(&home);
    session.stores.write_to(&home, Arc::clone(&writer));
    progress.copying(copies.len());
    let events = Arc::clone(progress) as Arc<dyn Events>;
    let gate = planned.gate.as_ref().map(|gate| {
        let gate = gate.renamed(&plan.copies, &copies, is_locked);
        Arc::new(gate) as Arc<dyn Gate>
    });
    let engine = Engine::guarded(
        Arc::clone(&session.stores),
        &session.settings.copy,
        Arc::clone(&events),
        gate,
    );
    let requests: Vec<Request> = pinned.iter().map(Into::into).collect();
    let reading = async {
        let preflights = engine.preflight(&requests, Detail::Missing).await;
        checked(&copies, preflights)
    };
    let preflights = unless_stopped(stop, STOPPED, Box::pin(reading)).await?;
    let mut held = contents::contents(&copies, &preflights, &lock, since)?;
    let documents = (&lock, proof.as_ref());
    contents::add_documents(&mut held, (&inventory, &files), &copies, documents)?;
    tracing::info!(
        "EKS {}: {} to {}",
        inventory.eks_version,
        progress::count(copies.len(), "artifact"),
        file
    );
    let known = Known {
        copies: &copies,
        requests: &requests,
        preflights,
    };
    let written = match &session.settings.bundle {
        Some(named) => write::to_bucket((named, &session), held, known, (&events, stop)).await,
        None => write::to_file((&engine, &writer), (held, options.split), known, stop).await,
    };
    let (bytes, names) = written?;
    Ok(Saved { bytes, names })
}

/// The flags; an object of a bucket is a bundle as the settings know it.
fn checked_flags(file: &str, options: &SaveOptions, flags: &Flags) -> Result<Flags, Problems> {
    let problem = |what: String| Problem::input(file, what);
    if options.split.is_some_and(|size| size < SMALLEST_PART) {
        let what = format!("a part has at least {} KiB", SMALLEST_PART >> 10);
        return Err(problem(what).into());
    }
    match file.parse::<BundleLocation>() {
        Ok(BundleLocation::File(path)) => files::check_file(&path, None).map(|()| flags.clone()),
        Ok(BundleLocation::Object { .. }) if options.split.is_some() => {
            let remedy = "leave --split out: an object can have 5 TiB";
            Err(problem("an object is not split".to_owned())
                .remedy(remedy)
                .into())
        }
        Ok(BundleLocation::Object { .. }) => Ok(flags.clone().with("bundle", file)),
        Err(what) => Err(problem(what).into()),
    }
}

/// The lock to save, with the plan: the one beside the data file or of `--lock`, or else a new one. Also says whether
/// the lock was there before.
async fn locked(
    session: &Session,
    inventory: &Inventory,
    progress: &Progress,
) -> anyhow::Result<(Lock, Planned, bool)> {
    let settings = &session.settings;
    let path = locking::path(settings, inventory);
    if !settings.lock.is_required && !path.is_file() {
        let made = Box::pin(locking::make(session, inventory, progress)).await;
        return made.map(|(lock, planned)| (lock, planned, false));
    }
    let lock = locking::read(&path)?;
    let parameters = lock::parameters(settings, &inventory.eks_version);
    lock::check(&lock, inventory, &parameters, &path.display().to_string())?;
    tracing::info!("saving what {} has", path.display());
    let prefix = &ANY_TARGET.parse()?;
    let planned = planning::planned(session, inventory, prefix, progress).await?;
    Ok((lock, planned, true))
}

/// What an earlier bundle has brought, or the one of an earlier lock.
async fn since(path: &Path, session: &Session) -> anyhow::Result<Since> {
    let mut start = [0; 1];
    let is_lock = std::fs::File::open(path)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut start))
        .is_ok_and(|()| start == *b"{");
    if is_lock {
        return Ok(Since::of_lock(&locking::read(path)?, &session.stores).await);
    }
    Since::of(&Bundle::open_file(path).await?).await
}

/// The preflights, where nothing is missing at the sources.
fn checked(copies: &[Copy], preflights: Vec<Preflight>) -> anyhow::Result<Vec<Preflight>> {
    let failed = preflights
        .iter()
        .filter(|preflight| !preflight.errors.is_empty())
        .count();
    if failed == 0 {
        return Ok(preflights);
    }
    let outcomes = preflights.into_iter().map(|preflight| {
        let mut errors = preflight.errors.into_iter();
        errors.next().map(Outcome::failed)
    });
    let failed_ones = copies.iter().zip(outcomes);
    let (copies, outcomes): (Vec<Copy>, Vec<Outcome>) = failed_ones
        .filter_map(|(copy, outcome)| Some((copy.clone(), outcome?)))
        .unzip();
    failure_summary::report(&copies, outcomes);
    Err(anyhow!(
        "{} cannot be read, nothing was written",
        progress::count(failed, "artifact")
    ))
}
