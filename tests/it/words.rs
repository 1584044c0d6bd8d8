//! How the project speaks: names and phrases that were given up do not come back.

use std::path::{Path, PathBuf};

use super::Result;

/// Identifiers that were renamed.
const NAMES: [&str; 36] = [
    "Arrival",
    "Attached",
    "Begun",
    "BrokenOff",
    "Checks",
    "Classed",
    "Course",
    "Crew",
    "Doubtful",
    "Errand",
    "Floor",
    "Follow",
    "Handed",
    "Homes",
    "Lagging",
    "Noted",
    "Opened",
    "Outlook",
    "Portion",
    "Quiet",
    "Realm",
    "Silent",
    "Stored",
    "Surveyed",
    "Window",
    "bears",
    "complained",
    "crew",
    "errand",
    "hands",
    "has_fixed_tags",
    "mod fleet",
    "planned_oddities",
    "survey",
    "verdict",
    "wishes",
];

/// Names of types that were given up, because they are short words for very different things.
const TYPES: [&str; 13] = [
    "Arrived", "Bucket", "Claim", "How", "Layers", "Moved", "Need", "Order", "Place", "Reader",
    "Source", "Way", "Which",
];

/// Types that have such a name and may: the one thing that the name means.
const ONE_MEANING: [&str; 3] = [
    "crates/oci-copy/src/store.rs: trait Source",
    "lab/src/aws/s3.rs: struct Bucket",
    "src/aws/s3.rs: struct Bucket",
];

/// Names of functions and modules that were given up.
const FUNCTIONS: [&str; 24] = [
    "align", "arrived", "board", "crew", "dismiss", "enter", "further", "give_up", "hear", "look",
    "note", "outlook", "parts", "pool", "raise", "slowest", "sound", "survey", "tell", "verdict",
    "window", "wishes", "word", "work",
];

/// Phrases that the project does not use, in small letters.
const PHRASES: [&str; 29] = [
    "first build",
    "folder of its own",
    "folders of their own",
    "further build",
    "go along",
    "goes along",
    "in vain",
    "is had",
    "is no chart name",
    "is no registry of charts",
    "is no url",
    "is told",
    "it is no",
    "link of its own",
    "mend",
    "mended",
    "mends",
    "nobody",
    "repository of its own",
    "shall",
    "signs of life",
    "somebody",
    "stand for",
    "stands for",
    "stood for",
    "thread of its own",
    "tried again",
    "was not heard of",
    "whoever",
];

/// This list itself.
const SELF: &str = "tests/it/words.rs";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files with texts of ours, by their paths from the root.
fn files() -> std::io::Result<Vec<(String, String)>> {
    const KINDS: [&str; 8] = ["rs", "md", "py", "sh", "yaml", "yml", "toml", "txt"];
    let skipped = |name: &str| name.starts_with('.') || name == "target" || name == "corpus";
    let mut folders = vec![root().to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir()? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            if skipped(&name.to_string_lossy()) {
                continue;
            }
            let kind = path.extension().and_then(|kind| kind.to_str());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if kind.is_some_and(|kind| KINDS.contains(&kind)) {
                found.push((shown(&path), std::fs::read_to_string(&path)?));
            }
        }
    }
    Ok(found)
}

fn shown(path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(root()).unwrap_or(path).to_owned();
    path.display().to_string()
}

fn is_in_word(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
}

/// Whether a text has some words, and not only as a part of longer ones.
fn has(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + words.len()..].chars().next();
        !is_in_word(before) && !is_in_word(after)
    })
}

/// A line of Rust without its comment and the content of its texts.
fn code(line: &str) -> String {
    let line = line.split("//").next().unwrap_or(line);
    line.split('"').step_by(2).collect::<Vec<_>>().join(" ")
}

#[test]
fn names_that_were_given_up_are_gone_from_the_code() -> Result {
    let mut found = Vec::new();
    for (path, text) in files()? {
        if Path::new(&path).extension() != Some("rs".as_ref()) || path == SELF {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let line = code(line);
            let names = NAMES.iter().filter(|name| has(&line, name));
            found.extend(names.map(|name| format!("{path}:{}: {name}", number + 1)));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

/// The types, functions and modules that a line of code declares, as `fn name`.
fn declared(line: &str) -> Option<String> {
    const KINDS: [&str; 7] = ["struct", "enum", "trait", "type", "fn", "mod", "union"];
    let words: Vec<&str> = line
        .split(|letter| !is_in_word(Some(letter)))
        .filter(|word| !word.is_empty())
        .collect();
    let kind = words.iter().position(|word| KINDS.contains(word))?;
    Some(format!("{} {}", words[kind], words.get(kind + 1)?))
}

#[test]
fn short_words_do_not_become_names_again() -> Result {
    let mut found = Vec::new();
    for (path, text) in files()? {
        if Path::new(&path).extension() != Some("rs".as_ref()) || path == SELF {
            continue;
        }
        for declared in text.lines().filter_map(|line| declared(&code(line))) {
            let (kind, name) = declared.split_once(' ').unwrap_or_default();
            let is_given_up = match kind {
                "fn" | "mod" => FUNCTIONS.contains(&name),
                _ => TYPES.contains(&name),
            };
            let declared = format!("{path}: {declared}");
            if is_given_up && !ONE_MEANING.contains(&declared.as_str()) {
                found.push(declared);
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

#[test]
fn phrases_that_were_given_up_are_gone_from_all_texts() -> Result {
    let mut found = Vec::new();
    for (path, text) in files()? {
        if path == SELF {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let mut line = line.to_lowercase();
            // The name of a function, above all of a test, is a sentence too.
            if line.contains("fn ") {
                line = line.replace('_', " ");
            }
            let phrases = PHRASES.iter().filter(|phrase| has(&line, phrase));
            found.extend(phrases.map(|phrase| format!("{path}:{}: {phrase}", number + 1)));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

#[test]
fn words_are_found_alone_and_not_within_others() {
    assert!(has("a crew.", "crew") && has("crew", "crew") && has("no crews, a crew", "crew"));
    assert!(!has("screw crews crew_", "crew"));
    assert_eq!(
        code("let crew = \"fleet\"; // hands").trim(),
        "let crew =  ;"
    );
    assert_eq!(
        declared("pub(super) async fn look<T>(").as_deref(),
        Some("fn look")
    );
    assert_eq!(declared("impl Place {"), None);
}
