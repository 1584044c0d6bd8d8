//! A plan as a table.

use std::fmt::Write;

use crate::closure::Proof;
use crate::document::Kind;
use crate::plan::Plan;
use crate::progress;
use oci_copy::copy::Preflight;

use super::state::State;

const HEAD: [&str; 6] = ["ARTIFACT", "SOURCE", "TARGET", "PLATFORMS", "SIZE", "STATE"];

/// The plan's artifacts with what is known about each, and totals. The target's common prefix is shown once,
/// above them.
pub(super) fn table(plan: &Plan, preflights: &[Preflight]) -> String {
    let prefix = plan.prefix.to_string();
    let rows: Vec<[String; 6]> = plan
        .copies
        .iter()
        .zip(preflights)
        .map(|(copy, preflight)| {
            let kind = match copy.kind {
                Kind::Image => "image",
                Kind::Chart => "chart",
            };
            let platforms = if preflight.platforms.is_empty() {
                "-".to_owned()
            } else {
                preflight.platforms.join(",")
            };
            [
                format!("{kind} {}", copy.used_by.join(",")),
                copy.source_text.clone(),
                copy.target_text
                    .strip_prefix(&prefix)
                    .unwrap_or(&copy.target_text)
                    .to_owned(),
                platforms,
                preflight
                    .bytes
                    .map_or_else(|| "unknown".to_owned(), progress::bytes),
                State::of(preflight).as_str().to_owned(),
            ]
        })
        .collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = format!("target prefix: {prefix}\n\n");
    for row in std::iter::once(&HEAD.map(str::to_owned)).chain(&rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    let known: u64 = preflights
        .iter()
        .filter_map(|preflight| preflight.bytes)
        .sum();
    let is_in = |state: State| move |preflight: &&Preflight| State::of(preflight) == state;
    let count = |state: State| preflights.iter().filter(is_in(state)).count();
    let artifacts = progress::count(rows.len(), "artifact");
    writeln!(text, "\n{artifacts}, {}", sum(known, preflights))
        .expect("writing to a String cannot fail");
    let states = State::ALL;
    let states = states.map(|state| (state, count(state)));
    let states: Vec<String> = states
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(state, n)| format!("{n} {}", state.as_str()))
        .collect();
    writeln!(text, "at the target: {}", states.join(", "))
        .expect("writing to a String cannot fail");
    text
}

/// What was proved of a plan, in one line.
pub(super) fn closure(proof: &Proof) -> String {
    let totals = proof.totals;
    let references = if totals.references == 1 {
        "reference"
    } else {
        "references"
    };
    let not_proved = match totals.not_proved {
        0 => String::new(),
        1 => ", 1 chart not proved".to_owned(),
        count => format!(", {count} charts not proved"),
    };
    format!(
        "closure: {} {references} in the rendered charts, {} at the target, {} allowed, {} only for `helm test`, \
         {} missing{not_proved}\n",
        totals.references, totals.copied, totals.allowed, totals.test_only, totals.gaps
    )
}

fn sum(known: u64, preflights: &[Preflight]) -> String {
    match preflights.iter().filter(|one| one.bytes.is_none()).count() {
        0 => progress::bytes(known),
        unknown if unknown == preflights.len() => "size unknown".to_owned(),
        unknown => format!("{} and {unknown} of unknown size", progress::bytes(known)),
    }
}
