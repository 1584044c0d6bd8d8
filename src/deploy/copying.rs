//! Copies, with progress and report.

use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::bail;

use crate::closure::{Digests, Proof};
use crate::document::RunFacts;
use crate::fan_out::Coordinator;
use crate::hint::{self, Advised};
use crate::plan::Copy;
use crate::progress::{self, Progress};
use crate::publish;
use crate::session::Session;
use crate::trust::TrustGate;
use oci_copy::copy::{Engine, Events, Gate, Outcome, Preflight, Presence};

use super::confirm::{confirm, refuse_moved};
use super::failure_summary;
use super::prepare::Prepared;

/// Copies what a deployment has prepared.
///
/// # Errors
/// When one of the artifacts was not copied.
pub(super) async fn copy(
    prepared: &mut Prepared,
    coordinator: Option<&Coordinator>,
    progress: &Arc<Progress>,
) -> anyhow::Result<Vec<Outcome>> {
    let preflights = std::mem::take(&mut prepared.planned.preflights);
    let warnings = std::mem::take(&mut prepared.warnings);
    let (session, planned) = (&prepared.session, &prepared.planned);
    // With nothing to copy there is nothing to share, and no second look at the target.
    let is_present = |known: &Preflight| known.presence == Presence::Present;
    let has_all = !preflights.is_empty() && preflights.iter().all(is_present);
    let options = CopyOptions {
        coordinator: coordinator.filter(|_| !has_all),
        will_publish: true,
        report_to: Some(&session.settings.out),
        proof: planned.proof.as_ref(),
        preflights,
        pinned: Some(&planned.pinned),
        gate: planned.gate.as_ref(),
        facts: RunFacts {
            prefix: Some(planned.plan.prefix.to_string()),
            eks_version: Some(prepared.inventory.eks_version.clone()),
            ..RunFacts::default()
        },
        warnings,
    };
    copy_all(session, progress, &planned.plan.copies, options).await
}

/// Options of [`copy_all`].
#[derive(Default)]
pub(crate) struct CopyOptions<'a> {
    /// Starts workers where that saves time.
    pub(crate) coordinator: Option<&'a Coordinator>,
    /// Something that names the copies will be published.
    pub(crate) will_publish: bool,
    /// Where the report goes.
    pub(crate) report_to: Option<&'a Path>,
    /// What was proved of the plan.
    pub(crate) proof: Option<&'a Proof>,
    /// What is known of the copies already; empty where nothing is.
    pub(crate) preflights: Vec<Preflight>,
    /// The digests that the values to publish name, by the copies' names at the target.
    pub(crate) pinned: Option<&'a Digests>,
    /// What each artifact has to pass before it is copied.
    pub(crate) gate: Option<&'a Arc<TrustGate>>,
    /// What the report says of the run.
    pub(crate) facts: RunFacts,
    /// What the report warns of.
    pub(crate) warnings: Vec<String>,
}

/// Copies with progress and report; an error when one of the copies failed. Before something is
/// published that names the copies, each name is confirmed.
pub(crate) async fn copy_all(
    session: &Session,
    progress: &Arc<Progress>,
    copies: &[Copy],
    mut options: CopyOptions<'_>,
) -> anyhow::Result<Vec<Outcome>> {
    let (settings, started) = (&session.settings, Instant::now());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    progress.copying(copies.len());
    let events = Arc::clone(progress) as Arc<dyn Events>;
    let mut outcomes = if let Some(coordinator) = options.coordinator {
        coordinator.run(copies, &events, &session.stop).await
    } else {
        let gate = options.gate.map(|gate| Arc::clone(gate) as Arc<dyn Gate>);
        let engine = Engine::guarded(Arc::clone(&session.stores), &settings.copy, events, gate);
        let stop = session.stop.clone().cancelled_owned();
        let known = std::mem::take(&mut options.preflights).into_iter();
        // Of what failed, the copy itself says why.
        let known = known.map(|preflight| Some(preflight).filter(|known| known.errors.is_empty()));
        engine.run_after(copies, known.collect(), stop).await
    };
    if let Some(pinned) = options.pinned {
        refuse_moved(pinned, copies, &mut outcomes);
    }
    if options.will_publish {
        confirm(session, copies, &mut outcomes).await;
    }

    let mut report = publish::report(copies, &outcomes, started, None);
    report.closure = options.proof.cloned();
    if let Some(gate) = options.gate {
        gate.add_to(&mut report);
    }
    report.warnings.clone_from(&options.warnings);
    report.run = RunFacts {
        program: Some(env!("CARGO_PKG_VERSION").to_owned()),
        started_at: now.ok().map(|now| now.as_secs()),
        ..options.facts.clone()
    };
    let reported = match options.report_to {
        Some(out) => publish::write_report(&report, out).map_err(|error| Advised {
            what: format!("the report was not written: {error:#}"),
            remedy: "make room for it, or name another folder with --out, and run it again: what was copied stays",
        }),
        None => Ok(()),
    };
    let totals = report.totals;
    tracing::info!(
        "{} copied ({}), {} already there, {} failed, in {}",
        totals.copied,
        progress::bytes(totals.bytes),
        totals.already_there,
        totals.failed,
        progress::duration(started.elapsed())
    );
    if totals.failed == 0 {
        reported?;
        return Ok(outcomes);
    }
    if let Err(error) = reported {
        tracing::error!("{error}");
    }
    failure_summary::report(copies, outcomes);
    if session.stop.is_cancelled() {
        hint::log(
            "the run was stopped: run it again to continue, what was copied is not sent again",
        );
    }
    let failed = format!(
        "{} of {} failed",
        totals.failed,
        progress::count(totals.artifacts, "artifact")
    );
    if options.will_publish {
        bail!("{failed}, nothing was published");
    }
    bail!(failed)
}
