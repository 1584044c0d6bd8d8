//! Module parameters, in every spelling that Seed-Farmer hands on.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::problem::{Problem, slip, squash};

const PREFIX: &str = "SEEDFARMER_PARAMETER_";

/// A parameter of the module.
struct Parameter {
    /// As this program calls it.
    name: &'static str,
    /// As manifests and README spell it.
    manifest: &'static str,
    /// Whether modulestack.yaml has it too. Seed-Farmer finds it there by a stricter rule than ours.
    is_in_stack: bool,
}

const fn parameter(name: &'static str, manifest: &'static str) -> Parameter {
    Parameter {
        name,
        manifest,
        is_in_stack: false,
    }
}

const fn of_the_stack(name: &'static str, manifest: &'static str) -> Parameter {
    Parameter {
        name,
        manifest,
        is_in_stack: true,
    }
}

/// All parameters; the last ones are read by scripts/get-replicator.sh.
const KNOWN: [Parameter; 33] = [
    parameter("eks_version", "eks-version"),
    parameter("data_dir", "DataDir"),
    parameter("registry_prefix", "RegistryPrefix"),
    parameter("platforms", "Platforms"),
    parameter("jobs", "Jobs"),
    parameter("tries", "Tries"),
    parameter("patience", "Patience"),
    parameter("connect_timeout", "ConnectTimeout"),
    parameter("answer_timeout", "AnswerTimeout"),
    parameter("slowest_transfer", "SlowestTransfer"),
    parameter("quotas", "Quotas"),
    parameter("endpoints", "Endpoints"),
    of_the_stack("fan_out", "FanOut"),
    parameter("hash", "Hash"),
    parameter("referrers", "Referrers"),
    parameter("custom_tags", "CustomTags"),
    of_the_stack("image_tag_mutability", "ImageTagMutability"),
    of_the_stack("kms_key_arn", "KmsKeyArn"),
    parameter("scan_on_push", "ScanOnPush"),
    parameter("lifecycle_policy", "LifecyclePolicy"),
    parameter("repository_policy", "RepositoryPolicy"),
    of_the_stack("blob_mounting", "BlobMounting"),
    of_the_stack("retention_type", "RetentionType"),
    of_the_stack("helm_repo_secret_name", "HelmRepoSecretName"),
    parameter("helm_repo_secret_key", "HelmRepoSecretKey"),
    parameter("adopt_repositories", "AdoptRepositories"),
    parameter("bucket_versioning", "BucketVersioning"),
    of_the_stack("replicator_distro_url", "ReplicatorDistroUrl"),
    of_the_stack(
        "replicator_distro_secret_name",
        "ReplicatorDistroSecretName",
    ),
    parameter("replicator_distro_sha256", "ReplicatorDistroSha256"),
    parameter("replicator_distro_secret_key", "ReplicatorDistroSecretKey"),
    parameter("rustup_mirror", "RustupMirror"),
    parameter("cargo_registry", "CargoRegistry"),
];

/// The module parameters by the names of [`KNOWN`], values as text; unknown ones are not kept.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Parameters {
    values: BTreeMap<String, String>,
    /// The parameters that have two values, each with both spellings.
    #[serde(skip)]
    conflicts: BTreeMap<String, [String; 2]>,
    #[serde(skip)]
    warnings: Vec<String>,
}

/// A text with the name under which the user gave it.
#[derive(Debug, Clone)]
pub(super) struct Given<'a> {
    place: String,
    /// The text itself.
    pub(super) text: &'a str,
}

