//! What of a plan can still be deleted, now that the repository was looked at again.

use std::collections::{BTreeMap, BTreeSet};

use oci_copy::reference::Digest;

use super::contents::{Contents, Image};
use super::select::{Keep, Selection};
use crate::document::PrunedImage;
use crate::timestamp::Timestamp;

/// Why something that a plan has is not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Skip {
    /// It stays now.
    Kept(Keep),
    /// It has other tags than when the plan was made.
    Tags(BTreeSet<String>),
    /// It was pushed again.
    Pushed,
    /// It was pulled since the plan was made.
    Pulled(Timestamp),
    /// Something that the plan does not have refers to it.
    Referenced(Digest),
    /// It belongs to another image that is skipped.
    With(Digest),
    /// The repository is not ours any more, or cannot be understood.
    Repository(String),
    /// ECR refuses to delete it, or a call failed.
    Refused(String),
}

impl Skip {
    /// The reason as text.
    #[must_use]
    pub(super) fn words(&self) -> String {
        match self {
            Self::Kept(keep) => keep.words(),
            Self::Tags(tags) if tags.is_empty() => "it has lost its tags".to_owned(),
            Self::Tags(tags) => {
                let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
                format!("it has other tags now: {}", tags.join(", "))
            }
            Self::Pushed => "it was pushed again".to_owned(),
            Self::Pulled(time) => format!("pulled at {time}"),
            Self::Referenced(digest) => {
                format!("{digest}, which the plan does not have, refers to it")
            }
            Self::With(digest) => format!("belongs to {digest}, which is skipped"),
            Self::Repository(why) | Self::Refused(why) => why.clone(),
        }
    }
}

/// What of a plan's images can be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Checked {
    /// These.
    pub(super) delete: BTreeSet<Digest>,
    /// Not these, each with the reason.
    pub(super) skipped: BTreeMap<Digest, Skip>,
    /// These do not exist any more.
    pub(super) gone: usize,
}

/// Compares a plan's images with what a repository has now: only what has not changed and is still not needed is
/// deleted, and nothing that belongs to something that stays.
#[must_use]
pub(super) fn check(
    planned: &[PrunedImage],
    contents: &Contents,
    selection: &Selection,
) -> Checked {
    let mut checked = Checked::default();
    let relations = contents.relations();
    let of_plan: BTreeSet<&Digest> = planned.iter().map(|image| &image.digest).collect();
    for image in planned {
        let digest = &image.digest;
        let Some(now) = contents.0.get(digest) else {
            checked.gone += 1;
            continue;
        };
        let others = relations.before(digest);
        let mut others = others.filter(|other| !of_plan.contains(*other));
        let kept = selection.keep.get(digest).cloned();
        let skip = kept
            .map(Skip::Kept)
            .or_else(|| change(image, now))
            .or_else(|| others.next().cloned().map(Skip::Referenced));
        if let Some(skip) = skip {
            checked.skipped.insert(digest.clone(), skip);
        } else {
            checked.delete.insert(digest.clone());
        }
    }
    let mut open: Vec<Digest> = checked.skipped.keys().cloned().collect();
    while let Some(digest) = open.pop() {
        for other in relations.stay_with(&digest) {
            if checked.delete.remove(other) {
                let skip = Skip::With(digest.clone());
                checked.skipped.insert(other.clone(), skip);
                open.push(other.clone());
            }
        }
    }
    checked
}

/// What has changed about an image.
fn change(planned: &PrunedImage, now: &Image) -> Option<Skip> {
    if now.tags != planned.tags {
        return Some(Skip::Tags(now.tags.clone()));
    }
    if now.pushed != planned.pushed_at {
        return Some(Skip::Pushed);
    }
    now.pulled
        .filter(|_| now.pulled != planned.pulled_at)
        .map(Skip::Pulled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::needs::RepositoryNeeds;
    use crate::prune::select::select;

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn old() -> Image {
        Image {
            pushed: Some(Timestamp::from_seconds(1)),
            ..Image::default()
        }
    }

    /// An index with a platform, and another image, all of which nothing needs.
    fn contents() -> Contents {
        let index = Image {
            is_index: true,
            children: [digest("platform")].into(),
            ..old()
        };
        let images = [("index", index), ("platform", old()), ("other", old())];
        Contents(images.map(|(name, image)| (digest(name), image)).into())
    }

    fn planned(contents: &Contents) -> Vec<PrunedImage> {
        let images = contents.0.iter().map(|(digest, image)| PrunedImage {
            digest: digest.clone(),
            tags: image.tags.clone(),
            media_type: None,
            size: None,
            pushed_at: image.pushed,
            pulled_at: image.pulled,
        });
        images.collect()
    }

    /// What is skipped when a repository changes after the plan.
    fn skipped(change: impl FnOnce(&mut Contents)) -> BTreeMap<Digest, Skip> {
        let plan = planned(&contents());
        let mut now = contents();
        change(&mut now);
        let selection = select(
            &now,
            &RepositoryNeeds::default(),
            Timestamp::from_seconds(1000),
        );
        let checked = check(&plan, &now, &selection);
        assert!(
            checked
                .delete
                .is_disjoint(&checked.skipped.keys().cloned().collect())
        );
        checked.skipped
    }

    #[test]
    fn what_did_not_change_is_deleted() {
        assert_eq!(skipped(|_| {}), BTreeMap::new());
        assert_eq!(
            skipped(|now| drop(now.0.remove(&digest("index")))),
            BTreeMap::new()
        );
    }

    #[test]
    fn what_changed_is_skipped_with_all_that_belongs_to_it() {
        let index = [digest("index"), digest("platform")];
        let changes: [fn(&mut Image); 3] = [
            |image| image.tags.extend(["new".to_owned()]),
            |image| image.pushed = Some(Timestamp::from_seconds(2)),
            |image| image.pulled = Some(Timestamp::from_seconds(3)),
        ];
        for change in changes {
            let skipped = skipped(|now| change(now.0.get_mut(&digest("index")).unwrap()));
            let mut names: Vec<Digest> = skipped.keys().cloned().collect();
            names.sort_by_key(|name| *name != index[0]);
            assert_eq!(names, index);
        }
    }

    #[test]
    fn what_something_new_refers_to_is_skipped() {
        let new_index = Image {
            is_index: true,
            children: [digest("other")].into(),
            ..old()
        };
        let skipped_by = skipped(|now| drop(now.0.insert(digest("new"), new_index)));
        assert_eq!(
            skipped_by,
            [(digest("other"), Skip::Referenced(digest("new")))].into()
        );
        let referrer = Image {
            subject: Some(digest("index")),
            pushed: Some(Timestamp::from_seconds(2000)),
            ..old()
        };
        let skipped = skipped(|now| drop(now.0.insert(digest("signature"), referrer)));
        assert_eq!(skipped.len(), 2);
        assert!(!skipped.contains_key(&digest("other")));
    }
}
