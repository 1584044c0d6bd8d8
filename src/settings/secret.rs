//! The secret with credentials for sources.

use crate::problem::Problem;

use super::{Flags, Parameters};

/// A secret of Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    /// Its name or ARN: `HelmRepoSecretName`.
    pub name: String,
    /// The entry of it to use: `HelmRepoSecretKey`.
    pub key: Option<String>,
}

impl SecretName {
    /// The secret that flags and parameters name, if they do.
    pub(super) fn new(
        flags: &Flags,
        parameters: &Parameters,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let secret_name = parameters.pick(flags, "helm_repo_secret_name");
        let secret_key = parameters.pick(flags, "helm_repo_secret_key");
        if let (None, Some(_)) = (&secret_name, &secret_key) {
            let what = "an entry of a secret is named, but no secret";
            let problem = Problem::input("HelmRepoSecretKey, --secret-key", what);
            problems
                .push(problem.remedy("name the secret with HelmRepoSecretName or --secret-name"));
        }
        secret_name.map(|name| Self {
            name: name.text.trim().to_owned(),
            key: secret_key.map(|key| key.text.trim().to_owned()),
        })
    }
}
