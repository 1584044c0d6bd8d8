//! The order of transfers: the artifact with the largest blob first, so that no large one is left alone at
//! the end, and one artifact's blobs together, so that manifests are written all the time and not only at
//! the end; as many in parallel as the limits of source and target allow.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http::AimdLimit;
use crate::reference::Digest;
use crate::store::{Mounting, UploadStart, weight};

use super::Events;
use super::graph::{MountScope, MountWait, PendingBlob, Rank, Sent};
use super::outcome::Side;
use super::transfer::{Rules, Sources, Transfer};

/// The most namespaces that one read of a blob serves: each of them is an open request.
const SINKS: usize = 32;

/// Blobs that wait to be read, by where they are read from.
#[derive(Default)]
pub(super) struct Queue(Mutex<HashMap<usize, Home>>);

struct Home {
    reads: Arc<AimdLimit>,
    heap: BinaryHeap<Job>,
}

/// A blob to read.
struct Job(Arc<PendingBlob>);

impl Job {
    fn key(&self) -> (Rank, u64, &Digest) {
        let descriptor = &self.0.descriptor;
        (self.0.rank, descriptor.size, &descriptor.digest)
    }
}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Job {}

impl Queue {
    pub(super) fn push(&self, pending: &Arc<PendingBlob>) {
        let reads = pending.source.reads();
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Each source has one limit, so its address identifies the source.
        let home = opened
            .entry(Arc::as_ptr(&reads) as usize)
            .or_insert_with(|| Home {
                reads,
                heap: BinaryHeap::new(),
            });
        home.heap.push(Job(Arc::clone(pending)));
    }

    /// The largest blob, preferably of a source whose limit has room: a slow source must not hold up a
    /// fast one.
    fn pop(&self) -> Option<(Arc<PendingBlob>, Arc<AimdLimit>)> {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|_, home| !home.heap.is_empty());
        let best = opened.values_mut().max_by(|a, b| {
            let rank = |home: &Home| {
                (
                    home.reads.has_room(),
                    home.heap.peek().map(|job| job.0.rank),
                )
            };
            rank(a).cmp(&rank(b))
        })?;
        let Job(pending) = best.heap.pop()?;
        Some((pending, Arc::clone(&best.reads)))
    }
}

/// Transfers the blobs of a mount scope until it is stopped; running transfers are aborted before this
/// returns.
pub(super) async fn run(
    mount_scope: Arc<MountScope>,
    rules: Rules,
    events: Arc<dyn Events>,
    stop: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    let moving = move_all(&mount_scope, &rules, &events, &mut tasks);
    stop.run_until_cancelled(moving).await;
    tasks.shutdown().await;
}

/// Transfers blobs as they are queued, without end.
async fn move_all(
    mount_scope: &Arc<MountScope>,
    rules: &Rules,
    events: &Arc<dyn Events>,
    tasks: &mut JoinSet<()>,
) {
    loop {
        while tasks.try_join_next().is_some() {}
        for mount_wait in mount_scope.take_mount_waits() {
            tasks.spawn(mount(Arc::clone(mount_scope), mount_wait));
        }
        if mount_scope.mounts() == Mounting::Never {
            // An artifact that is not registered yet may need the same blob.
            tokio::select! {
                () = mount_scope.all_resolved() => {}
                () = mount_scope.news.notified() => continue,
            }
        }
        let Some((pending, reads)) = mount_scope.queue.pop() else {
            mount_scope.news.notified().await;
            continue;
        };
        let digest = &pending.descriptor.digest;
        let waiting = mount_scope.count_waiting(digest).min(SINKS);
        if waiting == 0 {
            continue;
        }
        let weight = weight(pending.descriptor.size);
        let place = pending.target.writes().acquire(weight * waiting).await;
        let transfer = Transfer {
            sinks: mount_scope.take_waiting(digest, waiting),
            descriptor: pending.descriptor.clone(),
            sources: Sources::All(Arc::clone(mount_scope)),
            rules: rules.clone(),
            events: Arc::clone(events),
        };
        tasks.spawn(async move {
            let _writing = place;
            let _reading = reads.acquire(weight).await;
            transfer.run().await;
        });
    }
}

/// Mounts a blob once its owner has it; where that fails, the blob is read.
async fn mount(mount_scope: Arc<MountScope>, MountWait { pending, owner }: MountWait) {
    let state = owner
        .until(|state| {
            let is_over = matches!(state.end, Some(Err(_))) || state.abandoned;
            let is_ready = match mount_scope.mounts() {
                Mounting::AfterUpload => state.end.is_some(),
                Mounting::AfterCommit => state.committed,
                Mounting::Never => true,
            };
            is_over || is_ready
        })
        .await;
    match state.end {
        // The source is the same for all namespaces.
        Some(Err(failure)) if failure.side == Side::Source => return pending.end(Err(failure)),
        Some(Ok(_)) if mount_scope.mounts() != Mounting::Never => {}
        _ => return mount_scope.want(&pending, None),
    }
    // The first one finds out whether the registry mounts at all.
    let probe = if mount_scope
        .proven
        .load(std::sync::atomic::Ordering::Relaxed)
    {
        None
    } else {
        Some(mount_scope.probe.lock().await)
    };
    if mount_scope.mounts() == Mounting::Never {
        return mount_scope.want(&pending, None);
    }
    let begun = pending
        .target
        .begin(&pending.descriptor, Some(&owner.namespace))
        .await;
    match begun {
        Ok(UploadStart::Exists) => {
            let proven = &mount_scope.proven;
            proven.store(true, std::sync::atomic::Ordering::Relaxed);
            pending.end(Ok(Sent::No));
        }
        Ok(UploadStart::Session(session)) => {
            if !owner.is_old {
                mount_scope.refuse_mounting();
            }
            mount_scope.want(&pending, Some(session));
        }
        Err(error) => {
            tracing::debug!(error = %error, "no mount from {}: {error}", owner.namespace);
            mount_scope.want(&pending, None);
        }
    }
    drop(probe);
}
