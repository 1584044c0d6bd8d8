//! The manifests of an artifact as a preflight read them, for another process. It need not read them
//! again, and takes nothing for granted that a digest can prove.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::manifest::{
    DescribedPlatform, InvalidManifest, MAX_DEPTH, MAX_MANIFESTS, Manifest, Node, Refers,
    cosign_tag,
};
use crate::reference::Digest;

use super::referrers::{COSIGN, MAX_CHAIN, Referrer, Referrers};
use super::resolve::{Resolved, Tree};
use super::{Preflight, Request};

/// What is to be copied of one artifact: see [`Preflight::snapshot`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    root: ManifestNode,
    /// The digest that the artifact's name at the target will have.
    named: Digest,
    referrers: ReferrerNodes,
    notes: Vec<String>,
    /// The platforms of children for which the index names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    described: Vec<(Digest, DescribedPlatform)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ManifestNode {
    digest: Digest,
    media_type: String,
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    bytes: Bytes,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    children: Vec<ManifestNode>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct ReferrerNodes {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    listed: Vec<(ManifestNode, ReferrerNodes)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tagged: Vec<(String, ManifestNode)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    platforms: Vec<(Digest, ReferrerNodes)>,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSnapshot {
    /// Bytes that are no manifest.
    #[error("{digest}: {source}")]
    Manifest {
        /// The digest they were announced with.
        digest: Digest,
        /// What is wrong with them.
        source: InvalidManifest,
    },
    /// Bytes with another digest.
    #[error("{expected} has the digest {found}")]
    Digest {
        /// The announced one.
        expected: Digest,
        /// The one that the bytes have.
        found: Digest,
    },
    /// A manifest that does not belong to the artifact.
    #[error("{0} does not belong to the artifact")]
    Unrelated(Digest),
    /// More manifests, or deeper nesting, than an artifact may have.
    #[error("it has more manifests than an artifact may have")]
    TooMany,
}

impl Preflight {
    /// The manifests that were read; `None` where there is nothing to copy, or it is not known what.
    /// The bytes are shared, not copied.
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        let Some(Resolved::Bring(tree)) = &self.resolved else {
            return None;
        };
        Some(Snapshot {
            root: ManifestNode::of(&tree.root),
            named: tree.named.clone(),
            referrers: ReferrerNodes::of(&tree.referrers),
            notes: tree.notes.clone(),
            described: described(&tree.root.manifest),
        })
    }
}

impl Snapshot {
    /// The bytes of all manifests.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.root.len() + self.referrers.len()
    }

    /// What [`super::Engine::run_after`] needs to copy the artifact without reading its manifests.
    ///
    /// # Errors
    /// When a digest is wrong, or a manifest belongs to another artifact.
    pub fn restore(self, request: &Request) -> Result<Preflight, InvalidSnapshot> {
        let mut left = MAX_MANIFESTS + 1;
        let mut root = self.root.restore(MAX_DEPTH, &mut left)?;
        let named = self.named;
        let pinned = request.target.digest();
        for digest in pinned.iter().chain([&named]) {
            if !root.manifest.has_digest(digest) {
                return Err(mismatch(digest, &root.manifest));
            }
        }
        let referrers = self.referrers.restore(&root, 0, &mut left)?;
        root.manifest = root
            .manifest
            .with_platforms(&self.described.into_iter().collect::<HashMap<_, _>>());
        let tree = Tree {
            root,
            source: None,
            named,
            present: None,
            referrers,
            notes: self.notes,
        };
        Ok(Preflight {
            resolved: Some(Resolved::Bring(Box::new(tree))),
            ..Preflight::default()
        })
    }
}

impl ManifestNode {
    fn of(node: &Node) -> Self {
        Self {
            digest: node.manifest.digest.clone(),
            media_type: node.manifest.media_type.clone(),
            bytes: node.manifest.bytes.clone(),
            children: node.children.iter().map(Self::of).collect(),
        }
    }

    fn len(&self) -> usize {
        self.bytes.len() + self.children.iter().map(Self::len).sum::<usize>()
    }

