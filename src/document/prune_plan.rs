//! `prune-plan.json`: what `replicator prune` found unneeded, and what `--apply` deletes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::problem::{Problem, Problems};
use crate::timestamp::Timestamp;
use oci_copy::reference::{Digest, Location};

/// The version of the schema that this program writes and reads.
pub const PRUNE_PLAN_VERSION: u32 = 1;

/// The largest plan that is read, in bytes. One of 100,000 manifests has about 40 MB.
pub const MAX_PRUNE_PLAN: u64 = 64 * 1024 * 1024;

/// How long a plan can be applied: what it was made from changes.
const PRUNE_PLAN_VALID: Duration = Duration::from_hours(7 * 24);

/// How far clocks of two machines may be apart.
const CLOCKS: Duration = Duration::from_mins(10);

/// ECR records the pull that reading a manifest is, at the latest after this time.
const RECORDED_WITHIN: Duration = Duration::from_mins(15);

const REMEDY: &str = "make a new plan with `replicator prune`";

/// What nothing needs any more below a prefix of a registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrunePlan {
    /// The version of this schema: [`PRUNE_PLAN_VERSION`].
    pub prune_version: u32,
    /// When it was made.
    pub made_at: Timestamp,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// What the names of the repositories begin with.
    pub prefix: String,
    /// The project whose repositories they are.
    pub project: String,
    /// For how many days nothing may have pulled or pushed an image.
    pub unused_for_days: u32,
    /// The results and locks that say what is needed.
    pub documents: Vec<String>,
    /// What is to be deleted, by repository.
    pub repositories: Vec<PrunedRepository>,
    /// Sums.
    pub totals: PruneTotals,
    /// What stays, and how much of it for which reason.
    pub kept: KeptTotals,
    /// The manifests that were read, which ECR records as pulls, by repository.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reads: BTreeMap<String, BTreeMap<Digest, ReadManifest>>,
}

/// What is to be deleted of a repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrunedRepository {
    /// Its name.
    pub name: String,
    /// Whether nothing is left in it, so that it is deleted itself.
    pub delete_repository: bool,
    /// The bytes that ECR stops billing.
    pub bytes: u64,
    /// Whether `bytes` counts shared layers once; else it is an upper bound.
    pub is_exact: bool,
    /// The price of these bytes in US dollars a month; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_cost: Option<f64>,
    /// The manifests to delete.
    pub images: Vec<PrunedImage>,
}

/// A manifest to delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrunedImage {
    /// Its digest.
    pub digest: Digest,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its bytes as ECR gives them, shared layers included; of an index those of its largest image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it was pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_at: Option<Timestamp>,
    /// When it was last pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulled_at: Option<Timestamp>,
}

/// A manifest that this command read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadManifest {
    /// When it was read.
    pub read_at: Timestamp,
    /// The last pull before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulled_before: Option<Timestamp>,
    /// Whether it is an index.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_index: bool,
    /// The manifests that it consists of.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub children: BTreeSet<Digest>,
    /// What it refers to as its subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// Its layers and config with their bytes; none for an index.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub blobs: BTreeMap<Digest, u64>,
}

impl ReadManifest {
    /// The last pull by anything else, from what ECR records.
    #[must_use]
    pub fn pulled_by_others(&self, recorded: Option<Timestamp>) -> Option<Timestamp> {
        let from = self.read_at.before(CLOCKS);
        let to = self.read_at.after(RECORDED_WITHIN);
        let is_ours = recorded.is_some_and(|time| from <= time && time <= to);
        if is_ours {
            self.pulled_before
        } else {
            recorded
        }
    }
}

/// Sums over what is to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PruneTotals {
    /// Repositories to delete, because nothing is left in them.
    pub repositories: usize,
    /// Manifests to delete.
    pub manifests: usize,
    /// Tags that go with them.
    pub tags: usize,
    /// The bytes that ECR stops billing.
    pub bytes: u64,
    /// Whether `bytes` counts shared layers once; else it is an upper bound.
    pub is_exact: bool,
    /// The price of these bytes in US dollars a month; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_cost: Option<f64>,
    /// The price that this is calculated with, in US dollars for a GB (2^30 bytes) and month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_per_gb: Option<f64>,
}

/// What stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeptTotals {
    /// Manifests that a result or a lock names.
    pub needed: usize,
    /// Manifests that were pulled or pushed lately.
    pub recent: usize,
    /// Manifests that belong to one that stays: platforms and signatures.
    pub belonging: usize,
    /// Manifests for other reasons.
    pub other: usize,
    /// Repositories in which nothing is deleted, by the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub whole_repositories: BTreeMap<String, String>,
    /// Repositories below the prefix whose tags do not say that this program created them for the project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_ours: Vec<String>,
}

