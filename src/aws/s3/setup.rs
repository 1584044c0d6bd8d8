//! The bucket's settings: it is created and closed to all but encrypted connections of the account.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration,
    PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging,
    VersioningConfiguration,
};

use super::{Bucket, Error, policy};

/// The one region whose buckets are created without naming it (S3's `CreateBucket`).
const NAMELESS_REGION: &str = "us-east-1";

/// What a bucket must be like.
pub struct BucketSettings<'a> {
    /// Such as `aws-cn`.
    pub partition: &'a str,
    /// The tags of a bucket that this program creates.
    pub tags: Vec<(&'a str, &'a str)>,
    /// Whether the bucket keeps old versions of objects; `None` leaves it as it is.
    pub versioning: Option<bool>,
}

impl Bucket {
    /// Whether the bucket exists and is the account's; `None` where S3 refuses the question without a reason. The
    /// response to HEAD has no body with one; that of the next call does.
    ///
    /// # Errors
    /// When it belongs to another account, this role may not use it, or it is in another region.
    pub async fn exists(&self) -> Result<Option<bool>, Error> {
        const ACTION: &str = "s3:HeadBucket";
        let request = self.client.head_bucket().bucket(&self.name);
        let request = request.expected_bucket_owner(&self.account);
        let send = || request.clone().send();
        let refused = |what, status| Err(Error::refused(ACTION, &self.name, what, status));
        match self.calls.send(ACTION, &self.name, send).await {
            Ok(_) => Ok(Some(true)),
            Err(error) => match error.status() {
                Some(404) => Ok(Some(false)),
                Some(403) => refused(
                    "the bucket exists, but another account owns it or this role may not use it",
                    403,
                ),
                Some(301) => refused("the bucket exists, but in another region", 400),
                _ if error.is_refusal() => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Makes sure that the bucket exists, is the account's, is encrypted, and is closed to the public and to
    /// unencrypted connections. Settings of others are kept.
    ///
    /// # Errors
    /// When it belongs to another account, this role may not use it, or S3 refuses a setting.
    pub async fn ensure(&self, settings: &BucketSettings<'_>) -> Result<(), Error> {
        let is_new = match self.exists().await? {
            Some(false) => {
                self.create().await?;
                true
            }
            Some(true) | None => false,
        };
        let policy = self.policy().await?;
        // A bucket without a policy and tags was left by an interrupted run, or is the Python module's.
        if is_new || policy.is_none() && self.tags().await?.is_empty() {
            self.tag(&settings.tags).await?;
        }
        let arn = format!("arn:{}:s3:::{}", settings.partition, self.name);
        for hardened in [
            self.block_public_access().await,
            self.encrypt().await,
            self.deny_unencrypted(policy.as_deref(), &arn).await,
        ] {
            match hardened {
                // The role may not be allowed to change a bucket that others own; its content is not secret.
                Err(error) if !is_new && error.is_refusal() => tracing::warn!(
                    "the bucket {} is not hardened and stays as it is: {error}",
                    self.name
                ),
                hardened => hardened?,
            }
        }
        match settings.versioning {
            Some(wanted) => self.set_versioning(wanted).await,
            None => Ok(()),
        }
    }

    async fn deny_unencrypted(&self, policy: Option<&str>, arn: &str) -> Result<(), Error> {
        match policy::with_tls_only(policy, arn) {
            Ok(None) => Ok(()),
            Ok(Some(policy)) => self.put_policy(&policy).await,
            Err(what) => {
                tracing::warn!(
                    "the policy of the bucket {} stays as it is and may allow unencrypted connections: {what}",
                    self.name
                );
                Ok(())
            }
        }
    }

    async fn create(&self) -> Result<(), Error> {
        let location = (self.region != NAMELESS_REGION).then(|| {
            let region = BucketLocationConstraint::from(self.region.as_str());
            CreateBucketConfiguration::builder()
                .location_constraint(region)
                .build()
        });
        let request = self.client.create_bucket().bucket(&self.name);
        let request = request.set_create_bucket_configuration(location);
        let send = || request.clone().send();
        match self.calls.send("s3:CreateBucket", &self.name, send).await {
            // A build of the same project created it at the same time.
            Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(()),
            created => created.map(drop),
        }
    }

    async fn policy(&self) -> Result<Option<String>, Error> {
        let request = self.client.get_bucket_policy().bucket(&self.name);
        let request = request.expected_bucket_owner(&self.account);
        let send = || request.clone().send();
        let policy = self.calls.send("s3:GetBucketPolicy", &self.name, send);
        match policy.await {
            Err(error) if is_unset(&error) => Ok(None),
            answer => Ok(answer?.policy().map(str::to_owned)),
        }
    }

    async fn put_policy(&self, policy: &str) -> Result<(), Error> {
        let request = self.client.put_bucket_policy().bucket(&self.name);
        let request = request.expected_bucket_owner(&self.account).policy(policy);
        let send = || request.clone().send();
        let put = self.calls.send("s3:PutBucketPolicy", &self.name, send);
        put.await.map(drop)
    }

    async fn block_public_access(&self) -> Result<(), Error> {
        let request = self.client.get_public_access_block().bucket(&self.name);
        let request = request.expected_bucket_owner(&self.account);
        let send = || request.clone().send();
        let action = "s3:GetBucketPublicAccessBlock";
        let is_blocked = match self.calls.send(action, &self.name, send).await {
            Err(error) if is_unset(&error) => false,
            answer => {
                let block = answer?.public_access_block_configuration;
                block.is_some_and(|block| {
                    [
                        block.block_public_acls,
                        block.ignore_public_acls,
                        block.block_public_policy,
                        block.restrict_public_buckets,
                    ]
                    .iter()
                    .all(|is_set| *is_set == Some(true))
                })
            }
        };
        if is_blocked {
            return Ok(());
        }
        let block = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        let request = self.client.put_public_access_block().bucket(&self.name);
        let request = request
            .expected_bucket_owner(&self.account)
            .public_access_block_configuration(block);
        let send = || request.clone().send();
        let action = "s3:PutBucketPublicAccessBlock";
        self.calls.send(action, &self.name, send).await.map(drop)
    }

    /// Encrypts new objects, unless the bucket does so already, with any key.
    async fn encrypt(&self) -> Result<(), Error> {
        let request = self.client.get_bucket_encryption().bucket(&self.name);
        let request = request.expected_bucket_owner(&self.account);
        let send = || request.clone().send();
        let action = "s3:GetEncryptionConfiguration";
        match self.calls.send(action, &self.name, send).await {
            Err(error) if is_unset(&error) => {}
            answer => return answer.map(drop),
        }
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
        let request = self.client.put_bucket_encryption().bucket(&self.name);
        let request = request
            .expected_bucket_owner(&self.account)
            .server_side_encryption_configuration(encryption);
        let send = || request.clone().send();
        let action = "s3:PutEncryptionConfiguration";
        self.calls.send(action, &self.name, send).await.map(drop)
    }

    async fn set_versioning(&self, wanted: bool) -> Result<(), Error> {
        let request = self.client.get_bucket_versioning().bucket(&self.name);
        let request = request.expected_bucket_owner(&self.account);
        let send = || request.clone().send();
        let versioning = self.calls.send("s3:GetBucketVersioning", &self.name, send);
        let is_on = versioning.await?.status == Some(BucketVersioningStatus::Enabled);
        if is_on == wanted {
            return Ok(());
        }
        let status = if wanted {
            BucketVersioningStatus::Enabled
        } else {
            BucketVersioningStatus::Suspended
        };
        let versioning = VersioningConfiguration::builder().status(status).build();
        let request = self.client.put_bucket_versioning().bucket(&self.name);
        let request = request
            .expected_bucket_owner(&self.account)
            .versioning_configuration(versioning);
        let send = || request.clone().send();
        let action = "s3:PutBucketVersioning";
        self.calls.send(action, &self.name, send).await.map(drop)
    }

    async fn tags(&self) -> Result<BTreeMap<String, String>, Error> {
        let request = self.client.get_bucket_tagging().bucket(&self.name);
        let request = request.expected_bucket_owner(&self.account);
        let send = || request.clone().send();
        let tagging = self.calls.send("s3:GetBucketTagging", &self.name, send);
        let tagging = match tagging.await {
            Err(error) if error.status() == Some(404) => return Ok(BTreeMap::new()),
            tagging => tagging?,
        };
        let tags = tagging.tag_set().iter();
        let tags = tags.map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
        Ok(tags.collect())
    }

    async fn tag(&self, tags: &[(&str, &str)]) -> Result<(), Error> {
        let tags = tags.iter().map(|(key, value)| {
            let tag = Tag::builder().key(*key).value(*value).build();
            tag.expect("key and value are set")
        });
        let tags: Vec<Tag> = tags.collect();
        if tags.is_empty() {
            return Ok(());
        }
        let tagging = Tagging::builder().set_tag_set(Some(tags)).build();
        let request = self.client.put_bucket_tagging().bucket(&self.name);
        let request = request
            .expected_bucket_owner(&self.account)
            .tagging(tagging.expect("there are tags"));
        let send = || request.clone().send();
        let put = self.calls.send("s3:PutBucketTagging", &self.name, send);
        put.await.map(drop)
    }

    /// Deletes the bucket if it is empty and its tags say that this program created it for a project; returns
    /// whether it did.
    ///
    /// # Errors
    /// When S3 refuses.
    pub async fn delete_if_ours_and_empty(&self, project: &str) -> Result<bool, Error> {
        if !crate::ownership::is_owned(&self.tags().await?, project) {
            return Ok(false);
        }
        let request = self.client.list_objects_v2().bucket(&self.name).max_keys(1);
        let request = request.expected_bucket_owner(&self.account);
        let send = || request.clone().send();
        let objects = match self.calls.send("s3:ListBucket", &self.name, send).await {
            Err(error) if error.code() == Some("NoSuchBucket") => return Ok(false),
            objects => objects?,
        };
        if !objects.contents().is_empty() {
            return Ok(false);
        }
        let request = self.client.delete_bucket().bucket(&self.name);
        let request = request.expected_bucket_owner(&self.account);
        let send = || request.clone().send();
        match self.calls.send("s3:DeleteBucket", &self.name, send).await {
            // Another deployment published meanwhile, or the bucket keeps old versions.
            Err(error) if error.code() == Some("BucketNotEmpty") => Ok(false),
            Err(error) if error.code() == Some("NoSuchBucket") => Ok(false),
            deleted => deleted.map(|_| true),
        }
    }
}

/// Whether a setting of the bucket does not exist. S3 has a different code for each setting, and emulators others.
fn is_unset(error: &Error) -> bool {
    error.status() == Some(404) && error.code() != Some("NoSuchBucket")
}
