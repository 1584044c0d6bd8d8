//! Environment and flags -> [`Settings`]. The only reader of the environment; a flag wins over its
//! variable. Touches no network.

mod bundle_location;
mod environment;
mod fan_out;
mod flags;
mod hosts;
mod list;
mod network;
pub mod parameters;
mod platform;
mod policies;
mod profiles;
mod repositories;
mod trust_mode;

use std::path::PathBuf;

use helm_chart::render::KubeVersion;

use crate::closure;
use crate::problem::{Problem, Problems};
use crate::reference::Prefix;
use oci_copy::copy;

pub use crate::inventory::DataFiles;
pub use bundle_location::BundleLocation;
pub use environment::{AwsVariables, CodeBuildVariables, Environment, Forwarded, SeedFarmer};
pub use fan_out::{FanOut, MOST_BUILDS};
pub use flags::Flags;
pub use hosts::unused_hosts;
pub use network::{Quotas, quota};
pub use oci_copy::copy::{HashPolicy, ReferrerPolicy};
pub use oci_copy::http::{DEFAULT_JOBS, Network};
pub use oci_copy::manifest::Platform;
pub use parameters::Parameters;
pub use platform::parse_list as parse_platforms;
pub use profiles::Profiles;
pub use repositories::{BlobMounting, Repositories, Retention};
pub use trust_mode::TrustMode;

/// The folder of the data files in the module, where Seed-Farmer puts `dataFiles`.
pub const DEFAULT_DATA_DIR: &str = "data/eks_dockerimage-replication/versions";

/// The tags that mark what this module creates: the framework's names, and the program.
pub const OWNERSHIP_TAGS: [&str; 4] = [
    "SeedFarmerProjectName",
    "SeedFarmerDeploymentName",
    "SeedFarmerModuleName",
    "ManagedBy",
];

/// The value of `ManagedBy`. Other modules of a project use the framework's tags too.
pub const MANAGED_BY: &str = "replicator";

/// All settings of a run, validated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The target.
    pub target: TargetChoice,
    /// The Seed-Farmer module that this run is.
    pub module: Module,
    /// Concurrency, timeouts and hosts.
    pub network: Network,
    /// The folder for result files.
    pub out: PathBuf,
    /// Which platforms and referrers are copied, and where digests are checked.
    pub copy: copy::Options,
    /// How a plan's charts are proved.
    pub closure: closure::Options,
    /// What happens to a source that does not prove what it has to.
    pub trust: TrustMode,
    /// ECR's quotas, in requests per second.
    pub quotas: Quotas,
    /// Account, region and endpoints of AWS.
    pub aws: Aws,
    /// Whether only locked content is copied, and by which lock.
    pub lock: LockSettings,
    /// How many builds may be used.
    pub fan_out: FanOut,
    /// The build of CodeBuild that this run is, `<project>:<uuid>`.
    pub build: Option<String>,
    /// The settings of repositories.
    pub repositories: Repositories,
    /// What happens to repositories when the module is destroyed.
    pub retention: Retention,
    /// `AttestationKmsKeyArn`: the key that signs what was copied.
    pub attestation_key: Option<String>,
    /// `TrustKmsKeyArns`: the keys that the module's role may read to verify sources.
    pub trust_keys: Vec<String>,
    /// The secret with credentials for sources, if one is named.
    pub secret: Option<SecretName>,
    /// The bundle that is the only source, if one is named.
    pub bundle: Option<Bundle>,
    /// The path of the user's Docker configuration file.
    pub docker_config: Option<PathBuf>,
    /// Whether `NO_COLOR` is unset.
    pub color: bool,
}

/// Whether only locked content is copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockSettings {
    /// Only what the lock has is copied: `Locked`, or a named lock.
    pub is_required: bool,
    /// The lock: `Lock`; `None` for the one beside the data file.
    pub file: Option<PathBuf>,
}

fn referrer_policy(text: &str) -> Result<ReferrerPolicy, String> {
    match text.trim().to_lowercase().as_str() {
        "none" | "false" | "no" | "0" => Ok(ReferrerPolicy::None),
        "image" | "true" | "yes" | "1" => Ok(ReferrerPolicy::Image),
        "all" => Ok(ReferrerPolicy::All),
        _ => Err(format!("`{text}` is none of image, all, none")),
    }
}

