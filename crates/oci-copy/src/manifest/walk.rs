//! Everything below a manifest, read within bounds.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, future, stream};

use super::{Descriptor, Manifest};
use crate::reference::Digest;

/// The deepest nesting of indexes. Real ones have two levels.
pub const MAX_DEPTH: usize = 8;

/// The most manifests of one artifact, its referrers included. Real ones have a few dozen, and each costs
/// requests.
pub const MAX_MANIFESTS: usize = 10_000;

/// The most bytes of all manifests of one artifact. Real ones have less than one MiB.
pub const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// How many children of one index are read at once. The limits of the host are usually lower.
const AT_ONCE: usize = 8;

/// A manifest with those of its children that were walked into.
#[derive(Debug)]
pub struct Node {
    /// The manifest.
    pub manifest: Manifest,
    /// The children, in the order of the index.
    pub children: Vec<Node>,
}

impl Node {
    /// The manifest and all below, an index before its children.
    #[must_use]
    pub fn manifests(&self) -> Vec<&Manifest> {
        let below = self.children.iter().flat_map(Self::manifests);
        std::iter::once(&self.manifest).chain(below).collect()
    }

    /// All distinct blobs of the manifests; see [`Manifest::blobs`].
    #[must_use]
    pub fn blobs(&self) -> Vec<&Descriptor> {
        let mut seen = HashSet::new();
        let blobs = self.manifests().into_iter().flat_map(Manifest::blobs);
        blobs.filter(|blob| seen.insert(&blob.digest)).collect()
    }

    /// The bytes of all distinct content.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let manifests = self.manifests().into_iter();
        let manifests: u64 = manifests.map(|manifest| manifest.bytes.len() as u64).sum();
        let blobs = self.blobs().into_iter();
        blobs
            .map(|blob| blob.size)
            .fold(manifests, u64::saturating_add)
    }
}

/// How much of one artifact was read. Several walks can share it.
#[derive(Debug, Default)]
pub struct Budget {
    manifests: AtomicUsize,
    bytes: AtomicU64,
}

impl Budget {
    /// Counts manifests that are about to be read; whether that many may be.
    pub fn take(&self, manifests: usize) -> bool {
        let before = self.manifests.fetch_add(manifests, Ordering::Relaxed);
        before + manifests <= MAX_MANIFESTS
    }

    /// Whether the last manifest did not fit any more.
    fn is_spent(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > MAX_BYTES
    }

    /// Counts a manifest that was read; whether it still fits.
    fn has_room_for(&self, manifest: &Manifest) -> bool {
        let size = manifest.bytes.len() as u64;
        self.bytes.fetch_add(size, Ordering::Relaxed) + size <= MAX_BYTES
    }
}

/// The manifests that a walk has met.
#[derive(Debug, Default)]
pub struct Seen(Mutex<HashSet<Digest>>);

impl Seen {
    /// So far this one.
    #[must_use]
    pub fn new(root: Digest) -> Self {
        Self(Mutex::new(HashSet::from([root])))
    }

    /// Those of an index's children that no index had before.
    #[must_use]
    pub fn first_met<'a>(&self, mut children: Vec<&'a Descriptor>) -> Vec<&'a Descriptor> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain(|child| seen.insert(child.digest.clone()));
        children
    }
}

/// What a walk asks while it goes down.
pub trait Visitor: Send + Sync {
    /// Why a walk ends early.
    type Error: Send;

    /// Which of an index's distinct children to walk into.
    fn select<'a>(
        &'a self,
        index: &'a Manifest,
        children: Vec<&'a Descriptor>,
    ) -> BoxFuture<'a, Result<Vec<&'a Descriptor>, Self::Error>>;

    /// Reads a child; `None` leaves it out.
    fn read<'a>(
        &'a self,
        child: &'a Descriptor,
    ) -> BoxFuture<'a, Result<Option<Manifest>, Self::Error>>;

    /// There is more than the bounds allow to read.
    ///
    /// # Errors
    /// Where the walk cannot go on without it.
    fn out_of_bounds(&self) -> Result<(), Self::Error>;
}

/// Reads what is below a manifest, within [`MAX_DEPTH`], [`MAX_MANIFESTS`] and [`MAX_BYTES`].
///
/// # Errors
/// What the visitor says.
pub async fn walk<V: Visitor + ?Sized>(
    visitor: &V,
    root: Manifest,
    budget: &Budget,
) -> Result<Node, V::Error> {
    below(visitor, root, budget, MAX_DEPTH).await
}

fn below<'w, V: Visitor + ?Sized>(
    visitor: &'w V,
    manifest: Manifest,
    budget: &'w Budget,
    depth: usize,
) -> BoxFuture<'w, Result<Node, V::Error>> {
    async move {
        let mut children = Vec::new();
        let all = manifest.children();
        if !all.is_empty() {
            let selected = visitor.select(&manifest, all).await?;
            if depth > 0 && budget.take(selected.len()) {
                let selected: Vec<Descriptor> = selected.into_iter().cloned().collect();
                children = stream::iter(selected)
                    .map(|one| child(visitor, one, budget, depth - 1))
                    .buffered(AT_ONCE)
                    .try_filter_map(|child| future::ready(Ok(child)))
                    .try_collect()
                    .await?;
            } else {
                visitor.out_of_bounds()?;
            }
        }
        Ok(Node { manifest, children })
    }
    .boxed()
}

fn child<'w, V: Visitor + ?Sized>(
    visitor: &'w V,
    descriptor: Descriptor,
    budget: &'w Budget,
    depth: usize,
) -> BoxFuture<'w, Result<Option<Node>, V::Error>> {
    async move {
        if budget.is_spent() {
            return Ok(None);
        }
        let Some(manifest) = visitor.read(&descriptor).await? else {
            return Ok(None);
        };
        if !budget.has_room_for(&manifest) {
            visitor.out_of_bounds()?;
            return Ok(None);
        }
        below(visitor, manifest, budget, depth).await.map(Some)
    }
    .boxed()
}
