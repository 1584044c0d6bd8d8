//! The images of a project in ECR, and what says which of them are needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::aws::{Aws, Bucket, Ecr, Error};
use crate::document::{Lock, MAX_LOCK, MAX_PRUNE_PLAN, PrunePlan, PrunedRepository};
use crate::files;
use crate::problem::{Problem, Problems};
use crate::publish;
use crate::reference::{EcrHost, Prefix};
use crate::settings::{Environment, Flags, Settings, TargetChoice, Targets};
use crate::timestamp::Timestamp;

use super::apply::{Applied, apply};
use super::needs::Needs;
use super::observe::{AT_ONCE, Criteria, Reads, observe, repositories};
use super::plan::{Candidate, Target, Terms, plan, unused_since};
use super::pruned::Pruned;
use super::published::published;

/// The price of storage in US dollars for a GB and month, in all commercial regions
/// (<https://aws.amazon.com/ecr/pricing/>).
const PRICE_PER_GB: f64 = 0.10;

/// After this time the published results are read again, because a deployment may have published another one.
const NEEDS_VALID: Duration = Duration::from_mins(1);

/// For how many days nothing may have pulled or pushed an image, where nothing else is said.
pub const UNUSED_FOR: u32 = 90;

/// Access to what is pruned, and to what says what is needed.
pub struct Pruner {
    target: Target,
    ecr: Arc<Ecr>,
    bucket: Bucket,
    locks: Vec<(String, Lock)>,
}

/// What a plan is made with.
#[derive(Debug, Clone, PartialEq)]
pub struct PruneOptions {
    /// For how many days nothing may have pulled or pushed an image.
    pub unused_for_days: u32,
    /// The price of storage in US dollars for a GB and month; without one that of commercial regions.
    pub price_per_gb: Option<f64>,
    /// Counts layers that images share once; every manifest is read for this.
    pub exact_sizes: bool,
    /// The file of an earlier plan: what was read for it is not read again. There may be none yet.
    pub earlier: Option<PathBuf>,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            unused_for_days: UNUSED_FOR,
            price_per_gb: None,
            exact_sizes: false,
            earlier: None,
        }
    }
}

impl Pruner {
    /// Opens the registry of the project that the flags name. What `locks`, files, name is needed too.
    ///
    /// # Errors
    /// Every problem of parameters and locks, a target that is not ECR, and that AWS does not say which registry it is.
    pub async fn open(
        flags: &Flags,
        environment: &Environment,
        locks: &[PathBuf],
    ) -> anyhow::Result<Self> {
        Self::open_at(flags, environment, locks, None).await
    }

    /// The same for a plan that was made before: its project and region, where neither flags nor environment name
    /// others. `place` is the plan's name in messages.
    ///
    /// # Errors
    /// Those of [`Pruner::open`], and when the plan is too old or is one for another target.
    pub async fn open_for(
        plan: &PrunePlan,
        place: &str,
        flags: &Flags,
        environment: &Environment,
        locks: &[PathBuf],
    ) -> anyhow::Result<Self> {
        plan.check_age(Timestamp::now(), place)?;
        let mut flags = flags.clone();
        if flags.project.is_none() && environment.seed_farmer.project_name.is_none() {
            flags.project = Some(plan.project.clone());
        }
        if flags.region.is_none() && environment.aws.region().is_none() {
            flags.region = Some(plan.region.clone());
        }
        let pruner = Self::open_at(&flags, environment, locks, Some(&plan.prefix)).await?;
        if let Some(what) = difference(plan, &pruner.target) {
            let remedy =
                "use the credentials and settings that it was made with, or make a new plan";
            return Err(Problems::from(Problem::input(place, what).remedy(remedy)).into());
        }
        Ok(pruner)
    }

    /// Opens the target; `path` is what the names of its repositories begin with where no flag says it.
    async fn open_at(
        flags: &Flags,
        environment: &Environment,
        locks: &[PathBuf],
        path: Option<&str>,
    ) -> anyhow::Result<Self> {
        let locks = read_locks(locks);
        let settings = Settings::for_destroy(flags, environment, Targets::Ecr);
        let (settings, locks) = Problems::both(settings, locks)?;
        let aws = Aws::new(&settings)?;
        let (host, prefix) = match &settings.target {
            TargetChoice::Given(Prefix::Ecr { host, path }) => (host.clone(), path.clone()),
            TargetChoice::Module { project, region } => {
                let host = aws.ecr_host(region).await;
                let host = host.context("cannot determine the registry")?;
                (
                    host,
                    path.map_or_else(|| format!("{project}-"), str::to_owned),
                )
            }
            TargetChoice::Given(_) | TargetChoice::Named => {
                let what = "the target is not ECR: other registries and folders do not record when an image was \
                            pulled, so it is not known what is in use";
                let problem = Problem::input("--registry-prefix", what);
                let remedy = "delete old images with the registry's own means";
                return Err(Problems::from(problem.remedy(remedy)).into());
            }
        };
        let Some(project) = settings.module.project.clone() else {
            let what = "no project is given, so it is not known which repositories are its own";
            let problem = Problem::input("SEEDFARMER_PROJECT_NAME", what);
            return Err(Problems::from(problem.remedy("give --project")).into());
        };
        let bucket = publish::project_bucket(&project, &host, &aws).await;
        let ecr = aws.ecr(&host);
        let target = Target {
            host,
            prefix,
            project,
        };
        Ok(Self {
            target,
            ecr,
            bucket,
            locks,
        })
    }

