//! A blob's bytes, read on from where they broke off.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::http::{Policy, RetryState};
use crate::manifest::Descriptor;

use super::{Blob, Error, Source};

struct Reading {
    source: Arc<dyn Source>,
    descriptor: Descriptor,
    policy: Policy,
    course: RetryState,
    blob: Option<Blob>,
    /// Bytes that have come.
    seen: u64,
}

/// Reads a blob; a read that breaks is taken up where it broke, as often as the policy allows.
#[must_use]
pub fn resumed(source: Arc<dyn Source>, descriptor: Descriptor, policy: Policy) -> Blob {
    let reading = Reading {
        source,
        descriptor,
        policy,
        course: RetryState::start(),
        blob: None,
        seen: 0,
    };
    stream::try_unfold(reading, |mut reading| async move {
        let piece = reading.next().await?;
        Ok(piece.map(|piece| (piece, reading)))
    })
    .boxed()
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let error = match self.piece().await {
                Ok(Some(piece)) => {
                    self.seen += piece.len() as u64;
                    return Ok(Some(piece));
                }
                Ok(None) if self.seen >= self.descriptor.size => return Ok(None),
                // An end that comes too early, without an error.
                Ok(None) => Error::Length {
                    digest: self.descriptor.digest.clone(),
                    wanted: self.descriptor.size,
                    found: self.seen,
                },
                Err(error) => error,
            };
            self.blob = None;
            let class = error.class();
            let Some(wait) = self.course.failed(&self.policy, class, fastrand::f64()) else {
                return Err(error);
            };
            tracing::debug!(error = %error, at = self.seen, "reading on: {error}");
            tokio::time::sleep(wait).await;
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        let blob = if let Some(blob) = &mut self.blob {
            blob
        } else {
            let blob = self.source.blob(&self.descriptor, self.seen).await?;
            self.blob.insert(blob)
        };
        blob.try_next().await
    }
}
