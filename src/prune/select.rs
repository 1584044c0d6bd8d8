//! Which images of a repository stay, and why.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use oci_copy::reference::Digest;

use super::contents::{Contents, Image, Relations};
use super::needs::RepositoryNeeds;
use crate::timestamp::Timestamp;

/// Why an image stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keep {
    /// A document names its digest or one of its tags.
    Needed(String),
    /// A document may name anything in the repository.
    Whole(String),
    /// It was pulled since.
    Pulled(Timestamp),
    /// It was pushed since.
    Pushed(Timestamp),
    /// It is not known when it was pushed.
    UnknownAge,
    /// Its manifest cannot be read.
    Unreadable,
    /// It belongs to another image that stays.
    With(Digest),
}

impl Keep {
    /// The reason as text.
    #[must_use]
    pub(super) fn words(&self) -> String {
        match self {
            Self::Needed(document) => format!("needed by {document}"),
            Self::Whole(document) => {
                format!("{document} records no digests and may name anything in the repository")
            }
            Self::Pulled(time) => format!("pulled on {}", time.date()),
            Self::Pushed(time) => format!("pushed on {}", time.date()),
            Self::UnknownAge => "ECR does not say when it was pushed".to_owned(),
            Self::Unreadable => "its manifest cannot be read".to_owned(),
            Self::With(digest) => format!("belongs to {digest}, which stays"),
        }
    }

    /// Whether the image was used itself, as opposed to belonging to something.
    fn is_recent(&self) -> bool {
        matches!(self, Self::Pulled(_) | Self::Pushed(_) | Self::UnknownAge)
    }
}

/// What stays in a repository, and what nothing needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    /// What stays, each with the reason.
    pub keep: BTreeMap<Digest, Keep>,
    /// The rest.
    pub remove: BTreeSet<Digest>,
}

/// Selects what nothing needs and nothing has used since a point in time.
///
/// What is needed or used stays with all that belongs to it: the platforms of an index, signatures and what they sign.
/// A platform that was pulled keeps the indexes that it is part of, unless one of them stays anyway: ECR records pulls
/// of an index at most once a day.
#[must_use]
pub(super) fn select(contents: &Contents, needs: &RepositoryNeeds, since: Timestamp) -> Selection {
    let relations = contents.relations();
    let mut kept = Kept {
        keep: BTreeMap::new(),
        relations: &relations,
    };
    for (digest, image) in &contents.0 {
        if let Some(reason) = own_reason(digest, image, needs, since) {
            kept.keep.insert(digest.clone(), reason);
        }
    }
    let own: Vec<Digest> = kept.keep.keys().cloned().collect();
    kept.spread(own);
    loop {
        let indexes = kept.used_indexes();
        if indexes.is_empty() {
            break;
        }
        let found = indexes.keys().cloned().collect();
        kept.keep.extend(indexes);
        kept.spread(found);
    }
    let keep = kept.keep;
    let remove = contents
        .0
        .keys()
        .filter(|digest| !keep.contains_key(digest));
    Selection {
        remove: remove.cloned().collect(),
        keep,
    }
}

fn own_reason(
    digest: &Digest,
    image: &Image,
    needs: &RepositoryNeeds,
    since: Timestamp,
) -> Option<Keep> {
    if let Some(document) = &needs.whole {
        return Some(Keep::Whole(document.clone()));
    }
    let by_tag = || image.tags.iter().find_map(|tag| needs.tags.get(tag));
    if let Some(document) = needs.digests.get(digest).or_else(by_tag) {
        return Some(Keep::Needed(document.clone()));
    }
    if image.unreadable {
        return Some(Keep::Unreadable);
    }
    let Some(pushed) = image.pushed else {
        return Some(Keep::UnknownAge);
    };
    let pulled = image.pulled.filter(|time| *time >= since);
    let pushed = Some(pushed).filter(|time| *time >= since);
    pulled.map(Keep::Pulled).or(pushed.map(Keep::Pushed))
}

struct Kept<'a> {
    keep: BTreeMap<Digest, Keep>,
    relations: &'a Relations<'a>,
}

