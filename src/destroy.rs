//! The end of a module or of a project: what there is, what of it is deleted and why, and its deletion.
//!
//! [`ModuleRemoval`] is what `replicator destroy` does, [`ProjectRemoval`] what `replicator delete-repos` does. Both are
//! made of what AWS says, can be looked at before anything is deleted, and then delete exactly that.

mod module;
mod plan;
mod project;

use std::sync::Arc;

pub use module::{DeletedModule, DeletedResults, ModuleRemoval, Removable};
pub use plan::{Claims, Plan, Reason, Tagged, execute, observe, plan, plan_by_hand};
pub use project::ProjectRemoval;

use crate::aws::{Aws, Error};
use crate::reference::{EcrHost, Prefix};
use crate::settings::{Settings, TargetChoice};

/// Repositories that were to be deleted, each with why it could not be.
pub type DeletedRepositories = Vec<(String, Result<(), Error>)>;

/// A result document that cannot be read, so that it is not known what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableResult {
    /// `s3://BUCKET/KEY`.
    pub place: String,
    /// Why it cannot be read.
    pub why: String,
}

/// The ECR that settings name; `None` for another registry or a folder.
async fn ecr_host(settings: &Settings, aws: &Arc<Aws>) -> anyhow::Result<Option<EcrHost>> {
    Ok(match &settings.target {
        TargetChoice::Given(Prefix::Ecr { host, .. }) => Some(host.clone()),
        TargetChoice::Module { region, .. } => Some(aws.ecr_host(region).await?),
        TargetChoice::Named | TargetChoice::Given(_) => None,
    })
}
