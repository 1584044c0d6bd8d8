//! `replicator destroy` and `replicator delete-repos`

use std::io::{BufRead, IsTerminal, Write};
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::aws::{Aws, Bucket, Ecr, Error};
use crate::destroy::{self, Claims, Plan};
use crate::problem::{Problem, Problems};
use crate::progress;
use crate::publish::{self, Publication, ResultSet, Results};
use crate::reference::{EcrHost, Prefix};
use crate::settings::{Flags, Retention, Settings, TargetChoice, Targets};
use crate::stderr;

use super::flags::{ModuleFlags, RetentionFlags};
use super::{Exit, Invocation};

/// Delete this project's ECR repositories, if `RetentionType` is DESTROY
///
/// Without DESTROY it only says that it keeps them. Deletes repositories whose names begin with `<project>-`
/// and whose tags say that this program created them for this project, and untagged ones that the module's
/// own result document names as its targets; then that document with the kept ones, and its bucket if this program
/// created it and it is empty. Keeps what a result of another deployment in the bucket names, current or kept.
#[derive(Debug, clap::Args)]
pub(super) struct Destroy {
    #[command(flatten)]
    retention: RetentionFlags,
    /// The target, if it is not the project's private ECR [env: `REPLICATOR_REGISTRY_PREFIX`]
    #[arg(long, value_name = "PREFIX")]
    registry_prefix: Option<String>,
    /// Show what would be deleted, without deleting it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    module: ModuleFlags,
}

/// Delete a project's ECR repositories by hand
///
/// The same as `destroy`, but repositories that deployments use are deleted too; the list shows which
/// deployments those are. With --all every repository named `<project>-…` is deleted, also those of other
/// modules: look at the list first.
#[derive(Debug, clap::Args)]
pub(super) struct DeleteRepos {
    /// The project
    #[arg(value_name = "PROJECT")]
    project: String,
    /// Also delete repositories that no tag claims for this program
    #[arg(long)]
    all: bool,
    /// Show what would be deleted, without deleting it
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

impl Destroy {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let flags = self.module.onto(self.retention.flags());
        let flags = match &self.registry_prefix {
            Some(prefix) => flags.with("registry_prefix", prefix),
            None => flags,
        };
        if Settings::retention(&flags, with.environment)? == Retention::Retain {
            tracing::info!("RetentionType is RETAIN: repositories and result document are kept");
            return Ok(Exit::Done);
        }
        // An invalid parameter that only `deploy` needs must not prevent this.
        let settings = Settings::for_destroy(&flags, with.environment, Targets::Ecr)?;
        let publication = Publication::new(&settings.module)?;
        let project = settings.module.project.clone().unwrap_or_default();
        let aws = Aws::new(&settings)?;
        let Some(host) = ecr_host(&settings, &aws).await? else {
            tracing::info!("the target is not ECR: its content is kept, delete it there");
            return Ok(Exit::Done);
        };
        let (bucket, object) = publication.bucket(&host, &aws).await;
        let mut others = Results::read(&bucket, &host.to_string(), ResultSet::All).await?;
        let own = others.take(object).unwrap_or_default();
        let own_is_unreadable = others.unreadable.remove(object);
        others.remove_below(&publication.kept_prefix());
        let ecr = aws.ecr(&host);
        let tagged = destroy::observe(&ecr, &project).await?;
        let claims = Claims {
            named: &own.targets,
            others: &others,
        };
        let plan = destroy::plan(&project, &tagged, &claims);
        show(&project, &plan, &Results::default());
        let unreadable = others.unreadable.iter();
        let own_key = object.to_owned();
        let unreadable = unreadable.chain(own_is_unreadable.as_ref().map(|why| (&own_key, why)));
        let mut count = 0;
        for (key, why) in unreadable {
            count += 1;
            let place = bucket.show(key);
            tracing::error!(
                "cannot read the result {place}, so everything that it may name is kept: {why}"
            );
        }
        if self.dry_run {
            return Ok(Exit::Done);
        }
        execute(&plan, &ecr).await?;
        if count > 0 {
            bail!(
                "some repositories were kept because results could not be read ({count}): \
                 repair or delete these objects, then run it again"
            );
        }
        bucket.delete(object).await?;
        bucket.delete(&publication.proof_object()).await?;
        if let Err(error) = publication.delete_kept(&bucket).await {
            tracing::warn!("the results that were kept could not be deleted: {error}");
        }
        if let Err(error) = bucket.delete(&publication.page_object()).await {
            tracing::warn!("the report's page could not be deleted: {error}");
        }
        let runs = publication.runs(&host).prefix;
        if let Err(error) = clear(&bucket, &runs).await {
            tracing::warn!(
                "cannot delete the objects {runs}* of failed runs from the bucket: {error}"
            );
        }
        if bucket.delete_if_ours_and_empty(&project).await? {
            tracing::info!("deleted the result document and its bucket");
        } else {
            tracing::info!("deleted the result document");
        }
        Ok(Exit::Done)
    }
}

