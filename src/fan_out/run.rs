//! A run over several builds, as the coordinator sees it: it does its part, reads what workers report, and
//! in the end has an outcome for every artifact.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::plan::Copy;
use crate::progress;
use crate::settings::FanOut;
use oci_copy::copy::{CopyError, Events, Outcome, Preflight};

use super::coordinator::{Coordinator, RunPlace};
use super::executor::{Executor, Job, Outcomes};
use super::forecast::{self, Speeds};
use super::run_store::{Program, RunSpec, RunStore};
use super::shard::{Load, Shard};
use super::shard_spec::{ManifestBudget, ShardSpec};
use super::workers::{Launch, News, Workers};

/// How often the workers' reports are read.
const TICK: Duration = Duration::from_millis(500);

/// How long the coordinator's own rate is measured before it counts.
const MEASURE: Duration = Duration::from_secs(15);

/// How long it may take until workers can be started.
const LAUNCH: Duration = Duration::from_mins(1);

/// Which build works on a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Unclaimed,
    Coordinator,
    Worker(usize),
}

/// A run over several builds.
pub(super) struct Run<'a> {
    coordinator: &'a Coordinator,
    copies: &'a [Copy],
    preflights: Vec<Option<Preflight>>,
    outcomes: Vec<Option<Outcome>>,
    shards: Vec<Shard>,
    holders: Vec<Holder>,
    executor: Executor,
    events: Arc<dyn Events>,
    workers: Option<Workers>,
    /// What this build works on outside of shards, or has worked on.
    taken_over: HashSet<usize>,
    /// The workers were launched once.
    is_launched: bool,
    launching: Option<AbortOnDropHandle<anyhow::Result<Launch>>>,
    total: Load,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        coordinator: &'a Coordinator,
        copies: &'a [Copy],
        preflights: Vec<Preflight>,
        shards: Vec<Shard>,
        executor: Executor,
        total: Load,
        events: Arc<dyn Events>,
    ) -> Self {
        Self {
            coordinator,
            copies,
            outcomes: copies.iter().map(|_| None).collect(),
            preflights: preflights.into_iter().map(Some).collect(),
            holders: vec![Holder::Unclaimed; shards.len()],
            shards,
            executor,
            events,
            workers: None,
            taken_over: HashSet::new(),
            is_launched: false,
            launching: None,
            total,
        }
    }

    /// Has an outcome for every artifact in the end.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Vec<Outcome> {
        let divided: HashSet<usize> = self
            .shards
            .iter()
            .flat_map(|shard| shard.artifacts.clone())
            .collect();
        let own = (0..self.copies.len()).filter(|number| !divided.contains(number));
        let own: Vec<usize> = own.collect();
        self.begin(&own);
        if let FanOut::Builds(builds) = self.coordinator.settings.fan_out {
            self.launch(builds);
        }
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while self.executor.is_running_low() && self.take_next().await {}
            if self.outcomes.iter().all(Option::is_some) || self.is_at_an_end() {
                break;
            }
            tokio::select! {
                done = self.executor.next() => self.record(done),
                launch = launched(&mut self.launching) => {
                    self.launching = None;
                    stop.run_until_cancelled(Box::pin(self.start_workers(launch))).await;
                }
                _ = ticks.tick() => {
                    stop.run_until_cancelled(Box::pin(self.tick())).await;
                }
                () = stop.cancelled() => break,
            }
        }
        drop(self.launching.take());
        if let Some(workers) = &mut self.workers {
            workers.stop_all().await;
        }
        // The engine gives up by itself when it is to stop.
        while !self.executor.is_idle() {
            let done = self.executor.next().await;
            self.record(done);
        }
        let lost = || Outcome::failed(CopyError::Stopped);
        let outcomes = self.outcomes.into_iter();
        outcomes
            .map(|outcome| outcome.unwrap_or_else(lost))
            .collect()
    }

    /// Begins to work on artifacts here.
    fn begin(&mut self, numbers: &[usize]) {
        if numbers.is_empty() {
            return;
        }
        let needs = numbers
            .iter()
            .filter_map(|number| self.preflights[*number].as_ref()?.missing.as_ref());
        let bytes = Load::of(needs).bytes;
        let copies = numbers
            .iter()
            .map(|number| (*number, self.copies[*number].clone()));
        self.executor.take(Job {
            copies: copies.collect(),
            preflights: numbers
                .iter()
                .map(|number| self.preflights[*number].take())
                .collect(),
            bytes,
        });
    }

    fn record(&mut self, done: Outcomes) {
        for (number, outcome) in done {
            self.outcomes[number] = Some(outcome);
        }
    }

    /// Whether neither this build nor a worker will finish anything more.
    fn is_at_an_end(&self) -> bool {
        let is_expected = |holder: &Holder| match (holder, &self.workers) {
            (Holder::Unclaimed, _) => true,
            (Holder::Worker(build), Some(workers)) => !workers.is_gone(*build),
            (Holder::Coordinator | Holder::Worker(_), _) => false,
        };
        self.executor.is_idle() && !self.holders.iter().any(is_expected)
    }

    /// Takes the next unclaimed shard; whether there may be one more.
    async fn take_next(&mut self) -> bool {
        // The program is small, but a link full of blobs would leave it little room.
        if self.launching.is_some() {
            return false;
        }
        let next = self
            .holders
            .iter()
            .position(|holder| *holder == Holder::Unclaimed);
        let Some(shard) = next else { return false };
        let claimed = match &self.workers {
            Some(workers) => workers.store().claim(shard, 0).await,
            None => Ok(Ok(())),
        };
        match claimed {
            Ok(Err(Some(build))) => {
                self.holders[shard] = Holder::Worker(build);
                self.take_over_from_lost_workers();
                return true;
            }
            Ok(Err(None)) => return false,
            Ok(Ok(())) => {}
            // At worst a worker does the same.
            Err(error) => tracing::debug!("a claim cannot be made: {error:#}"),
        }
        self.holders[shard] = Holder::Coordinator;
        let artifacts = self.shards[shard].artifacts.clone();
        self.begin(&artifacts);
        true
    }

    async fn tick(&mut self) {
        if let Some(workers) = &mut self.workers {
            let news = workers.poll_reports().await;
            self.apply(news);
        } else if self.coordinator.settings.fan_out == FanOut::Auto
            && !self.is_launched
            && self.executor.since() >= MEASURE
            && let Some(rate) = self.executor.rate()
        {
            let left = Load {
                bytes: self.total.bytes.saturating_sub(self.executor.moved()),
                ..self.total
            };
            let speeds = Speeds::of(rate, &self.coordinator.settings.quotas);
            let builds = forecast::worthwhile(&left, &speeds);
            if builds > 1 {
                self.is_launched = true;
                self.launch(builds);
            }
        }
    }

    fn apply(&mut self, news: News) {
        for delivered in news.delivered {
            let number = delivered.number;
            if self.outcomes.get(number).is_none_or(Option::is_some) {
                continue;
            }
            let (copy, outcome) = (&self.copies[number], delivered.outcome());
            self.forget_cached_state(number);
            self.events.finished(&copy.into(), &outcome);
            self.outcomes[number] = Some(outcome);
        }
        self.events.expect(news.expected);
        self.events.moved(news.moved);
        let failed = news.failed.into_iter();
        let failed: Vec<usize> = failed
            .filter(|number| *number < self.copies.len())
            .collect();
        self.take_over(&failed);
        if !news.gone.is_empty() {
            self.take_over_from_lost_workers();
        }
    }

    /// Does here what lost workers left unfinished.
    fn take_over_from_lost_workers(&mut self) {
        let Some(workers) = &self.workers else { return };
        let left = self.holders.iter().zip(&self.shards);
        let left = left.filter(|(holder, _)| match holder {
            Holder::Worker(build) => workers.is_gone(*build),
            Holder::Unclaimed | Holder::Coordinator => false,
        });
        let left: Vec<usize> = left
            .flat_map(|(_, shard)| shard.artifacts.clone())
            .collect();
        self.take_over(&left);
    }

    fn take_over(&mut self, numbers: &[usize]) {
        let open = numbers.iter().copied();
        let open = open.filter(|number| self.outcomes[*number].is_none());
        let open: Vec<usize> = open
            .filter(|number| self.taken_over.insert(*number))
            .collect();
        for number in &open {
            self.forget_cached_state(*number);
        }
        self.begin(&open);
    }

    /// A worker may have created the repository.
    fn forget_cached_state(&self, number: usize) {
        if let Some(repository) = self.copies[number].target.repository() {
            let ecr = self.coordinator.aws.ecr(&self.coordinator.place.host);
            ecr.may_exist(repository);
        }
    }

    /// Begins to start workers; what is under way goes on meanwhile.
    fn launch(&mut self, builds: usize) {
        let mut budget = ManifestBudget::of_a_run();
        let shard_specs = self.shards.iter().map(|shard| {
            let numbers = shard.artifacts.iter();
            let artifacts = numbers.map(|number| {
                let preflight = self.preflights[*number].as_ref();
                (*number, &self.copies[*number], preflight)
            });
            ShardSpec::new(shard.load.bytes, artifacts, &mut budget)
        });
        let shard_specs: Vec<ShardSpec> = shard_specs.collect();
        let mut spec = RunSpec {
            flags: self.coordinator.flags.clone(),
            environment: self.coordinator.environment.forwarded(),
            hosts: self.coordinator.hosts.iter().cloned().collect(),
            shards: Vec::new(),
            builds,
        };
        let name = run_name();
        let prefix = format!("{}{name}/", self.coordinator.place.prefix);
        self.coordinator.laid_out.set(prefix.clone()).ok();
        let (place, settings, aws) = (
            self.coordinator.place.clone(),
            self.coordinator.settings.clone(),
            Arc::clone(&self.coordinator.aws),
        );
        let silence = self.coordinator.silence();
        let launch = async move {
            let RunPlace { host, bucket, .. } = place;
            let id = settings
                .build
                .as_deref()
                .context("this is not a CodeBuild build")?;
            let codebuild = aws.codebuild(&host.region).await;
            let machine = codebuild.machine(id).await?;
            let mut program = Program::own().await?;
            let meeting = aws.bucket(&bucket, &host.region, &host.account).await;
            let store = RunStore::new(meeting, &prefix);
            let order = store.lay_out(&mut program, &mut spec, shard_specs);
            let order = order.await?.to_string();
            let pem = settings.network.certificates.pem();
            let certificates = store.put_certificates(pem).await?;
            let (region, account) = (&host.region, &host.account);
            let arguments = ["work", "--bucket", &bucket, "--prefix", &prefix];
            let more = ["--order", &order, "--region", region, "--account", account];
            let trusted = certificates
                .iter()
                .flat_map(|file| ["--ca-file", file.name]);
            let arguments = arguments.into_iter().chain(more).chain(trusted);
            let arguments = arguments.map(str::to_owned).collect();
            Ok(Launch {
                store,
                codebuild,
                machine,
                spec,
                program,
                certificates,
                arguments,
                share: aws.share().clone(),
                silence,
                token: name,
            })
        };
        let launch = async {
            let launch = tokio::time::timeout(LAUNCH, launch).await;
            launch.unwrap_or_else(|_| {
                bail!(
                    "the program could not be uploaded to the bucket within {} s",
                    LAUNCH.as_secs()
                )
            })
        };
        self.launching = Some(AbortOnDropHandle::new(tokio::spawn(launch)));
    }

    /// The run store is ready: starts the workers. If that fails, the coordinator continues alone.
    async fn start_workers(&mut self, launch: anyhow::Result<Launch>) {
        let own = self.holders.iter().enumerate();
        let own = own.filter(|(_, holder)| **holder == Holder::Coordinator);
        let own: Vec<usize> = own.map(|(shard, _)| shard).collect();
        let workers = match launch {
            Ok(launch) if own.len() < self.shards.len() => Workers::start(launch, &own).await,
            Ok(_) => {
                tracing::info!("nothing is left for workers");
                return;
            }
            Err(error) => Err(error),
        };
        match workers {
            Ok(workers) => {
                let left = self.total.bytes.saturating_sub(self.executor.moved());
                let left = progress::bytes(left);
                tracing::info!(
                    "{left} are divided among {} builds, including this one",
                    workers.builds()
                );
                self.workers = Some(workers);
            }
            Err(error) => tracing::warn!("continuing without workers: {error:#}"),
        }
    }
}

/// What workers are started with, once everything is laid out; pending until a launch has begun.
async fn launched(
    launching: &mut Option<AbortOnDropHandle<anyhow::Result<Launch>>>,
) -> anyhow::Result<Launch> {
    match launching {
        Some(launching) => launching.await?,
        None => std::future::pending().await,
    }
}

/// A name that no other run has.
fn run_name() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = now.unwrap_or_default().as_secs();
    format!("{seconds}-{:08x}", fastrand::u32(..))
}
