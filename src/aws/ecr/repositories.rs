//! Repositories of a private registry: made when they are needed, deleted when they are ours.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use aws_sdk_ecr::types::{
    self, EncryptionConfiguration, EncryptionType, ImageScanningConfiguration, ImageTagMutability,
    Tag,
};

use crate::settings::OWNERSHIP_TAGS;

use super::{Ecr, Error};

/// How long a new repository may take to be seen: `CreateRepository` returns before every reader
/// knows it.
const VISIBLE_WITHIN: Duration = Duration::from_mins(1);

/// A repository as ECR describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repository {
    pub(super) arn: String,
    pub(super) immutable: bool,
    pub(super) scan_on_push: bool,
    pub(super) kms_key: Option<String>,
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
        self.created
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned());
        // Whoever pushes is told by the registry itself when the repository is not there yet.
        let wanted = self.aws.repositories();
        if wanted.lifecycle_policy.is_some() || wanted.policy.is_some() {
            self.seen(name).await?;
            self.align_policies(name).await?;
        }
        Ok(())
    }

    /// Whether a repository may hold something that this build did not bring: it existed when the run
    /// began, or another build of the run may have created it.
    ///
    /// # Errors
    /// When ECR does not list the repositories.
    pub async fn existed(&self, name: &str) -> Result<bool, Error> {
        let is_elsewhere = {
            let elsewhere = &self.created_elsewhere;
            let elsewhere = elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
            elsewhere.contains(name)
        };
        Ok(is_elsewhere || self.repositories().await?.contains_key(name))
    }

    /// Another build of this run may have created a repository.
    pub fn may_exist(&self, name: &str) {
        let elsewhere = &self.created_elsewhere;
        let mut elsewhere = elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        elsewhere.insert(name.to_owned());
    }

    /// Whether the tags of a repository that existed when the run began cannot move.
    ///
    /// # Errors
    /// When ECR does not list the repositories.
    pub async fn has_fixed_tags(&self, name: &str) -> Result<bool, Error> {
        let found = self.repositories().await?.get(name);
        let wanted = self.aws.repositories().immutable;
        Ok(found.is_some_and(|found| wanted.unwrap_or(found.immutable)))
    }

    /// Whether this run created a repository: it may take a while until everybody knows it.
    #[must_use]
    pub fn has_created(&self, name: &str) -> bool {
        let created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        created.contains(name)
    }

    /// Waits until everybody knows a repository that this run created; asked once for all that wait.
    ///
    /// # Errors
    /// When it is not seen for a minute.
    pub async fn seen(&self, name: &str) -> Result<(), Error> {
        let cell = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(seen.entry(name.to_owned()).or_default())
        };
        cell.get_or_try_init(|| self.wait_until_visible(name))
            .await
            .map(drop)
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

pub(super) fn tag(key: &str, value: &str) -> Tag {
    Tag::builder()
        .key(key)
        .value(value)
        .build()
        .expect("key and value are set")
}

pub(super) fn mutability(immutable: bool) -> ImageTagMutability {
    if immutable {
        ImageTagMutability::Immutable
    } else {
        ImageTagMutability::Mutable
    }
}
