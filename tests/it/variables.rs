//! The variables that help texts name: each has the effect of its flag.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, Command};
use replication::cli;
use replication::settings::Environment;
use replication::settings::parameters::{ALL, Parameter};

use super::data::Data;
use super::run::Run;

/// Flags that have no variable: they are about one call of the program, not about where it runs.
const NO_VARIABLE: [&str; 53] = [
    "all",
    "api-versions",
    "apply",
    "attestation-key",
    "bandwidth",
    "boundary",
    "dry-run",
    "exact-sizes",
    "exit-code",
    "for",
    "format",
    "help",
    "include-crds",
    "is-upgrade",
    "json",
    "kube-version",
    "limit",
    "list",
    "lock",
    "log-format",
    "namespace",
    "no-hooks",
    "no-observe",
    "no-referrers",
    "out",
    "output",
    "plan",
    "price",
    "progress",
    "prove",
    "quiet",
    "repo",
    "result",
    "role",
    "role-arn",
    "set",
    "set-file",
    "set-json",
    "set-literal",
    "set-string",
    "show-only",
    "since",
    "skip-schema-validation",
    "skip-tests",
    "split",
    "switches",
    "unused-for",
    "values",
    "verbose",
    "version",
    "vpc-id",
    "without-digests",
    "yes",
];

/// Commands that render one chart, as Helm does: only what they are given counts.
const AS_HELM: [&str; 3] = ["template", "images", "discover"];

/// The commands with the arguments that they cannot do without.
fn commands() -> Vec<Vec<&'static str>> {
    vec![
        vec!["copy", "a.corp/a:1", "b.corp/a:1"],
        vec!["delete-repos", "idf", "--yes"],
        vec!["deploy"],
        vec!["destroy", "--retention-type", "destroy"],
        vec!["diff", "1.33", "1.34"],
        vec!["discover", "app", "--repo", "http://127.0.0.1:1/"],
        vec!["doctor"],
        vec!["images", "app", "--repo", "http://127.0.0.1:1/"],
        vec!["inspect", "a.corp/a:1"],
        vec!["load", "bundle.tar"],
        vec!["lock"],
        vec!["ls", "a.corp/"],
        vec!["plan"],
        vec!["policy"],
        vec!["prune", "--project", "idf"],
        vec![
            "publish",
            "result.json",
            "--project",
            "idf",
            "--deployment",
            "dev",
            "--module",
            "a-b",
        ],
        vec!["save", "bundle.tar"],
        vec!["template", "app", "--repo", "http://127.0.0.1:1/"],
        vec!["values"],
        vec!["verify"],
    ]
}

/// Each flag of each command, the hidden ones left out, with the command's name.
fn flags() -> Vec<(String, Arg)> {
    fn of(command: &Command, path: &str, all: &mut Vec<(String, Arg)>) {
        let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
        let flags = shown.filter(|arg| arg.get_long().is_some());
        all.extend(flags.map(|arg| (path.to_owned(), arg.clone())));
        for below in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            of(below, &format!("{path} {}", below.get_name()), all);
        }
    }
    let mut all = Vec::new();
    let mut definition = cli::definition();
    definition.build();
    of(&definition, "replicator", &mut all);
    all
}

/// The variables that the help of a flag names.
fn documented(arg: &Arg) -> Vec<String> {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let Some((_, after)) = help.split_once("[env: ") else {
        return Vec::new();
    };
    let (names, _) = after.split_once(']').expect("a bracket that is closed");
    let names = names.split(", ").map(|name| name.trim_matches('`'));
    names.map(str::to_owned).collect()
}

/// What a variable sets, as the program reads it.
fn effect(variable: &str, value: &str) -> Option<String> {
    let read = Environment::from_vars([(variable.into(), value.into())]);
    if let Some(name) = variable.strip_prefix("REPLICATOR_") {
        let known = ALL.iter().find(|known| known.name.to_uppercase() == name)?;
        return read.parameters.get(known.name).map(str::to_owned);
    }
    match variable {
        "AWS_ACCOUNT_ID" => read.aws.account_id,
        "AWS_PARTITION" => read.aws.partition,
        "AWS_PROFILE" => read.aws.profile().map(|profile| profile.name),
        "AWS_REGION" | "AWS_DEFAULT_REGION" => read.aws.region().map(str::to_owned),
        "SEEDFARMER_PROJECT_NAME" => read.seed_farmer.project_name,
        "SEEDFARMER_DEPLOYMENT_NAME" => read.seed_farmer.deployment_name,
        "SEEDFARMER_MODULE_NAME" => read.seed_farmer.module_name,
        _ => None,
    }
}

