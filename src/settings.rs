//! Environment and flags -> [`Settings`]. The only reader of the environment; a flag wins over its
//! variable. Touches no network.

mod aws;
mod bundle;
mod data_files;
mod environment;
mod fan_out;
mod flags;
mod hosts;
mod list;
mod module;
mod network;
pub mod parameters;
mod platform;
mod policies;
mod profiles;
mod repositories;
mod secret;
mod target;
mod trust_mode;

use std::collections::BTreeSet;
use std::path::PathBuf;

use helm_chart::render::KubeVersion;

use crate::closure;
use crate::problem::{Problem, Problems};
use crate::reference::Prefix;
use oci_copy::copy;

pub use crate::inventory::DataFiles;
pub use aws::{Aws, AwsProfile};
pub use bundle::{Bundle, BundleLocation};
pub use data_files::DEFAULT_DATA_DIR;
pub use environment::{AwsVariables, CodeBuildVariables, Environment, Forwarded, SeedFarmer};
pub use fan_out::{FanOut, MOST_BUILDS};
pub use flags::Flags;
pub use hosts::unused_hosts;
pub use module::Module;
pub use network::{Quotas, quota};
pub use oci_copy::copy::{HashPolicy, ReferrerPolicy};
pub use oci_copy::http::{DEFAULT_JOBS, Network};
pub use oci_copy::manifest::Platform;
pub use parameters::Parameters;
pub use platform::parse_list as parse_platforms;
pub use profiles::Profiles;
pub use repositories::{BlobMounting, Repositories, Retention};
pub use secret::SecretName;
pub use target::{TargetChoice, Targets};
pub use trust_mode::TrustMode;

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
    /// The hosts of endpoints and of plain HTTP that only a variable names, which many runs share.
    pub shared_hosts: BTreeSet<String>,
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
            target::default_target(&module, region, targets, &mut problems)
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
        let secret = SecretName::new(flags, parameters, problems);
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
            shared_hosts,
            quotas,
            hash,
        } = given?;
        Some(Self {
            target: target?,
            module,
            network,
            shared_hosts,
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
            aws: Aws::new(flags, environment),
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
