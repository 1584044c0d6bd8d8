//! `replicator plan`

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::charts;
use crate::observe::{Seen, observe};
use crate::plan::{self, Kind};
use crate::publish;
use crate::settings::{Environment, Network};

use super::flags::{DataFlags, NetworkFlags};
use super::outlook::Outlook;
use super::{Session, table};

/// Show what `deploy` would do
///
/// Fetches the charts, asks source and target what is there, prints a table of all artifacts, and writes
/// `replication_result.json` and `updated_images.json`. Writes to no registry and no bucket. Where a host
/// cannot be asked, its sizes and states are shown as unknown.
#[derive(Debug, clap::Args)]
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
        let (settings, inventory) = super::read(&self.data.flags(&self.network), environment)?;
        let session =
            Session::for_inventory(settings, &inventory, &CancellationToken::new()).await?;
        let prefix = session.prefix().await?;
        let charts = charts::fetch(&inventory, &session.stores).await?;
        let plan = plan::Plan::new(&inventory, &charts, &prefix)?;
        publish::write_plan(&plan, &session.settings.out)?;

        let (seen, warnings) = if self.no_observe {
            (
                plan.copies.iter().map(|_| Seen::default()).collect(),
                Vec::new(),
            )
        } else {
            look(&session, &plan).await?
        };
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let credentials = session.stores.http().credentials();
        let outlook = Outlook::new(&plan, &seen, &session.settings, |host| {
            credentials.knows(host)
        });
        let text = if self.json {
            let mut text =
                serde_json::to_string_pretty(&document(&plan, &seen, &warnings, &outlook))?;
            text.push('\n');
            text
        } else {
            format!("{}{outlook}\n", table::table(&plan, &seen))
        };
        match std::io::stdout().write_all(text.as_bytes()) {
            // Whoever reads only the first lines has what he wants.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            written => written.context("cannot write to standard output"),
        }
    }
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
        &settings.platforms,
        settings.network.jobs,
    )
    .await)
}

fn document(plan: &plan::Plan, seen: &[Seen], warnings: &[String], outlook: &Outlook) -> Value {
    let artifacts: Vec<Value> = plan
        .copies
        .iter()
        .zip(seen)
        .map(|(copy, seen)| {
            json!({
                "kind": match copy.kind { Kind::Image => "image", Kind::Chart => "chart" },
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
        "prefix": plan.prefix.to_string(),
        "artifacts": artifacts,
        "repositories": plan.repositories(),
        "warnings": warnings,
        "outlook": outlook.to_json(),
        "result": serde_json::from_str::<Value>(&plan.result.to_json()).unwrap_or_default(),
    })
}
