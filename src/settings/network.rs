//! How the network is used: how much at once, how long to wait, how often to try.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use url::Url;

use crate::http::Proxies;
use crate::problem::{Problem, slip};

use super::hosts::Hosts;
use super::parameters::Given;
use super::{Environment, Flags, Parameters, list};

/// How many big blobs are transferred at once at most, when nothing else is said. ECR takes about
/// 25 MB/s per stream (measured by others, see `docs/`), so that a dozen and more are needed to fill a
/// link.
pub const DEFAULT_JOBS: usize = 16;

/// How often a request is tried in all, when nothing else is said.
pub const DEFAULT_TRIES: u32 = 4;

/// How long a host that throttles is given, when nothing else is said.
pub const DEFAULT_PATIENCE: Duration = Duration::from_mins(10);

/// How the network is used.
#[derive(Debug, Clone)]
pub struct Network {
    /// Big blobs in transfer at once, at least 1; of what is small, four times as many.
    pub jobs: usize,
    /// How often a request is tried in all, at least 1.
    pub tries: u32,
    /// How long a host that throttles is given.
    pub patience: Duration,
    /// Longest wait for a connection.
    pub connect: Duration,
    /// Longest wait for an answer's beginning, and between two pieces of it.
    pub answer: Duration,
    /// The slowest transfer that is borne, in bytes a second.
    pub slowest: u64,
    /// Requests a second that ECR grants.
    pub quotas: Quotas,
    /// How much of the quotas this build may use.
    pub share: Share,
    /// Who checks the digests of blobs.
    pub hash: Hash,
    /// Hosts that speak plain HTTP, besides loopback.
    pub plain_http: BTreeSet<String>,
    /// Where to go when a host is meant.
    pub endpoints: BTreeMap<String, Url>,
    /// Which requests go through a proxy.
    pub proxies: Proxies,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            jobs: DEFAULT_JOBS,
            tries: DEFAULT_TRIES,
            patience: DEFAULT_PATIENCE,
            connect: Duration::from_secs(10),
            answer: Duration::from_mins(1),
            slowest: 1024,
            quotas: Quotas::default(),
            share: Share::default(),
            hash: Hash::default(),
            plain_http: BTreeSet::new(),
            endpoints: BTreeMap::new(),
            proxies: Proxies::default(),
        }
    }
}

/// Who checks that a blob has its digest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hash {
    /// We do, while it flows; only on a machine without instructions for SHA-256 is it left to a
    /// registry that is known to check: ECR.
    #[default]
    Auto,
    /// We do, always.
    Always,
    /// The target does, where it is a registry: the distribution specification asks it to.
    Target,
}

impl Hash {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "target" => Ok(Self::Target),
            _ => Err(format!("`{text}` is none of auto, always, target")),
        }
    }
}

/// What a request wants of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// HEAD or GET of a manifest.
    GetManifest,
    /// HEAD of a blob.
    CheckBlob,
    /// GET of a blob.
    GetBlob,
    /// POST of an upload or a mount.
    StartUpload,
    /// PUT of a blob.
    FinishUpload,
    /// PUT of a manifest.
    PutManifest,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::GetManifest,
        Self::CheckBlob,
        Self::GetBlob,
        Self::StartUpload,
        Self::FinishUpload,
        Self::PutManifest,
    ];

    /// The action of ECR's API whose quota it uses, and the default of that quota per account and
    /// region, in requests a second
    /// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html>).
    #[must_use]
    pub fn quota(self) -> (&'static str, f64) {
        match self {
            Self::GetManifest => ("BatchGetImage", 2000.0),
            Self::CheckBlob => ("BatchCheckLayerAvailability", 1000.0),
            Self::GetBlob => ("GetDownloadUrlForLayer", 3000.0),
            Self::StartUpload => ("InitiateLayerUpload", 100.0),
            Self::FinishUpload => ("CompleteLayerUpload", 100.0),
            Self::PutManifest => ("PutImage", 10.0),
        }
    }
}

/// Requests a second that ECR grants, where they differ from its defaults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quotas(BTreeMap<Action, f64>);

impl Quotas {
    /// How many requests a second are granted.
    #[must_use]
    pub fn get(&self, action: Action) -> f64 {
        self.0.get(&action).copied().unwrap_or(action.quota().1)
    }

    /// `PutImage=50,InitiateLayerUpload=200`
    fn parse(text: &str) -> Result<Self, String> {
        let mut quotas = BTreeMap::new();
        for entry in list::entries(text)? {
            let (name, rate) = entry
                .split_once('=')
                .ok_or_else(|| format!("`{entry}` is not ACTION=RATE, such as PutImage=50"))?;
            let name = name.trim();
            let is_named = |action: &&Action| action.quota().0.eq_ignore_ascii_case(name);
            let action = Action::ALL.iter().find(is_named).ok_or_else(|| {
                let names = Action::ALL.map(|action| action.quota().0);
                let near = slip(name, names).map(|near| format!(" (nearest: {near})"));
                let names = names.join(", ");
                format!("`{name}` is none of {names}{}", near.unwrap_or_default())
            })?;
            let rate = rate.trim().parse::<f64>().ok();
            let rate = rate.filter(|rate| (0.1..=100_000.0).contains(rate));
            let rate = rate.ok_or_else(|| {
                format!("`{entry}` names no number of requests a second from 0.1 to 100000")
            })?;
            if quotas
                .insert(*action, rate)
                .is_some_and(|before: f64| before.to_bits() != rate.to_bits())
            {
                return Err(format!("`{name}` stands there twice with different rates"));
            }
        }
        Ok(Self(quotas))
    }
}

