//! A worker: it waits for its share of the quotas, takes shards until none is left, and reports to the
//! coordinator what was delivered.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::aws::Bucket;
use crate::plan::Copy;
use crate::settings::{Environment, Flags, Settings};
use oci_copy::copy::{Events, Outcome, Request};
use oci_copy::http::Share;
use oci_copy::reference::Digest;
use oci_copy::store::Stores;

use super::executor::{Executor, Job};
use super::run_store::{Control, Delivered, Report, RunSpec, RunStore};
use super::workers::part;

/// How often a worker looks whether it may begin.
const KNOCK: Duration = Duration::from_millis(500);

/// How often there is a report while there is work.
const TICK: Duration = Duration::from_secs(2);

/// The shortest time without a heartbeat after which the coordinator counts as lost.
const LEAST_SILENCE: Duration = Duration::from_secs(3);

/// What a worker has to do.
pub struct WorkerTask {
    store: RunStore,
    spec: RunSpec,
    /// From 1 on.
    build: usize,
}

impl WorkerTask {
    /// Reads it below the run's prefix; `None` when there is none (any more): the run is over. `order` is
    /// the digest that it must have.
    ///
    /// # Errors
    /// When the bucket cannot be read, or holds something else.
    pub async fn read(
        bucket: Bucket,
        prefix: &str,
        order: &Digest,
        build: usize,
    ) -> anyhow::Result<Option<Self>> {
        let store = RunStore::new(bucket, prefix);
        let spec = store
            .spec(order)
            .await
            .context("cannot read the run's settings")?;
        Ok(spec.map(|spec| Self { store, spec, build }))
    }

    /// The flags of the coordinator; its file of certificates is not on this machine.
    #[must_use]
    pub fn flags(&self) -> Flags {
        let mut flags = self.spec.flags.clone();
        flags.parameters.remove("ca_file");
        flags
    }

    /// This build's environment with what the coordinator forwarded.
    #[must_use]
    pub fn environment(&self, own: Environment) -> Environment {
        own.with(self.spec.environment.clone())
    }

    /// The hosts that a secret's credentials may be for.
    #[must_use]
    pub fn hosts(&self) -> BTreeSet<String> {
        self.spec.hosts.iter().cloned().collect()
    }

    /// Limits this build to its share of the quotas.
    pub fn apply_share(&self, share: &Share) {
        share.set(part(1, self.spec.builds));
    }
}

/// Works until there is nothing left to do, the coordinator is lost, or the run is stopped. What could not
/// be copied is not an error here: the coordinator tries it itself and reports why it fails.
///
/// # Errors
/// When the bucket cannot be used.
pub async fn run_task(
    task: WorkerTask,
    stores: &Arc<Stores>,
    settings: &Settings,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let silence = settings.network.read_timeout.max(LEAST_SILENCE);
    let work = Work {
        done: Arc::new(Done::default()),
        control: Control::default(),
        heard_at: Instant::now(),
        sent: None,
        silence,
        task: &task,
    };
    work.run(stores, settings, stop).await
}

struct Work<'a> {
    task: &'a WorkerTask,
    done: Arc<Done>,
    control: Control,
    /// When the coordinator's last heartbeat came.
    heard_at: Instant,
    sent: Option<(Instant, Report)>,
    silence: Duration,
}

