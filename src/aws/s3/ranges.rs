//! An object that is read by ranges.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use oci_copy::http::RetryState;

use super::{Bucket, Error};

const ACTION: &str = "s3:GetObject";

/// An object of a bucket in one version: if it is replaced, reads fail.
#[derive(Clone)]
pub struct ObjectReader {
    bucket: Arc<Bucket>,
    key: String,
    /// Its size in bytes.
    pub size: u64,
    etag: Option<String>,
}

impl Bucket {
    /// Opens an object; `None` where there is no such object or no such bucket.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn reader(self, key: &str) -> Result<Option<ObjectReader>, Error> {
        let request = self.client.head_object().bucket(&self.name).key(key);
        let request = request.expected_bucket_owner(&self.account);
        let send = || request.clone().send();
        let resource = self.resource(key);
        let head = match self.calls.send("s3:HeadObject", &resource, send).await {
            // The response to HEAD has no body with the reason.
            Err(error) if error.status() == Some(404) => return Ok(None),
            Err(error) if error.status() == Some(403) => {
                let what = "the object or its bucket belongs to another account than expected, or this role may not read it";
                return Err(Error::refused("s3:HeadObject", &resource, what, 403));
            }
            Err(error) if error.status() == Some(301) => {
                let what = "the bucket is in another region";
                return Err(Error::refused("s3:HeadObject", &resource, what, 400));
            }
            head => head?,
        };
        let size = head
            .content_length()
            .and_then(|size| u64::try_from(size).ok());
        let Some(size) = size else {
            return Err(Error::incomplete(
                "s3:HeadObject",
                &resource,
                "S3 does not say how large the object is",
            ));
        };
        Ok(Some(ObjectReader {
            etag: head.e_tag().map(str::to_owned),
            bucket: Arc::new(self),
            key: key.to_owned(),
            size,
        }))
    }
}

/// A read in progress.
struct Reading {
    object: ObjectReader,
    at: u64,
    end: u64,
    body: Option<aws_sdk_s3::primitives::ByteStream>,
    course: RetryState,
}

impl ObjectReader {
    /// The object's URL.
    #[must_use]
    pub fn show(&self) -> String {
        self.bucket.show(&self.key)
    }

    /// Some of its bytes; a read that breaks is taken up where it broke.
    #[must_use]
    pub fn read(&self, from: u64, length: u64) -> BoxStream<'static, Result<Bytes, Error>> {
        let reading = Reading {
            object: self.clone(),
            at: from,
            end: from.saturating_add(length),
            body: None,
            course: RetryState::start(),
        };
        stream::try_unfold(reading, |mut reading| async move {
            let piece = reading.next().await?;
            Ok(piece.map(|piece| (piece, reading)))
        })
        .boxed()
    }
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while self.at < self.end {
            let error = match self.piece().await {
                Ok(piece) => {
                    self.at += piece.len() as u64;
                    self.course = RetryState::start();
                    return Ok(Some(piece));
                }
                Err(error) => error,
            };
            self.body = None;
            let policy = self.object.bucket.calls.policy();
            let wait = self.course.failed(policy, error.class(), fastrand::f64());
            let Some(wait) = wait else { return Err(error) };
            tracing::debug!(error = %error, at = self.at, "reading on: {error}");
            tokio::time::sleep(wait).await;
        }
        Ok(None)
    }

    async fn piece(&mut self) -> Result<Bytes, Error> {
        let (bucket, key) = (&self.object.bucket, &self.object.key);
        let resource = bucket.resource(key);
        if self.body.is_none() {
            let request = bucket.client.get_object().bucket(&bucket.name).key(key);
            let request = request.expected_bucket_owner(&bucket.account);
            let request = request.set_if_match(self.object.etag.clone());
            let request = request.range(format!("bytes={}-{}", self.at, self.end - 1));
            let answer = Box::pin(request.send()).await;
            let answer = answer.map_err(|error| Error::new(ACTION, &resource, &error))?;
            self.body = Some(answer.body);
        }
        let Some(body) = &mut self.body else {
            return Err(Error::broken(ACTION, &resource, "there is no content"));
        };
        let piece = tokio::time::timeout(bucket.calls.read_timeout(), body.next()).await;
        let mut piece = match piece {
            Ok(Some(Ok(piece))) => piece,
            Ok(Some(Err(error))) => {
                return Err(Error::broken(ACTION, &resource, error.to_string()));
            }
            Ok(None) => {
                return Err(Error::broken(
                    ACTION,
                    &resource,
                    "the content ended too early",
                ));
            }
            Err(_) => {
                return Err(Error::broken(
                    ACTION,
                    &resource,
                    "the content stopped coming",
                ));
            }
        };
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        piece.truncate(left);
        Ok(piece)
    }
}
