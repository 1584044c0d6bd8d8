//! Repositories of a private registry: made when they are needed, kept as the parameters want them,
//! deleted when they are ours.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use aws_sdk_ecr::types::{
    self, EncryptionConfiguration, EncryptionType, ImageScanningConfiguration, ImageTagMutability,
    Tag,
};

use crate::settings::{self, BlobMounting, OWNERSHIP_TAGS};

use super::{Ecr, Error};

/// How long a new repository may take to be seen: `CreateRepository` returns before every reader
/// knows it.
const VISIBLE_WITHIN: Duration = Duration::from_mins(1);

/// A repository as ECR describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repository {
    arn: String,
    immutable: bool,
    scan_on_push: bool,
    kms_key: Option<String>,
}

impl From<&types::Repository> for Repository {
    fn from(described: &types::Repository) -> Self {
        let encryption = described.encryption_configuration();
        let scanning = described.image_scanning_configuration();
        Self {
            arn: described.repository_arn().unwrap_or_default().to_owned(),
            immutable: described.image_tag_mutability() == Some(&ImageTagMutability::Immutable),
            scan_on_push: scanning.is_some_and(ImageScanningConfiguration::scan_on_push),
            kms_key: encryption
                .and_then(EncryptionConfiguration::kms_key)
                .map(str::to_owned),
        }
    }
}

impl Ecr {
    /// All repositories by name, as they were when this was asked first.
    ///
    /// # Errors
    /// When ECR does not list them.
    pub async fn repositories(&self) -> Result<&HashMap<String, Repository>, Error> {
        let list = || async {
            let pages = self
                .client()
                .await
                .describe_repositories()
                .registry_id(&self.host.account);
            let mut pages = pages.max_results(1000).into_paginator().send();
            let mut all = HashMap::new();
            while let Some(page) = pages.next().await {
                let page =
                    page.map_err(|error| Error::new("ecr:DescribeRepositories", "", &error))?;
                all.extend(page.repositories().iter().filter_map(|described| {
                    Some((
                        described.repository_name()?.to_owned(),
                        Repository::from(described),
                    ))
                }));
            }
            Ok(all)
        };
        self.existing.get_or_try_init(list).await
    }

    /// Makes sure that a repository exists and can be seen. Somebody else's creating it at the same
    /// time is success.
    ///
    /// # Errors
    /// When it cannot be created, or is not seen for a minute.
    pub async fn ensure(&self, name: &str) -> Result<(), Error> {
        let cell = {
            let mut ensured = self.ensured.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(ensured.entry(name.to_owned()).or_default())
        };
        cell.get_or_try_init(|| self.create(name)).await.map(drop)
    }

