//! `replicator plan`

use std::sync::Arc;

use crate::bundle::Bundle;
use crate::deploy::planned::Planned;
use crate::deploy::{locked, planning};
use crate::document::{PlanDocument, PlannedArtifact};
use crate::hint::Advised;
use crate::plan;
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::publish;
use crate::session::{OpenSources, Session, Sources};
use crate::settings::{Flags, Network};
use oci_copy::copy::{Detail, Engine, Preflight};
use oci_copy::reference::Digest;

use super::estimate::{self, Estimate, Rate};
use super::flags::{BundleFlags, DataFlags, NetworkFlags, RepositoryFlags};
use super::output::Output;
use super::state::{self, State};
use super::{Exit, Invocation, print, table};

/// Show what `deploy` would do
///
/// Fetches the charts, queries source and target, and prints a table of all artifacts, by chart. Writes nothing,
/// unless --out names a folder for `replication_result.json`, `updated_images.json` and `replication_closure.json`.
/// If a host cannot be queried, sizes and states are shown as unknown. The exit code is 1 then, and if an image does
/// not exist.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 planned; 1 a host cannot be queried or an artifact does not exist; 2 bad input; \
                  3 with --exit-code: a deployment would change something.",
    mut_arg("out", |arg| arg.help(
        "Write replication_result.json and updated_images.json of the plan into this folder [default: write no files]"
    ))
)]
pub(super) struct Plan {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    repositories: RepositoryFlags,
    #[command(flatten)]
    bundle: BundleFlags,
    #[command(flatten)]
    options: Options,
}

/// The options of a plan, which `deploy --dry-run` has too.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    output: Output,
    /// The same as -o json
    #[arg(long, help_heading = "Output", conflicts_with = "output")]
    json: bool,
    /// End with exit code 3 if a deployment would change something
    #[arg(long, help_heading = "Output")]
    exit_code: bool,
    /// Query no registry: sizes and states are shown as unknown
    #[arg(long, help_heading = "Copying")]
    no_observe: bool,
    /// The throughput to estimate the time with, such as 20MiB/s or 100Mbit/s [default: what the last deployment into
    /// the output folder had]
    #[arg(long, value_name = "RATE", value_parser = estimate::bandwidth, help_heading = "Output")]
    bandwidth: Option<f64>,
}

impl Plan {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let flags = self.repositories.onto(self.data.flags(&self.network));
        let flags = self.bundle.onto(flags);
        Box::pin(self.options.run(&flags, with)).await
    }
}

