//! Applying a plan: every repository is looked at again, and only what has not changed and is still not needed goes.

use std::collections::{BTreeMap, BTreeSet};

use oci_copy::reference::Digest;

use super::check::{Checked, Skip, check};
use super::needs::RepositoryNeeds;
use super::observe::{Criteria, Observed, Reads, observe};
use super::select::order;
use crate::aws::{Ecr, Emptied, Error};
use crate::document::PrunedRepository;

/// What was done in a repository.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// How many manifests were deleted.
    pub deleted: usize,
    /// How many did not exist any more.
    pub gone: usize,
    /// What was not deleted, with the reason.
    pub skipped: BTreeMap<Digest, Skip>,
    /// Whether the repository itself was deleted, or was gone already.
    pub repository_deleted: bool,
    /// Why the repository itself was not deleted, although the plan says so.
    pub repository_kept: Option<String>,
}

impl Applied {
    /// Nothing of a repository can be deleted for one reason.
    #[must_use]
    pub(super) fn none(planned: &PrunedRepository, why: &str) -> Self {
        let images = planned.images.iter();
        let skip = || Skip::Repository(why.to_owned());
        Self {
            skipped: images.map(|image| (image.digest.clone(), skip())).collect(),
            repository_kept: planned.delete_repository.then(|| why.to_owned()),
            ..Self::default()
        }
    }
}

/// Deletes what a plan has of a repository, as far as it is still the same and not needed. `reads` are the manifests
/// that were read for the plan.
///
/// # Errors
/// When the repository cannot be looked at; nothing of it was deleted then.
pub(super) async fn apply(
    ecr: &Ecr,
    planned: &PrunedRepository,
    needs: &RepositoryNeeds,
    reads: Reads,
    criteria: Criteria,
) -> Result<Applied, Error> {
    let name = &planned.name;
    let observed = observe(ecr, name, needs, reads, criteria).await?;
    if let Some(why) = &observed.unknown {
        return Ok(Applied::none(planned, why));
    }
    let checked = check(&planned.images, &observed.contents, &observed.selection);
    let mut applied = delete(ecr, name, &observed, checked).await;
    if planned.delete_repository {
        delete_repository(ecr, name, needs, &mut applied).await;
    }
    Ok(applied)
}

/// Deletes images, group by group; what depends on one that stays, stays too.
async fn delete(ecr: &Ecr, name: &str, observed: &Observed, checked: Checked) -> Applied {
    let relations = observed.contents.relations();
    let mut applied = Applied {
        gone: checked.gone,
        skipped: checked.skipped,
        ..Applied::default()
    };
    for group in order(&observed.contents, &checked.delete) {
        let mut free = Vec::new();
        for digest in group {
            let mut before = relations.before(&digest);
            match before.find(|other| applied.skipped.contains_key(*other)) {
                Some(other) => {
                    let skip = Skip::With(other.clone());
                    applied.skipped.insert(digest, skip);
                }
                None => free.push(digest),
            }
        }
        let refused = delete_group(ecr, name, &free).await;
        applied.deleted += free.len() - refused.len();
        applied.skipped.extend(refused);
    }
    applied
}

/// Deletes images none of which refers to another; returns those that stay.
async fn delete_group(ecr: &Ecr, name: &str, digests: &[Digest]) -> BTreeMap<Digest, Skip> {
    let wanted: BTreeSet<&Digest> = digests.iter().collect();
    match ecr.delete_images(name, digests).await {
        Ok(refused) => {
            let skips = refused.into_iter().flat_map(|refused| {
                let why = if refused.is_referenced() {
                    "ECR says that an index refers to it (ImageReferencedByManifestList)".to_owned()
                } else {
                    format!(
                        "ECR refuses to delete it: {}: {}",
                        refused.code, refused.reason
                    )
                };
                // Where ECR does not say which one, it may be any.
                let of = refused
                    .digest
                    .map_or_else(|| digests.to_vec(), |digest| vec![digest]);
                of.into_iter()
                    .map(move |digest| (digest, Skip::Refused(why.clone())))
            });
            skips
                .filter(|(digest, _)| wanted.contains(digest))
                .collect()
        }
        Err(error) => {
            // It is not known which of them are gone; the plan can be applied again.
            let skip = Skip::Refused(error.to_string());
            digests
                .iter()
                .map(|digest| (digest.clone(), skip.clone()))
                .collect()
        }
    }
}

async fn delete_repository(ecr: &Ecr, name: &str, needs: &RepositoryNeeds, applied: &mut Applied) {
    let kept = if !applied.skipped.is_empty() {
        Some("not all of its images were deleted".to_owned())
    } else if needs.is_any() {
        Some("a document names it now".to_owned())
    } else {
        match ecr.delete_empty(name).await {
            Ok(Emptied::Deleted | Emptied::Gone) => None,
            Ok(Emptied::InUse) => Some("it has other images".to_owned()),
            Err(error) => Some(error.to_string()),
        }
    };
    applied.repository_deleted = kept.is_none();
    applied.repository_kept = kept;
}
