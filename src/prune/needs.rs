//! What published results and locks need of a registry's repositories.

use std::collections::BTreeMap;

use serde_json::Value;

use oci_copy::reference::{Digest, Location};

use crate::document::{Lock, Written};
use crate::publish::Named;
use crate::reference::EcrHost;

/// What is needed of a repository, with the document that says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RepositoryNeeds {
    /// Digests.
    pub digests: BTreeMap<Digest, String>,
    /// Tags: clusters that run a result pull what its tags name now.
    pub tags: BTreeMap<String, String>,
    /// The document that may name anything in it.
    pub whole: Option<String>,
}

impl RepositoryNeeds {
    /// Whether any document names the repository.
    #[must_use]
    pub(super) fn is_any(&self) -> bool {
        self.whole.is_some() || !self.digests.is_empty()
    }
}

/// What documents need of a registry.
#[derive(Debug)]
pub(super) struct Needs {
    host: EcrHost,
    exact: BTreeMap<String, RepositoryNeeds>,
    results: Vec<ResultNeeds>,
    /// The documents that were read.
    pub documents: Vec<String>,
}

/// What a result names in whatever way.
#[derive(Debug)]
struct ResultNeeds {
    place: String,
    named: Named,
    has_digests: bool,
    /// The repositories that it records digests for.
    recorded: Vec<String>,
}

impl Needs {
    /// Nothing is needed of a registry yet.
    #[must_use]
    pub(super) fn new(host: EcrHost) -> Self {
        Self {
            host,
            exact: BTreeMap::new(),
            results: Vec::new(),
            documents: Vec::new(),
        }
    }

    /// Adds a published result, current or kept.
    ///
    /// # Errors
    /// Why it is not a result document, or which of its names cannot be read.
    pub(super) fn add_result(&mut self, place: &str, text: &str) -> Result<(), String> {
        let text = self.with_usual_host(text);
        let named = Named::parse(&text, &self.host.to_string())?;
        let document: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let written: Written =
            serde_json::from_value(document).map_err(|error| error.to_string())?;
        let digests = written.digests.unwrap_or_default();
        let mut recorded = Vec::new();
        for (name, digest) in &digests {
            let location = name.parse::<Location>();
            let location = location.map_err(|error| error.to_string())?;
            let digest = digest.parse::<Digest>();
            let digest = digest.map_err(|error| error.to_string())?;
            recorded.extend(self.need(place, &location, &digest));
        }
        self.results.push(ResultNeeds {
            place: place.to_owned(),
            named,
            has_digests: !digests.is_empty(),
            recorded,
        });
        self.documents.push(place.to_owned());
        Ok(())
    }

    /// Adds a lock, whose names stand below the registry's path.
    ///
    /// # Errors
    /// Which of its names cannot be read.
    pub(super) fn add_lock(&mut self, place: &str, lock: &Lock, path: &str) -> Result<(), String> {
        let charts = lock.charts.values();
        let charts = charts.map(|chart| (&chart.target, &chart.digest, &chart.referrers));
        let images = lock.images.iter();
        let images = images.map(|image| (&image.target, &image.digest, &image.referrers));
        for (target, digest, referrers) in charts.chain(images) {
            let location = format!("{}/{path}{target}", self.host).parse::<Location>();
            let location = location.map_err(|error| error.to_string())?;
            let repository = self.need(place, &location, digest);
            let needs = repository.map(|name| self.exact.entry(name).or_default());
            if let Some(needs) = needs {
                for referrer in referrers {
                    let digest = referrer.digest.clone();
                    needs.digests.insert(digest, place.to_owned());
                }
            }
        }
        self.documents.push(place.to_owned());
        Ok(())
    }

    /// What is needed of a repository.
    #[must_use]
    pub(super) fn of(&self, repository: &str) -> RepositoryNeeds {
        let mut needs = self.exact.get(repository).cloned().unwrap_or_default();
        let may_name = |result: &&ResultNeeds| {
            if result.has_digests {
                // It records all that was written: what it names elsewhere is in another deployment's repository.
                let is_recorded = result.recorded.iter().any(|name| name == repository);
                !is_recorded && result.named.mentions(repository)
            } else {
                result.named.may_name(repository)
            }
        };
        let whole = self.results.iter().find(may_name);
        needs.whole = whole.map(|result| result.place.clone());
        needs
    }