    /// What can be deleted.
    ///
    /// # Errors
    /// When nothing says what is needed ([`crate::problem::is_input`]), the earlier plan cannot be used, or a call fails.
    pub async fn plan(&self, options: &PruneOptions) -> anyhow::Result<PrunePlan> {
        let mut earlier = match &options.earlier {
            Some(path) => earlier(path, &self.target)?,
            None => BTreeMap::new(),
        };
        let needs = &self.needs().await?;
        let terms = Terms {
            made_at: Timestamp::now(),
            unused_for_days: options.unused_for_days,
            price_per_gb: options
                .price_per_gb
                .or_else(|| usual_price(&self.target.host)),
        };
        let Target {
            prefix, project, ..
        } = &self.target;
        let ecr = &self.ecr;
        let found = repositories(ecr, project, prefix).await?;
        let created = ecr.repositories().await?;
        let criteria = Criteria {
            since: unused_since(terms.made_at, terms.unused_for_days),
            exact_sizes: options.exact_sizes,
        };
        let ours = found.ours.into_iter();
        let ours = ours.map(|name| (earlier.remove(&name).unwrap_or_default(), name));
        let looked = stream::iter(ours).map(|(reads, name)| async move {
            let needs = needs.of(&name);
            let observed = observe(ecr, &name, &needs, reads, criteria).await?;
            let candidate = Candidate {
                observed,
                created: created.get(&name).and_then(|found| found.created),
                is_named: needs.is_any(),
            };
            anyhow::Ok((name, candidate))
        });
        let candidates = looked.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(plan(&self.target, needs, &candidates, found.others, terms))
    }

    /// Deletes what a plan has, except what has changed or came into use since.
    ///
    /// # Errors
    /// When it is not known what is needed or what is ours; then nothing more is deleted.
    pub async fn apply(&self, plan: &PrunePlan) -> anyhow::Result<Pruned> {
        let mut needs = (self.needs().await?, Instant::now());
        let ours = repositories(&self.ecr, &plan.project, &plan.prefix)
            .await?
            .ours;
        let mut pruned = Pruned::default();
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
            pruned.add(name, applied);
        }
        Ok(pruned)
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

    /// What published results and the given locks need.
    async fn needs(&self) -> anyhow::Result<Needs> {
        let host = &self.target.host;
        let mut needs = published(&self.bucket, host).await?;
        for (place, lock) in &self.locks {
            let added = needs.add_lock(place, lock, &self.target.prefix);
            added.map_err(|what| Problems::from(Problem::input(place, what)))?;
        }
        if needs.documents.is_empty() {
            let what = format!(
                "the project {} has no published result in {}, so nothing says what is needed",
                self.target.project,
                self.bucket.show("")
            );
            let remedy =
                "check --project, --region and the account, or name what is needed with --lock";
            return Err(Problems::from(Problem::input("--project", what).remedy(remedy)).into());
        }
        Ok(needs)
    }
}

/// Locks, with their names in messages.
fn read_locks(paths: &[PathBuf]) -> Result<Vec<(String, Lock)>, Problems> {
    let (mut locks, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        let place = path.display().to_string();
        let text = files::read_within(path, MAX_LOCK as u64);
        let text = text.map_err(|what| Problems::from(Problem::input(&place, what)));
        match text.and_then(|text| Lock::read(&text, &place)) {
            Ok(lock) => locks.push((place, lock)),
            Err(found) => problems.extend(found.iter().cloned()),
        }
    }
    Problems::or(problems, Some(locks))
}

/// The price where it is known: in commercial regions.
fn usual_price(host: &EcrHost) -> Option<f64> {
    let is_commercial = ["amazonaws.com", "on.aws"].contains(&host.suffix.as_str())
        && !host.region.starts_with("us-gov-");
    is_commercial.then_some(PRICE_PER_GB)
}

/// What was read for the plan that a new one replaces.
fn earlier(path: &Path, target: &Target) -> Result<BTreeMap<String, Reads>, Problems> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let refused = |what: String| {
        let problem = Problem::input(path.display().to_string(), what);
        Problems::from(
            problem.remedy("name another file for the plan with --plan, or remove this one"),
        )
    };
    let plan = read_plan(path).map_err(|problems| {
        let first = problems.iter().next().map(|problem| problem.what.clone());
        refused(format!(
            "the file exists, and a new plan does not replace it: {}",
            first.unwrap_or_default()
        ))
    })?;
    match difference(&plan, target) {
        Some(what) => Err(refused(what)),
        None => Ok(plan.reads),
    }
}

/// Reads a plan from its file.
///
/// # Errors
/// When it is not there, or is not a plan.
pub fn read_plan(path: &Path) -> Result<PrunePlan, Problems> {
    let place = path.display().to_string();
    let text = files::read_within(path, MAX_PRUNE_PLAN);
    let text = text.map_err(|what| Problem::input(&place, what))?;
    PrunePlan::read(&text, &place)
}

/// How the target of a plan differs from this one.
fn difference(plan: &PrunePlan, target: &Target) -> Option<String> {
    let pairs = [
        ("account", &plan.account, &target.host.account),
        ("region", &plan.region, &target.host.region),
        ("project", &plan.project, &target.project),
        ("prefix", &plan.prefix, &target.prefix),
    ];
    let (what, of_plan, here) = pairs.into_iter().find(|(_, one, other)| one != other)?;
    Some(format!(
        "it is a plan for the {what} {of_plan}, and this is {here}"
    ))
}
