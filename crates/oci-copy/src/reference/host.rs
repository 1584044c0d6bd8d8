//! Hosts as users write them in settings and data files.

use std::str::FromStr;

use url::Url;

/// The host by which names mean Docker Hub.
pub const DOCKER_HUB: &str = "docker.io";

/// All names of Docker Hub.
pub const DOCKER_HUB_NAMES: [&str; 4] = [
    DOCKER_HUB,
    "index.docker.io",
    "registry-1.docker.io",
    "registry.hub.docker.com",
];

/// A host with the path below it: the key of a setting that is meant for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// In lower case, with the port that was written.
    pub host: String,
    /// What follows the host, without slashes around it; mostly empty.
    pub path: String,
}

/// One name for all names of Docker Hub; any other host as it is.
#[must_use]
pub fn hub_name(host: &str) -> &str {
    if DOCKER_HUB_NAMES.contains(&host) {
        DOCKER_HUB
    } else {
        host
    }
}

/// Whether a host is Docker Hub, by any of its names.
#[must_use]
pub fn is_docker_hub(host: &str) -> bool {
    let is = |name: &&str| name.eq_ignore_ascii_case(host);
    DOCKER_HUB_NAMES.iter().any(is)
}

/// A URL as a user wrote it, without what can be a secret: user name and password, and a token in the query.
#[must_use]
pub fn without_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        // A path, or a URL whose scheme was forgotten.
        let (first, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
        return match first.rsplit_once('@') {
            Some((_, host)) => format!("{host}{rest}"),
            None => text.to_owned(),
        };
    };
    let place = rest.split(['?', '#']).next().unwrap_or(rest);
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let host = host.rsplit('@').next().unwrap_or(host);
    format!("{scheme}://{host}{path}")
}

impl FromStr for HostKey {
    type Err = String;

    /// Reads `host[:port][/path]`, with blanks around it, a scheme in front, a slash at the end or capitals in
    /// the host.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bare = match text.split_once("://") {
            Some((scheme, rest)) => {
                let scheme = scheme.to_lowercase();
                if !matches!(scheme.as_str(), "http" | "https" | "oci" | "docker") {
                    return Err(format!(
                        "`{text}` is not a host: unknown scheme `{scheme}://`"
                    ));
                }
                let port = if scheme == "http" { ":80" } else { ":443" };
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                format!("{}/{path}", host.strip_suffix(port).unwrap_or(host))
            }
            None => text.to_owned(),
        };
        if bare.contains('@') {
            return Err("a host is written without credentials".to_owned());
        }
        let (host, path) = bare.split_once('/').unwrap_or((&bare, ""));
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
            _ => (host, None),
        };
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
        let is_name = |name: &str| {
            let is_letter = |c: char| c.is_alphanumeric() || "-._:[]".contains(c);
            !name.is_empty() && name.chars().all(is_letter)
        };
        if !is_name(name) || !port.is_none_or(is_port) {
            return Err(format!(
                "`{text}` is not a host such as quay.io or localhost:5000"
            ));
        }
        let url = Url::parse(&format!("https://{name}/"));
        let name = url.ok().and_then(|url| url.host_str().map(str::to_owned));
        let Some(name) = name else {
            return Err(format!(
                "`{text}` is not a host such as quay.io or localhost:5000"
            ));
        };
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self {
            host: hub_name(&format!("{name}{port}")).to_owned(),
            path: path.trim_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_however_it_is_spelled() {
        for (text, host, path) in [
            ("quay.io", "quay.io", ""),
            (" Quay.IO/ ", "quay.io", ""),
            ("https://quay.io", "quay.io", ""),
            ("HTTPS://quay.io:443/", "quay.io", ""),
            ("http://quay.io:80", "quay.io", ""),
            ("http://reg.corp:5000/", "reg.corp:5000", ""),
            ("oci://ghcr.io/team/", "ghcr.io", "team"),
            ("quay.io/team/x", "quay.io", "team/x"),
            ("LOCALHOST:5000", "localhost:5000", ""),
            ("[::1]:5000", "[::1]:5000", ""),
            ("index.docker.io", "docker.io", ""),
            ("https://registry-1.docker.io/", "docker.io", ""),
        ] {
            let read: HostKey = text.parse().unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(
                (read.host.as_str(), read.path.as_str()),
                (host, path),
                "{text}"
            );
        }
    }

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        for (text, wanted) in [
            ("https://h.io/charts", "https://h.io/charts"),
            ("https://h.io/charts/?token=x", "https://h.io/charts/"),
            ("https://h.io?token=x", "https://h.io"),
            ("https://h.io/c#x", "https://h.io/c"),
            ("https://me:p@ss@h.io:8443/c?t=x", "https://h.io:8443/c"),
            ("oci://me:pw@h.io/c", "oci://h.io/c"),
            ("https://h.io/@scope/c", "https://h.io/@scope/c"),
            ("./charts", "./charts"),
            ("./me@home/charts", "./me@home/charts"),
            ("me:pw@h.io/c", "h.io/c"),
        ] {
            assert_eq!(without_secrets(text), wanted);
        }
    }

    #[test]
    fn what_is_no_host_is_refused_and_credentials_are_not_repeated() {
        for text in [
            "", " ", "/", "https://", "*.corp", "quay io", "a:b", "a:0", "a:99999", "ftp://a",
            "a,b", ":5000",
        ] {
            assert!(
                text.parse::<HostKey>().is_err(),
                "{text:?} was taken for a host"
            );
        }
        let error = "https://me:s3cret@quay.io".parse::<HostKey>().unwrap_err();
        assert!(!error.contains("s3cret"), "{error}");
    }
}
