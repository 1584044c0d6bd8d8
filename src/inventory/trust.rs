//! `trust`: what the sources have to prove before anything is copied from them.

use std::fmt;
use std::path::PathBuf;

use helm_chart::yaml::{Kind, Scalar};
use oci_copy::reference::{ImageName, is_registry_host};

use crate::document::Kind as ArtifactKind;
use crate::problem::Problem;

use super::file::{DataReader, Entry};
use super::keys;
use super::merge::Stack;
use super::pattern::{complete, is_match, without_tag};

/// The longest text of a rule: no key, identity or reference is longer.
const MAX_TEXT: usize = 16 * 1024;

/// What some sources have to prove. Of several rules that match, the first applies.
#[derive(Debug, Clone)]
pub struct TrustRule {
    /// The sources.
    pub sources: SourcePattern,
    /// What is asked of them.
    pub requirement: Requirement,
    /// File, line and key, for messages.
    pub place: String,
}

/// What is asked of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// A signature by a key, made with cosign.
    Cosign {
        /// The public key.
        key: KeyReference,
    },
    /// A signature by a certificate that an identity got, made with cosign.
    Keyless {
        /// Who vouches for the identity: the URL of an OIDC issuer.
        issuer: String,
        /// The identity.
        identity: Identity,
        /// The authorities and logs to rely on; without it, Sigstore's public ones.
        trust_root: Option<PathBuf>,
    },
    /// A provenance file beside the chart, signed by a key of a keyring.
    Provenance {
        /// The keyring.
        keyring: PathBuf,
    },
    /// A reference that pins a digest.
    Digest,
    /// Nothing.
    Nothing {
        /// Why.
        reason: String,
    },
}

/// Where a public key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyReference {
    /// Here.
    Pem(String),
    /// In a file.
    File(PathBuf),
    /// In KMS: the ARN of the key or of an alias.
    Kms(String),
}

/// The identity in a certificate: an address of mail or a URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// This one.
    Exact(String),
    /// One that matches a text in which `*` is any number of any characters.
    Pattern(String),
}

impl Identity {
    /// Whether a certificate's identity is meant.
    #[must_use]
    pub fn matches(&self, identity: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == identity,
            Self::Pattern(pattern) => is_match(pattern, identity),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) | Self::Pattern(text) => f.write_str(text),
        }
    }
}

/// Sources: images by their references, charts by their repositories or by their references below these. `*` is
/// any number of any characters; in the host it is not `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePattern {
    text: String,
    /// `https`, `http` or `oci`: then only charts of such a repository match.
    scheme: Option<String>,
    host: String,
    /// Without it everything at the host is meant.
    path: Option<String>,
}

const SCHEMES: [&str; 3] = ["https", "http", "oci"];

impl SourcePattern {
    fn parse(text: &str) -> Result<Self, String> {
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
        let (host, path) = match rest.split_once('/') {
            Some((host, path)) => (host, Some(path)),
            None if scheme.is_some() || rest == "*" || is_registry_host(rest) => (rest, None),
            // An image of Docker Hub.
            None => ("", Some(rest)),
        };
        if host.is_empty() && path.is_none_or(str::is_empty) {
            return Err("the pattern is empty".to_owned());
        }
        Ok(Self {
            text: text.to_owned(),
            scheme,
            host: host.to_lowercase(),
            path: path.map(str::to_owned),
        })
    }

    /// Whether a source is meant, as plans and reports name it.
    #[must_use]
    pub fn covers(&self, kind: ArtifactKind, source: &str) -> bool {
        match kind {
            ArtifactKind::Image => {
                let completed = source.parse::<ImageName>().ok().map(complete);
                let mut spellings = std::iter::once(source).chain(completed.as_deref());
                self.scheme.is_none() && spellings.any(|source| self.is_one_of(source))
            }
            ArtifactKind::Chart => {
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
                self.is_one_of(rest) || self.matches(repository)
            }
        }
    }

    fn is_one_of(&self, reference: &str) -> bool {
        self.matches(reference) || self.matches(without_tag(reference))
    }

    fn matches(&self, text: &str) -> bool {
        let (host, path) = match text.split_once('/') {
            Some((host, path)) => (host, path),
            None if self.host.is_empty() => ("", text),
            None => (text, ""),
        };
        is_match(&self.host, &host.to_lowercase())
            && self.path.as_deref().is_none_or(|of| is_match(of, path))
    }
}

impl fmt::Display for SourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a rule can ask for, as data files write it.
const REQUIREMENTS: [&str; 5] = ["cosign", "keyless", "provenance", "digest", "none"];

