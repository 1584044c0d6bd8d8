//! The end of a deployment: its result, or the report of why there is none.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use crate::closure::Proof;
use crate::document::PAGE_FILE;
use crate::plan::Copy;
use crate::problem::{Problems, is_input};
use crate::publish::{self, Publication};
use crate::reference::Prefix;
use crate::settings::{Settings, TargetChoice};
use oci_copy::copy::Outcome;

use super::planned::Planned;
use super::prepare::Prepared;

/// How long a publication may still take once the run was asked to stop: less than the whole command may.
const LATE: Duration = Duration::from_secs(2);

/// Where the result is published besides the output folder: only what goes to ECR is published to a bucket.
///
/// # Errors
/// The names of the module that are missing.
pub(super) fn publication(settings: &Settings) -> Result<Option<Publication>, Problems> {
    match &settings.target {
        TargetChoice::Module { .. } | TargetChoice::Given(Prefix::Ecr { .. }) => {
            Ok(Some(Publication::new(&settings.module)?))
        }
        TargetChoice::Named
        | TargetChoice::Given(Prefix::Registry { .. } | Prefix::Layout { .. }) => Ok(None),
    }
}

/// Publishes the result of a deployment whose artifacts are all at the target.
///
/// # Errors
/// When it cannot be written or uploaded, and when the run is stopped and it takes too long.
pub(super) async fn publish(prepared: &Prepared, outcomes: &[Outcome]) -> anyhow::Result<()> {
    let late = async {
        prepared.session.stop.cancelled().await;
        tokio::time::sleep(LATE).await;
    };
    tokio::select! {
        published = write(prepared, outcomes) => published,
        () = late => Err(anyhow!("stopped while the result was published")),
    }
}

/// Writes the result, and uploads it if the target is ECR.
async fn write(prepared: &Prepared, outcomes: &[Outcome]) -> anyhow::Result<()> {
    let settings = &prepared.session.settings;
    let publication = prepared.publication.as_ref();
    let Planned { plan, proof, .. } = &prepared.planned;
    let proof = proof.as_ref();
    publish::write_proof(proof, &settings.out)?;
    let result = publish::write_result(plan, outcomes, &prepared.shared, &settings.out)?;
    if publication.is_none() {
        publish::remove_surplus_in(&settings.out, &result);
    }
    if let (Some(publication), Prefix::Ecr { host, .. }) = (publication, &plan.prefix) {
        let page = std::fs::read_to_string(settings.out.join(PAGE_FILE))?;
        let proof = proof.map(Proof::to_json);
        let published = publication
            .publish(
                (&result, proof.as_deref(), &page),
                host,
                &settings.module,
                &prepared.session.aws,
            )
            .await?;
        tracing::info!("published s3://{}/{}", published.bucket, published.object);
        if let Some(kept) = published.kept {
            tracing::info!("kept the result before it: {kept}");
        }
    }
    Ok(())
}

/// A run that failed as a whole leaves no result, and a report with the reason. Bad input changes nothing,
/// because nothing was started.
pub(super) fn report_abort(
    out: &Path,
    (copies, outcomes): (&[Copy], &[Outcome]),
    (started, proof): (Instant, Option<&Proof>),
    error: anyhow::Error,
) -> anyhow::Error {
    if is_input(&error) {
        return error;
    }
    let mut report = publish::report(copies, outcomes, started, Some(&error));
    report.closure = proof.cloned();
    let left = publish::remove_result(out).and_then(|()| publish::write_report(&report, out));
    if let Err(error) = left {
        tracing::error!("{error:#}");
    }
    error
}