impl Kept<'_> {
    /// Keeps what belongs to images that stay.
    fn spread(&mut self, mut open: Vec<Digest>) {
        while let Some(digest) = open.pop() {
            for other in self.relations.stay_with(&digest) {
                if !self.keep.contains_key(other) {
                    self.keep.insert(other.clone(), Keep::With(digest.clone()));
                    open.push(other.clone());
                }
            }
        }
    }

    /// The indexes of platforms that were used, where none of them stays anyway.
    fn used_indexes(&self) -> BTreeMap<Digest, Keep> {
        let mut indexes = BTreeMap::new();
        let recent = self.keep.iter().filter(|(_, reason)| reason.is_recent());
        for (digest, _) in recent {
            let of: Vec<&Digest> = self.relations.indexes(digest).collect();
            if !of.iter().any(|index| self.keep.contains_key(*index)) {
                let of = of.into_iter().cloned();
                indexes.extend(of.map(|index| (index, Keep::With(digest.clone()))));
            }
        }
        indexes
    }
}

/// The order of deletion: groups, each of which can be deleted once those before it are. Indexes come before their
/// platforms, and signatures before what they sign.
#[must_use]
pub(super) fn order(contents: &Contents, remove: &BTreeSet<Digest>) -> Vec<Vec<Digest>> {
    let relations = contents.relations();
    let mut left: BTreeSet<&Digest> = remove.iter().collect();
    let waits = remove.iter().map(|digest| {
        let before = relations.before(digest);
        (digest, before.filter(|one| remove.contains(*one)).count())
    });
    let mut waits: HashMap<&Digest, usize> = waits.collect();
    let mut groups = Vec::new();
    let mut group: Vec<&Digest> = left.iter().copied().filter(|one| waits[one] == 0).collect();
    while !left.is_empty() {
        if group.is_empty() {
            group = without_order(&relations, &left);
        }
        let mut next = Vec::new();
        for digest in &group {
            left.remove(digest);
        }
        for digest in &group {
            for after in relations.after(digest) {
                let wait = waits.get_mut(after).filter(|wait| **wait > 0);
                if let Some(wait) = wait {
                    *wait -= 1;
                    if *wait == 0 && left.contains(after) {
                        next.push(after);
                    }
                }
            }
        }
        groups.push(group.into_iter().cloned().collect());
        group = next;
    }
    groups
}

/// What is deleted next where everything waits for something: a signature can be of an index that it is part of. ECR
/// insists only on indexes before their parts.
fn without_order<'a>(relations: &Relations<'_>, left: &BTreeSet<&'a Digest>) -> Vec<&'a Digest> {
    let is_free = |digest: &&'a Digest| !relations.indexes(digest).any(|one| left.contains(one));
    let free: Vec<&Digest> = left.iter().copied().filter(is_free).collect();
    if free.is_empty() {
        left.iter().copied().collect()
    } else {
        free
    }
}

/// The bytes that ECR stops billing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Freed {
    /// The bytes.
    pub bytes: u64,
    /// Whether layers that images share are counted once, and not at all where an image that stays has them. Else the
    /// images' own sizes are added up, which is at least as much.
    pub is_exact: bool,
}

/// What a deletion frees in a repository, whose layers ECR stores and bills once each.
#[must_use]
pub(super) fn freed(contents: &Contents, remove: &BTreeSet<Digest>) -> Freed {
    let images = || contents.0.iter().filter(|(_, image)| !image.is_index);
    let is_removed = |digest: &&Digest| remove.contains(*digest);
    let all_read = images().all(|(_, image)| image.blobs.is_some());
    if all_read {
        let blobs = |removed: bool| {
            let images = images().filter(move |(digest, _)| is_removed(digest) == removed);
            let blobs = images.filter_map(|(_, image)| image.blobs.as_ref());
            blobs.flatten().collect::<BTreeMap<&Digest, &u64>>()
        };
        let stay = blobs(false);
        let gone = blobs(true).into_iter();
        let gone = gone.filter(|(digest, _)| !stay.contains_key(digest));
        return Freed {
            bytes: gone.fold(0, |sum, (_, size)| sum.saturating_add(*size)),
            is_exact: true,
        };
    }
    let sizes = images()
        .filter(|(digest, _)| is_removed(digest))
        .filter_map(|(_, image)| image.size);
    Freed {
        bytes: sizes.fold(0, u64::saturating_add),
        is_exact: false,
    }
}

#[cfg(test)]
mod tests;
