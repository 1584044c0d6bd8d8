//! What a repository has, and what refers to what in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use oci_copy::reference::Digest;

use crate::timestamp::Timestamp;

/// The images of a repository by their digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contents(pub BTreeMap<Digest, Image>);

/// A manifest of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Image {
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// When it was pushed; `None` if ECR does not say.
    pub pushed: Option<Timestamp>,
    /// When it was last pulled by anything but this command.
    pub pulled: Option<Timestamp>,
    /// Its bytes; of an index those of its largest image.
    pub size: Option<u64>,
    /// Whether it is an index.
    pub is_index: bool,
    /// The manifests that it consists of, if it is an index.
    pub children: BTreeSet<Digest>,
    /// What it refers to as its subject.
    pub subject: Option<Digest>,
    /// Its layers and config with their bytes, where its manifest was read.
    pub blobs: Option<BTreeMap<Digest, u64>>,
    /// Why it stays, whatever else is known: its manifest cannot be read.
    pub unreadable: bool,
}

/// What refers to what within a repository.
#[derive(Debug, Default)]
pub(super) struct Relations<'a> {
    children: HashMap<&'a Digest, BTreeSet<&'a Digest>>,
    indexes: HashMap<&'a Digest, BTreeSet<&'a Digest>>,
    subjects: HashMap<&'a Digest, BTreeSet<&'a Digest>>,
    referrers: HashMap<&'a Digest, BTreeSet<&'a Digest>>,
}

impl Contents {
    /// What refers to what. Referrers are known by their subject, or by a tag of cosign or of a registry without the
    /// referrers API: `sha256-<hex>`, with an ending such as `.sig` or without one.
    #[must_use]
    pub(super) fn relations(&self) -> Relations<'_> {
        let mut relations = Relations::default();
        for (digest, image) in &self.0 {
            let existing = |other: &Digest| self.0.get_key_value(other).map(|(other, _)| other);
            for child in image.children.iter().filter_map(existing) {
                let children = relations.children.entry(digest).or_default();
                children.insert(child);
                relations.indexes.entry(child).or_default().insert(digest);
            }
            let by_tag = image.tags.iter().filter_map(|tag| subject_of_tag(tag));
            for subject in image.subject.iter().cloned().chain(by_tag) {
                // One that names itself refers to nothing.
                let Some(subject) = existing(&subject).filter(|subject| *subject != digest) else {
                    continue;
                };
                relations
                    .subjects
                    .entry(digest)
                    .or_default()
                    .insert(subject);
                let referrers = relations.referrers.entry(subject).or_default();
                referrers.insert(digest);
            }
        }
        relations
    }
}

impl<'a> Relations<'a> {
    /// The manifests that an index consists of.
    pub(super) fn children(&self, digest: &Digest) -> impl Iterator<Item = &'a Digest> + use<'a> {
        of(&self.children, digest)
    }

    /// The indexes that a manifest is part of.
    pub(super) fn indexes(&self, digest: &Digest) -> impl Iterator<Item = &'a Digest> + use<'a> {
        of(&self.indexes, digest)
    }

    /// What a manifest is a signature, attestation or SBOM of.
    pub(super) fn subjects(&self, digest: &Digest) -> impl Iterator<Item = &'a Digest> + use<'a> {
        of(&self.subjects, digest)
    }

    /// The signatures, attestations and SBOMs of a manifest.
    pub(super) fn referrers(&self, digest: &Digest) -> impl Iterator<Item = &'a Digest> + use<'a> {
        of(&self.referrers, digest)
    }

    /// What stays with a manifest that stays: the parts of an index, its referrers, and what it refers to.
    pub(super) fn stay_with(&self, digest: &Digest) -> impl Iterator<Item = &'a Digest> + use<'a> {
        let below = self.children(digest).chain(self.referrers(digest));
        below.chain(self.subjects(digest))
    }

    /// What can be deleted only after a manifest.
    pub(super) fn after(&self, digest: &Digest) -> impl Iterator<Item = &'a Digest> + use<'a> {
        self.children(digest).chain(self.subjects(digest))
    }

    /// What has to be deleted before a manifest, so that nothing refers to what is gone.
    pub(super) fn before(&self, digest: &Digest) -> impl Iterator<Item = &'a Digest> + use<'a> {
        self.indexes(digest).chain(self.referrers(digest))
    }
}

fn of<'a>(
    map: &HashMap<&'a Digest, BTreeSet<&'a Digest>>,
    digest: &Digest,
) -> impl Iterator<Item = &'a Digest> + use<'a> {
    let found = map.get(digest).cloned().unwrap_or_default();
    found.into_iter()
}

/// What a tag of cosign (`sha256-<hex>.sig`), or of a list of referrers (`sha256-<hex>`), is about.
fn subject_of_tag(tag: &str) -> Option<Digest> {
    let (algorithm, rest) = tag.split_once('-')?;
    let hex = rest.split('.').next()?;
    format!("{algorithm}:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_cosign_and_of_lists_of_referrers_name_their_subject() {
        let digest = Digest::of(b"x");
        let tag = format!("sha256-{}", digest.hex());
        for end in ["", ".sig", ".att", ".sbom", ".other.more"] {
            assert_eq!(subject_of_tag(&format!("{tag}{end}")), Some(digest.clone()));
        }
        for other in ["1.0", "sha256-12", "v-1", "sha256-", &format!("x{tag}")] {
            assert_eq!(subject_of_tag(other), None, "{other}");
        }
    }
}
