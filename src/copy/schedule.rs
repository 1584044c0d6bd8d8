//! What is moved when: the artifact with the longest blob first, so that no long one is left alone at the
//! end, and one artifact's blobs together, so that manifests can be written all the time (ECR takes ten a
//! second) and not only at the end; as many at once as source and target bear.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http::Window;
use crate::reference::Digest;
use crate::store::{Begun, Mounting, places};

use super::Events;
use super::graph::{Arrival, Follow, Rank, Realm, Sent};
use super::outcome::Side;
use super::transfer::{Rules, Sources, Transfer};

/// The most pools that one read of a blob serves: each of them is an open request.
const SINKS: usize = 32;

/// Blobs that wait to be read, by where they are read from.
#[derive(Default)]
pub(super) struct Queue(Mutex<HashMap<usize, Home>>);

struct Home {
    reads: Arc<Window>,
    heap: BinaryHeap<Job>,
}

/// A blob to read.
struct Job(Arc<Arrival>);

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
    pub(super) fn push(&self, arrival: &Arc<Arrival>) {
        let reads = arrival.source.reads();
        let mut homes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Each home has one window, and its address is as good a name as any.
        let home = homes
            .entry(Arc::as_ptr(&reads) as usize)
            .or_insert_with(|| Home {
                reads,
                heap: BinaryHeap::new(),
            });
        home.heap.push(Job(Arc::clone(arrival)));
    }

    /// The longest blob, of a home that has room for a reader if there is one: who waits for a slow
    /// home must not keep others from a fast one.
    fn pop(&self) -> Option<(Arc<Arrival>, Arc<Window>)> {
        let mut homes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        homes.retain(|_, home| !home.heap.is_empty());
        let best = homes.values_mut().max_by(|a, b| {
            let rank = |home: &Home| {
                (
                    home.reads.has_room(),
                    home.heap.peek().map(|job| job.0.rank),
                )
            };
            rank(a).cmp(&rank(b))
        })?;
        let Job(arrival) = best.heap.pop()?;
        Some((arrival, Arc::clone(&best.reads)))
    }
}

/// Moves the blobs of a realm until it is stopped; what is in transfer then is given up before this
/// returns, and leaves nothing behind.
pub(super) async fn run(
    realm: Arc<Realm>,
    rules: Rules,
    events: Arc<dyn Events>,
    stop: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    let moving = move_all(&realm, &rules, &events, &mut tasks);
    stop.run_until_cancelled(moving).await;
    tasks.shutdown().await;
}

/// Moves blobs as they are wanted, without end.
async fn move_all(
    realm: &Arc<Realm>,
    rules: &Rules,
    events: &Arc<dyn Events>,
    tasks: &mut JoinSet<()>,
) {
    loop {
        while tasks.try_join_next().is_some() {}
        for follow in realm.take_follows() {
            tasks.spawn(mount(Arc::clone(realm), follow));
        }
        if realm.mounts() == Mounting::Never {
            // One of those who are not noted yet may want what would be read now.
            tokio::select! {
                () = realm.all_resolved() => {}
                () = realm.news.notified() => continue,
            }
        }
        let Some((arrival, reads)) = realm.queue.pop() else {
            realm.news.notified().await;
            continue;
        };
        let digest = &arrival.descriptor.digest;
        let waiting = realm.count_waiting(digest).min(SINKS);
        if waiting == 0 {
            continue;
        }
        let weight = places(arrival.descriptor.size);
        let place = arrival.target.writes().enter(weight * waiting).await;
        let transfer = Transfer {
            sinks: realm.take_waiting(digest, waiting),
            descriptor: arrival.descriptor.clone(),
            sources: Sources::All(Arc::clone(realm)),
            rules: rules.clone(),
            events: Arc::clone(events),
        };
        tasks.spawn(async move {
            let _writing = place;
            let _reading = reads.enter(weight).await;
            transfer.run().await;
        });
    }
}

/// Takes a blob from the pool that has it, once it has it; where that fails, it is read.
async fn mount(realm: Arc<Realm>, Follow { arrival, owner }: Follow) {
    let state = owner
        .until(|state| {
            let is_over = matches!(state.end, Some(Err(_))) || state.abandoned;
            let is_ready = match realm.mounts() {
                Mounting::AfterUpload => state.end.is_some(),
                Mounting::AfterCommit => state.committed,
                Mounting::Never => true,
            };
            is_over || is_ready
        })
        .await;
    match state.end {
        // Nobody else could read it either.
        Some(Err(failure)) if failure.side == Side::Source => return arrival.end(Err(failure)),
        Some(Ok(_)) if realm.mounts() != Mounting::Never => {}
        _ => return realm.want(&arrival, None),
    }
    // The first one finds out whether the registry mounts at all.
    let probe = if realm.proven.load(std::sync::atomic::Ordering::Relaxed) {
        None
    } else {
        Some(realm.probe.lock().await)
    };
    if realm.mounts() == Mounting::Never {
        return realm.want(&arrival, None);
    }
    let begun = arrival
        .target
        .begin(&arrival.descriptor, Some(&owner.pool))
        .await;
    match begun {
        Ok(Begun::There) => {
            let proven = &realm.proven;
            proven.store(true, std::sync::atomic::Ordering::Relaxed);
            arrival.end(Ok(Sent::No));
        }
        Ok(Begun::Session(session)) => {
            if !owner.is_old {
                realm.refuse_mounting();
            }
            realm.want(&arrival, Some(session));
        }
        Err(error) => {
            tracing::debug!(error = %error, "no mount from {}: {error}", owner.pool);
            realm.want(&arrival, None);
        }
    }
    drop(probe);
}
