//! The transfer of one blob: read once, checked while it streams, written to every namespace that needs it.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use crate::http::{Class, Policy, RetryState};
use crate::manifest::Descriptor;
use crate::reference::Digest;
use crate::store::{
    Blob, DigestCheck, Error, Source, UploadSession, UploadStart, resumed, verified,
};

use super::graph::{Failure, MountScope, PendingBlob, Sent, Sink};
use super::outcome::Side;
use super::{Events, HashPolicy};

/// Pieces that wait for a slower one of several writers.
const AHEAD: usize = 2;

/// What holds for every transfer.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) policy: Policy,
    pub(super) hash: HashPolicy,
}

/// Where a blob can be read.
pub(super) enum Sources {
    /// Wherever an artifact of the run that wants it can be read.
    All(Arc<MountScope>),
    /// One place.
    One(Arc<dyn Source>),
}

impl Sources {
    /// The `nth` source, counted from 0. Beyond the first one, waits for all artifacts that could name
    /// another.
    async fn get(&self, digest: &Digest, nth: usize) -> Option<Arc<dyn Source>> {
        match self {
            Self::One(source) => (nth == 0).then(|| Arc::clone(source)),
            Self::All(mount_scope) => {
                let known = mount_scope.source(digest, nth);
                if known.is_none() {
                    mount_scope.all_resolved().await;
                }
                known.or_else(|| mount_scope.source(digest, nth))
            }
        }
    }
}

/// A blob to be read for some namespaces.
pub(super) struct Transfer {
    pub(super) descriptor: Descriptor,
    pub(super) sources: Sources,
    pub(super) sinks: Vec<Sink>,
    pub(super) rules: Rules,
    pub(super) events: Arc<dyn Events>,
}

/// A namespace that is being written to.
struct Open {
    pending: Arc<PendingBlob>,
    session: UploadSession,
}

impl Transfer {
    /// Copies the blob to all namespaces, and sets the state of each.
    pub(super) async fn run(mut self) {
        let mut sinks = std::mem::take(&mut self.sinks);
        for sink in &sinks {
            sink.pending.begun.get_or_init(Instant::now);
        }
        let (mut course, mut home) = (RetryState::start(), 0);
        let digest = &self.descriptor.digest;
        let mut next = self.sources.get(digest, home).await;
        while let Some(source) = next.clone() {
            let (open, mut failed) = self.begin(sinks).await;
            failed.extend(self.copy(&source, open).await);
            // Another source may have it where this one does not, or has it damaged.
            let is_source_s = failed
                .iter()
                .any(|(_, failure)| failure.is_final_at_source(&course));
            let other = if is_source_s {
                self.sources.get(digest, home + 1).await
            } else {
                None
            };
            let wait = if other.is_some() {
                (home, next, course) = (home + 1, other, RetryState::start());
                Some(Duration::ZERO)
            } else {
                let classes = failed.iter().map(|(_, failure)| failure.class());
                let worst = classes.max_by_key(|class| *class != Class::Permanent);
                let Some(worst) = worst else { return };
                course.failed(&self.rules.policy, worst, fastrand::f64())
            };
            sinks = Vec::new();
            for (pending, failure) in failed {
                let is_hopeless = failure.side == Side::Target || !is_source_s;
                if wait.is_none() || is_hopeless && failure.class() == Class::Permanent {
                    pending.end(Err(failure));
                    continue;
                }
                let error = &failure.error;
                tracing::debug!(error = %error, "retrying, {}: {error}", failure.side);
                sinks.push(Sink {
                    pending,
                    session: None,
                });
            }
            match wait {
                Some(wait) if !sinks.is_empty() => tokio::time::sleep(wait).await,
                _ => return,
            }
        }
    }

    /// Begins the uploads that have not begun; where the blob exists, nothing is left to do.
    async fn begin(&self, sinks: Vec<Sink>) -> (Vec<Open>, Vec<(Arc<PendingBlob>, Failure)>) {
        let begun = sinks.into_iter().map(|Sink { pending, session }| async {
            let begun = match session {
                Some(session) => Ok(UploadStart::Session(session)),
                None => pending.target.begin(&self.descriptor, None).await,
            };
            (pending, begun)
        });
        let (mut open, mut failed) = (Vec::new(), Vec::new());
        for (pending, begun) in join_all(begun).await {
            match begun {
                Ok(UploadStart::Exists) => pending.end(Ok(Sent::No)),
                Ok(UploadStart::Session(session)) => open.push(Open { pending, session }),
                Err(error) => failed.push((pending, Failure::new(Side::Target, error))),
            }
        }
        (open, failed)
    }

