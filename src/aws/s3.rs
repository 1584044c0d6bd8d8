//! The bucket for the result document.

use std::time::SystemTime;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, PublicAccessBlockConfiguration,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, Tag, Tagging,
};

use super::Error;

/// The one region whose buckets are created without naming it (S3's `CreateBucket`).
const NAMELESS_REGION: &str = "us-east-1";

/// A bucket.
pub struct Bucket {
    client: Client,
    name: String,
    region: String,
    account: String,
}

impl Bucket {
    pub(super) fn new(client: Client, name: &str, region: &str, account: &str) -> Self {
        Self {
            client,
            name: name.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
        }
    }

    /// An object's name as a person writes it.
    #[must_use]
    pub fn show(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Makes sure that the bucket exists and is ours. A new one is encrypted, closed to the public and
    /// to unencrypted connections, and tagged.
    ///
    /// # Errors
    /// When it belongs to somebody else, or cannot be made.
    pub async fn ensure<'t>(
        &self,
        partition: &str,
        tags: impl Iterator<Item = (&'t str, &'t str)>,
    ) -> Result<(), Error> {
        let head = self
            .client
            .head_bucket()
            .bucket(&self.name)
            .expected_bucket_owner(&self.account);
        match head.send().await {
            // Without a policy it was left half made by an interrupted run, or is the predecessor's.
            Ok(_) if self.has_policy().await? => return Ok(()),
            Ok(_) => {}
            Err(error)
                if error.as_service_error().is_some_and(
                    aws_sdk_s3::operation::head_bucket::HeadBucketError::is_not_found,
                ) =>
            {
                self.create().await?;
            }
            Err(error) => {
                let status = error
                    .raw_response()
                    .map(|response| response.status().as_u16());
                if status == Some(403) {
                    let what = "the bucket exists, but it is not this account's or this role may not use it";
                    return Err(Error::answer("s3:HeadBucket", &self.name, what));
                }
                return Err(Error::new("s3:HeadBucket", &self.name, &error));
            }
        }
        self.close(partition).await?;
        self.tag(tags).await
    }

    async fn has_policy(&self) -> Result<bool, Error> {
        match self
            .client
            .get_bucket_policy()
            .bucket(&self.name)
            .send()
            .await
        {
            Ok(_) => Ok(true),
            Err(error) => match Error::new("s3:GetBucketPolicy", &self.name, &error) {
                error if error.code() == Some("NoSuchBucketPolicy") => Ok(false),
                error => Err(error),
            },
        }
    }

    async fn create(&self) -> Result<(), Error> {
        let location = (self.region != NAMELESS_REGION).then(|| {
            let region = BucketLocationConstraint::from(self.region.as_str());
            CreateBucketConfiguration::builder()
                .location_constraint(region)
                .build()
        });
        let request = self
            .client
            .create_bucket()
            .bucket(&self.name)
            .set_create_bucket_configuration(location);
        match request.send().await {
            Ok(_) => Ok(()),
            // A build of the same module at the same time was faster.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_s3::operation::create_bucket::CreateBucketError::is_bucket_already_owned_by_you) =>
            {
                Ok(())
            }
            Err(error) => Err(Error::new("s3:CreateBucket", &self.name, &error)),
        }
    }

    async fn close(&self, partition: &str) -> Result<(), Error> {
        let block = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        let request = self
            .client
            .put_public_access_block()
            .bucket(&self.name)
            .public_access_block_configuration(block);
        request
            .send()
            .await
            .map_err(|error| Error::new("s3:PutBucketPublicAccessBlock", &self.name, &error))?;

        let by_default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::Aes256)
            .build()
            .expect("the algorithm is set");
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(by_default)
            .build();
        let encryption = ServerSideEncryptionConfiguration::builder()
            .rules(rule)
            .build()
            .expect("there is a rule");
        let request = self
            .client
            .put_bucket_encryption()
            .bucket(&self.name)
            .server_side_encryption_configuration(encryption);
        request
            .send()
            .await
            .map_err(|error| Error::new("s3:PutEncryptionConfiguration", &self.name, &error))?;

