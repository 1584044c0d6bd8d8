//! A plan as a table: a group for each chart, the chart itself first, then its images.

use std::collections::HashSet;
use std::fmt::Write;

use crate::closure::{ChartProof, Outcome, Proof};
use crate::deploy::Preview;
use crate::document::{Kind, PlanState as State, Trust};
use crate::plan::{Copy, Plan};
use crate::progress;
use crate::trust::TrustGate;
use oci_copy::copy::Preflight;
use oci_copy::reference::Digest;

use super::columns::{self, Column, Fit, Fitted, Line};
use super::estimate;

/// So much of a name is shown before a column with its drift is left out, in characters.
const NAME: usize = 30;

const COLUMNS: [Column; 9] = [
    Column::new("STATE", Fit::Stay),
    Column::new("NAME", Fit::Shorten),
    Column {
        head: "SIZE",
        right: true,
        fit: Fit::Stay,
    },
    Column::new("TARGET -> SOURCE", Fit::Drop(5, NAME)),
    Column::new("TRUST", Fit::Stay),
    Column::new("KIND", Fit::Drop(4, usize::MAX)),
    Column::new("PLATFORMS", Fit::Drop(3, usize::MAX)),
    Column::new("SOURCE", Fit::Drop(2, usize::MAX)),
    Column::new("USED BY", Fit::Drop(1, usize::MAX)),
];

type Row = [String; COLUMNS.len()];

/// The plan's artifacts with what is known about each, totals, what was proved, and the estimate. Without a width, it
/// has all columns and whole names.
pub(super) fn table(preview: &Preview, width: Option<usize>) -> String {
    let (plan, preflights) = (&preview.plan, &preview.preflights);
    let prefix = plan.prefix.to_string();
    let mut text = format!("target prefix: {prefix}\n");
    if let Some(name) = example(plan) {
        writeln!(text, "a complete name: {name}").expect("writing to a String cannot fail");
    }
    let proof = preview.proof.as_ref();
    let gate = preview.gate.as_deref();
    let lines = lines(plan, preflights, proof, gate, width.is_none());
    let fitted = columns::fit(COLUMNS, &lines, width);
    write!(text, "\n{}", fitted.text).expect("writing to a String cannot fail");
    text.push_str(&not_shown(&fitted));
    text.push_str(&totals(plan, preflights));
    text.push_str(&proof.map(closure).unwrap_or_default());
    text + &estimate::text(&preview.estimate) + "\n"
}

/// The shortest complete name at the target.
fn example(plan: &Plan) -> Option<&str> {
    let names = plan.copies.iter().map(|copy| copy.target_text.as_str());
    names.min_by_key(|name| name.len())
}

/// What `-o wide` shows besides.
fn not_shown(fitted: &Fitted) -> String {
    let mut more: Vec<String> = fitted.dropped.iter().map(|one| (*one).to_owned()).collect();
    if fitted.is_shortened {
        more.insert(0, "whole names".to_owned());
    }
    if more.is_empty() {
        return String::new();
    }
    format!("(-o wide also shows: {})\n", more.join(", "))
}

fn lines(
    plan: &Plan,
    preflights: &[Preflight],
    proof: Option<&Proof>,
    gate: Option<&TrustGate>,
    is_wide: bool,
) -> Vec<Line<{ COLUMNS.len() }>> {
    let mut lines = Vec::new();
    let mut is_shown = vec![false; plan.copies.len()];
    for key in plan.result.charts.keys() {
        let of_chart = proof.and_then(|proof| proof.charts.get(key));
        lines.push(Line::Heading(heading(key, of_chart)));
        // The plan has images first.
        for kind in [Kind::Chart, Kind::Image] {
            for (number, copy) in plan.copies.iter().enumerate() {
                if copy.kind == kind && copy.used_by.contains(key) {
                    let is_again = std::mem::replace(&mut is_shown[number], true);
                    let row = row(plan, copy, &preflights[number], gate, is_wide);
                    lines.push(Line::Row(if is_again { shared(row) } else { row }));
                }
            }
        }
    }
    let additional: HashSet<&String> = plan.result.additional_images.values().collect();
    let rest = plan.copies.iter().enumerate();
    let rest =
        rest.filter(|(number, copy)| !is_shown[*number] || additional.contains(&copy.target_text));
    for (place, (number, copy)) in rest.enumerate() {
        if place == 0 {
            lines.push(Line::Heading("additional images".to_owned()));
        }
        let row = row(plan, copy, &preflights[number], gate, is_wide);
        lines.push(Line::Row(if is_shown[number] { shared(row) } else { row }));
    }
    lines
}

/// The row of an artifact that another group shows as well: its size counts once.
fn shared(mut row: Row) -> Row {
    "shared".clone_into(&mut row[2]);
    row
}

