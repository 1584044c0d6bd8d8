//! The summary of what failed: each artifact with its reason, and one entry for a reason that many have in
//! common. A hundred times "401" hides the one that is something else.

use std::collections::BTreeMap;

use crate::plan::Copy;
use oci_copy::copy::{CopyError, Done, Outcome};

use super::log::chain;

/// From this many artifacts on, a reason is logged once.
const MANY: usize = 3;

/// The artifacts that are named then; the report names all.
const NAMED: usize = 8;

/// Logs what failed.
pub(super) fn log(copies: &[Copy], outcomes: Vec<Outcome>) {
    let mut reasons: BTreeMap<String, Vec<(&Copy, CopyError)>> = BTreeMap::new();
    for (number, (copy, outcome)) in copies.iter().zip(outcomes).enumerate() {
        if let Done::Failed(error) = outcome.done {
            // What has no reason that others could share is listed alone.
            let reason = error.reason().unwrap_or_else(|| format!("\u{7f}{number}"));
            reasons.entry(reason).or_default().push((copy, error));
        }
    }
    // What is alone comes first: it is what a list of many would hide.
    let (many, few): (Vec<_>, Vec<_>) = reasons
        .into_iter()
        .partition(|(_, failed)| failed.len() >= MANY);
    for (copy, error) in few.into_iter().flat_map(|(_, failed)| failed) {
        let hint = hint(&error);
        let used_by = if copy.used_by.is_empty() {
            String::new()
        } else {
            format!(" (for {})", copy.used_by.join(", "))
        };
        let chain = chain(&anyhow::Error::new(error));
        tracing::error!("{}{used_by}\n    {chain}{hint}", copy.target_text);
    }
    for (reason, mut failed) in many {
        let count = failed.len();
        let names = failed.iter().take(NAMED);
        let mut names: Vec<&str> = names.map(|(copy, _)| copy.target_text.as_str()).collect();
        let more = format!("and {} more: see the report", count.saturating_sub(NAMED));
        names.extend((count > NAMED).then_some(more.as_str()));
        let names = names.join("\n    ");
        let (_, first) = failed.swap_remove(0);
        let hint = hint(&first);
        let chain = chain(&anyhow::Error::new(first));
        tracing::error!(
            "{count} artifacts failed for one reason: {reason}\n    {names}\n    the first of them: {chain}{hint}"
        );
    }
}

fn hint(error: &CopyError) -> String {
    let hint = error.remedy().map(crate::hint::text);
    let hint = hint.map(|hint| format!("\n    hint: {hint}"));
    hint.unwrap_or_default()
}
