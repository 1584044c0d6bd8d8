//! The results that deployments have published in the module's bucket, and the repositories they name.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::aws::{Bucket, Error};
use crate::document::Written;

use super::kept::{self, BucketResult, ResultSet};

/// Published results, by the keys of their objects.
#[derive(Debug, Default)]
pub struct Results {
    read: BTreeMap<String, Named>,
    /// Those that could not be read, with the reason.
    pub unreadable: BTreeMap<String, String>,
}

/// What a result document names at a registry's host.
#[derive(Debug, Default)]
pub struct Named {
    /// The repositories that the deployment wrote to and owns.
    pub targets: BTreeSet<String>,
    all: Names,
}

impl Results {
    /// Reads results of a bucket; empty if there is no bucket.
    ///
    /// # Errors
    /// When the bucket cannot be listed. A result that cannot be read is not an error.
    pub async fn read(bucket: &Bucket, host: &str, which: ResultSet) -> Result<Self, Error> {
        let mut results = Self::default();
        for BucketResult { key, text, .. } in kept::bucket_results(bucket, which).await? {
            match text.and_then(|text| Named::parse(&text, host)) {
                Ok(named) => results.read.insert(key, named).map(drop),
                Err(why) => results.unreadable.insert(key, why).map(drop),
            };
        }
        Ok(results)
    }

    /// Removes the results whose keys begin with a prefix.
    pub fn remove_below(&mut self, prefix: &str) {
        self.read.retain(|key, _| !key.starts_with(prefix));
        self.unreadable.retain(|key, _| !key.starts_with(prefix));
    }

    /// Removes and returns a deployment's own result; `None` if it cannot be read.
    pub fn take(&mut self, key: &str) -> Option<Named> {
        self.read.remove(key)
    }

    /// The results that mention a repository in any way, by their keys.
    #[must_use]
    pub fn users(&self, repository: &str) -> Vec<&str> {
        let users = self.read.iter();
        let users = users.filter(|(_, named)| named.mentions(repository));
        users.map(|(key, _)| key.as_str()).collect()
    }

    /// Whether a result says that its deployment wrote to a repository and owns it.
    #[must_use]
    pub fn claim(&self, repository: &str) -> bool {
        let mut read = self.read.values();
        read.any(|named| named.targets.contains(repository))
    }
}

impl Named {
    /// Reads a document.
    ///
    /// # Errors
    /// Why it is not a result document.
    pub fn parse(text: &str, host: &str) -> Result<Self, String> {
        let document: Value =
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        if !document.is_object() {
            return Err("it is not a JSON object".to_owned());
        }
        let mut all = Names::new(host);
        all.walk(&document, true);
        let written = Written::deserialize(&document)
            .map_err(|error| format!("it is not a result document: {error}"))?;
        let targets = targets(&document, &written, host);
        Ok(Self { targets, all })
    }

    /// Whether the document names a repository in any way, even only as a source.
    #[must_use]
    pub fn mentions(&self, repository: &str) -> bool {
        let Names { whole, texts, .. } = &self.all;
        // A registry value can be far from the repository value, such as in `global`.
        let mut parts = repository.match_indices('/');
        whole.contains(repository)
            || parts.any(|(at, _)| {
                whole.contains(&repository[..at]) && texts.contains(&repository[at + 1..])
            })
            || self.all.has_host && texts.contains(repository)
    }

    /// Whether a document that does not record all that was written may name a repository: it mentions it, or a
    /// registry that the repository is below.
    #[must_use]
    pub fn may_name(&self, repository: &str) -> bool {
        let is_below = |name: &String| {
            let rest = repository.strip_prefix(name.as_str());
            rest.is_some_and(|rest| rest.starts_with('/') || name.ends_with('-'))
        };
        self.mentions(repository) || self.all.whole.iter().any(is_below)
    }
}

/// The repositories at a registry's host that a deployment wrote to and owns. A document with digests lists them;
/// in one of the Python module the names are combined from registry and repository values, without sources.
fn targets(document: &Value, written: &Written, host: &str) -> BTreeSet<String> {
    let mut names = Names::new(host);
    match &written.digests {
        Some(digests) if !digests.is_empty() => digests.keys().for_each(|text| names.add(text)),
        _ => names.walk(document, false),
    }
    &names.whole - &written.shared_repositories
}

/// The names in a document.
#[derive(Debug, Default)]
struct Names {
    host: String,
    /// Repositories and beginnings of repositories at the host.
    whole: BTreeSet<String>,
    /// Other texts, without tag and digest.
    texts: BTreeSet<String>,
    /// Whether the host appears somewhere alone.
    has_host: bool,
}