/// What the source proved, in a word; where there is room, by whom.
fn trust(trust: Option<Trust>, is_wide: bool) -> String {
    let Some(trust) = trust else {
        return "unknown".to_owned();
    };
    match trust.signed_by {
        Some(by) if is_wide => format!("{} by {by}", trust.state.as_str()),
        _ => trust.state.as_str().to_owned(),
    }
}

/// A chart's key with what was proved of it.
fn heading(key: &str, proof: Option<&ChartProof>) -> String {
    let key: String = key
        .chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect();
    let Some(proof) = proof else {
        return key;
    };
    let references = progress::count(proof.references.len(), "reference");
    match proof.outcome {
        Outcome::Proved => format!("{key} (closure: {references}, none missing)"),
        Outcome::Gaps => {
            let missing = proof.gaps().count();
            format!("{key} (closure: {references}, {missing} missing)")
        }
        Outcome::NotProved => format!("{key} (closure: not proved)"),
        Outcome::NoTemplates => key,
    }
}

fn row(
    plan: &Plan,
    copy: &Copy,
    preflight: &Preflight,
    gate: Option<&TrustGate>,
    is_wide: bool,
) -> Row {
    let prefix = plan.prefix.to_string();
    let name = copy.target_text.strip_prefix(&prefix);
    let name = name.unwrap_or(&copy.target_text);
    let state = State::of(preflight);
    let size = preflight.bytes.map(progress::bytes);
    let source = if copy.source_text == name {
        String::new()
    } else {
        copy.source_text.clone()
    };
    [
        state.as_str().to_owned(),
        if is_wide { &copy.target_text } else { name }.to_owned(),
        size.unwrap_or_else(|| "unknown".to_owned()),
        drift(state, preflight, if is_wide { 12 } else { 6 }),
        gate.map(|gate| trust(gate.answer(&copy.target_text), is_wide))
            .unwrap_or_default(),
        match copy.kind {
            Kind::Image => "image",
            Kind::Chart => "chart",
        }
        .to_owned(),
        if is_wide {
            preflight.platforms.join(",")
        } else {
            platforms(&preflight.platforms)
        },
        source,
        if is_wide {
            copy.used_by.join(",")
        } else {
            String::new()
        },
    ]
}

/// What the tag names at the target, and what it names at the source: so many digits of each.
fn drift(state: State, preflight: &Preflight, digits: usize) -> String {
    let short = |digest: &Digest| {
        let text = digest.to_string();
        let hex = text.split_once(':').map_or(text.as_str(), |(_, hex)| hex);
        hex.chars().take(digits).collect::<String>()
    };
    match (state, &preflight.present, &preflight.digest) {
        (State::Differs, Some(present), Some(digest)) => {
            format!("{} -> {}", short(present), short(digest))
        }
        _ => String::new(),
    }
}

/// Platforms, without the system that nearly all of them have.
fn platforms(all: &[String]) -> String {
    const NAMED: usize = 2;
    let short = |platform: &String| {
        let bare = platform.strip_prefix("linux/").unwrap_or(platform);
        bare.to_owned()
    };
    let mut named: Vec<String> = all.iter().take(NAMED).map(short).collect();
    if all.len() > NAMED {
        named.push(format!("+{}", all.len() - NAMED));
    }
    named.join(",")
}

fn totals(plan: &Plan, preflights: &[Preflight]) -> String {
    let known: u64 = preflights
        .iter()
        .filter_map(|preflight| preflight.bytes)
        .sum();
    let is_in = |state: State| move |preflight: &&Preflight| State::of(preflight) == state;
    let count = |state: State| preflights.iter().filter(is_in(state)).count();
    let states = State::ALL.map(|state| (state, count(state)));
    let states: Vec<String> = states
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(state, n)| format!("{n} {}", state.as_str()))
        .collect();
    let artifacts = progress::count(plan.copies.len(), "artifact");
    format!(
        "\n{artifacts}, {}\nat the target: {}\n",
        sum(known, preflights),
        states.join(", ")
    )
}

/// What was proved of a plan.
fn closure(proof: &Proof) -> String {
    let totals = proof.totals;
    let counts = [
        (totals.copied, "at the target"),
        (totals.allowed, "allowed"),
        (totals.test_only, "for `helm test`"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let mut counts: Vec<String> = counts
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    counts.push(format!("{} missing", totals.gaps));
    let not_proved = match totals.not_proved {
        0 => String::new(),
        charts => format!("\n         {} not proved", progress::count(charts, "chart")),
    };
    format!(
        "closure: {}, {}{not_proved}\n",
        progress::count(totals.references, "reference"),
        counts.join(", ")
    )
}

fn sum(known: u64, preflights: &[Preflight]) -> String {
    match preflights.iter().filter(|one| one.bytes.is_none()).count() {
        0 => progress::bytes(known),
        unknown if unknown == preflights.len() => "size unknown".to_owned(),
        unknown => format!("{} and {unknown} of unknown size", progress::bytes(known)),
    }
}
