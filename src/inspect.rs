//! What an artifact at a registry or in a folder is made of. Reads manifests and small configs, no layers.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use oci_copy::manifest::{DescribedPlatform, Descriptor, Manifest, Refers, cosign_tag};
use oci_copy::reference::{Digest, Location};
use oci_copy::store::{Error, Source, Stores, TagOrDigest, read_whole, tag_or_digest};

/// The most manifests of an index that are read.
const MAX_CHILDREN: usize = 200;
/// The largest config that is read, in bytes. Those of images have a few kilobytes.
const MAX_CONFIG: u64 = 1024 * 1024;
/// How many manifests are read in parallel.
const AT_ONCE: usize = 8;
/// What cosign's tags end in, and what that is.
const COSIGN: [(&str, &str); 3] = [
    ("sig", "signature"),
    ("att", "attestation"),
    ("sbom", "SBOM"),
];

/// An artifact.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The reference that was asked for.
    pub reference: String,
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// The media type of its manifest or index.
    pub media_type: String,
    /// What kind of artifact it is, where that is not an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The bytes of everything below it, each blob once, as they are stored.
    pub size: u64,
    /// Its own annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its images: one for each platform of an index.
    pub images: Vec<Image>,
    /// What refers to it by OCI's referrers.
    pub referrers: Vec<Referrer>,
    /// What refers to it by cosign's tags.
    pub signatures: Vec<Signature>,
    /// What could not be found out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An image: config and layers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Its platform, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The media type of its manifest.
    pub media_type: String,
    /// The bytes of its config and layers.
    pub size: u64,
    /// When it was built, as its config says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Its layers.
    pub layers: Vec<Layer>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
}

/// What refers to an artifact.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    /// What kind of artifact it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its digest.
    pub digest: Digest,
    /// The bytes of its manifest.
    pub size: u64,
    /// Its annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What refers to an artifact by its tag.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    /// A signature, an attestation or an SBOM.
    pub kind: &'static str,
    /// The tag.
    pub tag: String,
    /// What the tag names.
    pub digest: Digest,
}

#[derive(Default, Deserialize)]
struct Config {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    created: Option<String>,
}

/// Inspects an artifact; `None` where it does not exist.
///
/// # Errors
/// When it cannot be read, or is not an artifact. Referrers that cannot be listed are a note.
pub async fn inspect(
    stores: &Stores,
    location: &Location,
    reference: &str,
) -> Result<Option<Inspection>, Error> {
    let source = stores.source(location)?;
    let Some(manifest) = source.manifest(&tag_or_digest(location)).await? else {
        return Ok(None);
    };
    let mut notes = Vec::new();
    let read = ArtifactReader {
        stores,
        source: Arc::clone(&source),
    };
    let images = match &manifest.refers {
        Refers::Blobs { .. } => vec![read.image(&manifest, None).await],
        Refers::Manifests(_) => read.images(&manifest, &mut notes).await?,
    };
    let (referrers, signatures) = read.referrers(&manifest.digest, &mut notes).await;
    let about = manifest.as_referrer();
    let mut blobs: BTreeMap<&Digest, u64> = BTreeMap::new();
    blobs.extend(
        images
            .iter()
            .flat_map(|image| &image.layers)
            .map(|layer| (&layer.digest, layer.size)),
    );
    let layers: u64 = blobs.values().sum();
    let configs: u64 = images
        .iter()
        .map(|image| image.size - image.layers.iter().map(|layer| layer.size).sum::<u64>())
        .sum();
    Ok(Some(Inspection {
        reference: reference.to_owned(),
        digest: manifest.digest.clone(),
        media_type: manifest.media_type.clone(),
        artifact_type: about.artifact_type.filter(|kind| {
            !kind.ends_with(".image.config.v1+json") && !kind.ends_with(".container.image.v1+json")
        }),
        size: layers + configs,
        annotations: about.annotations,
        images,
        referrers,
        signatures,
        notes,
    }))
}

struct ArtifactReader<'a> {
    stores: &'a Stores,
    source: Arc<dyn Source>,
}