    /// Notes a name and its digest; returns the repository if it is one of the registry's.
    fn need(&mut self, place: &str, location: &Location, digest: &Digest) -> Option<String> {
        let host = EcrHost::parse(location.host()?)?;
        let is_here = host.account == self.host.account && host.region == self.host.region;
        let repository = location.repository().filter(|_| is_here)?;
        let needs = self.exact.entry(repository.to_owned()).or_default();
        needs.digests.insert(digest.clone(), place.to_owned());
        needs
            .digests
            .extend(location.digest().map(|pinned| (pinned, place.to_owned())));
        needs
            .tags
            .extend(location.tag().map(|tag| (tag.to_owned(), place.to_owned())));
        Some(repository.to_owned())
    }

    /// A document whose names all have the registry's usual host, instead of those for FIPS and dual stack.
    fn with_usual_host(&self, text: &str) -> String {
        let usual = self.host.to_string();
        let spellings = self.host.spellings().into_iter();
        spellings
            .filter(|spelling| *spelling != usual)
            .fold(text.to_owned(), |text, spelling| {
                text.replace(&spelling, &usual)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

    fn needs(document: &Value) -> Needs {
        let mut needs = Needs::new(EcrHost::parse(HOST).unwrap());
        needs.add_result("one", &document.to_string()).unwrap();
        needs
    }

    fn digest(text: &str) -> String {
        Digest::of(text.as_bytes()).to_string()
    }

    fn values() -> Value {
        json!({"a": {"helm": {"repository": format!("oci://{HOST}/idf-charts/a"), "version": "1"},
            "values": {"image": {"registry": format!("{HOST}/idf-quay.io"), "repository": "x/y"}}}})
    }

    #[test]
    fn a_result_with_digests_needs_digests_and_tags() {
        let needs = needs(&json!({"charts": values(), "digests": {
            format!("{HOST}/idf-charts/a:1"): digest("chart"),
            format!("{HOST}/idf-quay.io/x/y:1"): digest("image"),
            "210987654321.dkr.ecr.us-east-1.amazonaws.com/idf-quay.io/x/z:1": digest("other"),
        }}));
        let of = needs.of("idf-quay.io/x/y");
        assert!(of.digests.contains_key(&Digest::of(b"image")) && of.digests.len() == 1);
        assert_eq!(of.tags.keys().collect::<Vec<_>>(), ["1"]);
        assert_eq!(of.whole, None);
        assert_eq!(needs.of("idf-quay.io/x/z"), RepositoryNeeds::default());
    }

    #[test]
    fn what_a_result_names_without_a_digest_is_needed_as_a_whole() {
        let needs = needs(&json!({"charts": values(), "digests": {
            format!("{HOST}/idf-charts/a:1"): digest("chart")}}));
        assert_eq!(needs.of("idf-quay.io/x/y").whole, Some("one".to_owned()));
        assert_eq!(needs.of("idf-quay.io/x/z").whole, None);
    }

    #[test]
    fn a_result_without_digests_needs_all_that_it_may_name() {
        let needs = needs(&json!({"charts": values()}));
        for name in ["idf-charts/a", "idf-quay.io/x/y", "idf-quay.io/other/z"] {
            assert_eq!(needs.of(name).whole, Some("one".to_owned()), "{name}");
        }
        assert_eq!(needs.of("idf-docker.io/x/y").whole, None);
    }

    #[test]
    fn all_spellings_of_a_registry_s_host_are_the_same() {
        for host in [
            "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
            "123456789012.dkr-ecr.us-east-1.on.aws",
        ] {
            let name = format!("{host}/idf-quay.io/x/y:1");
            let needs = needs(&json!({"charts": {}, "digests": {name: digest("image")}}));
            assert_eq!(needs.of("idf-quay.io/x/y").digests.len(), 1, "{host}");
            let values = values().to_string().replace(HOST, host);
            let values: Value = serde_json::from_str(&values).unwrap();
            let vague = super::tests::needs(&json!({"charts": values}));
            assert!(vague.of("idf-quay.io/x/y").whole.is_some(), "{host}");
        }
    }

    #[test]
    fn a_result_that_cannot_be_read_whole_is_refused() {
        for text in [
            "{broken".to_owned(),
            "[]".to_owned(),
            json!({"charts": {}, "digests": {format!("{HOST}/idf-a:1"): "sha256:short"}})
                .to_string(),
            json!({"charts": {}, "digests": {format!("{HOST}/IDF:1"): digest("a")}}).to_string(),
            json!({"charts": {}, "digests": [1]}).to_string(),
        ] {
            let mut needs = Needs::new(EcrHost::parse(HOST).unwrap());
            assert!(needs.add_result("one", &text).is_err(), "{text}");
        }
    }
}
