//! What one build does: shard after shard. The next one is begun when the last one runs low, so that
//! neither its end nor its beginning leaves the link idle.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::plan::Copy;
use crate::settings::Settings;
use oci_copy::copy::{Engine, Events, Gate, Outcome, Preflight, Request};
use oci_copy::store::Stores;

use super::forecast::as_f64;

/// The next shard is begun when this much time's worth is left of the one before: about what it takes to
/// claim it and to read its manifests.
const LEFT: Duration = Duration::from_secs(1);

/// So many may be under way, with those whose manifests wait for their quota.
const UNDER_WAY: usize = 4;

/// A shard to work on.
pub(super) struct Job {
    /// Numbers and artifacts.
    pub(super) copies: Vec<(usize, Copy)>,
    pub(super) preflights: Vec<Option<Preflight>>,
    /// The bytes of its distinct blobs.
    pub(super) bytes: u64,
}

/// Numbers and outcomes of artifacts.
pub(super) type Outcomes = Vec<(usize, Outcome)>;

/// The work of one build.
pub(super) struct Executor {
    stores: Arc<Stores>,
    settings: Settings,
    gate: Option<Arc<dyn Gate>>,
    events: Arc<dyn Events>,
    stop: CancellationToken,
    running: FuturesUnordered<BoxFuture<'static, (usize, Outcomes)>>,
    /// Those of what is under way, each with the bytes that there are to move.
    meters: HashMap<usize, (Arc<Meter>, u64)>,
    taken: usize,
    moved_before: u64,
    /// When the first byte could move.
    began: Option<Instant>,
}

impl Executor {
    pub(super) fn new(
        stores: &Arc<Stores>,
        settings: &Settings,
        gate: Option<Arc<dyn Gate>>,
        events: Arc<dyn Events>,
        stop: &CancellationToken,
    ) -> Self {
        Self {
            stores: Arc::clone(stores),
            settings: settings.clone(),
            gate,
            events,
            stop: stop.clone(),
            running: FuturesUnordered::new(),
            meters: HashMap::new(),
            taken: 0,
            moved_before: 0,
            began: None,
        }
    }

    /// Begins to work on a shard.
    pub(super) fn take(&mut self, job: Job) {
        self.began.get_or_insert_with(Instant::now);
        let meter = Arc::new(Meter {
            inner: Arc::clone(&self.events),
            moved: AtomicU64::new(0),
        });
        let name = self.taken;
        self.taken += 1;
        self.meters.insert(name, (Arc::clone(&meter), job.bytes));
        let engine = Engine::guarded(
            Arc::clone(&self.stores),
            &self.settings.copy,
            meter,
            self.gate.clone(),
        );
        let stop = self.stop.clone().cancelled_owned();
        let work = async move {
            let (numbers, copies): (Vec<usize>, Vec<Request>) = job
                .copies
                .iter()
                .map(|(number, copy)| (*number, copy.into()))
                .unzip();
            let outcomes = engine.run_after(&copies, job.preflights, stop).await;
            numbers.into_iter().zip(outcomes).collect()
        };
        // A task of its own, so that waiting for AWS does not hold up a transfer.
        let work = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(work));
        self.running
            .push(async move { (name, work.await.unwrap_or_default()) }.boxed());
    }

    /// The next shard that is done; never, as long as there is none under way.
    pub(super) async fn next(&mut self) -> Outcomes {
        let Some((name, outcomes)) = self.running.next().await else {
            return std::future::pending().await;
        };
        if let Some((meter, _)) = self.meters.remove(&name) {
            self.moved_before += meter.moved();
        }
        outcomes
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Bytes moved so far.
    pub(super) fn moved(&self) -> u64 {
        let now = self.meters.values().map(|(meter, _)| meter.moved());
        self.moved_before + now.sum::<u64>()
    }

    /// What is left to move of that which is under way, in bytes.
    fn left(&self) -> u64 {
        let left = self.meters.values();
        left.map(|(meter, bytes)| bytes.saturating_sub(meter.moved()))
            .sum()
    }

    /// Bytes a second since the first shard was begun.
    pub(super) fn rate(&self) -> Option<f64> {
        let seconds = self.began?.elapsed().as_secs_f64();
        (self.moved() > 0 && seconds > 0.0).then(|| as_f64(self.moved()) / seconds)
    }

    /// How long work has been under way.
    pub(super) fn since(&self) -> Duration {
        self.began.map(|began| began.elapsed()).unwrap_or_default()
    }

    /// Whether another shard should be begun.
    pub(super) fn is_running_low(&self) -> bool {
        let open = self.meters.values();
        let open = open.filter(|(meter, bytes)| meter.moved() < *bytes);
        // A build that took more would leave too little for others in the end.
        let is_room = open.count() < 2 && self.running.len() < UNDER_WAY;
        let enough = self.rate().map_or(0.0, |rate| rate * LEFT.as_secs_f64());
        self.is_idle() || is_room && as_f64(self.left()) < enough
    }
}

/// Passes on the engine's events, and counts bytes.
struct Meter {
    inner: Arc<dyn Events>,
    moved: AtomicU64,
}

impl Meter {
    fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}

impl Events for Meter {
    fn expect(&self, bytes: u64) {
        self.inner.expect(bytes);
    }

    fn moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        self.inner.moved(bytes);
    }

    fn cancel_expected(&self, bytes: u64) {
        self.inner.cancel_expected(bytes);
    }

    fn finished(&self, request: &Request, outcome: &Outcome) {
        self.inner.finished(request, outcome);
    }
}