impl DeleteRepos {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let flags = Flags {
            project: Some(self.project.clone()),
            ..Flags::default()
        };
        let settings = Settings::for_destroy(&flags, with.environment, Targets::Project)?;
        let project = settings.module.project.clone().unwrap_or_default();
        if !self.dry_run && !self.yes && !std::io::stdin().is_terminal() {
            let problem = Problem::input(
                "delete-repos",
                "there is no terminal to ask for confirmation",
            );
            return Err(Problems::from(
                problem.remedy("use --yes, or --dry-run to see the list first"),
            )
            .into());
        }
        let aws = Aws::new(&settings)?;
        let Some(host) = ecr_host(&settings, &aws).await? else {
            return Ok(Exit::Done);
        };
        let ecr = aws.ecr(&host);
        let tagged = destroy::observe(&ecr, &project).await?;
        let plan = destroy::plan_by_hand(&project, &tagged, self.all);
        let bucket = publish::project_bucket(&project, &host, &aws).await;
        let results = Results::read(&bucket, &host.to_string(), ResultSet::All).await;
        let results = results.unwrap_or_else(|error| {
            tracing::warn!("cannot find out which deployments use the repositories: {error}");
            Results::default()
        });
        for (key, why) in &results.unreadable {
            let place = bucket.show(key);
            tracing::warn!("cannot read the result {place}, so what it names is not known: {why}");
        }
        show(&project, &plan, &results);
        if self.dry_run || plan.delete.is_empty() {
            return Ok(Exit::Done);
        }
        if !self.yes && !is_confirmed(&project, plan.delete.len(), &host).await? {
            bail!("not confirmed, nothing was deleted");
        }
        execute(&plan, &ecr).await?;
        Ok(Exit::Done)
    }
}

async fn ecr_host(settings: &Settings, aws: &Arc<Aws>) -> anyhow::Result<Option<EcrHost>> {
    Ok(match &settings.target {
        TargetChoice::Given(Prefix::Ecr { host, .. }) => Some(host.clone()),
        TargetChoice::Module { region, .. } => Some(aws.ecr_host(region).await?),
        TargetChoice::Named | TargetChoice::Given(_) => None,
    })
}

/// Deletes what failed runs left in the run store.
async fn clear(bucket: &Bucket, prefix: &str) -> Result<(), Error> {
    for (key, _) in bucket.list(prefix).await? {
        bucket.delete(&key).await?;
    }
    Ok(())
}

/// Shows the plan, with the results that name what it deletes.
fn show(project: &str, plan: &Plan, results: &Results) {
    tracing::info!(
        "repositories of the project {project}: {} to delete, {} to keep",
        plan.delete.len(),
        plan.keep.len()
    );
    for (word, list) in [("delete", &plan.delete), ("keep  ", &plan.keep)] {
        for (name, reason) in list {
            let users = results.users(name);
            let users = if users.is_empty() {
                String::new()
            } else {
                format!("; used by {}", users.join(", "))
            };
            tracing::info!(
                repository = name,
                "  {word} {name}: {}{users}",
                reason.words()
            );
        }
    }
}

async fn execute(plan: &Plan, ecr: &Ecr) -> anyhow::Result<()> {
    let mut failed = 0;
    for (name, deleted) in destroy::execute(plan, ecr).await {
        match deleted {
            Ok(()) => tracing::info!(repository = name, "deleted {name}"),
            Err(error) => {
                failed += 1;
                tracing::error!(repository = name, "cannot delete {name}: {error}");
            }
        }
    }
    if failed > 0 {
        bail!(
            "{failed} of {} could not be deleted; fix the cause and run it again",
            progress::count(plan.delete.len(), "repository")
        );
    }
    Ok(())
}

/// Asks for the project's name. The answer is read on a separate thread, so that a signal ends the wait.
async fn is_confirmed(project: &str, count: usize, host: &EcrHost) -> anyhow::Result<bool> {
    let (account, region) = (&host.account, &host.region);
    let question = format!(
        "Type the project's name to delete {} with all images \
         from account {account} in {region}: ",
        progress::count(count, "repository")
    );
    let typed = tokio::task::spawn_blocking(move || {
        // The list comes first.
        stderr::flush();
        let mut terminal = std::io::stderr();
        terminal.write_all(question.as_bytes())?;
        terminal.flush()?;
        let mut typed = String::new();
        std::io::stdin().lock().read_line(&mut typed)?;
        std::io::Result::Ok(typed)
    });
    let typed = typed.await?.context("cannot ask for the project's name")?;
    Ok(typed.trim() == project)
}
