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
    /// What was run.
    #[serde(default, skip_serializing_if = "RunFacts::is_empty")]
    pub run: RunFacts,
    /// What is odd but possible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
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
    /// The bytes of all that it consists of, each blob once; absent where it was at the target before. What was not
    /// sent of them was there already, or came with another artifact.
    #[serde(default, rename = "contentBytes", skip_serializing_if = "is_zero")]
    pub content_bytes: u64,
    /// What its name named at the target before, where that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// How it ended.
    pub done: State,
    /// When its copy began, in seconds since the copying began; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
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

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What was run.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RunFacts {
    /// The program's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The target prefix; absent for `copy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The EKS version; absent for `copy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eks_version: Option<String>,
    /// When the copying began, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<u64>,
}

impl RunFacts {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The host of a source's reference; `folder` for an image layout, `files` for a path.
#[must_use]
pub fn host_of(source: &str) -> &str {
    let schemes = ["https://", "http://", "oci://", "docker://"];
    let plain = schemes
        .iter()
        .find_map(|scheme| source.strip_prefix(scheme));
    match plain {
        None if source.starts_with("oci:") => "folder",
        None if source.starts_with(['.', '/']) => "files",
        _ => {
            let (host, path) = plain
                .unwrap_or(source)
                .split_once('/')
                .unwrap_or((source, ""));
            let is_host = plain.is_some() || host.contains(['.', ':']) || host == "localhost";
            if is_host && (plain.is_some() || !path.is_empty()) {
                host
            } else {
                "docker.io"
            }
        }
    }
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
    fn a_source_has_a_host() {
        for (source, host) in [
            ("quay.io/a/b:1", "quay.io"),
            ("localhost:5000/a:1", "localhost:5000"),
            ("busybox:1.36", "docker.io"),
            ("library/busybox@sha256:00", "docker.io"),
            ("https://charts.corp/x:1", "charts.corp"),
            ("oci://ghcr.io/charts/x:1", "ghcr.io"),
            ("oci:mirror:x:1", "folder"),
            ("./charts/x", "files"),
            ("", "docker.io"),
        ] {
            assert_eq!(host_of(source), host, "{source}");
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let text = concat!(
            r#"{"artifacts":[{"kind":"image","source":"quay.io/a:1","target":"r.corp/p-a:1","usedBy":["x"],"#,
            r#""digest":"sha256:00","platforms":["linux/amd64"],"bytes":7,"contentBytes":9,"replaced":"sha256:01","done":"already there","start":0.5,"seconds":0.1},"#,
            r#"{"kind":"chart","source":"https://c.corp/b:1","target":"r.corp/p-b:1","usedBy":[],"digest":null,"#,
            r#""platforms":[],"bytes":0,"done":"failed","seconds":1.5,"notes":["n"],"error":["a","b"],"remedy":"r"}],"#,
            r#""totals":{"artifacts":2,"copied":0,"alreadyThere":1,"failed":1,"bytes":7,"seconds":1.6},"run":{"prefix":"r.corp/p-","startedAt":5},"warnings":["w"],"error":["e"]}"#,
        );
        let report: Report = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&report).unwrap(), text);
    }
}