impl Work<'_> {
    async fn run(
        mut self,
        stores: &Arc<Stores>,
        settings: &Settings,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        if !self.is_admitted(stop).await? {
            tracing::info!("all shards are claimed, nothing is left to do");
            return Ok(());
        }
        let events = Arc::clone(&self.done) as Arc<dyn Events>;
        // The engine stops too when the coordinator says so.
        let stop = stop.child_token();
        let mut executor = Executor::new(stores, settings, None, events, &stop);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_more = true;
        loop {
            while is_more && executor.is_running_low() && !stop.is_cancelled() {
                is_more = self.take_next(&mut executor).await?;
            }
            if executor.is_idle() {
                break;
            }
            tokio::select! {
                _ = executor.next() => self.report().await?,
                _ = ticks.tick() => {
                    self.report().await?;
                    if !self.read_control().await? {
                        stop.cancel();
                    }
                }
                () = stop.cancelled() => {
                    while !executor.is_idle() {
                        executor.next().await;
                    }
                }
            }
        }
        self.done.report().is_over = true;
        self.report().await
    }

    /// Waits until the coordinator has left this worker its share of the quotas.
    async fn is_admitted(&mut self, stop: &CancellationToken) -> anyhow::Result<bool> {
        loop {
            // The list may be empty by now.
            if !self.read_control().await? || self.next_unclaimed().await?.is_none() {
                return Ok(false);
            }
            if self.control.admitted.contains(&self.task.build) {
                return Ok(true);
            }
            self.report().await?;
            if stop
                .run_until_cancelled(tokio::time::sleep(KNOCK))
                .await
                .is_none()
            {
                return Ok(false);
            }
        }
    }

    /// Reads the instructions of the coordinator; whether the work goes on.
    async fn read_control(&mut self) -> anyhow::Result<bool> {
        let Some(control) = self.task.store.control().await? else {
            return Ok(false);
        };
        if control.heartbeat != self.control.heartbeat {
            self.heard_at = Instant::now();
        }
        self.control = control;
        if self.heard_at.elapsed() > self.silence {
            tracing::warn!(
                "no heartbeat of the coordinator for {} s: this worker stops",
                self.silence.as_secs()
            );
            return Ok(false);
        }
        Ok(!self.control.stop)
    }

    async fn next_unclaimed(&self) -> anyhow::Result<Option<usize>> {
        let claimed = self.task.store.claimed().await?;
        Ok((0..self.task.spec.shards.len()).find(|shard| !claimed.contains(shard)))
    }

    /// Claims the next unclaimed shard; whether there may be more.
    async fn take_next(&mut self, executor: &mut Executor) -> anyhow::Result<bool> {
        let store = &self.task.store;
        let Some(shard) = self.next_unclaimed().await? else {
            return Ok(false);
        };
        if store.claim(shard, self.task.build).await?.is_err() {
            return Ok(true);
        }
        let shard_spec = store.shard(shard, &self.task.spec.shards[shard]).await?;
        let shard_spec = shard_spec.with_context(|| format!("shard {shard} is not there"))?;
        let (mut copies, mut read) = (Vec::new(), Vec::new());
        for item in shard_spec.items {
            let (number, copy, preflight) = item.copy()?;
            copies.push((number, copy));
            read.push(preflight);
        }
        self.done.know(&copies);
        tracing::info!("shard {shard}: {} artifacts", copies.len());
        executor.take(Job {
            preflights: read,
            bytes: shard_spec.bytes,
            copies,
        });
        Ok(true)
    }

    /// Reports to the coordinator what has happened; as a heartbeat also when nothing has.
    async fn report(&mut self) -> anyhow::Result<()> {
        let mut report = self.done.report().clone();
        if let Some((at, sent)) = &self.sent {
            report.heartbeat = sent.heartbeat;
            if report == *sent && at.elapsed() < self.silence / 6 {
                return Ok(());
            }
        }
        report.heartbeat += 1;
        self.task.store.report(self.task.build, &report).await?;
        self.sent = Some((Instant::now(), report));
        Ok(())
    }
}

/// What has been done so far.
#[derive(Default)]
struct Done {
    report: Mutex<Report>,
    /// By target.
    numbers: Mutex<HashMap<String, usize>>,
}

impl Done {
    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn know(&self, copies: &[(usize, Copy)]) {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.extend(
            copies
                .iter()
                .map(|(number, copy)| (copy.target_text.clone(), *number)),
        );
    }
}

impl Events for Done {
    fn expect(&self, bytes: u64) {
        self.report().expected += bytes;
    }

    fn moved(&self, bytes: u64) {
        self.report().moved += bytes;
    }

    fn cancel_expected(&self, bytes: u64) {
        let mut report = self.report();
        report.expected = report.expected.saturating_sub(bytes);
    }

    fn finished(&self, request: &Request, outcome: &Outcome) {
        let target = &request.target_text;
        let number = {
            let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
            numbers.get(target).copied()
        };
        let Some(number) = number else { return };
        let mut report = self.report();
        if let Some(delivered) = Delivered::of(number, outcome) {
            report.delivered.push(delivered);
            tracing::info!(target, bytes = outcome.bytes, "copied {target}");
        } else {
            report.failed.push(number);
            let why = outcome.error().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(target, "left to the coordinator: {target}: {why}");
        }
    }
}
