//! The Seed-Farmer module.

use super::{Environment, Flags};

/// The Seed-Farmer module that this run is, as far as the environment or flags say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Module {
    /// Project, in lower case as names of repositories and buckets need it.
    pub project: Option<String>,
    /// Deployment.
    pub deployment: Option<String>,
    /// `<group>-<module>`.
    pub name: Option<String>,
    /// `SEEDFARMER_MODULE_METADATA`: the metadata of an earlier run.
    pub metadata: Option<String>,
}

impl Module {
    pub(super) fn new(flags: &Flags, environment: &Environment) -> Self {
        let said = environment.seed_farmer.clone();
        let project = flags.project.clone().or(said.project_name);
        Self {
            project: project.map(|project| project.to_lowercase()),
            deployment: flags.deployment.clone().or(said.deployment_name),
            name: flags.module.clone().or(said.module_name),
            metadata: said.module_metadata,
        }
    }
}
