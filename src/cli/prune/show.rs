//! A plan, and what became of it, as text.

use std::fmt::Write;

use crate::document::{PrunePlan, PrunedRepository};
use crate::printable::{printable, shortened};
use crate::progress::{bytes, count};
use crate::prune::Pruned;
use crate::timestamp::Timestamp;

use super::super::columns::{self, Column, Fit, Line};

/// Where the price is from.
const PRICES: &str = "https://aws.amazon.com/ecr/pricing/";

/// The most characters of the tags of a repository.
const TAGS: usize = 40;

/// How many repositories are listed in a remark.
const LISTED: usize = 5;

const COLUMNS: [Column; 6] = [
    Column::new("REPOSITORY", Fit::Shorten),
    Column::new("TAGS", Fit::Drop(1, 40)),
    right("MANIFESTS", Fit::Stay),
    right("SIZE", Fit::Stay),
    right("A MONTH", Fit::Stay),
    Column::new("LAST PULL", Fit::Drop(2, 30)),
];

const fn right(head: &'static str, fit: Fit) -> Column {
    Column {
        head,
        right: true,
        fit,
    }
}

/// A plan.
pub(super) fn plan(plan: &PrunePlan, file: &str, width: Option<usize>) -> String {
    let rows: Vec<Line<6>> = plan
        .repositories
        .iter()
        .map(|one| row(one, width.is_some()))
        .collect();
    let totals = &plan.totals;
    let mut text = if rows.is_empty() {
        let Target { prefix, registry } = target(plan);
        format!("nothing to delete below {prefix} in {registry}\n")
    } else {
        columns::fit(COLUMNS, &rows, width).text
    };
    let mut say =
        |line: &str| writeln!(text, "{}", printable(line)).expect("a String takes all text");
    say("");
    if !rows.is_empty() {
        let at_most = if totals.is_exact { "" } else { "at most " };
        let price = totals.monthly_cost.map_or_else(String::new, |price| {
            format!(", {at_most}{} a month", dollars(price))
        });
        let repositories = match totals.repositories {
            0 => String::new(),
            number => format!("; {} with nothing left", count(number, "repository")),
        };
        say(&format!(
            "to delete: {} with {}, {at_most}{}{price}{repositories}",
            count(totals.manifests, "manifest"),
            count(totals.tags, "tag"),
            bytes(totals.bytes),
        ));
        if !totals.is_exact {
            say(
                "sizes are those of the images: what they share with others counts in full (--exact-sizes counts it once)",
            );
        }
        if let Some(price) = totals.price_per_gb {
            say(&format!(
                "price: ${price:.2} for a GB and month ({PRICES}; --price)"
            ));
        }
    }
    remarks(plan, &mut say);
    say(&format!("plan: {file}"));
    if !rows.is_empty() {
        say(&format!(
            "delete exactly this: replicator prune --apply {file}"
        ));
    }
    text
}

struct Target<'a> {
    prefix: &'a str,
    registry: String,
}

fn target(plan: &PrunePlan) -> Target<'_> {
    Target {
        prefix: &plan.prefix,
        registry: format!("account {}, {}", plan.account, plan.region),
    }
}

/// What stays, and why.
fn remarks(plan: &PrunePlan, say: &mut impl FnMut(&str)) {
    let kept = &plan.kept;
    say(&format!(
        "kept: {} named in {}, {} pulled or pushed in the last {}, {} that belong to these",
        count(kept.needed, "manifest"),
        count(plan.documents.len(), "document"),
        kept.recent,
        count(plan.unused_for_days as usize, "day"),
        kept.belonging,
    ));
    for (name, why) in &kept.whole_repositories {
        say(&format!("kept: {name}: {why}"));
    }
    if !kept.not_ours.is_empty() {
        let listed: Vec<&str> = kept
            .not_ours
            .iter()
            .take(LISTED)
            .map(String::as_str)
            .collect();
        let more = match kept.not_ours.len().saturating_sub(LISTED) {
            0 => String::new(),
            number => format!(" and {number} more"),
        };
        say(&format!("not the project's: {}{more}", listed.join(", ")));
    }
}

fn row(one: &PrunedRepository, is_short: bool) -> Line<6> {
    let tags: Vec<&str> = one
        .images
        .iter()
        .flat_map(|image| &image.tags)
        .map(String::as_str)
        .collect();
    let tags = tags.join(", ");
    let at_most = if one.is_exact { "" } else { "≤ " };
    let pulled = one.images.iter().filter_map(|image| image.pulled_at).max();
    let name = if one.delete_repository {
        format!("{} (whole)", one.name)
    } else {
        one.name.clone()
    };
    Line::Row([
        printable(&name),
        if is_short {
            shortened(&tags, TAGS)
        } else {
            printable(&tags)
        },
        one.images.len().to_string(),
        format!("{at_most}{}", bytes(one.bytes)),
        one.monthly_cost
            .map_or_else(String::new, |price| format!("{at_most}{}", dollars(price))),
        pulled.map_or_else(|| "never".to_owned(), Timestamp::date),
    ])
}

fn dollars(price: f64) -> String {
    if price > 0.0 && price < 0.01 {
        format!("${price:.4}")
    } else {
        format!("${price:.2}")
    }
}

/// What was deleted.
pub(super) fn pruned(pruned: &Pruned) -> String {
    let mut text = String::new();
    let mut say =
        |line: &str| writeln!(text, "{}", printable(line)).expect("a String takes all text");
    for skipped in &pruned.skipped {
        let what = match &skipped.digest {
            Some(digest) => format!("{}@{digest}", skipped.repository),
            None => format!("the repository {}", skipped.repository),
        };
        say(&format!("skipped: {what}: {}", skipped.reason));
    }
    let repositories = count(pruned.repositories_deleted.len(), "repository");
    let gone = match pruned.gone {
        0 => String::new(),
        number => format!(", {number} gone before"),
    };
    let skipped = match pruned.skipped.len() {
        0 => String::new(),
        number => format!(", {number} skipped"),
    };
    say(&format!(
        "deleted: {} and {repositories}{gone}{skipped}",
        count(pruned.deleted, "manifest")
    ));
    text
}
