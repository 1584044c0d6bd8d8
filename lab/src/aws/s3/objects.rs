//! Objects.

use super::chunked::payload;
use super::{Bucket, Question};
use crate::aws::error::{Failure, xml_answer};
use crate::content::digest_of;
use crate::server::body::Body;
use crate::server::{bare, header, set, with_body};
use crate::text::{pair, xml_escape};
use bytes::Bytes;
use hyper::{Method, Response, StatusCode};
use std::collections::BTreeMap;

/// An object.
#[derive(Debug, Clone, Default)]
pub struct Object {
    /// Its content, without the frames of `aws-chunked`.
    pub bytes: Bytes,
    /// The `x-amz-*` and `content-*` headers it was put with.
    pub headers: BTreeMap<String, String>,
    /// When it was last written, in seconds after the beginning of 2024. In a bucket, each write is a second later
    /// than the one before.
    pub modified: u64,
}

impl Object {
    fn etag(&self) -> String {
        format!("\"{}\"", &digest_of(&self.bytes)[7..39])
    }

    /// The time of day on 1 January 2024 at which it was last written.
    fn time(&self) -> String {
        let seconds = self.modified.min(86_399);
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
    }

    /// The part that a `Range` of the form `bytes=FIRST-LAST` names.
    fn range(&self, range: &str, media_type: &str) -> Result<Response<Body>, Failure> {
        let size = self.bytes.len();
        let bounds = range
            .strip_prefix("bytes=")
            .and_then(|range| range.split_once('-'));
        let bounds =
            bounds.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        match bounds {
            Some((first, last)) if first <= last && first < size => {
                let last: usize = last;
                let end = last.saturating_add(1).min(size);
                let part = self.bytes.slice(first..end);
                let response = with_body(StatusCode::PARTIAL_CONTENT, media_type, part);
                let range = format!("bytes {first}-{}/{size}", end - 1);
                Ok(set(response, "content-range", &range))
            }
            _ => Err(Failure::new(
                416,
                "InvalidRange",
                "The requested range is not satisfiable",
            )),
        }
    }
}

impl Question<'_> {
    pub(super) fn answer_object(
        &self,
        bucket: &mut Bucket,
        body: &Bytes,
    ) -> Result<Response<Body>, Failure> {
        match self.head.method {
            Method::PUT => self.put(bucket, body),
            Method::DELETE => {
                bucket.objects.remove(&self.key);
                Ok(bare(StatusCode::NO_CONTENT))
            }
            Method::GET | Method::HEAD => {
                let missing =
                    || Failure::new(404, "NoSuchKey", "The specified key does not exist.");
                let object = bucket.objects.get(&self.key).ok_or_else(missing)?;
                let media_type = object.headers.get("content-type");
                let media_type = media_type.map_or("binary/octet-stream", String::as_str);
                let wanted = header(&self.head.headers, "if-match");
                if wanted.is_some_and(|wanted| wanted != object.etag()) {
                    let message = "At least one of the pre-conditions you specified did not hold";
                    return Err(Failure::new(412, "PreconditionFailed", message));
                }
                let response = match header(&self.head.headers, "range") {
                    None => with_body(StatusCode::OK, media_type, object.bytes.clone()),
                    Some(range) => object.range(&range, media_type)?,
                };
                let response = set(response, "etag", &object.etag());
                let modified = format!("Mon, 01 Jan 2024 {} GMT", object.time());
                Ok(set(response, "last-modified", &modified))
            }
            _ => Err(Failure::new(
                405,
                "MethodNotAllowed",
                "The lab cannot do this with an object",
            )),
        }
    }

    fn put(&self, bucket: &mut Bucket, body: &Bytes) -> Result<Response<Body>, Failure> {
        let only_if_new = header(&self.head.headers, "if-none-match").as_deref() == Some("*");
        if only_if_new && bucket.objects.contains_key(&self.key) {
            let message = "At least one of the pre-conditions you specified did not hold";
            return Err(Failure::new(412, "PreconditionFailed", message));
        }
        if let Some(wanted) = header(&self.head.headers, "if-match") {
            let Some(object) = bucket.objects.get(&self.key) else {
                let message = "The specified key does not exist.";
                return Err(Failure::new(404, "NoSuchKey", message));
            };
            if object.etag() != wanted {
                let message = "At least one of the pre-conditions you specified did not hold";
                return Err(Failure::new(412, "PreconditionFailed", message));
            }
        }
        let bytes = payload(&self.head.headers, body)?;
        let headers = self.head.headers.iter().filter_map(|(name, value)| {
            let name = name.as_str();
            let kept = name.starts_with("x-amz-") || name.starts_with("content-");
            kept.then(|| Some((name.to_owned(), value.to_str().ok()?.to_owned())))?
        });
        let object = Object {
            bytes,
            headers: headers.collect(),
            modified: 0,
        };
        let response = set(bare(StatusCode::OK), "etag", &object.etag());
        bucket.insert(&self.key, object);
        Ok(response)
    }

    /// `ListObjectsV2`; without delimiters.
    pub(super) fn list(&self, bucket: &Bucket) -> Response<Body> {
        let query = |key| pair(self.query, key).unwrap_or_default();
        let (prefix, after) = (
            query("prefix"),
            query("continuation-token").max(query("start-after")),
        );
        // A page has a thousand keys at most, whatever is asked for.
        let most = query("max-keys").parse().unwrap_or(1000).min(1000);
        let found = bucket
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix) && **key > after);
        let found: Vec<(&String, &Object)> = found.collect();
        let page = &found[..most.min(found.len())];
        let contents = page.iter().map(|(key, object)| {
            format!(
                "<Contents><Key>{}</Key><LastModified>2024-01-01T{}.000Z</LastModified><ETag>{}</ETag>\
                 <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                xml_escape(key),
                object.time(),
                xml_escape(&object.etag()),
                object.bytes.len()
            )
        });
        let contents: Vec<String> = contents.collect();
        let truncated = most > 0 && page.len() < found.len();
        let next = page
            .last()
            .filter(|_| truncated)
            .map_or(String::new(), |(key, _)| {
                format!(
                    "<NextContinuationToken>{}</NextContinuationToken>",
                    xml_escape(key)
                )
            });
        let xml = format!(
            "<ListBucketResult><Name>{}</Name><Prefix>{}</Prefix><KeyCount>{}</KeyCount><MaxKeys>{most}</MaxKeys>\
             <IsTruncated>{truncated}</IsTruncated>{next}{}</ListBucketResult>",
            self.bucket,
            xml_escape(&prefix),
            page.len(),
            contents.concat(),
        );
        xml_answer(StatusCode::OK, &xml)
    }
}
