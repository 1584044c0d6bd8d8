//! Whether what is deployed is what was proved.

use std::sync::Arc;

use anyhow::Context;
use futures_util::{StreamExt, stream};

use crate::charts;
use crate::closure::{Deployed, Proof, read_proof};
use crate::document::ProofFindings;
use crate::session::Session;

use super::DeploymentRecord;

/// How many charts are fetched and rendered at once.
const AT_ONCE: usize = 4;

/// Proves a deployment again.
///
/// # Errors
/// When the document is not a result, or the proof beside it cannot be read.
pub(super) async fn prove(
    record: &DeploymentRecord,
    session: &Session,
) -> anyhow::Result<ProofFindings> {
    let of_none = |problem: String| ProofFindings {
        charts: 0,
        problems: vec![problem],
    };
    let deployed = Deployed::read(&record.text, &record.shown)?;
    let (shown, text) = record.location.proof(session).await?;
    let Some(text) = text else {
        let what = format!("{shown}: the proof of the deployment is not there");
        return Ok(of_none(what));
    };
    let proof = match read_proof(&deployed, &text, &shown) {
        Ok(proof) => Arc::new(proof),
        Err(error) => return Ok(of_none(format!("{error:#}"))),
    };
    let mut problems = deployed.other_charts(&proof);
    let deployed = Arc::new(deployed);
    let keys: Vec<String> = proof.charts.keys().cloned().collect();
    let each =
        stream::iter(keys).map(|key| one(session, Arc::clone(&deployed), Arc::clone(&proof), key));
    let each: Vec<anyhow::Result<Vec<String>>> = each.buffered(AT_ONCE).collect().await;
    let charts = each.len();
    for found in each {
        problems.extend(found?);
    }
    Ok(ProofFindings { charts, problems })
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
