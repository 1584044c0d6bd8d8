//! `replicator diff`

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use crate::deploy::locking;
use crate::document::{Lock, MAX_LOCK, ResultDocument};
use crate::document_location::{self, is_kept};
use crate::files;
use crate::lock::{Change, Contents, Difference, Differences, Version};
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::session::{Session, read_without_target};
use crate::settings::Flags;

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

/// What is compared.
struct Compared {
    shown: String,
    contents: Contents,
    eks_version: Option<String>,
    /// Names in results have the target's prefix.
    is_result: bool,
}

impl Diff {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        let flags = self.data.flags(&self.network);
        let from = Box::pin(compared(&self.from, &flags, (with, &progress))).await?;
        let to = match (&self.to, &from.eks_version) {
            (Some(to), _) => Box::pin(compared(to, &flags, (with, &progress))).await?,
            (None, Some(version)) => Box::pin(present(version, &flags, (with, &progress))).await?,
            (None, None) => {
                let what = "this result document does not say of which EKS version it is";
                let problem = Problem::input(&self.from, what);
                return Err(Problems::from(problem.remedy("name what to compare it with")).into());
            }
        };
        drop(progress);
        let (from, to) = aligned(from, to);
        let found = Differences::between(&from.contents, &to.contents);
        let document = json!({
            "from": from.shown, "to": to.shown, "charts": found.charts, "images": found.images,
        });
        let text = self
            .output
            .text(with.environment, &document, |_| text(&found))?;
        print(text).await?;
        let is_refused = self.exit_code && !found.is_empty();
        Ok(if is_refused {
            Exit::Changes
        } else {
            Exit::Done
        })
    }
}

/// Both without the target's prefix, where only one has it.
fn aligned(mut from: Compared, mut to: Compared) -> (Compared, Compared) {
    if to.is_result && !from.is_result {
        let prefix = to.contents.prefix_over(&from.contents);
        to.contents = to.contents.without(&prefix);
    } else if from.is_result && !to.is_result {
        let prefix = from.contents.prefix_over(&to.contents);
        from.contents = from.contents.without(&prefix);
    }
    (from, to)
}

async fn compared(
    text: &str,
    flags: &Flags,
    (with, progress): (&Invocation<'_>, &Progress),
) -> anyhow::Result<Compared> {
    let path = Path::new(text);
    let is_version = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_version = text
        .split_once('.')
        .is_some_and(|(major, minor)| is_version(major) && is_version(minor));
    if is_version && !path.exists() {
        return Box::pin(present(text, flags, (with, progress))).await;
    }
    let bad = |what: String| {
        let remedy = "name a lock, the replication_result.json of a deployment, or an EKS version";
        Problems::from(Problem::input(text, what).remedy(remedy))
    };
    let content = if text.starts_with("s3://") || is_kept(text) {
        let (settings, place) = document_location::find(Some(text), None, flags, with.environment)?;
        let session = Session::open(settings, with.stop)?;
        place.read(&session).await?.1
    } else {
        files::read_within(path, MAX_LOCK as u64).map_err(bad)?
    };
    let probe: serde_json::Value = serde_json::from_slice(&content)
        .map_err(|error| bad(format!("it is not JSON: {error}")))?;
    let shown = text.to_owned();
    if probe.get("lockVersion").is_some() {
        let lock = Lock::read(&content, text)?;
        return Ok(Compared {
            shown,
            contents: Contents::from(&lock),
            eks_version: Some(lock.eks_version),
            is_result: false,
        });
    }
    let result: ResultDocument = serde_json::from_value(probe)
        .map_err(|_| bad("it is neither a lock nor a result document".to_owned()))?;
    if result.written.digests.is_none() {
        tracing::warn!(
            "{text} records no digests: of its images only the additional ones are compared, by their tags"
        );
    }
    Ok(Compared {
        shown,
        contents: Contents::from(&result),
        eks_version: result.written.eks_version,
        is_result: true,
    })
}

/// What the data files of an EKS version and their sources have now.
async fn present(
    version: &str,
    flags: &Flags,
    (with, progress): (&Invocation<'_>, &Progress),
) -> anyhow::Result<Compared> {
    let mut flags = flags.clone();
    flags.parameters.remove("eks_version");
    let flags = flags.with("eks_version", version);
    let (settings, inventory, _) = read_without_target(&flags, with.environment)?;
    let session = Session::for_inventory(settings, &inventory, with.stop).await?;
    let (lock, _) = Box::pin(locking::make(&session, &inventory, progress)).await?;
    Ok(Compared {
        shown: format!("EKS {version}"),
        contents: Contents::from(&lock),
        eks_version: Some(lock.eks_version),
        is_result: false,
    })
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