/// A list of ARNs of keys.
fn key_arns(text: &str) -> Result<Vec<String>, String> {
    let arns = list::entries(text)?;
    arns.iter().try_for_each(|arn| repositories::key_arn(arn))?;
    Ok(arns)
}

/// The bundle that is the only source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Where it is: `Bundle`.
    pub place: BundleLocation,
    /// The account that owns its bucket, where that is another one: `BundleBucketOwner`.
    pub bucket_owner: Option<String>,
}

/// A secret of Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    /// Its name or ARN: `HelmRepoSecretName`.
    pub name: String,
    /// The entry of it to use: `HelmRepoSecretKey`.
    pub key: Option<String>,
}

/// The target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetChoice {
    /// Given by `--registry-prefix`.
    Given(Prefix),
    /// Given by the command's arguments.
    Named,
    /// `<account>.dkr.ecr.<region>.<suffix>/<project>-`, once account and suffix are known.
    Module {
        /// The project, in lower case.
        project: String,
        /// The region.
        region: String,
    },
}

/// Which targets a command can be given, so that its remedies name no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Targets {
    /// ECR, another registry or a folder, with `--registry-prefix`.
    Any,
    /// ECR, with `--registry-prefix`, besides the project.
    Ecr,
    /// The project's own: there is no flag for another one.
    Project,
}

impl Targets {
    /// What can be given in place of the project, as the end of a remedy.
    fn without_project(self) -> &'static str {
        match self {
            Self::Any => ANY_TARGET,
            Self::Ecr | Self::Project => "",
        }
    }

    /// What can be given in place of the region, as the end of a remedy.
    fn without_region(self) -> &'static str {
        match self {
            Self::Any => ANY_TARGET,
            Self::Ecr => {
                ",\nor name the target in ECR with --registry-prefix, such as \
                 123456789012.dkr.ecr.eu-west-1.amazonaws.com/idf-"
            }
            Self::Project => "",
        }
    }
}

const ANY_TARGET: &str =
    ",\nor name the target with --registry-prefix, such as `oci:mirror` for a folder";

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

/// The environment's AWS settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aws {
    /// `AWS_ACCOUNT_ID`
    pub account: Option<String>,
    /// `AWS_REGION`, or else `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// `--profile`, or else `AWS_PROFILE`.
    pub profile: Option<AwsProfile>,
    /// The endpoint of all services, where the environment sets one.
    pub endpoint: Option<String>,
    /// `AWS_PARTITION`
    pub partition: Option<String>,
    /// Whether the environment sets another S3 endpoint (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`), which does not
    /// serve buckets under their host names.
    pub custom_s3_endpoint: bool,
}

/// A profile of the AWS CLI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsProfile {
    /// Its name.
    pub name: String,
    /// Whether `--profile` names it: it then wins over the variables that hold credentials.
    pub is_flag: bool,
}

impl Settings {
    /// The settings that flags and environment give.
    ///
    /// # Errors
    /// Every problem at once, each naming its flag or variable.
    pub fn new(flags: &Flags, environment: &Environment) -> Result<Self, Problems> {
        Self::with_targets(flags, environment, Targets::Any)
    }

