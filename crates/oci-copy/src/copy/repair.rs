//! Sends what the target was expected to have and does not: one blob at a time, outside of the run's
//! graph.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::manifest::{Budget, Descriptor, Manifest, Node};
use crate::reference::TagOrDigest;
use crate::store::weight;

use super::artifact::ArtifactCopy;
use super::graph::{Needs, PendingBlob, Rank, Sink};
use super::outcome::CopyError;
use super::source_walk::Children;
use super::transfer::{Sources, Transfer};

impl ArtifactCopy<'_> {
    /// Sends what is missing of what a manifest refers to; whether anything was.
    pub(super) async fn repair(&self, manifest: &Manifest) -> Result<bool, CopyError> {
        let (root, budget) = (manifest.clone(), Budget::default());
        let node = self.walk(root, Children::NotFound, &budget).await?;
        self.bring(&node).await
    }

    /// Sends blobs, then children, whose own parts come first.
    fn bring<'w>(&'w self, node: &'w Node) -> BoxFuture<'w, Result<bool, CopyError>> {
        async move {
            let mut was_missing = false;
            for blob in node.manifest.blobs() {
                let is_there = self.target.has_blob(blob).await;
                if !is_there.map_err(self.target_error("look for a blob"))? {
                    self.send_alone(blob).await?;
                    was_missing = true;
                }
            }
            for child in &node.children {
                self.bring(child).await?;
                let name = TagOrDigest::Digest(child.manifest.digest.clone());
                let put = self.target.put_manifest(&name, &child.manifest).await;
                put.map_err(self.target_error("write a child manifest"))?;
                was_missing = true;
            }
            Ok(was_missing)
        }
        .boxed()
    }

    async fn send_alone(&self, blob: &Descriptor) -> Result<(), CopyError> {
        let needs = Needs {
            source: &self.source,
            target: &self.target,
            known: None,
        };
        let pending = Arc::new(PendingBlob::new(
            blob,
            &needs,
            &self.target.namespace().into(),
            false,
            Rank::default(),
        ));
        let weight = weight(blob.size);
        let _writing = self.target.writes().acquire(weight).await;
        let _reading = self.source.reads().acquire(weight).await;
        let transfer = Transfer {
            descriptor: blob.clone(),
            sources: Sources::One(Arc::clone(&self.source)),
            sinks: vec![Sink {
                pending: Arc::clone(&pending),
                session: None,
            }],
            rules: self.engine.rules.clone(),
            events: Arc::clone(&self.engine.events),
        };
        transfer.run().await;
        let arrived = pending.finished().await;
        arrived
            .map(drop)
            .map_err(|failure| self.blob_error(failure))
    }
}