#[test]
fn every_flag_names_its_variable_and_the_program_reads_it() {
    let (mut without, mut wrong) = (BTreeSet::new(), Vec::new());
    for (command, arg) in flags() {
        let long = arg.get_long().expect("a flag");
        let variables = documented(&arg);
        if variables.is_empty() {
            without.insert(long.to_owned());
        }
        for variable in variables {
            let read = effect(&variable, "some-value");
            if read.as_deref() != Some("some-value") {
                wrong.push(format!("{command} --{long}: {variable} has no effect"));
            }
        }
        let parameter = ALL.iter().find(|known| known.name == arg.get_id().as_str());
        let is_as_helm = AS_HELM.iter().any(|name| command.ends_with(name));
        let is_own = is_as_helm && ["kube-version", "switches"].contains(&long)
            // Locks of which everything is kept.
            || command.ends_with("prune") && long == "lock";
        if let Some(variable) = parameter.map(Parameter::own_variable)
            && !is_own
            && documented(&arg) != [&*variable]
        {
            wrong.push(format!("{command} --{long} does not name {variable}"));
        }
    }
    let without: Vec<&str> = without.iter().map(String::as_str).collect();
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(without, NO_VARIABLE);
}

/// For parameters, a value that every command which has the flag must refuse.
fn wrong() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("answer_timeout", "soon"),
        ("ca_file", "/nowhere/ca.pem"),
        ("closure", "some"),
        ("connect_timeout", "soon"),
        ("endpoints", "nothing"),
        ("fan_out", "many"),
        ("hash", "never"),
        ("jobs", "many"),
        ("kube_version", "new"),
        ("locked", "perhaps"),
        ("patience", "much"),
        ("pin_digests", "perhaps"),
        ("plain_http", "a b"),
        ("platforms", "all/of/the/world/there/is"),
        ("quotas", "all"),
        ("referrers", "some"),
        ("registry_prefix", "a b"),
        ("slowest_transfer", "slow"),
        ("switches", "perhaps"),
        ("tries", "many"),
        ("trust", "perhaps"),
    ])
}

#[tokio::test]
async fn a_wrong_value_in_a_variable_is_refused_by_every_command_with_its_name() {
    let wrong = wrong();
    let mut of_command: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (command, arg) in flags() {
        if documented(&arg).is_empty() {
            continue;
        }
        let known = wrong.keys().find(|name| **name == arg.get_id().as_str());
        let of = of_command.entry(command).or_default();
        of.extend(known);
    }
    let arguments = commands();
    let mut failures = Vec::new();
    for (command, names) in of_command {
        if names.is_empty() {
            continue;
        }
        let name = command.trim_start_matches("replicator ");
        let given = arguments.iter().find(|given| given[0] == name);
        let given = given.unwrap_or_else(|| panic!("which arguments does {name} need?"));
        let run = Run::new().args(given);
        let vars = names.iter().map(|name| {
            let variable = format!("REPLICATOR_{}", name.to_uppercase());
            (variable, wrong[name].to_owned())
        });
        let refused = run.envs(vars).run().await;
        let said = &refused.stderr;
        let read = ALL.iter().filter(|known| names.contains(&known.name));
        let ignored = read.map(|known| format!("REPLICATOR_{}", known.name.to_uppercase()));
        let ignored: Vec<String> = ignored.filter(|name| !said.contains(name)).collect();
        if refused.code != Some(2) || !ignored.is_empty() {
            let code = refused.code;
            failures.push(format!(
                "{name}: {code:?}, not refused: {ignored:?}\n{said}"
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn outside_seed_farmer_a_parameter_is_a_variable_of_the_program() {
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = data.given_to(Run::new().args(["plan", "--no-observe"]));
    let run = run
        .env("REPLICATOR_EKS_VERSION", "1.34")
        .env("REPLICATOR_REGISTRY_PREFIX", "target.corp/idf-");
    let planned = run.run().await.ended(0);
    assert!(planned.stdout.contains("target prefix: target.corp/idf-"));
}
