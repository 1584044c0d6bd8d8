//! Concurrency, timeouts and attempts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::time::Duration;

use crate::problem::{Problem, slip};
use oci_copy::copy::HashPolicy;
use oci_copy::http::{Certificates, Network, Proxies};
use oci_copy::store::Action;

use super::hosts::Hosts;
use super::{Environment, Flags, list};

/// The action of ECR's API whose quota it uses, and the default of that quota per account and
/// region, in requests a second
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html>).
#[must_use]
pub fn quota(action: Action) -> (&'static str, f64) {
    match action {
        Action::GetManifest => ("BatchGetImage", 2000.0),
        Action::CheckBlob => ("BatchCheckLayerAvailability", 1000.0),
        Action::GetBlob => ("GetDownloadUrlForLayer", 3000.0),
        Action::StartUpload => ("InitiateLayerUpload", 100.0),
        Action::FinishUpload => ("CompleteLayerUpload", 100.0),
        Action::PutManifest => ("PutImage", 10.0),
    }
}

/// ECR's quotas in requests per second, if they differ from the defaults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quotas(BTreeMap<Action, f64>);

impl Quotas {
    /// A quota, in requests per second.
    #[must_use]
    pub fn get(&self, action: Action) -> f64 {
        self.0.get(&action).copied().unwrap_or(quota(action).1)
    }

    /// `PutImage=50,InitiateLayerUpload=200`
    fn parse(text: &str) -> Result<Self, String> {
        let mut quotas = BTreeMap::new();
        for entry in list::entries(text)? {
            let (name, rate) = entry
                .split_once('=')
                .ok_or_else(|| format!("`{entry}` is not ACTION=RATE, such as PutImage=50"))?;
            let name = name.trim();
            let is_named = |action: &&Action| quota(**action).0.eq_ignore_ascii_case(name);
            let action = Action::ALL.iter().find(is_named).ok_or_else(|| {
                let names = Action::ALL.map(|action| quota(action).0);
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
                return Err(format!("`{name}` has two different rates"));
            }
        }
        Ok(Self(quotas))
    }
}

/// The settings of the network, of ECR's quotas, and of digest checks.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) network: Network,
    /// The hosts that only a variable names, which many runs share.
    pub(super) shared_hosts: BTreeSet<String>,
    pub(super) quotas: Quotas,
    pub(super) hash: HashPolicy,
}

impl Given {
    pub(super) fn new(
        flags: &Flags,
        environment: &Environment,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let parameters = &environment.parameters;
        let default = Network::default();
        let mut number = |name: &str, default: usize, least: usize, most: usize| {
            let parse = |text: &str| whole_number(text, least, most);
            parameters.read(flags, name, default, problems, parse)
        };
        let jobs = number("jobs", default.jobs, 1, 256);
        let tries = number("tries", default.tries as usize, 1, 100);
        let min_throughput = number("slowest_transfer", 1024, 0, 1 << 30);
        let mut wait =
            |name: &str, default| parameters.read(flags, name, default, problems, seconds);
        let patience = wait("patience", default.patience);
        let connect = wait("connect_timeout", default.connect);
        let answer = wait("answer_timeout", default.read_timeout);
        let quotas = parameters.read(flags, "quotas", Quotas::default(), problems, Quotas::parse);
        let hash = parameters.read(flags, "hash", HashPolicy::default(), problems, hash_policy);
        let hosts = Hosts::new(flags, parameters, problems);
        let proxies = Proxies::new(
            environment.http_proxy.as_deref(),
            environment.https_proxy.as_deref(),
            environment.no_proxy.as_deref(),
        );
        let proxies = proxies
            .map_err(|why| problems.push(Problem::input("HTTP_PROXY or HTTPS_PROXY", why)))
            .ok();
        let none = Certificates::default();
        let certificates = parameters.read(flags, "ca_file", none, problems, certificates);
        let network = Network {
            jobs: jobs?,
            tries: u32::try_from(tries?).unwrap_or(u32::MAX),
            patience: patience?,
            connect: connect?,
            read_timeout: answer?,
            min_throughput: min_throughput? as u64,
            plain_http: hosts.plain_http,
            endpoints: hosts.endpoints,
            user_agent: concat!("replicator/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxies: proxies?,
            certificates: certificates?,
        };
        Some(Self {
            network,
            shared_hosts: hosts.shared,
            quotas: quotas?,
            hash: hash?,
        })
    }
}

/// The certificates of a file.
fn certificates(path: &str) -> Result<Certificates, String> {
    /// The largest file, in bytes. A machine's whole list has about 250 kB.
    const LARGEST: u64 = 16 << 20;
    let read = || {
        let mut text = Vec::new();
        File::open(path)?.take(LARGEST).read_to_end(&mut text)?;
        std::io::Result::Ok(text)
    };
    let text = read().map_err(|error| format!("{path} cannot be read: {error}"))?;
    Certificates::from_pem(&text).map_err(|why| format!("{path}: {why}"))
}

fn hash_policy(text: &str) -> Result<HashPolicy, String> {
    match text.trim().to_lowercase().as_str() {
        "auto" => Ok(HashPolicy::Auto),
        "always" => Ok(HashPolicy::Always),
        "target" => Ok(HashPolicy::Target),
        _ => Err(format!("`{text}` is none of auto, always, target")),
    }
}

fn whole_number(text: &str, least: usize, most: usize) -> Result<usize, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("`{text}` is not a whole number from {least} to {most}"))
}

/// Seconds, optionally with a fraction.
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
