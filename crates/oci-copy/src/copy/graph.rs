//! The graph of a run: each distinct blob, and the namespaces of the target that need it. The first
//! namespace gets an upload, all others mount from there; where the registry does not mount, one read
//! serves all.
//!
//! There is no deadlock: an artifact is registered in one step, a mount waits only for an artifact that
//! was registered earlier, and uploads wait for nothing.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, OnceCell, Semaphore, watch};

use crate::manifest::Descriptor;
use crate::reference::Digest;
use crate::store::{Error, Mounting, Source, Target, UploadSession};

use super::outcome::Side;
use super::schedule::Queue;

/// How many artifacts of a mount scope are copied at once: more than the hosts' limits let through, and few
/// enough that what is held of them in memory does not grow with the run.
const WINDOW: usize = 256;

/// The most sources that are kept for one blob.
const MAX_SOURCES: usize = 16;

/// The namespaces that may mount blobs from each other.
pub(super) struct MountScope {
    /// Artifacts that may still be started.
    pub(super) window: Arc<Semaphore>,
    mounting: OnceCell<Mounting>,
    /// A mount was refused, so no more are tried.
    refused: AtomicBool,
    /// A mount succeeded: many may try at once.
    pub(super) proven: AtomicBool,
    /// Only one mount is tried until one has succeeded.
    pub(super) probe: tokio::sync::Mutex<()>,
    contents: Mutex<HashMap<Digest, Content>>,
    pub(super) queue: Queue,
    /// Of the artifacts that are started first, those that are not registered yet. Where blobs cannot be
    /// mounted, reads wait for them: one of them may need the same blob.
    unresolved: watch::Sender<usize>,
    /// Artifacts that are registered.
    noted: AtomicUsize,
    /// Namespaces that wait for a blob of another one.
    mount_waits: Mutex<Vec<MountWait>>,
    pub(super) news: Notify,
}

/// One distinct blob.
#[derive(Default)]
struct Content {
    committed: Committed,
    /// Until all namespaces that need it have it.
    active: Option<Box<Active>>,
}

/// The namespaces that have a blob, and a manifest that refers to it. This is all that a run keeps of a
/// finished blob, so it is small; most blobs are in one namespace.
#[derive(Default)]
struct Committed {
    /// The one that others mount from, and whether it had the blob before the run.
    first: Option<(Arc<str>, bool)>,
    others: BTreeSet<Arc<str>>,
}

/// A blob that a namespace still waits for.
#[derive(Default)]
struct Active {
    /// By namespace.
    pending: HashMap<Arc<str>, Arc<PendingBlob>>,
    /// The one that others mount from, unless a namespace has the blob.
    owner: Option<Arc<PendingBlob>>,
    /// The uploads that the next read of the blob serves.
    waiting: Vec<Sink>,
    /// Where it can be read, each source once: one may have it damaged, or not at all.
    sources: Vec<Arc<dyn Source>>,
}

/// A namespace that a read serves, with its upload where one has begun.
pub(super) struct Sink {
    pub(super) pending: Arc<PendingBlob>,
    pub(super) session: Option<UploadSession>,
}

/// A mount that waits for the blob's owner.
pub(super) struct MountWait {
    pub(super) pending: Arc<PendingBlob>,
    pub(super) owner: Arc<PendingBlob>,
}

/// A blob on its way into a namespace.
pub(super) struct PendingBlob {
    pub(super) descriptor: Descriptor,
    pub(super) source: Arc<dyn Source>,
    pub(super) target: Arc<dyn Target>,
    pub(super) namespace: Arc<str>,
    /// It was there before the run.
    pub(super) is_old: bool,
    /// The priority of the artifact that needs it.
    pub(super) rank: Rank,
    /// When its transfer began.
    pub(super) begun: OnceLock<Instant>,
    state: watch::Sender<State>,
}

/// When an artifact's blobs are read: together, so that its manifests can be written while others are read,
/// and those of the artifact with the longest blob first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// The bytes of its longest blob.
    longest: u64,
    /// Earlier artifacts come first.
    noted: Reverse<usize>,
}

