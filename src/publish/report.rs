//! Copies and their outcomes -> the report.

use std::path::Path;
use std::time::Instant;

use crate::document::{PAGE_FILE, REPORT_FILE, Report, ReportedArtifact, RunFacts, State, Totals};
use crate::plan::Copy;
use crate::report_page;
use oci_copy::copy::{CopyError, Done, Outcome};

/// The report of a run that started then. `error` is why the run failed as a whole.
#[must_use]
pub fn report(
    copies: &[Copy],
    outcomes: &[Outcome],
    started: Instant,
    error: Option<&anyhow::Error>,
) -> Report {
    let artifacts: Vec<ReportedArtifact> = copies
        .iter()
        .zip(outcomes)
        .map(|(copy, outcome)| artifact(copy, outcome, started))
        .collect();
    let count = |state| artifacts.iter().filter(|one| one.done == state).count();
    let totals = Totals {
        artifacts: copies.len(),
        copied: count(State::Copied),
        already_there: count(State::AlreadyThere),
        failed: count(State::Failed),
        bytes: artifacts.iter().map(|one| one.bytes).sum(),
        seconds: started.elapsed().as_secs_f64(),
    };
    let levels = error.into_iter().flat_map(anyhow::Error::chain);
    Report {
        artifacts,
        totals,
        run: RunFacts::default(),
        warnings: Vec::new(),
        closure: None,
        error: levels.map(ToString::to_string).collect(),
    }
}

fn artifact(copy: &Copy, outcome: &Outcome, started: Instant) -> ReportedArtifact {
    let error = outcome.error();
    ReportedArtifact {
        kind: copy.kind,
        source: copy.source_text.clone(),
        target: copy.target_text.clone(),
        used_by: copy.used_by.clone(),
        digest: outcome.digest.as_ref().map(ToString::to_string),
        platforms: outcome.platforms.clone(),
        bytes: outcome.bytes,
        trust: None,
        content_bytes: outcome.content_bytes,
        replaced: outcome.replaced.as_ref().map(ToString::to_string),
        done: match outcome.done {
            Done::Copied => State::Copied,
            Done::AlreadyThere => State::AlreadyThere,
            Done::Failed(_) => State::Failed,
        },
        start: outcome.ended.map(|ended| {
            let ended = ended.saturating_duration_since(started);
            ended.saturating_sub(outcome.took).as_secs_f64()
        }),
        seconds: outcome.took.as_secs_f64(),
        notes: outcome.notes.clone(),
        error: error.map(levels).unwrap_or_default(),
        remedy: error
            .and_then(CopyError::remedy)
            .map(|remedy| crate::hint::text(remedy).to_owned()),
    }
}

/// An error's levels, outermost first.
fn levels(error: &CopyError) -> Vec<String> {
    let first: &dyn std::error::Error = error;
    std::iter::successors(Some(first), |error| error.source())
        .map(ToString::to_string)
        .collect()
}

/// Writes the report, and the page that shows it, into the output folder.
///
/// # Errors
/// When it cannot be written.
pub fn write_report(report: &Report, out: &Path) -> anyhow::Result<()> {
    super::write(out, REPORT_FILE, &serde_json::to_string_pretty(report)?)?;
    super::write(out, PAGE_FILE, &report_page::html(report))
}
