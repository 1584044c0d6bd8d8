//! The graph of a run: each distinct blob, and the namespaces of the target that need it. The first
//! namespace gets an upload, all others mount from there; where the registry does not mount, one read
//! serves all.
//!
//! There is no deadlock: an artifact is registered in one step, a mount waits only for an artifact that
//! was registered earlier, and uploads wait for nothing.

mod content;
mod pending;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OnceCell, Semaphore, watch};

use crate::manifest::Descriptor;
use crate::reference::Digest;
use crate::store::{Error, Mounting, Source, Target, UploadSession};

use super::schedule::Queue;
use content::{Active, Content};
pub(super) use pending::{Failure, Needs, PendingBlob, Rank, Sent};

/// How many artifacts of a mount scope are copied at once: more than the hosts' limits let through, and few
/// enough that what is held of them in memory does not grow with the run.
const WINDOW: usize = 256;

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

/// What an artifact waits for.
pub(super) struct BlobHandle {
    pub(super) pending: Arc<PendingBlob>,
    /// This artifact was the first in its namespace to want it: its bytes count for it.
    pub(super) is_first: bool,
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
