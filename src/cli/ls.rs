//! `replicator ls`

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;

use crate::closure::{Deployed, Outcome, Proof, read_proof};
use crate::document::{ExpectedArtifacts, ResultDocument};
use crate::document_location::{self, DocumentLocation};
use crate::listing::{self, Bounds, Listed, ListedClosure, Listing, Recorded};
use crate::printable::printable;
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::reference::EcrHost;
use crate::session::Session;
use crate::settings::Settings;

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

/// What the names begin with.
enum Prefix {
    Ecr { host: EcrHost, path: String },
    Registry { host: String, path: String },
    Folder(PathBuf),
}

impl Ls {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        let flags = self.network.flags();
        let settings = Settings::without_target(&flags, with.environment);
        let (settings, prefix) = Problems::both(settings, prefix_of(&self.prefix))?;
        let session = Session::open(settings, with.stop)?;
        let document = match &self.result {
            Some(result) => {
                let (_, place) =
                    document_location::find(Some(result), None, &flags, with.environment)?;
                let place = place.resolve(&session).await?;
                let (shown, text) = place.read(&session).await?;
                Some((place, shown, text))
            }
            None => None,
        };
        let expected = document.as_ref();
        let expected = expected.map(|(_, shown, text)| ExpectedArtifacts::read(text, shown));
        let expected = expected.transpose()?;
        progress.steps("listing artifacts", 0);
        let mut listing = self.list(&session, &prefix, expected.as_ref()).await?;
        listing.prefix.clone_from(&self.prefix);
        if let Some(expected) = &expected {
            listing.compare(expected);
        }
        let mut totals = None;
        if let Some((place, shown, text)) = &document {
            totals = closure(text);
            if let Ok(deployed) = Deployed::read(text, shown) {
                match proof(place, &session, &deployed).await {
                    Ok(proof) => listing.add_proof(&deployed, &proof),
                    Err(error) => listing.notes.push(format!("{error:#}")),
                }
            }
        }
        drop(progress);
        let text = self.output.text(with.environment, &listing, |width| {
            table(&listing, totals.as_deref(), width)
        })?;
        print(text).await?;
        Ok(Exit::Done)
    }

    async fn list(
        &self,
        session: &Session,
        prefix: &Prefix,
        expected: Option<&ExpectedArtifacts>,
    ) -> anyhow::Result<Listing> {
        let bounds = Bounds {
            limit: self.limit as usize,
            jobs: session.settings.network.jobs,
        };
        let stores = &session.stores;
        match prefix {
            Prefix::Ecr { host, path } => {
                let ecr = session.aws.ecr(host);
                Ok(listing::ecr(&ecr, &host.to_string(), path, bounds).await?)
            }
            Prefix::Folder(dir) => Ok(listing::folder(stores, dir, bounds).await?),
            Prefix::Registry { host, path } => {
                let (names, notes) = repositories(session, host, path, expected).await?;
                let mut listing = listing::registry(stores, host, &names, bounds).await;
                listing.notes.extend(notes);
                Ok(listing)
            }
        }
    }
}

/// The repositories of a registry below a path. Where it does not list them: those of the result document, and the
/// path itself if it is a repository.
async fn repositories(
    session: &Session,
    host: &str,
    path: &str,
    expected: Option<&ExpectedArtifacts>,
) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let is_below = |name: &str| name.starts_with(path);
    let error = match session.stores.repositories(host).await {
        Ok(listed) => {
            let mut names: Vec<String> = listed
                .found
                .into_iter()
                .filter(|name| is_below(name))
                .collect();
            names.sort();
            return Ok((names, listed.notes));
        }
        Err(error) => error,
    };
    let why = format!("{host} does not list its repositories ({error})");
    let targets = expected
        .into_iter()
        .flat_map(|expected| &expected.artifacts);
    let targets = targets.filter(|one| one.target.host() == Some(host));
    let mut names: Vec<String> = targets
        .filter_map(|one| one.target.repository())
        .filter(|name| is_below(name))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    if !names.is_empty() {
        return Ok((
            names,
            vec![format!("{why}: only those of the result are shown")],
        ));
    }
    let one = path.trim_end_matches('/');
    let location = format!("{host}/{one}").parse();
    if let (false, Ok(location)) = (one.is_empty(), location)
        && session
            .stores
            .tags(&location)
            .await
            .is_ok_and(|tags| !tags.is_empty())
    {
        return Ok((
            vec![one.to_owned()],
            vec![format!("{why}: only {one} is shown")],
        ));
    }
    let context = format!(
        "{host} does not list its repositories; name one (replicator ls {host}/REPOSITORY), or add --result FILE to \
         list those of a deployment"
    );
    Err(anyhow::Error::new(error).context(context))
}

fn prefix_of(text: &str) -> Result<Prefix, Problems> {
    let bad = |what: String| {
        let problem = Problem::input("PREFIX", what);
        Problems::from(problem.remedy("write host[:port]/prefix, or oci:DIR for a folder"))
    };
    if let Some(dir) = text
        .strip_prefix("oci:")
        .filter(|rest| !rest.starts_with("//"))
    {
        return match dir.trim_end_matches(':') {
            "" => Err(bad("it names no folder".to_owned())),
            dir => Ok(Prefix::Folder(PathBuf::from(dir))),
        };
    }
    let text = text.strip_prefix("oci://").unwrap_or(text);
    let whole = if text.contains('/') {
        text.to_owned()
    } else {
        format!("{text}/")
    };
    match whole.parse::<crate::reference::Prefix>() {
        Ok(crate::reference::Prefix::Ecr { host, path }) => Ok(Prefix::Ecr { host, path }),
        Ok(crate::reference::Prefix::Registry { host, path }) => {
            Ok(Prefix::Registry { host, path })
        }
        Ok(crate::reference::Prefix::Layout { dir }) => Ok(Prefix::Folder(dir)),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// The proof of a deployment, which is beside its result document.
async fn proof(
    place: &DocumentLocation,
    session: &Session,
    deployed: &Deployed,
) -> anyhow::Result<Proof> {
    let (shown, text) = place.proof(session).await?;
    let text = text.with_context(|| {
        format!("{shown} is not there, so nothing is known of the closure of single artifacts")
    })?;
    read_proof(deployed, &text, &shown)
}

/// What a result document says of the closure of its charts.
fn closure(text: &[u8]) -> Option<String> {
    let document: ResultDocument = serde_json::from_slice(text).ok()?;
    let totals = document.written.closure?.totals;
    Some(format!(
        "{} of {} image references of its charts are at the target, {} missing",
        totals.copied, totals.references, totals.gaps
    ))
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

fn table(listing: &Listing, closure: Option<&str>, width: Option<usize>) -> String {
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
    if let Some(closure) = closure {
        say(&format!("closure of the result: {closure}"));
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
