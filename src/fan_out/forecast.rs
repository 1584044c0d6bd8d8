//! How long a run takes with a number of builds, and how many are worthwhile. Pure.

use std::fmt;
use std::time::Duration;

use crate::settings::{DEFAULT_JOBS, MOST_BUILDS, Quotas};
use oci_copy::store::Action;

use super::shard::Load;

/// What ECR accepts in one stream, in bytes per second (measured by others, see `docs/internals/fan-out.md`).
pub const STREAM: f64 = 25e6;

/// The assumed throughput of a build until it is measured, in bytes per second.
pub const ASSUMED: f64 = 100e6;

/// The time until a build's first command runs.
pub const START_UP: Duration = Duration::from_mins(1);

/// What workers must save in total to be started.
const LEAST_GAIN: Duration = Duration::from_mins(2);

/// What each worker must save.
const LEAST_GAIN_EACH: Duration = Duration::from_secs(10);

/// The throughput and the quotas of a run.
#[derive(Debug, Clone)]
pub struct Speeds {
    /// The throughput of one build, in bytes per second.
    pub build: f64,
    /// The throughput of one blob, in bytes per second.
    pub stream: f64,
    /// From the start of a build to its first byte.
    pub start_up: Duration,
    /// Requests per second of all builds together.
    pub quotas: Quotas,
}

impl Speeds {
    /// For builds of a throughput, in bytes per second.
    #[must_use]
    pub fn of(build: f64, quotas: &Quotas) -> Self {
        Self {
            build,
            stream: STREAM.min(build),
            start_up: START_UP,
            quotas: quotas.clone(),
        }
    }
}

/// What limits a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The links of the builds.
    Bytes,
    /// The largest blob, in one stream.
    LargestBlob,
    /// The quota of `PutImage`.
    Manifests,
    /// The quota of `InitiateLayerUpload`.
    Uploads,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "the builds' network links",
            Self::LargestBlob => "the largest blob, which is a single stream",
            Self::Manifests => "ECR's quota of PutImage",
            Self::Uploads => "ECR's quota of InitiateLayerUpload",
        })
    }
}

/// The minimum time of a load with a number of builds, of which the coordinator runs already, and its reason.
#[must_use]
pub fn lower_bound(load: &Load, speeds: &Speeds, builds: usize) -> (Duration, Limit) {
    let count = |count: usize| as_f64(count as u64);
    let puts = count(load.manifests) / speeds.quotas.get(Action::PutManifest);
    let uploads = count(load.blobs) / speeds.quotas.get(Action::StartUpload);
    let limits = [
        (bytes_time(load.bytes, speeds, builds), Limit::Bytes),
        (as_f64(load.largest) / speeds.stream, Limit::LargestBlob),
        (puts, Limit::Manifests),
        (uploads, Limit::Uploads),
    ];
    let longest = limits
        .into_iter()
        .reduce(|a, b| if b.0 > a.0 { b } else { a });
    let (seconds, limit) = longest.unwrap_or((0.0, Limit::Bytes));
    (Duration::from_secs_f64(seconds), limit)
}

/// The coordinator moves bytes from the beginning, the workers after they have started.
fn bytes_time(bytes: u64, speeds: &Speeds, builds: usize) -> f64 {
    let (alone, late) = (as_f64(bytes) / speeds.build, speeds.start_up.as_secs_f64());
    if alone <= late {
        return alone;
    }
    let builds = as_f64(builds.max(1) as u64);
    (alone + (builds - 1.0) * late) / builds
}

/// How many builds are worthwhile, including the coordinator.
#[must_use]
pub fn worthwhile(load: &Load, speeds: &Speeds) -> usize {
    let time = |builds| lower_bound(load, speeds, builds).0;
    let saves = |builds| time(builds).saturating_sub(time(builds + 1)) >= LEAST_GAIN_EACH;
    let builds = (1..MOST_BUILDS).find(|builds| !saves(*builds));
    let builds = builds.unwrap_or(MOST_BUILDS);
    let gain = time(1).saturating_sub(time(builds));
    if gain >= LEAST_GAIN { builds } else { 1 }
}

/// Which build copies each shard, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// By build: each of its shards with beginning and end, in seconds from the start of the run.
    pub builds: Vec<Vec<(usize, f64, f64)>>,
    /// The end of the last one.
    pub end: Duration,
}

