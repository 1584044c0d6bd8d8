//! A report -> a page to look at: one HTML file without scripts, and without anything from elsewhere. Pure.

mod artifacts;
mod charts;
mod markup;
mod timeline;

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::document::{Report, ReportedArtifact, State, host_of};
use crate::progress;
use crate::timestamp;
use oci_copy::reference::Digest;

use markup::Markup;

const STYLE: &str = include_str!("report_page/style.css");

/// Above this many artifacts, lists are folded until they are opened.
const FOLDED: usize = 60;

/// The end of the year 9999, in seconds since 1970.
const MAX_TIME: u64 = 253_402_300_800;

/// The page of a report.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut page = Markup::default();
    page.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    // Nothing is loaded, nothing runs: whatever a name may hold.
    let style = format!("sha256-{}", STANDARD.encode(sha256(STYLE)));
    page.raw(&format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{style}'; \
         base-uri 'none'; form-action 'none'\">\n"
    ));
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.raw("<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    page.text(&title(report));
    page.raw("</title>\n<style>")
        .raw(STYLE)
        .raw("</style>\n</head>\n<body>\n");
    head(&mut page, report);
    page.raw("<main>\n");
    summary(&mut page, report);
    failures(&mut page, report);
    warnings(&mut page, report);
    drift(&mut page, report);
    charts::section(&mut page, report);
    timeline::section(&mut page, report);
    registries(&mut page, report);
    next(&mut page, report);
    page.raw("</main>\n</body>\n</html>\n");
    page.finish()
}

fn sha256(text: &str) -> Vec<u8> {
    Digest::of(text.as_bytes()).bytes().to_vec()
}

fn title(report: &Report) -> String {
    match &report.run.prefix {
        Some(prefix) => format!("Replication to {prefix}"),
        None => "Replication report".to_owned(),
    }
}

/// Whether everything is at the target.
fn is_complete(report: &Report) -> bool {
    report.error.is_empty() && report.totals.failed == 0
}

fn head(page: &mut Markup, report: &Report) {
    let run = &report.run;
    page.raw("<header>\n<h1>")
        .text(&title(report))
        .raw("</h1>\n<p>");
    if is_complete(report) {
        page.raw("<strong class=\"good\">Complete</strong> ");
    } else {
        page.raw("<strong class=\"bad\">Failed</strong> ");
    }
    let mut facts = Vec::new();
    facts.extend(
        run.eks_version
            .as_ref()
            .map(|version| format!("EKS {version}")),
    );
    facts.extend(
        run.started_at
            .filter(|seconds| *seconds < MAX_TIME)
            .map(utc),
    );
    facts.extend(
        run.program
            .as_ref()
            .map(|version| format!("replicator {version}")),
    );
    page.text(&facts.join(" · ")).raw("</p>\n</header>\n");
}

/// Seconds since 1970 as a date and time, to the minute.
fn utc(seconds: u64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let text = timestamp::rfc3339(time);
    format!(
        "{} UTC",
        text[..text.len() - ":00Z".len()].replace('T', " ")
    )
}

/// Bytes that artifacts consist of and that were not sent, because the target had them or another artifact brought
/// them.
fn saved<'a>(artifacts: impl Iterator<Item = &'a ReportedArtifact>) -> u64 {
    artifacts
        .filter(|one| one.done == State::Copied)
        .map(|one| one.content_bytes.saturating_sub(one.bytes))
        .fold(0, u64::saturating_add)
}

fn summary(page: &mut Markup, report: &Report) {
    let totals = &report.totals;
    page.raw("<section aria-label=\"Summary\">\n<dl class=\"cards\">\n");
    let mut card = |name: &str, value: &str, class: &str| {
        page.raw(&format!("<div class=\"{class}\"><dt>"));
        page.text(name)
            .raw("</dt><dd>")
            .text(value)
            .raw("</dd></div>\n");
    };
    card("Artifacts", &totals.artifacts.to_string(), "");
    card("Copied", &totals.copied.to_string(), "");
    card("Already there", &totals.already_there.to_string(), "");
    card(
        "Failed",
        &totals.failed.to_string(),
        if totals.failed > 0 { "bad" } else { "" },
    );
    card("Sent", &progress::bytes(totals.bytes), "");
    card(
        "Saved by deduplication",
        &progress::bytes(saved(report.artifacts.iter())),
        "",
    );
    card("Time", &progress::duration(seconds(totals.seconds)), "");
    if let Some(proof) = &report.closure {
        let totals = &proof.totals;
        let at_target = totals.references.saturating_sub(totals.gaps);
        let value = format!("{at_target} of {} images", totals.references);
        card("Closure", &value, if totals.gaps > 0 { "bad" } else { "" });
    }
    page.raw("</dl>\n</section>\n");
}

