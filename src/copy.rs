//! Plan -> outcomes: the copy engine. It knows only the interface of [`crate::store`], so that
//! registry to registry, registry to folder and folder to registry are one.
//!
//! Order: layers, then the config, then the manifest; children, then their index; the tag last. A tag
//! never names content that is not whole. Nothing that is there already is sent again.

mod artifact;
mod blobs;
mod outcome;
mod referrers;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::http::Policy;
use crate::plan::Copy;
use crate::settings::{Platform, Settings};
use crate::store::Stores;

pub use outcome::{CopyError, Done, Outcome, Side};

use blobs::Blobs;

/// What the engine tells while it works.
pub trait Events: Send + Sync {
    /// This many bytes more will be moved.
    fn expect(&self, bytes: u64);
    /// This many bytes were moved.
    fn moved(&self, bytes: u64);
    /// An artifact came to its end.
    fn finished(&self, copy: &Copy, outcome: &Outcome);
}

/// The engine.
pub struct Engine {
    stores: Arc<Stores>,
    platforms: Vec<Platform>,
    /// Whether what refers to an image goes along.
    referrers: bool,
    policy: Policy,
    /// Artifacts in work at once.
    artifacts: usize,
    blobs: Blobs,
    events: Arc<dyn Events>,
}

impl Engine {
    /// The settings say which platforms are copied, whether referrers go along, and how many blobs are
    /// in transfer at once.
    #[must_use]
    pub fn new(stores: Arc<Stores>, settings: &Settings, events: Arc<dyn Events>) -> Arc<Self> {
        let policy = stores.http().policy().clone();
        let jobs = settings.network.jobs;
        Arc::new(Self {
            stores,
            platforms: settings.platforms.clone(),
            referrers: settings.referrers,
            policy,
            artifacts: jobs,
            blobs: Blobs::new(jobs),
            events,
        })
    }

    /// Copies everything. One failure stops nothing else; each copy ends in an outcome, in the order
    /// of the copies. When `stop` comes first, what is not finished is given up.
    pub async fn run(
        self: &Arc<Self>,
        copies: &[Copy],
        stop: impl Future<Output = ()>,
    ) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = copies.iter().map(|_| None).collect();
        let places = Arc::new(Semaphore::new(self.artifacts));
        // Dropping the set ends what is still in work.
        let mut tasks = JoinSet::new();
        for (index, copy) in copies.iter().enumerate() {
            let (engine, copy, places) = (Arc::clone(self), copy.clone(), Arc::clone(&places));
            tasks.spawn(async move {
                let _place = places.acquire_owned().await;
                let outcome = engine.copy(&copy).await;
                engine.events.finished(&copy, &outcome);
                (index, outcome)
            });
        }
        tokio::pin!(stop);
        loop {
            let finished = tokio::select! {
                finished = tasks.join_next() => finished,
                () = &mut stop => None,
            };
            match finished {
                Some(Ok((index, outcome))) => outcomes[index] = Some(outcome),
                // A task that broke off leaves no outcome behind and is counted below.
                Some(Err(error)) => tracing::error!(
                    "a task of the copy engine broke off (please report this): {error}"
                ),
                None => break,
            }
        }
        tasks.shutdown().await;
        outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(Outcome::stopped))
            .collect()
    }
}
