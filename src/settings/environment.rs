//! The environment as Seed-Farmer, CodeBuild and a shell make it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// The variables that matter, once read.
#[derive(Debug, Default, Clone)]
pub struct Environment {
    /// `SEEDFARMER_PARAMETER_*`
    pub parameters: Parameters,
    /// `SEEDFARMER_PROJECT_NAME`
    pub project: Option<String>,
    /// `SEEDFARMER_DEPLOYMENT_NAME`
    pub deployment: Option<String>,
    /// `SEEDFARMER_MODULE_NAME`, which is `<group>-<module>`.
    pub module: Option<String>,
    /// `SEEDFARMER_MODULE_METADATA`
    pub metadata: Option<String>,
    /// `AWS_ACCOUNT_ID`
    pub account: Option<String>,
    /// `AWS_REGION`, or else `AWS_DEFAULT_REGION`
    pub region: Option<String>,
    /// `AWS_PARTITION`
    pub partition: Option<String>,
    /// `AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_S3` is set.
    pub custom_s3_endpoint: bool,
    /// `$DOCKER_CONFIG/config.json`, or else `$HOME/.docker/config.json`
    pub docker_config: Option<PathBuf>,
    /// `NO_COLOR` is unset or empty (<https://no-color.org>).
    pub color: bool,
    /// `CODEBUILD_BUILD_ID`, `<project>:<uuid>`: set in a build of CodeBuild.
    pub build: Option<String>,
}

/// What another build of the same run has to be told of the environment of the first one.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Handed {
    parameters: Parameters,
    project: Option<String>,
    deployment: Option<String>,
    module: Option<String>,
    account: Option<String>,
    partition: Option<String>,
}

/// The module parameters: names in lower case without `SEEDFARMER_PARAMETER_`, values as text.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Parameters(BTreeMap<String, String>);

/// A text with the name under which the user gave it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    place: &'a str,
    /// The text itself.
    pub(super) text: &'a str,
}

impl Environment {
    /// Reads the process's environment.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn read() -> Self {
        Self::from_vars(std::env::vars_os())
    }

    /// Takes the variables that matter; blank ones count as unset, and so does what is not UTF-8,
    /// because none of ours can be.
    ///
    /// # Panics
    /// Never: text goes into a map of text.
    #[must_use]
    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let vars: BTreeMap<String, String> = vars
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        let get = |name: &str| vars.get(name).cloned();
        let parameters = envy::prefixed("SEEDFARMER_PARAMETER_")
            .from_iter::<_, BTreeMap<String, String>>(vars.clone())
            .expect("text goes into a map of text");
        let docker_config = get("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| get("HOME").map(|home| PathBuf::from(home).join(".docker")));
        Self {
            parameters: Parameters(parameters),
            project: get("SEEDFARMER_PROJECT_NAME"),
            deployment: get("SEEDFARMER_DEPLOYMENT_NAME"),
            module: get("SEEDFARMER_MODULE_NAME"),
            metadata: get("SEEDFARMER_MODULE_METADATA"),
            account: get("AWS_ACCOUNT_ID"),
            region: get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION")),
            partition: get("AWS_PARTITION"),
            custom_s3_endpoint: get("AWS_ENDPOINT_URL")
                .or_else(|| get("AWS_ENDPOINT_URL_S3"))
                .is_some(),
            docker_config: docker_config.map(|dir| dir.join("config.json")),
            color: get("NO_COLOR").is_none(),
            build: get("CODEBUILD_BUILD_ID"),
        }
    }
}

impl Environment {
    /// For another build of the same run: Seed-Farmer tells only the first one.
    #[must_use]
    pub fn handed(&self) -> Handed {
        Handed {
            parameters: self.parameters.clone(),
            project: self.project.clone(),
            deployment: self.deployment.clone(),
            module: self.module.clone(),
            account: self.account.clone(),
            partition: self.partition.clone(),
        }
    }