impl PrunePlan {
    /// The document's text.
    ///
    /// # Panics
    /// Never: all keys are texts, and no number is infinite.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("all keys are texts") + "\n"
    }

    /// Reads a plan; nothing of it is taken for granted. `place` is what problems are blamed on.
    ///
    /// # Errors
    /// When it is not a plan of [`PRUNE_PLAN_VERSION`], or names what is not below its prefix.
    pub fn read(text: &[u8], place: &str) -> Result<Self, Problems> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Probe {
            prune_version: Option<u64>,
        }
        let bad = |what: String| Problems::from(Problem::input(place, what).remedy(REMEDY));
        let probe = serde_json::from_slice::<Probe>(text);
        match probe.map(|probe| probe.prune_version) {
            Ok(Some(version)) if version == u64::from(PRUNE_PLAN_VERSION) => {}
            Ok(Some(version)) => {
                return Err(bad(format!(
                    "it is a plan of version {version}, and this program reads version {PRUNE_PLAN_VERSION}"
                )));
            }
            Ok(None) | Err(_) => {
                return Err(bad("it is not a plan of `replicator prune`".to_owned()));
            }
        }
        let plan: Self = serde_json::from_slice(text)
            .map_err(|error| bad(format!("it is not a complete plan: {error}")))?;
        let mut names = BTreeSet::new();
        for repository in &plan.repositories {
            let name = &repository.name;
            let is_name = format!("registry.invalid/{name}")
                .parse::<Location>()
                .is_ok()
                && !name.contains([':', '@']);
            if !is_name || !name.starts_with(&plan.prefix) || !names.insert(name) {
                let what =
                    format!("`{name}` is not a repository below its prefix, or is there twice");
                return Err(bad(what));
            }
        }
        Ok(plan)
    }

    /// Checks that it is still valid.
    ///
    /// # Errors
    /// When it is too old, or of the future.
    pub fn check_age(&self, now: Timestamp, place: &str) -> Result<(), Problems> {
        let days = PRUNE_PLAN_VALID.as_secs() / 86_400;
        let what = if now.since(self.made_at) > PRUNE_PLAN_VALID {
            format!(
                "it was made at {}, and is valid for {days} days",
                self.made_at
            )
        } else if self.made_at > now.after(CLOCKS) {
            format!("it was made at {}, which is in the future", self.made_at)
        } else {
            return Ok(());
        };
        Err(Problem::input(place, what).remedy(REMEDY).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn document() -> Value {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        json!({
            "pruneVersion": 1, "madeAt": "2026-11-26T21:40:00Z", "account": "123456789012", "region": "us-east-1",
            "prefix": "idf-", "project": "idf", "unusedForDays": 90, "documents": ["s3://b/x-metadata.json"],
            "repositories": [{
                "name": "idf-quay.io/app", "deleteRepository": false, "bytes": 5, "isExact": true, "monthlyCost": 0.5,
                "images": [{"digest": digest("a"), "tags": ["1"], "mediaType": "m", "size": 5,
                            "pushedAt": "2026-01-01T00:00:00Z", "pulledAt": "2026-01-02T00:00:00Z"}]}],
            "totals": {"repositories": 0, "manifests": 1, "tags": 1, "bytes": 5, "isExact": true, "monthlyCost": 0.5,
                       "pricePerGb": 0.1},
            "kept": {"needed": 1, "recent": 2, "belonging": 3, "other": 0, "notOurs": ["idf-x"]},
            "reads": {"idf-quay.io/app": {digest("b"): {
                "readAt": "2026-11-26T21:39:00Z", "isIndex": true, "children": [digest("a")]}}},
        })
    }

    fn read(document: &Value) -> Result<PrunePlan, Problems> {
        PrunePlan::read(document.to_string().as_bytes(), "plan.json")
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let plan = read(&document()).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&plan.to_json()).unwrap(),
            document()
        );
    }

    #[test]
    fn what_is_no_plan_or_names_other_repositories_is_refused() {
        for text in ["", "[]", "{}", "{\"pruneVersion\": 2}", "\u{0}"] {
            assert!(
                PrunePlan::read(text.as_bytes(), "plan.json").is_err(),
                "{text}"
            );
        }
        for name in ["other-app", "idf-a:1", "idf-A", "idf-../x", "idf-", ""] {
            let mut other = document();
            other["repositories"][0]["name"] = name.into();
            assert!(read(&other).is_err(), "{name}");
        }
        let mut twice = document();
        let one = twice["repositories"][0].clone();
        twice["repositories"].as_array_mut().unwrap().push(one);
        assert!(read(&twice).is_err());
    }

    #[test]
    fn a_plan_is_valid_for_a_week() {
        let plan = read(&document()).unwrap();
        let made = plan.made_at;
        assert!(plan.check_age(made.after(PRUNE_PLAN_VALID), "p").is_ok());
        let late = made.after(PRUNE_PLAN_VALID).after(Duration::from_secs(1));
        assert!(plan.check_age(late, "p").is_err());
        assert!(
            plan.check_age(made.before(Duration::from_mins(5)), "p")
                .is_ok()
        );
        assert!(
            plan.check_age(made.before(Duration::from_hours(1)), "p")
                .is_err()
        );
    }

    #[test]
    fn reading_a_manifest_does_not_count_as_a_pull() {
        let plan = read(&document()).unwrap();
        let read = plan.reads["idf-quay.io/app"].values().next().unwrap();
        let minutes = |number: u64| read.read_at.after(Duration::from_mins(number));
        assert_eq!(read.pulled_by_others(Some(minutes(1))), None);
        assert_eq!(read.pulled_by_others(Some(minutes(60))), Some(minutes(60)));
        assert_eq!(read.pulled_by_others(None), None);
    }
}
