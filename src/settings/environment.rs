//! The environment variables of Seed-Farmer, CodeBuild and shells.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::profiles::Profiles;
use super::{AwsProfile, Parameters};
use crate::problem::Problem;

/// All variables that this program uses.
#[derive(Debug, Default, Clone)]
pub struct Environment {
    /// `SEEDFARMER_PARAMETER_*`
    pub parameters: Parameters,
    /// Seed-Farmer's variables of the module.
    pub seed_farmer: SeedFarmer,
    /// AWS's variables.
    pub aws: AwsVariables,
    /// CodeBuild's variables of the build.
    pub codebuild: CodeBuildVariables,
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
    /// The profiles of the AWS CLI.
    pub profiles: Profiles,
    /// `COLUMNS`: the width of tables, in characters.
    pub columns: Option<usize>,
}

/// `SEEDFARMER_*`: the module that is deployed. Each field has the name of its variable.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedFarmer {
    /// The project.
    pub project_name: Option<String>,
    /// The deployment.
    pub deployment_name: Option<String>,
    /// `<group>-<module>`
    pub module_name: Option<String>,
    /// The metadata of an earlier run, as JSON.
    pub module_metadata: Option<String>,
}

/// `AWS_*`, as far as this program reads them itself; the SDK reads more. Each field has the name of its
/// variable.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
pub struct AwsVariables {
    /// The account, which Seed-Farmer sets.
    pub account_id: Option<String>,
    /// The region; it wins over `default_region`.
    pub region: Option<String>,
    /// The region of the AWS CLI.
    pub default_region: Option<String>,
    /// The partition, which Seed-Farmer sets.
    pub partition: Option<String>,
    /// The endpoint of all services.
    pub endpoint_url: Option<String>,
    /// The endpoint of S3.
    pub endpoint_url_s3: Option<String>,
    /// The profile of the AWS CLI.
    pub profile: Option<String>,
    /// The configuration of the AWS CLI, instead of `~/.aws/config`.
    pub config_file: Option<PathBuf>,
    /// Its credentials, instead of `~/.aws/credentials`.
    pub shared_credentials_file: Option<PathBuf>,
    /// `--profile`
    #[serde(skip)]
    pub profile_flag: Option<String>,
}

/// `CODEBUILD_*`. Each field has the name of its variable.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
pub struct CodeBuildVariables {
    /// `<project>:<uuid>`
    pub build_id: Option<String>,
}

impl AwsVariables {
    /// The region: `AWS_REGION` wins.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref().or(self.default_region.as_deref())
    }

    /// The profile: the flag wins.
    #[must_use]
    pub fn profile(&self) -> Option<AwsProfile> {
        let (flag, variable) = (self.profile_flag.clone(), self.profile.clone());
        let is_flag = flag.is_some();
        let name = flag.or(variable)?;
        Some(AwsProfile { name, is_flag })
    }

    /// Whether `AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_S3` is set.
    #[must_use]
    pub fn has_custom_s3_endpoint(&self) -> bool {
        self.endpoint_url.is_some() || self.endpoint_url_s3.is_some()
    }
}

/// The part of the coordinator's environment that workers need.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Forwarded {
    parameters: Parameters,
    seed_farmer: SeedFarmer,
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

    /// Selects the variables; blank ones and those that are not UTF-8 count as unset.
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
        let aws: AwsVariables = prefixed("AWS_", &vars);
        let cli = |name: &str| {
            let home = get("HOME").map(PathBuf::from);
            home.map(|home| home.join(".aws").join(name))
        };
        let config = aws.config_file.clone().or_else(|| cli("config"));
        let credentials = aws.shared_credentials_file.clone();
        let credentials = credentials.or_else(|| cli("credentials"));
        let proxy = |name: &str| get(name).or_else(|| get(&name.to_lowercase()));
        Self {
            parameters: Parameters::from_vars(&vars),
            seed_farmer: prefixed("SEEDFARMER_", &vars),
            aws,
            profiles: Profiles::read(config, credentials),
            codebuild: prefixed("CODEBUILD_", &vars),
            docker_config: get("REGISTRY_AUTH_FILE")
                .map(PathBuf::from)
                .or(docker_config),
            http_proxy: proxy("HTTP_PROXY").or_else(|| proxy("ALL_PROXY")),
            https_proxy: proxy("HTTPS_PROXY").or_else(|| proxy("ALL_PROXY")),
            no_proxy: proxy("NO_PROXY"),
            color: get("NO_COLOR").is_none(),
            columns: get("COLUMNS").and_then(|columns| columns.trim().parse().ok()),
        }
    }

    /// With `--profile` and `--region`, which win over their variables.
    #[must_use]
    pub fn with_aws(mut self, profile: Option<&str>, region: Option<&str>) -> Self {
        self.aws.profile_flag = profile.map(str::to_owned);
        if let Some(region) = region {
            self.aws.region = Some(region.to_owned());
        }
        let has_region = region.is_some() || profile.is_none() && self.aws.region().is_some();
        if !has_region {
            let profile = self.aws.profile();
            let name = profile.map_or("default".to_owned(), |profile| profile.name);
            if let Some(region) = self.profiles.region(&name) {
                self.aws.region = Some(region.to_owned());
            }
        }
        self
    }

    /// A problem if the profile that is named does not exist.
    ///
    /// # Errors
    /// The problem.
    pub fn check_profile(&self) -> Result<(), Problem> {
        let Some(profile) = self.aws.profile() else {
            return Ok(());
        };
        let place = if profile.is_flag {
            "--profile"
        } else {
            "AWS_PROFILE"
        };
        self.profiles.check(&profile.name, place)
    }

    /// What a worker needs: Seed-Farmer sets its variables for the coordinator only.
    #[must_use]
    pub fn forwarded(&self) -> Forwarded {
        let mut parameters = self.parameters.clone();
        parameters.keep_those_for_workers();
        Forwarded {
            parameters,
            seed_farmer: SeedFarmer {
                module_metadata: None,
                ..self.seed_farmer.clone()
            },
            account: self.aws.account_id.clone(),
            partition: self.aws.partition.clone(),
        }
    }

    /// With what the coordinator forwarded.
    #[must_use]
    pub fn with(self, forwarded: Forwarded) -> Self {
        Self {
            parameters: forwarded.parameters,
            seed_farmer: SeedFarmer {
                module_metadata: self.seed_farmer.module_metadata,
                ..forwarded.seed_farmer
            },
            aws: AwsVariables {
                account_id: forwarded.account,
                partition: forwarded.partition,
                ..self.aws
            },
            ..self
        }
    }
}

