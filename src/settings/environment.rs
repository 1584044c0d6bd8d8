//! The environment as Seed-Farmer, CodeBuild and a shell make it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Parameters;

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
    /// `REGISTRY_AUTH_FILE` (podman's and skopeo's variable), or else `$DOCKER_CONFIG/config.json`, or else
    /// `$HOME/.docker/config.json`
    pub docker_config: Option<PathBuf>,
    /// `HTTP_PROXY` in capitals or not, or else `ALL_PROXY`
    pub http_proxy: Option<String>,
    /// `HTTPS_PROXY` in capitals or not, or else `ALL_PROXY`
    pub https_proxy: Option<String>,
    /// `NO_PROXY` in capitals or not
    pub no_proxy: Option<String>,
    /// `NO_COLOR` is unset or empty (<https://no-color.org>).
    pub color: bool,
    /// `CODEBUILD_BUILD_ID`, `<project>:<uuid>`: set in a build of CodeBuild.
    pub build: Option<String>,
}

/// The parameters that a further build of a run needs. Others stay with the first build: they can hold
/// secrets, and what further builds are told lies in the bucket.
const FOR_WORKERS: [&str; 21] = [
    "registry_prefix",
    "platforms",
    "referrers",
    "jobs",
    "tries",
    "patience",
    "connect_timeout",
    "answer_timeout",
    "slowest_transfer",
    "quotas",
    "hash",
    "endpoints",
    "custom_tags",
    "image_tag_mutability",
    "kms_key_arn",
    "scan_on_push",
    "lifecycle_policy",
    "repository_policy",
    "adopt_repositories",
    "helm_repo_secret_name",
    "helm_repo_secret_key",
];

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
    #[must_use]
    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let vars: BTreeMap<String, String> = vars
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        let get = |name: &str| vars.get(name).cloned();
        let docker_config = get("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| get("HOME").map(|home| PathBuf::from(home).join(".docker")));
        let docker_config = docker_config.map(|dir| dir.join("config.json"));
        let proxy = |name: &str| get(name).or_else(|| get(&name.to_lowercase()));
        Self {
            parameters: Parameters::from_vars(&vars),
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
            docker_config: get("REGISTRY_AUTH_FILE")
                .map(PathBuf::from)
                .or(docker_config),
            http_proxy: proxy("HTTP_PROXY").or_else(|| proxy("ALL_PROXY")),
            https_proxy: proxy("HTTPS_PROXY").or_else(|| proxy("ALL_PROXY")),
            no_proxy: proxy("NO_PROXY"),
            color: get("NO_COLOR").is_none(),
            build: get("CODEBUILD_BUILD_ID"),
        }
    }
}

impl Environment {
    /// For another build of the same run: Seed-Farmer tells only the first one.
    #[must_use]
    pub fn handed(&self) -> Handed {
        let mut parameters = self.parameters.clone();
        parameters.keep(&FOR_WORKERS);
        Handed {
            parameters,
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
    fn proxies_and_the_login_file_are_named_by_the_usual_variables() {
        let read = environment(&[
            ("http_proxy", "a:1"),
            ("ALL_PROXY", "c:1"),
            ("no_proxy", "x.io"),
            ("HOME", "/home/me"),
            ("REGISTRY_AUTH_FILE", "/run/auth.json"),
        ]);
        assert_eq!(read.http_proxy.as_deref(), Some("a:1"));
        assert_eq!(read.https_proxy.as_deref(), Some("c:1"));
        assert_eq!(read.no_proxy.as_deref(), Some("x.io"));
        assert_eq!(read.docker_config, Some(PathBuf::from("/run/auth.json")));
    }

    #[test]
    fn further_builds_are_told_only_what_they_need() {
        let read = environment(&[
            ("SEEDFARMER_PARAMETER_JOBS", "3"),
            (
                "SEEDFARMER_PARAMETER_REPLICATOR_DISTRO_URL",
                "https://x/?X-Amz-Signature=4711",
            ),
            ("SEEDFARMER_PARAMETER_DB_PASSWORD", "4711"),
            ("SEEDFARMER_MODULE_METADATA", r#"{"x": "4711"}"#),
        ]);
        let handed = serde_json::to_string(&read.handed()).unwrap();
        assert!(
            handed.contains("jobs") && !handed.contains("4711"),
            "{handed}"
        );
        let own = environment(&[("SEEDFARMER_PARAMETER_DB_PASSWORD", "own")]);
        let further = own.with(read.handed());
        assert_eq!(further.parameters.get("jobs"), Some("3"));
        assert_eq!(further.parameters.get("db_password"), None);
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
