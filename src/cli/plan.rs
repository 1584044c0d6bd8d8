//! `replicator plan`

use std::sync::Arc;

use anyhow::bail;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::observe::{Seen, State, observe};
use crate::plan;
use crate::publish;
use crate::settings::{Environment, Network};

use super::estimate::Estimate;
use super::flags::{DataFlags, NetworkFlags};
use super::planning::{self, Planned};
use super::{Session, table};

/// Show what `deploy` would do
///
/// Fetches the charts, asks source and target what is there, and prints a table of all artifacts. Writes
/// nothing, unless --out names a folder for `replication_result.json` and `updated_images.json`. Where a host
/// cannot be queried, sizes and states are shown as unknown, and the exit code is 1; so it is when an image
/// does not exist.
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
    /// Ask no registry: sizes and states stay unknown
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
        let Planned { plan, proof } = &planned;
        if let Some(out) = &flags.out {
            publish::write_plan(plan, proof.as_ref(), out)?;
        }
        let mut warnings = super::planned_oddities(plan, &inventory, &session);
        let (of_proof, closed) = planned.tell();
        warnings.extend(of_proof);
        let (seen, unanswered) = if self.no_observe {
            (
                plan.copies.iter().map(|_| Seen::default()).collect(),
                Vec::new(),
            )
        } else {
            look(&session, plan).await?
        };
        for warning in &unanswered {
            tracing::warn!("{warning}");
        }
        let is_known = self.no_observe || unanswered.is_empty();
        warnings.extend(unanswered);
        let credentials = session.stores.http().credentials();
        let estimate = Estimate::new(plan, &seen, &session.settings, |host| {
            credentials.knows(host)
        });
        let text = if self.json {
            let mut text =
                serde_json::to_string_pretty(&document(&planned, &seen, &warnings, &estimate))?;
            text.push('\n');
            text
        } else {
            let closure = proof.as_ref().map(table::closure).unwrap_or_default();
            format!("{}{closure}{estimate}\n", table::table(plan, &seen))
        };
        super::print(text).await?;
        closed?;
        check(plan, &seen, is_known)
    }
}

/// Fails where a deployment would: what does not exist cannot be copied, and of what cannot be queried nothing
/// is known.
fn check(plan: &plan::Plan, seen: &[Seen], is_known: bool) -> anyhow::Result<()> {
    let each = plan.copies.iter().zip(seen);
    let missing: Vec<String> = each
        .filter(|(_, seen)| matches!(seen.state, State::NoSource | State::NoPlatform))
        .map(|(copy, seen)| format!("{} ({})", copy.source_text, seen.state.word()))
        .collect();
    if !missing.is_empty() {
        let artifacts = if missing.len() == 1 {
            "artifact does"
        } else {
            "artifacts do"
        };
        bail!(
            "{} {artifacts} not exist at the source, or not whole or not for the wanted platforms:\n    {}\n    \
             hint: correct the names in the data files or --platforms, or log in where the source hides what is private",
            missing.len(),
            missing.join("\n    ")
        );
    }
    anyhow::ensure!(
        is_known,
        "not every host could be queried, so the plan is incomplete\n    hint: the warnings above name them; \
         --no-observe plans without queries"
    );
    Ok(())
}

/// Asks source and target; once each, because an answer that does not come is shown as unknown.
async fn look(session: &Session, plan: &plan::Plan) -> anyhow::Result<(Vec<Seen>, Vec<String>)> {
    let settings = &session.settings;
    let once = Network {
        tries: 1,
        ..settings.network.clone()
    };
    let stores = super::open_stores(
        settings,
        &once,
        &Arc::clone(&session.aws),
        session.secret.clone(),
    )?;
    Ok(observe(
        &plan.copies,
        &stores,
        &settings.copy.platforms,
        settings.network.jobs,
    )
    .await)
}

fn document(planned: &Planned, seen: &[Seen], warnings: &[String], estimate: &Estimate) -> Value {
    let Planned { plan, proof } = planned;
    let artifacts: Vec<Value> = plan
        .copies
        .iter()
        .zip(seen)
        .map(|(copy, seen)| {
            json!({
                "kind": copy.kind,
                "source": copy.source_text,
                "target": copy.target_text,
                "usedBy": copy.used_by,
                "digest": seen.digest,
                "platforms": seen.platforms,
                "bytes": seen.bytes,
                "state": seen.state.word(),
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