/// The state of a blob.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) end: Option<Result<Sent, Failure>>,
    /// A manifest that refers to it is there.
    pub(super) committed: bool,
    /// Its artifact failed: no manifest will refer to it.
    pub(super) abandoned: bool,
}

/// Whether bytes were sent for a blob that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Yes,
    No,
}

/// Why a blob was not copied, with the side that failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) side: Side,
    pub(super) error: Arc<Error>,
}

/// What an artifact waits for.
pub(super) struct BlobHandle {
    pub(super) pending: Arc<PendingBlob>,
    /// This artifact was the first in its namespace to want it: its bytes count for it.
    pub(super) is_first: bool,
}

/// The blobs that an artifact needs in its namespace.
pub(super) struct Needs<'a> {
    pub(super) source: &'a Arc<dyn Source>,
    pub(super) target: &'a Arc<dyn Target>,
    /// Those that the namespace has, where that is known.
    pub(super) known: Option<&'a HashSet<Digest>>,
}

impl MountScope {
    /// `artifacts` is how many artifacts are yet to be registered.
    pub(super) fn new(artifacts: usize) -> Arc<Self> {
        Arc::new(Self {
            window: Arc::new(Semaphore::new(WINDOW)),
            mounting: OnceCell::new(),
            refused: AtomicBool::new(false),
            proven: AtomicBool::new(false),
            probe: tokio::sync::Mutex::default(),
            contents: Mutex::default(),
            queue: Queue::default(),
            unresolved: watch::Sender::new(artifacts.min(WINDOW)),
            noted: AtomicUsize::new(0),
            mount_waits: Mutex::default(),
            news: Notify::new(),
        })
    }

    /// Whether and when blobs can be mounted, as far as is known by now.
    pub(super) async fn mounting(&self, target: &dyn Target) -> Result<Mounting, Error> {
        let known = self.mounting.get_or_try_init(|| target.mounting()).await?;
        Ok(self.now(*known))
    }

    fn now(&self, known: Mounting) -> Mounting {
        if self.refused.load(Ordering::Relaxed) {
            Mounting::Never
        } else {
            known
        }
    }

    /// The same without waiting.
    pub(super) fn mounts(&self) -> Mounting {
        self.now(self.mounting.get().copied().unwrap_or(Mounting::Never))
    }

