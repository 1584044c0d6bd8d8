//! How long a plan takes at least, and how many builds it would use.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fan_out::decision::{Decision, Terms};
use crate::fan_out::forecast::{self, ASSUMED, Limit};
use crate::fan_out::shard::Load;
use crate::plan::{Copy, CopySource, Plan};
use crate::progress;
use oci_copy::copy::Preflight;

use super::Session;
use super::state::State;

/// What hosts give to who has no credentials: so many manifests at once, and then so many a second.
/// Docker Hub: 100 in six hours (docs.docker.com/docker-hub/usage/pulls); ECR Public: one a second
/// (docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html).
const GIVEN: [(&str, f64, f64); 2] = [
    ("docker.io", 100.0, 100.0 / (6.0 * 3600.0)),
    ("public.ecr.aws", 1.0, 1.0),
];

/// The estimate for a plan.
pub(super) struct Estimate {
    load: Load,
    /// Artifacts to copy whose content is not known.
    unknown: usize,
    builds: usize,
    /// Why it is one build, where that is not for lack of work.
    why_one: Option<&'static str>,
    time: Duration,
    limit: Limit,
    alone: Duration,
    /// The host that gives least to who has no credentials, and how long that takes.
    slowest_source: Option<(&'static str, Duration)>,
}

impl Estimate {
    pub(super) fn new(plan: &Plan, preflights: &[Preflight], session: &Session) -> Self {
        let credentials = session.stores.http().credentials();
        let terms = Terms {
            settings: &session.settings,
            is_ecr: Terms::is_ecr(plan),
            own_hosts: &|host| credentials.is_only_here(host),
            rate: ASSUMED,
        };
        let Decision {
            load,
            speeds,
            builds,
            why_one,
            ..
        } = Decision::new(&plan.copies, preflights, &terms);
        let (time, limit) = forecast::lower_bound(&load, &speeds, builds);
        let is_unknown = |preflight: &&Preflight| {
            preflight.missing.is_none() && !State::of(preflight).is_without_source()
        };
        let slowest_source =
            slowest_source(&plan.copies, preflights, |host| credentials.knows(host));
        Self {
            load,
            unknown: preflights.iter().filter(is_unknown).count(),
            builds,
            why_one,
            time,
            limit,
            alone: forecast::lower_bound(&load, &speeds, 1).0,
            slowest_source: slowest_source.filter(|(_, wait)| *wait > time),
        }
    }

    /// The same for machines.
    pub(super) fn to_json(&self) -> Value {
        let source = self.slowest_source.as_ref();
        json!({
            "bytes": self.load.bytes,
            "largestBlob": self.load.largest,
            "blobs": self.load.blobs,
            "manifests": self.load.manifests,
            "unknownArtifacts": self.unknown,
            "assumedBytesPerSecond": ASSUMED,
            "builds": self.builds,
            "fanOut": self.why_one.unwrap_or("by what it saves"),
            "seconds": source.map_or(self.time, |(_, wait)| *wait).as_secs_f64(),
            "limit": source.map_or_else(|| self.limit.to_string(), |(host, _)| sources(host)),
            "secondsWithOneBuild": self.alone.as_secs_f64(),
        })
    }
}

/// The host that keeps a run longest, with how long.
fn slowest_source(
    copies: &[Copy],
    preflights: &[Preflight],
    has_credentials: impl Fn(&str) -> bool,
) -> Option<(&'static str, Duration)> {
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
        let wait = Duration::from_secs_f64((count - at_once).max(0.0) / rate);
        Some((host, wait))
    });
    waits.max_by_key(|(_, wait)| *wait)
}

fn sources(host: &str) -> String {
    format!("what {host} gives without credentials")
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Load {
            bytes,
            largest,
            blobs,
            manifests,
        } = self.load;
        write!(
            f,
            "to copy: {} in {blobs} blobs (the largest has {}) and {manifests} manifests",
            progress::bytes(bytes),
            progress::bytes(largest),
        )?;
        if self.unknown > 0 {
            write!(f, ", and {} artifacts of unknown size", self.unknown)?;
        }
        let time = progress::duration(self.time);
        let rate = progress::bytes_per_second(ASSUMED);
        write!(f, "\nit takes at least {time}: {}", self.limit)?;
        if self.limit == Limit::Bytes {
            write!(f, " (if a build moves {rate})")?;
        }
        if let Some((host, wait)) = &self.slowest_source {
            let wait = progress::duration(*wait);
            write!(
                f,
                "\n{} takes at least {wait}: HelmRepoSecretName names a secret with credentials for it",
                sources(host)
            )?;
        }
        write!(f, "\nfan-out: ")?;
        match (self.why_one, self.builds) {
            (Some(why), _) => f.write_str(why),
            (None, 1) => f.write_str("one build, more would save less than two minutes"),
            (None, builds) => {
                let alone = progress::duration(self.alone);
                write!(
                    f,
                    "{builds} builds, one alone would take {alone}; while it copies, the real rate decides"
                )
            }
        }
    }
}
