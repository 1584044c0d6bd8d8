//! `replicator prune`

mod apply;
mod show;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::aws::{Aws, Bucket, Ecr};
use crate::document::{Lock, MAX_LOCK, MAX_PRUNE_PLAN, PrunePlan};
use crate::files;
use crate::problem::{Problem, Problems};
use crate::prune::observe::{AT_ONCE, Criteria, Reads, observe, repositories};
use crate::prune::plan::{Candidate, Terms, plan, unused_since};
use crate::prune::{Needs, Target, published};
use crate::publish;
use crate::reference::{EcrHost, Prefix};
use crate::settings::{Environment, Flags, Settings, TargetChoice, Targets};
use crate::timestamp::Timestamp;
use oci_copy::store::write_whole;

use super::output::Output;
use super::{Exit, Invocation, print};

/// The price of storage in US dollars for a GB and month, in all commercial regions
/// (<https://aws.amazon.com/ecr/pricing/>).
const PRICE_PER_GB: f64 = 0.10;

/// Find images in ECR that no deployment needs any more, and delete them
///
/// Lists the manifests below the project's prefix that no published result in the bucket needs, current or kept, of
/// any deployment, that no given lock names, and that nothing pulled or pushed for some time. Writes that plan to a
/// file and deletes nothing. --apply deletes what the plan has, except what has changed or came into use since. Only
/// repositories whose tags say that this program created them for the project are looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  replicator prune --project idf
      list what can be deleted, and write prune-plan.json
  replicator prune --apply prune-plan.json
      delete exactly that
  replicator prune --project idf --lock approved.lock.json --unused-for 30 -o wide

Exit codes: 0 done; 1 a call failed, a result cannot be read, or something of the plan was skipped; 2 bad input, or
nothing says what is needed; 3 with --exit-code: there is something to delete.")]
pub(super) struct Prune {
    /// The Seed-Farmer project [env: `SEEDFARMER_PROJECT_NAME`]
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// What the repositories' names begin with, if it is not the project's private ECR
    /// [env: `REPLICATOR_REGISTRY_PREFIX`]
    #[arg(long, value_name = "PREFIX")]
    registry_prefix: Option<String>,
    /// Also keep what this lock names (repeatable)
    #[arg(long, value_name = "FILE")]
    lock: Vec<PathBuf>,
    /// For how many days nothing may have pulled or pushed an image [default: 90]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=36_500), conflicts_with = "apply")]
    unused_for: Option<u32>,
    /// The file that the plan is written to. An existing plan is replaced; what was read for it is not read again
    #[arg(
        long,
        value_name = "FILE",
        default_value = "prune-plan.json",
        conflicts_with = "apply"
    )]
    plan: PathBuf,
    /// Count layers that images share once. ECR records the manifests of all images that are read for this as pulled
    #[arg(long, conflicts_with = "apply")]
    exact_sizes: bool,
    /// The price of storage in US dollars for a GB and month [default: 0.10, ECR's in commercial regions]
    #[arg(long, value_name = "USD", conflicts_with = "apply", value_parser = price)]
    price: Option<f64>,
    /// Delete what this plan has, after checking again that nothing needs it
    #[arg(long, value_name = "PLAN")]
    apply: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    /// End with exit code 3 if there is something to delete
    #[arg(long, help_heading = "Output", conflicts_with = "apply")]
    exit_code: bool,
}

const UNUSED_FOR: u32 = 90;

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().map_err(|error| error.to_string())?;
    let is_price = price.is_finite() && (0.0..=1_000.0).contains(&price);
    is_price
        .then_some(price)
        .ok_or_else(|| "a price is from 0 to 1000".to_owned())
}

/// The price where it is known: in commercial regions.
fn usual_price(host: &EcrHost) -> Option<f64> {
    let is_commercial = ["amazonaws.com", "on.aws"].contains(&host.suffix.as_str())
        && !host.region.starts_with("us-gov-");
    is_commercial.then_some(PRICE_PER_GB)
}

/// Access to what is pruned, and to what says what is needed.
struct Access {
    target: Target,
    ecr: Arc<Ecr>,
    bucket: Bucket,
    locks: Vec<(String, Lock)>,
}

impl Prune {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        if let Some(path) = &self.apply {
            return self.apply(path, with.environment).await;
        }
        let flags = Flags {
            project: self.project.clone(),
            ..Flags::default()
        };
        let access = self.open(flags, with.environment, None).await?;
        let earlier = earlier(&self.plan, &access.target)?;
        let needs = access.needs().await?;
        let terms = Terms {
            made_at: Timestamp::now(),
            unused_for_days: self.unused_for.unwrap_or(UNUSED_FOR),
            price_per_gb: self.price.or_else(|| usual_price(&access.target.host)),
        };
        let plan = access
            .plan(&needs, terms, earlier, self.exact_sizes)
            .await?;
        write_whole(&self.plan, plan.to_json().as_bytes()).map_err(anyhow::Error::new)?;
        let is_empty = plan.repositories.is_empty();
        let shown = PrunePlan {
            reads: BTreeMap::new(),
            ..plan
        };
        let text = self.output.text(with.environment, &shown, |width| {
            show::plan(&shown, &self.plan.display().to_string(), width)
        })?;
        print(text).await?;
        let changes = self.exit_code && !is_empty;
        Ok(if changes { Exit::Changes } else { Exit::Done })
    }

    /// Opens the target; `path` is what the names of its repositories begin with where no flag says it.
    async fn open(
        &self,
        flags: Flags,
        environment: &Environment,
        path: Option<&str>,
    ) -> anyhow::Result<Access> {
        let flags = match &self.registry_prefix {
            Some(prefix) => flags.with("registry_prefix", prefix),
            None => flags,
        };
        let locks = self.locks();
        let settings = Settings::for_destroy(&flags, environment, Targets::Ecr);
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
        Ok(Access {
            target,
            ecr,
            bucket,
            locks,
        })
    }

    fn locks(&self) -> Result<Vec<(String, Lock)>, Problems> {
        let (mut locks, mut problems) = (Vec::new(), Vec::new());
        for path in &self.lock {
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
}

impl Access {
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

    async fn plan(
        &self,
        needs: &Needs,
        terms: Terms,
        mut earlier: BTreeMap<String, Reads>,
        exact_sizes: bool,
    ) -> anyhow::Result<PrunePlan> {
        let Target {
            prefix, project, ..
        } = &self.target;
        let ecr = &self.ecr;
        let found = repositories(ecr, project, prefix).await?;
        let created = ecr.repositories().await?;
        let criteria = Criteria {
            since: unused_since(terms.made_at, terms.unused_for_days),
            exact_sizes,
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

fn read_plan(path: &Path) -> Result<PrunePlan, Problems> {
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
