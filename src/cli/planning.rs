//! What `plan` and `deploy` do first: fetch the charts, plan, and prove the plan. Charts are rendered while
//! others arrive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use helm_chart::archive::Keep;
use helm_chart::chart::Chart;
use helm_chart::render::{Capabilities, together};

use crate::charts::{self, Charts, Fetched};
use crate::closure::{
    self, Checked, Closing, Coverage, Digests, Gaps, Installs, Mode, Outcome, Pinning, Proof,
    Renders, Values,
};
use crate::inventory::{ChartSpec, Inventory, Scenario};
use crate::plan::Plan;
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::reference::Prefix;
use crate::trust::{Policy, TrustGate};
use oci_copy::copy::{Gate, Preflight, Presence};
use oci_copy::reference::Digest;

use super::Session;
use super::discovering::discovered;

/// A plan, and what was proved of it; where no chart has templates, there is nothing to prove.
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// The charts that it was made of.
    pub(super) charts: Charts,
    pub(super) proof: Option<Proof>,
    /// What was added to close gaps, by chart.
    closed: BTreeMap<String, Closing>,
    /// What each artifact has to pass before it is copied, where sources are verified.
    pub(super) gate: Option<Arc<TrustGate>>,
    /// What is known of the copies before they are made, where their digests are published.
    pub(super) preflights: Vec<Preflight>,
    /// The digests that are published, by the copies' names at the target.
    pub(super) pinned: Digests,
    /// What is needed to write digests, where they are wanted.
    to_pin: Option<Prover>,
}

/// Fetches the charts, plans, and proves the plan.
///
/// # Errors
/// Everything that is wrong with data files and charts. Gaps are no error here.
pub(super) async fn planned(
    session: &Session,
    inventory: &Inventory,
    prefix: &Prefix,
    progress: &Progress,
) -> anyhow::Result<Planned> {
    if session.settings.lock.is_required {
        return Box::pin(super::locked::planned(session, inventory, prefix, true)).await;
    }
    from_sources(session, inventory, prefix, progress).await
}

