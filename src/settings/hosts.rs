//! Settings for hosts: mirrors, and plain HTTP.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use crate::problem::{Problem, nearest, slip};
use oci_copy::reference::{DOCKER_HUB, DOCKER_HUB_NAMES, HostKey, hub_name, without_secrets};

use oci_copy::http::Network;

use super::{Flags, Parameters, list};

/// The hosts that settings name.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    pub(super) endpoints: BTreeMap<String, Url>,
    pub(super) plain_http: BTreeSet<String>,
    /// Those that no flag names, but a variable that many runs share.
    pub(super) shared: BTreeSet<String>,
}

impl Hosts {
    /// A flag for the same host wins over the parameter.
    pub(super) fn new(flags: &Flags, parameters: &Parameters, problems: &mut Vec<Problem>) -> Self {
        let place = parameters.place("endpoints");
        let given = parameter(parameters, ("endpoints", &place), problems);
        let mut endpoints = read_endpoints(&place, &given, problems);
        let mut shared = BTreeSet::new();
        if parameters.is_shared("endpoints") {
            shared.extend(endpoints.keys().cloned());
        }
        let of_flags = read_endpoints("--endpoint", flags.all("endpoints"), problems);
        let place = parameters.place("plain_http");
        let given = parameter(parameters, ("plain_http", &place), problems);
        let mut plain_http = read_hosts(&place, &given, problems);
        if parameters.is_shared("plain_http") {
            shared.extend(plain_http.iter().cloned());
        }
        let plain_of_flags = read_hosts("--plain-http", flags.all("plain_http"), problems);
        shared.retain(|host| !of_flags.contains_key(host) && !plain_of_flags.contains(host));
        endpoints.extend(of_flags);
        plain_http.extend(plain_of_flags);
        Self {
            endpoints,
            plain_http,
            shared,
        }
    }
}

/// The entries of a parameter that is a list.
fn parameter(
    parameters: &Parameters,
    (name, place): (&str, &str),
    problems: &mut Vec<Problem>,
) -> Vec<String> {
    let given = parameters.get(name).map_or(Ok(Vec::new()), list::entries);
    given.unwrap_or_else(|why| {
        problems.push(Problem::input(place, why));
        Vec::new()
    })
}

/// The endpoints of one setting; two for the same host are a contradiction.
fn read_endpoints(
    place: &str,
    given: &[String],
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Url> {
    let mut endpoints: BTreeMap<String, Url> = BTreeMap::new();
    for text in given {
        match endpoint(text) {
            Ok((host, url)) if endpoints.get(&host).is_some_and(|other| *other != url) => {
                let what = format!("`{host}` stands there twice with different URLs");
                problems.push(Problem::input(place, what).remedy("remove one of the two"));
            }
            Ok((host, url)) => {
                endpoints.extend(all_names(host).into_iter().map(|name| (name, url.clone())));
            }
            Err(why) => problems.push(Problem::input(place, why)),
        }
    }
    endpoints
}

/// The hosts of one setting, with all their names.
fn read_hosts(place: &str, given: &[String], problems: &mut Vec<Problem>) -> BTreeSet<String> {
    let mut hosts = BTreeSet::new();
    for text in given {
        match whole_host(text) {
            Ok(host) => hosts.extend(all_names(host)),
            Err(why) => problems.push(Problem::input(place, why)),
        }
    }
    hosts
}

/// `HOST=URL`
fn endpoint(text: &str) -> Result<(String, Url), String> {
    let (host, url) = text.split_once('=').ok_or_else(|| {
        format!("`{text}` is not HOST=URL, such as quay.io=http://127.0.0.1:5000")
    })?;
    let host = whole_host(host)?;
    let shown = url.trim();
    let url = Url::parse(shown)
        .map_err(|error| format!("`{}` is not a URL: {error}", without_secrets(shown)))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "the URL for {host} holds credentials: remove them, and log in with ~/.docker/config.json or a secret"
        ));
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("`{url}` is not http:// or https:// with a host"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "the URL for {host} must end with its path, without `?` or `#`"
        ));
    }
    Ok((host, url))
}

fn whole_host(text: &str) -> Result<String, String> {
    let HostKey { host, path } = text.parse()?;
    if path.is_empty() {
        return Ok(host);
    }
    Err(format!(
        "`{}` has a path, but this is for a whole host: write `{host}`, or map the path with docker_mappings in the \
         data files",
        text.trim()
    ))
}

