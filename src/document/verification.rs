//! What `replicator verify --json` prints.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// What was found of everything that a document names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The document: a file, or `s3://BUCKET/KEY`.
    pub result: String,
    /// What the document does not record.
    pub warnings: Vec<String>,
    /// Each artifact, in the order of the document.
    pub artifacts: Vec<VerifiedArtifact>,
    /// Artifacts in all (`artifacts`), and in each state.
    pub totals: IndexMap<String, usize>,
    /// With `--prove`: what came of proving the charts again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofFindings>,
    /// With a key: what came of checking the attestations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestations: Option<AttestationFindings>,
}

/// What came of checking the attestations of copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestationFindings {
    /// Artifacts with a valid one.
    pub verified: usize,
    /// What is wrong with the others.
    pub problems: Vec<String>,
}

/// What was found of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedArtifact {
    /// The target's reference.
    pub target: String,
    /// The digest that the document records; `null` where it records none.
    pub recorded: Option<String>,
    /// The digest that its name has now; `null` where it has none, or could not be queried.
    pub found: Option<String>,
    /// The platforms that were found.
    pub platforms: Vec<String>,
    /// Manifests that were found.
    pub manifests: usize,
    /// Blobs that were found.
    pub blobs: usize,
    /// `there`, `missing`, `differs`, `incomplete` or `unchecked`.
    pub state: String,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// What came of proving the charts again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofFindings {
    /// Charts that were rendered.
    pub charts: usize,
    /// What is not as it was proved.
    pub problems: Vec<String>,
}
