//! What is saved is what is locked, whatever tags name by now.

use std::collections::HashSet;

use crate::charts::Charts;
use crate::document::{Kind, Lock, LockedReferrer};
use crate::plan::{Copy, CopySource};
use crate::problem::{Problem, Problems};
use crate::progress;
use oci_copy::reference::{Digest, Location};
use oci_copy::store::archive::Artifact;

const REMEDY: &str =
    "look at what has changed with `replicator diff`, then run `replicator lock` again";

/// What a lock says of one artifact.
struct Locked<'a> {
    /// The digest of the chart's archive.
    archive: Option<&'a Digest>,
    /// The digest at the source.
    source: &'a Digest,
    referrers: &'a [LockedReferrer],
}

fn find<'a>(lock: &'a Lock, copy: &Copy) -> Option<Locked<'a>> {
    if copy.kind == Kind::Chart {
        let mut charts = lock.charts.values();
        let chart = charts.find(|chart| chart.target == copy.target_text)?;
        return Some(Locked {
            archive: Some(&chart.archive),
            source: &chart.digest,
            referrers: &chart.referrers,
        });
    }
    let mut images = lock.images.iter();
    let image = images.find(|image| image.target == copy.target_text)?;
    Some(Locked {
        archive: None,
        source: image.source_digest.as_ref().unwrap_or(&image.digest),
        referrers: &image.referrers,
    })
}

/// The copies with their sources named by the locked digests.
///
/// # Errors
/// Artifacts that are not locked, and charts whose archives are not the locked ones.
pub(super) fn pinned(copies: &[Copy], lock: &Lock, charts: &Charts) -> Result<Vec<Copy>, Problems> {
    let (mut pinned, mut problems) = (Vec::new(), Vec::new());
    for copy in copies {
        let problem = |what: String| Problem::input(&copy.source_text, what).remedy(REMEDY);
        let Some(locked) = find(lock, copy) else {
            problems.push(problem("it is not locked".to_owned()));
            continue;
        };
        let archives = copy.used_by.iter().filter_map(|key| charts.get(key));
        let mut archives = archives.map(|chart| Digest::of(&chart.archive));
        if let Some(wanted) = locked.archive
            && let Some(found) = archives.find(|found| found != wanted)
        {
            let what = format!("the archive {wanted} is locked, and its repository has {found}");
            problems.push(problem(what));
            continue;
        }
        let mut copy = copy.clone();
        if let CopySource::At(location) = &mut copy.source {
            match by_digest(location, locked.source) {
                Some(by_digest) => *location = by_digest,
                None => problems.push(problem(format!("it cannot be named by {}", locked.source))),
            }
        }
        pinned.push(copy);
    }
    Problems::check(problems)?;
    Ok(pinned)
}

fn by_digest(location: &Location, digest: &Digest) -> Option<Location> {
    let (host, repository) = (location.host()?, location.repository()?);
    format!("{host}/{repository}@{digest}").parse().ok()
}

/// Removes what began to refer to an artifact after it was locked.
///
/// # Errors
/// When something that is locked does not refer to it any more.
pub(super) fn keep_locked(
    artifact: &mut Artifact<'_>,
    copy: &Copy,
    lock: &Lock,
) -> Result<(), Problems> {
    let Some(locked) = find(lock, copy) else {
        return Ok(());
    };
    let wanted: HashSet<&Digest> = locked.referrers.iter().map(|one| &one.digest).collect();
    let before = artifact.referrers.len();
    let is_locked = |digest: &Digest| wanted.contains(digest);
    artifact.referrers.retain(|one| is_locked(&one.root.digest));
    let new = before - artifact.referrers.len();
    if new > 0 {
        tracing::warn!(
            "{}: {} of it came after it was locked, and is not saved",
            copy.source_text,
            progress::count(new, "referrer")
        );
    }
    let found = artifact.referrers.iter().map(|one| &one.root.digest);
    let found: HashSet<&Digest> = found.collect();
    let gone = wanted.iter().filter(|digest| !found.contains(*digest));
    let problems = gone.map(|digest| {
        let what = format!("the referrer {digest} is locked, and is not at the source any more");
        Problem::input(&copy.source_text, what).remedy(REMEDY)
    });
    Problems::check(problems.collect())
}