/// Simulates a run: every build claims the next shard when it has finished the one before.
#[must_use]
pub fn simulate(shards: &[Load], speeds: &Speeds, builds: usize) -> Schedule {
    let builds = builds.max(1);
    let share = 1.0 / as_f64(builds as u64);
    let late = speeds.start_up.as_secs_f64();
    let mut free: Vec<f64> = (0..builds)
        .map(|build| if build == 0 { 0.0 } else { late })
        .collect();
    let mut plan = vec![Vec::new(); builds];
    for (number, load) in shards.iter().enumerate() {
        let next = (0..builds).reduce(|a, b| if free[b] < free[a] { b } else { a });
        let build = next.unwrap_or(0);
        let count =
            |count: usize, action| as_f64(count as u64) / (speeds.quotas.get(action) * share);
        let takes = [
            as_f64(load.bytes) / speeds.build,
            as_f64(load.largest) / speeds.stream,
            count(load.manifests, Action::PutManifest),
            count(load.blobs, Action::StartUpload),
        ];
        let takes = takes.into_iter().fold(0.0, f64::max);
        plan[build].push((number, free[build], free[build] + takes));
        free[build] += takes;
    }
    // What is in flight at the end of a build arrives together, and its manifests come one after the other.
    for taken in &mut plan {
        if let Some((shard, _, end)) = taken.last_mut() {
            let load = &shards[*shard];
            let in_flight =
                (as_f64(DEFAULT_JOBS as u64) / as_f64(load.blobs.max(1) as u64)).min(1.0);
            let puts = speeds.quotas.get(Action::PutManifest) * share;
            *end += as_f64(load.manifests as u64) * in_flight / puts;
        }
    }
    let ends = plan.iter().flatten().map(|(_, _, end)| *end);
    Schedule {
        end: Duration::from_secs_f64(ends.fold(0.0, f64::max)),
        builds: plan,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a forecast needs no more than the 53 bits of a double"
)]
pub(crate) fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    fn load(bytes: u64) -> Load {
        Load {
            bytes,
            largest: 0,
            blobs: 100,
            manifests: 100,
        }
    }

    fn speeds() -> Speeds {
        Speeds::of(ASSUMED, &Quotas::default())
    }

    #[test]
    fn what_one_build_does_in_minutes_is_not_spread() {
        assert_eq!(worthwhile(&load(GB), &speeds()), 1);
        assert_eq!(worthwhile(&load(15 * GB), &speeds()), 1);
        assert!(worthwhile(&load(60 * GB), &speeds()) > 2);
        assert!(worthwhile(&load(5000 * GB), &speeds()) > 40);
    }

    #[test]
    fn no_number_of_builds_beats_a_quota_or_the_largest_blob() {
        let many = Load {
            manifests: 20_000,
            ..load(30 * GB)
        };
        assert_eq!(worthwhile(&many, &speeds()), 1);
        let (time, limit) = lower_bound(&many, &speeds(), 16);
        assert_eq!((time.as_secs(), limit), (2000, Limit::Manifests));
        let long = Load {
            largest: 25 * GB,
            ..load(30 * GB)
        };
        assert_eq!(lower_bound(&long, &speeds(), 64).1, Limit::LargestBlob);
        assert_eq!(worthwhile(&long, &speeds()), 1);
    }

    #[test]
    fn the_bound_counts_what_the_coordinator_moves_while_workers_start() {
        // 600 s alone; four builds, three of them a minute late: (600 + 3 * 60) / 4.
        let (time, limit) = lower_bound(&load(60 * GB), &speeds(), 4);
        assert_eq!((time.as_secs(), limit), (195, Limit::Bytes));
        assert_eq!(lower_bound(&load(60 * GB), &speeds(), 1).0.as_secs(), 600);
        // What is done before they have started is done alone.
        assert_eq!(lower_bound(&load(5 * GB), &speeds(), 4).0.as_secs(), 50);
    }

    #[test]
    fn a_schedule_gives_each_build_the_next_shard() {
        let shards = vec![
            Load {
                manifests: 1,
                blobs: 1,
                ..load(GB)
            };
            64
        ];
        let one = simulate(&shards, &speeds(), 1);
        assert_eq!(one.end.as_secs(), 640);
        let four = simulate(&shards, &speeds(), 4);
        // (640 + 3 * 60) / 4, rounded up to whole shards.
        assert_eq!(four.end.as_secs(), 210);
        let taken: usize = four.builds.iter().map(Vec::len).sum();
        assert_eq!(taken, 64);
        assert!(four.builds[0].len() > four.builds[1].len());
    }
}
