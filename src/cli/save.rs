//! `replicator save`

mod contents;
mod pinned;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::anyhow;

use crate::bundle::{Bundle, BundleLocation, Since};
use crate::deploy::planned::Planned;
use crate::deploy::{failure_summary, locking, planning};
use crate::document::Lock;
use crate::inventory::Inventory;
use crate::lock;
use crate::plan::Copy;
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::session::{Session, read_without_target};
use crate::settings::Flags;
use oci_copy::copy::{Detail, Engine, Events, Gate, Outcome, Preflight, Request};
use oci_copy::store::archive::Writer;

use super::flags::{BundleFlags, DataFlags, NetworkFlags, OF_TARGETS, hidden};
use super::{Exit, Invocation};
use write::Known;

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

/// The smallest part of a split bundle, in bytes.
const SMALLEST: u64 = 64 * 1024;

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
        Some(size) if size >= SMALLEST => Ok(size),
        Some(_) => Err(format!("a part has at least {} KiB", SMALLEST >> 10)),
        None => Err("it is not a size such as 4GiB or 700MB".to_owned()),
    }
}

impl Save {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let started = Instant::now();
        let flags = self.flags()?;
        let (settings, inventory, files) = read_without_target(&flags, with.environment)?;
        for warning in &inventory.warnings {
            tracing::warn!("{warning}");
        }
        let progress = Progress::start(with.screen);
        let session = Session::for_inventory(settings, &inventory, with.stop).await?;
        let (lock, planned, is_locked) = locked(&session, &inventory, &progress).await?;
        session.warn_about(&planned.plan, &inventory);
        planned.report().1?;
        let Planned { plan, proof, .. } = &planned;
        // What the bundle is written to is known by this name, whatever it is.
        let home = PathBuf::from(&self.file);
        let copies = contents::bundled(plan, &home)?;
        let pinned = pinned::pinned(&copies, &lock, &planned.charts)?;

        let writer = Writer::new(&home);
        session.stores.write_to(&home, Arc::clone(&writer));
        progress.copying(copies.len());
        let events = Arc::clone(&*progress) as Arc<dyn Events>;
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
        let preflights = tokio::select! {
            preflights = engine.preflight(&requests, Detail::Missing) => preflights,
            () = with.stop.cancelled() => return Err(anyhow!("stopped before anything was written")),
        };
        let preflights = checked(&copies, preflights)?;
        let since = match &self.since {
            Some(path) => Some(since(path, &session).await?),
            None => None,
        };
        let mut held = contents::contents(&copies, &preflights, &lock, since)?;
        let documents = (&lock, proof.as_ref());
        contents::add_documents(&mut held, (&inventory, &files), &copies, documents)?;
        tracing::info!(
            "EKS {}: {} to {}",
            inventory.eks_version,
            progress::count(copies.len(), "artifact"),
            self.file
        );
        let known = Known {
            copies: &copies,
            requests: &requests,
            preflights,
        };
        let written = match &session.settings.bundle {
            Some(named) => {
                write::to_bucket((named, &session), held, known, (&events, with.stop)).await
            }
            None => write::to_file((&engine, &writer), (held, self.split), known, with.stop).await,
        };
        drop(progress);
        let (size, names) = written?;
        tracing::info!(
            "saved {} in {}: {}",
            progress::bytes(size),
            progress::duration(started.elapsed()),
            names.join(", ")
        );
        Ok(Exit::Done)
    }

    /// The flags; an object of a bucket is a bundle as the settings know it.
    fn flags(&self) -> Result<Flags, Problems> {
        let flags = self.bundle.onto(self.data.flags(&self.network));
        let problem = |what: String| Problem::input(self.file.as_str(), what);
        match self.file.parse::<BundleLocation>() {
            Ok(BundleLocation::File(path)) => check_file(&path).map(|()| flags),
            Ok(BundleLocation::Object { .. }) if self.split.is_some() => {
                let remedy = "leave --split out: an object can have 5 TiB";
                Err(problem("an object is not split".to_owned())
                    .remedy(remedy)
                    .into())
            }
            Ok(BundleLocation::Object { .. }) => Ok(flags.with("bundle", self.file.as_str())),
            Err(what) => Err(problem(what).into()),
        }
    }
}

/// Checks, without writing anything, that the file can be there.
fn check_file(file: &Path) -> Result<(), Problems> {
    let problem = |what: &str| {
        let problem = Problem::input(file.display().to_string(), what);
        Err(problem.remedy("name a file in a folder that exists").into())
    };
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if file.is_dir() {
        return problem("it is a folder");
    }
    match folder {
        Some(folder) if !folder.is_dir() => problem("its folder does not exist"),
        _ => Ok(()),
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
    let prefix = &locking::ANY_TARGET.parse()?;
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
