//! Uploads in parts.

use super::chunked::payload;
use super::objects::Object;
use super::{Bucket, Question};
use crate::aws::error::{Failure, xml_answer};
use crate::content::digest_of;
use crate::server::body::Body;
use crate::server::{bare, header, set};
use crate::text::{pair, xml_escape};
use bytes::Bytes;
use hyper::{Method, Response, StatusCode};
use std::collections::BTreeMap;

/// The smallest part but the last (S3's limits of multipart uploads).
const SMALLEST: usize = 5 * 1024 * 1024;

/// An upload that is not complete.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    /// The object's key.
    pub key: String,
    /// The parts by their numbers.
    pub parts: BTreeMap<u32, Part>,
}

/// A part of an upload.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Its content.
    pub bytes: Bytes,
    /// The checksum it was sent with.
    pub sha256: Option<String>,
}

impl Part {
    fn etag(&self) -> String {
        format!("\"{}\"", &digest_of(&self.bytes)[7..39])
    }
}

impl Question<'_> {
    /// The action of a request about uploads; `None` for others.
    pub(super) fn upload_action(&self) -> Option<&'static str> {
        let is_of_upload = self.has("uploadId");
        Some(match self.head.method {
            Method::GET if self.key.is_empty() && self.has("uploads") => "ListMultipartUploads",
            Method::POST if self.has("uploads") => "CreateMultipartUpload",
            Method::POST if is_of_upload => "CompleteMultipartUpload",
            Method::PUT if is_of_upload => "UploadPart",
            Method::GET if is_of_upload => "ListParts",
            Method::DELETE if is_of_upload => "AbortMultipartUpload",
            _ => return None,
        })
    }

    pub(super) fn answer_upload(
        &self,
        bucket: &mut Bucket,
        action: &str,
        body: &Bytes,
    ) -> Result<Response<Body>, Failure> {
        match action {
            "ListMultipartUploads" => return Ok(self.list_uploads(bucket)),
            "CreateMultipartUpload" => return Ok(self.begin_upload(bucket)),
            _ => {}
        }
        let id = pair(self.query, "uploadId").unwrap_or_default();
        let missing = || Failure::new(404, "NoSuchUpload", "The specified upload does not exist");
        let upload = bucket.uploads.get_mut(&id).ok_or_else(missing)?;
        match action {
            "UploadPart" => {
                let number = pair(self.query, "partNumber").and_then(|number| number.parse().ok());
                let number = number.unwrap_or_default();
                let part = Part {
                    bytes: payload(&self.head.headers, body)?,
                    sha256: header(&self.head.headers, "x-amz-checksum-sha256"),
                };
                let response = set(bare(StatusCode::OK), "etag", &part.etag());
                upload.parts.insert(number, part);
                Ok(response)
            }
            "ListParts" => Ok(list_parts(upload)),
            "AbortMultipartUpload" => {
                bucket.uploads.remove(&id);
                Ok(bare(StatusCode::NO_CONTENT))
            }
            _ => {
                let (last, first) = upload
                    .parts
                    .values()
                    .next_back()
                    .zip(Some(upload.parts.values()))
                    .ok_or_else(missing)?;
                let small = first
                    .filter(|part| !std::ptr::eq(*part, last))
                    .any(|part| part.bytes.len() < SMALLEST);
                if small {
                    let message = "Your proposed upload is smaller than the minimum allowed size";
                    return Err(Failure::new(400, "EntityTooSmall", message));
                }
                let whole: Vec<u8> = upload
                    .parts
                    .values()
                    .flat_map(|part| part.bytes.iter().copied())
                    .collect();
                let object = Object {
                    bytes: whole.into(),
                    ..Object::default()
                };
                let key = upload.key.clone();
                bucket.insert(&key, object);
                bucket.uploads.remove(&id);
                let key = xml_escape(&self.key);
                let xml = format!(
                    "<CompleteMultipartUploadResult><Key>{key}</Key></CompleteMultipartUploadResult>"
                );
                Ok(xml_answer(StatusCode::OK, &xml))
            }
        }
    }

    fn begin_upload(&self, bucket: &mut Bucket) -> Response<Body> {
        bucket.begun += 1;
        let id = format!("upload-{}", bucket.begun);
        let upload = Upload {
            key: self.key.clone(),
            parts: BTreeMap::new(),
        };
        bucket.uploads.insert(id.clone(), upload);
        let key = xml_escape(&self.key);
        let xml = format!(
            "<InitiateMultipartUploadResult><Key>{key}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        );
        xml_answer(StatusCode::OK, &xml)
    }

    fn list_uploads(&self, bucket: &Bucket) -> Response<Body> {
        let prefix = pair(self.query, "prefix").unwrap_or_default();
        let uploads = bucket
            .uploads
            .iter()
            .filter(|(_, upload)| upload.key.starts_with(&prefix));
        let uploads: Vec<String> = uploads
            .map(|(id, upload)| {
                let key = xml_escape(&upload.key);
                format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>")
            })
            .collect();
        let xml = format!(
            "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{}</ListMultipartUploadsResult>",
            uploads.concat()
        );
        xml_answer(StatusCode::OK, &xml)
    }
}

fn list_parts(upload: &Upload) -> Response<Body> {
    let parts = upload.parts.iter().map(|(number, part)| {
        let sha256 = part
            .sha256
            .as_ref()
            .map(|text| format!("<ChecksumSHA256>{text}</ChecksumSHA256>"));
        format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag><Size>{}</Size>{}</Part>",
            xml_escape(&part.etag()),
            part.bytes.len(),
            sha256.unwrap_or_default()
        )
    });
    let parts: Vec<String> = parts.collect();
    let xml = format!(
        "<ListPartsResult><IsTruncated>false</IsTruncated>{}</ListPartsResult>",
        parts.concat()
    );
    xml_answer(StatusCode::OK, &xml)
}
