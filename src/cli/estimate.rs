//! How long a plan takes at least, and how many builds it would use.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fan_out::forecast::{self, ASSUMED, Limit, Speeds};
use crate::fan_out::shard::Load;
use crate::observe::{Seen, State};
use crate::plan::{Copy, Plan, Source};
use crate::progress;
use crate::reference::Prefix;
use crate::settings::{FanOut, Settings};

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
    /// `has_credentials` says of a host whether there are any.
    pub(super) fn new(
        plan: &Plan,
        seen: &[Seen],
        settings: &Settings,
        has_credentials: impl Fn(&str) -> bool,
    ) -> Self {
        let is_to_copy =
            |state: State| !matches!(state, State::Present | State::NoSource | State::NoPlatform);
        let each = plan.copies.iter().zip(seen);
        let to_copy: Vec<(&Copy, &Seen)> =
            each.filter(|(_, seen)| is_to_copy(seen.state)).collect();
        let needs = to_copy.iter().filter_map(|(_, seen)| seen.content.as_ref());
        let load = Load::of(needs);
        let speeds = Speeds::of(ASSUMED, &settings.quotas);
        let (builds, why_one) = builds(plan, settings, &load, &speeds);
        let (time, limit) = forecast::lower_bound(&load, &speeds, builds);
        let slowest_source = slowest_source(&to_copy, has_credentials);
        Self {
            load,
            unknown: to_copy
                .iter()
                .filter(|(_, seen)| seen.content.is_none())
                .count(),
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

/// How many builds, and why it is one whatever there is to do.
fn builds(
    plan: &Plan,
    settings: &Settings,
    load: &Load,
    speeds: &Speeds,
) -> (usize, Option<&'static str>) {
    let is_ecr = matches!(plan.prefix, Prefix::Ecr { .. });
    match settings.fan_out {
        FanOut::Off => (1, Some("off")),
        _ if !is_ecr => (1, Some("off: the target is not ECR")),
        FanOut::Auto if settings.build.is_none() => (1, Some("off: this is no build of CodeBuild")),
        FanOut::Builds(_) if settings.build.is_none() => {
            (1, Some("off: this is no build of CodeBuild"))
        }
        FanOut::Builds(builds) => (builds, None),
        FanOut::Auto => (forecast::worthwhile(load, speeds), None),
    }
}

/// The host that keeps a run longest, with how long.
fn slowest_source(
    to_copy: &[(&Copy, &Seen)],
    has_credentials: impl Fn(&str) -> bool,
) -> Option<(&'static str, Duration)> {
    let mut manifests: BTreeMap<&str, f64> = BTreeMap::new();
    for (copy, seen) in to_copy {
        if let (Source::At(location), Some(content)) = (&copy.source, &seen.content)
            && let Some(host) = location.host()
        {
            let count = u32::try_from(content.manifests).unwrap_or(u32::MAX);
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
