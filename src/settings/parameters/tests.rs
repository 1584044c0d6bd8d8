use std::path::Path;

use super::*;

/// `docs/reference/parameters.md`, made of the table.
fn reference() -> String {
    let mut text = "\
# Parameters

<!-- Made from src/settings/parameters/table.rs: UPDATE=1 cargo test --lib the_reference -->

A flag wins over the parameter. In a manifest a parameter may be spelled in any way (`EksVersion`, `eks-version`): only
letters and digits count. Seed-Farmer makes the variable of it. Outside Seed-Farmer, the variable begins with `REPLICATOR_`
instead of `SEEDFARMER_PARAMETER_`: `REPLICATOR_JOBS`.

| parameter | flag | variable of a build | default | what it does |
|---|---|---|---|---|
"
    .to_owned();
    let cell = |text: &str| text.replace('|', "\\|").replace('<', "&lt;");
    for known in &ALL {
        let flag = known.flag.map(|flag| match flag.value {
            Value::Switch => format!("`--{}`", flag.long),
            Value::Text(value) | Value::Number(value) | Value::Repeated(value) => {
                format!("`--{} {value}`", flag.long)
            }
        });
        let cells = [
            format!("`{}`", known.manifest),
            flag.unwrap_or_default(),
            format!("`{}`", known.variable()),
            cell(known.default.unwrap_or_default()),
            cell(known.help),
        ];
        text += &["| ", &cells.join(" | "), " |\n"].concat();
    }
    text
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "whether the file is written anew is the test's own question, not the program's"
)]
fn the_reference_is_that_of_the_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/parameters.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, reference()).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == reference(),
        "docs/reference/parameters.md is out of date: UPDATE=1 cargo test --lib the_reference"
    );
}

/// What stands in backticks in the README's section about parameters.
fn mentioned_in_readme() -> Vec<&'static str> {
    let readme = include_str!("../../../README.md");
    let (_, section) = readme.split_once("\n## Parameters\n").expect("a section");
    let section = section.split("\n#").next().unwrap_or_default();
    assert!(section.contains("(docs/reference/parameters.md)"));
    section.split('`').skip(1).step_by(2).collect()
}

fn is_camel_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.contains(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
}

#[test]
fn the_readme_mentions_only_flags_and_parameters_that_there_are() {
    let more = [
        "--help",
        "--plain-http",
        "--out",
        "--project",
        "--deployment",
        "--module",
        "--no-referrers",
    ];
    for name in mentioned_in_readme() {
        let name = name.split([' ', ':']).next().unwrap_or_default();
        if let Some(long) = name.strip_prefix("--") {
            let is_flag = |known: &Parameter| known.flag.is_some_and(|flag| flag.long == long);
            assert!(more.contains(&name) || ALL.iter().any(is_flag), "{name}");
        } else if name.starts_with(PREFIX) {
            assert!(ALL.iter().any(|known| known.variable() == name), "{name}");
        } else if is_camel_case(name) {
            let is_known = |known: &Parameter| squash(known.manifest) == squash(name);
            assert!(ALL.iter().any(is_known), "{name}");
        }
    }
}

#[test]
fn the_parameters_of_the_stack_are_those_of_modulestack_yaml() {
    let text = include_str!("../../../modulestack.yaml");
    let stack = helm_chart::yaml::first_document(text, &helm_chart::yaml::Limits::default());
    let stack = stack.expect("YAML").expect("a document");
    let parameters = stack.get("Parameters").expect("a mapping").entries();
    let of_seed_farmer = ["ProjectName", "DeploymentName", "ModuleName", "RoleName"];
    let mut theirs: Vec<&str> = parameters
        .iter()
        .filter_map(|(name, _)| name.as_text())
        .filter(|name| !of_seed_farmer.contains(name))
        .collect();
    let ours = ALL.iter().filter(|known| known.is_in_stack);
    let mut ours: Vec<&str> = ours.map(|known| known.manifest).collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    assert_eq!(ours, theirs);
}

#[test]
fn each_parameter_is_known_once_and_its_manifest_spelling_is_one_of_it() {
    for known in &ALL {
        assert_eq!(squash(known.name), squash(known.manifest));
        let same = ALL.iter().filter(|other| other.name == known.name);
        assert_eq!(same.count(), 1, "{}", known.name);
        let long = known.flag.map(|flag| flag.long);
        let same = ALL
            .iter()
            .filter(|other| other.flag.map(|flag| flag.long) == long);
        assert!(long.is_none() || same.count() == 1, "{}", known.name);
    }
}

#[test]
fn the_defaults_that_are_shown_are_those_that_count() {
    let shown = |name: &str| {
        table::find(name)
            .and_then(|known| known.default)
            .expect(name)
    };
    let network = crate::settings::Network::default();
    assert_eq!(shown("jobs"), network.jobs.to_string());
    assert_eq!(shown("tries"), network.tries.to_string());
    assert_eq!(shown("patience"), network.patience.as_secs().to_string());
    assert_eq!(
        shown("connect_timeout"),
        network.connect.as_secs().to_string()
    );
    assert_eq!(
        shown("answer_timeout"),
        network.read_timeout.as_secs().to_string()
    );
    assert_eq!(
        shown("slowest_transfer"),
        network.min_throughput.to_string()
    );
}

#[test]
fn outside_seed_farmer_variables_have_the_name_of_the_program() {
    let read = |vars: &[(&str, &str)]| {
        let vars = vars.iter();
        let vars = vars.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Parameters::from_vars(&vars.collect())
    };
    let own = read(&[("REPLICATOR_JOBS", "3"), ("REPLICATOR_FANOUT", "off")]);
    assert_eq!(
        (own.get("jobs"), own.get("fan_out")),
        (Some("3"), Some("off"))
    );
    assert_eq!(own.warnings(), [""; 0]);
    let both = read(&[("REPLICATOR_JOBS", "3"), ("SEEDFARMER_PARAMETER_JOBS", "4")]);
    assert_eq!(both.conflicts().len(), 1);
    let misspelt = read(&[("REPLICATOR_PATFORMS", "linux/amd64")]);
    assert!(misspelt.warnings()[0].contains("Platforms"));
}
