//! A plan with what was proved of it: its digests, its gaps, and what of it is missing at the target.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::charts::Charts;
use crate::closure::{self, Closing, Coverage, Digests, Gaps, Mode, Proof};
use crate::plan::Plan;
use crate::problem::{Problem, Problems};
use crate::progress;
use crate::session::Session;
use crate::trust::TrustGate;
use oci_copy::copy::{Engine, Gate, Preflight, Presence, Request};
use oci_copy::reference::Digest;

use super::prover::Prover;

/// A plan, and what was proved of it; where no chart has templates, there is nothing to prove.
pub(crate) struct Planned {
    /// The plan.
    pub(crate) plan: Plan,
    /// The charts that it was made of.
    pub(crate) charts: Charts,
    /// What was proved.
    pub(crate) proof: Option<Proof>,
    /// The digest of the lock that it was made of, where there is one.
    pub(super) lock: Option<Digest>,
    /// What was added to close gaps, by chart.
    pub(super) closed: BTreeMap<String, Closing>,
    /// What each artifact has to pass before it is copied, where sources are verified.
    pub(crate) gate: Option<Arc<TrustGate>>,
    /// What is known of the copies before they are made, where their digests are published.
    pub(crate) preflights: Vec<Preflight>,
    /// The digests that are published, by the copies' names at the target.
    pub(crate) pinned: Digests,
    /// What is needed to write digests, where they are wanted.
    pub(super) to_pin: Option<Prover>,
}

impl Planned {
    /// What a lock says.
    pub(super) fn of_lock(
        plan: Plan,
        charts: Charts,
        proof: Option<Proof>,
        gate: Option<Arc<TrustGate>>,
        preflights: Vec<Preflight>,
        pinned: Digests,
        lock: Digest,
    ) -> Self {
        Self {
            plan,
            charts,
            proof,
            lock: Some(lock),
            gate,
            preflights,
            pinned,
            closed: BTreeMap::new(),
            to_pin: None,
        }
    }

    /// The plan of those copies alone that are not known to be at the target.
    pub(crate) fn missing(&self) -> Plan {
        let known = self
            .preflights
            .iter()
            .map(|known| known.presence == Presence::Present);
        let known = known.chain(std::iter::repeat(false));
        let copies = self.plan.copies.iter().zip(known);
        let copies = copies.filter(|(_, is_there)| !is_there);
        Plan {
            copies: copies.map(|(copy, _)| copy.clone()).collect(),
            ..self.plan.clone()
        }
    }

    /// The gate as the copy engine asks it.
    pub(crate) fn gate(&self) -> Option<Arc<dyn Gate>> {
        let gate = self.gate.as_ref();
        gate.map(|gate| Arc::clone(gate) as Arc<dyn Gate>)
    }

    /// The plan's copies as the copy engine takes them.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.plan.copies.iter().map(Into::into).collect()
    }

    /// An engine that looks at source and target, through the gate.
    pub(crate) fn engine(&self, session: &Session) -> Arc<Engine> {
        Engine::guarded(
            Arc::clone(&session.stores),
            &session.settings.copy,
            Arc::new(()),
            self.gate(),
        )
    }

    /// With `PinDigests`, writes the digests of copies into the published values, and proves the plan with them.
    /// `preflights` are those of the copies.
    ///
    /// # Errors
    /// When the result document becomes too large.
    pub(crate) async fn pin(&mut self, preflights: Vec<Preflight>) -> anyhow::Result<()> {
        let (Some(mut prover), Some(proof)) = (self.to_pin.take(), &self.proof) else {
            self.preflights = preflights;
            return Ok(());
        };
        let copies = self.plan.copies.iter().zip(&preflights);
        let digests: Digests = copies
            .filter_map(|(copy, preflight)| {
                Some((copy.target_text.clone(), preflight.digest.clone()?))
            })
            .collect();
        let coverage = Coverage::of_plan(&self.plan, &Digests::new());
        let mut left = BTreeMap::new();
        for (key, chart) in &proof.charts {
            let published = self.plan.result.charts.get_mut(key);
            let (Some(published), Some(fetched)) = (published, self.charts.get(key)) else {
                continue;
            };
            let values = published.values.clone();
            let target = (&coverage, &digests);
            let pinning = prover.pinned(chart, fetched, values, target).await?;
            if !pinning.pinned.is_empty() {
                tracing::info!(
                    "charts.{key}: {} pinned to digests",
                    progress::count(pinning.pinned.len(), "image")
                );
            }
            self.pinned.extend(pinning.pinned);
            published.values = pinning.values;
            left.insert(key.clone(), pinning.left);
        }
        self.plan.result.check_size()?;
        let (proof, _) = prover.prove(&self.plan, &self.charts, &digests).await?;
        self.proof = proof.map(|mut proof| {
            for (key, chart) in &mut proof.charts {
                chart.unpinned = left.remove(key).unwrap_or_default();
            }
            proof
        });
        record(&mut self.plan, self.proof.as_ref());
        self.preflights = preflights;
        Ok(())
    }

    /// The gaps, as warnings or as an error, and what has no effect, as warnings. Returns the warnings.
    ///
    /// # Errors
    /// The gaps, where the parameter says that they keep a run from starting.
    pub(crate) fn report(&self) -> (Vec<String>, Result<(), Problems>) {
        let Some(proof) = &self.proof else {
            return (Vec::new(), Ok(()));
        };
        for (key, closing) in &self.closed {
            tracing::info!("charts.{key}: closed by {closing}");
        }
        let charts = proof.charts.iter();
        let of_each = |of: fn(&str, &closure::ChartProof) -> Option<Problem>| {
            charts
                .clone()
                .filter_map(move |(key, chart)| of(key, chart))
        };
        let gaps = |which: Gaps| -> Vec<Problem> {
            let each = charts.clone();
            each.filter_map(|(key, chart)| closure::gaps(key, chart, which))
                .collect()
        };
        let odd = of_each(closure::without_effect).chain(of_each(closure::unpinned));
        let mut warnings: Vec<String> = odd.map(|problem| problem.to_string()).collect();
        let (gaps, refused) = if proof.mode == Mode::Report {
            (gaps(Gaps::All), Ok(()))
        } else {
            (gaps(Gaps::Optional), Problems::check(gaps(Gaps::Fatal)))
        };
        warnings.extend(gaps.iter().map(ToString::to_string));
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        for (key, chart) in charts {
            let tests = chart.references.iter();
            let tests = tests.filter(|reference| reference.state == closure::State::TestOnly);
            let tests: Vec<&str> = tests.map(|reference| reference.image.as_str()).collect();
            if !tests.is_empty() {
                tracing::info!(
                    "charts.{key}: not copied, because only `helm test` needs it: {}",
                    tests.join(", ")
                );
            }
        }
        (warnings, refused)
    }
}

/// Notes the proof's short form in the result document.
pub(super) fn record(plan: &mut Plan, proof: Option<&Proof>) {
    if let Some(proof) = proof {
        let short = proof.short();
        plan.result = plan
            .result
            .with(|result| result.written.closure = Some(short));
    }
}
