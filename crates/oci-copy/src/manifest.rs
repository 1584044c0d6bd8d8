//! Content as the OCI image specification describes it: descriptors and manifests. Pure.
//! <https://github.com/opencontainers/image-spec>

mod descriptor;
mod parse;
mod platform;
mod strict_json;
mod walk;

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use serde::Deserialize;

use crate::reference::Digest;

pub use descriptor::{DescribedPlatform, Descriptor};
pub use platform::Platform;
pub use walk::{Budget, MAX_BYTES, MAX_DEPTH, MAX_MANIFESTS, Node, Seen, Visitor, walk};

/// Media types of manifests and configs.
pub mod media_type {
    /// An OCI index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// An OCI manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// Docker's manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// An OCI artifact manifest, which a release candidate of OCI 1.1 had and 1.1 has not.
    pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
    /// The config of an OCI image.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// The config of a Docker image.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// Docker's manifest, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Everything that can be copied, for `Accept`. ECR converts a manifest whose type is not named
    /// here (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-manifest-formats.html>), so
    /// all are, always.
    pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
        application/vnd.oci.image.manifest.v1+json, \
        application/vnd.docker.distribution.manifest.list.v2+json, \
        application/vnd.docker.distribution.manifest.v2+json";
}

/// The annotation that names an artifact in a layout's index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// `BuildKit`'s annotation of an attestation: which manifest it is about.
const ATTESTATION_OF: &str = "vnd.docker.reference.digest";

/// The largest manifest that is taken, in bytes: what ECR takes and the distribution specification
/// asks registries to take.
pub const MAX_MANIFEST: u64 = 4_194_304;

/// The most children of an index, and the most layers of an image, that are taken. Images have at
/// most 127 layers and some twenty platforms; a list of referrers can be longer.
pub const MAX_PARTS: usize = 10_000;

/// The tag under which a registry without a list of referrers keeps one: the digest, at most 64 of its
/// digits (distribution specification, "Referrers Tag Schema").
#[must_use]
pub fn referrers_tag(subject: &Digest) -> String {
    let hex = subject.hex();
    format!("{}-{}", subject.algorithm(), &hex[..hex.len().min(64)])
}

/// The tag under which cosign keeps an artifact of a kind (`sig`, `att`, `sbom`); `None` where no tag can
/// be that long (distribution specification: 128 characters).
#[must_use]
pub fn cosign_tag(subject: &Digest, kind: &str) -> Option<String> {
    let tag = format!("{}-{}.{kind}", subject.algorithm(), subject.hex());
    (tag.len() <= 128).then_some(tag)
}

/// A manifest or index: its exact bytes, and what they refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its media type.
    pub media_type: String,
    /// Its digest, by the algorithm by which it was asked for; SHA-256 if it was asked for by a tag.
    pub digest: Digest,
    /// The bytes, never re-serialised.
    pub bytes: Bytes,
    /// What it refers to.
    pub refers: Refers,
    /// The manifest that it is about: a signature's image.
    pub subject: Option<Digest>,
}

/// What a manifest refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refers {
    /// An image or artifact: config first, then layers.
    Blobs {
        /// The config.
        config: Box<Descriptor>,
        /// The layers, foreign ones included.
        layers: Vec<Descriptor>,
    },
    /// An index: further manifests.
    Manifests(Vec<Descriptor>),
}

/// Why bytes are no manifest that can be copied.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// The long deprecated format of Docker.
    #[error(
        "it is a Docker schema 1 manifest, a format that registries no longer take; its publisher must push it again"
    )]
    Schema1,
    /// The format of a release candidate of OCI 1.1.
    #[error(
        "it is an OCI artifact manifest, a format that OCI 1.1 withdrew and registries do not take; its publisher must push it again"
    )]
    Artifact,
    /// Some other media type.
    #[error("its media type `{0}` is no image manifest and no index")]
    MediaType(String),
    /// Bytes that do not fit the media type.
    #[error("it does not hold what a `{media_type}` must hold")]
    Content {
        /// The media type that was promised.
        media_type: String,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// More parts than anybody needs.
    #[error("it has {found} {what}, more than {MAX_PARTS} are not taken")]
    TooMany {
        /// Layers or manifests.
        what: &'static str,
        /// How many.
        found: usize,
    },
    /// Something longer than any manifest may be.
    #[error("it has {0} bytes, more than {MAX_MANIFEST} are not taken")]
    TooLarge(usize),
}

impl Manifest {
    /// The same, named by another digest of its bytes.
    ///
    /// # Errors
    /// The digest of that algorithm that the bytes have, when it is another one.
    pub fn named(self, digest: &Digest) -> Result<Self, Digest> {
        let found = digest.of_same_kind(&self.bytes);
        if found != *digest {
            return Err(found);
        }
        Ok(Self {
            digest: found,
            ..self
        })
    }

