//! Lists what is below a prefix that a user names, and compares it with the result of a deployment.

use std::path::PathBuf;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::closure::{Deployed, Proof, Totals, read_proof};
use crate::document::{ExpectedArtifacts, ResultDocument};
use crate::document_location;
use crate::problem::{Problem, Problems};
use crate::progress::Progress;
use crate::reference::{self, EcrHost};
use crate::session::{Session, unless_stopped};
use crate::settings::{Environment, Flags, Settings};
use crate::verification::DeploymentRecord;

use super::{Bounds, Listing};

/// What is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What the names begin with: host[:port]/prefix of a registry, or oci:DIR.
    pub prefix: String,
    /// The result document or the report to compare with: a file, `s3://BUCKET/KEY`, or a kept result.
    pub result: Option<String>,
    /// The most artifacts to list.
    pub limit: u32,
}

/// What the names begin with.
enum Prefix {
    Ecr { host: EcrHost, path: String },
    Registry { host: String, path: String },
    Folder(PathBuf),
}

/// Lists repositories and tags below a prefix: the whole of `replicator ls`. With a result, also returns the sums of what
/// it proved of its charts, where it has them. Writes nothing.
///
/// # Errors
/// Bad input ([`crate::problem::is_input`]); otherwise why nothing could be listed, and that `stop` was cancelled.
pub async fn list(
    query: &Query,
    (flags, environment): (&Flags, &Environment),
    progress: &Progress,
    stop: &CancellationToken,
) -> anyhow::Result<(Listing, Option<Totals>)> {
    let listed = compared(query, (flags, environment), (progress, stop));
    unless_stopped(stop, "stopped before the end", Box::pin(listed)).await
}

/// What is listed, compared with the result.
async fn compared(
    query: &Query,
    (flags, environment): (&Flags, &Environment),
    (progress, stop): (&Progress, &CancellationToken),
) -> anyhow::Result<(Listing, Option<Totals>)> {
    let settings = Settings::without_target(flags, environment);
    let (settings, prefix) = Problems::both(settings, prefix_of(&query.prefix))?;
    let session = Session::open(settings, stop)?;
    let record = match &query.result {
        Some(result) => {
            let (_, location) = document_location::find(Some(result), None, flags, environment)?;
            Some(DeploymentRecord::read(&location, &session).await?)
        }
        None => None,
    };
    progress.steps("listing artifacts", 0);
    let expected = record.as_ref().map(|record| &record.expected);
    let mut listing = below(&session, &prefix, (expected, query.limit)).await?;
    listing.prefix.clone_from(&query.prefix);
    let mut totals = None;
    if let Some(record) = &record {
        listing.compare(&record.expected);
        totals = closure(&record.text);
        if let Ok(deployed) = Deployed::read(&record.text, &record.shown) {
            match proof(record, &session, &deployed).await {
                Ok(proof) => listing.add_proof(&deployed, &proof),
                Err(error) => listing.notes.push(format!("{error:#}")),
            }
        }
    }
    Ok((listing, totals))
}

/// What is below a prefix.
async fn below(
    session: &Session,
    prefix: &Prefix,
    (expected, limit): (Option<&ExpectedArtifacts>, u32),
) -> anyhow::Result<Listing> {
    let bounds = Bounds {
        limit: limit as usize,
        jobs: session.settings.network.jobs,
    };
    let stores = &session.stores;
    match prefix {
        Prefix::Ecr { host, path } => {
            let ecr = session.aws.ecr(host);
            Ok(super::ecr(&ecr, &host.to_string(), path, bounds).await?)
        }
        Prefix::Folder(dir) => Ok(super::folder(stores, dir, bounds).await?),
        Prefix::Registry { host, path } => {
            let (names, notes) = repositories(session, host, path, expected).await?;
            let mut listing = super::registry(stores, host, &names, bounds).await;
            listing.notes.extend(notes);
            Ok(listing)
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
    match whole.parse::<reference::Prefix>() {
        Ok(reference::Prefix::Ecr { host, path }) => Ok(Prefix::Ecr { host, path }),
        Ok(reference::Prefix::Registry { host, path }) => Ok(Prefix::Registry { host, path }),
        Ok(reference::Prefix::Layout { dir }) => Ok(Prefix::Folder(dir)),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// The proof of a deployment, which is beside its result document.
async fn proof(
    record: &DeploymentRecord,
    session: &Session,
    deployed: &Deployed,
) -> anyhow::Result<Proof> {
    let (shown, text) = record.location.proof(session).await?;
    let text = text.with_context(|| {
        format!("{shown} is not there, so nothing is known of the closure of single artifacts")
    })?;
    read_proof(deployed, &text, &shown)
}

/// What a result document says of the closure of its charts.
fn closure(text: &[u8]) -> Option<Totals> {
    let document: ResultDocument = serde_json::from_slice(text).ok()?;
    Some(document.written.closure?.totals)
}