impl Names {
    fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            whole: BTreeSet::new(),
            texts: BTreeSet::new(),
            has_host: false,
        }
    }

    /// The repository at the host that a text names.
    fn at_host(&self, text: &str) -> Option<String> {
        let text = text.trim_start_matches("oci://");
        let (host, path) = text.split_once('/')?;
        let path = bare(path.trim_end_matches('/'));
        (host.eq_ignore_ascii_case(&self.host) && !path.is_empty()).then(|| path.to_owned())
    }

    fn is_host(&self, text: &str) -> bool {
        let text = text.trim_start_matches("oci://").trim_end_matches('/');
        text.eq_ignore_ascii_case(&self.host)
    }

    fn add(&mut self, text: &str) {
        if let Some(path) = self.at_host(text) {
            self.whole.insert(path);
        } else if self.is_host(text) {
            self.has_host = true;
        } else {
            self.texts.insert(bare(text).to_owned());
        }
    }

    fn walk(&mut self, value: &Value, with_sources: bool) {
        match value {
            Value::String(text) => self.add(text),
            Value::Array(list) => list.iter().for_each(|value| self.walk(value, with_sources)),
            Value::Object(map) => {
                let map: Vec<(&String, &Value)> = map
                    .iter()
                    .filter(|(key, _)| with_sources || *key != "srcRepository")
                    .collect();
                for (key, _) in &map {
                    self.whole.extend(self.at_host(key));
                }
                let texts: Vec<&str> = map.iter().filter_map(|(_, value)| value.as_str()).collect();
                for registry in &texts {
                    let prefix = match self.at_host(registry) {
                        Some(path) => format!("{path}/"),
                        None if self.is_host(registry) => String::new(),
                        None => continue,
                    };
                    let below = texts.iter().map(|text| format!("{prefix}{}", bare(text)));
                    self.whole.extend(below);
                }
                for (_, value) in map {
                    self.walk(value, with_sources);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// A name without tag and digest.
fn bare(text: &str) -> &str {
    let name = text.split('@').next().unwrap_or(text);
    let tag = name
        .rfind(':')
        .filter(|colon| !name[*colon..].contains('/'));
    tag.map_or(name, |colon| &name[..colon])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

    fn python() -> Value {
        json!({"charts": {"a": {
            "helm": {"repository": format!("oci://{HOST}/idf-charts/a"), "version": "1",
                     "srcRepository": format!("oci://{HOST}/idf-platform/charts/a")},
            "values": {"image": {"registry": format!("{HOST}/idf-quay.io"), "repository": "x/y", "tag": "1"},
                       "plain": {"registry": HOST, "repository": "idf-plain"},
                       "global": {"imageRegistry": format!("{HOST}/idf-ghcr.io/")},
                       "proxy": {"name": "p/q"},
                       "other": {"image": format!("{HOST}/idf-bitnami/kubectl:latest")}}}}})
    }

    fn targets_of(document: &Value) -> BTreeSet<String> {
        Named::parse(&document.to_string(), HOST).unwrap().targets
    }

    #[test]
    fn a_document_without_digests_names_targets_by_its_values() {
        let targets = targets_of(&python());
        for name in [
            "idf-charts/a",
            "idf-quay.io/x/y",
            "idf-bitnami/kubectl",
            "idf-plain",
        ] {
            assert!(targets.contains(name), "{name} is not in {targets:?}");
        }
        assert!(!targets.contains("idf-platform/charts/a"), "it is a source");
        assert!(!targets.contains("idf-ghcr.io/p/q"), "it is a guess");
    }

    #[test]
    fn a_document_with_digests_names_exactly_what_was_written() {
        let mut document = python();
        document["digests"] = json!({format!("{HOST}/idf-z:1"): "sha256:00", format!("{HOST}/idf-shared:1"): "sha256:00"});
        document["shared_repositories"] = json!(["idf-shared"]);
        let targets = targets_of(&document);
        assert_eq!(targets.into_iter().collect::<Vec<_>>(), ["idf-z"]);
    }

    #[test]
    fn whatever_a_document_may_mean_is_mentioned() {
        let text = python().to_string();
        let named = Named::parse(&text, HOST).unwrap();
        for name in [
            "idf-charts/a",
            "idf-platform/charts/a",
            "idf-quay.io/x/y",
            "idf-ghcr.io/p/q",
            "idf-plain",
        ] {
            assert!(named.mentions(name), "{name}");
        }
        for name in ["idf-quay.io/x", "idf-other", "idf-ghcr.io/q"] {
            assert!(!named.mentions(name), "{name}");
        }
        let elsewhere = Named::parse(&text, "210987654321.dkr.ecr.us-east-1.amazonaws.com");
        assert!(!elsewhere.unwrap().mentions("idf-charts/a"));
    }

    #[test]
    fn only_a_json_object_is_a_result() {
        for text in ["", "[]", "null", "{", "\"x\""] {
            assert!(Named::parse(text, HOST).is_err(), "{text}");
        }
    }
}
