//! Names of artifacts: image names, digests, hosts and locations. Pure.

mod digest;
mod grammar;
mod host;
mod location;

use std::fmt;
use std::str::FromStr;

pub use digest::{Digest, Hasher, is_hashing_cheap};
pub use host::{DOCKER_HUB, DOCKER_HUB_NAMES, HostKey, hub_name, is_docker_hub, without_secrets};
pub use location::{Location, Reference, TagOrDigest};

/// The tag that is meant where a name gives neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: {why}")]
pub struct InvalidName {
    /// The text as it was given.
    pub text: String,
    /// What it should have been, with its article: "an image reference".
    pub what: &'static str,
    /// The rule that it breaks.
    pub why: String,
}

impl InvalidName {
    /// A text that is not a name. User names and passwords in it are left out.
    #[must_use]
    pub fn new(text: &str, what: &'static str, why: impl Into<String>) -> Self {
        Self {
            text: without_userinfo(text),
            what,
            why: why.into(),
        }
    }
}

/// A name as it may be shown: what stands before the `@` of a host, and is no name with a digest, can be a
/// user's password.
fn without_userinfo(text: &str) -> String {
    let start = text.find("://").map_or(0, |scheme| scheme + 3);
    let host = text[start..].split('/').next().unwrap_or_default();
    match host.rsplit_once('@') {
        Some((user, host))
            if !host.starts_with("sha256:")
                && !host.starts_with("sha512:")
                && (start > 0 || user.contains(':') || host.contains('.')) =>
        {
            format!("{}***{}", &text[..start], &text[start + user.len()..])
        }
        _ => text.to_owned(),
    }
}

/// An image's name as a chart or a data file writes it:
/// `[registry[:port]/]repository[:tag][@digest]`, nothing added and nothing normalised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName {
    /// The registry's host, with its port. `None` where the name starts with the repository, which
    /// clients read as Docker Hub.
    pub registry: Option<String>,
    /// The repository without its registry.
    pub repository: String,
    /// The tag after the last `:`.
    pub tag: Option<String>,
    /// The digest after `@`.
    pub digest: Option<Digest>,
}

impl FromStr for ImageName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = |why: String| InvalidName::new(text, "an image reference", why);
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (
                name,
                Some(
                    digest
                        .parse::<Digest>()
                        .map_err(|error| invalid(error.why))?,
                ),
            ),
            None => (text, None),
        };
        let (registry, rest) = match name.split_once('/') {
            Some((host, rest)) if is_registry_host(host) => (Some(host), rest),
            _ => (None, name),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if repository.is_empty() {
            return Err(invalid("it names no repository".to_owned()));
        }
        if let Some(tag) = tag {
            check_tag(tag).map_err(invalid)?;
        }
        let parsed = Self {
            registry: registry.map(str::to_owned),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        };
        // Upper case is looked at apart: a chart may write it, and the target gets it in lower case.
        grammar::check(registry, &repository.to_lowercase()).map_err(invalid)?;
        Ok(parsed)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl ImageName {
    /// The name below a target prefix: host and repository as a repository's path, tag and digest as
    /// they are. A port's `:` becomes `-` and upper case becomes lower case, because a repository's
    /// name can hold neither.
    #[must_use]
    pub fn target(&self) -> String {
        let name = Self {
            registry: self.registry.as_deref().map(host_path),
            repository: self.repository.to_lowercase(),
            ..self.clone()
        };
        name.to_string()
    }
}

/// Text as part of a repository's path: without the `:` of a port, and in lower case.
#[must_use]
pub fn repository_path(text: &str) -> String {
    text.replace(':', "-").to_lowercase()
}

/// A registry's host as part of a repository's path. An address of IP version 6 is written out, since a
/// path can hold neither its brackets nor a leading `-`.
fn host_path(host: &str) -> String {
    let written_out = |host: &str| {
        let (address, port) = host.strip_prefix('[')?.split_once(']')?;
        let address: std::net::Ipv6Addr = address.parse().ok()?;
        let parts = address.segments().map(|part| format!("{part:x}")).join("-");
        Some(format!("{parts}{port}"))
    };
    repository_path(&written_out(host).unwrap_or_else(|| host.to_owned()))
}

/// Whether the first component of a name is a host, by the rule that every container client
/// follows: it has a dot or a port, or is `localhost`.
#[must_use]
pub fn is_registry_host(component: &str) -> bool {
    component == "localhost" || component.contains(['.', ':'])
}

/// Checks a tag against the distribution specification: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
///
/// # Errors
/// The rule that it breaks.
pub fn check_tag(tag: &str) -> Result<(), String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if tag.is_empty() {
        return Err("the tag after `:` is empty".to_owned());
    }
    if tag.len() > 128 {
        return Err(format!(
            "its tag has {} characters, 128 is the most",
            tag.len()
        ));
    }
    if !tag.starts_with(word) || !tag.chars().all(|c| word(c) || c == '.' || c == '-') {
        return Err(format!(
            "`{tag}` is not a tag: only letters, digits, `_`, `.` and `-`, not starting with `.` or `-`"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ImageName {
        text.parse().expect("a valid name")
    }

    #[test]
    fn a_name_is_split_as_container_clients_split_it() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (text, registry, repository, tag) in [
            ("busybox", None, "busybox", None),
            (
                "bitnami/kubectl:latest",
                None,
                "bitnami/kubectl",
                Some("latest"),
            ),
            ("reg.io:5000/a/b:1", Some("reg.io:5000"), "a/b", Some("1")),
            ("localhost/a", Some("localhost"), "a", None),
            ("a/foo.bar:2", None, "a/foo.bar", Some("2")),
            (
                "docker.io/calico/ctl:v3",
                Some("docker.io"),
                "calico/ctl",
                Some("v3"),
            ),
        ] {
            let parsed = name(text);
            assert_eq!(parsed.registry.as_deref(), registry, "{text}");
            assert_eq!(parsed.repository, repository, "{text}");
            assert_eq!(parsed.tag.as_deref(), tag, "{text}");
            assert_eq!(parsed.to_string(), text);
        }
        let both = name(&format!("quay.io/x/y:1@{digest}"));
        assert_eq!(both.tag.as_deref(), Some("1"));
        assert_eq!(both.digest.map(|d| d.to_string()), Some(digest));
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_rule() {
        for text in [
            "",
            "a b",
            "a:",
            "a@sha256:12",
            "/a",
            "a//b",
            "a:b:c",
            "a:-x",
            "-a",
            "http://a/b",
            "a:1\n",
        ] {
            assert!(
                text.parse::<ImageName>().is_err(),
                "{text:?} was taken for a name"
            );
        }
    }

    #[test]
    fn a_target_has_no_port_colon_and_no_upper_case() {
        assert_eq!(
            name("Reg.io:5000/Team/App:V1").target(),
            "reg.io-5000/team/app:V1"
        );
        assert_eq!(name("[::1]:5000/a:1").target(), "0-0-0-0-0-0-0-1-5000/a:1");
        assert_eq!(
            name("[2001:DB8::1]/a:1").target(),
            "2001-db8-0-0-0-0-0-1/a:1"
        );
        assert_eq!(
            name("amazon/aws-efs-csi-driver:v1").target(),
            "amazon/aws-efs-csi-driver:v1"
        );
    }
}
