//! What was found of a document's artifacts, as lines of the log.

use std::collections::{BTreeMap, BTreeSet};

use crate::hint;
use crate::progress;
use crate::verification::ArtifactFindings;
use oci_copy::reference::Location;
use oci_copy::verify::{Fault, Finding, State};

/// Whether a deployment replaced a result since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// None did: it is what the data files say.
    Current,
    /// One did, so that a deployment of the present data files brings other content.
    Earlier,
}

/// Logs a line for each fault; a host that does not respond is reported once.
pub(super) fn log(findings: &ArtifactFindings<'_>, age: Age) {
    let expected = &findings.record.expected.artifacts;
    let mut unchecked: BTreeMap<&Fault, usize> = BTreeMap::new();
    for (expected, finding) in expected.iter().zip(&findings.artifacts) {
        for fault in &finding.faults {
            if let Fault::Unchecked { .. } = fault {
                let repeated = unchecked.entry(fault).or_default();
                *repeated += 1;
                if *repeated > 1 {
                    continue;
                }
            }
            tracing::error!(target = expected.text, "{}: {fault}", expected.text);
        }
    }
    let mut hinted = BTreeSet::new();
    for (fault, repeated) in unchecked {
        if repeated > 1 {
            tracing::error!("{} more {fault}", repeated - 1);
        }
        if let Fault::Unchecked {
            remedy: Some(remedy),
            ..
        } = fault
        {
            let hint = hint::text(*remedy);
            if hinted.insert(hint) {
                hint::log(hint);
            }
        }
    }
    let is_folder = expected
        .iter()
        .any(|expected| matches!(expected.target, Location::Layout { .. }));
    for state in State::ALL {
        let is_found = findings.count(state) > 0;
        let like = match state {
            // A deployment looks at every file of a folder.
            State::Incomplete if is_folder => State::Missing,
            state => state,
        };
        if let Some(remedy) = remedy(like, age).filter(|_| is_found) {
            hint::log(format!("{}: {remedy}", state.as_str()));
        }
    }
}

/// What a user can do about artifacts in a state.
fn remedy(state: State, age: Age) -> Option<&'static str> {
    match (state, age) {
        (State::There | State::Unchecked, _) => None,
        (State::Missing, Age::Current) => {
            Some("run `replicator deploy` again: it brings what is missing")
        }
        (State::Differs, Age::Current) => Some(
            "something else wrote these tags, or the source's tag has moved and a later deployment brought it: \
             `replicator deploy` brings what the source has now and records it",
        ),
        (State::Incomplete, Age::Current) => Some(
            "delete these images at the target, all their manifests, then run `replicator deploy` again: \
             it takes an artifact whose manifest is there as complete",
        ),
        (State::Missing, Age::Earlier) => Some(
            "set data files and parameters back to those of this result, then run `replicator deploy`: it copies \
             what is missing and publishes the result",
        ),
        (State::Differs, Age::Earlier) => Some(
            "these tags have moved since: set data files and parameters back to those of this result, then run \
             `replicator deploy --locked` with its lock (without one, it takes what the source has now)",
        ),
        (State::Incomplete, Age::Earlier) => Some(
            "delete these images at the target, all their manifests, then set data files and parameters back to \
             those of this result and run `replicator deploy`",
        ),
    }
}

/// Says in one line that everything is at the target.
///
/// # Errors
/// When something is not.
pub(super) fn conclude(findings: &ArtifactFindings<'_>) -> anyhow::Result<()> {
    findings.check()?;
    let sum = |of: fn(&Finding) -> usize| findings.artifacts.iter().map(of).sum();
    tracing::info!(
        "everything in {} is at the target: {}, {} and {}",
        findings.record.shown,
        progress::count(findings.artifacts.len(), "artifact"),
        progress::count(sum(|finding| finding.manifests), "manifest"),
        progress::count(sum(|finding| finding.blobs), "blob")
    );
    Ok(())
}
