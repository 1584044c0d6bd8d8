//! What a bundle says of itself, besides its index.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The folder of a bundle's documents.
const FOLDER: &str = "replicator";

/// The version of the schema that this program writes and reads.
const SCHEMA: u32 = 1;

/// What a bundle holds. The same content gives the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleInfo {
    /// The version of this schema.
    pub schema: u32,
    /// The EKS version whose data files it has.
    pub eks_version: String,
    /// The charts by their keys in the data files.
    pub charts: BTreeMap<String, BundledChart>,
    /// Everything in it.
    pub artifacts: Vec<BundledArtifact>,
}

/// An artifact in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundledArtifact {
    /// Its name in the layout's index.
    pub name: String,
    /// Its repository at the target, below the prefix.
    pub repository: String,
}

/// A chart in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundledChart {
    /// Its name in the layout's index.
    pub name: String,
    /// Whether the name is one of a registry, from which it was copied as it is.
    pub is_artifact: bool,
}

impl BundleInfo {
    /// What a bundle of these charts says.
    #[must_use]
    pub fn new(
        eks_version: &str,
        charts: BTreeMap<String, BundledChart>,
        artifacts: Vec<BundledArtifact>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            eks_version: eks_version.to_owned(),
            charts,
            artifacts,
        }
    }

    /// The path of this document in a bundle.
    #[must_use]
    pub fn path() -> String {
        document("info.json")
    }

    /// The document's text.
    ///
    /// # Panics
    /// Never: all keys are texts.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("all keys are texts") + "\n"
    }

    /// Reads the document.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Probe {
            schema: u32,
        }
        let unreadable =
            |error: serde_json::Error| format!("{} cannot be read: {error}", Self::path());
        let Probe { schema } = serde_json::from_slice(text).map_err(unreadable)?;
        if schema != SCHEMA {
            return Err(format!(
                "it was written in the format {schema}, and this version reads {SCHEMA}"
            ));
        }
        serde_json::from_slice(text).map_err(unreadable)
    }

    /// The paths of the data files, `default.yaml` first.
    #[must_use]
    pub fn data_files(&self) -> [String; 2] {
        let name = format!("{}.yaml", self.eks_version);
        ["default.yaml", &name].map(|name| document(&format!("data/{name}")))
    }
}

/// The path of a document in a bundle.
#[must_use]
pub fn document(name: &str) -> String {
    format!("{FOLDER}/{name}")
}
