//! A deployment: data files, or a bundle -> everything at the target, and the published result; or stopped before that,
//! as a plan.

mod attest;
mod confirm;
mod coordinator;
pub(crate) mod copying;
mod discovering;
mod estimate;
pub(crate) mod failure_summary;
pub(crate) mod locked;
pub(crate) mod locking;
mod pairs;
pub(crate) mod planned;
pub(crate) mod planning;
mod prepare;
mod preview;
mod prover;
mod publishing;
mod target;

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::document::RESULT_FILE;
use crate::progress::{self, Progress};
use crate::publish;
use crate::session::{Sources, unless_stopped};
use crate::settings::{Environment, Flags};

pub use estimate::{Estimate, Rate, SlowestSource};
pub use locking::lock;
pub use pairs::{Pairs, copy};
pub use preview::{PlanOptions, Preview, plan};

/// What a deployment says that was stopped before its first copy.
const STOPPED: &str = "stopped before anything was copied";

/// Copies all charts and images of an EKS version, and publishes the result: the whole of `replicator deploy`.
///
/// If `stop` is cancelled, copies end as stopped, and nothing is published. A run that fails leaves a report in the
/// output folder and no result.
///
/// # Errors
/// Bad input, for which nothing was started ([`crate::problem::is_input`]); otherwise what failed. Failed artifacts
/// have been logged.
pub async fn deploy(
    flags: &Flags,
    environment: &Environment,
    progress: &Arc<Progress>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let sources =
        unless_stopped(stop, STOPPED, Box::pin(Sources::read(flags, environment))).await?;
    let out = sources.settings.out.clone();
    publish::check_writable_out(&out)?;
    sources.check_target()?;
    let publication = publishing::publication(&sources.settings)?;
    let preparing = prepare::prepare(sources, publication, (progress, stop));
    let mut prepared = unless_stopped(stop, STOPPED, Box::pin(preparing))
        .await
        .map_err(|error| publishing::report_abort(&out, (&[], &[]), (started, None), error))?;
    let coordinator = coordinator::coordinator(&prepared, (flags, environment));
    let outcomes = copying::copy(&mut prepared, coordinator.as_ref(), progress).await?;
    let publishing = async {
        attest::attest(&prepared, &outcomes).await?;
        publishing::publish(&prepared, &outcomes).await
    };
    publishing.await.map_err(|error| {
        let planned = &prepared.planned;
        let what = (&planned.plan.copies[..], &outcomes[..]);
        publishing::report_abort(&out, what, (started, planned.proof.as_ref()), error)
    })?;
    coordinator::clear(coordinator.as_ref()).await;
    tracing::info!(
        "done in {}: {}",
        progress::duration(started.elapsed()),
        out.join(RESULT_FILE).display()
    );
    Ok(())
}