    /// Reads once for all uploads; returns those that failed.
    async fn copy(
        &self,
        source: &Arc<dyn Source>,
        open: Vec<Open>,
    ) -> Vec<(Arc<PendingBlob>, Failure)> {
        if open.is_empty() {
            return Vec::new();
        }
        let watch = SourceWatch::default();
        let blob = watch.watch(self.read(source, &open));
        // Wait for the first bytes: a source that fails must not break an upload.
        let mut blob = blob.peekable();
        if let Some(Err(_)) = Pin::new(&mut blob).peek().await {
            let failed = |open: Open| Some((open.pending, watch.failure()?));
            return open.into_iter().filter_map(failed).collect();
        }
        let blob = blob.boxed();
        self.events
            .expect(self.descriptor.size.saturating_mul(open.len() as u64));
        let results = if open.len() > 1 {
            self.write_all(open, blob, &watch).await
        } else {
            let only = open.into_iter().next().expect("there is one");
            vec![self.write(only, blob, &watch).await]
        };
        results.into_iter().flatten().collect()
    }

    /// The blob, checked as the rules say.
    fn read(&self, source: &Arc<dyn Source>, open: &[Open]) -> Blob {
        let policy = self.rules.policy.clone();
        let blob = resumed(Arc::clone(source), self.descriptor.clone(), policy);
        let checks = open
            .iter()
            .map(|open| open.pending.target.info().capabilities.digest_check);
        let is_left_to_target = match self.rules.hash {
            HashPolicy::Always => false,
            HashPolicy::Target => checks.into_iter().all(|checks| checks != DigestCheck::No),
            HashPolicy::Auto => {
                !crate::reference::is_hashing_cheap()
                    && checks
                        .into_iter()
                        .all(|checks| checks == DigestCheck::Known)
            }
        };
        verified(blob, &self.descriptor, !is_left_to_target)
    }

    /// Gives each piece to all writers; the slowest sets the pace.
    async fn write_all(
        &self,
        open: Vec<Open>,
        mut blob: Blob,
        watch: &SourceWatch,
    ) -> Vec<Option<(Arc<PendingBlob>, Failure)>> {
        let (mut pipes, mut writers) = (Vec::new(), Vec::new());
        for open in open {
            let (pipe, pieces) = mpsc::channel::<Result<Bytes, Error>>(AHEAD);
            let pieces = stream::unfold(pieces, |mut pieces| async {
                let piece = pieces.recv().await?;
                Some((piece, pieces))
            });
            pipes.push(pipe);
            writers.push(self.write(open, pieces.boxed(), watch));
        }
        let pump = async move {
            while let Some(piece) = blob.next().await {
                let mut left = Vec::with_capacity(pipes.len());
                for pipe in pipes {
                    let piece = piece.as_ref().map_err(|_| Error::Interrupted).cloned();
                    // A writer that gave up takes nothing more.
                    if pipe.send(piece).await.is_ok() {
                        left.push(pipe);
                    }
                }
                pipes = left;
                if piece.is_err() || pipes.is_empty() {
                    return;
                }
            }
        };
        let ((), results) = tokio::join!(pump, join_all(writers));
        results
    }

    async fn write(
        &self,
        Open { pending, session }: Open,
        blob: Blob,
        watch: &SourceWatch,
    ) -> Option<(Arc<PendingBlob>, Failure)> {
        let moved = Arc::new(AtomicU64::new(0));
        let (counted, told) = (Arc::clone(&moved), Arc::clone(&self.events));
        let blob = blob.inspect(move |piece| {
            let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
            counted.fetch_add(length, Ordering::Relaxed);
            told.moved(length);
        });
        let written = pending
            .target
            .finish(session, &self.descriptor, blob.boxed())
            .await;
        let Err(error) = written else {
            pending.end(Ok(Sent::Yes));
            return None;
        };
        // The next attempt starts from the beginning.
        let moved = moved.load(Ordering::Relaxed);
        self.events
            .cancel_expected(self.descriptor.size.saturating_sub(moved));
        let failure = watch
            .failure()
            .unwrap_or_else(|| Failure::new(Side::Target, error));
        Some((pending, failure))
    }
}

/// What is known about the reading end. What the source does wrong must not look like the target's
/// fault: its error is put aside, and the target's client sees only that the body broke off.
#[derive(Default)]
struct SourceWatch(Arc<Mutex<Option<Failure>>>);

impl SourceWatch {
    fn watch(&self, blob: Blob) -> Blob {
        let noted = Arc::clone(&self.0);
        blob.map(move |piece| {
            piece.map_err(|error| {
                let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                *noted = Some(Failure::new(Side::Source, error));
                Error::Interrupted
            })
        })
        .boxed()
    }

    fn failure(&self) -> Option<Failure> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Failure {
    pub(super) fn new(side: Side, error: Error) -> Self {
        Self {
            side,
            error: Arc::new(error),
        }
    }

    /// Whether the whole transfer is worth another try. An interrupted read was resumed as often as
    /// the policy allows; only corrupt content is read again from the start.
    fn class(&self) -> Class {
        match (self.side, self.error.class()) {
            (Side::Source, Class::Corrupt) => Class::Corrupt,
            (Side::Source, _) => Class::Permanent,
            (Side::Target, class) => class,
        }
    }

    /// Whether another try at this source is pointless.
    fn is_final_at_source(&self, course: &RetryState) -> bool {
        let is_final = match self.class() {
            Class::Corrupt => course.has_doubted(),
            class => class == Class::Permanent,
        };
        self.side == Side::Source && is_final
    }
}
