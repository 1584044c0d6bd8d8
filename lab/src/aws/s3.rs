//! S3 in path style: `/bucket` and `/bucket/key`.

mod chunked;
mod multipart;
mod objects;

pub use multipart::{Part, Upload};
pub use objects::Object;

use super::account::Account;
use super::error::{Failure, xml_answer};
use crate::server::body::Body;
use crate::server::{bare, located, set, with_body};
use crate::text;
use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use std::collections::BTreeMap;

/// A bucket.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    /// The `LocationConstraint` it was created with.
    pub location: Option<String>,
    /// The documents of its settings as they were put, by subresource: `encryption`, `policy`,
    /// `publicAccessBlock`, `tagging`, `versioning`, ...
    pub settings: BTreeMap<String, String>,
    /// Its objects by key.
    pub objects: BTreeMap<String, Object>,
    /// Uploads in parts by their ids.
    pub uploads: BTreeMap<String, Upload>,
    /// How many such uploads were begun.
    pub begun: u64,
    /// How many objects were written.
    pub writes: u64,
}

impl Bucket {
    /// Stores an object, a second later than the one before.
    pub(super) fn insert(&mut self, key: &str, object: Object) {
        self.writes += 1;
        let modified = self.writes;
        self.objects
            .insert(key.to_owned(), Object { modified, ..object });
    }
}

/// The subresources of a bucket: query key, name in the action, and the error if there is none.
const SUBRESOURCES: [(&str, &str, &str); 7] = [
    (
        "encryption",
        "BucketEncryption",
        "ServerSideEncryptionConfigurationNotFoundError",
    ),
    (
        "lifecycle",
        "BucketLifecycleConfiguration",
        "NoSuchLifecycleConfiguration",
    ),
    (
        "ownershipControls",
        "BucketOwnershipControls",
        "OwnershipControlsNotFoundError",
    ),
    ("policy", "BucketPolicy", "NoSuchBucketPolicy"),
    (
        "publicAccessBlock",
        "PublicAccessBlock",
        "NoSuchPublicAccessBlockConfiguration",
    ),
    ("tagging", "BucketTagging", "NoSuchTagSet"),
    ("versioning", "BucketVersioning", ""),
];

/// A request to S3.
pub(super) struct Question<'a> {
    head: &'a Parts,
    query: &'a str,
    bucket: String,
    key: String,
}

impl<'a> Question<'a> {
    pub(super) fn read(head: &'a Parts) -> Self {
        let path = text::percent_decode(head.uri.path());
        let path = path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let query = head.uri.query().unwrap_or_default();
        Self {
            head,
            query,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }
    }

    /// `bucket/key`.
    pub(super) fn resource(&self) -> String {
        if self.key.is_empty() {
            self.bucket.clone()
        } else {
            format!("{}/{}", self.bucket, self.key)
        }
    }

    pub(super) fn action(&self) -> String {
        if let Some(action) = self.upload_action() {
            return action.to_owned();
        }
        let verb = match self.head.method {
            Method::HEAD => "Head",
            Method::PUT => "Put",
            Method::DELETE => "Delete",
            Method::POST => "Post",
            _ => "Get",
        };
        if !self.key.is_empty() {
            return format!("{verb}Object");
        }
        match (self.subresource(), verb) {
            (Some((_, name, _)), _) => format!("{verb}{name}"),
            (None, "Put") => "CreateBucket".to_owned(),
            (None, "Get") if self.has("location") => "GetBucketLocation".to_owned(),
            (None, "Get") => "ListObjectsV2".to_owned(),
            (None, _) => format!("{verb}Bucket"),
        }
    }

