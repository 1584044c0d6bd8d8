//! What a project's end takes with it: observe, plan exact names, execute.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use crate::aws::{Ecr, Error, is_owned};

/// How many repositories are asked about or deleted at once. ECR publishes no rate for these calls,
/// but it does throttle them.
const AT_ONCE: usize = 8;

/// Tags of repositories, by name.
pub type Tagged = BTreeMap<String, BTreeMap<String, String>>;

/// What will be deleted, and what will not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To delete, each with why it is ours.
    pub delete: Vec<(String, Reason)>,
    /// To keep, each with why.
    pub keep: Vec<(String, Reason)>,
}

/// Why a repository is deleted or kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its tags say that this program made it for the project.
    Tagged,
    /// It has no owner's tags, and the module's result document names it.
    Named,
    /// Everything with the project's prefix was asked for.
    All,
    /// Its tags say that somebody else made it.
    Foreign,
    /// It has no owner's tags, and no result document names it.
    Unclaimed,
}

impl Reason {
    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Tagged => "its tags say that it was made for this project",
            Self::Named => "it has no owner's tags, but the module's result document names it",
            Self::All => "no tag claims it for us, but --all was given",
            Self::Foreign => "its tags say that it is not ours",
            Self::Unclaimed => "no tag claims it, and no result document names it",
        }
    }
}

/// The repositories whose names begin with `<project>-`, with their tags.
///
/// # Errors
/// When ECR does not list them.
pub async fn observe(ecr: &Ecr, project: &str) -> Result<Tagged, Error> {
    let prefix = format!("{project}-");
    let names = ecr
        .repositories()
        .await?
        .keys()
        .filter(|name| name.starts_with(&prefix));
    let tagged =
        stream::iter(names).map(|name| async move { Ok((name.clone(), ecr.tags(name).await?)) });
    tagged.buffer_unordered(AT_ONCE).try_collect().await
}

/// Decides. `named` are the repositories of the module's result document.
#[must_use]
pub fn plan(project: &str, tagged: &Tagged, named: &BTreeSet<String>, all: bool) -> Plan {
    let mut plan = Plan::default();
    for (name, tags) in tagged {
        let has_owner = tags
            .keys()
            .any(|key| crate::settings::OWNERSHIP_TAGS.contains(&key.as_str()));
        let reason = match (is_owned(tags, project), has_owner) {
            (true, _) => Reason::Tagged,
            (false, false) if named.contains(name) => Reason::Named,
            _ if all => Reason::All,
            (false, true) => Reason::Foreign,
            (false, false) => Reason::Unclaimed,
        };
        let list = match reason {
            Reason::Tagged | Reason::Named | Reason::All => &mut plan.delete,
            Reason::Foreign | Reason::Unclaimed => &mut plan.keep,
        };
        list.push((name.clone(), reason));
    }
    plan
}

/// Deletes what the plan says; one failure stops nothing else.
pub async fn execute(plan: &Plan, ecr: &Ecr) -> Vec<(String, Result<(), Error>)> {
    let names = stream::iter(&plan.delete);
    let deleted = names.map(|(name, _)| async move { (name.clone(), ecr.delete(name).await) });
    deleted.buffered(AT_ONCE).collect().await
}

/// The repositories that a result document names at a registry's host. A document of this program
/// lists them; in one of the Python module they are put together from registry and repository values.
#[must_use]
pub fn named(document: &str, host: &str) -> BTreeSet<String> {
    fn walk(value: &Value, at_host: &str, named: &mut BTreeSet<String>) {
        let path = |text: &str| {
            text.trim_start_matches("oci://")
                .strip_prefix(at_host)
                .map(bare)
        };
        match value {
            Value::String(text) => named.extend(path(text)),
            Value::Array(list) => list.iter().for_each(|value| walk(value, at_host, named)),
            Value::Object(map) => {
                named.extend(map.keys().filter_map(|key| path(key)));
                let texts: Vec<&str> = map.values().filter_map(Value::as_str).collect();
                for registry in texts.iter().filter_map(|text| path(text)) {
                    named.extend(
                        texts
                            .iter()
                            .map(|text| format!("{registry}/{}", bare(text))),
                    );
                }
                map.values().for_each(|value| walk(value, at_host, named));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    /// A name without tag and digest.
    fn bare(text: &str) -> String {
        let name = text.split('@').next().unwrap_or(text);
        let tag = name
            .rfind(':')
            .filter(|colon| !name[*colon..].contains('/'));
        tag.map_or(name, |colon| &name[..colon]).to_owned()
    }
    let mut named = BTreeSet::new();
    if let Ok(document) = serde_json::from_str(document) {
        walk(&document, &format!("{host}/"), &mut named);
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

    fn owned(project: &str) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("SeedFarmerProjectName".to_owned(), project.to_owned()),
            ("ManagedBy".to_owned(), "replicator".to_owned()),
        ])
    }

    fn repositories() -> Tagged {
        let sibling = BTreeMap::from([("SeedFarmerProjectName".to_owned(), "idf".to_owned())]);
        Tagged::from([
            ("idf-quay.io/a".to_owned(), owned("idf")),
            ("idf-x-quay.io/a".to_owned(), owned("idf-x")),
            ("idf-dev-apps-ecr".to_owned(), BTreeMap::new()),
            ("idf-dev-other-ecr".to_owned(), sibling),
            ("idf-docker.io/old".to_owned(), BTreeMap::new()),
        ])
    }

    #[test]
    fn exactly_ours_is_deleted() {
        let named = BTreeSet::from(["idf-docker.io/old".to_owned(), "idf-x-quay.io/a".to_owned()]);
        let plan = plan("idf", &repositories(), &named, false);
        let only = |list: &[(String, Reason)]| {
            list.iter()
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(only(&plan.delete), ["idf-docker.io/old", "idf-quay.io/a"]);
        assert_eq!(
            only(&plan.keep),
            ["idf-dev-apps-ecr", "idf-dev-other-ecr", "idf-x-quay.io/a"]
        );
        let all = super::plan("idf", &repositories(), &named, true);
        assert_eq!((all.delete.len(), all.keep.len()), (5, 0));
    }

    #[test]
    fn a_result_document_names_repositories() {
        let document = json!({"charts": {"a": {
            "helm": {"repository": format!("oci://{HOST}/idf-charts/a"), "version": "1"},
            "values": {"image": {"registry": format!("{HOST}/idf-quay.io"), "repository": "x/y", "tag": "1"},
                       "other": {"image": format!("{HOST}/idf-bitnami/kubectl:latest")}}}},
            "digests": {format!("{HOST}/idf-z:1"): "sha256:00"}});
        let named = named(&document.to_string(), HOST);
        for name in [
            "idf-charts/a",
            "idf-quay.io/x/y",
            "idf-bitnami/kubectl",
            "idf-z",
        ] {
            assert!(named.contains(name), "{name} is not in {named:?}");
        }
    }
}