    /// With what the first build handed on.
    #[must_use]
    pub fn with(self, handed: Handed) -> Self {
        Self {
            parameters: handed.parameters,
            project: handed.project,
            deployment: handed.deployment,
            module: handed.module,
            account: handed.account,
            partition: handed.partition,
            ..self
        }
    }
}

impl Parameters {
    /// A parameter's value; `None` when it is not given or is the JSON `null` that Seed-Farmer makes
    /// of an empty value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| *value != "null")
    }

    /// Forgets all parameters but some.
    pub(super) fn keep(&mut self, names: &[&str]) {
        self.0.retain(|name, _| names.contains(&name.as_str()));
    }

    /// The flag where it is given, or else the parameter, with the name to blame.
    pub(super) fn pick<'a>(
        &'a self,
        flag_name: &'a str,
        flag: Option<&'a str>,
        parameter: &'a str,
    ) -> Option<Given<'a>> {
        match flag {
            Some(text) if !text.trim().is_empty() => Some(Given {
                place: flag_name,
                text,
            }),
            _ => self.get(parameter).map(|text| Given {
                place: manifest_name(parameter),
                text,
            }),
        }
    }
}

/// A parameter as manifests and README spell it.
fn manifest_name(parameter: &str) -> &str {
    match parameter {
        "eks_version" => "parameter eks-version",
        "registry_prefix" => "parameter RegistryPrefix",
        "platforms" => "parameter Platforms",
        "jobs" => "parameter Jobs",
        "tries" => "parameter Tries",
        "patience" => "parameter Patience",
        "connect_timeout" => "parameter ConnectTimeout",
        "answer_timeout" => "parameter AnswerTimeout",
        "slowest_transfer" => "parameter SlowestTransfer",
        "quotas" => "parameter Quotas",
        "fan_out" => "parameter FanOut",
        "hash" => "parameter Hash",
        "custom_tags" => "parameter CustomTags",
        "image_tag_mutability" => "parameter ImageTagMutability",
        "kms_key_arn" => "parameter KmsKeyArn",
        "scan_on_push" => "parameter ScanOnPush",
        "lifecycle_policy" => "parameter LifecyclePolicy",
        "repository_policy" => "parameter RepositoryPolicy",
        "blob_mounting" => "parameter BlobMounting",
        "referrers" => "parameter Referrers",
        "retention_type" => "parameter RetentionType",
        "helm_repo_secret_name" => "parameter HelmRepoSecretName",
        "helm_repo_secret_key" => "parameter HelmRepoSecretKey",
        other => other,
    }
}

impl Given<'_> {
    /// Parses the text; what is wrong with it becomes a problem that names where it was given.
    pub(super) fn parse_with<T, E: Display>(
        self,
        problems: &mut Vec<Problem>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(self.text) {
            Ok(value) => Some(value),
            Err(error) => {
                problems.push(Problem::input(self.place, error.to_string()));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(vars: &[(&str, &str)]) -> Environment {
        Environment::from_vars(vars.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn parameters_lose_their_prefix_and_blank_ones_count_as_unset() {
        let read = environment(&[
            ("SEEDFARMER_PARAMETER_EKS_VERSION", "1.34"),
            ("SEEDFARMER_PARAMETER_PLATFORMS", " "),
            ("SEEDFARMER_PARAMETER_JOBS", "null"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("HOME", "/home/me"),
            ("NO_COLOR", "1"),
        ]);
        assert_eq!(read.parameters.get("eks_version"), Some("1.34"));
        assert_eq!(read.parameters.get("platforms"), None);
        assert_eq!(read.parameters.get("jobs"), None);
        assert_eq!(read.region.as_deref(), Some("eu-west-1"));
        assert_eq!(
            read.docker_config,
            Some(PathBuf::from("/home/me/.docker/config.json"))
        );
        assert!(!read.color);
    }

    #[test]
    fn the_nearer_region_variable_wins() {
        let read = environment(&[
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_REGION", "eu-west-3"),
        ]);
        assert_eq!(read.region.as_deref(), Some("eu-west-3"));
    }
}
