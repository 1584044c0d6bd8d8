//! The end of a module.

use std::sync::Arc;

use crate::aws::{Aws, Bucket, Ecr, Error};
use crate::publish::{Publication, ResultSet, Results};
use crate::settings::{Environment, Flags, Retention, Settings, Targets};

use super::{
    Claims, DeletedRepositories, Plan, UnreadableResult, ecr_host, execute, observe, plan,
};

/// What the flags and the environment say about the end of a module.
pub enum Removable {
    /// `RetentionType` is RETAIN: everything is kept, and AWS was not queried.
    Retained,
    /// The target is another registry or a folder, whose content is kept.
    NotEcr,
    /// It can be deleted.
    Module(Box<ModuleRemoval>),
}

/// What a module leaves behind, and what of it is to be deleted.
pub struct ModuleRemoval {
    project: String,
    plan: Plan,
    unreadable: Vec<UnreadableResult>,
    ecr: Arc<Ecr>,
    bucket: Bucket,
    publication: Publication,
    /// What the keys of the module's run store begin with.
    runs: String,
}

/// What became of a module's repositories and results.
pub struct DeletedModule {
    /// Each repository that was to be deleted.
    pub repositories: DeletedRepositories,
    /// The results. `None`: they were kept, because a repository could not be deleted or a result not be read, so that
    /// another attempt knows as much as this one.
    pub results: Option<Result<DeletedResults, Error>>,
}

/// What became of a module's result document and what lies beside it.
#[derive(Debug)]
pub struct DeletedResults {
    /// Whether the bucket was deleted too: this program had created it, and nothing else was in it.
    pub is_bucket_deleted: bool,
    /// What could not be deleted beside the document, and why. It does no harm.
    pub left: Vec<String>,
}

impl ModuleRemoval {
    /// Reads what there is. Deletes nothing.
    ///
    /// # Errors
    /// When a parameter that is needed is invalid, or a call of AWS fails. What only a deployment needs may be invalid.
    pub async fn observe(flags: &Flags, environment: &Environment) -> anyhow::Result<Removable> {
        if Settings::retention(flags, environment)? == Retention::Retain {
            return Ok(Removable::Retained);
        }
        let settings = Settings::for_destroy(flags, environment, Targets::Ecr)?;
        let publication = Publication::new(&settings.module)?;
        let project = settings.module.project.clone().unwrap_or_default();
        let aws = Aws::new(&settings)?;
        let Some(host) = ecr_host(&settings, &aws).await? else {
            return Ok(Removable::NotEcr);
        };
        let (bucket, object) = publication.bucket(&host, &aws).await;
        let mut others = Results::read(&bucket, &host.to_string(), ResultSet::All).await?;
        let own = others.take(object).unwrap_or_default();
        let own_is_unreadable = others.unreadable.remove(object);
        others.remove_below(&publication.kept_prefix());
        let ecr = aws.ecr(&host);
        let tagged = observe(&ecr, &project).await?;
        let claims = Claims {
            named: &own.targets,
            others: &others,
        };
        let plan = plan(&project, &tagged, &claims);
        let own = own_is_unreadable.map(|why| (object.to_owned(), why));
        let unreadable = others.unreadable.into_iter().chain(own);
        let unreadable = unreadable.map(|(key, why)| UnreadableResult {
            place: bucket.show(&key),
            why,
        });
        Ok(Removable::Module(Box::new(Self {
            unreadable: unreadable.collect(),
            runs: publication.runs(&host).prefix,
            project,
            plan,
            ecr,
            bucket,
            publication,
        })))
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The repositories to delete and to keep.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The results that cannot be read. Everything that they may name is kept, and so are the module's results.
    #[must_use]
    pub fn unreadable(&self) -> &[UnreadableResult] {
        &self.unreadable
    }

    /// Deletes the repositories of the plan, and after them the module's results.
    pub async fn delete(&self) -> DeletedModule {
        let repositories = execute(&self.plan, &self.ecr).await;
        let is_all = repositories.iter().all(|(_, deleted)| deleted.is_ok());
        let results = if is_all && self.unreadable.is_empty() {
            Some(self.delete_results().await)
        } else {
            None
        };
        DeletedModule {
            repositories,
            results,
        }
    }

    async fn delete_results(&self) -> Result<DeletedResults, Error> {
        let (bucket, publication) = (&self.bucket, &self.publication);
        bucket.delete(publication.object()).await?;
        bucket.delete(&publication.proof_object()).await?;
        let mut left = Vec::new();
        if let Err(error) = publication.delete_kept(bucket).await {
            left.push(format!(
                "the results that were kept could not be deleted: {error}"
            ));
        }
        if let Err(error) = bucket.delete(&publication.page_object()).await {
            left.push(format!("the report's page could not be deleted: {error}"));
        }
        if let Err(error) = self.delete_runs().await {
            let runs = &self.runs;
            left.push(format!(
                "cannot delete the objects {runs}* of failed runs from the bucket: {error}"
            ));
        }
        let is_bucket_deleted = bucket.delete_if_ours_and_empty(&self.project).await?;
        Ok(DeletedResults {
            is_bucket_deleted,
            left,
        })
    }

    /// Deletes what failed runs left in the run store.
    async fn delete_runs(&self) -> Result<(), Error> {
        for (key, _) in self.bucket.list(&self.runs).await? {
            self.bucket.delete(&key).await?;
        }
        Ok(())
    }
}
