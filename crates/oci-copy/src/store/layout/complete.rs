//! Whether an artifact is complete in a folder: the index only says that it was.

use std::collections::HashSet;

use crate::manifest::{Descriptor, MAX_MANIFESTS};
use crate::reference::Digest;
use crate::store::TagOrDigest;

use super::Layout;

impl Layout {
    /// Whether a manifest, all manifests below it and all their blobs are there. Reads manifests; of blobs, only
    /// the size is looked at.
    pub(super) fn is_complete(&self, root: &Digest) -> bool {
        let (mut seen, mut open) = (HashSet::new(), vec![root.clone()]);
        while let Some(digest) = open.pop() {
            if !seen.insert(digest.clone()) {
                continue;
            }
            let manifest = self.read_manifest(&TagOrDigest::Digest(digest));
            let Ok(Some(manifest)) = manifest else {
                return false;
            };
            let is_whole = manifest.blobs().all(|blob| self.has_file(blob));
            if !is_whole || seen.len() > MAX_MANIFESTS {
                return false;
            }
            let children = manifest.children().into_iter();
            open.extend(children.map(|child| child.digest.clone()));
        }
        true
    }

    /// Whether a blob is there. Blobs are renamed into place when they are complete: their length is proof enough.
    pub(super) fn has_file(&self, blob: &Descriptor) -> bool {
        let found = std::fs::metadata(self.blob_path(&blob.digest));
        found.is_ok_and(|file| file.is_file() && file.len() == blob.size)
    }
}
