//! A list of artifacts.

use crate::document::{Kind, ReportedArtifact, State};
use crate::progress;

use super::markup::Markup;
use super::seconds;

/// Artifacts below each other.
pub(super) fn list<'a>(page: &mut Markup, artifacts: impl Iterator<Item = &'a ReportedArtifact>) {
    page.raw("<ul class=\"list\">\n");
    for one in artifacts {
        item(page, one);
    }
    page.raw("</ul>\n");
}

fn item(page: &mut Markup, one: &ReportedArtifact) {
    let (class, word) = match one.done {
        State::Copied => ("good", "copied"),
        State::AlreadyThere => ("quiet", "already there"),
        State::Failed => ("bad", "failed"),
    };
    page.raw(&format!(
        "<li><div class=\"name\"><span class=\"{class}\">{word}</span> "
    ));
    page.text(&one.source).raw("</div><div class=\"quiet\">");
    let mut facts = vec![match one.kind {
        Kind::Image => "image".to_owned(),
        Kind::Chart => "chart".to_owned(),
    }];
    if one.done == State::Copied {
        facts.push(format!("{} sent", progress::bytes(one.bytes)));
        if one.content_bytes > one.bytes {
            facts.push(format!("of {}", progress::bytes(one.content_bytes)));
        }
        facts.push(progress::duration(seconds(one.seconds)));
    }
    if let Some(trust) = &one.trust {
        let by = trust.signed_by.iter().map(|by| format!(" by {by}"));
        facts.push(format!(
            "{}{}",
            trust.state.as_str(),
            by.collect::<String>()
        ));
    }
    if !one.platforms.is_empty() {
        facts.push(one.platforms.join(", "));
    }
    page.text(&facts.join(" · "))
        .raw("</div><div class=\"quiet\">to ")
        .text(&one.target);
    if let Some(digest) = &one.digest {
        page.raw(" <code>").text(digest).raw("</code>");
    }
    page.raw("</div></li>\n");
}
