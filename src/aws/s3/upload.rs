//! Objects that are written in parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_s3::config::Config;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use oci_copy::reference::Digest;

use super::{Bucket, Error};

/// The most parts of an object (S3's limits of multipart uploads).
pub const MOST_PARTS: u64 = 10_000;

/// An object that is written in parts; it appears when it is complete.
#[derive(Clone)]
pub struct ObjectUpload {
    bucket: Arc<Bucket>,
    key: String,
    id: String,
}

/// A part that S3 has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedPart {
    etag: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    sha256: Option<String>,
}

impl UploadedPart {
    /// Whether it has some content.
    #[must_use]
    pub fn is(&self, content: &[u8]) -> bool {
        self.sha256.as_deref() == Some(checksum(content).as_str())
    }
}

/// The SHA-256 as S3 writes it.
fn checksum(content: &[u8]) -> String {
    STANDARD.encode(Digest::of(content).bytes())
}

impl Bucket {
    /// The upload of a key that an interrupted run has left, with its parts by number, if there is one.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn interrupted_upload(
        self: &Arc<Self>,
        key: &str,
    ) -> Result<Option<(ObjectUpload, BTreeMap<i32, UploadedPart>)>, Error> {
        let request = self
            .client
            .list_multipart_uploads()
            .bucket(&self.name)
            .prefix(key);
        let request = request.expected_bucket_owner(&self.account);
        let send = || request.clone().send();
        let listed = self
            .calls
            .send("s3:ListMultipartUploads", &self.name, send)
            .await?;
        let mut ids = listed
            .uploads()
            .iter()
            .filter(|upload| upload.key() == Some(key));
        let Some(id) = ids.next_back().and_then(|upload| upload.upload_id()) else {
            return Ok(None);
        };
        let upload = ObjectUpload {
            bucket: Arc::clone(self),
            key: key.to_owned(),
            id: id.to_owned(),
        };
        let parts = upload.uploaded_parts().await?;
        Ok(Some((upload, parts)))
    }

    /// Begins an upload in parts.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn begin_upload(self: &Arc<Self>, key: &str) -> Result<ObjectUpload, Error> {
        const ACTION: &str = "s3:CreateMultipartUpload";
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.name)
            .key(key);
        let request = request.checksum_algorithm(ChecksumAlgorithm::Sha256);
        let request = request.expected_bucket_owner(&self.account);
        let send = || request.clone().send();
        let begun = self.calls.send(ACTION, &self.resource(key), send).await?;
        let id = begun.upload_id().map(str::to_owned);
        let id =
            id.ok_or_else(|| Error::incomplete(ACTION, &self.resource(key), "it names no upload"))?;
        Ok(ObjectUpload {
            bucket: Arc::clone(self),
            key: key.to_owned(),
            id,
        })
    }
}

impl ObjectUpload {
    async fn uploaded_parts(&self) -> Result<BTreeMap<i32, UploadedPart>, Error> {
        let bucket = &self.bucket;
        let request = bucket
            .client
            .list_parts()
            .bucket(&bucket.name)
            .key(&self.key);
        let request = request
            .upload_id(&self.id)
            .expected_bucket_owner(&bucket.account);
        let (mut parts, mut next) = (BTreeMap::new(), None);
        loop {
            let list = || request.clone().set_part_number_marker(next.clone()).send();
            let page = bucket
                .calls
                .send("s3:ListParts", &bucket.resource(&self.key), list)
                .await?;
            for part in page.parts() {
                let Some(number) = part.part_number() else {
                    continue;
                };
                let size = part.size().and_then(|size| u64::try_from(size).ok());
                parts.insert(
                    number,
                    UploadedPart {
                        etag: part.e_tag().map(str::to_owned),
                        size: size.unwrap_or_default(),
                        sha256: part.checksum_sha256().map(str::to_owned),
                    },
                );
            }
            match page.next_part_number_marker() {
                // The same page would be returned for ever.
                Some(marker)
                    if page.is_truncated() == Some(true) && next.as_deref() != Some(marker) =>
                {
                    next = Some(marker.to_owned());
                }
                _ => return Ok(parts),
            }
        }
    }

    /// Writes a part, counted from 1.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn put(&self, number: i32, content: Bytes) -> Result<UploadedPart, Error> {
        let bucket = &self.bucket;
        let (size, sha256) = (content.len() as u64, checksum(&content));
        let timeouts = bucket.calls.timeouts(size);
        let put = || {
            let config = Config::builder().timeout_config(timeouts.clone());
            let request = bucket
                .client
                .upload_part()
                .bucket(&bucket.name)
                .key(&self.key);
            let request = request
                .upload_id(&self.id)
                .part_number(number)
                .checksum_sha256(&sha256);
            let request = request.expected_bucket_owner(&bucket.account);
            let request = request.body(ByteStream::from(content.clone()));
            request.customize().config_override(config).send()
        };
        let put = bucket
            .calls
            .send("s3:UploadPart", &bucket.resource(&self.key), put)
            .await?;
        Ok(UploadedPart {
            etag: put.e_tag().map(str::to_owned),
            size,
            sha256: Some(sha256),
        })
    }

    /// Makes the object of the parts.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn complete(&self, parts: &BTreeMap<i32, UploadedPart>) -> Result<(), Error> {
        let bucket = &self.bucket;
        let parts = parts.iter().map(|(number, part)| {
            CompletedPart::builder()
                .part_number(*number)
                .set_e_tag(part.etag.clone())
                .set_checksum_sha256(part.sha256.clone())
                .build()
        });
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(parts.collect()))
            .build();
        let request = bucket
            .client
            .complete_multipart_upload()
            .bucket(&bucket.name)
            .key(&self.key);
        let request = request.upload_id(&self.id).multipart_upload(parts);
        let request = request.expected_bucket_owner(&bucket.account);
        let send = || request.clone().send();
        let resource = bucket.resource(&self.key);
        let done = bucket
            .calls
            .send("s3:CompleteMultipartUpload", &resource, send);
        done.await.map(drop)
    }

    /// Gives an upload up; S3 keeps and bills its parts otherwise.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn abort(&self) -> Result<(), Error> {
        let bucket = &self.bucket;
        let request = bucket
            .client
            .abort_multipart_upload()
            .bucket(&bucket.name)
            .key(&self.key);
        let request = request
            .upload_id(&self.id)
            .expected_bucket_owner(&bucket.account);
        let send = || request.clone().send();
        let resource = bucket.resource(&self.key);
        let done = bucket
            .calls
            .send("s3:AbortMultipartUpload", &resource, send);
        done.await.map(drop)
    }
}
