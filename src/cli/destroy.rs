//! `replicator destroy` and `replicator delete-repos`

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};

use crate::destroy::{
    DeletedRepositories, ModuleRemoval, Plan, ProjectRemoval, Removable, UnreadableResult,
};
use crate::problem::{Problem, Problems};
use crate::progress;
use crate::publish::Results;
use crate::reference::EcrHost;
use crate::settings::{Flags, Settings, Targets};
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
        let removal = match ModuleRemoval::observe(&flags, with.environment).await? {
            Removable::Module(removal) => removal,
            Removable::Retained => {
                tracing::info!(
                    "RetentionType is RETAIN: repositories and result document are kept"
                );
                return Ok(Exit::Done);
            }
            Removable::NotEcr => {
                tracing::info!("the target is not ECR: its content is kept, delete it there");
                return Ok(Exit::Done);
            }
        };
        show(removal.project(), removal.plan(), &Results::default());
        for UnreadableResult { place, why } in removal.unreadable() {
            tracing::error!(
                "cannot read the result {place}, so everything that it may name is kept: {why}"
            );
        }
        if self.dry_run {
            return Ok(Exit::Done);
        }
        let deleted = removal.delete().await;
        report(deleted.repositories)?;
        let Some(results) = deleted.results else {
            bail!(
                "some repositories were kept because results could not be read ({}): \
                 repair or delete these objects, then run it again",
                removal.unreadable().len()
            );
        };
        let results = results?;
        for what in results.left {
            tracing::warn!("{what}");
        }
        if results.is_bucket_deleted {
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
        let removal = ProjectRemoval::observe(&settings, self.all).await?;
        let Some(removal) = removal else {
            return Ok(Exit::Done);
        };
        let nothing = Results::default();
        let results = removal.results().unwrap_or_else(|error| {
            tracing::warn!("cannot find out which deployments use the repositories: {error}");
            &nothing
        });
        for UnreadableResult { place, why } in removal.unreadable() {
            tracing::warn!("cannot read the result {place}, so what it names is not known: {why}");
        }
        let (project, plan) = (removal.project(), removal.plan());
        show(project, plan, results);
        if self.dry_run || plan.delete.is_empty() {
            return Ok(Exit::Done);
        }
        if !self.yes && !is_confirmed(project, plan.delete.len(), removal.host()).await? {
            bail!("not confirmed, nothing was deleted");
        }
        report(removal.delete().await)?;
        Ok(Exit::Done)
    }
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

/// Says what was deleted; fails if something could not be.
fn report(repositories: DeletedRepositories) -> anyhow::Result<()> {
    let (all, mut failed) = (repositories.len(), 0);
    for (name, deleted) in repositories {
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
            progress::count(all, "repository")
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
