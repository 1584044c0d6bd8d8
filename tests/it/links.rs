//! The documents hold together: every relative link leads to a file, and every anchor to a heading of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All documents: those at the root, and those below `docs`.
pub(crate) fn documents() -> std::io::Result<Vec<PathBuf>> {
    let mut folders = vec![root().join("docs")];
    let mut found = Vec::new();
    for entry in root().read_dir()? {
        found.push(entry?.path());
    }
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir()? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.retain(|path| path.extension().is_some_and(|kind| kind == "md"));
    found.sort();
    Ok(found)
}

/// The lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

/// The targets of the links `[text](target)`.
fn links(text: &str) -> Vec<&str> {
    let starts = prose(text).flat_map(|line| line.split("](").skip(1));
    starts.filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn every_relative_link_and_anchor_of_the_documents_resolves() -> crate::Result {
    let (mut seen, mut broken) = (0, Vec::new());
    for document in documents()? {
        let text = std::fs::read_to_string(&document)?;
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            seen += 1;
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let folder = document.parent().unwrap_or(root());
            let target = match path {
                "" => document.clone(),
                path => folder.join(path),
            };
            let is_there = match fragment {
                "" => target.exists(),
                fragment => std::fs::read_to_string(&target)
                    .is_ok_and(|text| anchors(&text).contains(fragment)),
            };
            if !is_there {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(seen > 50, "only {seen} links were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

#[test]
fn every_page_of_docs_is_reached_from_the_readme() -> crate::Result {
    let (mut open, mut reached) = (vec![root().join("README.md")], BTreeSet::new());
    while let Some(page) = open.pop() {
        if !reached.insert(page.clone()) {
            continue;
        }
        let text = std::fs::read_to_string(&page)?;
        let folder = page.parent().unwrap_or(root());
        for link in links(&text) {
            let path = link.split('#').next().unwrap_or(link);
            let target = folder.join(path).canonicalize();
            open.extend(
                target
                    .ok()
                    .filter(|path| path.extension().is_some_and(|kind| kind == "md")),
            );
        }
    }
    for page in documents()? {
        let is_reached =
            !page.starts_with(root().join("docs")) || reached.contains(&page.canonicalize()?);
        assert!(is_reached, "no page leads to {}", page.display());
    }
    Ok(())
}

#[test]
fn the_readme_is_short_and_lists_its_sections() -> crate::Result {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let lines = readme.lines().count();
    assert!(lines < 250, "README.md has {lines} lines");
    let (_, contents) = readme.split_once("## Contents\n").context("no contents")?;
    let contents = contents.split("\n## ").next().unwrap_or(contents);
    let listed = links(contents);
    let after = readme
        .split("\n## ")
        .skip_while(|section| !section.starts_with("Contents"));
    for section in after.skip(1) {
        let title = section.lines().next().unwrap_or(section);
        let link = format!("#{}", anchor(title));
        assert!(listed.contains(&link.as_str()), "{title} is not listed");
    }
    Ok(())
}

#[test]
fn anchors_are_those_of_github() {
    for (heading, made) in [
        ("Two commands", "two-commands"),
        ("What `FanOut: \"off\"` removes", "what-fanout-off-removes"),
        ("The target: ECR, others", "the-target-ecr-others"),
    ] {
        assert_eq!(anchor(heading), made);
    }
    assert_eq!(
        links("a [b](c.md#d), [e](https://f)\n```\n[g](h)\n```"),
        ["c.md#d", "https://f"]
    );
}
