//! Each chart with its images, and what was proved of it.

use std::collections::BTreeMap;

use crate::closure::{ChartProof, Outcome as ChartState, Reference, State as ReferenceState};
use crate::document::{Kind, Report, ReportedArtifact, State};
use crate::progress;

use super::markup::Markup;
use super::{FOLDED, artifacts};

/// The charts, then the images that belong to none.
pub(super) fn section(page: &mut Markup, report: &Report) {
    let mut charts: BTreeMap<&str, Vec<&ReportedArtifact>> = BTreeMap::new();
    let keys = report
        .artifacts
        .iter()
        .filter(|one| one.kind == Kind::Chart);
    for key in keys.flat_map(|one| &one.used_by) {
        charts.entry(key).or_default();
    }
    let mut others = Vec::new();
    for one in &report.artifacts {
        let mut is_of_chart = false;
        for key in &one.used_by {
            if let Some(of_chart) = charts.get_mut(key.as_str()) {
                of_chart.push(one);
                is_of_chart = true;
            }
        }
        if !is_of_chart {
            others.push(one);
        }
    }
    let is_open = report.artifacts.len() <= FOLDED;
    if !charts.is_empty() {
        page.raw("<section>\n<h2>Charts</h2>\n");
        for (key, of_chart) in &charts {
            let proof = report
                .closure
                .as_ref()
                .and_then(|proof| proof.charts.get(*key));
            chart(page, key, of_chart, proof, is_open);
        }
        page.raw("</section>\n");
    }
    if !others.is_empty() {
        let title = if charts.is_empty() {
            "Artifacts"
        } else {
            "Other images"
        };
        page.raw("<section>\n<h2>").raw(title).raw("</h2>\n");
        fold(
            page,
            is_open || charts.is_empty(),
            &progress::count(others.len(), "artifact"),
            "",
        );
        artifacts::list(page, others.into_iter());
        page.raw("</details>\n</section>\n");
    }
}

fn fold(page: &mut Markup, is_open: bool, title: &str, after: &str) {
    page.raw(if is_open {
        "<details open>"
    } else {
        "<details>"
    });
    page.raw("<summary>")
        .text(title)
        .raw(after)
        .raw("</summary>\n");
}

fn chart(
    page: &mut Markup,
    key: &str,
    of_chart: &[&ReportedArtifact],
    proof: Option<&ChartProof>,
    is_open: bool,
) {
    let images = of_chart
        .iter()
        .filter(|one| one.kind == Kind::Image)
        .count();
    let failed = of_chart
        .iter()
        .filter(|one| one.done == State::Failed)
        .count();
    let gaps = proof.map_or(0, |proof| gaps(proof).count());
    let (class, state) = match proof.map(|proof| proof.outcome) {
        _ if failed > 0 => ("bad", format!("{failed} failed")),
        Some(ChartState::Gaps) => ("bad", progress::count(gaps, "image") + " not copied"),
        Some(ChartState::Proved) => ("good", "uses only copies".to_owned()),
        Some(ChartState::NotProved) => ("warn", "could not be rendered".to_owned()),
        Some(ChartState::NoTemplates) => ("quiet", "nothing to render".to_owned()),
        None => ("quiet", String::new()),
    };
    let after = format!(
        " <span class=\"quiet\">{}</span> <span class=\"{class}\">{state}</span>",
        progress::count(images, "image")
    );
    fold(page, is_open || failed > 0 || gaps > 0, key, &after);
    if let Some(proof) = proof {
        page.raw("<p class=\"quiet\">")
            .text(&format!("{} {}", proof.name, proof.version))
            .raw("</p>\n");
        if gaps > 0 {
            page.raw(
                "<p>The chart would pull these images from elsewhere:</p>\n<ul class=\"list\">\n",
            );
            for gap in self::gaps(proof) {
                page.raw("<li><div class=\"name\"><span class=\"bad\">not copied</span> ")
                    .text(&gap.image)
                    .raw("</div>");
                let why = match (&gap.reason, gap.set_by.as_slice()) {
                    (_, [first, ..]) => format!("set by {first}"),
                    (Some(reason), []) => reason.clone(),
                    (None, []) => "no value sets it".to_owned(),
                };
                page.raw("<div class=\"quiet\">")
                    .text(&why)
                    .raw("</div></li>\n");
            }
            page.raw("</ul>\n");
        }
    }
    artifacts::list(page, of_chart.iter().copied());
    page.raw("</details>\n");
}

fn gaps(proof: &ChartProof) -> impl Iterator<Item = &Reference> {
    proof
        .references
        .iter()
        .filter(|reference| reference.state == ReferenceState::Gap)
}
