//! What a plan moves, how long that takes, and how many builds it would use.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::document::{PlanEstimate, REPORT_FILE, RateFrom, Report};
use crate::fan_out::decision::{Decision, Terms};
use crate::fan_out::forecast::{self, ASSUMED, Limit, Speeds};
use crate::fan_out::shard::Load;
use crate::files;
use crate::plan::{Copy, CopySource, Plan};
use crate::progress;
use crate::session::Session;
use oci_copy::copy::Preflight;

use super::state;

/// What hosts give to who has no credentials: so many manifests at once, and then so many a second.
/// Docker Hub: 100 in six hours (docs.docker.com/docker-hub/usage/pulls); ECR Public: one a second
/// (docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html).
const GIVEN: [(&str, f64, f64); 2] = [
    ("docker.io", 100.0, 100.0 / (6.0 * 3600.0)),
    ("public.ecr.aws", 1.0, 1.0),
];

/// A deployment that moved less does not show the throughput, in bytes.
const ENOUGH: u64 = 16 << 20;

/// The throughput that a time is calculated with, in bytes per second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    from: RateFrom,
    bytes_per_second: f64,
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

/// The estimate for a plan.
pub(super) struct Estimate {
    load: Load,
    rate: Rate,
    is_ecr: bool,
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
            preflight.missing.is_none() && !state::of(preflight).is_without_source()
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
            slowest_source: slowest_source.filter(|(_, wait)| *wait > time),
        }
    }

    /// The same as a document.
    pub(super) fn to_document(&self) -> PlanEstimate {
        let source = self.slowest_source.as_ref();
        let seconds = source.map_or(self.time, |(_, wait)| *wait).as_secs_f64();
        let limit = source.map_or_else(|| self.limit.to_string(), |(host, _)| sources(host));
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

    /// The time in words, with what it is based on.
    fn time(&self) -> String {
        let time = progress::duration(self.time);
        let rate = progress::bytes_per_second(self.rate.bytes_per_second);
        let unknown = if self.unknown > 0 {
            ", without those of unknown size"
        } else {
            ""
        };
        if self.load == Load::default() {
            return match self.unknown {
                0 => "nothing to copy".to_owned(),
                _ => "unknown, as the sizes are".to_owned(),
            };
        }
        let at = match self.rate.from {
            RateFrom::Unknown => {
                return format!(
                    "unknown, as the throughput is (at {rate}: {time}{unknown});\n      \
                     --bandwidth sets it, such as --bandwidth 20MiB/s"
                );
            }
            RateFrom::Given => format!("at {rate} (--bandwidth)"),
            RateFrom::Measured => format!("at {rate}, which the last deployment had"),
            RateFrom::Assumed => format!("at {rate}, assumed for a CodeBuild build"),
        };
        match self.limit {
            Limit::Bytes => format!("about {time} {at}{unknown}"),
            limit => format!("at least {time}: {limit}{unknown}"),
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

/// A throughput such as `20MiB/s`, `100 Mbit/s` or a number of bytes per second.
pub(super) fn bandwidth(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let bare = text.strip_suffix("/s").unwrap_or(text).trim();
    let digits = bare.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = bare.split_at(digits.unwrap_or(bare.len()));
    let factor = match unit.trim() {
        "" | "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "kbit" | "Kbit" => 125.0,
        "Mbit" => 125e3,
        "Gbit" => 125e6,
        _ => return Err("a unit is one of B, KiB, MiB, GiB, kB, MB, GB, Mbit, Gbit".to_owned()),
    };
    let rate = number.parse::<f64>().ok().map(|number| number * factor);
    rate.filter(|rate| (1.0..=1e12).contains(rate))
        .ok_or_else(|| "it is not a throughput such as 20MiB/s or 100Mbit/s".to_owned())
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
            "to copy: {} in {} (largest {}), {}",
            progress::bytes(bytes),
            progress::count(blobs, "blob"),
            progress::bytes(largest),
            progress::count(manifests, "manifest"),
        )?;
        if self.unknown > 0 {
            let unknown = progress::count(self.unknown, "artifact");
            write!(f, ",\n         and {unknown} of unknown size")?;
        }
        write!(f, "\ntime: {}", self.time())?;
        if let Some((host, wait)) = &self.slowest_source {
            let wait = progress::duration(*wait);
            write!(
                f,
                "\n      but {} takes at least {wait}:\n      log in to it, or name a secret with credentials in \
                 HelmRepoSecretName",
                sources(host)
            )?;
        }
        if !self.is_ecr {
            return Ok(());
        }
        write!(f, "\nfan-out: ")?;
        match (self.why_one, self.builds) {
            (Some(why), _) => f.write_str(why),
            (None, 1) => f.write_str("one build, more would save less than two minutes"),
            (None, builds) => {
                let alone = progress::duration(self.alone);
                write!(
                    f,
                    "{builds} builds, one alone would take {alone};\n         while it copies, the real rate decides"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bandwidth_has_a_unit_of_bytes_or_bits() {
        for (text, rate) in [
            ("20MiB/s", 20.0 * 1024.0 * 1024.0),
            ("100 Mbit/s", 12.5e6),
            ("1Gbit", 125e6),
            ("1.5 MB/s", 1.5e6),
            ("4096", 4096.0),
        ] {
            assert!((bandwidth(text).unwrap() - rate).abs() < 1e-6, "{text}");
        }
        for wrong in ["", "fast", "-1MiB/s", "0", "1 PiB/s", "1e3", "NaN"] {
            assert!(bandwidth(wrong).is_err(), "{wrong}");
        }
    }
}
