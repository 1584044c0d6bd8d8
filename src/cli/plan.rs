//! `replicator plan`

use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::plan;
use crate::progress;
use crate::publish;
use crate::settings::{Environment, Network};
use oci_copy::copy::{Detail, Engine, Events, Outcome, Preflight, Request};

use super::estimate::Estimate;
use super::flags::{DataFlags, NetworkFlags};
use super::log::Advised;
use super::planning::{self, Planned};
use super::state::{self, State};
use super::{Session, table};

/// Show what `deploy` would do
///
/// Fetches the charts, queries source and target, and prints a table of all artifacts. Writes nothing, unless
/// --out names a folder for `replication_result.json`, `updated_images.json` and `replication_closure.json`. If a host
/// cannot be queried, sizes and states are shown as unknown. The exit code is 1 then, and if an image does not exist.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 planned; 1 a host cannot be queried or an artifact does not exist; 2 bad input.",
    mut_arg("out", |arg| arg.help(
        "Write replication_result.json and updated_images.json of the plan into this folder [default: write no files]"
    ))
)]
pub(super) struct Plan {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    network: NetworkFlags,
    /// Print JSON instead of a table
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Query no registry: sizes and states are shown as unknown
    #[arg(long, help_heading = "Copying")]
    no_observe: bool,
}

impl Plan {
    pub(super) async fn run(&self, environment: &Environment) -> anyhow::Result<()> {
        let flags = self.data.flags(&self.network);
        let (settings, inventory) = super::read(&flags, environment)?;
        let session =
            Session::for_inventory(settings, &inventory, &CancellationToken::new()).await?;
        let prefix = session.prefix().await?;
        let planned = planning::planned(&session, &inventory, &prefix).await?;
        let Planned { plan, proof, .. } = &planned;
        if let Some(out) = &flags.out {
            publish::write_plan(plan, proof.as_ref(), out)?;
        }
        let mut warnings = super::plan_warnings(plan, &inventory, &session);
        let (of_proof, closed) = planned.report();
        warnings.extend(of_proof);
        let preflights = if self.no_observe {
            plan.copies.iter().map(|_| Preflight::default()).collect()
        } else {
            preflight(&session, plan).await?
        };
        let unanswered = state::unanswered(&plan.copies, &preflights);
        for warning in &unanswered {
            tracing::warn!("{warning}");
        }
        let is_known = unanswered.is_empty();
        warnings.extend(unanswered);
        let estimate = Estimate::new(plan, &preflights, &session);
        let text = if self.json {
            let document = document(&planned, &preflights, &warnings, &estimate);
            serde_json::to_string_pretty(&document)? + "\n"
        } else {
            let closure = proof.as_ref().map(table::closure).unwrap_or_default();
            format!("{}{closure}{estimate}\n", table::table(plan, &preflights))
        };
        super::print(text).await?;
        closed?;
        check(plan, &preflights, is_known)
    }
}

/// Fails if a deployment would fail, or if it is not known whether it would.
fn check(plan: &plan::Plan, preflights: &[Preflight], is_known: bool) -> anyhow::Result<()> {
    let each = plan.copies.iter().zip(preflights);
    let refused = |is_missing: bool| {
        let each = each.clone();
        let each = each
            .filter(move |(_, preflight)| State::of(preflight).is_without_source() == is_missing);
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
async fn preflight(session: &Session, plan: &plan::Plan) -> anyhow::Result<Vec<Preflight>> {
    let settings = &session.settings;
    let once = Network {
        tries: 1,
        ..settings.network.clone()
    };
    let aws = &session.aws;
    let stores = super::open_stores(settings, &once, aws, session.secret.clone())?;
    let engine = Engine::new(stores, &settings.copy, Arc::new(Silence));
    let requests: Vec<Request> = plan.copies.iter().map(Into::into).collect();
    Ok(engine.preflight(&requests, Detail::Everything).await)
}

/// Nothing is copied, so there is nothing to tell.
struct Silence;

impl Events for Silence {
    fn expect(&self, _: u64) {}

    fn moved(&self, _: u64) {}

    fn cancel_expected(&self, _: u64) {}

    fn finished(&self, _: &Request, _: &Outcome) {}
}

fn document(
    planned: &Planned,
    preflights: &[Preflight],
    warnings: &[String],
    estimate: &Estimate,
) -> Value {
    let Planned { plan, proof, .. } = planned;
    let artifacts: Vec<Value> = plan
        .copies
        .iter()
        .zip(preflights)
        .map(|(copy, preflight)| {
            json!({
                "kind": copy.kind,
                "source": copy.source_text,
                "target": copy.target_text,
                "usedBy": copy.used_by,
                "digest": preflight.digest,
                "platforms": preflight.platforms,
                "bytes": preflight.bytes,
                "state": State::of(preflight).as_str(),
            })
        })
        .collect();
    json!({
        "plan": true,
        "prefix": plan.prefix.to_string(),
        "artifacts": artifacts,
        "repositories": plan.repositories(),
        "warnings": warnings,
        "closure": proof,
        "outlook": estimate.to_json(),
        "result": plan.result.as_plan(),
    })
}
