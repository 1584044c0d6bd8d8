//! `replicator verify --prove`: what is deployed is what was proved.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use futures_util::{StreamExt, stream};

use crate::charts;
use crate::closure::Proof;
use crate::closure::{Deployed, read_proof};
use crate::document::PROOF_FILE;
use crate::files;
use crate::publish;
use crate::session::Session;

use super::document_location::DocumentLocation;

/// How many charts are fetched and rendered at once.
const AT_ONCE: usize = 4;

/// Proves a deployment again; returns what is not as it was proved, and how many charts were proved.
pub(super) async fn prove(
    session: &Session,
    place: &DocumentLocation,
    (shown, document): (&str, &[u8]),
) -> anyhow::Result<(usize, Vec<String>)> {
    let deployed = Deployed::read(document, shown)?;
    let (shown, text) = proof_of(place, session).await?;
    let Some(text) = text else {
        return Ok((
            0,
            vec![format!("{shown}: the proof of the deployment is not there")],
        ));
    };
    let proof = match read_proof(&deployed, &text, &shown) {
        Ok(proof) => Arc::new(proof),
        Err(error) => return Ok((0, vec![format!("{error:#}")])),
    };
    let mut faults = deployed.other_charts(&proof);
    let deployed = Arc::new(deployed);
    let keys: Vec<String> = proof.charts.keys().cloned().collect();
    let each =
        stream::iter(keys).map(|key| one(session, Arc::clone(&deployed), Arc::clone(&proof), key));
    let each: Vec<anyhow::Result<Vec<String>>> = each.buffered(AT_ONCE).collect().await;
    let count = each.len();
    for found in each {
        faults.extend(found?);
    }
    Ok((count, faults))
}

async fn one(
    session: &Session,
    deployed: Arc<Deployed>,
    proof: Arc<Proof>,
    key: String,
) -> anyhow::Result<Vec<String>> {
    let Some((text, location)) = deployed.location(&key) else {
        return Ok(Vec::new());
    };
    let Some(location) = location else {
        return Ok(vec![format!(
            "charts.{key}: {text} is not a name at the target"
        )]);
    };
    let archive = match charts::fetch_archive(&location, &session.stores).await {
        Ok(Some(archive)) => archive,
        Ok(None) => return Ok(vec![format!("charts.{key}: {text} is not at the target")]),
        Err(error) => {
            return Ok(vec![format!(
                "charts.{key}: {text} cannot be read: {error:#}"
            )]);
        }
    };
    let work = tokio::task::spawn_blocking(move || deployed.prove(&key, &proof, &archive));
    work.await.context("rendering a chart broke off")
}

/// The proof beside a result document, with the name under which it is blamed.
pub(super) async fn proof_of(
    place: &DocumentLocation,
    session: &Session,
) -> anyhow::Result<(String, Option<Vec<u8>>)> {
    let beside = |document: &Path| document.with_file_name(PROOF_FILE);
    match place {
        DocumentLocation::File(path) => {
            let path = beside(path);
            let shown = path.display().to_string();
            let text = path.exists().then(|| files::read(&path)).transpose();
            let text = text.map_err(|what| anyhow::anyhow!("{shown} {what}"))?;
            Ok((shown, text))
        }
        _ => object(place, session, &publish::proof_key(place.key())).await,
    }
}

pub(super) async fn object(
    place: &DocumentLocation,
    session: &Session,
    key: &str,
) -> anyhow::Result<(String, Option<Vec<u8>>)> {
    let bucket = place.bucket(session).await?;
    let bucket = bucket.context("a file is in no bucket (please report this)")?;
    let text = bucket.get_text(key).await?;
    Ok((bucket.show(key), text.map(String::into_bytes)))
}