/// The same whether there is a lock or not.
pub(super) async fn from_sources(
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

/// Notes the proof's short form in the result document.
pub(super) fn record(plan: &mut Plan, proof: Option<&Proof>) {
    if let Some(proof) = proof {
        let short = proof.short();
        plan.result = plan
            .result
            .with(|result| result.written.closure = Some(short));
    }
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
    ) -> Self {
        Self {
            plan,
            charts,
            proof,
            gate,
            preflights,
            pinned,
            closed: BTreeMap::new(),
            to_pin: None,
        }
    }

    /// The plan of those copies alone that are not known to be at the target.
    pub(super) fn missing(&self) -> Plan {
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
    pub(super) fn gate(&self) -> Option<Arc<dyn Gate>> {
        let gate = self.gate.as_ref();
        gate.map(|gate| Arc::clone(gate) as Arc<dyn Gate>)
    }

    /// With `PinDigests`, writes the digests of copies into the published values, and proves the plan with them.
    /// `preflights` are those of the copies.
    ///
    /// # Errors
    /// When the result document becomes too large.
    pub(super) async fn pin(&mut self, preflights: Vec<Preflight>) -> anyhow::Result<()> {
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
    pub(super) fn report(&self) -> (Vec<String>, Result<(), Problems>) {
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

/// Renders charts on threads of their own, as many at once as there are processors.
struct Prover {
    inventory: Arc<Inventory>,
    prefix: Prefix,
    options: closure::Options,
    capabilities: Capabilities,
    /// No copies: how values are rendered below the prefix.
    outside: Coverage,
    places: Arc<Semaphore>,
    begun: Mutex<BTreeMap<String, Rendering>>,
    /// The scenarios of charts that were rendered already, those with switches on included.
    scenarios: BTreeMap<String, Vec<Scenario>>,
}

/// Reads and renders a chart on one thread, so that all memory for it comes from one place and is used again.
async fn on_one_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    tokio::task::spawn_blocking(|| together(work)).await
}

/// A chart that is being rendered; without a result where it has no templates.
type Rendering = AbortOnDropHandle<anyhow::Result<Option<Renders>>>;

impl Prover {
    fn new(session: &Session, inventory: &Inventory, prefix: &Prefix) -> Self {
        let options = session.settings.closure.clone();
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            capabilities: options.capabilities(&inventory.eks_version, &inventory.api_versions),
            options,
            inventory: Arc::new(inventory.clone()),
            prefix: prefix.clone(),
            outside: Coverage::new(prefix),
            places: Arc::new(Semaphore::new(at_once)),
            begun: Mutex::default(),
            scenarios: BTreeMap::new(),
        }
    }

    /// Begins to render a chart that has arrived.
    fn begin(&self, spec: &ChartSpec, fetched: &Arc<Fetched>) {
        // What will be published is known only when its images are discovered.
        if spec.discovery.is_some() {
            return;
        }
        let (inventory, prefix) = (Arc::clone(&self.inventory), self.prefix.clone());
        let (of, fetched_too) = (spec.clone(), Arc::clone(fetched));
        // What is wrong with it, the plan will say.
        let published = move || {
            Plan::published(&inventory, &of, &fetched_too.chart, &prefix).unwrap_or_default()
        };
        let rendering = self.render(spec, &fetched.archive, published);
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.insert(spec.key.clone(), rendering);
    }

    fn render(
        &self,
        spec: &ChartSpec,
        archive: &Bytes,
        published: impl FnOnce() -> Values + Send + 'static,
    ) -> Rendering {
        let (places, outside) = (Arc::clone(&self.places), self.outside.clone());
        let archive = archive.clone();
        let mut installs = Installs::from(&spec.installation);
        match self.scenarios.get(&spec.key) {
            Some(scenarios) => installs.scenarios.clone_from(scenarios),
            None => installs.switches = self.options.switches,
        }
        let capabilities = self.capabilities.clone();
        let work = move || {
            let published = outside.values(&published());
            let chart = match Chart::read(&archive, Keep::Everything) {
                Ok(chart) => chart,
                Err(error) => {
                    let reason = format!("its archive cannot be read: {error:#}");
                    return Some(Renders::failed(installs, published, &reason));
                }
            };
            closure::has_templates(&chart)
                .then(|| closure::render(&chart, installs, &published, &capabilities))
        };
        AbortOnDropHandle::new(tokio::spawn(async move {
            let _place = places.acquire_owned().await?;
            let rendered = on_one_thread(work).await;
            rendered.context("rendering a chart broke off")
        }))
    }

    /// Waits for all renders, and says of each reference whether the plan copies it.
    /// Also says what closes gaps, by chart.
    async fn prove(
        &mut self,
        plan: &Plan,
        charts: &Charts,
        digests: &Digests,
    ) -> anyhow::Result<(Option<Proof>, BTreeMap<String, Closing>)> {
        let coverage = Coverage::of_plan(plan, digests);
        let mut begun =
            std::mem::take(&mut *self.begun.lock().unwrap_or_else(PoisonError::into_inner));
        let (mut proofs, mut closings) = (BTreeMap::new(), BTreeMap::new());
        let inventory = Arc::clone(&self.inventory);
        for spec in &inventory.charts {
            let Some(fetched) = charts.get(&spec.key) else {
                continue;
            };
            let published = plan.result.charts.get(&spec.key);
            let published = published
                .map(|chart| chart.values.clone())
                .unwrap_or_default();
            let wanted = coverage.values(&published);
            let mut renders = match begun.remove(&spec.key) {
                Some(rendering) => Some(rendering.await??),
                None => None,
            };
            let is_other = |renders: &Option<Renders>| {
                let renders = renders.as_ref();
                renders.is_some_and(|renders| renders.published != wanted)
            };
            if renders.as_ref().is_none_or(is_other) {
                let published = published.clone();
                let rendering = self.render(spec, &fetched.archive, move || published);
                renders = Some(rendering.await??);
            }
            let renders = renders.flatten();
            if let Some(renders) = &renders {
                let scenarios = renders.scenarios.iter();
                let scenarios = scenarios.map(|(scenario, _)| scenario.clone()).collect();
                self.scenarios.insert(spec.key.clone(), scenarios);
                if renders.is_partial {
                    tracing::warn!(
                        "charts.{}: the search for what switches add took too many renders and ended early; images \
                         may be missing",
                        spec.key
                    );
                }
            }
            self.keep(&spec.key, renders.clone());
            let metadata = &fetched.chart.metadata;
            let versions = (metadata.version.as_str(), metadata.app_version.as_str());
            let archive = Digest::of(&fetched.archive);
            let checked = Checked::new(spec, versions, archive, &published);
            let mut proof = closure::judge(checked, renders, &coverage);
            if proof.gaps().next().is_some() {
                let (explained, closing) =
                    self.explained(proof, fetched, wanted, &coverage).await?;
                proof = explained;
                closings.insert(spec.key.clone(), closing);
            }
            proofs.insert(spec.key.clone(), proof);
        }
        let is_nothing = |proof: &closure::ChartProof| proof.outcome == Outcome::NoTemplates;
        if proofs.values().all(is_nothing) {
            return Ok((None, closings));
        }
        let proof = Proof {
            mode: self.options.mode,
            prefix: plan.prefix.to_string(),
            eks_version: self.inventory.eks_version.clone(),
            kubernetes_version: self.capabilities.kube_version.version.clone(),
            api_versions: self.inventory.api_versions.clone(),
            totals: Proof::sums(&proofs),
            charts: proofs,
        };
        Ok((Some(proof), closings))
    }

    /// Keeps a render for another proof of the same run.
    fn keep(&self, key: &str, renders: Option<Renders>) {
        if self.options.mode == Mode::Complete || self.options.pin_digests {
            let rendering = AbortOnDropHandle::new(tokio::spawn(async { Ok(renders) }));
            let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            begun.insert(key.to_owned(), rendering);
        }
    }

    /// A chart's published values with digests.
    async fn pinned(
        &self,
        proof: &closure::ChartProof,
        fetched: &Arc<Fetched>,
        published: Values,
        (coverage, digests): (&Coverage, &Digests),
    ) -> anyhow::Result<Pinning> {
        let (archive, capabilities) = (fetched.archive.clone(), self.capabilities.clone());
        let (proof, coverage, digests) = (proof.clone(), coverage.clone(), digests.clone());
        let work = move || {
            let target = (&coverage, &digests);
            match Chart::read(&archive, Keep::Everything) {
                Ok(chart) => closure::pin(&proof, &chart, &published, &capabilities, target),
                // The proof says so.
                Err(_) => Pinning {
                    values: published,
                    ..Pinning::default()
                },
            }
        };
        let pinned = on_one_thread(work).await;
        pinned.context("writing the digests of a chart's images broke off")
    }

    /// Finds out which values set the gaps of a chart.
    async fn explained(
        &self,
        mut proof: closure::ChartProof,
        fetched: &Arc<Fetched>,
        published: Values,
        coverage: &Coverage,
    ) -> anyhow::Result<(closure::ChartProof, Closing)> {
        let (archive, capabilities) = (fetched.archive.clone(), self.capabilities.clone());
        let (coverage, prefix) = (coverage.clone(), self.prefix.clone());
        let work = move || {
            let target = (&coverage, &prefix);
            let closing = match Chart::read(&archive, Keep::Everything) {
                Ok(chart) => {
                    closure::explain(&mut proof, &chart, &published, &capabilities, target)
                }
                Err(_) => Closing::default(),
            };
            (proof, closing)
        };
        let explained = on_one_thread(work).await;
        explained.context("looking for the values of a chart's images broke off")
    }
}
