//! What a deployment would do: its first steps, then a look at sources and target, and nothing that is copied.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::bundle::Bundle;
use crate::closure::Proof;
use crate::document::{PlanDocument, PlanState, PlannedArtifact};
use crate::hint::Advised;
use crate::plan::{Copy, CopySource, Plan};
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::publish;
use crate::session::{OpenSources, Session, Sources, unless_stopped};
use crate::settings::{Environment, Flags, Network};
use crate::trust::TrustGate;
use oci_copy::copy::{CopyError, Detail, Engine, Preflight, Side};
use oci_copy::reference::Digest;

use super::estimate::{Estimate, Rate};
use super::planned::Planned;
use super::{locked, planning};

/// Options of [`plan`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PlanOptions {
    /// Asks no registry how the artifacts are: sizes and states are unknown.
    pub no_observe: bool,
    /// The throughput to estimate the time with, in bytes per second. Without one it is what the last deployment
    /// into the output folder had, or what builds of CodeBuild usually have.
    pub bandwidth: Option<f64>,
}

/// What a deployment would do.
pub struct Preview {
    /// The plan.
    pub plan: Plan,
    /// What is known of each of the plan's copies at source and target, in their order.
    pub preflights: Vec<Preflight>,
    /// What was proved of the rendered charts; `None` where no chart has templates.
    pub proof: Option<Proof>,
    /// What each artifact proved of its source, where sources are verified.
    pub gate: Option<Arc<TrustGate>>,
    /// What is odd but possible, what moved since the lock, and last what `unanswered` has.
    pub warnings: Vec<String>,
    /// The hosts that could not be queried, each with its first error.
    pub unanswered: Vec<String>,
    /// What a deployment would move, and how long that takes.
    pub estimate: Estimate,
    /// The images that charts use and the plan does not copy, where they keep a deployment from starting.
    pub gaps: Result<(), Problems>,
}

/// Plans a deployment, and looks at what of it is at sources and target: the whole of `replicator plan`.
///
/// Writes nothing, unless the flags name an output folder, where the plan's documents go. Warnings are logged when
/// they are found, as those of [`super::deploy`] are. What would keep a deployment from succeeding is no error here:
/// [`Preview::check`] says it.
///
/// # Errors
/// Bad input ([`crate::problem::is_input`]); otherwise what failed, such as a chart repository that does not answer;
/// and that `stop` was cancelled.
pub async fn plan(
    flags: &Flags,
    environment: &Environment,
    progress: &Progress,
    stop: &CancellationToken,
    options: PlanOptions,
) -> anyhow::Result<Preview> {
    let planned = preview((flags, environment), (progress, stop), options);
    unless_stopped(stop, "stopped before the end", Box::pin(planned)).await
}

async fn preview(
    (flags, environment): (&Flags, &Environment),
    (progress, stop): (&Progress, &CancellationToken),
    options: PlanOptions,
) -> anyhow::Result<Preview> {
    let sources = Sources::read(flags, environment).await?;
    if let Some(out) = &flags.out {
        publish::check_writable_out(out)?;
    }
    let settings = &sources.settings;
    let pins = settings.closure.pin_digests;
    if pins && options.no_observe {
        let what = "digests are read from the registries, and --no-observe queries none";
        let problem = Problem::input("parameter PinDigests, --pin-digests", what);
        let remedy = "leave out one of --pin-digests and --no-observe";
        return Err(Problems::from(problem.remedy(remedy)).into());
    }
    let rate = Rate::find(options.bandwidth, &settings.out, settings.build.is_some());
    let OpenSources {
        session,
        inventory,
        bundle,
    } = Box::pin(sources.open(stop)).await?;
    let prefix = session.prefix().await?;
    let mut planned = if options.no_observe && session.settings.lock.is_required {
        Box::pin(locked::planned(&session, &inventory, &prefix, false)).await?
    } else {
        planning::planned(&session, &inventory, &prefix, progress).await?
    };
    if pins {
        let preflights = preflights(&session, &planned, bundle.as_ref(), progress).await?;
        planned.pin(preflights).await?;
    }
    if let Some(bundle) = &bundle {
        bundle.check_plan(&planned.plan).await?;
    }
    if let Some(out) = &flags.out {
        publish::write_plan(&planned.plan, planned.proof.as_ref(), out)?;
    }
    let mut warnings = session.warn_about(&planned.plan, &inventory);
    let (of_proof, gaps) = planned.report();
    warnings.extend(of_proof);
    if !options.no_observe {
        let since = locked::since_lock(&session, &inventory, &planned.plan).await;
        for warning in &since {
            tracing::warn!("{warning}");
        }
        warnings.extend(since);
    }
    let preflights = if pins {
        std::mem::take(&mut planned.preflights)
    } else if options.no_observe {
        let copies = planned.plan.copies.iter();
        copies.map(|_| Preflight::default()).collect()
    } else {
        preflights(&session, &planned, bundle.as_ref(), progress).await?
    };
    let Planned {
        plan, proof, gate, ..
    } = planned;
    let unanswered = unanswered(&plan.copies, &preflights);
    for warning in &unanswered {
        tracing::warn!("{warning}");
    }
    warnings.extend(unanswered.iter().cloned());
    Ok(Preview {
        estimate: Estimate::new(&plan, &preflights, &session, rate),
        plan,
        preflights,
        proof,
        gate,
        warnings,
        unanswered,
        gaps,
    })
}

