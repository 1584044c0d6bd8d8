//! A blob on its way into a namespace.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::watch;

use crate::copy::outcome::Side;
use crate::manifest::Descriptor;
use crate::reference::Digest;
use crate::store::{Error, Source, Target};

/// A blob on its way into a namespace.
pub(in crate::copy) struct PendingBlob {
    pub(in crate::copy) descriptor: Descriptor,
    pub(in crate::copy) source: Arc<dyn Source>,
    pub(in crate::copy) target: Arc<dyn Target>,
    pub(in crate::copy) namespace: Arc<str>,
    /// It was there before the run.
    pub(in crate::copy) is_old: bool,
    /// The priority of the artifact that needs it.
    pub(in crate::copy) rank: Rank,
    /// When its transfer began.
    pub(in crate::copy) begun: OnceLock<Instant>,
    state: watch::Sender<State>,
}

/// When an artifact's blobs are read: together, so that its manifests can be written while others are read,
/// and those of the artifact with the longest blob first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::copy) struct Rank {
    /// The bytes of its longest blob.
    pub(super) longest: u64,
    /// Earlier artifacts come first.
    pub(super) noted: Reverse<usize>,
}

/// The state of a blob.
#[derive(Debug, Clone, Default)]
pub(in crate::copy) struct State {
    pub(in crate::copy) end: Option<Result<Sent, Failure>>,
    /// A manifest that refers to it is there.
    pub(in crate::copy) committed: bool,
    /// Its artifact failed: no manifest will refer to it.
    pub(in crate::copy) abandoned: bool,
}

/// Whether bytes were sent for a blob that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::copy) enum Sent {
    Yes,
    No,
}

/// Why a blob was not copied, with the side that failed.
#[derive(Debug, Clone)]
pub(in crate::copy) struct Failure {
    pub(in crate::copy) side: Side,
    pub(in crate::copy) error: Arc<Error>,
}

/// The blobs that an artifact needs in its namespace.
pub(in crate::copy) struct Needs<'a> {
    pub(in crate::copy) source: &'a Arc<dyn Source>,
    pub(in crate::copy) target: &'a Arc<dyn Target>,
    /// Those that the namespace has, where that is known.
    pub(in crate::copy) known: Option<&'a HashSet<Digest>>,
}

impl PendingBlob {
    pub(in crate::copy) fn new(
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
    pub(in crate::copy) fn end(&self, end: Result<Sent, Failure>) {
        self.state.send_modify(|state| state.end = Some(end));
    }

    /// A manifest that refers to it is there.
    pub(in crate::copy) fn commit(&self) {
        self.state.send_modify(|state| state.committed = true);
    }

    /// No manifest that refers to it will be written.
    pub(in crate::copy) fn abandon(&self) {
        self.state.send_modify(|state| state.abandoned = true);
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state.borrow().end, Some(Err(_)))
    }

    /// It is there, and a manifest that refers to it is.
    pub(super) fn is_committed(&self) -> bool {
        let state = self.state.borrow();
        state.committed && matches!(state.end, Some(Ok(_)))
    }

    /// How it ended, if it has.
    pub(in crate::copy) fn ended(&self) -> Option<Result<Sent, Failure>> {
        self.state.borrow().end.clone()
    }

    /// Waits until the blob is there.
    pub(in crate::copy) async fn finished(&self) -> Result<Sent, Failure> {
        let state = self.until(|state| state.end.is_some()).await;
        state.end.unwrap_or(Ok(Sent::No))
    }

    /// Waits for a state.
    pub(in crate::copy) async fn until(&self, wanted: impl FnMut(&State) -> bool) -> State {
        let mut state = self.state.subscribe();
        // The sender lives as long as the blob.
        match state.wait_for(wanted).await {
            Ok(state) => state.clone(),
            Err(_) => State::default(),
        }
    }
}
