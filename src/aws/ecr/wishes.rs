//! How repositories of a private registry are wished to be.

use aws_sdk_ecr::types::{ImageScanningConfiguration, Tag};

use crate::settings::{self, BlobMounting};

use super::repositories::{mutability, tag};
use super::{Ecr, Error};

/// The account's setting that lets repositories give each other blobs
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html>).
const SETTING: &str = "BLOB_MOUNTING";

impl Ecr {
    /// Whether the parameters say anything about how repositories are to be.
    #[must_use]
    pub fn has_wishes(&self) -> bool {
        let wanted = self.aws.repositories();
        let wanted = settings::Repositories {
            blob_mounting: BlobMounting::Leave,
            ..wanted.clone()
        };
        wanted != settings::Repositories::default()
    }

    /// Brings an existing repository into line with the parameters; one that does not exist is left
    /// alone. What ECR cannot change is returned as a warning.
    ///
    /// # Errors
    /// When ECR refuses a change.
    pub async fn align(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(found) = self.repositories().await?.get(name) else {
            return Ok(None);
        };
        let wanted = self.aws.repositories();
        let (client, account) = (self.client().await, &self.host.account);
        if let Some(immutable) = wanted
            .immutable
            .filter(|immutable| *immutable != found.immutable)
        {
            let request = client
                .put_image_tag_mutability()
                .registry_id(account)
                .repository_name(name);
            let answer = request
                .image_tag_mutability(mutability(immutable))
                .send()
                .await;
            answer.map_err(|error| Error::new("ecr:PutImageTagMutability", name, &error))?;
        }
        if let Some(scan) = wanted
            .scan_on_push
            .filter(|scan| *scan != found.scan_on_push)
        {
            let scanning = ImageScanningConfiguration::builder()
                .scan_on_push(scan)
                .build();
            let request = client
                .put_image_scanning_configuration()
                .registry_id(account)
                .repository_name(name);
            let answer = request.image_scanning_configuration(scanning).send().await;
            answer
                .map_err(|error| Error::new("ecr:PutImageScanningConfiguration", name, &error))?;
        }
        if !wanted.tags.is_empty() {
            let present = self.tags(name).await?;
            let missing = wanted
                .tags
                .iter()
                .filter(|(key, value)| present.get(*key) != Some(value));
            let missing: Vec<Tag> = missing.map(|(key, value)| tag(key, value)).collect();
            if !missing.is_empty() {
                let request = client
                    .tag_resource()
                    .resource_arn(&found.arn)
                    .set_tags(Some(missing));
                request
                    .send()
                    .await
                    .map_err(|error| Error::new("ecr:TagResource", name, &error))?;
            }
        }
        self.align_policies(name).await?;
        let differs = wanted
            .kms_key
            .as_ref()
            .filter(|key| Some(*key) != found.kms_key.as_ref());
        Ok(differs.map(|key| {
            let has = found.kms_key.as_deref().unwrap_or("ECR's own key");
            format!(
                "the repository {name} is encrypted with {has} and not with {key}: ECR sets this on creation only; \
                 delete the repository to have it made anew"
            )
        }))
    }

    /// Lifecycle and repository policy, where they are given and differ.
    pub(super) async fn align_policies(&self, name: &str) -> Result<(), Error> {
        let wanted = self.aws.repositories();
        let (client, account) = (self.client().await, &self.host.account);
        if let Some(wanted) = &wanted.lifecycle_policy {
            let present = match client
                .get_lifecycle_policy()
                .registry_id(account)
                .repository_name(name)
                .send()
                .await
            {
                Ok(answer) => answer.lifecycle_policy_text().map(str::to_owned),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(aws_sdk_ecr::operation::get_lifecycle_policy::GetLifecyclePolicyError::is_lifecycle_policy_not_found_exception) =>
                {
                    None
                }
                Err(error) => return Err(Error::new("ecr:GetLifecyclePolicy", name, &error)),
            };
            if !present.is_some_and(|present| same_json(&present, wanted)) {
                let request = client
                    .put_lifecycle_policy()
                    .registry_id(account)
                    .repository_name(name);
                let answer = request.lifecycle_policy_text(wanted).send().await;
                answer.map_err(|error| Error::new("ecr:PutLifecyclePolicy", name, &error))?;
            }
        }
        if let Some(wanted) = &wanted.policy {
            let present = match client
                .get_repository_policy()
                .registry_id(account)
                .repository_name(name)
                .send()
                .await
            {
                Ok(answer) => answer.policy_text().map(str::to_owned),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(aws_sdk_ecr::operation::get_repository_policy::GetRepositoryPolicyError::is_repository_policy_not_found_exception) =>
                {
                    None
                }
                Err(error) => return Err(Error::new("ecr:GetRepositoryPolicy", name, &error)),
            };
            if !present.is_some_and(|present| same_json(&present, wanted)) {
                let request = client
                    .set_repository_policy()
                    .registry_id(account)
                    .repository_name(name);
                let answer = request.policy_text(wanted).send().await;
                answer.map_err(|error| Error::new("ecr:SetRepositoryPolicy", name, &error))?;
            }
        }
        Ok(())
    }

    /// Does what `BlobMounting` says about the account's setting.
    ///
    /// # Errors
    /// When the setting is required and off, or cannot be read or changed.
    pub async fn settle_blob_mounting(&self) -> Result<(), Error> {
        let wanted = self.aws.repositories().blob_mounting;
        if wanted == BlobMounting::Leave {
            return Ok(());
        }
        let is_on = self.mounting_setting().await?;
        match wanted {
            _ if is_on => Ok(()),
            BlobMounting::Leave => Ok(()),
            BlobMounting::Require => {
                let what = "it is not ENABLED, and the parameter BlobMounting requires it: \
                            aws ecr put-account-setting --name BLOB_MOUNTING --value ENABLED, or BlobMounting: enable";
                Err(Error::answer("ecr:GetAccountSetting", SETTING, what))
            }
            BlobMounting::Enable => {
                let client = self.client().await;
                let answer = client
                    .put_account_setting()
                    .name(SETTING)
                    .value("ENABLED")
                    .send()
                    .await;
                answer.map_err(|error| Error::new("ecr:PutAccountSetting", SETTING, &error))?;
                self.mounts.set(true).ok();
                Ok(())
            }
        }
    }

    async fn mounting_setting(&self) -> Result<bool, Error> {
        let request = self.client().await.get_account_setting().name(SETTING);
        let answer = request.send().await;
        let answer =
            answer.map_err(|error| Error::new("ecr:GetAccountSetting", SETTING, &error))?;
        Ok(answer
            .value()
            .is_some_and(|value| value.eq_ignore_ascii_case("ENABLED")))
    }

    /// Whether repositories give each other blobs. Who may not ask takes it that they do not: every
    /// blob is uploaded to each repository then, which always works.
    pub async fn mounts_blobs(&self) -> bool {
        let ask = || async {
            self.mounting_setting().await.unwrap_or_else(|error| {
                tracing::debug!(error = %error, "taking it that blobs cannot be mounted: {error}");
                false
            })
        };
        *self.mounts.get_or_init(ask).await
    }
}

/// Whether two JSON texts say the same; AWS gives policies back in its own writing.
fn same_json(a: &str, b: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    parse(a).is_some() && parse(a) == parse(b)
}
