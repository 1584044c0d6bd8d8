//! Writes a bundle: into a file, blobs in any order, or into a bucket, in the order of the archive.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use tokio_util::sync::CancellationToken;

use crate::bundle::{self, BundleLocation, BundleUpload};
use crate::deploy::failure_summary;
use crate::plan::Copy;
use crate::progress;
use crate::session::Session;
use crate::settings;
use oci_copy::copy::{Done, Engine, Events, Origin, Outcome, Preflight, Request};
use oci_copy::store::archive::{BlobSources, Contents, Writer};

/// What is known of the artifacts of a bundle.
pub(super) struct Known<'a> {
    pub(super) copies: &'a [Copy],
    pub(super) requests: &'a [Request],
    pub(super) preflights: Vec<Preflight>,
}

/// Writes a bundle into a file, or into parts of a size. Returns its size, and the names of the files.
pub(super) async fn to_file(
    (engine, writer): (&Arc<Engine>, &Arc<Writer>),
    (contents, split): (Contents, Option<u64>),
    known: Known<'_>,
    stop: &CancellationToken,
) -> anyhow::Result<(u64, Vec<String>)> {
    let index = writer.begin(contents, split)?;
    tracing::info!("the bundle has {}", progress::bytes(index.size));
    let preflights = known.preflights.into_iter().map(Some).collect();
    let stopped = stop.clone().cancelled_owned();
    let outcomes = engine.run_after(known.requests, preflights, stopped).await;
    check(known.copies, outcomes)?;
    let writer = Arc::clone(writer);
    let ended = tokio::task::spawn_blocking(move || writer.finish()).await;
    let written = ended.context("ending the file broke off")??;
    let names = written.iter().map(|path| path.display().to_string());
    Ok((index.size, names.collect()))
}

fn check(copies: &[Copy], outcomes: Vec<Outcome>) -> anyhow::Result<()> {
    let is_failed = |outcome: &&Outcome| matches!(outcome.done, Done::Failed(_));
    let failed = outcomes.iter().filter(is_failed).count();
    if failed == 0 {
        return Ok(());
    }
    failure_summary::report(copies, outcomes);
    Err(anyhow!(
        "{failed} of {} failed; what was written is kept, and the same command goes on with it",
        progress::count(copies.len(), "artifact")
    ))
}

/// Writes a bundle into a bucket. Returns its size, and the object's URL.
pub(super) async fn to_bucket(
    (named, session): (&settings::Bundle, &Session),
    contents: Contents,
    known: Known<'_>,
    (events, stop): (&Arc<dyn Events>, &CancellationToken),
) -> anyhow::Result<(u64, Vec<String>)> {
    let BundleLocation::Object { key, .. } = &named.place else {
        anyhow::bail!("{} is not in a bucket (please report this)", named.place);
    };
    let bucket = bundle::bucket_of(named, &session.settings, &session.aws).await?;
    let upload = BundleUpload {
        bucket: Arc::new(bucket),
        key: key.clone(),
        sources: Arc::new(sources(session, &known)?),
        shape: Arc::new(contents.lay_out()),
        policy: session.stores.http().policy().clone(),
    };
    let size = upload.shape.size();
    tracing::info!("the bundle has {}", progress::bytes(size));
    events.expect(size);
    let run = upload.run(|bytes| events.moved(bytes));
    let done = tokio::select! {
        done = run => done,
        () = stop.cancelled() => Err(anyhow!("stopped before the end")),
    };
    done.with_context(|| {
        format!(
            "{} is not complete; what was sent is kept, and the same command goes on with it",
            named.place
        )
    })?;
    Ok((size, vec![named.place.to_string()]))
}

/// Where each blob is read.
fn sources(session: &Session, known: &Known<'_>) -> anyhow::Result<BlobSources> {
    let mut sources = HashMap::new();
    for (request, preflight) in known.requests.iter().zip(&known.preflights) {
        let source = match &request.origin {
            Origin::Location(location) => session.stores.source(location)?,
            Origin::Source { source, .. } => Arc::clone(source),
        };
        let Some(artifact) = preflight.content() else {
            continue;
        };
        let referrers = artifact
            .referrers
            .iter()
            .flat_map(|referrer| &referrer.blobs);
        for blob in artifact.blobs.iter().chain(referrers) {
            let entry = sources.entry(blob.digest.clone());
            entry.or_insert_with(|| (Arc::clone(&source), (*blob).clone()));
        }
    }
    Ok(sources)
}
