//! Patterns of sources: whom a rule is about.

use std::fmt;

use oci_copy::reference::{ImageName, hub_name, is_registry_host};

use crate::document::Kind;

use super::super::pattern::{complete, is_match, without_tag};

/// Sources: images by their references, charts by their repositories or by their references below these. `*` is
/// any number of any characters; in the host it is not `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePattern {
    text: String,
    /// `https`, `http` or `oci`: then only charts of such a repository match.
    scheme: Option<String>,
    /// As it is written.
    written: HostPattern,
    /// What else it means of images: short names are those of Docker Hub.
    of_hub: Option<HostPattern>,
}

/// A host and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HostPattern {
    /// Empty for a name without a host.
    host: String,
    /// Without it everything at the host is meant.
    path: Option<String>,
}

const SCHEMES: [&str; 3] = ["https", "http", "oci"];
const HUB: &str = "docker.io";
/// The tag that clients read where a reference has none.
const DEFAULT_TAG: &str = "latest";

impl HostPattern {
    fn new(host: &str, path: Option<&str>) -> Self {
        let host = host.to_lowercase();
        Self {
            host: hub_name(&host).to_owned(),
            path: path.map(str::to_owned),
        }
    }

    fn has(&self, text: &str) -> bool {
        let (host, path) = match text.split_once('/') {
            Some((host, path)) => (host, path),
            None if self.host.is_empty() => ("", text),
            None => (text, ""),
        };
        let host = host.to_lowercase();
        let is_here = is_match(&self.host, &host) || is_match(&self.host, hub_name(&host));
        is_here && self.path.as_deref().is_none_or(|of| is_match(of, path))
    }
}

impl SourcePattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || "*-_.:/@+~%".contains(c);
        if let Some(other) = text.chars().find(|c| !is_letter(*c)) {
            let (text, other) = (text.escape_debug(), other.escape_debug());
            return Err(format!(
                "`{text}` is not a pattern of sources: it has a `{other}`"
            ));
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if SCHEMES.contains(&scheme) => (Some(scheme.to_owned()), rest),
            Some(_) => {
                return Err(format!(
                    "`{text}` begins with none of https://, http:// and oci://"
                ));
            }
            None => (None, text),
        };
        let rest = rest.trim_end_matches('/');
        let written = match rest.split_once('/') {
            Some((host, path)) => HostPattern::new(host, Some(path)),
            None if scheme.is_some() || rest == "*" || is_registry_host(rest) => {
                HostPattern::new(rest, None)
            }
            // An image of Docker Hub, or a folder of charts.
            None => HostPattern::new("", Some(rest)),
        };
        if written.host.is_empty() && written.path.as_deref().is_none_or(str::is_empty) {
            return Err("the pattern is empty".to_owned());
        }
        Ok(Self {
            text: text.to_owned(),
            of_hub: of_hub(rest).filter(|_| scheme.is_none()),
            scheme,
            written,
        })
    }

    /// Whether a source is meant, as plans and reports name it.
    #[must_use]
    pub fn covers(&self, kind: Kind, source: &str) -> bool {
        match kind {
            Kind::Image => {
                let mut places = std::iter::once(&self.written).chain(&self.of_hub);
                let spellings = spellings(source);
                let covers = |place: &HostPattern| spellings.iter().any(|source| place.has(source));
                self.scheme.is_none() && places.any(covers)
            }
            Kind::Chart => {
                let (scheme, rest) = match source.split_once("://") {
                    Some((scheme, rest)) => (Some(scheme), rest),
                    None => (None, source),
                };
                if self.scheme.is_some() && self.scheme.as_deref() != scheme {
                    return false;
                }
                let repository = rest
                    .rsplit_once('/')
                    .map_or(rest, |(repository, _)| repository);
                let mut spellings = [rest, without_tag(rest), repository].into_iter();
                spellings.any(|source| self.written.has(source))
            }
        }
    }
}

/// The place at Docker Hub that a pattern without a scheme means, where it is written in short.
fn of_hub(rest: &str) -> Option<HostPattern> {
    let official = |name: &str| Some(HostPattern::new(HUB, Some(&format!("library/{name}"))));
    match rest.split_once('/') {
        Some((host, path)) if hub_name(&host.to_lowercase()) == HUB => {
            (!path.contains('/')).then(|| official(path))?
        }
        Some((host, _)) => (!is_registry_host(host)).then(|| HostPattern::new(HUB, Some(rest))),
        // `nginx:1` looks like a host with a port.
        None if !rest.contains(':') && is_registry_host(rest) => None,
        None => (rest != "*").then(|| official(rest))?,
    }
}

/// An image's reference as it is written and as clients complete it; each whole, without its digest and without its
/// tag, and with the tag that it has if it names none.
fn spellings(source: &str) -> Vec<String> {
    let completed = source.parse::<ImageName>().ok().map(complete);
    let each = std::iter::once(source.to_owned()).chain(completed);
    let all = each.flat_map(|whole| {
        let tagged = whole.split('@').next().unwrap_or_default().to_owned();
        let bare = without_tag(&whole).to_owned();
        let latest = (bare == whole).then(|| format!("{bare}:{DEFAULT_TAG}"));
        [Some(whole), Some(tagged), Some(bare), latest]
    });
    all.flatten().collect()
}