    /// The same for a command that can be given only these targets.
    ///
    /// # Errors
    /// Every problem at once, each naming its flag or variable.
    pub fn with_targets(
        flags: &Flags,
        environment: &Environment,
        targets: Targets,
    ) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let module = Module::new(flags, environment);
        let given = environment.parameters.pick(flags, "registry_prefix");
        let target = if let Some(given) = given {
            given
                .parse_with(&mut problems, str::parse::<Prefix>)
                .map(TargetChoice::Given)
        } else {
            let region = flags.region.as_deref().or(environment.aws.region());
            default_target(&module, region, targets, &mut problems)
        };
        if !matches!(
            target,
            Some(TargetChoice::Given(
                Prefix::Registry { .. } | Prefix::Layout { .. }
            ))
        ) {
            problems.extend(environment.check_profile().err());
        }
        let settings = Self::collect(flags, environment, target, module, &mut problems);
        Problems::or(problems, settings)
    }

    /// The same for a command whose arguments name the target.
    ///
    /// # Errors
    /// Every problem at once, each naming its flag or variable.
    pub fn without_target(flags: &Flags, environment: &Environment) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let module = Module::new(flags, environment);
        let settings = Self::collect(
            flags,
            environment,
            Some(TargetChoice::Named),
            module,
            &mut problems,
        );
        Problems::or(problems, settings)
    }

    /// What happens to repositories when the module is destroyed; if they are kept, no other setting is needed.
    ///
    /// # Errors
    /// When the word is neither RETAIN nor DESTROY.
    pub fn retention(flags: &Flags, environment: &Environment) -> Result<Retention, Problems> {
        let mut problems = Vec::new();
        let retention = retention(flags, &environment.parameters, &mut problems);
        Problems::or(problems, retention)
    }

    /// The same for `destroy`: other settings are not validated, so that a module with an invalid parameter can be
    /// destroyed.
    ///
    /// # Errors
    /// Every problem at once, each naming its flag or variable.
    pub fn for_destroy(
        flags: &Flags,
        environment: &Environment,
        targets: Targets,
    ) -> Result<Self, Problems> {
        const NEEDED: [&str; 2] = ["retention_type", "registry_prefix"];
        const LIMITS: [&str; 4] = ["tries", "patience", "connect_timeout", "answer_timeout"];
        let with = |names: &[&str]| {
            let mut environment = environment.clone();
            environment.parameters.keep(names);
            Self::with_targets(flags, &environment, targets)
        };
        // Invalid limits become the defaults.
        let wanted = [&NEEDED[..], &LIMITS[..]].concat();
        with(&wanted).or_else(|_| with(&NEEDED))
    }

    fn collect(
        flags: &Flags,
        environment: &Environment,
        target: Option<TargetChoice>,
        module: Module,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let parameters = &environment.parameters;
        problems.extend(parameters.conflicts());
        let region = flags.region.as_deref().or(environment.aws.region());
        let repositories = Repositories::new(flags, parameters, problems);
        let retention = retention(flags, parameters, problems);
        let default = ReferrerPolicy::default();
        let referrers = parameters.read(flags, "referrers", default, problems, referrer_policy);
        let attestation_key = parameters.pick(flags, "attestation_kms_key_arn");
        let attestation_key = attestation_key.and_then(|given| {
            let checked = |text: &str| repositories::key_arn(text).map(|()| text.to_owned());
            given.parse_with(problems, checked)
        });
        let none = Vec::new();
        let trust_keys = parameters.read(flags, "trust_kms_key_arns", none, problems, key_arns);
        let secret_name = parameters.pick(flags, "helm_repo_secret_name");
        let secret_key = parameters.pick(flags, "helm_repo_secret_key");
        if let (None, Some(_)) = (&secret_name, &secret_key) {
            let what = "an entry of a secret is named, but no secret";
            let problem = Problem::input("HelmRepoSecretKey, --secret-key", what);
            problems
                .push(problem.remedy("name the secret with HelmRepoSecretName or --secret-name"));
        }
        let secret = secret_name.map(|name| SecretName {
            name: name.text.trim().to_owned(),
            key: secret_key.map(|key| key.text.trim().to_owned()),
        });
        let all = Vec::new();
        let platforms = parameters.read(flags, "platforms", all, problems, platform::parse_list);
        let mode = closure::Mode::default();
        let mode = parameters.read(flags, "closure", mode, problems, closure::Mode::parse);
        let kube_version = |text: &str| KubeVersion::of_cluster(text).map(Some);
        let kube_version = parameters.read(flags, "kube_version", None, problems, kube_version);
        let file = parameters.pick(flags, "lock");
        let file = file.map(|file| PathBuf::from(file.text));
        let locked = parameters.read(flags, "locked", false, problems, repositories::flag);
        let switches = parameters.read(flags, "switches", false, problems, repositories::flag);
        let pin_digests =
            parameters.read(flags, "pin_digests", false, problems, repositories::flag);
        let mode_of_trust = TrustMode::default();
        let mode_of_trust =
            parameters.read(flags, "trust", mode_of_trust, problems, TrustMode::parse);
        let auto = FanOut::default();
        let fan_out = parameters.read(flags, "fan_out", auto, problems, FanOut::parse);
        let bundle = Bundle::new(flags, parameters, problems);
        let given = network::Given::new(flags, environment, problems);
        let network::Given {
            network,
            quotas,
            hash,
        } = given?;
        Some(Self {
            target: target?,
            module,
            network,
            out: flags.out.clone().unwrap_or_else(|| PathBuf::from(".")),
            copy: copy::Options {
                platforms: platforms?,
                referrers: referrers?,
                hash,
            },
            closure: closure::Options {
                mode: mode?,
                kube_version: kube_version?,
                switches: switches?,
                pin_digests: pin_digests?,
            },
            trust: mode_of_trust?,
            quotas,
            aws: Aws {
                account: environment.aws.account_id.clone(),
                region: region.map(str::to_owned),
                profile: environment.aws.profile(),
                endpoint: environment.aws.endpoint_url.clone(),
                partition: environment.aws.partition.clone(),
                custom_s3_endpoint: environment.aws.has_custom_s3_endpoint(),
            },
            lock: LockSettings {
                is_required: locked? || file.is_some(),
                file,
            },
            fan_out: fan_out?,
            build: environment.codebuild.build_id.clone(),
            repositories,
            retention: retention?,
            attestation_key,
            trust_keys: trust_keys?,
            secret,
            bundle,
            docker_config: environment.docker_config.clone(),
            color: environment.color,
        })
    }
}