    /// A mount was refused although the blob was there.
    pub(super) fn refuse_mounting(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// An artifact is registered, or has failed before.
    pub(super) fn resolved(&self) {
        self.unresolved
            .send_modify(|left| *left = left.saturating_sub(1));
    }

    /// Waits until all artifacts are registered.
    pub(super) async fn all_resolved(&self) {
        let mut left = self.unresolved.subscribe();
        // The sender lives as long as the mount scope.
        drop(left.wait_for(|left| *left == 0).await);
    }

    fn contents(&self) -> MutexGuard<'_, HashMap<Digest, Content>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers all blobs of an artifact in one step; the handles are in their order.
    pub(super) fn register(&self, needs: &Needs<'_>, blobs: &[Descriptor]) -> Vec<BlobHandle> {
        let namespace: Arc<str> = needs.target.namespace().into();
        let (mounting, home) = (self.mounts(), needs.source.identity());
        let mut contents = self.contents();
        let is_known = |blob: &&Descriptor| {
            let known = needs.known;
            known.is_some_and(|known| known.contains(&blob.digest))
        };
        let lacking = blobs.iter().filter(|blob| !is_known(blob));
        let rank = Rank {
            longest: lacking.map(|blob| blob.size).max().unwrap_or_default(),
            noted: Reverse(self.noted.fetch_add(1, Ordering::Relaxed)),
        };
        let handles = blobs.iter().map(|blob| {
            let content = contents.entry(blob.digest.clone()).or_default();
            if content.committed.contains(&namespace) {
                let pending = PendingBlob::new(blob, needs, &namespace, true, rank);
                return BlobHandle {
                    pending: Arc::new(pending),
                    is_first: false,
                };
            }
            let owner = content.owner(needs, blob);
            let active = content.active.get_or_insert_default();
            active.add_source(needs.source, &home);
            // A failed one is retried with this artifact's source.
            let known = active.pending.get(&namespace);
            if let Some(pending) = known.filter(|pending| !pending.has_failed()) {
                return BlobHandle {
                    pending: Arc::clone(pending),
                    is_first: false,
                };
            }
            let is_there = is_known(&blob);
            let pending = Arc::new(PendingBlob::new(blob, needs, &namespace, is_there, rank));
            active
                .pending
                .insert(Arc::clone(&namespace), Arc::clone(&pending));
            if owner.is_none() {
                active.owner = Some(Arc::clone(&pending));
            }
            match owner {
                _ if is_there => {}
                Some(owner) if mounting != Mounting::Never => {
                    let mount_wait = MountWait {
                        pending: Arc::clone(&pending),
                        owner,
                    };
                    let mut mount_waits = self
                        .mount_waits
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    mount_waits.push(mount_wait);
                }
                _ => {
                    active.waiting.push(Sink {
                        pending: Arc::clone(&pending),
                        session: None,
                    });
                    self.queue.push(&pending);
                }
            }
            BlobHandle {
                pending,
                is_first: true,
            }
        });
        let handles = handles.collect();
        drop(contents);
        self.news.notify_one();
        handles
    }

    /// Keeps of an artifact that is there only that its namespace has its blobs.
    pub(super) fn release<'a>(&self, handles: impl Iterator<Item = &'a BlobHandle>) {
        let mut contents = self.contents();
        for handle in handles {
            if let Some(content) = contents.get_mut(&handle.pending.descriptor.digest) {
                content.release(&handle.pending.namespace);
            }
        }
    }

    /// Queues a read after a refused mount, with the upload that the refusal began.
    pub(super) fn want(&self, pending: &Arc<PendingBlob>, session: Option<UploadSession>) {
        let sink = Sink {
            pending: Arc::clone(pending),
            session,
        };
        if let Some(active) = active(&mut self.contents(), &pending.descriptor.digest) {
            active.waiting.push(sink);
            self.queue.push(pending);
        }
        self.news.notify_one();
    }

    /// The uploads that a read of a blob serves now, at most `most`.
    pub(super) fn take_waiting(&self, digest: &Digest, most: usize) -> Vec<Sink> {
        let mut contents = self.contents();
        let Some(active) = active(&mut contents, digest) else {
            return Vec::new();
        };
        let rest = active.waiting.split_off(active.waiting.len().min(most));
        if let Some(sink) = rest.first() {
            self.queue.push(&sink.pending);
        }
        std::mem::replace(&mut active.waiting, rest)
    }

    /// How many uploads a read of a blob would serve now.
    pub(super) fn count_waiting(&self, digest: &Digest) -> usize {
        active(&mut self.contents(), digest).map_or(0, |active| active.waiting.len())
    }

    /// The `nth` source that a blob can be read from, counted from 0.
    pub(super) fn source(&self, digest: &Digest, nth: usize) -> Option<Arc<dyn Source>> {
        let mut contents = self.contents();
        active(&mut contents, digest)?
            .sources
            .get(nth)
            .map(Arc::clone)
    }

    /// The mounts that wait and are not watched yet.
    pub(super) fn take_mount_waits(&self) -> Vec<MountWait> {
        let mut mount_waits = self
            .mount_waits
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut mount_waits)
    }
}

/// What is known of a blob that a namespace still waits for.
fn active<'a>(
    contents: &'a mut HashMap<Digest, Content>,
    digest: &Digest,
) -> Option<&'a mut Active> {
    contents.get_mut(digest)?.active.as_deref_mut()
}

impl Active {
    fn add_source(&mut self, source: &Arc<dyn Source>, identity: &str) {
        let is_new = |known: &Arc<dyn Source>| known.identity() != identity;
        if self.sources.len() < MAX_SOURCES && self.sources.iter().all(is_new) {
            self.sources.push(Arc::clone(source));
        }
    }
}

