//! `replicator prune --apply PLAN`

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::aws::Error;
use crate::document::{PrunePlan, PrunedRepository};
use crate::problem::{Problem, Problems};
use crate::progress::count;
use crate::prune::apply::{Applied, apply};
use crate::prune::observe::{Criteria, repositories};
use crate::prune::plan::unused_since;
use crate::prune::{Needs, Skip};
use crate::settings::{Environment, Flags};
use crate::timestamp::Timestamp;

use super::{Access, Exit, Prune, difference, print, read_plan, show};

/// After this time the published results are read again, because a deployment may have published another one.
const NEEDS_VALID: Duration = Duration::from_mins(1);

/// What was deleted.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    /// How many manifests were deleted.
    pub(super) deleted: usize,
    /// How many did not exist any more.
    pub(super) gone: usize,
    /// The repositories that do not exist any more.
    pub(super) repositories_deleted: Vec<String>,
    /// What was not deleted.
    pub(super) skipped: Vec<Skipped>,
}

/// A manifest, or a repository, that was not deleted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Skipped {
    /// The repository.
    pub(super) repository: String,
    /// The manifest; absent where the repository itself is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    /// Why.
    pub(super) reason: String,
}

impl Prune {
    pub(super) async fn apply(
        &self,
        path: &Path,
        environment: &Environment,
    ) -> anyhow::Result<Exit> {
        let place = path.display().to_string();
        let plan = read_plan(path)?;
        plan.check_age(Timestamp::now(), &place)?;
        let has_project = environment.seed_farmer.project_name.is_some();
        let has_region = environment.aws.region().is_some();
        let flags = Flags {
            project: self
                .project
                .clone()
                .or_else(|| (!has_project).then(|| plan.project.clone())),
            region: (!has_region).then(|| plan.region.clone()),
            ..Flags::default()
        };
        let access = self.open(flags, environment, Some(&plan.prefix)).await?;
        if let Some(what) = difference(&plan, &access.target) {
            let remedy =
                "use the credentials and settings that it was made with, or make a new plan";
            return Err(Problems::from(Problem::input(place, what).remedy(remedy)).into());
        }
        let outcome = access.apply(&plan).await?;
        let is_complete = outcome.skipped.is_empty();
        let text = self
            .output
            .text(environment, &outcome, |_| show::outcome(&outcome))?;
        print(text).await?;
        if is_complete {
            return Ok(Exit::Done);
        }
        let skipped = outcome.skipped.len();
        tracing::error!(
            "{} of the plan {} not deleted, for the reasons above",
            count(skipped, "item"),
            if skipped == 1 { "was" } else { "were" }
        );
        Ok(Exit::Failed)
    }
}

impl Access {
    async fn apply(&self, plan: &PrunePlan) -> anyhow::Result<Outcome> {
        let mut needs = (self.needs().await?, Instant::now());
        let ours = repositories(&self.ecr, &plan.project, &plan.prefix)
            .await?
            .ours;
        let mut outcome = Outcome::default();
        for planned in &plan.repositories {
            let name = &planned.name;
            if needs.1.elapsed() > NEEDS_VALID {
                needs = (self.needs().await?, Instant::now());
            }
            let exists = self.ecr.repositories().await?.contains_key(name);
            let applied = if ours.contains(name) {
                self.apply_to(planned, plan, &needs.0).await
            } else if exists {
                Ok(Applied::none(
                    planned,
                    "its tags do not say any more that it is the project's",
                ))
            } else {
                Ok(Applied {
                    gone: planned.images.len(),
                    repository_deleted: planned.delete_repository,
                    ..Applied::default()
                })
            };
            let applied = applied.unwrap_or_else(|error| {
                Applied::none(planned, &format!("it cannot be looked at: {error}"))
            });
            outcome.add(name, applied);
        }
        Ok(outcome)
    }

    async fn apply_to(
        &self,
        planned: &PrunedRepository,
        plan: &PrunePlan,
        needs: &Needs,
    ) -> Result<Applied, Error> {
        let criteria = Criteria {
            since: unused_since(Timestamp::now(), plan.unused_for_days),
            exact_sizes: false,
        };
        let reads = plan.reads.get(&planned.name).cloned().unwrap_or_default();
        let needs = needs.of(&planned.name);
        apply(&self.ecr, planned, &needs, reads, criteria).await
    }
}

impl Outcome {
    fn add(&mut self, name: &str, applied: Applied) {
        if applied.deleted > 0 {
            let deleted = count(applied.deleted, "manifest");
            tracing::info!(repository = name, "{name}: deleted {deleted}");
        }
        if applied.repository_deleted {
            tracing::info!(repository = name, "{name}: deleted the repository");
            self.repositories_deleted.push(name.to_owned());
        }
        self.deleted += applied.deleted;
        self.gone += applied.gone;
        let images = applied.skipped.iter();
        let images =
            images.map(|(digest, skip): (_, &Skip)| (Some(digest.to_string()), skip.words()));
        let repository = applied.repository_kept.map(|why| (None, why));
        let skipped = images.chain(repository).map(|(digest, reason)| Skipped {
            repository: name.to_owned(),
            digest,
            reason,
        });
        self.skipped.extend(skipped);
    }
}
