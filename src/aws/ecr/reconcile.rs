//! Reconciles repositories of a private registry with the parameters.

use aws_sdk_ecr::types::{ImageScanningConfiguration, Tag};

use crate::settings::{self, BlobMounting};

use super::mutability::Mutability;
use super::repositories::{Tags, tag};
use super::{Ecr, Error, NO_REPOSITORY};

/// The account's setting that lets repositories mount each other's blobs
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html>).
const SETTING: &str = "BLOB_MOUNTING";

impl Ecr {
    /// Whether a parameter applies to existing repositories.
    #[must_use]
    pub fn has_settings(&self) -> bool {
        let wanted = self.aws.repositories();
        let wanted = settings::Repositories {
            blob_mounting: BlobMounting::Leave,
            adopt: false,
            bucket_versioning: None,
            ..wanted.clone()
        };
        wanted != settings::Repositories::default()
    }

    /// Whether some of the parameters can be validated only by AWS: keys, tags and policies.
    #[must_use]
    pub fn has_settings_to_judge(&self) -> bool {
        let wanted = self.aws.repositories();
        let has_policy = wanted.lifecycle_policy.is_some() || wanted.policy.is_some();
        has_policy || wanted.kms_key.is_some() || !wanted.tags.is_empty()
    }

    /// Reconciles an existing repository that has these tags; one that does not exist (any more) is skipped.
    /// Returns a warning for settings that ECR cannot change.
    ///
    /// # Errors
    /// When ECR refuses a change.
    pub async fn reconcile(&self, name: &str, tags: &Tags) -> Result<Option<String>, Error> {
        match self.reconcile_existing(name, tags).await {
            Err(error) if error.code() == Some(NO_REPOSITORY) => Ok(None),
            done => done,
        }
    }

    async fn reconcile_existing(&self, name: &str, tags: &Tags) -> Result<Option<String>, Error> {
        let Some(found) = self.repositories().await?.get(name) else {
            return Ok(None);
        };
        let wanted = self.aws.repositories();
        let (client, account) = (self.client().await, &self.host.account);
        let mutability = wanted.immutable.map(Mutability::all);
        if let Some(mutability) = mutability.filter(|wanted| *wanted != found.mutability) {
            let request = client.put_image_tag_mutability().registry_id(account);
            let request = request.repository_name(name);
            let request = request.image_tag_mutability(mutability.clone().into());
            let send = || request.clone().send();
            let calls = &self.aws.calls;
            calls.send("ecr:PutImageTagMutability", name, send).await?;
            let before = &found.mutability;
            tracing::info!(
                repository = name,
                "ImageTagMutability of {name}: {before} is now {mutability}"
            );
        }
        let scan = wanted.scan_on_push;
        if let Some(scan) = scan.filter(|scan| *scan != found.scan_on_push) {
            let scanning = ImageScanningConfiguration::builder();
            let scanning = scanning.scan_on_push(scan).build();
            let request = client.put_image_scanning_configuration();
            let request = request.registry_id(account).repository_name(name);
            let request = request.image_scanning_configuration(scanning);
            let send = || request.clone().send();
            let action = "ecr:PutImageScanningConfiguration";
            self.aws.calls.send(action, name, send).await?;
        }
        let missing = wanted.tags.iter();
        let missing = missing.filter(|(key, value)| tags.get(*key) != Some(value));
        let missing: Vec<Tag> = missing.map(|(key, value)| tag(key, value)).collect();
        if !missing.is_empty() {
            let request = client.tag_resource().resource_arn(&found.arn);
            let request = request.set_tags(Some(missing));
            let send = || request.clone().send();
            self.aws.calls.send("ecr:TagResource", name, send).await?;
        }
        self.reconcile_policies(name).await?;
        let differs = wanted.kms_key.as_ref();
        let differs = differs.filter(|key| Some(*key) != found.kms_key.as_ref());
        Ok(differs.map(|key| {
            let has = found.kms_key.as_deref().unwrap_or("ECR's own key");
            format!(
                "the repository {name} is encrypted with {has} and not with {key}: ECR sets this on creation only; \
                 delete the repository to have it created again"
            )
        }))
    }

    /// Sets lifecycle and repository policy, where they are given and differ.
    pub(super) async fn reconcile_policies(&self, name: &str) -> Result<(), Error> {
        let wanted = self.aws.repositories();
        let (client, account, calls) = (self.client().await, &self.host.account, &self.aws.calls);
        if let Some(wanted) = &wanted.lifecycle_policy {
            let request = client.get_lifecycle_policy().registry_id(account);
            let request = request.repository_name(name);
            let send = || request.clone().send();
            let present = match calls.send("ecr:GetLifecyclePolicy", name, send).await {
                Err(error) if error.code() == Some("LifecyclePolicyNotFoundException") => None,
                answer => answer?.lifecycle_policy_text().map(str::to_owned),
            };
            if !present.is_some_and(|present| same_json(&present, wanted)) {
                let request = client.put_lifecycle_policy().registry_id(account);
                let request = request.repository_name(name).lifecycle_policy_text(wanted);
                let send = || request.clone().send();
                calls.send("ecr:PutLifecyclePolicy", name, send).await?;
            }
        }
        if let Some(wanted) = &wanted.policy {
            let request = client.get_repository_policy().registry_id(account);
            let request = request.repository_name(name);
            let send = || request.clone().send();
            let present = match calls.send("ecr:GetRepositoryPolicy", name, send).await {
                Err(error) if error.code() == Some("RepositoryPolicyNotFoundException") => None,
                answer => answer?.policy_text().map(str::to_owned),
            };
            if !present.is_some_and(|present| same_json(&present, wanted)) {
                let request = client.set_repository_policy().registry_id(account);
                let request = request.repository_name(name).policy_text(wanted);
                let send = || request.clone().send();
                calls.send("ecr:SetRepositoryPolicy", name, send).await?;
            }
        }
        Ok(())
    }

    /// Applies `BlobMounting` to the account's setting.
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
                Err(Error::incomplete("ecr:GetAccountSetting", SETTING, what))
            }
            BlobMounting::Enable => {
                let request = self.client().await.put_account_setting();
                let request = request.name(SETTING).value("ENABLED");
                let send = || request.clone().send();
                let calls = &self.aws.calls;
                calls.send("ecr:PutAccountSetting", SETTING, send).await?;
                self.mounts.set(true).ok();
                Ok(())
            }
        }
    }

    async fn mounting_setting(&self) -> Result<bool, Error> {
        let request = self.client().await.get_account_setting().name(SETTING);
        let send = || request.clone().send();
        let calls = &self.aws.calls;
        let answer = calls.send("ecr:GetAccountSetting", SETTING, send).await?;
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