const EXAMPLE: &str = "\
write one of these beside `match`:
  cosign: {key: cosign.pub}
  keyless: {issuer: https://token.actions.githubusercontent.com, identityPattern: \"https://github.com/team/*\"}
  provenance: {keyring: keyring.gpg}
  digest: true
  none: true, with `reason`";

impl DataReader {
    /// `trust`: the rules, in their order.
    pub(super) fn trust(&mut self, roots: &[Entry<'_>]) -> Vec<TrustRule> {
        let below = Stack(roots.to_vec()).below("trust");
        let Some(list) = below.last() else {
            return Vec::new();
        };
        let items = self.list(list, "a list of rules");
        let rules = items.iter().filter_map(|item| self.trust_rule(item));
        rules.collect()
    }

    fn trust_rule(&mut self, item: &Entry<'_>) -> Option<TrustRule> {
        if !matches!(item.node().kind, Kind::Mapping(_)) {
            self.wrong_kind(item, "a mapping");
            return None;
        }
        self.strict_keys(item, keys::TRUST_RULE);
        let sources = self.sources(item);
        let given = |key: &&&str| item.get(key).is_some_and(|entry| !entry.is_null());
        let given: Vec<&str> = REQUIREMENTS.iter().filter(given).copied().collect();
        let requirement = match given.as_slice() {
            [one] => {
                let entry = item.get(one)?;
                self.requirement(one, &entry, item)
            }
            [] => {
                self.refuse(item, "the rule asks for nothing", EXAMPLE);
                None
            }
            several => {
                let what = format!(
                    "the rule asks for {}; a rule has one requirement",
                    several.join(" and ")
                );
                self.refuse(
                    item,
                    what,
                    "write a rule for each; the first that matches applies",
                );
                None
            }
        };
        if let (Some(reason), false) = (item.get("reason"), given.contains(&"none")) {
            self.refuse(
                &reason,
                "`reason` belongs to `none: true` only",
                "remove it, or make it a comment",
            );
        }
        Some(TrustRule {
            sources: sources?,
            requirement: requirement?,
            place: item.place(),
        })
    }

    fn sources(&mut self, item: &Entry<'_>) -> Option<SourcePattern> {
        let remedy = "a pattern is a reference such as quay.io/team/*, a chart repository such as https://charts.example.com,\n\
            or \"*\" for every source";
        let Some(entry) = item.get("match") else {
            self.refuse(item, "the rule has no `match`", remedy);
            return None;
        };
        let text = self.required_text(&entry)?;
        match SourcePattern::parse(&text) {
            Ok(sources) => Some(sources),
            Err(what) => {
                self.refuse(&entry, what, remedy);
                None
            }
        }
    }

    fn requirement(
        &mut self,
        name: &str,
        entry: &Entry<'_>,
        item: &Entry<'_>,
    ) -> Option<Requirement> {
        match name {
            "cosign" => {
                let section = self.section(entry, keys::TRUST_COSIGN)?;
                let key = self.field(&section, "key")?;
                let key = self.key_reference(&key)?;
                Some(Requirement::Cosign { key })
            }
            "keyless" => self.keyless(entry),
            "provenance" => {
                let section = self.section(entry, keys::TRUST_PROVENANCE)?;
                let (keyring, text) = self.field(&section, "keyring")?;
                let keyring = keyring.folder().join(text);
                Some(Requirement::Provenance { keyring })
            }
            "digest" => self.only_true(entry).then_some(Requirement::Digest),
            _ => {
                let is_true = self.only_true(entry);
                let (_, reason) = self.field(item, "reason")?;
                is_true.then_some(Requirement::Nothing { reason })
            }
        }
    }

    fn keyless(&mut self, entry: &Entry<'_>) -> Option<Requirement> {
        let section = self.section(entry, keys::TRUST_KEYLESS)?;
        let issuer = self.field(&section, "issuer");
        if let Some((entry, issuer)) = &issuer
            && !issuer.starts_with("https://")
            && !issuer.starts_with("http://")
        {
            let what = format!("`{}` is not the URL of an issuer", issuer.escape_debug());
            self.refuse(entry, what, "such as https://token.actions.githubusercontent.com or https://accounts.google.com");
            return None;
        }
        let given = |key: &str| section.get(key).filter(|entry| !entry.is_null());
        let identity = match (given("identity"), given("identityPattern")) {
            (Some(entry), None) => Identity::Exact(self.required_text(&entry)?),
            (None, Some(entry)) => {
                let text = self.required_text(&entry)?;
                if !text.contains(|c: char| c.is_alphanumeric()) {
                    let what = format!(
                        "the pattern `{}` would allow every identity",
                        text.escape_debug()
                    );
                    self.refuse(
                        &entry,
                        what,
                        "name at least an organization: https://github.com/team/*",
                    );
                    return None;
                }
                Identity::Pattern(text)
            }
            (Some(_), Some(entry)) => {
                self.refuse(
                    &entry,
                    "`identity` and `identityPattern` are both given",
                    "remove one of the two",
                );
                return None;
            }
            (None, None) => {
                let remedy = "write `identity: mail@example.com`, or `identityPattern` with `*` for any characters";
                self.refuse(&section, "there is no `identity`", remedy);
                return None;
            }
        };
        let trust_root = match given("trustRoot") {
            Some(entry) => Some(entry.folder().join(self.required_text(&entry)?)),
            None => None,
        };
        Some(Requirement::Keyless {
            issuer: issuer?.1,
            identity,
            trust_root,
        })
    }

    fn key_reference(&mut self, (entry, text): &(Entry<'_>, String)) -> Option<KeyReference> {
        if text.contains("-----BEGIN") {
            return Some(KeyReference::Pem(text.clone()));
        }
        if let Some(key) = text.strip_prefix("awskms://") {
            return match key.strip_prefix('/') {
                Some(key) if key.starts_with("arn:") && key.split(':').count() == 6 => {
                    Some(KeyReference::Kms(key.to_owned()))
                }
                _ => {
                    let what = format!("`{}` does not name a key of KMS", text.escape_debug());
                    let remedy = "write awskms:///ARN, with three slashes and the ARN of the key or of its alias";
                    self.refuse(entry, what, remedy);
                    None
                }
            };
        }
        if text.contains("://") {
            let what = format!(
                "`{}` is none of a PEM text, a file and awskms:///…",
                text.escape_debug()
            );
            self.refuse(
                entry,
                what,
                "save the public key as a file beside the data file, and name the file",
            );
            return None;
        }
        Some(KeyReference::File(entry.folder().join(text)))
    }

    /// A mapping with known keys only.
    fn section<'a>(&mut self, entry: &Entry<'a>, keys: keys::Keys) -> Option<Entry<'a>> {
        if !matches!(entry.node().kind, Kind::Mapping(_)) {
            self.wrong_kind(entry, "a mapping");
            return None;
        }
        self.strict_keys(entry, keys);
        Some(entry.clone())
    }

    /// A required text below a key.
    fn field<'a>(&mut self, section: &Entry<'a>, key: &str) -> Option<(Entry<'a>, String)> {
        let Some(entry) = section.get(key) else {
            self.refuse(
                section,
                format!("there is no `{key}`"),
                format!("write `{key}: …`"),
            );
            return None;
        };
        let text = self.required_text(&entry)?;
        Some((entry, text))
    }

    fn required_text(&mut self, entry: &Entry<'_>) -> Option<String> {
        if entry.is_null() {
            self.refuse(
                entry,
                "there is no value here",
                "write one, or remove the key",
            );
            return None;
        }
        let text = self.text_or_null(entry)?.trim().to_owned();
        if text.is_empty() || text.len() > MAX_TEXT || text.contains('\0') {
            let what = format!("a text of 1 to {MAX_TEXT} bytes is expected here");
            self.refuse(entry, what, "write one, or remove the key");
            return None;
        }
        Some(text)
    }

    /// Only `true` makes sense: `false` would leave open what is asked instead.
    fn only_true(&mut self, entry: &Entry<'_>) -> bool {
        let flag = entry.node().as_scalar().and_then(Scalar::boolean);
        if flag != Some(true) {
            let what = format!("`{}` is `true` or is left out", entry.name());
            self.refuse(entry, what, EXAMPLE);
        }
        flag == Some(true)
    }

    fn refuse(&mut self, entry: &Entry<'_>, what: impl Into<String>, remedy: impl Into<String>) {
        let problem = Problem::input(entry.place(), what);
        self.problems.push(problem.remedy(remedy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, kind: ArtifactKind, source: &str) -> bool {
        SourcePattern::parse(pattern).unwrap().covers(kind, source)
    }

    #[test]
    fn images_are_covered_in_every_spelling() {
        let image = |pattern, source| covers(pattern, ArtifactKind::Image, source);
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
    fn charts_are_covered_by_their_repository_and_by_their_reference() {
        let chart = |pattern, source| covers(pattern, ArtifactKind::Chart, source);
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
