//! An archive as a stream, for homes that take bytes in order only.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, future, stream};

use crate::http::Policy;
use crate::manifest::Descriptor;
use crate::reference::Digest;
use crate::store::{Blob, Error, Source, resumed, verified};

use super::contents::Shape;
use super::tar;

/// Up to this size, in bytes, a blob is read ahead.
const SMALL: u64 = 1024 * 1024;

/// How many small blobs are read ahead.
const AHEAD: usize = 8;

/// Where the blobs of an archive are read.
pub type BlobSources = HashMap<Digest, (Arc<dyn Source>, Descriptor)>;

impl Shape {
    /// The size of the archive in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.index.size
    }

    /// The archive's bytes from an offset on. Small blobs are read ahead, the others one after the other; each
    /// is checked, and a read that breaks is taken up where it broke.
    #[must_use]
    pub fn stream(
        self: &Arc<Self>,
        from: u64,
        sources: &Arc<BlobSources>,
        policy: &Policy,
    ) -> Blob {
        let front = (0, self.front.len() as u64, None);
        let members = self.index.members.iter().enumerate();
        let members = members
            .map(|(number, member)| (member.begin(), member.begin() + member.span(), Some(number)));
        let wanted: Vec<(u64, u64, Option<usize>)> = std::iter::once(front)
            .chain(members)
            .filter(|(_, end, _)| *end > from)
            .collect();
        let (shape, sources, policy) = (Arc::clone(self), Arc::clone(sources), policy.clone());
        let end = Bytes::from(vec![0; usize::try_from(tar::END).unwrap_or_default()]);
        let end_at = self.index.size - tar::END;
        let parts = stream::iter(wanted).map(move |(start, _, number)| {
            let (shape, sources, policy) =
                (Arc::clone(&shape), Arc::clone(&sources), policy.clone());
            async move {
                let part = match number {
                    None => once(shape.front.clone()),
                    Some(number) => shape.member(number, &sources, &policy).await?,
                };
                Ok::<_, Error>(without_first(part, from.saturating_sub(start)))
            }
        });
        let end = without_first(once(end), from.saturating_sub(end_at));
        parts.buffered(AHEAD).try_flatten().chain(end).boxed()
    }

    /// Header, content and padding of a member.
    async fn member(
        &self,
        number: usize,
        sources: &BlobSources,
        policy: &Policy,
    ) -> Result<Blob, Error> {
        let member = &self.index.members[number];
        let header = Bytes::from(member.header());
        let padding = tar::padded(member.size) - member.size;
        let padding = Bytes::from(vec![0; usize::try_from(padding).unwrap_or_default()]);
        let content = if let Some(content) = self.known.get(&number) {
            once(content.clone())
        } else {
            let (source, descriptor) = sources.get(&member.digest).ok_or_else(|| {
                Error::archive(&member.path, "it has no source (please report this)")
            })?;
            let blob = resumed(Arc::clone(source), descriptor.clone(), policy.clone());
            let blob = verified(blob, descriptor, true);
            if member.size <= SMALL {
                let pieces: Vec<Bytes> = blob.try_collect().await?;
                stream::iter(pieces.into_iter().map(Ok)).boxed()
            } else {
                blob
            }
        };
        Ok(once(header).chain(content).chain(once(padding)).boxed())
    }
}

fn once(bytes: Bytes) -> Blob {
    future::ready(Ok(bytes)).into_stream().boxed()
}

/// A stream without its first bytes.
fn without_first(blob: Blob, count: u64) -> Blob {
    if count == 0 {
        return blob;
    }
    let pieces = blob.scan(count, |left, piece| {
        let piece = piece.map(|mut piece| {
            let now = usize::try_from(*left)
                .unwrap_or(usize::MAX)
                .min(piece.len());
            *left -= now as u64;
            piece.split_off(now)
        });
        future::ready(Some(piece))
    });
    pieces
        .try_filter(|piece| future::ready(!piece.is_empty()))
        .boxed()
}