impl ArtifactReader<'_> {
    /// The images of an index, in its order, without attestations.
    async fn images(&self, index: &Manifest, notes: &mut Vec<String>) -> Result<Vec<Image>, Error> {
        let children = index.children();
        let is_image = |child: &&&Descriptor| {
            child
                .platform
                .as_ref()
                .is_none_or(DescribedPlatform::is_known)
        };
        let children: Vec<&Descriptor> = children.iter().filter(is_image).copied().collect();
        if children.len() > MAX_CHILDREN {
            let more = children.len() - MAX_CHILDREN;
            notes.push(format!("{more} more manifests are not shown"));
        }
        let read = children
            .into_iter()
            .take(MAX_CHILDREN)
            .map(|child| async move {
                let which = TagOrDigest::Digest(child.digest.clone());
                Ok::<_, Error>(match self.source.manifest(&which).await? {
                    Some(manifest) => Ok(self.image(&manifest, Some(child)).await),
                    None => Err(format!("{} is in the index, but not there", child.digest)),
                })
            });
        let read: Vec<_> = stream::iter(read).buffered(AT_ONCE).collect().await;
        let mut images = Vec::new();
        for image in read {
            match image? {
                Ok(image) => images.push(image),
                Err(note) => notes.push(note),
            }
        }
        Ok(images)
    }

    async fn image(&self, manifest: &Manifest, described: Option<&Descriptor>) -> Image {
        let mut config = Config::default();
        let mut layers = Vec::new();
        if let Refers::Blobs {
            config: descriptor,
            layers: all,
        } = &manifest.refers
        {
            config = self.config(descriptor).await;
            layers = all
                .iter()
                .map(|layer| Layer {
                    media_type: layer.media_type.clone(),
                    digest: layer.digest.clone(),
                    size: layer.size,
                })
                .collect();
        }
        let platform = described
            .and_then(|child| child.platform.as_ref())
            .map(ToString::to_string);
        let configured = || {
            let (os, architecture) = (config.os.as_ref()?, config.architecture.as_ref()?);
            let variant = config.variant.iter().map(|variant| format!("/{variant}"));
            Some(format!(
                "{os}/{architecture}{}",
                variant.collect::<String>()
            ))
        };
        let platform = platform.or_else(configured);
        let size = manifest
            .references()
            .map(|part| part.size)
            .fold(0, u64::saturating_add);
        Image {
            platform,
            digest: manifest.digest.clone(),
            media_type: manifest.media_type.clone(),
            size,
            created: config.created,
            layers,
        }
    }

    /// A config as far as it can be read: of other artifacts than images it is something else.
    async fn config(&self, descriptor: &Descriptor) -> Config {
        if descriptor.size > MAX_CONFIG || !descriptor.media_type.contains("image") {
            return Config::default();
        }
        let policy = self.stores.http().policy();
        let read = read_whole(Arc::clone(&self.source), descriptor, policy.clone()).await;
        let config = read
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        config.unwrap_or_default()
    }

    async fn referrers(
        &self,
        subject: &Digest,
        notes: &mut Vec<String>,
    ) -> (Vec<Referrer>, Vec<Signature>) {
        let tags = COSIGN
            .iter()
            .filter_map(|(end, kind)| Some((cosign_tag(subject, end)?, *kind)));
        let tags: BTreeMap<String, &'static str> = tags.collect();
        let names: Vec<String> = tags.keys().cloned().collect();
        let (listed, tagged) = tokio::join!(
            self.source.referrers(subject),
            self.source.find_tags(&names)
        );
        let mut take =
            |what: &str, error: &Error| notes.push(format!("{what} could not be listed: {error}"));
        let listed = listed.map_err(|error| take("referrers", &error));
        let tagged = tagged.map_err(|error| take("signatures", &error));
        let mut referrers = Vec::new();
        let mut signatures = Vec::new();
        if let Ok(listed) = listed {
            notes.extend(listed.notes);
            referrers.extend(listed.found.into_iter().map(|one| Referrer {
                artifact_type: one.artifact_type,
                digest: one.digest,
                size: one.size,
                annotations: one.annotations,
            }));
        }
        if let Ok(tagged) = tagged {
            notes.extend(tagged.notes);
            // Some registries answer any tag of this form with the image itself.
            let others = tagged
                .found
                .into_iter()
                .filter(|(_, digest)| digest != subject);
            signatures.extend(others.filter_map(|(tag, digest)| {
                Some(Signature {
                    kind: tags.get(&tag)?,
                    tag,
                    digest,
                })
            }));
        }
        (referrers, signatures)
    }
}
