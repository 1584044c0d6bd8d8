//! What a plan moves, how long that takes, and how many builds it would use.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::document::{PlanEstimate, PlanState, REPORT_FILE, RateFrom, Report};
use crate::fan_out::decision::{Decision, Terms};
use crate::fan_out::forecast::{self, ASSUMED, Limit, Speeds};
use crate::fan_out::shard::Load;
use crate::files;
use crate::plan::{Copy, CopySource, Plan};
use crate::session::Session;
use oci_copy::copy::Preflight;

/// What hosts give to clients without credentials: so many manifests at once, and then so many a second.
/// Docker Hub: 100 in six hours (docs.docker.com/docker-hub/usage/pulls); ECR Public: one a second
/// (docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html).
const GIVEN: [(&str, f64, f64); 2] = [
    ("docker.io", 100.0, 100.0 / (6.0 * 3600.0)),
    ("public.ecr.aws", 1.0, 1.0),
];

/// A deployment that moved less does not show the throughput, in bytes.
const ENOUGH: u64 = 16 << 20;

/// The throughput that a time is calculated with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Where it is from.
    pub from: RateFrom,
    /// The throughput, in bytes per second.
    pub bytes_per_second: f64,
}

impl Rate {
    /// What the user says; or else what the last deployment into a folder measured; or else, in a build of CodeBuild,
    /// what those usually have.
    pub(super) fn find(given: Option<f64>, out: &Path, is_build: bool) -> Self {
        let found = |from, bytes_per_second| Self {
            from,
            bytes_per_second,
        };
        if let Some(rate) = given {
            return found(RateFrom::Given, rate);
        }
        if let Some(rate) = measured(out) {
            return found(RateFrom::Measured, rate);
        }
        let from = if is_build {
            RateFrom::Assumed
        } else {
            RateFrom::Unknown
        };
        found(from, ASSUMED)
    }

    /// Whether there is one that a time can be shown with.
    fn is_known(self) -> bool {
        self.from != RateFrom::Unknown
    }
}

/// The throughput of the last deployment into a folder.
fn measured(out: &Path) -> Option<f64> {
    let text = files::read(&out.join(REPORT_FILE)).ok()?;
    let report: Report = serde_json::from_slice(&text).ok()?;
    let totals = report.totals;
    let is_enough = totals.bytes >= ENOUGH && totals.seconds > 0.0;
    is_enough.then(|| forecast::as_f64(totals.bytes) / totals.seconds)
}

/// What a deployment would move, how long that takes, and how many builds it would use.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// What it would move, as far as that is known.
    pub load: Load,
    /// The throughput that the times are calculated with.
    pub rate: Rate,
    /// Whether the target is ECR, whose quotas are known and which several builds can write to.
    pub is_ecr: bool,
    /// Artifacts to copy whose content is not known.
    pub unknown: usize,
    /// How many builds of CodeBuild it would use, this one included.
    pub builds: usize,
    /// Why it is one build, where that is not for lack of work.
    pub why_one: Option<&'static str>,
    /// How long the copying takes at least, with these builds.
    pub time: Duration,
    /// What that time is limited by.
    pub limit: Limit,
    /// The same time with a single build.
    pub alone: Duration,
    /// The host that keeps the run longest, where that is longer than `time`.
    pub slowest_source: Option<SlowestSource>,
}

/// A host that gives little to clients without credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowestSource {
    /// The host.
    pub host: &'static str,
    /// How long it takes at least to read the missing manifests from it.
    pub time: Duration,
}

impl fmt::Display for SlowestSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what {} gives without credentials", self.host)
    }
}

impl Estimate {
    pub(super) fn new(
        plan: &Plan,
        preflights: &[Preflight],
        session: &Session,
        rate: Rate,
    ) -> Self {
        let credentials = session.stores.http().credentials();
        let is_ecr = Terms::is_ecr(plan);
        let terms = Terms {
            settings: &session.settings,
            is_ecr,
            own_hosts: &|host| credentials.is_only_here(host),
            rate: rate.bytes_per_second,
        };
        let Decision {
            load,
            speeds,
            builds,
            why_one,
            ..
        } = Decision::new(&plan.copies, preflights, &terms);
        let bound = |builds| {
            if is_ecr {
                forecast::lower_bound(&load, &speeds, builds)
            } else {
                without_quotas(&load, &speeds)
            }
        };
        let (time, limit) = bound(builds);
        let is_unknown = |preflight: &&Preflight| {
            preflight.missing.is_none() && !PlanState::of(preflight).is_without_source()
        };
        let slowest_source =
            slowest_source(&plan.copies, preflights, |host| credentials.knows(host));
        Self {
            load,
            rate,
            is_ecr,
            unknown: preflights.iter().filter(is_unknown).count(),
            builds,
            why_one,
            time,
            limit,
            alone: bound(1).0,
            slowest_source: slowest_source.filter(|source| source.time > time),
        }
    }

    /// The same as a document.
    #[must_use]
    pub fn to_document(&self) -> PlanEstimate {
        let source = self.slowest_source.as_ref();
        let seconds = source.map_or(self.time, |source| source.time).as_secs_f64();
        let limit = source.map_or_else(|| self.limit.to_string(), ToString::to_string);
        let is_known = self.rate.is_known();
        PlanEstimate {
            bytes: self.load.bytes,
            largest_blob: self.load.largest,
            blobs: self.load.blobs,
            manifests: self.load.manifests,
            unknown_artifacts: self.unknown,
            rate: is_known.then_some(self.rate.bytes_per_second),
            rate_from: self.rate.from,
            builds: self.builds,
            fan_out: self.why_one.unwrap_or("by what it saves").to_owned(),
            seconds: is_known.then_some(seconds),
            limit: is_known.then_some(limit),
            seconds_with_one_build: is_known.then_some(self.alone.as_secs_f64()),
        }
    }
}

/// The time where the target has no quotas that are known: a link that all blobs share.
fn without_quotas(load: &Load, speeds: &Speeds) -> (Duration, Limit) {
    let bytes = Load {
        bytes: load.bytes,
        ..Load::default()
    };
    forecast::lower_bound(&bytes, speeds, 1)
}

/// The host that keeps a run longest.
fn slowest_source(
    copies: &[Copy],
    preflights: &[Preflight],
    has_credentials: impl Fn(&str) -> bool,
) -> Option<SlowestSource> {
    let mut manifests: BTreeMap<&str, f64> = BTreeMap::new();
    for (copy, preflight) in copies.iter().zip(preflights) {
        if let (CopySource::At(location), Some(missing)) = (&copy.source, &preflight.missing)
            && let Some(host) = location.host()
        {
            let count = u32::try_from(missing.manifests).unwrap_or(u32::MAX);
            *manifests.entry(host).or_default() += f64::from(count);
        }
    }
    let waits = GIVEN.into_iter().filter_map(|(host, at_once, rate)| {
        let count = manifests.get(host).filter(|_| !has_credentials(host))?;
        let time = Duration::from_secs_f64((count - at_once).max(0.0) / rate);
        Some(SlowestSource { host, time })
    });
    waits.max_by_key(|source| source.time)
}
