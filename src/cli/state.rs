//! What a plan shows of each artifact's state, and of what could not be found out.

use std::collections::BTreeMap;

pub(super) use crate::document::PlanState as State;
use crate::plan::{Copy, CopySource};
use oci_copy::copy::{CopyError, Preflight, Presence, Side};

/// How an artifact is at source and target.
pub(super) fn of(preflight: &Preflight) -> State {
    if preflight.has_no_source() {
        return State::NoSource;
    }
    if preflight.has_no_platform() {
        return State::NoPlatform;
    }
    match preflight.presence {
        Presence::Unknown => State::Unknown,
        Presence::Missing => State::Missing,
        Presence::Differs => State::Differs,
        Presence::Present => State::Present,
    }
}

/// Why a deployment cannot copy an artifact, whatever is tried; `None` where it can, as far as is known.
pub(super) fn refusal(preflight: &Preflight) -> Option<String> {
    let state = of(preflight);
    if state.is_without_source() {
        return Some(state.as_str().to_owned());
    }
    let mut errors = preflight.errors.iter();
    let refusal = errors.find(|error| !matches!(error, CopyError::Step { .. }));
    refusal.map(ToString::to_string)
}

/// A warning for each host that did not answer, with its first error.
pub(super) fn unanswered(copies: &[Copy], preflights: &[Preflight]) -> Vec<String> {
    let mut hosts: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for (copy, preflight) in copies.iter().zip(preflights) {
        for error in &preflight.errors {
            let CopyError::Step { side, source, .. } = error else {
                continue;
            };
            let location = match (side, &copy.source) {
                (Side::Source, CopySource::At(location)) => location,
                (Side::Source, CopySource::Chart(_)) => continue,
                (Side::Target, _) => &copy.target,
            };
            let host = location.host();
            let host = host.map_or_else(|| location.to_string(), str::to_owned);
            let text =
                std::iter::successors(Some(source.as_ref() as &dyn std::error::Error), |e| {
                    e.source()
                });
            let text: Vec<String> = text.map(ToString::to_string).collect();
            hosts.entry(host).or_insert((text.join(": "), 0)).1 += 1;
        }
    }
    let warnings = hosts.into_iter().map(|(host, (error, count))| {
        let artifacts = if count == 1 { "artifact" } else { "artifacts" };
        format!("could not query {host}: {error}; what it would say is shown as unknown for {count} {artifacts}")
    });
    warnings.collect()
}
