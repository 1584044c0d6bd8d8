//! The copy engine. It uses only the interface of [`crate::store`], so registries and folders can be
//! source and target alike. `docs/internals/copy-engine.md` describes it.
//!
//! Order: layers and config, then the manifest; children, then their index; the tag last. A tag
//! never names incomplete content. Content that is at the target is not sent again, and each distinct
//! blob is read once.

mod artifact;
mod describe;
mod gate;
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
mod source_walk;
mod transfer;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::reference::{Digest, TagOrDigest};
use crate::store::{self, Stores, Target, Unreachable, tag_or_digest};

pub use describe::{Description, Part, ReferrerPart};
pub use gate::{Candidate, Gate, Refused};
pub use options::{HashPolicy, Options, ReferrerPolicy};
pub use outcome::{CopyError, Done, Outcome, Side};
pub use preflight::{Detail, Missing, Preflight, Presence};
pub use request::{Origin, Request};
pub use snapshot::{InvalidSnapshot, Snapshot};

use artifact::ArtifactCopy;
use graph::MountScope;
use outcome::step;
use transfer::Rules;

/// Progress of a run.
pub trait Events: Send + Sync {
    /// What one more artifact needs is known.
    fn resolved(&self) {}
    /// This many bytes more will be moved.
    fn expect(&self, bytes: u64);
    /// This many bytes were moved.
    fn moved(&self, bytes: u64);
    /// This many bytes that were expected will not be moved.
    fn cancel_expected(&self, bytes: u64);
    /// An artifact is finished.
    fn finished(&self, copy: &Request, outcome: &Outcome);
}

/// For callers that show no progress.
impl Events for () {
    fn expect(&self, _: u64) {}

    fn moved(&self, _: u64) {}

    fn cancel_expected(&self, _: u64) {}

    fn finished(&self, _: &Request, _: &Outcome) {}
}

/// The engine.
pub struct Engine {
    stores: Arc<Stores>,
    options: Options,
    rules: Rules,
    events: Arc<dyn Events>,
    gate: Option<Arc<dyn Gate>>,
}

/// What the artifacts of one namespace look up together, where the target answers for many names at once.
struct Namespace {
    names: Vec<TagOrDigest>,
    present: OnceCell<HashMap<TagOrDigest, Digest>>,
}

/// One run.
struct Run {
    mount_scopes: HashMap<String, Arc<MountScope>>,
    namespaces: HashMap<String, Namespace>,
    unreachable: Unreachable,
}

/// Source and target of an artifact, or why one of them cannot be opened.
type OpenResult = Result<(Arc<dyn store::Source>, Arc<dyn Target>), CopyError>;

/// What a target is opened for: a folder is created only to be written to.
#[derive(Debug, Clone, Copy)]
enum Access {
    Read,
    Write,
}

/// Source and target of an artifact.
struct Endpoints {
    source: Arc<dyn store::Source>,
    target: Arc<dyn Target>,
    mount_scope: Arc<MountScope>,
}

impl Engine {
    /// An engine for any number of runs.
    #[must_use]
    pub fn new(stores: Arc<Stores>, options: &Options, events: Arc<dyn Events>) -> Arc<Self> {
        Self::guarded(stores, options, events, None)
    }

    /// The same with a gate that each artifact has to pass.
    #[must_use]
    pub fn guarded(
        stores: Arc<Stores>,
        options: &Options,
        events: Arc<dyn Events>,
        gate: Option<Arc<dyn Gate>>,
    ) -> Arc<Self> {
        let rules = Rules {
            policy: stores.http().policy().clone(),
            hash: options.hash,
        };
        Arc::new(Self {
            stores,
            options: options.clone(),
            rules,
            events,
            gate,
        })
    }

    /// Copies everything. One failure stops nothing else; each copy ends in an outcome, in the order
    /// of the copies. When `stop` completes first, unfinished copies are aborted.
    pub async fn run(
        self: &Arc<Self>,
        copies: &[Request],
        stop: impl Future<Output = ()>,
    ) -> Vec<Outcome> {
        self.run_after(copies, Vec::new(), stop).await
    }