    async fn create(&self, name: &str) -> Result<(), Error> {
        if self.repositories().await?.contains_key(name) {
            return Ok(());
        }
        let wanted = self.aws.repositories();
        let encryption = wanted.kms_key.as_ref().map(|key| {
            let encryption = EncryptionConfiguration::builder()
                .encryption_type(EncryptionType::Kms)
                .kms_key(key);
            encryption.build().expect("the type is set")
        });
        let scanning = wanted.scan_on_push.map(|scan| {
            ImageScanningConfiguration::builder()
                .scan_on_push(scan)
                .build()
        });
        let request = self
            .client()
            .await
            .create_repository()
            .registry_id(&self.host.account);
        let request = request
            .repository_name(name)
            .set_tags(Some(
                self.aws
                    .all_tags()
                    .map(|(key, value)| tag(key, value))
                    .collect(),
            ))
            .set_image_tag_mutability(wanted.immutable.map(mutability))
            .set_encryption_configuration(encryption)
            .set_image_scanning_configuration(scanning);
        match request.send().await {
            Ok(_) => tracing::debug!(repository = name, "created the repository {name}"),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_ecr::operation::create_repository::CreateRepositoryError::is_repository_already_exists_exception) => {}
            Err(error) => return Err(Error::new("ecr:CreateRepository", name, &error)),
        }
        self.wait_until_visible(name).await?;
        self.align_policies(name).await
    }

    async fn wait_until_visible(&self, name: &str) -> Result<(), Error> {
        const ACTION: &str = "ecr:DescribeRepositories";
        let started = tokio::time::Instant::now();
        let mut wait = Duration::from_millis(100);
        loop {
            let request = self
                .client()
                .await
                .describe_repositories()
                .registry_id(&self.host.account);
            match request.repository_names(name).send().await {
                Ok(_) => return Ok(()),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(aws_sdk_ecr::operation::describe_repositories::DescribeRepositoriesError::is_repository_not_found_exception) => {}
                Err(error) => return Err(Error::new(ACTION, name, &error)),
            }
            if started.elapsed() > VISIBLE_WITHIN {
                let seconds = VISIBLE_WITHIN.as_secs();
                return Err(Error::answer(
                    ACTION,
                    name,
                    format!("the new repository is not there after {seconds} s"),
                ));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
    }

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
    async fn align_policies(&self, name: &str) -> Result<(), Error> {
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

    /// A repository's tags.
    ///
    /// # Errors
    /// When ECR does not list them.
    pub async fn tags(&self, name: &str) -> Result<BTreeMap<String, String>, Error> {
        let arn = self
            .repositories()
            .await?
            .get(name)
            .map(|found| found.arn.clone())
            .unwrap_or_default();
        let answer = self
            .client()
            .await
            .list_tags_for_resource()
            .resource_arn(arn)
            .send()
            .await;
        let answer = answer.map_err(|error| Error::new("ecr:ListTagsForResource", name, &error))?;
        Ok(answer
            .tags()
            .iter()
            .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
            .collect())
    }

    /// Deletes a repository with all it holds; one that is gone already is fine.
    ///
    /// # Errors
    /// When ECR refuses.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let request = self
            .client()
            .await
            .delete_repository()
            .registry_id(&self.host.account);
        match request.repository_name(name).force(true).send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_ecr::operation::delete_repository::DeleteRepositoryError::is_repository_not_found_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(Error::new("ecr:DeleteRepository", name, &error)),
        }
    }

    /// Does what `BlobMounting` says about the account's setting.
    ///
    /// # Errors
    /// When the setting is required and off, or cannot be read or changed.
    pub async fn settle_blob_mounting(&self) -> Result<(), Error> {
        const SETTING: &str = "BLOB_MOUNTING";
        let wanted = self.aws.repositories().blob_mounting;
        if wanted == BlobMounting::Leave {
            return Ok(());
        }
        let client = self.client().await;
        let answer = client.get_account_setting().name(SETTING).send().await;
        let answer =
            answer.map_err(|error| Error::new("ecr:GetAccountSetting", SETTING, &error))?;
        let is_on = answer
            .value()
            .is_some_and(|value| value.eq_ignore_ascii_case("ENABLED"));
        match wanted {
            _ if is_on => Ok(()),
            BlobMounting::Leave => Ok(()),
            BlobMounting::Require => {
                let what = "it is not ENABLED, and the parameter BlobMounting requires it: \
                            aws ecr put-account-setting --name BLOB_MOUNTING --value ENABLED, or BlobMounting: enable";
                Err(Error::answer("ecr:GetAccountSetting", SETTING, what))
            }
            BlobMounting::Enable => {
                let answer = client
                    .put_account_setting()
                    .name(SETTING)
                    .value("ENABLED")
                    .send()
                    .await;
                answer
                    .map_err(|error| Error::new("ecr:PutAccountSetting", SETTING, &error))
                    .map(drop)
            }
        }
    }
}

/// Whether a repository's tags say that this program made it for a project.
#[must_use]
pub fn is_owned(tags: &BTreeMap<String, String>, project: &str) -> bool {
    let [project_key, .., managed_key] = OWNERSHIP_TAGS;
    tags.get(managed_key)
        .is_some_and(|value| value == crate::settings::MANAGED_BY)
        && tags
            .get(project_key)
            .is_some_and(|value| value.eq_ignore_ascii_case(project))
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder()
        .key(key)
        .value(value)
        .build()
        .expect("key and value are set")
}

fn mutability(immutable: bool) -> ImageTagMutability {
    if immutable {
        ImageTagMutability::Immutable
    } else {
        ImageTagMutability::Mutable
    }
}

/// Whether two JSON texts say the same; AWS gives policies back in its own writing.
fn same_json(a: &str, b: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    parse(a).is_some() && parse(a) == parse(b)
}
