//! The objects of the module's bucket.

mod policy;
mod ranges;
mod setup;
mod upload;

use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Config;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;

use super::Error;
use super::call::Calls;

pub use ranges::ObjectReader;
pub use setup::BucketSettings;
pub use upload::{MOST_PARTS, ObjectUpload, UploadedPart};

/// The largest object that is read, in bytes. A result document that the EKS module can use has 131 kB.
const LARGEST: usize = 16 * 1024 * 1024;

/// A text object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextObject {
    /// Its content.
    pub text: String,
    /// Its entity tag, which changes with the content.
    pub etag: Option<String>,
    /// When it was last written.
    pub modified: Option<SystemTime>,
}

/// What must be true of an object for it to be written.
#[derive(Debug, Clone, Copy)]
pub enum Only<'a> {
    /// It does not exist.
    New,
    /// It still has this entity tag.
    Unchanged(&'a str),
}

/// A bucket. Each call names the account that must own it.
pub struct Bucket {
    client: Client,
    calls: Arc<Calls>,
    name: String,
    region: String,
    account: String,
}

impl Bucket {
    pub(super) fn new(
        client: Client,
        calls: Arc<Calls>,
        name: &str,
        region: &str,
        account: &str,
    ) -> Self {
        Self {
            client,
            calls,
            name: name.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
        }
    }

