//! The proof of a plan. Charts are rendered while others arrive.

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

use crate::charts::{Charts, Fetched};
use crate::closure::{
    self, Checked, Closing, Coverage, Digests, Installs, Mode, Outcome, Pinning, Proof, Renders,
    Values,
};
use crate::inventory::{ChartSpec, Inventory, Scenario};
use crate::plan::Plan;
use crate::reference::Prefix;
use crate::session::Session;
use oci_copy::reference::Digest;

/// Renders charts on threads of their own, as many at once as there are processors.
pub(super) struct Prover {
    pub(super) inventory: Arc<Inventory>,
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
    pub(super) fn new(session: &Session, inventory: &Inventory, prefix: &Prefix) -> Self {
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
    pub(super) fn begin(&self, spec: &ChartSpec, fetched: &Arc<Fetched>) {
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
    pub(super) async fn prove(
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
    pub(super) async fn pinned(
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
