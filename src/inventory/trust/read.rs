//! Reads `trust` out of data files.

use helm_chart::yaml::{Kind, Scalar};

use crate::problem::Problem;

use super::super::file::{DataReader, Entry};
use super::super::keys;
use super::super::merge::Stack;
use super::{Identity, KeyReference, Requirement, SourcePattern, TrustRule};

/// The longest text of a rule: no key, identity or reference is longer.
const MAX_TEXT: usize = 16 * 1024;

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
    pub(in crate::inventory) fn trust(&mut self, roots: &[Entry<'_>]) -> Vec<TrustRule> {
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
