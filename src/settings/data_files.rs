//! The data files that flags and environment name.

use std::path::PathBuf;

use crate::inventory::DataFiles;
use crate::problem::{Problem, Problems};

use super::{Environment, Flags};

/// The folder of the data files in the module, where Seed-Farmer puts `dataFiles`.
pub const DEFAULT_DATA_DIR: &str = "data/eks_dockerimage-replication/versions";

impl DataFiles {
    /// The data files that flags and environment name.
    ///
    /// # Errors
    /// When no EKS version is given.
    pub fn new(flags: &Flags, environment: &Environment) -> Result<Self, Problems> {
        let parameters = &environment.parameters;
        let dir = flags.get("data_dir").or_else(|| parameters.get("data_dir"));
        let version = parameters.pick(flags, "eks_version");
        let Some(version) = version else {
            return Err(Problem::input("eks-version", "no EKS version is given")
                .remedy(
                    "in a manifest: parameters: [{name: eks-version, value: \"1.34\"}] (with the quotes)\n\
                     by hand: --eks-version 1.34",
                )
                .into());
        };
        Ok(Self {
            dir: PathBuf::from(dir.unwrap_or(DEFAULT_DATA_DIR)),
            eks_version: version.text.trim().to_owned(),
        })
    }
}