    /// An object's URL, `s3://BUCKET/KEY`.
    #[must_use]
    pub fn show(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// An object's name in errors.
    fn resource(&self, key: &str) -> String {
        format!("{}/{key}", self.name)
    }

    /// Writes a JSON object; readers see the old one or the new one, never a part.
    ///
    /// # Errors
    /// When S3 refuses it, or the call fails.
    pub async fn put_json(&self, key: &str, text: &str) -> Result<(), Error> {
        self.put_text(key, text, "application/json").await
    }

    /// Writes an HTML page.
    ///
    /// # Errors
    /// When S3 refuses it, or the call fails.
    pub async fn put_page(&self, key: &str, text: &str) -> Result<(), Error> {
        self.put_text(key, text, "text/html; charset=utf-8").await
    }

    async fn put_text(&self, key: &str, text: &str, kind: &str) -> Result<(), Error> {
        let put = || {
            let request = self.put(key).content_type(kind);
            let body = ByteStream::from(text.as_bytes().to_vec());
            request.body(body).send()
        };
        let resource = self.resource(key);
        let put = self.calls.send("s3:PutObject", &resource, put);
        put.await.map(drop)
    }

    /// Writes an object unless it exists already; returns whether it did. Of several concurrent writers one succeeds
    /// (S3's conditional writes).
    ///
    /// # Errors
    /// When S3 refuses it, or the call fails.
    pub async fn put_new(&self, key: &str, text: &str) -> Result<bool, Error> {
        self.put_if(Only::New, key, text).await
    }

    /// Writes a JSON object if a condition holds; returns whether it did.
    ///
    /// # Errors
    /// When S3 refuses it, or the call fails.
    pub async fn put_if(&self, only: Only<'_>, key: &str, text: &str) -> Result<bool, Error> {
        let put = || {
            let request = self.put(key).content_type("application/json");
            let request = match only {
                Only::New => request.if_none_match("*"),
                Only::Unchanged(etag) => request.if_match(etag),
            };
            request
                .body(ByteStream::from(text.as_bytes().to_vec()))
                .send()
        };
        match self
            .calls
            .send("s3:PutObject", &self.resource(key), put)
            .await
        {
            Ok(_) => Ok(true),
            // It is not as expected, or another writer is writing it at this moment.
            Err(error)
                if matches!(
                    error.code(),
                    Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey")
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes an object of several megabytes.
    ///
    /// # Errors
    /// When S3 refuses it, or the call fails.
    pub async fn put_bytes(&self, key: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let bytes = bytes::Bytes::from(bytes);
        let timeouts = self.calls.timeouts(bytes.len() as u64);
        let put = || {
            let config = Config::builder().timeout_config(timeouts.clone());
            let request = self.put(key).body(ByteStream::from(bytes.clone()));
            request.customize().config_override(config).send()
        };
        let resource = self.resource(key);
        let put = self.calls.send("s3:PutObject", &resource, put);
        put.await.map(drop)
    }

    fn put(&self, key: &str) -> PutObjectFluentBuilder {
        let request = self.client.put_object().bucket(&self.name).key(key);
        request.expected_bucket_owner(&self.account)
    }

    /// Reads a text object; `None` when there is no such object or no such bucket.
    ///
    /// # Errors
    /// When the call fails, or the object is not a text of at most 16 MiB.
    pub async fn get_text(&self, key: &str) -> Result<Option<String>, Error> {
        let object = self.get(key).await?;
        Ok(object.map(|object| object.text))
    }

    /// The same with the object's properties.
    ///
    /// # Errors
    /// When the call fails, or the object is not a text of at most 16 MiB.
    pub async fn get(&self, key: &str) -> Result<Option<TextObject>, Error> {
        const ACTION: &str = "s3:GetObject";
        let resource = self.resource(key);
        let request = self.client.get_object().bucket(&self.name).key(key);
        let request = request.expected_bucket_owner(&self.account);
        let get = || async {
            let object = request.clone().send().await;
            let mut object = object.map_err(|error| Error::new(ACTION, &resource, &error))?;
            let (etag, modified) = (object.e_tag.take(), object.last_modified.take());
            let mut bytes = Vec::new();
            loop {
                let piece =
                    tokio::time::timeout(self.calls.read_timeout(), object.body.next()).await;
                let piece = match piece {
                    Ok(Some(piece)) => piece.map_err(|error| error.to_string()),
                    Ok(None) => return Ok((bytes, etag, modified)),
                    Err(_) => Err("the content stopped coming".to_owned()),
                };
                let piece = piece.map_err(|what| Error::broken(ACTION, &resource, what))?;
                if bytes.len() + piece.len() > LARGEST {
                    let what = format!("the object has more than {LARGEST} bytes");
                    return Err(Error::incomplete(ACTION, &resource, what));
                }
                bytes.extend_from_slice(&piece);
            }
        };
        let limit = self.calls.read_timeout() * 10;
        let get = || async {
            let got = tokio::time::timeout(limit, get()).await;
            got.unwrap_or_else(|_| {
                let what = format!("it was not read within {} s", limit.as_secs());
                Err(Error::broken(ACTION, &resource, what))
            })
        };
        let (bytes, etag, modified) = match self.calls.run(ACTION, get).await {
            Err(error) if is_absent(&error) => return Ok(None),
            got => got?,
        };
        let text = String::from_utf8(bytes);
        let text =
            text.map_err(|_| Error::incomplete(ACTION, &resource, "the object is not text"))?;
        Ok(Some(TextObject {
            text,
            etag,
            modified: modified.and_then(|time| SystemTime::try_from(time).ok()),
        }))
    }

    /// The keys that begin with a prefix, each with the time of its last change; empty if there is no bucket.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn list(&self, prefix: &str) -> Result<Vec<(String, SystemTime)>, Error> {
        self.list_below(prefix, None).await
    }

    /// The keys without a slash: the results of deployments, and objects of others.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn list_top(&self) -> Result<Vec<String>, Error> {
        let keys = self.list_below("", Some("/")).await?;
        Ok(keys.into_iter().map(|(key, _)| key).collect())
    }

    async fn list_below(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
    ) -> Result<Vec<(String, SystemTime)>, Error> {
        let request = self.client.list_objects_v2().bucket(&self.name);
        let request = request
            .prefix(prefix)
            .set_delimiter(delimiter.map(str::to_owned))
            .expected_bucket_owner(&self.account);
        let (mut keys, mut next) = (Vec::new(), None);
        loop {
            let list = || request.clone().set_continuation_token(next.clone()).send();
            let page = match self.calls.send("s3:ListBucket", &self.name, list).await {
                Err(error) if error.status() == Some(404) => return Ok(keys),
                page => page?,
            };
            keys.extend(page.contents().iter().filter_map(|object| {
                let key = object.key()?.to_owned();
                let is_below = delimiter.is_none_or(|delimiter| !key.contains(delimiter));
                let changed = object.last_modified().copied();
                let changed = changed.and_then(|time| SystemTime::try_from(time).ok());
                is_below.then_some((key, changed.unwrap_or(SystemTime::UNIX_EPOCH)))
            }));
            match page.next_continuation_token() {
                // The same page would be returned for ever.
                Some(token) if next.as_deref() != Some(token) => next = Some(token.to_owned()),
                _ => return Ok(keys),
            }
        }
    }

    /// Deletes an object; it is not an error if it does not exist.
    ///
    /// # Errors
    /// When S3 refuses.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let request = self.client.delete_object().bucket(&self.name).key(key);
        let request = request.expected_bucket_owner(&self.account);
        let send = || request.clone().send();
        match self
            .calls
            .send("s3:DeleteObject", &self.resource(key), send)
            .await
        {
            Err(error) if is_absent(&error) => Ok(()),
            deleted => deleted.map(drop),
        }
    }
}

fn is_absent(error: &Error) -> bool {
    matches!(error.code(), Some("NoSuchKey" | "NoSuchBucket"))
}
