//! A chart's artifact, read from memory.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future, stream};

use oci_copy::http::AimdLimit;
use oci_copy::manifest::{Descriptor, Manifest};
use oci_copy::reference::Digest;

use oci_copy::store::{Answer, Blob, Error, Partial, Source, TagOrDigest};

use super::Artifact;

/// How much of an archive is handed on at once, in bytes.
const PIECE: usize = 64 * 1024;

/// A chart's artifact as a place to read from.
pub struct ChartSource(Artifact);

impl ChartSource {
    /// Opens an artifact.
    #[must_use]
    pub fn new(artifact: Artifact) -> Self {
        Self(artifact)
    }

    fn names(&self, which: &TagOrDigest) -> bool {
        match which {
            TagOrDigest::Tag(_) => true,
            TagOrDigest::Digest(digest) => *digest == self.0.manifest.digest,
        }
    }
}

impl Source for ChartSource {
    fn resolve<'a>(&'a self, which: &'a TagOrDigest) -> Answer<'a, Option<Digest>> {
        let digest = self.names(which).then(|| self.0.manifest.digest.clone());
        future::ready(Ok(digest)).boxed()
    }

    fn manifest<'a>(&'a self, which: &'a TagOrDigest) -> Answer<'a, Option<Manifest>> {
        future::ready(Ok(self.names(which).then(|| self.0.manifest.clone()))).boxed()
    }

    fn referrers<'a>(&'a self, _: &'a Digest) -> Answer<'a, Partial<Descriptor>> {
        future::ready(Ok(Vec::new().into())).boxed()
    }

    fn find_tags<'a>(&'a self, _: &'a [String]) -> Answer<'a, Partial<(String, Digest)>> {
        future::ready(Ok(Vec::new().into())).boxed()
    }

    fn identity(&self) -> String {
        format!("chart {}", self.0.manifest.digest)
    }

    fn reads(&self) -> Arc<AimdLimit> {
        // It is in memory already.
        AimdLimit::new(usize::MAX, usize::MAX)
    }

    fn blob<'a>(&'a self, descriptor: &'a Descriptor, from: u64) -> Answer<'a, Blob> {
        let found = self
            .0
            .blobs
            .iter()
            .find(|(other, _)| other.digest == descriptor.digest);
        let mut rest = found
            .map(|(_, content)| content.clone())
            .unwrap_or_default();
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        drop(rest.split_to(from.min(rest.len())));
        let pieces = std::iter::from_fn(move || {
            (!rest.is_empty()).then(|| Ok::<Bytes, Error>(rest.split_to(PIECE.min(rest.len()))))
        });
        future::ready(Ok(stream::iter(pieces).boxed())).boxed()
    }
}
