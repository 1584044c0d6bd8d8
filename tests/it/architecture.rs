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
fn the_quickstart_and_the_tests_share_one_build() {
    let packages = |selection: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "--locked",
                "--edges",
                "normal,build,dev",
            ])
            .args(["--prefix", "none", "--no-dedupe", "--format", "{p} {f}"])
            .args(selection)
            .current_dir(root())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let quickstart = packages(&["--package", "dockerimage-replication"]);
    let tests = packages(&["--workspace", "--exclude", "replicator-tools"]);
    let twice: Vec<&String> = quickstart.difference(&tests).collect();
    assert!(
        twice.is_empty(),
        "built once more with other features: {twice:#?}\nadd them to [dev-dependencies] of the package at the root"
    );
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

/// Knowledge that closes a circle between rooms, and why it stays.
const INHERENT: [(&str, &str, &str); 1] = [(
    "document",
    "closure",
    "the report and the lock carry the proof in the shape in which the closure makes it",
)];

/// The rooms that the code of each room names, with a file that does.
fn known_rooms(root: &Path) -> BTreeMap<String, BTreeMap<String, PathBuf>> {
    let room_of = |file: &Path| {
        let path = file.strip_prefix(root).unwrap();
        let first = path.components().next().unwrap().as_os_str();
        let first = first.to_str().unwrap();
        first.strip_suffix(".rs").unwrap_or(first).to_owned()
    };
    let files = sources(root);
    let mut rooms: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
    for file in &files {
        let name = room_of(file);
        if name != "lib" && name != "main" {
            rooms.entry(name).or_default();
        }
    }
    let names: BTreeSet<String> = rooms.keys().cloned().collect();
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        let own = room_of(file);
        let Some(known) = rooms.get_mut(&own) else {
            continue;
        };
        let text = std::fs::read_to_string(file).unwrap();
        // What tests know does not count.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code: String = code
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default())
            .collect();
        for used in code.split("crate::").skip(1) {
            // `crate::room`, or `crate::{one, other::part}`.
            let list = used
                .strip_prefix('{')
                .and_then(|list| list.split('}').next());
            let first = used
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next();
            let words = list.unwrap_or_else(|| first.unwrap_or_default());
            for word in words.split(|c: char| !c.is_alphanumeric() && c != '_') {
                if names.contains(word) && word != own {
                    known.insert(word.to_owned(), file.clone());
                }
            }
        }
    }
    rooms
}

/// The rooms that a room knows, directly or through others.
fn reached<'a>(
    rooms: &'a BTreeMap<String, BTreeMap<String, PathBuf>>,
    from: &str,
) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(room) = open.pop() {
        for next in rooms[room].keys() {
            if seen.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    seen
}

#[test]
fn no_room_knows_a_room_that_knows_it() {
    let folders = ["src", "crates/oci-copy/src", "crates/helm-chart/src"];
    let mut found = Vec::new();
    for folder in folders.map(|path| root().join(path)) {
        let mut rooms = known_rooms(&folder);
        assert!(rooms.len() > 5, "{rooms:?}");
        for (from, to, _) in INHERENT {
            if let Some(known) = rooms.get_mut(from) {
                known.remove(to);
            }
        }
        for (room, known) in &rooms {
            for (next, file) in known {
                if reached(&rooms, next).contains(room.as_str()) {
                    found.push(format!("{}: {room} -> {next}", file.display()));
                }
            }
        }
    }
    assert!(found.is_empty(), "circles:\n{}", found.join("\n"));
}

#[test]
fn the_circles_that_stay_exist() {
    let rooms = known_rooms(&root().join("src"));
    for (from, to, why) in INHERENT {
        let is_there = rooms[from].contains_key(to) && reached(&rooms, to).contains(from);
        assert!(is_there, "{from} -> {to} is no circle any more ({why})");
    }
}
