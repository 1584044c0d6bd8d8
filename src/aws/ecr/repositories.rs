//! Repositories of a private registry: made when they are needed, deleted when they are ours.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_ecr::types::{
    self, EncryptionConfiguration, EncryptionType, ImageScanningConfiguration, Tag,
};

use crate::ownership::{Owner, owner};
use crate::timestamp::Timestamp;

use super::mutability::Mutability;
use super::{Ecr, Error, NO_REPOSITORY};

/// How long a new repository may take to be seen: `CreateRepository` returns before every reader
/// knows it.
const VISIBLE_WITHIN: Duration = Duration::from_mins(1);

/// A repository as ECR describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repository {
    pub(super) arn: String,
    pub(super) mutability: Mutability,
    pub(super) scan_on_push: bool,
    pub(super) kms_key: Option<String>,
    /// When it was created.
    pub created: Option<Timestamp>,
}

/// What became of a repository that was to be deleted if it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptied {
    /// It was deleted.
    Deleted,
    /// It did not exist any more.
    Gone,
    /// It has images.
    InUse,
}

/// The tags of a resource.
pub type Tags = BTreeMap<String, String>;

impl From<&types::Repository> for Repository {
    fn from(described: &types::Repository) -> Self {
        let encryption = described.encryption_configuration();
        let scanning = described.image_scanning_configuration();
        Self {
            arn: described.repository_arn().unwrap_or_default().to_owned(),
            mutability: Mutability::from(described),
            scan_on_push: scanning.is_some_and(ImageScanningConfiguration::scan_on_push),
            kms_key: encryption
                .and_then(EncryptionConfiguration::kms_key)
                .map(str::to_owned),
            created: described
                .created_at()
                .and_then(|time| SystemTime::try_from(*time).ok())
                .map(Timestamp::from),
        }
    }
}

impl Ecr {
    /// All repositories by name, as they were when this was asked first.
    ///
    /// # Errors
    /// When ECR does not list them.
    pub async fn repositories(&self) -> Result<&HashMap<String, Repository>, Error> {
        const ACTION: &str = "ecr:DescribeRepositories";
        let list = || async {
            let request = self.client().await.describe_repositories();
            let request = request.registry_id(&self.host.account).max_results(1000);
            let (mut all, mut next) = (HashMap::new(), None);
            loop {
                let send = || request.clone().set_next_token(next.clone()).send();
                let page = self.aws.calls.send(ACTION, "", send).await?;
                all.extend(page.repositories().iter().filter_map(|described| {
                    let name = described.repository_name()?.to_owned();
                    Some((name, Repository::from(described)))
                }));
                match page.next_token() {
                    // The same page again would come for ever.
                    Some(token) if next.as_deref() != Some(token) => next = Some(token.to_owned()),
                    _ => return Ok(all),
                }
            }
        };
        self.existing.get_or_try_init(list).await
    }