    /// The blobs that are copied with it, layers first; none for an index. Foreign layers are not among
    /// them: registries need not have them.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let (layers, config) = self.blob_descriptors();
        let all = layers.iter().chain(config);
        all.filter(|blob| !blob.is_foreign())
    }

    /// The layers that its publisher keeps elsewhere.
    pub fn foreign_layers(&self) -> impl Iterator<Item = &Descriptor> {
        let layers = self.blob_descriptors().0.iter();
        layers.filter(|layer| layer.is_foreign())
    }

    fn blob_descriptors(&self) -> (&[Descriptor], Option<&Descriptor>) {
        match &self.refers {
            Refers::Blobs { config, layers } => (layers, Some(config)),
            Refers::Manifests(_) => (&[], None),
        }
    }

    /// Everything that it refers to by a digest: its blobs, foreign ones included, or its children.
    pub fn references(&self) -> impl Iterator<Item = &Descriptor> {
        let (layers, config) = self.blob_descriptors();
        layers.iter().chain(config).chain(self.children())
    }

    /// The children of an index, each once, in its order; none for an image.
    #[must_use]
    pub fn children(&self) -> Vec<&Descriptor> {
        let children = match &self.refers {
            Refers::Manifests(children) => children.as_slice(),
            Refers::Blobs { .. } => &[],
        };
        let mut seen = HashSet::new();
        let children = children.iter();
        children
            .filter(|child| seen.insert(&child.digest))
            .collect()
    }

    /// Whether a digest, of whatever algorithm, is one of its bytes.
    #[must_use]
    pub fn has_digest(&self, digest: &Digest) -> bool {
        self.digest == *digest
            || self.digest.algorithm() != digest.algorithm() && digest.is_of(&self.bytes)
    }

    /// The descriptor by which a list of referrers has to name it (distribution specification, "Listing
    /// Referrers"): its annotations, and its artifact type or else the type of its config.
    #[must_use]
    pub fn as_referrer(&self) -> Descriptor {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct About {
            artifact_type: Option<String>,
            annotations: Option<BTreeMap<String, String>>,
        }
        let about = serde_json::from_slice::<About>(&self.bytes).ok();
        let (artifact_type, annotations) = about.map_or((None, None), |about| {
            (about.artifact_type, about.annotations)
        });
        let config = match &self.refers {
            Refers::Blobs { config, .. } => Some(config.media_type.clone()),
            Refers::Manifests(_) => None,
        };
        let is_named = |name: &String| !name.is_empty();
        Descriptor {
            artifact_type: artifact_type.filter(is_named).or(config.filter(is_named)),
            annotations: annotations.unwrap_or_default(),
            ..self.descriptor()
        }
    }

    /// A descriptor of the manifest itself.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            digest: self.digest.clone(),
            ..Descriptor::of(&self.media_type, &self.bytes)
        }
    }

    /// The platforms that an index names, in its order, attestations left out; empty for an image.
    #[must_use]
    pub fn platforms(&self) -> Vec<String> {
        let Refers::Manifests(children) = &self.refers else {
            return Vec::new();
        };
        let known = children
            .iter()
            .filter_map(|child| child.platform.as_ref())
            .filter(|p| p.is_known());
        let mut seen = HashSet::new();
        known
            .map(ToString::to_string)
            .filter(|platform| seen.insert(platform.clone()))
            .collect()
    }

    /// The same with the platforms of children that name none themselves, for [`Manifest::select`]. The
    /// bytes stay.
    #[must_use]
    pub fn with_platforms(mut self, platforms: &HashMap<Digest, DescribedPlatform>) -> Self {
        if let Refers::Manifests(children) = &mut self.refers {
            for child in children.iter_mut().filter(|child| child.platform.is_none()) {
                child.platform = platforms.get(&child.digest).cloned();
            }
        }
        self
    }

    /// The index with only some platforms, and with the attestations of what it keeps; children that
    /// name no platform stay. The rest of the index keeps its text. `None` where nothing changes: for
    /// an image, without wanted platforms, and where every child is wanted.
    ///
    /// # Errors
    /// The platforms that the index does have, when none of them is wanted.
    ///
    /// # Panics
    /// Never: the bytes were parsed before.
    pub fn select(&self, wanted: &[Platform]) -> Result<Option<Self>, Vec<String>> {
        let Refers::Manifests(children) = &self.refers else {
            return Ok(None);
        };
        if wanted.is_empty() {
            return Ok(None);
        }
        let known = |child: &Descriptor| child.platform.clone().filter(DescribedPlatform::is_known);
        let is_wanted =
            |platform: &DescribedPlatform| wanted.iter().any(|one| one.matches(platform));
        let (kept, unwanted): (Vec<&Descriptor>, Vec<&Descriptor>) = children
            .iter()
            .filter(|child| known(child).is_some())
            .partition(|child| known(child).is_some_and(|platform| is_wanted(&platform)));
        if unwanted.is_empty() {
            return Ok(None);
        }
        if kept.is_empty() {
            return Err(self.platforms());
        }
        // One manifest can be listed for several platforms.
        let kept: HashSet<&Digest> = kept.into_iter().map(|child| &child.digest).collect();
        let dropped: HashSet<&Digest> = unwanted
            .into_iter()
            .map(|child| &child.digest)
            .filter(|digest| !kept.contains(digest))
            .collect();
        if dropped.is_empty() {
            return Ok(None);
        }
        let subject = |child: &Descriptor| {
            child
                .annotations
                .get(ATTESTATION_OF)
                .and_then(|text| text.parse().ok())
        };
        let keep: Vec<bool> = children
            .iter()
            .map(|child| {
                let about = subject(child);
                !dropped.contains(&child.digest)
                    && !about.is_some_and(|about: Digest| dropped.contains(&about))
            })
            .collect();
        let mut index: serde_json::Value =
            serde_json::from_slice(&self.bytes).expect("it was parsed before");
        let manifests = index
            .get_mut("manifests")
            .and_then(serde_json::Value::as_array_mut)
            .expect("it was there before");
        let mut kept = keep.iter();
        manifests.retain(|_| *kept.next().expect("one answer for each child"));
        let bytes = Bytes::from(serde_json::to_vec(&index).expect("a value can be written"));
        let selected =
            Self::parse(Some(&self.media_type), bytes).expect("what is kept was valid before");
        Ok(Some(selected))
    }
}

#[cfg(test)]
mod tests;
