//! Which repositories are deleted, by exact names, and their deletion.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::aws::{Ecr, Error, Tags};
use crate::ownership::{has_owner, is_owned};
use crate::publish::Results;

/// How many repositories are queried or deleted in parallel. ECR publishes no rate limit for these calls, but it
/// does throttle them.
const AT_ONCE: usize = 8;

/// Tags of repositories, by name.
pub type Tagged = BTreeMap<String, Tags>;

/// What will be deleted, and what will not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To delete, each with the reason.
    pub delete: Vec<(String, Reason)>,
    /// To keep, each with the reason.
    pub keep: Vec<(String, Reason)>,
}

/// What results say about repositories.
#[derive(Debug)]
pub struct Claims<'a> {
    /// The repositories that the deployment's own result names as its own.
    pub named: &'a BTreeSet<String>,
    /// The results of other deployments.
    pub others: &'a Results,
}

/// Why a repository is deleted or kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its tags say that this program created it for the project.
    Tagged,
    /// It has no owner's tags, and the deployment's own result names it.
    Named,
    /// `--all` was given.
    All,
    /// Its tags say that this program did not create it for this project.
    Foreign,
    /// It has no owner's tags, and the deployment's own result does not name it.
    Unclaimed,
    /// The results of other deployments name it.
    Used(Vec<String>),
    /// A result that cannot be read may name it.
    Unknown,
}

impl Reason {
    /// The reason as text.
    #[must_use]
    pub fn words(&self) -> String {
        let words = match self {
            Self::Tagged => "its tags say that this program created it for this project",
            Self::Named => "it has no owner's tags, but the module's result document names it",
            Self::All => "no tag claims it for this program, but --all was given",
            Self::Foreign => "its tags name another owner",
            Self::Unclaimed => "no tag claims it, and no result document names it",
            Self::Used(keys) => return format!("used by another deployment: {}", keys.join(", ")),
            Self::Unknown => "another deployment's result cannot be read and may name it",
        };
        words.to_owned()
    }
}

/// The repositories whose names begin with `<project>-`, with their tags.
///
/// # Errors
/// When a call fails.
pub async fn observe(ecr: &Ecr, project: &str) -> Result<Tagged, Error> {
    let prefix = format!("{project}-");
    let names = ecr
        .repositories()
        .await?
        .keys()
        .filter(|name| name.starts_with(&prefix));
    let tagged = stream::iter(names).map(|name| async move {
        let tags = ecr.tags(name).await?;
        // It was deleted meanwhile: another module of the project is destroyed at the same time.
        Ok(tags.map(|tags| (name.clone(), tags)))
    });
    let tagged: Vec<_> = tagged.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(tagged.into_iter().flatten().collect())
}

/// Plans the end of a deployment.
#[must_use]
pub fn plan(project: &str, tagged: &Tagged, claims: &Claims<'_>) -> Plan {
    let mut plan = Plan::default();
    for (name, tags) in tagged {
        let reason = reason(project, name, tags, claims.named);
        let is_ours = matches!(reason, Reason::Tagged | Reason::Named);
        let users = claims.others.users(name);
        if !is_ours {
            plan.keep.push((name.clone(), reason));
        } else if !users.is_empty() {
            let users = users.into_iter().map(str::to_owned).collect();
            plan.keep.push((name.clone(), Reason::Used(users)));
        } else if !claims.others.unreadable.is_empty() {
            plan.keep.push((name.clone(), Reason::Unknown));
        } else {
            plan.delete.push((name.clone(), reason));
        }
    }
    plan
}

/// Plans a deletion by hand, regardless of results.
#[must_use]
pub fn plan_by_hand(project: &str, tagged: &Tagged, all: bool) -> Plan {
    let mut plan = Plan::default();
    for (name, tags) in tagged {
        match reason(project, name, tags, &BTreeSet::new()) {
            Reason::Tagged => plan.delete.push((name.clone(), Reason::Tagged)),
            _ if all => plan.delete.push((name.clone(), Reason::All)),
            reason => plan.keep.push((name.clone(), reason)),
        }
    }
    plan
}

/// Who owns a repository.
fn reason(project: &str, name: &str, tags: &Tags, named: &BTreeSet<String>) -> Reason {
    match (is_owned(tags, project), has_owner(tags)) {
        (true, _) => Reason::Tagged,
        (false, false) if named.contains(name) => Reason::Named,
        (false, true) => Reason::Foreign,
        (false, false) => Reason::Unclaimed,
    }
}

/// Deletes what the plan lists; a failure does not stop the rest.
pub async fn execute(plan: &Plan, ecr: &Ecr) -> Vec<(String, Result<(), Error>)> {
    let names = stream::iter(&plan.delete);
    let deleted = names.map(|(name, _)| async move { (name.clone(), ecr.delete(name).await) });
    deleted.buffered(AT_ONCE).collect().await
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn only(list: &[(String, Reason)]) -> Vec<&str> {
        list.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn exactly_ours_is_deleted() {
        let named = BTreeSet::from(["idf-docker.io/old".to_owned(), "idf-x-quay.io/a".to_owned()]);
        let claims = Claims {
            named: &named,
            others: &Results::default(),
        };
        let plan = plan("idf", &repositories(), &claims);
        assert_eq!(only(&plan.delete), ["idf-docker.io/old", "idf-quay.io/a"]);
        assert_eq!(
            only(&plan.keep),
            ["idf-dev-apps-ecr", "idf-dev-other-ecr", "idf-x-quay.io/a"]
        );
        let all = plan_by_hand("idf", &repositories(), true);
        assert_eq!((all.delete.len(), all.keep.len()), (5, 0));
        let by_hand = plan_by_hand("idf", &repositories(), false);
        assert_eq!(only(&by_hand.delete), ["idf-quay.io/a"]);
    }

    #[test]
    fn what_a_result_that_cannot_be_read_may_name_is_kept() {
        let mut others = Results::default();
        let why = "it is not JSON".to_owned();
        others
            .unreadable
            .insert("prod-x-metadata.json".to_owned(), why);
        let claims = Claims {
            named: &BTreeSet::new(),
            others: &others,
        };
        let plan = plan("idf", &repositories(), &claims);
        assert_eq!(plan.delete, []);
        let kept = plan.keep.iter().find(|(name, _)| name == "idf-quay.io/a");
        assert_eq!(kept.map(|(_, reason)| reason), Some(&Reason::Unknown));
    }
}
