//! What was believed to be at the target and is not: sent alone, outside of the run's graph.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::oci::{Descriptor, Manifest, Refers};
use crate::reference::Which;
use crate::store::places;

use super::artifact::Way;
use super::graph::{Arrival, Needs, Rank, Sink};
use super::outcome::CopyError;
use super::resolve::own_blobs;
use super::transfer::{Sources, Transfer};

impl Way<'_> {
    /// Brings what the target lacks of what a manifest refers to; whether there was anything.
    pub(super) fn mend<'w>(
        &'w self,
        manifest: &'w Manifest,
    ) -> BoxFuture<'w, Result<bool, CopyError>> {
        async move {
            let mut has_mended = false;
            for blob in own_blobs(manifest) {
                let is_there = self.target.has_blob(blob).await;
                if !is_there.map_err(self.target_error("look for a blob"))? {
                    self.send_alone(blob).await?;
                    has_mended = true;
                }
            }
            let Refers::Manifests(children) = &manifest.refers else {
                return Ok(has_mended);
            };
            for child in children {
                let name = Which::Digest(child.digest.clone());
                let present = self.target.resolve(&name).await;
                let present = present.map_err(self.target_error("look for a child manifest"))?;
                if present.is_none() {
                    let child = self.read_child(child.digest.clone()).await?;
                    self.mend(&child).await?;
                    let put = self.target.put_manifest(&name, &child).await;
                    put.map_err(self.target_error("write a child manifest"))?;
                    has_mended = true;
                }
            }
            Ok(has_mended)
        }
        .boxed()
    }

    async fn send_alone(&self, blob: &Descriptor) -> Result<(), CopyError> {
        let needs = Needs {
            source: &self.source,
            target: &self.target,
            known: None,
        };
        let arrival = Arc::new(Arrival::new(
            blob,
            &needs,
            self.target.pool(),
            false,
            Rank::default(),
        ));
        let weight = places(blob.size);
        let _writing = self.target.writes().enter(weight).await;
        let _reading = self.source.reads().enter(weight).await;
        let transfer = Transfer {
            descriptor: blob.clone(),
            sources: Sources::One(Arc::clone(&self.source)),
            sinks: vec![Sink {
                arrival: Arc::clone(&arrival),
                session: None,
            }],
            rules: self.engine.rules.clone(),
            events: Arc::clone(&self.engine.events),
        };
        transfer.run().await;
        let arrived = arrival.arrived().await;
        arrived
            .map(drop)
            .map_err(|failure| self.blob_error(failure))
    }
}
