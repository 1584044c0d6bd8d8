//! Which room may know which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of Rust below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The room that a file of the product belongs to: the first part of its path.
fn room(file: &Path) -> String {
    let path = file.strip_prefix(root().join("src")).unwrap();
    let first = path.components().next().unwrap().as_os_str();
    let first = first.to_str().unwrap();
    first.strip_suffix(".rs").unwrap_or(first).to_owned()
}

#[test]
fn the_engine_does_not_mention_ecr() {
    for file in sources(&root().join("crates/oci-copy/src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.lines().filter(|line| !line.trim().starts_with("//"));
        for line in code {
            let words = line.split(|c: char| !c.is_ascii_alphanumeric());
            let ecr = words.filter(|word| word.eq_ignore_ascii_case("ecr"));
            assert_eq!(ecr.count(), 0, "{}: {line}", file.display());
        }
    }
}

#[test]
fn only_one_file_builds_http_clients() {
    let builds = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        ["Client::builder", "Client::new", "ClientBuilder"]
            .iter()
            .any(|build| {
                code.contains(&format!("reqwest::{build}")) || code.contains("redirect::Policy")
            })
    };
    let mut files = sources(&root().join("src"));
    files.extend(sources(&root().join("crates")));
    let door: Vec<PathBuf> = files.into_iter().filter(builds).collect();
    assert_eq!(door, [root().join("crates/oci-copy/src/http.rs")]);
}

#[test]
fn only_the_settings_read_the_environment() {
    const READS: [&str; 3] = ["env::var", "env::vars", "env::args"];
    let mut files = sources(&root().join("src"));
    files.retain(|file| room(file) != "settings");
    files.extend(sources(&root().join("crates/oci-copy/src")));
    files.extend(sources(&root().join("crates/helm-chart/src")));
    files.retain(|file| !file.ends_with("tests.rs"));
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // Where a test begins, the environment of a process is the test's own.
        let code = text.split("#[cfg(test)]").next().unwrap();
        for read in READS {
            assert!(!code.contains(read), "{} has {read}", file.display());
        }
    }
}

#[test]
fn the_crates_that_the_product_is_made_of_need_neither_aws_nor_clap_nor_the_product() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeMap<String, String> = packages
        .iter()
        .map(|package| (text(package, "id"), text(package, "name")))
        .collect();
    let crates = root().join("crates");
    let ours: Vec<String> = packages
        .iter()
        .filter(|package| Path::new(&text(package, "manifest_path")).starts_with(&crates))
        .map(|package| text(package, "id"))
        .collect();
    let own: BTreeSet<&str> = ours.iter().map(|id| names[id].as_str()).collect();
    assert!(
        own.contains("oci-copy") && own.contains("helm-chart"),
        "{own:?}"
    );
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let needs: BTreeMap<String, Vec<String>> = nodes
        .iter()
        .map(|node| {
            let normal = node["deps"].as_array().unwrap().iter().filter(|needed| {
                let mut kinds = needed["dep_kinds"].as_array().unwrap().iter();
                kinds.any(|kind| kind["kind"] != "dev")
            });
            (
                text(node, "id"),
                normal.map(|needed| text(needed, "pkg")).collect(),
            )
        })
        .collect();
    for own in ours {
        let (mut seen, mut open) = (BTreeSet::new(), vec![own.clone()]);
        while let Some(id) = open.pop() {
            if seen.insert(id.clone()) {
                open.extend(needs[&id].iter().cloned());
            }
        }
        let is_forbidden = |name: &str| {
            name.starts_with("aws-sdk")
                || matches!(
                    name,
                    "aws-config" | "clap" | "envy" | "dockerimage-replication"
                )
        };
        for id in seen {
            assert!(
                !is_forbidden(&names[&id]),
                "{} needs {}",
                names[&own],
                names[&id]
            );
        }
    }
}
