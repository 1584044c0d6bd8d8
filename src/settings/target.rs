//! The target: what can be given, and the default.

use crate::problem::Problem;
use crate::reference::Prefix;

use super::Module;

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

/// The target of a module: its account's ECR, with the project's name before each repository.
pub(super) fn default_target(
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
