//! The report: what was done with each artifact.

use std::path::Path;

use serde::Serialize;

use crate::copy::{CopyError, Done, Outcome};
use crate::plan::{Copy, Kind};

use super::REPORT_FILE;

/// What was done with each artifact, and in all.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    artifacts: Vec<Artifact<'a>>,
    /// Sums.
    pub totals: Totals,
    /// Why the run failed as a whole, outermost level first: before anything was copied, or when the
    /// result could not be published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    error: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Artifact<'a> {
    kind: &'static str,
    source: &'a str,
    target: &'a str,
    #[serde(rename = "usedBy")]
    used_by: &'a [String],
    digest: Option<String>,
    platforms: &'a [String],
    bytes: u64,
    done: &'static str,
    seconds: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    error: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'static str>,
}

/// Sums over all artifacts.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Totals {
    /// Artifacts in all.
    pub artifacts: usize,
    /// Copied in this run.
    pub copied: usize,
    /// There before.
    #[serde(rename = "alreadyThere")]
    pub already_there: usize,
    /// Not there.
    pub failed: usize,
    /// Bytes sent to the target.
    pub bytes: u64,
    /// Wall time of the copying, in seconds.
    pub seconds: f64,
}

impl<'a> Report<'a> {
    /// Puts copies and outcomes together.
    #[must_use]
    pub fn new(copies: &'a [Copy], outcomes: &'a [Outcome], took: std::time::Duration) -> Self {
        let mut totals = Totals {
            artifacts: copies.len(),
            seconds: took.as_secs_f64(),
            ..Totals::default()
        };
        let artifacts = copies.iter().zip(outcomes).map(|(copy, outcome)| {
            totals.bytes += outcome.bytes;
            let done = match outcome.done {
                Done::Copied => {
                    totals.copied += 1;
                    "copied"
                }
                Done::AlreadyThere => {
                    totals.already_there += 1;
                    "already there"
                }
                Done::Failed(_) => {
                    totals.failed += 1;
                    "failed"
                }
            };
            Artifact {
                kind: match copy.kind {
                    Kind::Image => "image",
                    Kind::Chart => "chart",
                },
                source: &copy.source_text,
                target: &copy.target_text,
                used_by: &copy.used_by,
                digest: outcome.digest.as_ref().map(ToString::to_string),
                platforms: &outcome.platforms,
                bytes: outcome.bytes,
                done,
                seconds: outcome.took.as_secs_f64(),
                notes: outcome.notes.iter().map(String::as_str).collect(),
                error: outcome.error().map(levels).unwrap_or_default(),
                remedy: outcome.error().and_then(CopyError::remedy),
            }
        });
        let artifacts = artifacts.collect();
        Self {
            artifacts,
            totals,
            error: Vec::new(),
        }
    }

    /// The same for a run that failed as a whole.
    #[must_use]
    pub fn because(mut self, error: &anyhow::Error) -> Self {
        self.error = error.chain().map(ToString::to_string).collect();
        self
    }
}

/// An error's levels, outermost first.
fn levels(error: &CopyError) -> Vec<String> {
    let first: &dyn std::error::Error = error;
    std::iter::successors(Some(first), |error| error.source())
        .map(ToString::to_string)
        .collect()
}

/// Writes the report into the output folder.
///
/// # Errors
/// When it cannot be written.
pub fn write_report(report: &Report<'_>, out: &Path) -> anyhow::Result<()> {
    super::write(out, REPORT_FILE, &serde_json::to_string_pretty(report)?)
}
