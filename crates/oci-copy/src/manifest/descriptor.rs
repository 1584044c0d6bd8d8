//! Descriptors: what content is and how to find it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::reference::Digest;

/// What content is and how to find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its media type.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What kind of artifact it is, in a list of referrers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What it runs on, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<DescribedPlatform>,
    /// Annotations.
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Where else it can be fetched: foreign layers.
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub urls: Vec<String>,
    /// The content itself in Base64, which a descriptor may hold
    /// (<https://github.com/opencontainers/image-spec/blob/main/descriptor.md#embedded-content>).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// Programs in Go write null for a list that is empty.
pub(super) fn null_is_empty<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The platform in an index's descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedPlatform {
    /// Operating system.
    #[serde(default)]
    pub os: String,
    /// Version of the operating system, which Windows images have.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Architecture.
    #[serde(default)]
    pub architecture: String,
    /// Variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl DescribedPlatform {
    /// Whether it is a platform at all: `BuildKit` gives its attestations the platform unknown/unknown.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.os != "unknown" && !self.os.is_empty()
    }
}

impl std::fmt::Display for DescribedPlatform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant
            .iter()
            .try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl Descriptor {
    /// Whether it is a layer that registries need not have: its publisher keeps it elsewhere.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        let is_marked =
            self.media_type.contains("foreign") || self.media_type.contains("nondistributable");
        is_marked && !self.urls.is_empty()
    }

    /// Describes some bytes.
    #[must_use]
    pub fn of(media_type: &str, content: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(content),
            size: content.len() as u64,
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::new(),
            urls: Vec::new(),
            data: None,
        }
    }

    /// The content that the descriptor itself holds, where it is the described one.
    #[must_use]
    pub fn embedded(&self) -> Option<Bytes> {
        let content = STANDARD.decode(self.data.as_ref()?).ok()?;
        let is_right = content.len() as u64 == self.size && self.digest.is_of(&content);
        is_right.then(|| content.into())
    }
}
