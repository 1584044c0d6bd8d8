//! When what was copied, each source's host in lanes of its own below the others.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::document::{Report, ReportedArtifact, State, host_of};
use crate::progress;

use super::markup::Markup;
use super::seconds;

/// The width of the picture, in its own units.
const WIDTH: f64 = 1000.0;
/// The height of a lane.
const LANE: usize = 8;
/// The most lanes of a host; what does not fit lies over others in the last one.
const MAX_LANES: usize = 40;

/// Start and end of a copy in seconds since the run began.
struct Span<'a> {
    start: f64,
    end: f64,
    artifact: &'a ReportedArtifact,
}

/// The timeline, where the report has times.
pub(super) fn section(page: &mut Markup, report: &Report) {
    let mut hosts: BTreeMap<&str, Vec<Span<'_>>> = BTreeMap::new();
    for artifact in report
        .artifacts
        .iter()
        .filter(|one| one.done != State::AlreadyThere)
    {
        let Some(start) = artifact
            .start
            .filter(|start| start.is_finite() && *start >= 0.0)
        else {
            continue;
        };
        let end = start + artifact.seconds.max(0.0);
        if end.is_finite() {
            hosts
                .entry(host_of(&artifact.source))
                .or_default()
                .push(Span {
                    start,
                    end,
                    artifact,
                });
        }
    }
    let last = hosts
        .values()
        .flatten()
        .map(|span| span.end)
        .fold(0.0, f64::max);
    if last <= 0.0 {
        return;
    }
    page.raw("<section>\n<h2>Timeline</h2>\n<p class=\"quiet\">");
    page.text(&format!(
        "0 to {}; each bar is an artifact, from the start of its copy to its end",
        progress::duration(seconds(last))
    ));
    page.raw("</p>\n");
    for (host, mut spans) in hosts {
        spans.sort_by(|a, b| a.start.total_cmp(&b.start));
        page.raw("<h3>")
            .text(host)
            .raw("</h3>\n<p class=\"quiet\">");
        let sent = spans
            .iter()
            .map(|span| span.artifact.bytes)
            .fold(0, u64::saturating_add);
        let count = progress::count(spans.len(), "artifact");
        let first = spans.first().map_or(0.0, |span| span.start);
        let end = spans.iter().map(|span| span.end).fold(0.0, f64::max);
        let label = format!(
            "{count}, {}, from {} to {}",
            progress::bytes(sent),
            progress::duration(seconds(first)),
            progress::duration(seconds(end))
        );
        page.text(&label).raw("</p>\n");
        lanes(page, &spans, last, &label);
    }
    page.raw("</section>\n");
}

fn lanes(page: &mut Markup, spans: &[Span<'_>], last: f64, label: &str) {
    // Each lane's end so far.
    let mut ends: Vec<f64> = Vec::new();
    let placed: Vec<(usize, &Span<'_>)> = spans
        .iter()
        .map(|span| {
            let free = ends.iter().position(|end| *end <= span.start);
            let lane = free.unwrap_or_else(|| ends.len().min(MAX_LANES - 1));
            if lane == ends.len() {
                ends.push(span.end);
            } else {
                ends[lane] = ends[lane].max(span.end);
            }
            (lane, span)
        })
        .collect();
    let height = ends.len() * LANE;
    page.raw(&format!(
        "<svg class=\"lanes\" viewBox=\"0 0 {WIDTH} {height}\" height=\"{height}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\""
    ));
    page.text(label).raw("\">");
    for (lane, span) in placed {
        let class = if span.artifact.done == State::Failed {
            " class=\"failed\""
        } else {
            ""
        };
        let x = span.start / last * WIDTH;
        let width = ((span.end - span.start) / last * WIDTH).max(1.5);
        let mut rect = String::new();
        write!(
            rect,
            "<rect{class} x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\"><title>",
            lane * LANE,
            LANE - 2
        )
        .expect("a String takes all text");
        page.raw(&rect).text(&span.artifact.source);
        page.text(&format!(
            ": {}, {}",
            progress::bytes(span.artifact.bytes),
            progress::duration(seconds(span.artifact.seconds))
        ));
        page.raw("</title></rect>");
    }
    page.raw("</svg>\n");
}
