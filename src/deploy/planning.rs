//! What `plan` and `deploy` do first: fetch the charts, plan, and prove the plan.

use std::sync::Arc;

use crate::charts::{self, Charts};
use crate::closure::{Digests, Mode, Proof};
use crate::inventory::Inventory;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::reference::Prefix;
use crate::session::Session;
use crate::trust::{Policy, TrustGate};

use super::discovering::discovered;
use super::locked;
use super::planned::{Planned, record};
use super::prover::Prover;

/// Fetches the charts, plans, and proves the plan.
///
/// # Errors
/// Everything that is wrong with data files and charts. Gaps are no error here.
pub(crate) async fn planned(
    session: &Session,
    inventory: &Inventory,
    prefix: &Prefix,
    progress: &Progress,
) -> anyhow::Result<Planned> {
    if session.settings.lock.is_required {
        return Box::pin(locked::planned(session, inventory, prefix, true)).await;
    }
    from_sources(session, inventory, prefix, progress).await
}

/// The same whether there is a lock or not.
pub(crate) async fn from_sources(
    session: &Session,
    inventory: &Inventory,
    prefix: &Prefix,
    progress: &Progress,
) -> anyhow::Result<Planned> {
    let policy = Policy::load(session.settings.trust, &inventory.trust, &session.aws).await?;
    let mut prover = Prover::new(session, inventory, prefix);
    progress.steps("fetching charts", inventory.charts.len());
    let charts = charts::fetch_each(inventory, &session.stores, |spec, fetched| {
        prover.begin(spec, fetched);
        progress.step();
    });
    let charts = charts.await?;
    progress.steps("rendering charts", 0);
    let inventory = &*discovered(session, inventory, &charts, prefix).await?;
    let mut plan = Plan::new(inventory, &charts, prefix)?;
    let (mut proof, mut closed) = prover.prove(&plan, &charts, &Digests::new()).await?;
    closed.retain(|_, closing| !closing.is_empty());
    if session.settings.closure.mode != Mode::Complete {
        closed.clear();
    }
    if !closed.is_empty() {
        let mut inventory = inventory.clone();
        for spec in &mut inventory.charts {
            if let Some(closing) = closed.get(&spec.key) {
                closing.add_to(spec);
            }
        }
        plan = Plan::new(&inventory, &charts, prefix)?;
        prover.inventory = Arc::new(inventory);
        (proof, _) = prover.prove(&plan, &charts, &Digests::new()).await?;
    }
    record(&mut plan, proof.as_ref());
    let pins = session.settings.closure.pin_digests;
    let gate = policy.map(|policy| Arc::new(TrustGate::new(policy, &plan.copies, false)));
    Ok(Planned {
        plan,
        gate,
        charts,
        proof,
        lock: None,
        closed,
        preflights: Vec::new(),
        pinned: Digests::new(),
        to_pin: pins.then_some(prover),
    })
}

/// Proves a plan with charts that it was made of.
pub(super) async fn prove(
    session: &Session,
    inventory: &Inventory,
    plan: &Plan,
    charts: &Charts,
) -> anyhow::Result<Option<Proof>> {
    let mut prover = Prover::new(session, inventory, &plan.prefix);
    let copies = plan.copies.iter();
    let digests =
        copies.filter_map(|copy| Some((copy.target_text.clone(), copy.expected.clone()?)));
    let pins = session.settings.closure.pin_digests;
    let digests = digests.filter(|_| pins).collect();
    Ok(prover.prove(plan, charts, &digests).await?.0)
}