fn seconds(seconds: f64) -> std::time::Duration {
    std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn failures(page: &mut Markup, report: &Report) {
    let failed: Vec<&ReportedArtifact> = report
        .artifacts
        .iter()
        .filter(|one| one.done == State::Failed)
        .collect();
    if failed.is_empty() && report.error.is_empty() {
        return;
    }
    page.raw("<section>\n<h2>Failures</h2>\n");
    if !report.error.is_empty() {
        page.raw("<p class=\"bad\">")
            .text(&report.error.join(": "))
            .raw("</p>\n");
    }
    page.raw("<ul class=\"list\">\n");
    for one in failed {
        page.raw("<li><div class=\"name\">")
            .text(&one.source)
            .raw("</div><div class=\"bad\">");
        page.text(&one.error.join(": ")).raw("</div>");
        if let Some(remedy) = &one.remedy {
            page.raw("<div>What to do: ").text(remedy).raw("</div>");
        }
        page.raw("</li>\n");
    }
    page.raw("</ul>\n</section>\n");
}

fn warnings(page: &mut Markup, report: &Report) {
    let notes = report
        .artifacts
        .iter()
        .flat_map(|one| one.notes.iter().map(move |note| (Some(&one.source), note)));
    let all: Vec<(Option<&String>, &String)> = report
        .warnings
        .iter()
        .map(|warning| (None, warning))
        .chain(notes)
        .collect();
    if all.is_empty() {
        return;
    }
    page.raw("<section>\n<h2>Warnings</h2>\n<ul class=\"list\">\n");
    for (source, text) in all {
        page.raw("<li>");
        if let Some(source) = source {
            page.raw("<div class=\"name\">").text(source).raw("</div>");
        }
        page.raw("<div>").text(text).raw("</div></li>\n");
    }
    page.raw("</ul>\n</section>\n");
}

/// Tags that named other content at the target before this run.
fn drift(page: &mut Markup, report: &Report) {
    let moved: Vec<(&ReportedArtifact, &String)> = report
        .artifacts
        .iter()
        .filter_map(|one| Some((one, one.replaced.as_ref()?)))
        .collect();
    page.raw("<section>\n<h2>Drift</h2>\n");
    if moved.is_empty() {
        page.raw("<p>No tag at the target named other content before this run.</p>\n</section>\n");
        return;
    }
    page.raw("<p>These tags named other content at the target before this run.</p>\n<ul class=\"list\">\n");
    for (one, before) in moved {
        page.raw("<li><div class=\"name\">")
            .text(&one.target)
            .raw("</div><div>before <code>")
            .text(before);
        page.raw("</code></div><div>now <code>")
            .text(one.digest.as_deref().unwrap_or("unknown"));
        page.raw("</code></div></li>\n");
    }
    page.raw("</ul>\n</section>\n");
}

fn registries(page: &mut Markup, report: &Report) {
    let mut hosts: std::collections::BTreeMap<&str, Vec<&ReportedArtifact>> =
        std::collections::BTreeMap::new();
    for one in &report.artifacts {
        hosts.entry(host_of(&one.source)).or_default().push(one);
    }
    let most = hosts
        .values()
        .map(|all| bytes(all))
        .max()
        .unwrap_or_default();
    page.raw("<section>\n<h2>Bytes by registry</h2>\n<ul class=\"list bars\">\n");
    for (host, all) in &hosts {
        let (sent, saved) = (bytes(all), saved(all.iter().copied()));
        page.raw("<li><div class=\"name\">")
            .text(host)
            .raw("</div><div>");
        page.text(&format!(
            "{}, {} sent, {} saved by deduplication",
            progress::count(all.len(), "artifact"),
            progress::bytes(sent),
            progress::bytes(saved)
        ));
        page.raw("</div>");
        markup::bar(page, sent, most);
        page.raw("</li>\n");
    }
    page.raw("</ul>\n</section>\n");
}

fn bytes(artifacts: &[&ReportedArtifact]) -> u64 {
    artifacts
        .iter()
        .map(|one| one.bytes)
        .fold(0, u64::saturating_add)
}

fn next(page: &mut Markup, report: &Report) {
    page.raw("<section>\n<h2>Next steps</h2>\n<ul class=\"list\">\n");
    let mut step = |command: &str, what: &str| {
        page.raw("<li><code>")
            .text(command)
            .raw("</code><div>")
            .text(what)
            .raw("</div></li>\n");
    };
    if is_complete(report) {
        step(
            "replicator verify",
            "checks that everything is still at the target",
        );
        if report.run.prefix.is_some() {
            step(
                "replicator values",
                "prints the Helm values that make the charts use the copies",
            );
        }
        if report
            .closure
            .as_ref()
            .is_some_and(|proof| proof.totals.gaps > 0)
        {
            step(
                "replicator deploy --closure complete",
                "also copies the images that charts use and the data files do not name",
            );
        }
    } else {
        step(
            "replicator deploy",
            "run it again when the cause is fixed: what is at the target is not sent again",
        );
    }
    page.raw("</ul>\n</section>\n");
}

#[cfg(test)]
mod tests;