    /// The same after a preflight of the first of the artifacts. A request is made of each copy when its
    /// turn comes: a run keeps no second list of all of them.
    pub async fn run_after<C>(
        self: &Arc<Self>,
        copies: &[C],
        preflights: Vec<Option<Preflight>>,
        stop: impl Future<Output = ()>,
    ) -> Vec<Outcome>
    where
        Request: for<'a> From<&'a C>,
    {
        let open = |copy| self.open(&Request::from(copy), Access::Write);
        let opened: Vec<_> = copies.iter().map(open).collect();
        let run = Arc::new(Run::new(copies, &opened));
        let over = CancellationToken::new();
        let schedules = run.mount_scopes.values();
        let schedules: Vec<_> = schedules
            .map(|mount_scope| self.schedule(mount_scope, &over))
            .collect();
        let mut tasks = JoinSet::new();
        let mut outcomes: Vec<Option<Outcome>> = copies.iter().map(|_| None).collect();
        let known = preflights
            .into_iter()
            .chain(std::iter::repeat_with(|| None));
        let mut rest = copies.iter().zip(opened).zip(known).enumerate();
        let mut next = None;
        tokio::pin!(stop);
        loop {
            if next.is_none() {
                next = rest.next().map(|(index, ((copy, opened), preflight))| {
                    let opened = opened.map(|(source, target)| Endpoints {
                        mount_scope: Arc::clone(&run.mount_scopes[&target.mount_scope()]),
                        source,
                        target,
                    });
                    (index, Request::from(copy), opened, preflight)
                });
            }
            if next.is_none() && tasks.is_empty() {
                break;
            }
            let window = match &next {
                Some((_, _, Ok(opened), _)) => Some(Arc::clone(&opened.mount_scope.window)),
                _ => None,
            };
            let admitted = async {
                match window {
                    // It is never closed.
                    Some(window) => window.acquire_owned().await.ok(),
                    None => None,
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(finished) = tasks.join_next() => match finished {
                    Ok((index, outcome)) => {
                        let place: &mut Option<Outcome> = &mut outcomes[index];
                        *place = Some(outcome);
                    }
                    // A task that broke off leaves no outcome behind and is counted below.
                    Err(error) => tracing::error!(
                        "a task of the copy engine broke off (please report this): {error}"
                    ),
                },
                permit = admitted, if next.is_some() => match next.take() {
                    Some((index, copy, Ok(opened), preflight)) => {
                        let (engine, run) = (Arc::clone(self), Arc::clone(&run));
                        tasks.spawn(async move {
                            let artifact = ArtifactCopy::new(&engine, &run, &copy, opened);
                            let mut outcome = artifact.outcome(preflight).await;
                            outcome.ended = Some(Instant::now());
                            engine.events.finished(&copy, &outcome);
                            drop(permit);
                            (index, outcome)
                        });
                    }
                    Some((index, copy, Err(error), _)) => {
                        let outcome = Outcome::failed(error);
                        self.events.finished(&copy, &outcome);
                        outcomes[index] = Some(outcome);
                    }
                    None => {}
                },
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

    fn schedule(
        &self,
        mount_scope: &Arc<MountScope>,
        over: &CancellationToken,
    ) -> AbortOnDropHandle<()> {
        let schedule = schedule::run(
            Arc::clone(mount_scope),
            self.rules.clone(),
            Arc::clone(&self.events),
            over.clone(),
        );
        AbortOnDropHandle::new(tokio::spawn(schedule))
    }

    fn open(&self, copy: &Request, access: Access) -> OpenResult {
        let open = "open the home";
        let source: Arc<dyn store::Source> = match &copy.origin {
            Origin::Source { source, .. } => Arc::clone(source),
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
    fn new<C>(copies: &[C], opened: &[OpenResult]) -> Self
    where
        Request: for<'a> From<&'a C>,
    {
        let mut artifacts: HashMap<String, usize> = HashMap::new();
        let mut namespaces: HashMap<String, Namespace> = HashMap::new();
        for (copy, opened) in copies.iter().zip(opened) {
            let Ok((_, target)) = opened else { continue };
            let info = target.info();
            *artifacts.entry(info.mount_scope).or_default() += 1;
            if !info.capabilities.batch_lookups {
                continue;
            }
            let name = target_name(&Request::from(copy));
            match namespaces.entry(info.namespace) {
                Entry::Occupied(namespace) => namespace.into_mut().names.push(name),
                Entry::Vacant(namespace) => {
                    namespace.insert(Namespace {
                        names: vec![name],
                        present: OnceCell::new(),
                    });
                }
            }
        }
        let mount_scopes = artifacts
            .into_iter()
            .map(|(mount_scope, artifacts)| (mount_scope, MountScope::new(artifacts)))
            .collect();
        Self {
            mount_scopes,
            namespaces,
            unreachable: Unreachable::default(),
        }
    }
}

/// What an artifact is called at the target: its tag where it has one, or else its digest.
fn target_name(copy: &Request) -> TagOrDigest {
    match copy.target.tag() {
        Some(tag) => TagOrDigest::Tag(tag.to_owned()),
        None => tag_or_digest(&copy.target),
    }
}