impl Options {
    /// Plans, and prints the plan. Returns the exit code.
    pub(super) async fn run(&self, flags: &Flags, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let sources = Sources::read(flags, with.environment).await?;
        let settings = &sources.settings;
        let pins = settings.closure.pin_digests;
        if pins && self.no_observe {
            let what = "digests are read from the registries, and --no-observe queries none";
            let problem = Problem::input("parameter PinDigests, --pin-digests", what);
            let remedy = "leave out one of --pin-digests and --no-observe";
            return Err(Problems::from(problem.remedy(remedy)).into());
        }
        let rate = Rate::find(self.bandwidth, &settings.out, settings.build.is_some());
        let progress = Progress::start(with.screen);
        let OpenSources {
            session,
            inventory,
            bundle,
        } = Box::pin(sources.open(with.stop)).await?;
        let prefix = session.prefix().await?;
        let mut planned = if self.no_observe && session.settings.lock.is_required {
            Box::pin(locked::planned(&session, &inventory, &prefix, false)).await?
        } else {
            planning::planned(&session, &inventory, &prefix, &progress).await?
        };
        if pins {
            progress.querying(planned.plan.copies.len());
            let preflights = preflight(&session, &planned, bundle.as_ref()).await?;
            planned.pin(preflights).await?;
        }
        let known = std::mem::take(&mut planned.preflights);
        let Planned { plan, proof, .. } = &planned;
        if let Some(bundle) = &bundle {
            bundle.check_plan(plan).await?;
        }
        if let Some(out) = &flags.out {
            publish::write_plan(plan, proof.as_ref(), out)?;
        }
        let mut warnings = session.warn_about(plan, &inventory);
        let (of_proof, closed) = planned.report();
        warnings.extend(of_proof);
        if !self.no_observe {
            let since = locked::since_lock(&session, &inventory, plan).await;
            for warning in &since {
                tracing::warn!("{warning}");
            }
            warnings.extend(since);
        }
        let preflights = if pins {
            known
        } else if self.no_observe {
            plan.copies.iter().map(|_| Preflight::default()).collect()
        } else {
            progress.querying(plan.copies.len());
            preflight(&session, &planned, bundle.as_ref()).await?
        };
        drop(progress);
        let unanswered = state::unanswered(&plan.copies, &preflights);
        for warning in &unanswered {
            tracing::warn!("{warning}");
        }
        let is_known = unanswered.is_empty();
        warnings.extend(unanswered);
        let estimate = Estimate::new(plan, &preflights, &session, rate);
        let document = document(&planned, &preflights, &warnings, &estimate);
        let table = |width| {
            let closure = proof.as_ref().map(table::closure).unwrap_or_default();
            let table = table::table(
                plan,
                &preflights,
                proof.as_ref(),
                planned.gate.as_deref(),
                width,
            );
            format!("{table}{closure}{estimate}\n")
        };
        let output = self.output.or_json(self.json);
        let text = output.text(with.environment, &document, table)?;
        print(text).await?;
        closed?;
        check(plan, &preflights, is_known)?;
        let is_present = |preflight| state::of(preflight) == State::Present;
        let changes = self.exit_code && !preflights.iter().all(is_present);
        Ok(if changes { Exit::Changes } else { Exit::Done })
    }
}

/// Fails if a deployment would fail, or if it is not known whether it would.
fn check(plan: &plan::Plan, preflights: &[Preflight], is_known: bool) -> anyhow::Result<()> {
    let each = plan.copies.iter().zip(preflights);
    let refused = |is_missing: bool| {
        let each = each.clone();
        let each = each
            .filter(move |(_, preflight)| state::of(preflight).is_without_source() == is_missing);
        let each = each.filter_map(|(copy, preflight)| {
            let why = state::refusal(preflight)?;
            Some(format!("{} ({why})", copy.source_text))
        });
        each.collect::<Vec<String>>()
    };
    let (missing, refused) = (refused(true), refused(false));
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
    if !is_known {
        let what = "not every host could be queried, so the plan is incomplete".to_owned();
        let remedy = "the warnings above name them; --no-observe plans without queries";
        return Err(Advised { what, remedy }.into());
    }
    Ok(())
}

/// The preflight of a deployment, without retries: without a response the state is shown as unknown.
async fn preflight(
    session: &Session,
    planned: &Planned,
    bundle: Option<&Bundle>,
) -> anyhow::Result<Vec<Preflight>> {
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

fn document(
    planned: &Planned,
    preflights: &[Preflight],
    warnings: &[String],
    estimate: &Estimate,
) -> PlanDocument {
    let Planned { plan, proof, .. } = planned;
    let digest = |digest: &Option<Digest>| digest.as_ref().map(ToString::to_string);
    let artifacts = plan.copies.iter().zip(preflights);
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
        state: state::of(preflight),
        trust: planned
            .gate
            .as_ref()
            .and_then(|gate| gate.answer(&copy.target_text)),
    });
    PlanDocument {
        plan: true,
        prefix: plan.prefix.to_string(),
        artifacts: artifacts.collect(),
        repositories: plan.repositories().into_iter().map(str::to_owned).collect(),
        warnings: warnings.to_vec(),
        closure: proof.clone(),
        estimate: estimate.to_document(),
        result: plan.result.as_plan(),
    }
}