    pub(super) fn respond(
        &self,
        account: &Account,
        body: &Bytes,
    ) -> Result<Response<Body>, Failure> {
        let mut state = account.state();
        if self.action() == "CreateBucket" {
            return self.create(&account.region, &mut state.buckets, body);
        }
        let missing = || Failure::new(404, "NoSuchBucket", "The specified bucket does not exist");
        let bucket = state.buckets.get_mut(&self.bucket).ok_or_else(missing)?;
        if let Some(action) = self.upload_action() {
            return self.answer_upload(bucket, action, body);
        }
        if !self.key.is_empty() {
            return self.answer_object(bucket, body);
        }
        if let Some((subresource, _, none)) = self.subresource() {
            return self.answer_setting(bucket, subresource, none, body);
        }
        match self.action().as_str() {
            "HeadBucket" => {
                let region = bucket.location.as_deref().unwrap_or(&account.region);
                Ok(set(bare(StatusCode::OK), "x-amz-bucket-region", region))
            }
            "GetBucketLocation" => {
                let location = bucket.location.as_deref().unwrap_or_default();
                Ok(xml_answer(
                    StatusCode::OK,
                    &format!("<LocationConstraint>{location}</LocationConstraint>"),
                ))
            }
            "ListObjectsV2" => Ok(self.list(bucket)),
            "DeleteBucket" if bucket.objects.is_empty() => {
                state.buckets.remove(&self.bucket);
                Ok(bare(StatusCode::NO_CONTENT))
            }
            "DeleteBucket" => Err(Failure::new(
                409,
                "BucketNotEmpty",
                "The bucket you tried to delete is not empty",
            )),
            action => Err(Failure::new(
                501,
                "NotImplemented",
                format!("the lab has no {action}"),
            )),
        }
    }

    fn create(
        &self,
        region: &str,
        buckets: &mut BTreeMap<String, Bucket>,
        body: &Bytes,
    ) -> Result<Response<Body>, Failure> {
        let body = String::from_utf8_lossy(body);
        let location = body
            .split_once("<LocationConstraint>")
            .and_then(|(_, rest)| Some(rest.split_once("</LocationConstraint>")?.0.to_owned()));
        if location.as_deref().unwrap_or("us-east-1") != region {
            let message = "The unspecified location constraint is incompatible for the region \
                           specific endpoint this request was sent to.";
            return Err(Failure::new(
                400,
                "IllegalLocationConstraintException",
                message,
            ));
        }
        if buckets.contains_key(&self.bucket) && region != "us-east-1" {
            let message = "Your previous request to create the named bucket succeeded and you already own it.";
            return Err(Failure::new(409, "BucketAlreadyOwnedByYou", message));
        }
        buckets.entry(self.bucket.clone()).or_default().location = location;
        Ok(located(bare(StatusCode::OK), &format!("/{}", self.bucket)))
    }

    fn answer_setting(
        &self,
        bucket: &mut Bucket,
        subresource: &str,
        none: &str,
        body: &Bytes,
    ) -> Result<Response<Body>, Failure> {
        match self.head.method {
            Method::PUT => {
                bucket.settings.insert(
                    subresource.to_owned(),
                    String::from_utf8_lossy(body).into_owned(),
                );
                Ok(bare(StatusCode::OK))
            }
            Method::DELETE => {
                bucket.settings.remove(subresource);
                Ok(bare(StatusCode::NO_CONTENT))
            }
            _ => match bucket.settings.get(subresource) {
                // A policy is JSON.
                Some(document) if subresource == "policy" => Ok(with_body(
                    StatusCode::OK,
                    "application/json",
                    document.clone(),
                )),
                Some(document) => Ok(xml_answer(StatusCode::OK, strip_declaration(document))),
                None if none.is_empty() => {
                    Ok(xml_answer(StatusCode::OK, "<VersioningConfiguration/>"))
                }
                None => Err(Failure::new(404, none, "The setting does not exist")),
            },
        }
    }

    fn subresource(&self) -> Option<(&'static str, &'static str, &'static str)> {
        SUBRESOURCES.into_iter().find(|(key, ..)| self.has(key))
    }

    fn has(&self, key: &str) -> bool {
        text::pair(self.query, key).is_some()
    }
}

/// The document without its XML declaration, which the answer gets anew.
fn strip_declaration(document: &str) -> &str {
    let document = document.trim_start();
    if document.starts_with("<?xml") {
        document
            .split_once("?>")
            .map_or(document, |(_, rest)| rest.trim_start())
    } else {
        document
    }
}