/// The part of the quotas that one of several builds may use, from 0 to 1. Clones share it, and it can
/// change while requests wait.
#[derive(Debug, Clone)]
pub struct Share(Arc<AtomicU64>);

impl Default for Share {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(1.0_f64.to_bits())))
    }
}

impl Share {
    /// The part.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// From now on.
    pub fn set(&self, part: f64) {
        self.0
            .store(part.clamp(0.001, 1.0).to_bits(), Ordering::Relaxed);
    }
}

impl Network {
    pub(super) fn new(
        flags: &Flags,
        environment: &Environment,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let parameters = &environment.parameters;
        let mut reader = Reader {
            parameters,
            problems,
        };
        let default = Self::default();
        let jobs = flags.jobs.map(|jobs| jobs.to_string());
        let tries = flags.tries.map(|tries| tries.to_string());
        let jobs = reader.read("--jobs", jobs.as_deref(), "jobs", default.jobs, |text| {
            whole_number(text, 1, 256)
        });
        let tries = reader.read("--tries", tries.as_deref(), "tries", 4, |text| {
            whole_number(text, 1, 100)
        });
        let mut wait =
            |flag: &'static str, given: &Option<String>, parameter, default: Duration| {
                reader.read(flag, given.as_deref(), parameter, default, seconds)
            };
        let patience = wait("--patience", &flags.patience, "patience", default.patience);
        let connect = wait(
            "--connect-timeout",
            &flags.connect_timeout,
            "connect_timeout",
            default.connect,
        );
        let answer = wait(
            "--answer-timeout",
            &flags.answer_timeout,
            "answer_timeout",
            default.answer,
        );
        let slowest = reader.read(
            "--slowest-transfer",
            flags.slowest_transfer.as_deref(),
            "slowest_transfer",
            1024,
            |text| whole_number(text, 0, 1 << 30),
        );
        let quotas = reader.read(
            "--quotas",
            flags.quotas.as_deref(),
            "quotas",
            default.quotas,
            Quotas::parse,
        );
        let hash = reader.read(
            "--hash",
            flags.hash.as_deref(),
            "hash",
            default.hash,
            Hash::parse,
        );
        let hosts = Hosts::new(flags, parameters, problems);
        let proxies = Proxies::new(
            environment.http_proxy.as_deref(),
            environment.https_proxy.as_deref(),
            environment.no_proxy.as_deref(),
        );
        let proxies = proxies
            .map_err(|why| problems.push(Problem::input("HTTP_PROXY or HTTPS_PROXY", why)))
            .ok();
        Some(Self {
            jobs: jobs?,
            tries: u32::try_from(tries?).unwrap_or(u32::MAX),
            patience: patience?,
            connect: connect?,
            answer: answer?,
            slowest: slowest? as u64,
            quotas: quotas?,
            share: default.share,
            hash: hash?,
            plain_http: hosts.plain_http,
            endpoints: hosts.endpoints,
            proxies: proxies?,
        })
    }
}

struct Reader<'a> {
    parameters: &'a Parameters,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    /// The flag, or else the parameter, or else the default.
    fn read<T>(
        &mut self,
        flag_name: &str,
        flag: Option<&str>,
        parameter: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let given: Option<Given<'_>> = self.parameters.pick(flag_name, flag, parameter);
        match given {
            None => Some(default),
            Some(given) => given.parse_with(self.problems, parse),
        }
    }
}

fn whole_number(text: &str, least: usize, most: usize) -> Result<usize, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("`{text}` is not a whole number from {least} to {most}"))
}

/// Seconds, with a fraction where that is wanted.
fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.trim().trim_end_matches('s').trim().parse::<f64>().ok();
    number
        .filter(|number| (0.01..=86_400.0).contains(number))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("`{text}` is not a number of seconds from 0.01 to 86400"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_those_of_ecr_unless_said_otherwise() {
        let quotas = Quotas::parse("putimage=50, InitiateLayerUpload = 200,").unwrap();
        assert!((quotas.get(Action::PutManifest) - 50.0).abs() < f64::EPSILON);
        assert!((quotas.get(Action::StartUpload) - 200.0).abs() < f64::EPSILON);
        assert!((quotas.get(Action::FinishUpload) - 100.0).abs() < f64::EPSILON);
        for wrong in ["PutImage", "PutImage=0", "PutImage=many", "PutImages=5"] {
            assert!(Quotas::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn waits_are_seconds() {
        assert_eq!(seconds("90").unwrap(), Duration::from_secs(90));
        assert_eq!(seconds(" 0.5s").unwrap(), Duration::from_millis(500));
        for wrong in ["", "0", "-1", "1m", "1e9", "NaN"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
