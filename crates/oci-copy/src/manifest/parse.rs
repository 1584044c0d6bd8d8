//! Bytes -> [`Manifest`].

use bytes::Bytes;
use serde::Deserialize;

use crate::reference::Digest;

use super::descriptor::null_is_empty;
use super::strict_json::Strict;
use super::{Descriptor, InvalidManifest, MAX_MANIFEST, MAX_PARTS, Manifest, Refers, media_type};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    media_type: Option<serde_json::Value>,
    schema_version: Option<serde_json::Value>,
    config: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Subject {
    digest: Digest,
}

#[derive(Deserialize)]
struct ImageContent {
    subject: Option<Subject>,
    config: Descriptor,
    #[serde(default, deserialize_with = "null_is_empty")]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct IndexContent {
    subject: Option<Subject>,
    #[serde(deserialize_with = "null_is_empty")]
    manifests: Vec<Descriptor>,
}

impl Probe {
    /// The media type: the one that the bytes name, since the digest covers them; else the announced
    /// one; else the one that fits.
    fn decide(self, announced: Option<&str>) -> Result<String, InvalidManifest> {
        let is_known = |media_type: &str| {
            let all = [
                media_type::OCI_INDEX,
                media_type::OCI_MANIFEST,
                media_type::DOCKER_LIST,
                media_type::DOCKER_MANIFEST,
                media_type::OCI_ARTIFACT,
            ];
            all.contains(&media_type)
        };
        let own = self.media_type.as_ref().and_then(serde_json::Value::as_str);
        if let Some(own) = own.filter(|own| is_known(own)) {
            return Ok(own.to_owned());
        }
        if let Some(announced) = announced {
            return Ok(announced.to_owned());
        }
        if let Some(own) = own.filter(|own| !own.is_empty()) {
            return Ok(own.to_owned());
        }
        if self.schema_version == Some(1.into()) {
            return Err(InvalidManifest::Schema1);
        }
        if self.manifests.is_some() {
            return Ok(media_type::OCI_INDEX.to_owned());
        }
        if self.config.is_some() {
            return Ok(media_type::OCI_MANIFEST.to_owned());
        }
        Err(InvalidManifest::MediaType(String::new()))
    }
}

fn check_count(what: &'static str, found: usize) -> Result<(), InvalidManifest> {
    if found > MAX_PARTS {
        return Err(InvalidManifest::TooMany { what, found });
    }
    Ok(())
}

impl Manifest {
    /// Reads a manifest. `content_type` is what the registry says it is; where that is no manifest
    /// type (some answer `application/json`), the bytes themselves decide.
    ///
    /// # Errors
    /// When it is nothing that can be copied.
    pub fn parse(content_type: Option<&str>, bytes: Bytes) -> Result<Self, InvalidManifest> {
        let broken = |media_type: &str| {
            let media_type = media_type.to_owned();
            move |source| InvalidManifest::Content { media_type, source }
        };
        if bytes.len() as u64 > MAX_MANIFEST {
            return Err(InvalidManifest::TooLarge(bytes.len()));
        }
        let announced = content_type.map(|text| text.split(';').next().unwrap_or(text).trim());
        let announced =
            announced.filter(|text| text.contains("manifest") || text.contains("index"));
        let probe: Probe =
            serde_json::from_slice(&bytes).map_err(broken(announced.unwrap_or("manifest")))?;
        let media_type = probe.decide(announced)?;
        let (refers, subject) = match media_type.as_str() {
            media_type::OCI_INDEX | media_type::DOCKER_LIST => {
                let index: IndexContent =
                    serde_json::from_slice(&bytes).map_err(broken(&media_type))?;
                check_count("manifests", index.manifests.len())?;
                // A selection of platforms reads all of it, and the parts above may have been skipped.
                serde_json::from_slice::<Strict>(&bytes).map_err(broken(&media_type))?;
                (Refers::Manifests(index.manifests), index.subject)
            }
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => {
                let image: ImageContent =
                    serde_json::from_slice(&bytes).map_err(broken(&media_type))?;
                check_count("layers", image.layers.len())?;
                (
                    Refers::Blobs {
                        config: Box::new(image.config),
                        layers: image.layers,
                    },
                    image.subject,
                )
            }
            media_type::OCI_ARTIFACT => return Err(InvalidManifest::Artifact),
            other if other.starts_with("application/vnd.docker.distribution.manifest.v1") => {
                return Err(InvalidManifest::Schema1);
            }
            other => return Err(InvalidManifest::MediaType(other.to_owned())),
        };
        Ok(Self {
            digest: Digest::of(&bytes),
            media_type,
            bytes,
            refers,
            subject: subject.map(|subject| subject.digest),
        })
    }
}