    /// Makes sure that a repository exists and is visible. It is not an error if another program creates it at the
    /// same time.
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
            .set_image_tag_mutability(
                wanted
                    .immutable
                    .map(|immutable| Mutability::all(immutable).into()),
            )
            .set_encryption_configuration(encryption)
            .set_image_scanning_configuration(scanning);
        let send = || request.clone().send();
        match self
            .aws
            .calls
            .send("ecr:CreateRepository", name, send)
            .await
        {
            Ok(_) => tracing::debug!(repository = name, "created the repository {name}"),
            Err(error) if error.code() == Some("RepositoryAlreadyExistsException") => {
                self.check_owner(name).await?;
            }
            Err(error) => return Err(error),
        }
        self.created
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned());
        // The registry itself reports at a push that the repository does not exist yet.
        let wanted = self.aws.repositories();
        if wanted.lifecycle_policy.is_some() || wanted.policy.is_some() {
            self.seen(name).await?;
            self.reconcile_policies(name).await?;
        }
        Ok(())
    }

    /// A repository that was created since the run began may be another project's.
    async fn check_owner(&self, name: &str) -> Result<(), Error> {
        if self.aws.repositories().adopt {
            return Ok(());
        }
        let Some(project) = self.aws.project() else {
            return Ok(());
        };
        self.seen(name).await?;
        let request = self.client().await.describe_repositories();
        let request = request.registry_id(&self.host.account);
        let request = request.repository_names(name);
        let send = || request.clone().send();
        let described = self.aws.calls.send("ecr:DescribeRepositories", name, send);
        let described = described.await?;
        let arn = described.repositories().first();
        let arn = arn.and_then(|found| found.repository_arn().map(str::to_owned));
        let tags = self.tags_of(name, &arn.unwrap_or_default()).await?;
        match tags.map(|tags| owner(&tags, project)) {
            Some(Owner::Another(tag)) => {
                let what = format!(
                    "it was created meanwhile by another owner ({tag}); nothing is written to it"
                );
                Err(Error::incomplete("ecr:CreateRepository", name, what))
            }
            _ => Ok(()),
        }
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

    /// Whether a tag of a repository that existed when the run began cannot move.
    ///
    /// # Errors
    /// When ECR does not list the repositories.
    pub async fn is_fixed(&self, name: &str, tag: &str) -> Result<bool, Error> {
        let found = self.repositories().await?.get(name);
        let wanted = self.aws.repositories().immutable;
        Ok(found.is_some_and(|found| wanted.unwrap_or_else(|| found.mutability.is_fixed(tag))))
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
            let request = self.client().await.describe_repositories();
            let request = request.registry_id(&self.host.account);
            let request = request.repository_names(name);
            let send = || request.clone().send();
            match self.aws.calls.send(ACTION, name, send).await {
                Err(error) if error.code() == Some(NO_REPOSITORY) => {}
                seen => return seen.map(drop),
            }
            if started.elapsed() > VISIBLE_WITHIN {
                let seconds = VISIBLE_WITHIN.as_secs();
                return Err(Error::incomplete(
                    ACTION,
                    name,
                    format!("the new repository is not there after {seconds} s"),
                ));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
    }

    /// A repository's tags; `None` when it was deleted meanwhile.
    ///
    /// # Errors
    /// When ECR does not list them.
    pub async fn tags(&self, name: &str) -> Result<Option<Tags>, Error> {
        match self.repositories().await?.get(name) {
            Some(found) => self.tags_of(name, &found.arn).await,
            None => Ok(None),
        }
    }

    async fn tags_of(&self, name: &str, arn: &str) -> Result<Option<Tags>, Error> {
        let request = self.client().await.list_tags_for_resource();
        let request = request.resource_arn(arn);
        let send = || request.clone().send();
        let answer = self.aws.calls.send("ecr:ListTagsForResource", name, send);
        let answer = match answer.await {
            Err(error) if error.code() == Some(NO_REPOSITORY) => return Ok(None),
            answer => answer?,
        };
        let tags = answer.tags().iter();
        let tags = tags.map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
        Ok(Some(tags.collect()))
    }

    /// Deletes a repository if it has no images.
    ///
    /// # Errors
    /// When ECR refuses for another reason.
    pub async fn delete_empty(&self, name: &str) -> Result<Emptied, Error> {
        let request = self.client().await.delete_repository();
        let request = request.registry_id(&self.host.account);
        let request = request.repository_name(name).force(false);
        let send = || request.clone().send();
        let deleted = self.aws.calls.send("ecr:DeleteRepository", name, send);
        match deleted.await {
            Ok(_) => Ok(Emptied::Deleted),
            Err(error) => match error.code() {
                Some(NO_REPOSITORY) => Ok(Emptied::Gone),
                Some("RepositoryNotEmptyException") => Ok(Emptied::InUse),
                _ => Err(error),
            },
        }
    }

    /// Deletes a repository with all it holds; one that is gone already is fine.
    ///
    /// # Errors
    /// When ECR refuses.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let request = self.client().await.delete_repository();
        let request = request.registry_id(&self.host.account);
        let request = request.repository_name(name).force(true);
        let send = || request.clone().send();
        match self
            .aws
            .calls
            .send("ecr:DeleteRepository", name, send)
            .await
        {
            Err(error) if error.code() == Some(NO_REPOSITORY) => Ok(()),
            deleted => deleted.map(drop),
        }
    }
}

pub(super) fn tag(key: &str, value: &str) -> Tag {
    Tag::builder()
        .key(key)
        .value(value)
        .build()
        .expect("key and value are set")
}
