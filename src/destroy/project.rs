//! The end of a project's repositories, by hand.

use std::sync::Arc;

use crate::aws::{Aws, Ecr, Error};
use crate::publish::{self, ResultSet, Results};
use crate::reference::EcrHost;
use crate::settings::Settings;

use super::{
    DeletedRepositories, Plan, UnreadableResult, ecr_host, execute, observe, plan_by_hand,
};

/// A project's repositories, and which of them are to be deleted.
pub struct ProjectRemoval {
    project: String,
    host: EcrHost,
    plan: Plan,
    results: Result<Results, Error>,
    unreadable: Vec<UnreadableResult>,
    ecr: Arc<Ecr>,
}

impl ProjectRemoval {
    /// Reads what there is, with settings of [`Settings::for_destroy`]. Deletes nothing. With `all` every repository named
    /// `<project>-…` is to be deleted. `None`: the target is not ECR.
    ///
    /// # Errors
    /// When ECR cannot be queried. Results that cannot be read are no error.
    pub async fn observe(settings: &Settings, all: bool) -> anyhow::Result<Option<Self>> {
        let project = settings.module.project.clone().unwrap_or_default();
        let aws = Aws::new(settings)?;
        let Some(host) = ecr_host(settings, &aws).await? else {
            return Ok(None);
        };
        let ecr = aws.ecr(&host);
        let tagged = observe(&ecr, &project).await?;
        let plan = plan_by_hand(&project, &tagged, all);
        let bucket = publish::project_bucket(&project, &host, &aws).await;
        let results = Results::read(&bucket, &host.to_string(), ResultSet::All).await;
        let unreadable = results.iter().flat_map(|results| &results.unreadable);
        let unreadable = unreadable.map(|(key, why)| UnreadableResult {
            place: bucket.show(key),
            why: why.clone(),
        });
        Ok(Some(Self {
            unreadable: unreadable.collect(),
            project,
            host,
            plan,
            results,
            ecr,
        }))
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The registry.
    #[must_use]
    pub fn host(&self) -> &EcrHost {
        &self.host
    }

    /// The repositories to delete and to keep.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The results of the project's deployments, which say who uses the repositories.
    ///
    /// # Errors
    /// When the bucket cannot be read, so that this is not known.
    pub fn results(&self) -> Result<&Results, &Error> {
        self.results.as_ref()
    }

    /// The results that cannot be read, so that it is not known what they use.
    #[must_use]
    pub fn unreadable(&self) -> &[UnreadableResult] {
        &self.unreadable
    }

    /// Deletes the repositories of the plan. A failure does not stop the rest.
    pub async fn delete(&self) -> DeletedRepositories {
        execute(&self.plan, &self.ecr).await
    }
}
