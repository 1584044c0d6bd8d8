//! The documents that a run writes and later commands read: one schema each, and the same types write
//! and read it.
//!
//! The JSON keys and their order are what users and the EKS module rely on. A document of an older version, or of
//! the Python module, lacks keys; it is read all the same.

mod bundle_info;
mod expected;
mod lock;
mod pairs;
mod plan;
mod prune_plan;
mod report;
mod result;
mod trust;
mod verification;

use serde::{Deserialize, Deserializer};

pub use bundle_info::{BundleInfo, BundledArtifact, BundledChart, document as bundle_document};
pub use expected::ExpectedArtifacts;
pub use lock::{
    LOCK_VERSION, Lock, LockedChart, LockedClosure, LockedImage, LockedPlatform, LockedReferrer,
    MAX_LOCK, PREFIX as LOCKED_PREFIX,
};
pub use pairs::{Pair, parse_pairs};
pub use plan::{PlanDocument, PlanEstimate, PlanState, PlannedArtifact, RateFrom};
pub use prune_plan::{
    KeptTotals, MAX_PRUNE_PLAN, PRUNE_PLAN_VERSION, PrunePlan, PruneTotals, PrunedImage,
    PrunedRepository, ReadManifest,
};
pub use report::{Report, ReportedArtifact, RunFacts, State, Totals, host_of};
pub use result::{Ami, Chart, Helm, MAX_RESULT, ResultDocument, Written};
pub use trust::{Trust, TrustState};
pub use verification::{AttestationFindings, ProofFindings, Verification, VerifiedArtifact};

/// The result document's file.
pub const RESULT_FILE: &str = "replication_result.json";
/// The pairs of images.
pub const PAIRS_FILE: &str = "updated_images.json";
/// What was proved of the rendered charts.
pub const PROOF_FILE: &str = "replication_closure.json";
/// What was done with each artifact.
pub const REPORT_FILE: &str = "replication_report.json";
/// The report as a page.
pub const PAGE_FILE: &str = "replication_report.html";

/// The name of the lock of an EKS version, beside its data file.
#[must_use]
pub fn lock_file(eks_version: &str) -> String {
    format!("{eks_version}.lock.json")
}

/// What an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A container image.
    Image,
    /// A Helm chart.
    Chart,
}

/// Reads `null` as the default.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
