//! What a plan shows of each artifact's state, and of what could not be found out.

use std::collections::BTreeMap;

use crate::plan::{Copy, CopySource};
use oci_copy::copy::{CopyError, Preflight, Presence, Side};

/// How an artifact is at source and target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A host did not answer.
    Unknown,
    /// The source does not have it, or not all of it.
    NoSource,
    /// The source has it for none of the wanted platforms.
    NoPlatform,
    /// The target does not have it.
    Missing,
    /// The target has its name with other content.
    Differs,
    /// The target has it.
    Present,
}

impl State {
    /// All of them, in the order in which sums name them.
    pub(super) const ALL: [Self; 6] = [
        Self::Present,
        Self::Missing,
        Self::Differs,
        Self::NoSource,
        Self::NoPlatform,
        Self::Unknown,
    ];

    pub(super) fn of(preflight: &Preflight) -> Self {
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
    pub(super) fn is_without_source(self) -> bool {
        matches!(self, Self::NoSource | Self::NoPlatform)
    }

    pub(super) fn as_str(self) -> &'static str {
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

/// Why a deployment cannot copy an artifact, whatever is tried; `None` where it can, as far as is known.
pub(super) fn refusal(preflight: &Preflight) -> Option<String> {
    let state = State::of(preflight);
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