impl Committed {
    fn contains(&self, namespace: &str) -> bool {
        let is_first = |(first, _): &(Arc<str>, bool)| **first == *namespace;
        self.first.as_ref().is_some_and(is_first) || self.others.contains(namespace)
    }

    fn add(&mut self, blob: &PendingBlob) {
        let namespace = Arc::clone(&blob.namespace);
        if self.first.is_none() {
            self.first = Some((namespace, blob.is_old));
        } else {
            self.others.insert(namespace);
        }
    }
}

impl Content {
    /// The one that others mount from; a failed one no longer is.
    fn owner(&mut self, needs: &Needs<'_>, blob: &Descriptor) -> Option<Arc<PendingBlob>> {
        if let Some((namespace, is_old)) = &self.committed.first {
            let owner = PendingBlob::new(blob, needs, namespace, true, Rank::default());
            return Some(Arc::new(PendingBlob {
                is_old: *is_old,
                ..owner
            }));
        }
        let owner = &mut self.active.as_mut()?.owner;
        owner.take_if(|owner| owner.has_failed());
        owner.clone()
    }

    /// Drops what is not needed of a blob that a namespace has.
    fn release(&mut self, namespace: &str) {
        let Some(active) = &mut self.active else {
            return;
        };
        let known = active.pending.get(namespace);
        let Some(blob) = known.filter(|blob| blob.is_committed()).map(Arc::clone) else {
            return;
        };
        active.pending.remove(namespace);
        active.owner.take_if(|owner| owner.is_committed());
        self.committed.add(&blob);
        if active.pending.is_empty() {
            self.active = None;
        }
    }
}

impl PendingBlob {
    pub(super) fn new(
        blob: &Descriptor,
        needs: &Needs<'_>,
        namespace: &Arc<str>,
        is_there: bool,
        rank: Rank,
    ) -> Self {
        let state = State {
            end: is_there.then_some(Ok(Sent::No)),
            committed: is_there,
            abandoned: false,
        };
        Self {
            descriptor: blob.clone(),
            source: Arc::clone(needs.source),
            target: Arc::clone(needs.target),
            namespace: Arc::clone(namespace),
            is_old: is_there,
            rank,
            begun: OnceLock::new(),
            state: watch::Sender::new(state),
        }
    }

    /// The blob is at the target, or its copy has failed.
    pub(super) fn end(&self, end: Result<Sent, Failure>) {
        self.state.send_modify(|state| state.end = Some(end));
    }

    /// A manifest that refers to it is there.
    pub(super) fn commit(&self) {
        self.state.send_modify(|state| state.committed = true);
    }

    /// No manifest that refers to it will be written.
    pub(super) fn abandon(&self) {
        self.state.send_modify(|state| state.abandoned = true);
    }

    fn has_failed(&self) -> bool {
        matches!(self.state.borrow().end, Some(Err(_)))
    }

    /// It is there, and a manifest that refers to it is.
    fn is_committed(&self) -> bool {
        let state = self.state.borrow();
        state.committed && matches!(state.end, Some(Ok(_)))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<Result<Sent, Failure>> {
        self.state.borrow().end.clone()
    }

    /// Waits until the blob is there.
    pub(super) async fn finished(&self) -> Result<Sent, Failure> {
        let state = self.until(|state| state.end.is_some()).await;
        state.end.unwrap_or(Ok(Sent::No))
    }

    /// Waits for a state.
    pub(super) async fn until(&self, wanted: impl FnMut(&State) -> bool) -> State {
        let mut state = self.state.subscribe();
        // The sender lives as long as the blob.
        match state.wait_for(wanted).await {
            Ok(state) => state.clone(),
            Err(_) => State::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of what is finished a run of 50,000 artifacts keeps some 100,000 of these.
    #[test]
    fn what_is_kept_of_a_finished_blob_is_small() {
        assert_eq!(size_of::<Digest>(), 40);
        assert_eq!(size_of::<Content>(), 56);
    }
}
