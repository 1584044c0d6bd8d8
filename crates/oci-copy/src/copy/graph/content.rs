//! What is known of one distinct blob.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::manifest::Descriptor;
use crate::store::Source;

use super::Sink;
use super::pending::{Needs, PendingBlob, Rank};

/// The most sources that are kept for one blob.
const MAX_SOURCES: usize = 16;

/// One distinct blob.
#[derive(Default)]
pub(super) struct Content {
    pub(super) committed: Committed,
    /// Until all namespaces that need it have it.
    pub(super) active: Option<Box<Active>>,
}

/// The namespaces that have a blob, and a manifest that refers to it. This is all that a run keeps of a
/// finished blob, so it is small; most blobs are in one namespace.
#[derive(Default)]
pub(super) struct Committed {
    /// The one that others mount from, and whether it had the blob before the run.
    first: Option<(Arc<str>, bool)>,
    others: BTreeSet<Arc<str>>,
}

/// A blob that a namespace still waits for.
#[derive(Default)]
pub(super) struct Active {
    /// By namespace.
    pub(super) pending: HashMap<Arc<str>, Arc<PendingBlob>>,
    /// The one that others mount from, unless a namespace has the blob.
    pub(super) owner: Option<Arc<PendingBlob>>,
    /// The uploads that the next read of the blob serves.
    pub(super) waiting: Vec<Sink>,
    /// Where it can be read, each source once: one may have it damaged, or not at all.
    pub(super) sources: Vec<Arc<dyn Source>>,
}

impl Active {
    pub(super) fn add_source(&mut self, source: &Arc<dyn Source>, identity: &str) {
        let is_new = |known: &Arc<dyn Source>| known.identity() != identity;
        if self.sources.len() < MAX_SOURCES && self.sources.iter().all(is_new) {
            self.sources.push(Arc::clone(source));
        }
    }
}

impl Committed {
    pub(super) fn contains(&self, namespace: &str) -> bool {
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
    pub(super) fn owner(
        &mut self,
        needs: &Needs<'_>,
        blob: &Descriptor,
    ) -> Option<Arc<PendingBlob>> {
        if let Some((namespace, is_old)) = &self.committed.first {
            let mut owner = PendingBlob::new(blob, needs, namespace, true, Rank::default());
            owner.is_old = *is_old;
            return Some(Arc::new(owner));
        }
        let owner = &mut self.active.as_mut()?.owner;
        owner.take_if(|owner| owner.has_failed());
        owner.clone()
    }

    /// Drops what is not needed of a blob that a namespace has.
    pub(super) fn release(&mut self, namespace: &str) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Digest;

    /// Of what is finished a run of 50,000 artifacts keeps some 100,000 of these.
    #[test]
    fn what_is_kept_of_a_finished_blob_is_small() {
        assert_eq!(size_of::<Digest>(), 40);
        assert_eq!(size_of::<Content>(), 56);
    }
}
