//! `replication_report.json`: what was done with each artifact.

use serde::{Deserialize, Serialize};

use super::{Kind, Trust};
use crate::closure::Proof;

/// What was done with each artifact, and in all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The artifacts in the order of the plan.
    pub artifacts: Vec<ReportedArtifact>,
    /// Sums.
    #[serde(default)]
    pub totals: Totals,
    /// What was proved of the rendered charts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure: Option<Proof>,
    /// Why the run failed as a whole, outermost level first: before anything was copied, or when the
    /// result could not be published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error: Vec<String>,
}

/// What was done with an artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportedArtifact {
    /// What it is.
    pub kind: Kind,
    /// The source's reference.
    #[serde(default)]
    pub source: String,
    /// The target's reference.
    pub target: String,
    /// The keys of the charts and additional images that need it.
    #[serde(default, rename = "usedBy")]
    pub used_by: Vec<String>,
    /// Its digest, where it is known.
    #[serde(default)]
    pub digest: Option<String>,
    /// The platforms that were copied.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// Bytes sent to the target.
    #[serde(default)]
    pub bytes: u64,
    /// What its source proved, where it was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// How it ended.
    pub done: State,
    /// How long it took, in seconds.
    #[serde(default)]
    pub seconds: f64,
    /// What is worth knowing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Why it failed, outermost level first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error: Vec<String>,
    /// What can be done about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How the copy of an artifact ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Copied in this run.
    Copied,
    /// At the target before.
    #[serde(rename = "already there")]
    AlreadyThere,
    /// Not at the target.
    Failed,
}

/// Sums over all artifacts.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Artifacts in all.
    pub artifacts: usize,
    /// Copied in this run.
    pub copied: usize,
    /// At the target before.
    #[serde(rename = "alreadyThere")]
    pub already_there: usize,
    /// Not at the target.
    pub failed: usize,
    /// Bytes sent to the target.
    pub bytes: u64,
    /// Wall time of the copying, in seconds.
    pub seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let text = concat!(
            r#"{"artifacts":[{"kind":"image","source":"quay.io/a:1","target":"r.corp/p-a:1","usedBy":["x"],"#,
            r#""digest":"sha256:00","platforms":["linux/amd64"],"bytes":7,"done":"already there","seconds":0.1},"#,
            r#"{"kind":"chart","source":"https://c.corp/b:1","target":"r.corp/p-b:1","usedBy":[],"digest":null,"#,
            r#""platforms":[],"bytes":0,"done":"failed","seconds":1.5,"notes":["n"],"error":["a","b"],"remedy":"r"}],"#,
            r#""totals":{"artifacts":2,"copied":0,"alreadyThere":1,"failed":1,"bytes":7,"seconds":1.6},"error":["e"]}"#,
        );
        let report: Report = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&report).unwrap(), text);
    }
}
