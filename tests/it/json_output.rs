//! The JSON that commands print is documented: a section for each command, and every key in it.

use lab::chart::{Chart, ChartRepository};
use lab::registry::Registry;
use serde_json::Value;

use super::Result;
use super::data::Data;
use super::ecr::image;
use super::run::Run;
use super::snapshots::commands;

const PAGE: &str = include_str!("../../docs/reference/json.md");

/// The sections of the page: heading and text.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    let sections = PAGE.split("\n## ").skip(1);
    sections.filter_map(|section| section.split_once('\n'))
}

/// The text of a command's section.
fn section(command: &str) -> Option<&'static str> {
    let is_named = |heading: &str| {
        let mut words = heading.split([' ', ',']);
        words.any(|word| word == command)
    };
    let mut found = sections().filter(|(heading, _)| is_named(heading));
    found.next().map(|(_, text)| text)
}

/// Whether a help text has an option that asks for JSON. `--log-format` is about messages.
fn prints_json(help: &str) -> bool {
    let lines = || help.lines().map(str::trim_start);
    if lines().any(|line| line.starts_with("--json")) {
        return true;
    }
    let mut of_output = help
        .lines()
        .skip_while(|line| !line.contains("-o, --output"));
    let is_below = |line: &&str| line.is_empty() || line.starts_with("       ");
    of_output.next().is_some_and(|first| {
        first.contains("json")
            || of_output
                .take_while(is_below)
                .any(|line| line.contains("json"))
    })
}

#[tokio::test]
async fn every_command_that_prints_json_has_a_section() {
    let mut found = Vec::new();
    for command in commands().await {
        let help = Run::new().args([&command, "--help"]).run().await.ended(0);
        if prints_json(&help.stdout) {
            assert!(section(&command).is_some(), "{command} has no section");
            found.push(command);
        }
    }
    for command in ["plan", "verify", "images", "ls", "diff", "doctor"] {
        assert!(
            found.iter().any(|one| one == command),
            "{command}: {found:?}"
        );
    }
}

/// All keys of a document, without those below keys that are documented elsewhere.
fn keys(document: &Value, elsewhere: &[&str], found: &mut Vec<String>) {
    match document {
        Value::Object(entries) => {
            for (key, value) in entries {
                found.push(key.clone());
                if !elsewhere.contains(&key.as_str()) {
                    keys(value, elsewhere, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, elsewhere, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_key_is_documented_in_the_section_of_its_command() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let app = image().push(&source, "team/app", "1")?;
    app.attach(&source, "application/spdx+json")?;
    app.sign(&source)?;
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: app}\nspec:\n  containers:\n  - name: app\n    \
               image: {{ .Values.image }}\n";
    let chart = Chart::new("web", "1.0.0").values("image: quay.io/team/app:1\n");
    let charts = ChartRepository::start(vec![chart.file("templates/pod.yaml", pod)]).await?;
    let entry = format!(
        "charts:\n  web:\n    name: web\n    repository: {}\n    version: 1.0.0\n    images:\n      app: \
         {{repository: {{location: values, path: image}}}}\n",
        charts.url()
    );
    let data = Data::new(&entry, "ami: {version: 1.34.0}\n");
    let prefix = format!("{}/mirror/", target.host());
    let on_data = |command: &str| {
        let run = data.run(command).endpoint("quay.io", &source.url());
        run.args(["--registry-prefix", &prefix])
    };
    let planned = on_data("plan").args(["-o", "json"]).run().await.ended(0);
    let deployed = on_data("deploy").run().await.ended(0);
    let lock = data.file_path("1.34.lock.json");
    let locked = data.given_to(Run::new().args(["lock", "--eks-version", "1.34"]));
    let locked = locked.endpoint("quay.io", &source.url());
    locked.run().await.ended(0);
    // So that there is a difference.
    fs_replace(
        &data.file_path("default.yaml"),
        "charts:",
        "additional_images: {a: 'quay.io/team/app:1'}\ncharts:",
    )?;
    let result = deployed.out().join("replication_result.json");
    let name = format!("{}/team/app:1", source.host());
    let repository = charts.url();
    let on_chart = |command: &str| Run::new().args([command, "web", "--repo", &repository]);
    let diff = data.given_to(Run::new().arg("diff").arg(&lock));
    for (command, run, elsewhere) in [
        (
            "verify",
            Run::new().arg("verify").arg(&result).arg("--json"),
            &[][..],
        ),
        (
            "ls",
            Run::new()
                .args(["ls", &prefix, "-o", "json", "--result"])
                .arg(&result),
            &[],
        ),
        (
            "inspect",
            Run::new().args(["inspect", &name, "-o", "json"]),
            &["annotations"],
        ),
        ("doctor", on_data("doctor").args(["-o", "json"]), &[]),
        ("images", on_chart("images").arg("--json"), &[]),
        (
            "discover",
            on_chart("discover").arg("--json"),
            &[
                "registry",
                "repository",
                "tag",
                "remove",
                "uses",
                "values",
                "overrides",
            ],
        ),
        (
            "diff",
            diff.endpoint("quay.io", &source.url()).args(["-o", "json"]),
            &[],
        ),
        (
            "publish",
            Run::new()
                .args(["publish", "--list", "-o", "json", "--out"])
                .arg(deployed.out()),
            &[],
        ),
    ] {
        let printed = run.run().await.ended(0).stdout;
        documented(command, &printed, elsewhere)?;
    }
    documented("plan", &planned.stdout, &["result", "closure"])
}

fn fs_replace(path: &std::path::Path, from: &str, to: &str) -> Result {
    let text = std::fs::read_to_string(path)?;
    assert!(text.contains(from), "{from}");
    Ok(std::fs::write(path, text.replacen(from, to, 1))?)
}

fn documented(command: &str, printed: &str, elsewhere: &[&str]) -> Result {
    let mut found = Vec::new();
    keys(&serde_json::from_str(printed)?, elsewhere, &mut found);
    assert!(found.len() > 1, "{command}: {printed}");
    let text = section(command).expect("a section");
    for key in found {
        let is_there = text.contains(&format!("`{key}`"));
        assert!(is_there, "{command}: {key} is not documented");
    }
    Ok(())
}
