//! Plan -> outcomes: the copy engine. It knows only the interface of [`crate::store`], so that
//! registry to registry, registry to folder and folder to registry are one. `docs/copy-engine.md` tells
//! the whole of it.
//!
//! Order: layers and config, then the manifest; children, then their index; the tag last. A tag
//! never names content that is not whole. Nothing that is there already is sent again, and each
//! distinct blob is read once.

mod artifact;
mod graph;
mod options;
mod outcome;
mod platforms;
mod preflight;
mod referrers;
mod repair;
mod request;
mod resolve;
mod schedule;
mod snapshot;
mod transfer;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::reference::{Digest, Which};
use crate::store::{self, Stores, Target, Unreachable, which};

pub use options::{HashPolicy, Options, ReferrerPolicy};
pub use outcome::{CopyError, Done, Outcome, Side};
pub use preflight::{Detail, Missing, Preflight, Presence};
pub use request::{Origin, Request};
pub use snapshot::{InvalidSnapshot, Snapshot};

use artifact::Way;
use graph::Realm;
use outcome::step;
use transfer::Rules;

/// What the engine tells while it works.
pub trait Events: Send + Sync {
    /// This many bytes more will be moved.
    fn expect(&self, bytes: u64);
    /// This many bytes were moved.
    fn moved(&self, bytes: u64);
    /// This many bytes that were expected will not be moved.
    fn give_up(&self, bytes: u64);
    /// An artifact came to its end.
    fn finished(&self, copy: &Request, outcome: &Outcome);
}

/// The engine.
pub struct Engine {
    stores: Arc<Stores>,
    options: Options,
    rules: Rules,
    events: Arc<dyn Events>,
}

/// What the artifacts of one pool ask about together.
struct Pool {
    names: Vec<Which>,
    present: OnceCell<HashMap<Which, Digest>>,
}

/// One run.
struct Run {
    realms: HashMap<String, Arc<Realm>>,
    pools: HashMap<String, Pool>,
    unreachable: Unreachable,
}

/// Where an artifact is read and where it is written, or why there is no such place.
type Homes = Result<(Arc<dyn store::Source>, Arc<dyn Target>), CopyError>;

/// What a target is opened for: a folder is created only to be written to.
#[derive(Debug, Clone, Copy)]
enum Access {
    Read,
    Write,
}

/// An artifact with its two homes.
struct Opened {
    source: Arc<dyn store::Source>,
    target: Arc<dyn Target>,
    realm: Arc<Realm>,
}

impl Engine {
    /// Makes an engine for any number of runs.
    #[must_use]
    pub fn new(stores: Arc<Stores>, options: &Options, events: Arc<dyn Events>) -> Arc<Self> {
        let rules = Rules {
            policy: stores.http().policy().clone(),
            hash: options.hash,
        };
        Arc::new(Self {
            stores,
            options: options.clone(),
            rules,
            events,
        })
    }

    /// Copies everything. One failure stops nothing else; each copy ends in an outcome, in the order
    /// of the copies. When `stop` comes first, what is not finished is given up.
    pub async fn run(
        self: &Arc<Self>,
        copies: &[Request],
        stop: impl Future<Output = ()>,
    ) -> Vec<Outcome> {
        let nothing = copies.iter().map(|_| None).collect();
        self.run_after(copies, nothing, stop).await
    }

    /// The same after a preflight of some of the artifacts.
    pub async fn run_after(
        self: &Arc<Self>,
        copies: &[Request],
        preflights: Vec<Option<Preflight>>,
        stop: impl Future<Output = ()>,
    ) -> Vec<Outcome> {
        let open = |copy| self.open(copy, Access::Write);
        let homes: Vec<_> = copies.iter().map(open).collect();
        let run = Arc::new(Run::new(copies, &homes));
        let over = CancellationToken::new();
        let schedules = run.realms.values();
        let schedules: Vec<_> = schedules.map(|realm| self.schedule(realm, &over)).collect();
        let mut tasks = JoinSet::new();
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(copies.len());
        let each = copies.iter().zip(homes).zip(preflights).enumerate();
        for (index, ((copy, homes), preflight)) in each {
            let (source, target) = match homes {
                Ok(homes) => homes,
                Err(error) => {
                    let outcome = Outcome::failed(error);
                    self.events.finished(copy, &outcome);
                    outcomes.push(Some(outcome));
                    continue;
                }
            };
            outcomes.push(None);
            let realm = Arc::clone(&run.realms[&target.realm()]);
            let opened = Opened {
                source,
                target,
                realm,
            };
            let (engine, copy, run) = (Arc::clone(self), copy.clone(), Arc::clone(&run));
            tasks.spawn(async move {
                let way = Way::new(&engine, &run, &copy, opened);
                let outcome = way.outcome(preflight).await;
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
        over.cancel();
        for schedule in schedules {
            if let Err(error) = schedule.await {
                tracing::error!("the schedule broke off (please report this): {error}");
            }
        }
        outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(|| Outcome::failed(CopyError::Stopped)))
            .collect()
    }

    fn schedule(&self, realm: &Arc<Realm>, over: &CancellationToken) -> AbortOnDropHandle<()> {
        let schedule = schedule::run(
            Arc::clone(realm),
            self.rules.clone(),
            Arc::clone(&self.events),
            over.clone(),
        );
        AbortOnDropHandle::new(tokio::spawn(schedule))
    }

    fn open(&self, copy: &Request, access: Access) -> Homes {
        let open = "open the home";
        let source: Arc<dyn store::Source> = match &copy.origin {
            Origin::Opened { source, .. } => Arc::clone(source),
            Origin::Location(location) => {
                self.stores
                    .source(location)
                    .map_err(step(Side::Source, open, &copy.source_text))?
            }
        };
        let target = match access {
            Access::Read => self.stores.existing(&copy.target),
            Access::Write => self.stores.target(&copy.target),
        };
        let target = target.map_err(step(Side::Target, open, &copy.target_text))?;
        Ok((source, target))
    }
}

impl Run {
    fn new(copies: &[Request], homes: &[Homes]) -> Self {
        let mut artifacts: HashMap<String, usize> = HashMap::new();
        let mut pools: HashMap<String, Pool> = HashMap::new();
        for (copy, homes) in copies.iter().zip(homes) {
            let Ok((_, target)) = homes else { continue };
            *artifacts.entry(target.realm()).or_default() += 1;
            let pool = pools.entry(target.pool()).or_insert_with(|| Pool {
                names: Vec::new(),
                present: OnceCell::new(),
            });
            pool.names.push(target_name(copy));
        }
        let realms = artifacts
            .into_iter()
            .map(|(realm, artifacts)| (realm, Realm::new(artifacts)))
            .collect();
        Self {
            realms,
            pools,
            unreachable: Unreachable::default(),
        }
    }
}

/// What an artifact is called at the target: its tag where it has one, or else its digest.
fn target_name(copy: &Request) -> Which {
    match copy.target.tag() {
        Some(tag) => Which::Tag(tag.to_owned()),
        None => which(&copy.target),
    }
}
