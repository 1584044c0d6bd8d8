//! Everything before the first copy: credentials, charts, plan, the bundle, repositories' settings.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use crate::bundle::Bundle;
use crate::inventory::Inventory;
use crate::progress::{self, Progress};
use crate::publish::{self, Publication};
use crate::session::{OpenSources, Session, Sources};
use oci_copy::copy::Detail;

use super::planned::Planned;
use super::{attest, locked, planning, target};

/// A deployment before the first copy.
pub(super) struct Prepared {
    pub(super) session: Session,
    pub(super) inventory: Inventory,
    pub(super) planned: Planned,
    /// The repositories that this program did not create.
    pub(super) shared: BTreeSet<String>,
    /// What the report warns of.
    pub(super) warnings: Vec<String>,
    /// The only source, where there is one.
    pub(super) bundle: Option<Bundle>,
    /// Where the result is published besides the output folder.
    pub(super) publication: Option<Publication>,
}

/// Prepares a deployment. Nothing is written but repositories, the bucket, and files of the output folder.
///
/// # Errors
/// Everything that keeps it from starting.
pub(super) async fn prepare(
    sources: Sources,
    publication: Option<Publication>,
    (progress, stop): (&Progress, &CancellationToken),
) -> anyhow::Result<Prepared> {
    let OpenSources {
        session,
        inventory,
        bundle,
    } = Box::pin(sources.open(stop)).await?;
    let prefix = session.prefix().await?;
    let mut planned = planning::planned(&session, &inventory, &prefix, progress).await?;
    if session.settings.lock.is_required {
        for moved in locked::moved(&session, &planned.missing()).await {
            tracing::warn!("{moved}");
        }
    } else if session.settings.closure.pin_digests {
        progress.querying(planned.plan.copies.len());
        let engine = planned.engine(&session);
        let preflights = engine.preflight(&planned.requests(), Detail::Missing).await;
        planned.pin(preflights).await?;
    }
    let plan = &planned.plan;
    let warnings = session.warn_about(plan, &inventory);
    planned.report().1?;
    let out = &session.settings.out;
    if let Some(bundle) = &bundle {
        bundle.check_plan(plan).await?;
        bundle.verify(out).await?;
        let (stores, options) = (&session.stores, &session.settings.copy);
        bundle.check_target(plan, stores, options).await?;
    }
    // A key that cannot be used is found before anything is copied.
    attest::Signer::open(&session).await?;
    let shared = match &publication {
        Some(publication) => target::prepare(&session, plan, publication).await?,
        None => BTreeSet::new(),
    };
    let kept = match &publication {
        // The bucket keeps them.
        Some(_) => Ok(None),
        None => publish::keep_in(out),
    };
    let written = kept
        .and_then(|_| publish::write_pairs(plan, out))
        .and_then(|()| publish::remove_result(out));
    written.map_err(|error| publish::unusable_out(out, format!("{error:#}")))?;
    tracing::info!(
        "EKS {}: {} to {prefix}",
        inventory.eks_version,
        progress::count(plan.copies.len(), "artifact")
    );
    Ok(Prepared {
        session,
        inventory,
        planned,
        shared,
        warnings,
        bundle,
        publication,
    })
}
