//! The coordinator: whether it starts workers, and what it needs for that.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::aws::Aws;
use crate::plan::{Copy, CopySource};
use crate::reference::EcrHost;
use crate::settings::{Environment, Flags, Settings};
use oci_copy::copy::{CopyError, Detail, Engine, Events, Gate, Outcome, Preflight, Request};
use oci_copy::store::Stores;

use super::decision::{Decision, Terms};
use super::executor::Executor;
use super::run::Run;
use super::run_store::RunStore;
use super::shard;

/// The rate of a slow build, in bytes a second: what even that one moves in a short time is not divided.
const SLOW: f64 = 10e6;

/// The shortest time without a heartbeat after which a worker counts as lost.
const LEAST_SILENCE: Duration = Duration::from_secs(3);

/// Where the builds of a run exchange what they have to tell each other.
#[derive(Debug, Clone)]
pub struct RunPlace {
    /// The account and region of the target.
    pub host: EcrHost,
    /// The module's bucket.
    pub bucket: String,
    /// What all keys of this module's runs begin with, with a slash at its end.
    pub prefix: String,
}

/// What the coordinator needs to start workers.
pub struct Coordinator {
    /// Where the runs of this module are.
    pub place: RunPlace,
    /// The flags of this build.
    pub flags: Flags,
    /// The environment of this build.
    pub environment: Environment,
    /// The hosts that a secret's credentials may be for.
    pub hosts: BTreeSet<String>,
    /// The hosts whose credentials only this machine has.
    pub own_hosts: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// Access to AWS.
    pub aws: Arc<Aws>,
    /// All stores.
    pub stores: Arc<Stores>,
    /// What each artifact has to pass before it is copied.
    pub gate: Option<Arc<dyn Gate>>,
    /// The run's settings.
    pub settings: Settings,
    /// What this run's keys begin with, once there are some.
    pub laid_out: OnceLock<String>,
}

impl Coordinator {
    /// Copies everything, as [`Engine::run`] does, with workers where that saves time.
    pub async fn run(
        &self,
        copies: &[Copy],
        events: &Arc<dyn Events>,
        stop: &CancellationToken,
    ) -> Vec<Outcome> {
        let engine = Engine::guarded(
            Arc::clone(&self.stores),
            &self.settings.copy,
            Arc::clone(events),
            self.gate.clone(),
        );
        let requests: Vec<Request> = copies.iter().map(Into::into).collect();
        let preflight = engine.preflight(&requests, Detail::Missing);
        let Some(preflights) = stop.run_until_cancelled(preflight).await else {
            let stopped = |_| Outcome::failed(CopyError::Stopped);
            return copies.iter().map(stopped).collect();
        };
        let terms = Terms {
            settings: &self.settings,
            is_ecr: true,
            own_hosts: self.own_hosts.as_ref(),
            rate: SLOW,
        };
        let decision = Decision::new(copies, &preflights, &terms);
        let (builds, total) = (decision.builds, decision.shared);
        if builds < 2 {
            let preflights = preflights.into_iter().map(Some).collect();
            let stop = stop.clone().cancelled_owned();
            return engine.run_after(&requests, preflights, stop).await;
        }
        let shards = shard::pack(&decision.divisible, builds);
        let executor = Executor::new(
            &self.stores,
            &self.settings,
            self.gate.clone(),
            Arc::clone(events),
            stop,
        );
        let pinned: Vec<Copy> = match self.gate {
            None => Vec::new(),
            Some(_) => pinned(copies, &preflights),
        };
        let copies = if pinned.is_empty() { copies } else { &pinned };
        let events = Arc::clone(events);
        let run = Run::new(self, copies, preflights, shards, executor, total, events);
        // It is large, and most runs never get here.
        Box::pin(run.run(stop)).await
    }

    /// Deletes the objects of the run, which nothing needs any more.
    ///
    /// # Errors
    /// When S3 refuses.
    pub async fn clear(&self) -> anyhow::Result<()> {
        let Some(run) = self.laid_out.get() else {
            return Ok(());
        };
        let (name, host) = (&self.place.bucket, &self.place.host);
        let bucket = self.aws.bucket(name, &host.region, &host.account).await;
        RunStore::new(bucket, run).clear().await
    }

    /// How long a worker may be without a heartbeat.
    pub(super) fn silence(&self) -> Duration {
        self.settings.network.read_timeout.max(LEAST_SILENCE)
    }
}

/// The copies with the digests that passed the gate: workers have none, and a tag may move before they read it.
fn pinned(copies: &[Copy], preflights: &[Preflight]) -> Vec<Copy> {
    let each = copies.iter().zip(preflights);
    each.map(|(copy, preflight)| {
        let mut copy = copy.clone();
        if let (CopySource::At(location), Some(digest)) =
            (&mut copy.source, preflight.source_digest())
        {
            location.pin(digest);
        }
        copy
    })
    .collect()
}
