//! A bundle that is written into a bucket, as it is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::aws::{Bucket, MOST_PARTS, ObjectUpload, UploadedPart};
use oci_copy::http::Policy;
use oci_copy::store::Blob;
use oci_copy::store::archive::{BlobSources, Shape};

/// How many parts are sent in parallel, each held in memory.
const AT_ONCE: usize = 3;

/// The size of a part in bytes, as long as an object does not have too many of them.
const PART: u64 = 8 * 1024 * 1024;

/// What is written where.
pub struct BundleUpload {
    /// The bucket.
    pub bucket: Arc<Bucket>,
    /// The object's key.
    pub key: String,
    /// What is written.
    pub shape: Arc<Shape>,
    /// Where its blobs are read.
    pub sources: Arc<BlobSources>,
    /// How often a read is taken up again.
    pub policy: Policy,
}

/// An upload with the parts that S3 has.
type Parts = (ObjectUpload, BTreeMap<i32, UploadedPart>);

impl BundleUpload {
    /// Writes the object. The same contents are cut into the same parts, so what an interrupted run has sent of
    /// them is not sent again. `sent` is called with the number of bytes that S3 has.
    ///
    /// # Errors
    /// When a source or S3 fails; what was sent is kept for the next run.
    pub async fn run(&self, sent: impl Fn(u64)) -> anyhow::Result<()> {
        let size = self.shape.size();
        let part = part_size(size);
        let first = self.first_part(part).await?;
        let (upload, mut parts) = self.open(&first, part).await?;
        let done: u64 = parts.values().map(|part| part.size).sum();
        sent(done);
        let contents = self.parts_from(done, part);
        let puts = contents.map_ok(|(number, content)| {
            let upload = upload.clone();
            async move {
                let put = upload.put(number, content).await?;
                anyhow::Ok((number, put))
            }
        });
        let mut puts = std::pin::pin!(puts.try_buffer_unordered(AT_ONCE));
        while let Some((number, put)) = puts.try_next().await? {
            sent(put.size);
            parts.insert(number, put);
        }
        let total: u64 = parts.values().map(|part| part.size).sum();
        ensure!(
            total == size,
            "{total} bytes were sent instead of {size} (please report this)"
        );
        upload.complete(&parts).await?;
        Ok(())
    }

    async fn first_part(&self, part: u64) -> anyhow::Result<Bytes> {
        let mut contents = std::pin::pin!(self.parts_from(0, part));
        let first = contents.try_next().await?;
        let (_, first) = first.context("a bundle has at least one part (please report this)")?;
        Ok(first)
    }

    /// The upload that an interrupted run has left, or a new one. The first part has the index, by which all
    /// other content is known: an upload of other contents is given up.
    async fn open(&self, first: &[u8], part: u64) -> anyhow::Result<Parts> {
        if let Some((upload, parts)) = self.bucket.interrupted_upload(&self.key).await? {
            let is_same = parts.is_empty() || parts.get(&1).is_some_and(|part| part.is(first));
            if is_same {
                let whole = parts.into_iter().zip(1..);
                let whole = whole
                    .take_while(|((number, found), wanted)| number == wanted && found.size == part);
                return Ok((upload, whole.map(|(found, _)| found).collect()));
            }
            upload.abort().await?;
        }
        Ok((self.bucket.begin_upload(&self.key).await?, BTreeMap::new()))
    }

    /// The parts from an offset on, at which one begins.
    fn parts_from(
        &self,
        from: u64,
        part: u64,
    ) -> impl futures_util::Stream<Item = anyhow::Result<(i32, Bytes)>> + use<> {
        let number = i32::try_from(from / part).unwrap_or(i32::MAX);
        let state = Cutting {
            content: self.shape.stream(from, &self.sources, &self.policy),
            rest: BytesMut::new(),
            size: usize::try_from(part).unwrap_or(usize::MAX),
            number,
        };
        stream::try_unfold(state, |mut state| async move {
            let part = state.next().await?;
            Ok(part.map(|part| ((state.number, part), state)))
        })
    }
}

/// The size of the parts of an object.
fn part_size(size: u64) -> u64 {
    size.div_ceil(MOST_PARTS - 1)
        .next_multiple_of(1024 * 1024)
        .max(PART)
}

/// A stream that is cut into parts.
struct Cutting {
    content: Blob,
    rest: BytesMut,
    size: usize,
    number: i32,
}

impl Cutting {
    async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        while self.rest.len() < self.size {
            match self.content.next().await {
                Some(piece) => self.rest.extend_from_slice(&piece?),
                None => break,
            }
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let part = self.rest.split_to(self.size.min(self.rest.len()));
        Ok(Some(part.freeze()))
    }
}