/// Docker Hub has several names, and any of them can be used.
fn all_names(host: String) -> Vec<String> {
    if host == DOCKER_HUB {
        DOCKER_HUB_NAMES.map(str::to_owned).to_vec()
    } else {
        vec![host]
    }
}

/// A warning for each endpoint and each `--plain-http` whose host the run does not use. A `shared` one is from a
/// variable that many runs have: it is a warning only where it looks misspelt.
#[must_use]
pub fn unused_hosts(
    network: &Network,
    shared: &BTreeSet<String>,
    used: &BTreeSet<String>,
) -> Vec<String> {
    let used: BTreeSet<&str> = used.iter().map(|host| hub_name(host)).collect();
    let known: Vec<&str> = used.iter().copied().collect();
    let strays = |what: &'static str, named: Vec<&str>| -> Vec<String> {
        let named: BTreeSet<&str> = named.into_iter().map(hub_name).collect();
        let named = named.into_iter();
        let is_used = |host: &str| {
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
            used.contains(host)
                || used.contains(name)
                || used.iter().any(|other| {
                    other
                        .rsplit_once(':')
                        .is_some_and(|(other, _)| other == host)
                })
        };
        named
            .filter(|host| !is_used(host))
            .filter(|host| !shared.contains(*host) || slip(host, known.iter().copied()).is_some())
            .map(|host| {
                let near = nearest(host, known.iter().copied(), 1);
                let near = near.first().map(|near| format!(" (nearest: {near})"));
                let hosts = if known.is_empty() {
                    "this run uses no host".to_owned()
                } else {
                    format!("the hosts are {}", known.join(", "))
                };
                format!(
                    "{what} {host}: nothing is read from or written to this host{}; {hosts}",
                    near.unwrap_or_default()
                )
            })
            .collect()
    };
    let endpoints = network.endpoints.keys().map(String::as_str).collect();
    let plain = network.plain_http.iter().map(String::as_str).collect();
    let mut warnings = strays("endpoint for", endpoints);
    warnings.extend(strays("--plain-http", plain));
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(endpoints: &[&str]) -> (Hosts, Vec<Problem>) {
        let with = |flags: Flags, text: &&str| flags.with("endpoints", *text);
        let flags = endpoints.iter().fold(Flags::default(), with);
        let mut problems = Vec::new();
        let hosts = Hosts::new(&flags, &Parameters::default(), &mut problems);
        (hosts, problems)
    }

    #[test]
    fn an_endpoint_counts_however_its_host_is_spelled() {
        for text in [
            "quay.io=http://m:1/x",
            " Quay.IO = http://m:1/x ",
            "https://quay.io/=http://m:1/x",
        ] {
            let (hosts, problems) = read(&[text]);
            assert_eq!(problems, [], "{text}");
            assert_eq!(hosts.endpoints["quay.io"].as_str(), "http://m:1/x");
        }
        let (hosts, _) = read(&["index.docker.io=http://m:1"]);
        assert_eq!(hosts.endpoints.len(), DOCKER_HUB_NAMES.len());
    }

    #[test]
    fn an_endpoint_that_could_have_no_effect_is_refused() {
        for text in [
            "quay.io",
            "quay.io=",
            "=http://m",
            "quay.io/team=http://m",
            "quay.io=m",
            "quay.io=ftp://m",
            "quay.io=http://me:secret@m",
            "quay.io=http://m?x",
            "quay io=http://m",
        ] {
            assert_eq!(read(&[text]).1.len(), 1, "{text}");
        }
        assert_eq!(read(&["a.io=http://m", "A.io=http://n"]).1.len(), 1);
        assert_eq!(read(&["a.io=http://m", "A.io=http://m/"]).1, []);
    }

    #[test]
    fn a_host_that_is_not_used_is_a_warning_that_names_those_that_are() {
        let network = Network {
            endpoints: read(&["qay.io=http://m", "docker.io=http://m", "a.io=http://m"])
                .0
                .endpoints,
            plain_http: BTreeSet::from(["reg.corp".to_owned()]),
            ..Network::default()
        };
        let used = ["quay.io", "index.docker.io", "a.io", "reg.corp:5000"];
        let warnings = unused_hosts(&network, &BTreeSet::new(), &used.map(str::to_owned).into());
        let [warning] = warnings.as_slice() else {
            panic!("{warnings:?}")
        };
        assert!(
            warning.contains("qay.io") && warning.contains("(nearest: quay.io)"),
            "{warning}"
        );
        assert!(
            warning.contains("a.io, docker.io, quay.io, reg.corp:5000"),
            "{warning}"
        );
    }
}
