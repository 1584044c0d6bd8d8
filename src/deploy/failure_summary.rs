//! The summary of failures: each artifact with its reason, and a single entry for a reason that many have in
//! common. A hundred times "401" would hide the one different failure.

use std::collections::{BTreeMap, BTreeSet};

use crate::hint;
use crate::plan::{Copy, CopySource};
use crate::problem::chain;
use oci_copy::copy::{CopyError, Done, Outcome};
use oci_copy::remedy::Remedy;

/// A reason that this many artifacts share is logged once.
const MANY: usize = 3;

/// How many of these artifacts are named; the report names all.
const NAMED: usize = 8;

/// Logs what failed.
pub(crate) fn report(copies: &[Copy], outcomes: Vec<Outcome>) {
    let mut reasons: BTreeMap<String, Vec<(&Copy, CopyError)>> = BTreeMap::new();
    for (number, (copy, outcome)) in copies.iter().zip(outcomes).enumerate() {
        if let Done::Failed(error) = outcome.done {
            // An error without a reason that others could share is listed separately.
            let reason = error.reason().unwrap_or_else(|| format!("\u{7f}{number}"));
            reasons.entry(reason).or_default().push((copy, error));
        }
    }
    let mut hints = Hints::default();
    // Single failures come first, because a long list would hide them.
    let (many, few): (Vec<_>, Vec<_>) = reasons
        .into_iter()
        .partition(|(_, failed)| failed.len() >= MANY);
    for (copy, error) in few.into_iter().flat_map(|(_, failed)| failed) {
        let remedy = error.remedy();
        let untagged = untagged(copy, &error);
        let used_by = if copy.used_by.is_empty() {
            String::new()
        } else {
            format!(" (for {})", copy.used_by.join(", "))
        };
        let chain = chain(&anyhow::Error::new(error));
        tracing::error!("{}{used_by}\n    {chain}{untagged}", copy.target_text);
        hints.say(remedy);
    }
    for (reason, mut failed) in many {
        let count = failed.len();
        let names = failed.iter().take(NAMED);
        let mut names: Vec<&str> = names.map(|(copy, _)| copy.target_text.as_str()).collect();
        let more = format!("and {} more: see the report", count.saturating_sub(NAMED));
        names.extend((count > NAMED).then_some(more.as_str()));
        let names = names.join("\n    ");
        let (_, first) = failed.swap_remove(0);
        let remedy = first.remedy();
        let chain = chain(&anyhow::Error::new(first));
        tracing::error!(
            "{count} artifacts failed for one reason: {reason}\n    {names}\n    the first of them: {chain}"
        );
        hints.say(remedy);
    }
}

/// Which tag a source that does not exist was asked for, if its name has none.
fn untagged(copy: &Copy, error: &CopyError) -> String {
    const DEFAULT: &str = ":latest";
    match (&copy.source, error) {
        (CopySource::At(location), CopyError::Missing { reference })
            if location.to_string().ends_with(DEFAULT) && !reference.ends_with(DEFAULT) =>
        {
            format!(
                ": the name has no tag, so the tag {} was read",
                &DEFAULT[1..]
            )
        }
        _ => String::new(),
    }
}

/// Hints that were logged: one that several failures have is logged once.
#[derive(Default)]
struct Hints(BTreeSet<&'static str>);

impl Hints {
    fn say(&mut self, remedy: Option<Remedy>) {
        let text = remedy.map(hint::text);
        let new = text.filter(|text| self.0.insert(text));
        new.into_iter().for_each(hint::log);
    }
}