/// The preflights of a deployment, without retries: without a response a state is unknown.
async fn preflights(
    session: &Session,
    planned: &Planned,
    bundle: Option<&Bundle>,
    progress: &Progress,
) -> anyhow::Result<Vec<Preflight>> {
    progress.querying(planned.plan.copies.len());
    let settings = &session.settings;
    let once = Network {
        tries: 1,
        ..settings.network.clone()
    };
    let stores = session.stores_with(&once)?;
    if let Some(bundle) = bundle {
        stores.read_only_from(Arc::clone(bundle.archive()));
    }
    let engine = Engine::guarded(stores, &settings.copy, Arc::new(()), planned.gate());
    let requests = planned.requests();
    Ok(engine.preflight(&requests, Detail::Everything).await)
}

impl Preview {
    /// Whether a deployment would copy something, as far as is known.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        let mut states = self.preflights.iter().map(PlanState::of);
        states.any(|state| state != PlanState::Present)
    }

    /// Fails if a deployment would fail, or if it is not known whether it would.
    ///
    /// # Errors
    /// Gaps, artifacts that cannot be copied, or hosts that could not be queried: the first of these that there is.
    pub fn check(&self) -> anyhow::Result<()> {
        self.gaps.clone()?;
        let (missing, refused) = (self.refused(true), self.refused(false));
        if !missing.is_empty() {
            let do_not = if missing.len() == 1 { "does" } else { "do" };
            let what = format!(
                "{} {do_not} not exist at the source, incomplete there, or not available for the selected platforms:\n    {}",
                progress::count(missing.len(), "artifact"),
                missing.join("\n    ")
            );
            let remedy = "correct the names in the data files or --platforms, or log in if the source is private";
            return Err(Advised { what, remedy }.into());
        }
        if !refused.is_empty() {
            anyhow::bail!(
                "{} cannot be copied:\n    {}",
                progress::count(refused.len(), "artifact"),
                refused.join("\n    ")
            );
        }
        if !self.unanswered.is_empty() {
            let what = "not every host could be queried, so the plan is incomplete".to_owned();
            let remedy = "the warnings above name them; --no-observe plans without queries";
            return Err(Advised { what, remedy }.into());
        }
        Ok(())
    }

    /// The artifacts that cannot be copied, with the reason: those that the source does not have, or the others.
    fn refused(&self, is_without_source: bool) -> Vec<String> {
        let each = self.plan.copies.iter().zip(&self.preflights);
        let each = each.filter(|(_, preflight)| {
            PlanState::of(preflight).is_without_source() == is_without_source
        });
        let each = each.filter_map(|(copy, preflight)| {
            let why = refusal(preflight)?;
            Some(format!("{} ({why})", copy.source_text))
        });
        each.collect()
    }

    /// The same as a document: what `replicator plan -o json` prints.
    #[must_use]
    pub fn to_document(&self) -> PlanDocument {
        let plan = &self.plan;
        let digest = |digest: &Option<Digest>| digest.as_ref().map(ToString::to_string);
        let gate = self.gate.as_ref();
        let artifacts = plan.copies.iter().zip(&self.preflights);
        let artifacts = artifacts.map(|(copy, preflight)| PlannedArtifact {
            kind: copy.kind,
            source: copy.source_text.clone(),
            target: copy.target_text.clone(),
            used_by: copy.used_by.clone(),
            digest: digest(&preflight.digest),
            target_digest: digest(&preflight.present),
            platforms: preflight.platforms.clone(),
            bytes: preflight.bytes,
            missing_bytes: preflight
                .missing
                .as_ref()
                .map(oci_copy::copy::Missing::bytes),
            state: PlanState::of(preflight),
            trust: gate.and_then(|gate| gate.answer(&copy.target_text)),
        });
        PlanDocument {
            plan: true,
            prefix: plan.prefix.to_string(),
            artifacts: artifacts.collect(),
            repositories: plan.repositories().into_iter().map(str::to_owned).collect(),
            warnings: self.warnings.clone(),
            closure: self.proof.clone(),
            estimate: self.estimate.to_document(),
            result: plan.result.as_plan(),
        }
    }
}

/// Why a deployment cannot copy an artifact, whatever is tried; `None` where it can, as far as is known.
fn refusal(preflight: &Preflight) -> Option<String> {
    let state = PlanState::of(preflight);
    if state.is_without_source() {
        return Some(state.as_str().to_owned());
    }
    let mut errors = preflight.errors.iter();
    let refusal = errors.find(|error| !matches!(error, CopyError::Step { .. }));
    refusal.map(ToString::to_string)
}

/// A warning for each host that did not answer, with its first error.
fn unanswered(copies: &[Copy], preflights: &[Preflight]) -> Vec<String> {
    let mut hosts: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for (copy, preflight) in copies.iter().zip(preflights) {
        for error in &preflight.errors {
            let CopyError::Step { side, source, .. } = error else {
                continue;
            };
            let location = match (side, &copy.source) {
                (Side::Source, CopySource::At(location)) => location,
                (Side::Source, CopySource::Chart(_)) => continue,
                (Side::Target, _) => &copy.target,
            };
            let host = location.host();
            let host = host.map_or_else(|| location.to_string(), str::to_owned);
            let text =
                std::iter::successors(Some(source.as_ref() as &dyn std::error::Error), |e| {
                    e.source()
                });
            let text: Vec<String> = text.map(ToString::to_string).collect();
            hosts.entry(host).or_insert((text.join(": "), 0)).1 += 1;
        }
    }
    let warnings = hosts.into_iter().map(|(host, (error, count))| {
        let artifacts = if count == 1 { "artifact" } else { "artifacts" };
        format!("could not query {host}: {error}; what it would say is shown as unknown for {count} {artifacts}")
    });
    warnings.collect()
}