impl Module {
    fn new(flags: &Flags, environment: &Environment) -> Self {
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

impl Bundle {
    /// The bundle that flags and parameters name, if they do.
    fn new(flags: &Flags, parameters: &Parameters, problems: &mut Vec<Problem>) -> Option<Self> {
        let place = |text: &str| text.parse::<BundleLocation>().map(Some);
        let place = parameters.read(flags, "bundle", None, problems, place);
        let account = |text: &str| {
            let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
            let wrong =
                || format!("`{text}` is not an account of AWS: it has 12 digits, in quotes");
            is_account.then(|| Some(text.to_owned())).ok_or_else(wrong)
        };
        let owner = parameters.read(flags, "bundle_bucket_owner", None, problems, account);
        Some(Self {
            place: place.flatten()?,
            bucket_owner: owner.flatten(),
        })
    }
}

fn default_target(
    module: &Module,
    region: Option<&str>,
    targets: Targets,
    problems: &mut Vec<Problem>,
) -> Option<TargetChoice> {
    let (no_project, no_region) = (targets.without_project(), targets.without_region());
    if module.project.is_none() {
        problems.push(
            Problem::input(
                "SEEDFARMER_PROJECT_NAME",
                "no project is given, so there is no default target",
            )
            .remedy(format!("outside Seed-Farmer give --project{no_project}")),
        );
    }
    if region.is_none() {
        problems.push(
            Problem::input(
                "AWS_REGION",
                "no region is given, so there is no default target",
            )
            .remedy(format!(
                "give --region, or --profile with one that has a region{no_region}"
            )),
        );
    }
    let (project, region) = (module.project.clone()?, region?.trim().to_owned());
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !project.starts_with(|c: char| c != '-') || !project.chars().all(is_letter) {
        let what = format!("`{project}` cannot begin the names of repositories and of a bucket");
        let remedy = "a project has letters, digits and `-`, and does not start with `-`";
        problems.push(Problem::input("SEEDFARMER_PROJECT_NAME, --project", what).remedy(remedy));
    }
    if region.split('-').count() < 3 || !region.chars().all(is_letter) {
        let what = format!("`{region}` is not a region of AWS such as eu-central-1");
        let problem = Problem::input("AWS_REGION, --region", what);
        problems.push(problem.remedy(format!("set AWS_REGION or AWS_DEFAULT_REGION{no_region}")));
    }
    Some(TargetChoice::Module { project, region })
}

fn retention(
    flags: &Flags,
    parameters: &Parameters,
    problems: &mut Vec<Problem>,
) -> Option<Retention> {
    let default = Retention::default();
    parameters.read(flags, "retention_type", default, problems, Retention::parse)
}

#[cfg(test)]
mod tests;