impl fmt::Display for SourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, kind: Kind, source: &str) -> bool {
        SourcePattern::parse(pattern).unwrap().covers(kind, source)
    }

    #[test]
    fn images_are_covered_in_every_spelling() {
        let image = |pattern, source| covers(pattern, Kind::Image, source);
        for source in ["nginx", "nginx:1", "docker.io/library/nginx:1"] {
            assert!(image("docker.io/library/nginx", source), "{source}");
            assert!(image("docker.io", source) && image("*", source) && image("*/*", source));
            assert!(!image("quay.io/*", source));
        }
        assert!(image("nginx", "nginx:1") && image("nginx:1", "nginx:1"));
        assert!(!image("nginx:2", "nginx:1") && !image("ngin", "nginx:1"));
        assert!(image("quay.io", "quay.io/a/b:1") && image("quay.io/a/*", "quay.io/a/b@sha256:00"));
        assert!(!image("quay.io/a", "quay.io/a/b:1") && !image("quay.io/a/*", "quay.io/ab/c:1"));
        assert!(
            image("quay.io/a/b:1.*", "quay.io/a/b:1.2")
                && !image("quay.io/a/b:1.*", "quay.io/a/b:2")
        );
        assert!(image("QUAY.io/a/*", "quay.io/a/b:1"));
        assert!(image("*.corp:5000/*", "r.corp:5000/a/b:1"));
        assert!(!image("*.corp/*", "evil.example/r.corp/a:1"));
        assert!(!image("https://quay.io", "quay.io/a/b:1"));
    }

    #[test]
    fn names_of_docker_hub_match_in_every_spelling_of_pattern_and_source() {
        let image = |pattern, source| covers(pattern, Kind::Image, source);
        let nginx = [
            "nginx:1.27",
            "library/nginx:1.27",
            "docker.io/nginx:1.27",
            "docker.io/library/nginx:1.27",
            "index.docker.io/library/nginx:1.27",
            "registry-1.docker.io/library/nginx:1.27",
            "Docker.io/nginx:1.27",
        ];
        for source in nginx {
            for pattern in [
                "nginx",
                "nginx:1.27",
                "ngin*:1.*",
                "library/nginx",
                "docker.io/nginx",
                "docker.io/library/*",
                "index.docker.io/library/nginx",
                "INDEX.docker.io",
                "docker.io",
            ] {
                assert!(image(pattern, source), "{pattern} {source}");
            }
            assert!(!image("nginx:1.2", source) && !image("team/nginx", source));
        }
        for source in ["grafana/grafana:1", "docker.io/grafana/grafana:1"] {
            for pattern in [
                "grafana/*",
                "grafana/grafana",
                "docker.io/grafana/*",
                "*/grafana",
            ] {
                assert!(image(pattern, source), "{pattern} {source}");
            }
            assert!(!image("quay.io/grafana/*", source));
        }
        assert!(!image("grafana/*", "quay.io/grafana/grafana:1"));
        assert!(!image("nginx", "quay.io/nginx:1"));
        let hub = "oci://registry-1.docker.io/bitnamicharts/app:1.0.0";
        assert!(covers("oci://docker.io/bitnamicharts", Kind::Chart, hub));
        assert!(covers("docker.io/bitnamicharts/app", Kind::Chart, hub));
    }

    #[test]
    fn a_tag_in_a_pattern_is_the_tag_whatever_digest_is_pinned() {
        let image = |pattern, source: &str| covers(pattern, Kind::Image, source);
        let digest = "ab".repeat(32);
        let both = format!("quay.io/a/b:1@sha256:{digest}");
        let pinned = format!("quay.io/a/b@sha256:{digest}");
        assert!(image("quay.io/a/b:1", &both) && image("quay.io/a/b", &both));
        assert!(image(&both, &both) && image(&pinned, &pinned));
        assert!(image("quay.io/a/b@sha256:*", &pinned) && !image("quay.io/a/b:1", &pinned));
        assert!(!image("quay.io/a/b:latest", &pinned));
        assert!(image("quay.io/a/b:latest", "quay.io/a/b") && image("b:latest", "b"));
        assert!(!image("quay.io/a/b:2", "quay.io/a/b"));
    }

    #[test]
    fn charts_are_covered_by_their_repository_and_by_their_reference() {
        let chart = |pattern, source| covers(pattern, Kind::Chart, source);
        let (classic, oci) = (
            "https://charts.corp/stable/app:1.0.0",
            "oci://quay.io/charts/app:1.0.0",
        );
        for pattern in [
            "https://charts.corp/stable",
            "https://charts.corp/stable/",
            "https://charts.corp",
            "charts.corp/stable/app",
        ] {
            assert!(chart(pattern, classic), "{pattern}");
        }
        assert!(chart("https://charts.corp/stable/app:1.0.0", classic));
        assert!(
            !chart("http://charts.corp", classic) && !chart("https://charts.corp/other", classic)
        );
        assert!(!chart("https://charts.corp/sta", classic));
        for pattern in [
            "oci://quay.io/charts",
            "quay.io/charts/app",
            "quay.io",
            "oci://quay.io/charts/*",
            "*",
        ] {
            assert!(chart(pattern, oci), "{pattern}");
        }
        assert!(!chart("https://quay.io", oci));
    }

    #[test]
    fn what_is_not_a_pattern_is_refused() {
        for text in ["", "/", "ftp://a.corp", "a b", "a$(id)", "https://", "é"] {
            assert!(SourcePattern::parse(text).is_err(), "{text}");
        }
    }
}