/// The variables that begin with a prefix, as a struct of optional texts. Variables are written in
/// capitals: envy takes `Region` for `REGION` too, and two of them for an error.
fn prefixed<T: Default + DeserializeOwned>(
    prefix: &'static str,
    vars: &BTreeMap<String, String>,
) -> T {
    let is_lower = |c: char| c.is_ascii_lowercase();
    let vars = vars.iter().filter(|(name, _)| !name.contains(is_lower));
    let vars = vars.map(|(name, value)| (name.clone(), value.clone()));
    // Optional texts under distinct names: nothing about them can be wrong.
    envy::prefixed(prefix).from_iter(vars).unwrap_or_default()
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
        assert_eq!(read.aws.region(), Some("eu-west-1"));
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
    fn workers_get_only_what_they_need() {
        let read = environment(&[
            ("SEEDFARMER_PARAMETER_JOBS", "3"),
            (
                "SEEDFARMER_PARAMETER_REPLICATOR_DISTRO_URL",
                "https://x/?X-Amz-Signature=4711",
            ),
            ("SEEDFARMER_PARAMETER_DB_PASSWORD", "4711"),
            ("SEEDFARMER_MODULE_METADATA", r#"{"x": "4711"}"#),
        ]);
        let forwarded = serde_json::to_string(&read.forwarded()).unwrap();
        assert!(
            forwarded.contains("jobs") && !forwarded.contains("4711"),
            "{forwarded}"
        );
        let own = environment(&[("SEEDFARMER_PARAMETER_DB_PASSWORD", "own")]);
        let worker = own.with(read.forwarded());
        assert_eq!(worker.parameters.get("jobs"), Some("3"));
        assert_eq!(worker.parameters.get("db_password"), None);
    }

    #[test]
    fn the_nearer_region_variable_wins() {
        let read = environment(&[
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_REGION", "eu-west-3"),
        ]);
        assert_eq!(read.aws.region(), Some("eu-west-3"));
    }

    #[test]
    fn variables_of_the_build_are_read_by_their_names() {
        let read = environment(&[
            ("SEEDFARMER_PROJECT_NAME", "idf"),
            ("SEEDFARMER_DEPLOYMENT_NAME", " "),
            ("SEEDFARMER_MODULE_NAME", "replication-images"),
            ("seedfarmer_project_name", "other"),
            ("SEEDFARMER_Project_Name", "other"),
            ("AWS_ACCOUNT_ID", "123456789012"),
            ("AWS_SECRET_ACCESS_KEY", "4711"),
            ("CODEBUILD_BUILD_ID", "p:1"),
        ]);
        let expected = SeedFarmer {
            project_name: Some("idf".to_owned()),
            module_name: Some("replication-images".to_owned()),
            ..SeedFarmer::default()
        };
        assert_eq!(read.seed_farmer, expected);
        assert_eq!(read.aws.account_id.as_deref(), Some("123456789012"));
        assert_eq!(read.codebuild.build_id.as_deref(), Some("p:1"));
        assert!(!read.aws.has_custom_s3_endpoint());
        let read = environment(&[("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")]);
        assert!(read.aws.has_custom_s3_endpoint());
    }
}