    fn restore(self, depth: usize, left: &mut usize) -> Result<Node, InvalidSnapshot> {
        *left = left.checked_sub(1).ok_or(InvalidSnapshot::TooMany)?;
        let digest = self.digest;
        let manifest = Manifest::parse(Some(&self.media_type), self.bytes).map_err(|source| {
            let digest = digest.clone();
            InvalidSnapshot::Manifest { digest, source }
        })?;
        let manifest = manifest.named(&digest);
        let manifest = manifest.map_err(|found| InvalidSnapshot::Digest {
            expected: digest,
            found,
        })?;
        if depth == 0 && !self.children.is_empty() {
            return Err(InvalidSnapshot::TooMany);
        }
        let listed = listed(&manifest);
        let children = self.children.into_iter().map(|child| {
            if !listed.contains(&child.digest) {
                return Err(InvalidSnapshot::Unrelated(child.digest));
            }
            child.restore(depth - 1, left)
        });
        let children = children.collect::<Result<_, _>>()?;
        Ok(Node { manifest, children })
    }
}

impl ReferrerNodes {
    fn of(referrers: &Referrers) -> Self {
        let listed = referrers.listed.iter();
        let tagged = referrers.tagged.iter();
        let platforms = referrers.platforms.iter();
        Self {
            listed: listed
                .map(|Referrer { node, next }| (ManifestNode::of(node), Self::of(next)))
                .collect(),
            tagged: tagged
                .map(|(tag, node)| (tag.clone(), ManifestNode::of(node)))
                .collect(),
            platforms: platforms
                .map(|(digest, of)| (digest.clone(), Self::of(of)))
                .collect(),
        }
    }

    fn len(&self) -> usize {
        let listed = self.listed.iter();
        let listed = listed.map(|(node, next)| node.len() + next.len());
        let tagged = self.tagged.iter().map(|(_, node)| node.len());
        let platforms = self.platforms.iter().map(|(_, of)| of.len());
        listed.chain(tagged).chain(platforms).sum()
    }

    fn restore(
        self,
        subject: &Node,
        chain: usize,
        left: &mut usize,
    ) -> Result<Referrers, InvalidSnapshot> {
        let digest = &subject.manifest.digest;
        if chain > MAX_CHAIN {
            return Err(InvalidSnapshot::TooMany);
        }
        let mut referrers = Referrers::default();
        for (node, next) in self.listed {
            let node = node.restore(MAX_DEPTH, left)?;
            let about = node.manifest.subject.as_ref();
            if about.is_none_or(|about| !subject.manifest.has_digest(about)) {
                return Err(InvalidSnapshot::Unrelated(node.manifest.digest));
            }
            let next = next.restore(&node, chain + 1, left)?;
            referrers.listed.push(Referrer { node, next });
        }
        for (tag, node) in self.tagged {
            let mut tags = COSIGN.iter().filter_map(|kind| cosign_tag(digest, kind));
            if !tags.any(|known| known == tag) {
                return Err(InvalidSnapshot::Unrelated(node.digest));
            }
            referrers.tagged.push((tag, node.restore(MAX_DEPTH, left)?));
        }
        for (platform, of) in self.platforms {
            let mut children = subject.children.iter();
            let child = children.find(|child| child.manifest.digest == platform);
            let child = child.ok_or(InvalidSnapshot::Unrelated(platform))?;
            let of = of.restore(child, chain, left)?;
            let digest = child.manifest.digest.clone();
            referrers.platforms.push((digest, of));
        }
        Ok(referrers)
    }
}

/// The children whose platform a selection has found out: the bytes of the index do not have it.
fn described(index: &Manifest) -> Vec<(Digest, DescribedPlatform)> {
    let (Refers::Manifests(children), Ok(written)) = (
        &index.refers,
        Manifest::parse(Some(&index.media_type), index.bytes.clone()),
    ) else {
        return Vec::new();
    };
    let Refers::Manifests(written) = written.refers else {
        return Vec::new();
    };
    let pairs = children.iter().zip(&written);
    pairs
        .filter(|(_, written)| written.platform.is_none())
        .filter_map(|(child, _)| Some((child.digest.clone(), child.platform.clone()?)))
        .collect()
}

fn listed(index: &Manifest) -> HashSet<&Digest> {
    match &index.refers {
        Refers::Manifests(children) => children.iter().map(|child| &child.digest).collect(),
        Refers::Blobs { .. } => HashSet::new(),
    }
}

fn mismatch(expected: &Digest, manifest: &Manifest) -> InvalidSnapshot {
    InvalidSnapshot::Digest {
        expected: expected.clone(),
        found: expected.of_same_kind(&manifest.bytes),
    }
}

fn to_base64<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests;
