//! What `replicator plan -o json` prints.

use serde::{Deserialize, Serialize};

use super::{Kind, ResultDocument, Trust};
use crate::closure::Proof;
use oci_copy::copy::{Preflight, Presence};

/// A plan: what a deployment would do, as far as source and target could be queried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanDocument {
    /// Always `true`: nothing of it was copied.
    pub plan: bool,
    /// The target prefix.
    pub prefix: String,
    /// The artifacts in the order of the plan: images first, then charts.
    pub artifacts: Vec<PlannedArtifact>,
    /// The repositories that the copies need; empty where the target is not ECR.
    pub repositories: Vec<String>,
    /// What is odd but possible, and the hosts that could not be queried.
    pub warnings: Vec<String>,
    /// What was proved of the rendered charts; `null` where no chart has templates.
    pub closure: Option<Proof>,
    /// What a deployment would move, and how long that takes.
    #[serde(rename = "outlook")]
    pub estimate: PlanEstimate,
    /// The result document that the deployment would publish.
    pub result: ResultDocument,
}

/// An artifact of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedArtifact {
    /// What it is.
    pub kind: Kind,
    /// The source's reference.
    pub source: String,
    /// The target's reference.
    pub target: String,
    /// The keys of the charts and additional images that need it.
    pub used_by: Vec<String>,
    /// The digest that the target would have; `null` where it is not known.
    pub digest: Option<String>,
    /// The digest that the target has under this name now; `null` where there is none, or it is not known.
    pub target_digest: Option<String>,
    /// The platforms that the target would have; empty for a single image or a chart.
    pub platforms: Vec<String>,
    /// The bytes of all its content; `null` where they are not known.
    pub bytes: Option<u64>,
    /// The bytes that a deployment would move for it, what artifacts share counted for each; `null` where they are
    /// not known.
    pub missing_bytes: Option<u64>,
    /// How it is at source and target.
    pub state: PlanState,
    /// What its source proved, where it was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
}

/// How an artifact is at source and target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanState {
    /// A host did not answer.
    #[serde(rename = "unknown")]
    Unknown,
    /// The source does not have it, or not all of it.
    #[serde(rename = "no source")]
    NoSource,
    /// The source has it for none of the wanted platforms.
    #[serde(rename = "no platform")]
    NoPlatform,
    /// The target does not have it.
    #[serde(rename = "missing")]
    Missing,
    /// The target has its name with other content.
    #[serde(rename = "differs")]
    Differs,
    /// The target has it.
    #[serde(rename = "present")]
    Present,
}

impl PlanState {
    /// All of them, in the order in which sums name them.
    pub const ALL: [Self; 6] = [
        Self::Present,
        Self::Missing,
        Self::Differs,
        Self::NoSource,
        Self::NoPlatform,
        Self::Unknown,
    ];

    /// How an artifact is, as far as its preflight says.
    #[must_use]
    pub fn of(preflight: &Preflight) -> Self {
        if preflight.has_no_source() {
            return Self::NoSource;
        }
        if preflight.has_no_platform() {
            return Self::NoPlatform;
        }
        match preflight.presence {
            Presence::Unknown => Self::Unknown,
            Presence::Missing => Self::Missing,
            Presence::Differs => Self::Differs,
            Presence::Present => Self::Present,
        }
    }

    /// Whether the source has nothing to copy.
    #[must_use]
    pub fn is_without_source(self) -> bool {
        matches!(self, Self::NoSource | Self::NoPlatform)
    }

    /// Its word in tables and documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::NoSource => "no source",
            Self::NoPlatform => "no platform",
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Present => "present",
        }
    }
}

/// What a deployment would move, and how long that takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanEstimate {
    /// Bytes to move, each blob once.
    pub bytes: u64,
    /// The bytes of the largest blob.
    pub largest_blob: u64,
    /// Blobs to move.
    pub blobs: usize,
    /// Manifests to write.
    pub manifests: usize,
    /// Artifacts to copy whose content is not known; nothing else here counts them.
    pub unknown_artifacts: usize,
    /// The throughput that the time is calculated with, in bytes per second; `null` where none is known.
    #[serde(rename = "assumedBytesPerSecond")]
    pub rate: Option<f64>,
    /// Where that throughput is from.
    pub rate_from: RateFrom,
    /// `CodeBuild` builds that would be used, including the first.
    pub builds: usize,
    /// Why that many.
    pub fan_out: String,
    /// The time of the copying, in seconds; `null` where no throughput is known.
    pub seconds: Option<f64>,
    /// What the time is limited by; `null` where no throughput is known.
    pub limit: Option<String>,
    /// The time with a single build, in seconds; `null` where no throughput is known.
    pub seconds_with_one_build: Option<f64>,
}

/// Where the throughput of an estimate is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateFrom {
    /// `--bandwidth`.
    Given,
    /// The report of the last deployment into the output folder.
    Measured,
    /// Assumed for a build of CodeBuild.
    Assumed,
    /// Nothing is known.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_one_word_in_tables_and_documents() {
        for state in PlanState::ALL {
            let word = serde_json::to_value(state).unwrap();
            assert_eq!(word, state.as_str());
        }
    }
}
