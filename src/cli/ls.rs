//! `replicator ls`

use std::fmt::Write;

use crate::closure::{Outcome, Totals};
use crate::listing::{self, Listed, ListedClosure, Listing, Query, Recorded};
use crate::printable::printable;
use crate::progress::{self, Progress};

use super::columns::{self, Column, Fit, Line};
use super::flags::{NetworkFlags, OF_COPYING, hidden};
use super::output::Output;
use super::{Exit, Invocation, print};

/// List what exists below a prefix
///
/// Prints repositories and tags with size, digest and, at ECR, the time of the push. With --result it also says which
/// of them the result of a deployment names, what of the result is missing, and from the proof beside it: how many
/// images of a chart are missing, and which charts use an image.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  replicator ls 123456789012.dkr.ecr.eu-west-1.amazonaws.com/idf-
  replicator ls registry.corp:5000/mirror/ --result replication_result.json
  replicator ls oci:mirror -o json",
    mut_args(hidden(&OF_COPYING))
)]
pub(super) struct Ls {
    /// What the names begin with: host[:port]/prefix of a registry, or oci:DIR
    #[arg(value_name = "PREFIX")]
    prefix: String,
    /// Compare with a result document or a report: a file, or `s3://BUCKET/KEY`
    #[arg(long, value_name = "RESULT")]
    result: Option<String>,
    /// The most artifacts to list
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    network: NetworkFlags,
}

impl Ls {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        let query = Query {
            prefix: self.prefix.clone(),
            result: self.result.clone(),
            limit: self.limit,
        };
        let flags = self.network.flags();
        let input = (&flags, with.environment);
        let listed = Box::pin(listing::list(&query, input, &progress, with.stop));
        let (listing, totals) = listed.await?;
        drop(progress);
        let text = self.output.text(with.environment, &listing, |width| {
            table(&listing, totals, width)
        })?;
        print(text).await?;
        Ok(Exit::Done)
    }
}

const COLUMNS: [Column; 6] = [
    Column::new("NAME", Fit::Shorten),
    Column::new("SIZE", Fit::Stay),
    Column::new("PUSHED", Fit::Drop(1, 30)),
    Column::new("RESULT", Fit::Stay),
    Column::new("CLOSURE", Fit::Drop(3, 30)),
    Column::new("DIGEST", Fit::Drop(2, 30)),
];

fn row(one: &Listed) -> Line<6> {
    let digest = one.digest.as_deref().unwrap_or_default();
    let digest: String = digest
        .trim_start_matches("sha256:")
        .chars()
        .take(12)
        .collect();
    let result = match one.result {
        Some(Recorded::Recorded) => "recorded",
        Some(Recorded::Moved) => "moved",
        Some(Recorded::Unknown) | None => "",
    };
    let name = match one.tag.as_str() {
        "" => one.repository.clone(),
        tag => format!("{}:{tag}", one.repository),
    };
    // To the minute.
    let pushed: String = one
        .pushed
        .as_deref()
        .unwrap_or_default()
        .chars()
        .take(16)
        .collect();
    Line::Row([
        printable(&name),
        one.size.map_or_else(|| "-".to_owned(), progress::bytes),
        printable(&pushed.replace('T', " ")),
        result.to_owned(),
        printable(&one.closure.as_ref().map(proved).unwrap_or_default()),
        if one.error.is_some() {
            "unreadable".to_owned()
        } else {
            printable(&digest)
        },
    ])
}

/// What was proved of an artifact, in words.
fn proved(closure: &ListedClosure) -> String {
    match closure {
        ListedClosure::Image { started_by } => format!("used by {}", started_by.join(", ")),
        ListedClosure::Chart {
            outcome: Outcome::Proved | Outcome::Gaps,
            references,
            missing,
        } => format!("{missing} of {references} missing"),
        ListedClosure::Chart {
            outcome: Outcome::NotProved,
            ..
        } => "not proved".to_owned(),
        ListedClosure::Chart {
            outcome: Outcome::NoTemplates,
            ..
        } => String::new(),
    }
}

fn table(listing: &Listing, closure: Option<Totals>, width: Option<usize>) -> String {
    let rows: Vec<Line<6>> = listing.artifacts.iter().map(row).collect();
    let mut text = columns::fit(COLUMNS, &rows, width).text;
    if listing.artifacts.is_empty() {
        text = format!("nothing below {}\n", printable(&listing.prefix));
    }
    let mut say =
        |line: &str| writeln!(text, "{}", printable(line)).expect("a String takes all text");
    say("");
    let count = progress::count(listing.artifacts.len(), "artifact");
    let untagged = match listing.untagged {
        0 => String::new(),
        number => format!(", {number} manifests without a tag"),
    };
    say(&format!("{count}{untagged}"));
    if listing.left_out > 0 {
        say(&format!(
            "{} more artifacts are not shown: --limit",
            listing.left_out
        ));
    }
    if let Some(totals) = closure {
        say(&format!(
            "closure of the result: {} of {} image references of its charts are at the target, {} missing",
            totals.copied, totals.references, totals.gaps
        ));
    }
    for name in &listing.missing {
        say(&format!("missing: {name}, which the result names"));
    }
    let unreadable = listing
        .artifacts
        .iter()
        .filter_map(|one| Some((&one.reference, one.error.as_ref()?)));
    for (reference, error) in unreadable {
        say(&format!("note: {reference}: {error}"));
    }
    for note in &listing.notes {
        say(&format!("note: {note}"));
    }
    text
}
