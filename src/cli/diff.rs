//! `replicator diff`

use std::fmt::Write as _;

use serde_json::json;

use crate::comparison::compare;
use crate::lock::{Change, Difference, Differences, Version};
use crate::progress::{self, Progress};

use super::flags::{DataFlags, NetworkFlags, OF_TARGETS, hidden};
use super::output::Output;
use super::{Exit, Invocation, print};

/// Compare two locks, results or EKS versions
///
/// Prints which charts and images were added, removed, changed to another version, or moved (the same tag with
/// other content), with sizes where they are known. A and B are each a lock or the result document of a deployment (a
/// file, `s3://BUCKET/KEY`, or a kept result of `replicator publish --list`), or an EKS version, which means what its
/// data files and sources have now. Without B, A is compared with the present of its EKS version.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  replicator diff 1.34.lock.json
      what has changed since the lock
  replicator diff 1.33 1.34 -o json
  replicator diff before/replication_result.json after/replication_result.json --exit-code
  replicator diff 1 s3://idf-dkr-img-rep-md-eu-west-1-123456789012/dev-replication-images-metadata.json
      what has changed since the newest kept result

Exit codes: 0 compared; 1 a host cannot be queried or an artifact does not exist; 2 bad input;
3 with --exit-code: there are differences.",
    mut_args(hidden(&OF_TARGETS)),
    mut_arg("eks_version", |arg| arg.hide(true)),
    mut_arg("locked", |arg| arg.hide(true)),
    mut_arg("lock", |arg| arg.hide(true))
)]
pub(super) struct Diff {
    /// A lock, a result document, a kept result, or an EKS version
    #[arg(value_name = "A")]
    from: String,
    /// The same; without it the present
    #[arg(value_name = "B")]
    to: Option<String>,
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    output: Output,
    /// End with exit code 3 if there are differences
    #[arg(long, help_heading = "Output")]
    exit_code: bool,
}

impl Diff {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        let flags = self.data.flags(&self.network);
        let (to, input) = (self.to.as_deref(), (&flags, with.environment));
        let compared = compare(&self.from, to, input, &progress, with.stop);
        let compared = Box::pin(compared).await?;
        drop(progress);
        let found = &compared.differences;
        let document = json!({
            "from": compared.from, "to": compared.to, "charts": found.charts, "images": found.images,
        });
        let text = self
            .output
            .text(with.environment, &document, |_| text(found))?;
        print(text).await?;
        let is_refused = self.exit_code && !found.is_empty();
        Ok(if is_refused {
            Exit::Changes
        } else {
            Exit::Done
        })
    }
}

fn text(found: &Differences) -> String {
    if found.is_empty() {
        return "no differences\n".to_owned();
    }
    let mut text = String::new();
    for (title, list) in [("charts", &found.charts), ("images", &found.images)] {
        if list.is_empty() {
            continue;
        }
        text += title;
        text.push('\n');
        for difference in list {
            writeln!(text, "  {}", line(difference)).expect("a string can be written to");
        }
    }
    text
}

fn line(difference: &Difference) -> String {
    let size = |version: &Version| {
        let bytes = version.bytes.map(progress::bytes);
        bytes.map(|bytes| format!(" ({bytes})")).unwrap_or_default()
    };
    // As in the other tables: whole digests are in the JSON.
    let digest = |version: &Version| -> String {
        let digest = version.digest.as_deref().unwrap_or_default();
        let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
        hex.chars().take(12).collect()
    };
    let name = &difference.name;
    match (difference.change, &difference.from, &difference.to) {
        (Change::Changed, Some(from), Some(to)) => format!(
            "changed {name} {}{} -> {}{}",
            from.version,
            size(from),
            to.version,
            size(to)
        ),
        (Change::Moved, Some(from), Some(to)) => format!(
            "moved   {name} {}: {}{} -> {}{}",
            to.version,
            digest(from),
            size(from),
            digest(to),
            size(to)
        ),
        (_, Some(from), None) => format!("removed {name} {}{}", from.version, size(from)),
        (_, _, Some(to)) => format!("added   {name} {}{}", to.version, size(to)),
        (_, None, None) => name.clone(),
    }
}
