//! Blobs: each one once per pool of the target, however many manifests refer to it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use crate::http::Classed;
use crate::oci::Descriptor;
use crate::reference::Digest;
use crate::store::{self, Error, Target, Verified};

use super::Events;
use super::artifact::Way;
use super::outcome::{CopyError, Side};

/// The blobs of a run.
pub(super) struct Blobs {
    /// Places for transfers.
    transfers: Arc<Semaphore>,
    seen: Mutex<HashMap<(String, Digest), Arrival>>,
}

/// Whether a blob has come into a pool; whoever waits for it waits here.
type Arrival = Arc<OnceCell<()>>;

impl Blobs {
    pub(super) fn new(jobs: usize) -> Self {
        Self {
            transfers: Arc::new(Semaphore::new(jobs)),
            seen: Mutex::default(),
        }
    }

    /// The one place where a blob's arrival in a pool is noted.
    fn cell(&self, pool: String, digest: &Digest) -> Arrival {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(seen.entry((pool, digest.clone())).or_default())
    }
}

/// A failed transfer, with the side that failed.
struct Failure {
    side: Side,
    error: Error,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.side, self.error)
    }
}

impl Classed for Failure {
    fn class(&self) -> crate::http::Class {
        self.error.class()
    }
}

impl Way<'_> {
    /// Brings a blob to the target, unless it is there. Whoever wants the same blob at the same time
    /// waits; when the first one fails, the next one tries.
    pub(super) async fn blob(&self, descriptor: &Descriptor) -> Result<(), CopyError> {
        if is_foreign(descriptor) {
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            left.insert(descriptor.digest.clone());
            return Ok(());
        }
        let cell = self
            .engine
            .blobs
            .cell(self.target.pool(), &descriptor.digest);
        cell.get_or_try_init(|| self.ensure(descriptor))
            .await
            .map(drop)
    }

    async fn ensure(&self, descriptor: &Descriptor) -> Result<(), CopyError> {
        if self
            .target
            .has_blob(descriptor)
            .await
            .map_err(self.target_error("look for a blob"))?
        {
            return Ok(());
        }
        let events = &self.engine.events;
        events.expect(descriptor.size);
        let moved = self.engine.policy.run(|| async {
            let _place = self.engine.blobs.transfers.acquire().await;
            let transfer = Transfer {
                source: Arc::clone(&self.source),
                target: Arc::clone(&self.target),
                descriptor: descriptor.clone(),
                events: Arc::clone(events),
            };
            // A task of its own: hashing uses all cores, not the one that plans.
            let task = AbortOnDropHandle::new(tokio::spawn(transfer.run()));
            match task.await {
                Ok(result) => result,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        });
        moved.await.map_err(|Failure { side, error }| match side {
            Side::Source => self.source_error("read a blob")(error),
            Side::Target => self.target_error("write a blob")(error),
        })?;
        self.sent.fetch_add(descriptor.size, Ordering::Relaxed);
        Ok(())
    }
}

/// One attempt to move a blob.
struct Transfer {
    source: Arc<dyn store::Source>,
    target: Arc<dyn Target>,
    descriptor: Descriptor,
    events: Arc<dyn Events>,
}

impl Transfer {
    async fn run(self) -> Result<(), Failure> {
        let Self {
            source,
            target,
            descriptor,
            events,
        } = self;
        let at = |side: Side| move |error: Error| Failure { side, error };
        let blob = source.blob(&descriptor).await.map_err(at(Side::Source))?;
        let moved = Arc::new(AtomicU64::new(0));
        let broken: Arc<Mutex<Option<Error>>> = Arc::default();
        let (counted, noted, told) = (Arc::clone(&moved), Arc::clone(&broken), Arc::clone(&events));
        // What the source does wrong must not look like the target's fault: the error is put aside, and
        // the target's client sees only that the body broke off.
        let blob = Verified::new(blob, &descriptor).map(move |piece| match piece {
            Ok(piece) => {
                counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
                told.moved(piece.len() as u64);
                Ok(piece)
            }
            Err(error) => {
                *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(Error::BrokenOff)
            }
        });
        let result = target.put_blob(&descriptor, blob.boxed()).await;
        let Err(error) = result else { return Ok(()) };
        // The next attempt moves them again.
        events.expect(moved.load(Ordering::Relaxed));
        let broken = broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(match broken {
            Some(error) => Failure {
                side: Side::Source,
                error,
            },
            None => Failure {
                side: Side::Target,
                error,
            },
        })
    }
}

/// A layer that registries do not keep because its licence forbids it; clients fetch it elsewhere.
fn is_foreign(descriptor: &Descriptor) -> bool {
    let is_marked = descriptor.media_type.contains("foreign")
        || descriptor.media_type.contains("nondistributable");
    is_marked && !descriptor.urls.is_empty()
}
