//! Whether an artifact is complete in a folder: the index only says that it was.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::manifest::{Budget, Descriptor, Manifest, Seen, Visitor, walk};
use crate::reference::Digest;
use crate::store::TagOrDigest;

use super::Layout;

/// Something of an artifact is not there, or there is more of it than a walk reads.
struct Incomplete;

struct CompleteWalk<'a> {
    layout: &'a Layout,
    seen: Seen,
}

impl Layout {
    /// Whether a manifest, all manifests below it and all their blobs are there. Reads manifests; of blobs, only
    /// the size is looked at.
    pub(super) async fn is_complete(&self, root: &Digest) -> bool {
        let Ok(manifest) = self.whole_manifest(root) else {
            return false;
        };
        let visitor = CompleteWalk {
            layout: self,
            seen: Seen::new(root.clone()),
        };
        walk(&visitor, manifest, &Budget::default()).await.is_ok()
    }

    /// A manifest whose blobs are there.
    fn whole_manifest(&self, digest: &Digest) -> Result<Manifest, Incomplete> {
        let manifest = self.read_manifest(&TagOrDigest::Digest(digest.clone()));
        let manifest = manifest.ok().flatten().ok_or(Incomplete)?;
        let is_whole = manifest.blobs().all(|blob| self.has_file(blob));
        is_whole.then_some(manifest).ok_or(Incomplete)
    }

    /// Whether a blob is there. Blobs are renamed into place when they are complete: their length is proof enough.
    pub(super) fn has_file(&self, blob: &Descriptor) -> bool {
        let found = std::fs::metadata(self.blob_path(&blob.digest));
        found.is_ok_and(|file| file.is_file() && file.len() == blob.size)
    }
}

impl Visitor for CompleteWalk<'_> {
    type Error = Incomplete;

    fn select<'a>(
        &'a self,
        _: &'a Manifest,
        children: Vec<&'a Descriptor>,
    ) -> BoxFuture<'a, Result<Vec<&'a Descriptor>, Incomplete>> {
        ready(Ok(self.seen.first_met(children))).boxed()
    }

    fn read<'a>(
        &'a self,
        child: &'a Descriptor,
    ) -> BoxFuture<'a, Result<Option<Manifest>, Incomplete>> {
        ready(self.layout.whole_manifest(&child.digest).map(Some)).boxed()
    }

    fn out_of_bounds(&self) -> Result<(), Incomplete> {
        Err(Incomplete)
    }
}