        let arn = format!("arn:{partition}:s3:::{}", self.name);
        let policy = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "DenyUnencryptedConnections",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, format!("{arn}/*")],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }],
        });
        let request = self
            .client
            .put_bucket_policy()
            .bucket(&self.name)
            .policy(policy.to_string());
        request
            .send()
            .await
            .map_err(|error| Error::new("s3:PutBucketPolicy", &self.name, &error))?;
        Ok(())
    }

    async fn tag<'t>(&self, tags: impl Iterator<Item = (&'t str, &'t str)>) -> Result<(), Error> {
        let set: Vec<Tag> = tags
            .map(|(key, value)| {
                Tag::builder()
                    .key(key)
                    .value(value)
                    .build()
                    .expect("key and value are set")
            })
            .collect();
        if set.is_empty() {
            return Ok(());
        }
        let tagging = Tagging::builder()
            .set_tag_set(Some(set))
            .build()
            .expect("there are tags");
        let request = self
            .client
            .put_bucket_tagging()
            .bucket(&self.name)
            .tagging(tagging);
        request
            .send()
            .await
            .map_err(|error| Error::new("s3:PutBucketTagging", &self.name, &error))?;
        Ok(())
    }

    /// Writes a JSON object; S3 shows the old one or the new one, whole.
    ///
    /// # Errors
    /// When S3 does not take it.
    pub async fn put_json(&self, key: &str, text: &str) -> Result<(), Error> {
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .expected_bucket_owner(&self.account)
            .content_type("application/json")
            .body(ByteStream::from(text.as_bytes().to_vec()));
        let resource = format!("{}/{key}", self.name);
        request
            .send()
            .await
            .map_err(|error| Error::new("s3:PutObject", &resource, &error))
            .map(drop)
    }

    /// Reads a text object; `None` when there is no such object or no such bucket.
    ///
    /// # Errors
    /// When S3 does not give it.
    pub async fn get_text(&self, key: &str) -> Result<Option<String>, Error> {
        const ACTION: &str = "s3:GetObject";
        let resource = format!("{}/{key}", self.name);
        let request = self
            .client
            .get_object()
            .bucket(&self.name)
            .key(key)
            .expected_bucket_owner(&self.account);
        let object = match request.send().await {
            Ok(object) => object,
            Err(error) => {
                let error = Error::new(ACTION, &resource, &error);
                return if matches!(error.code(), Some("NoSuchKey" | "NoSuchBucket")) {
                    Ok(None)
                } else {
                    Err(error)
                };
            }
        };
        let bytes = object.body.collect().await;
        let bytes = bytes.map_err(|error| Error::answer(ACTION, &resource, error.to_string()))?;
        let text = String::from_utf8(bytes.to_vec());
        text.map(Some)
            .map_err(|_| Error::answer(ACTION, &resource, "the object is not text"))
    }

    /// Writes an object unless there is one of that name; says whether it did. Of several who try at once,
    /// one does (S3's conditional writes).
    ///
    /// # Errors
    /// When S3 does not take it.
    pub async fn put_new(&self, key: &str, text: &str) -> Result<bool, Error> {
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .expected_bucket_owner(&self.account)
            .content_type("application/json")
            .if_none_match("*")
            .body(ByteStream::from(text.as_bytes().to_vec()));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => match Error::new("s3:PutObject", &format!("{}/{key}", self.name), &error)
            {
                error if error.code() == Some("PreconditionFailed") => Ok(false),
                // Somebody else is writing it in this moment.
                error if error.code() == Some("ConditionalRequestConflict") => Ok(false),
                error => Err(error),
            },
        }
    }

    /// Writes an object of some megabytes.
    ///
    /// # Errors
    /// When S3 does not take it.
    pub async fn put_bytes(&self, key: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .expected_bucket_owner(&self.account)
            .body(ByteStream::from(bytes));
        let resource = format!("{}/{key}", self.name);
        let answer = request.send().await;
        answer
            .map(drop)
            .map_err(|error| Error::new("s3:PutObject", &resource, &error))
    }

    /// The keys that begin with a prefix, each with the time of its last change; none where there is no
    /// bucket.
    ///
    /// # Errors
    /// When S3 does not list them.
    pub async fn list(&self, prefix: &str) -> Result<Vec<(String, SystemTime)>, Error> {
        const ACTION: &str = "s3:ListBucket";
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(prefix)
            .expected_bucket_owner(&self.account);
        let mut pages = request.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) => match Error::new(ACTION, &self.name, &error) {
                    error if error.code() == Some("NoSuchBucket") => return Ok(keys),
                    error => return Err(error),
                },
            };
            keys.extend(page.contents().iter().filter_map(|object| {
                let changed = object.last_modified().copied();
                let changed = changed.and_then(|time| SystemTime::try_from(time).ok());
                Some((
                    object.key()?.to_owned(),
                    changed.unwrap_or(SystemTime::UNIX_EPOCH),
                ))
            }));
        }
        Ok(keys)
    }

    /// Deletes an object; one that is gone already is fine.
    ///
    /// # Errors
    /// When S3 refuses.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let resource = format!("{}/{key}", self.name);
        let request = self
            .client
            .delete_object()
            .bucket(&self.name)
            .key(key)
            .expected_bucket_owner(&self.account);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => match Error::new("s3:DeleteObject", &resource, &error) {
                error if matches!(error.code(), Some("NoSuchKey" | "NoSuchBucket")) => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Deletes the bucket when it is empty and its tags say that this program made it for a project;
    /// says whether it did.
    ///
    /// # Errors
    /// When S3 refuses.
    pub async fn delete_if_ours_and_empty(&self, project: &str) -> Result<bool, Error> {
        let gone = |error: &Error| matches!(error.code(), Some("NoSuchBucket" | "NoSuchTagSet"));
        let tagging = self
            .client
            .get_bucket_tagging()
            .bucket(&self.name)
            .send()
            .await;
        let tags: std::collections::BTreeMap<String, String> = match tagging {
            Ok(tagging) => tagging
                .tag_set()
                .iter()
                .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
                .collect(),
            Err(error) => {
                let error = Error::new("s3:GetBucketTagging", &self.name, &error);
                return if gone(&error) { Ok(false) } else { Err(error) };
            }
        };
        if !super::is_owned(&tags, project) {
            return Ok(false);
        }
        let objects = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            .max_keys(1)
            .send()
            .await;
        let objects = objects.map_err(|error| Error::new("s3:ListBucket", &self.name, &error))?;
        if !objects.contents().is_empty() {
            return Ok(false);
        }
        let deleted = self.client.delete_bucket().bucket(&self.name).send().await;
        deleted.map_err(|error| Error::new("s3:DeleteBucket", &self.name, &error))?;
        Ok(true)
    }
}