impl Parameters {
    /// Reads `SEEDFARMER_PARAMETER_*`. Seed-Farmer makes the variable of the manifest's spelling, and not all of
    /// them become words with `_` between: it leaves the dash of FAN-OUT. Here only letters and digits count.
    pub(super) fn from_vars(vars: &BTreeMap<String, String>) -> Self {
        let mut read = Self::default();
        let mut spellings: BTreeMap<&str, &str> = BTreeMap::new();
        for (variable, value) in vars {
            let Some(spelling) = variable.strip_prefix(PREFIX) else {
                continue;
            };
            // The JSON `null` that Seed-Farmer makes of an empty value.
            if value == "null" {
                continue;
            }
            let looks = squash(spelling);
            let Some(known) = KNOWN.iter().find(|known| squash(known.name) == looks) else {
                read.warnings.extend(misspelt(variable, spelling));
                continue;
            };
            let is_strict = spelling.eq_ignore_ascii_case(known.name);
            if known.is_in_stack && !is_strict {
                read.warnings.push(format!(
                    "{variable} counts as {0}, but Seed-Farmer does not hand it to modulestack.yaml in this spelling: \
                     write {0} in the manifest",
                    known.manifest
                ));
            }
            match read.values.get(known.name) {
                Some(other) if other != value => {
                    let both = [spellings[known.name], variable.as_str()].map(str::to_owned);
                    read.conflicts.insert(known.name.to_owned(), both);
                }
                Some(_) => {}
                None => {
                    read.values.insert(known.name.to_owned(), value.clone());
                    spellings.insert(known.name, variable);
                }
            }
        }
        read
    }

    /// A parameter's value; `None` when it is not given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// What is odd but harmless.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The parameters that have two values.
    pub(super) fn conflicts(&self) -> Vec<Problem> {
        let problem = |(name, [one, other]): (&String, &[String; 2])| {
            let what = format!("it is given twice with different values: {one} and {other}");
            Problem::input(manifest_name(name), what)
                .remedy("remove one of the two from the manifest")
        };
        self.conflicts.iter().map(problem).collect()
    }

    /// Forgets all parameters but some.
    pub(super) fn keep(&mut self, names: &[&str]) {
        self.values.retain(|name, _| names.contains(&name.as_str()));
        self.conflicts
            .retain(|name, _| names.contains(&name.as_str()));
    }

    /// The flag where it is given, or else the parameter, with the name to blame.
    pub(super) fn pick<'a>(
        &'a self,
        flag_name: &str,
        flag: Option<&'a str>,
        parameter: &str,
    ) -> Option<Given<'a>> {
        debug_assert!(is_known(parameter), "{parameter}");
        // A block scalar of YAML ends with a line end.
        match flag {
            Some(text) => Some(Given {
                place: flag_name.to_owned(),
                text: text.trim(),
            }),
            None => self.get(parameter).map(|text| Given {
                place: manifest_name(parameter),
                text: text.trim(),
            }),
        }
    }
}

fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|known| known.name == name)
}

/// A warning for a variable that is probably meant to be a parameter. Others may have meanings elsewhere.
fn misspelt(variable: &str, spelling: &str) -> Option<String> {
    let near = slip(spelling, KNOWN.iter().map(|known| known.name))?;
    let near = KNOWN.iter().find(|known| known.name == near)?;
    Some(format!(
        "{variable}: there is no such parameter and it is ignored; nearest: {}",
        near.manifest
    ))
}

/// A parameter as manifests and README spell it.
fn manifest_name(name: &str) -> String {
    let known = KNOWN.iter().find(|known| known.name == name);
    format!("parameter {}", known.map_or(name, |known| known.manifest))
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

    #[test]
    fn the_parameters_of_the_stack_are_those_of_modulestack_yaml() {
        let text = include_str!("../../modulestack.yaml");
        let stack = helm_chart::yaml::first(text, &helm_chart::yaml::Limits::default());
        let stack = stack.expect("YAML").expect("a document");
        let parameters = stack.get("Parameters").expect("a mapping").entries();
        let of_seed_farmer = ["ProjectName", "DeploymentName", "ModuleName", "RoleName"];
        let mut theirs: Vec<&str> = parameters
            .iter()
            .filter_map(|(name, _)| name.as_text())
            .filter(|name| !of_seed_farmer.contains(name))
            .collect();
        let ours = KNOWN.iter().filter(|known| known.is_in_stack);
        let mut ours: Vec<&str> = ours.map(|known| known.manifest).collect();
        theirs.sort_unstable();
        ours.sort_unstable();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn each_parameter_is_known_once_and_its_manifest_spelling_is_one_of_it() {
        for known in &KNOWN {
            assert_eq!(squash(known.name), squash(known.manifest));
            let same = KNOWN.iter().filter(|other| other.name == known.name);
            assert_eq!(same.count(), 1, "{}", known.name);
        }
    }
}
