//! Plan + Charts -> [`Proof`]: which images the rendered charts name, and whether the plan copies them. Pure.
//!
//! Every chart is rendered with the published values in every scenario. A reference is copied, allowed, needed
//! only by `helm test`, or a gap: something that the cluster would pull from elsewhere, or would not find.

mod again;
mod closing;
mod coverage;
mod effect;
mod judge;
mod origin;
mod pinning;
mod proof;
mod render;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use helm_chart::render::{Capabilities, KubeVersion};

pub use again::{Deployed, read_proof};
pub use closing::{Closing, explain};
pub use coverage::Coverage;
pub use judge::{Checked, judge};
pub use pinning::{Pinning, pin};
pub use proof::{
    Cause, ChartProof, Failure, Outcome, Proof, Reference, Short, State, Totals, Unpinned, Use,
};
pub use render::{Installs, Renders, has_templates, render};
pub use words::{Gaps, gaps, unpinned, without_effect};

/// What a gap does to a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is a warning, and stands in the report.
    #[default]
    Report,
    /// It is bad input: nothing is copied.
    Require,
    /// What discovery can close is closed; the rest is bad input.
    Complete,
}

impl Mode {
    /// Reads the parameter.
    ///
    /// # Errors
    /// A text that is none of the words.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_lowercase().as_str() {
            "report" => Ok(Self::Report),
            "require" => Ok(Self::Require),
            "complete" => Ok(Self::Complete),
            _ => Err(format!("`{text}` is none of report, require, complete")),
        }
    }
}

/// How a plan is proved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// What a gap does.
    pub mode: Mode,
    /// The cluster's Kubernetes version, where it is given.
    pub kube_version: Option<KubeVersion>,
    /// Whether charts are rendered with their switches on, too.
    pub switches: bool,
    /// Whether digests are written into the published values.
    pub pin_digests: bool,
}

impl Options {
    /// What the cluster can do: the version that is given, or else what EKS reports for its version.
    #[must_use]
    pub fn capabilities(&self, eks_version: &str, api_versions: &[String]) -> Capabilities {
        let of_eks = || KubeVersion::of_cluster(&format!("v{eks_version}.0-eks-0"));
        let kube_version = self.kube_version.clone();
        Capabilities {
            kube_version: kube_version.or_else(|| of_eks().ok()).unwrap_or_default(),
            api_versions: api_versions.to_vec(),
        }
    }
}

/// A JSON mapping of values.
pub type Values = serde_json::Map<String, serde_json::Value>;

/// The digests under which tags are at the target, by the target's text.
pub type Digests = BTreeMap<String, oci_copy::reference::Digest>;
