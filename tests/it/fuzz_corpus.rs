//! The corpus of each fuzz target, replayed: bugs that were found stay fixed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use fuzz_properties::TARGETS;
use serde_json::Value;

use super::Result;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_file_of_every_corpus_is_taken() -> Result {
    let corpus = root().join("fuzz/corpus");
    for (name, target) in TARGETS {
        let mut files = 0;
        for entry in fs::read_dir(corpus.join(name))? {
            target(&fs::read(entry?.path())?);
            files += 1;
        }
        assert!(files > 0, "the corpus of {name} is empty");
    }
    let folders = fs::read_dir(&corpus)?.count();
    assert_eq!(folders, TARGETS.len(), "a corpus without a target");
    Ok(())
}

#[test]
fn every_target_has_a_program() -> Result {
    let mut programs: Vec<String> = Vec::new();
    for entry in fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        programs.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    programs.sort();
    assert_eq!(programs, TARGETS.map(|(name, _)| name));
    Ok(())
}

/// The packages without a registry in a lock file, with the names of what they need.
fn own_packages(lock: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let packages = lock.split("[[package]]").skip(1);
    let own = packages.filter(|package| !package.contains("\nsource = "));
    let own = own.map(|package| {
        // Names are quoted; a version can follow one.
        let mut texts = package.split('"').skip(1).step_by(2);
        let name = texts.next().unwrap_or_default();
        let needs = texts.skip(1).filter_map(|text| text.split(' ').next());
        (name, needs.collect())
    });
    own.collect()
}

/// Nothing but `make fuzz` uses that lock file, which a change of a dependency elsewhere leaves behind.
#[test]
fn the_lock_file_of_the_fuzz_targets_has_what_our_packages_need() -> Result {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--locked",
            "--no-deps",
        ])
        .current_dir(root())
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let lock = fs::read_to_string(root().join("fuzz/Cargo.lock"))?;
    let mut locked = own_packages(&lock);
    assert!(locked.remove("replicator-fuzz").is_some(), "{locked:?}");
    for (name, locked) in locked {
        let mut packages = metadata["packages"].as_array().into_iter().flatten();
        let package = packages.find(|package| package["name"] == name);
        let needed = package.and_then(|package| package["dependencies"].as_array());
        let needed = needed.into_iter().flatten();
        let needed = needed.filter(|needed| needed["kind"] != "dev");
        let needed: BTreeSet<&str> = needed.filter_map(|one| one["name"].as_str()).collect();
        assert_eq!(locked, needed, "fuzz/Cargo.lock, {name}");
    }
    Ok(())
}
