//! Patterns of image references: which images may stay where they are.

use std::fmt;
use std::str::FromStr;

use oci_copy::reference::{ImageName, hub_name};

/// A reference in which `*` matches any characters; before the first `/`, where the host is, for any
/// but `/`. Without a tag it covers every tag and digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

/// The longest pattern: no reference is longer.
const LONGEST: usize = 512;

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || "*-_.:/@+".contains(c);
        if let Some(other) = text.chars().find(|c| !is_letter(*c)) {
            return Err(format!(
                "`{}` is not a pattern of references: it has a `{}`",
                text.escape_debug(),
                other.escape_debug()
            ));
        }
        if text.len() > LONGEST {
            return Err(format!("a pattern has at most {LONGEST} characters"));
        }
        if !text.contains(|c: char| c.is_ascii_alphanumeric()) {
            return Err(format!("the pattern `{text}` would allow every image"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    /// Whether it covers a reference, as it is written or as clients complete it: `nginx:1` is
    /// `docker.io/library/nginx:1` too.
    #[must_use]
    pub fn covers(&self, reference: &str) -> bool {
        let complete = reference.parse::<ImageName>().ok().map(complete);
        let mut spellings = std::iter::once(reference).chain(complete.as_deref());
        spellings
            .any(|reference| self.is_all_of(reference) || self.is_all_of(without_tag(reference)))
    }
}

impl Pattern {
    fn is_all_of(&self, reference: &str) -> bool {
        match (self.0.split_once('/'), reference.split_once('/')) {
            (Some((host, path)), Some((of_host, of_path))) => {
                is_match(host, of_host) && is_match(path, of_path)
            }
            (None, None) => is_match(&self.0, reference),
            _ => false,
        }
    }
}

/// A reference with its registry's host, and with `library/` where Docker Hub has it.
pub(super) fn complete(name: ImageName) -> String {
    let host = name.registry.as_deref().unwrap_or("docker.io");
    let host = host.to_lowercase();
    let host = hub_name(&host);
    let is_official = host == "docker.io" && !name.repository.contains('/');
    let repository = if is_official {
        format!("library/{}", name.repository)
    } else {
        name.repository.clone()
    };
    let registry = Some(host.to_owned());
    ImageName {
        registry,
        repository,
        ..name
    }
    .to_string()
}

pub(super) fn without_tag(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let colon = name[last..].find(':').map(|colon| last + colon);
    &name[..colon.unwrap_or(name.len())]
}

/// Whether a pattern with `*` is all of a text: greedy with one step back, so quadratic at worst.
pub(super) fn is_match(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            p = star + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, reference: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().covers(reference)
    }

    #[test]
    fn a_pattern_covers_references_with_any_tag_unless_it_names_one() {
        let cni = "602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni";
        let tagged = format!("{cni}:v1.20.0");
        let pinned = format!("{cni}@sha256:{}", "ab".repeat(32));
        for reference in [cni, &tagged, &pinned] {
            assert!(covers(
                "*.dkr.ecr.*.amazonaws.com/amazon-k8s-cni",
                reference
            ));
            assert!(covers("602401143452.dkr.ecr.*/*", reference));
        }
        assert!(covers("*/amazon-k8s-cni:v1.20.0", &tagged));
        assert!(!covers("*/amazon-k8s-cni:v1.20.1", &tagged));
        assert!(!covers("*.dkr.ecr.*.amazonaws.com/amazon", &tagged));
        assert!(!covers("quay.io/*", &tagged));
        let fake = format!("evil.corp/{tagged}");
        assert!(!covers("*.dkr.ecr.*.amazonaws.com/amazon-k8s-cni", &fake));
        assert!(covers("quay.io/*", "quay.io/a/b/c:1"));
        assert!(covers("localhost:5000/app", "localhost:5000/app:1"));
    }

    #[test]
    fn docker_hub_has_several_spellings() {
        assert!(covers("docker.io/library/nginx", "nginx:1"));
        assert!(covers("docker.io/grafana/*", "grafana/grafana:1"));
        assert!(covers(
            "docker.io/grafana/*",
            "index.docker.io/grafana/grafana:1"
        ));
        assert!(covers("nginx", "nginx:1"));
        assert!(!covers("docker.io/*", "quay.io/a/b:1"));
    }

    #[test]
    fn a_pattern_that_allows_everything_or_is_no_reference_is_refused() {
        for text in ["", "*", "*/*", "*:*", "a b", "a$(id)", "a\nb", "é*"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
        assert!("a".repeat(LONGEST + 1).parse::<Pattern>().is_err());
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_exponential_time() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!covers(&pattern, &"a".repeat(4_000)));
    }
}
