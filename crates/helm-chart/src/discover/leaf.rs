//! The values that can hold a part of an image's name, and what is written into each to see where it
//! ends up.

use std::sync::OnceLock;

use regex::Regex;
use serde_json::Value as Json;

use crate::values::Path;
use crate::yaml::template_text;

/// The most values that are looked at in one chart; public ones have at most some thousand.
const MOST: usize = 20_000;

/// The first of the numbers by which markers are told apart. All have the same length.
const FIRST: usize = 910_000;

/// A value of a chart that is no collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Keys and indices from the top chart's values.
    pub(super) path: Vec<String>,
    /// What templates print of it; empty for null.
    pub(super) text: String,
}

/// How likely a value is a part of an image's name, and so in which round it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Round {
    /// It holds such a part by its name or form.
    Likely,
    /// It is empty and would hold one by its name.
    Empty,
    /// Likely, and global to all subcharts.
    Global,
    /// Empty and global.
    EmptyGlobal,
    /// Any value that is part of an unexplained reference.
    Any,
    /// After the last one.
    Over,
}

impl Round {
    pub(super) const ALL: [Self; 5] = [
        Self::Likely,
        Self::Empty,
        Self::Global,
        Self::EmptyGlobal,
        Self::Any,
    ];
}

impl Leaf {
    pub(super) fn path(&self) -> Path {
        Path::from_parts(self.path.clone())
    }

    fn key(&self) -> String {
        let mut keys = self.path.iter().rev();
        let key = keys.find(|key| !key.bytes().all(|byte| byte.is_ascii_digit()));
        key.map(|key| key.to_lowercase()).unwrap_or_default()
    }

    fn is_global(&self) -> bool {
        self.path.iter().any(|key| key == "global")
    }

    /// Whether it holds a digest, with or without its algorithm.
    pub(super) fn is_digest(&self) -> bool {
        is_digest(&self.text)
    }

    /// Whether it would hold a digest, were it not empty.
    pub(super) fn is_empty_digest(&self) -> bool {
        self.text.is_empty() && is_digest_key(&self.key())
    }

    pub(super) fn is_tag(&self) -> bool {
        let key = self.key();
        key.ends_with("tag") || key.ends_with("version")
    }

    /// When it is tried; `references` are those that are not explained yet.
    pub(super) fn round<'r>(&self, mut references: impl Iterator<Item = &'r str>) -> Option<Round> {
        let key = self.key();
        if self.is_digest() || is_digest_key(&key) {
            return None;
        }
        let has_name = is_name_key(&key) || (key == "name" && self.is_below_image());
        if self.text.is_empty() {
            return has_name.then(|| match (self.is_tag(), self.is_global()) {
                (true, false) => Round::Likely,
                (false, false) => Round::Empty,
                (_, true) => Round::EmptyGlobal,
            });
        }
        // A template within a value hides the values that it names.
        if self.text.contains("{{") {
            return has_name.then_some(Round::Any);
        }
        let is_part = references.any(|reference| contains_part(reference, &self.text));
        let looks_like_one = has_name || self.text.contains('/') || self.text.contains('.');
        match (looks_like_one, is_part || has_name) {
            (_, false) => None,
            (true, true) if self.is_global() => Some(Round::Global),
            (true, true) => Some(Round::Likely),
            (false, true) => Some(Round::Any),
        }
    }

    fn is_below_image(&self) -> bool {
        let above = self
            .path
            .len()
            .checked_sub(2)
            .and_then(|at| self.path.get(at));
        above.is_some_and(|key| key.to_lowercase().contains("image"))
    }

    /// The text that is written in its place: of the same form, so that templates take the same way.
    /// `version` is that of the application, which an empty tag means.
    pub(super) fn marker(&self, number: usize, version: &str) -> String {
        let number = FIRST + number;
        if self.text.is_empty() {
            return match self.key() {
                _ if self.is_tag() => {
                    marked_version(version, number).unwrap_or_else(|| format!("9.9.{number}"))
                }
                key if key.ends_with("registry") || key == "hub" || key.ends_with("domain") => {
                    format!("m{number}.io")
                }
                _ => format!("m{number}.io/r"),
            };
        }
        if let Some(marked) = marked_version(&self.text, number) {
            return marked;
        }
        // A tag with its digest, and a repository whose tag is a digest without its algorithm, keep that.
        if let Some((before, behind)) = self.text.split_once('@')
            && (self.is_tag() || behind == "sha256")
        {
            let leaf = Self {
                path: self.path.clone(),
                text: before.to_owned(),
            };
            return format!("{}@{behind}", leaf.marker(number - FIRST, version));
        }
        let (name, tag) = split_tag(&self.text);
        match (name.split_once('/'), tag) {
            (_, Some(tag)) => {
                let tag = marked_version(tag, number).unwrap_or_else(|| format!("9.9.{number}"));
                format!("m{number}.io/r:{tag}")
            }
            (Some((host, _)), None) if is_host(host) => format!("m{number}.io/r"),
            (Some(_), None) => format!("m{number}/r"),
            (None, None) if self.is_tag() => format!("9.9.{number}"),
            (None, None) if is_host(name) => format!("m{number}.io"),
            (None, None) => format!("m{number}"),
        }
    }

    /// Another text in its place, for charts that refuse the first: what it holds, behind a host.
    pub(super) fn plain_marker(&self, number: usize) -> Option<String> {
        let number = FIRST + number;
        let is_name = !self.text.is_empty() && !self.is_tag();
        is_name.then(|| format!("m{number}.io/{}", self.text))
    }
}

/// The numbers of markers in a text, each with its place and its length.
pub(super) fn numbers(text: &str) -> impl Iterator<Item = (usize, usize, usize)> {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    let pattern =
        PATTERN.get_or_init(|| Regex::new("9[1-2][0-9]{4}").expect("it is a regular expression"));
    pattern.find_iter(text).filter_map(|found| {
        let number = found.as_str().parse::<usize>().ok()?;
        Some((number.checked_sub(FIRST)?, found.start(), found.len()))
    })
}

/// A version with another patch number: comparisons of major and minor version stay what they are.
fn marked_version(text: &str, number: usize) -> Option<String> {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| {
        Regex::new(r"^(v?[0-9]{1,3}\.[0-9]{1,4})(?:\.[0-9]{1,5})?([-_.+][A-Za-z0-9._-]*)?$")
            .expect("it is a regular expression")
    });
    let found = pattern.captures(text)?;
    let rest = found.get(2).map_or("", |rest| rest.as_str());
    Some(format!("{}.{number}{rest}", &found[1]))
}

/// A reference's name and its tag.
pub(super) fn split_tag(text: &str) -> (&str, Option<&str>) {
    let start = text.rfind('/').map_or(0, |slash| slash + 1);
    let is_host_only = start == 0 && text.contains(':') && is_host(text);
    match text[start..].find(':') {
        Some(colon) if !is_host_only => {
            let colon = start + colon;
            (&text[..colon], Some(&text[colon + 1..]))
        }
        _ => (text, None),
    }
}

/// Whether the first part of a name is a host; `host:5000` is one, `name:tag` is not.
fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    (name == "localhost" || name.contains('.')) && is_port(port)
}

pub(super) fn is_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_digest_key(key: &str) -> bool {
    key.ends_with("digest") || key == "sha" || key == "sha256" || key.ends_with("sha256")
}

/// Whether a value of that key holds an image or a part of its name.
fn is_name_key(key: &str) -> bool {
    const ENDS: [&str; 10] = [
        "image",
        "registry",
        "repository",
        "repo",
        "tag",
        "version",
        "override",
        "hub",
        "imagename",
        "imagenamespace",
    ];
    ENDS.iter().any(|end| key.ends_with(end))
}

/// Whether a text stands in a reference, with no letter or digit on either side.
fn contains_part(reference: &str, text: &str) -> bool {
    let is_edge =
        |letter: Option<char>| letter.is_none_or(|letter| !letter.is_ascii_alphanumeric());
    reference.match_indices(text).any(|(start, found)| {
        let before = reference[..start].chars().next_back();
        // `v` in front of a version.
        let is_version = before == Some('v') && text.starts_with(|c: char| c.is_ascii_digit());
        (is_edge(before) || is_version) && is_edge(reference[start + found.len()..].chars().next())
    })
}

/// All leaves of some values, in their order. A global of a subchart that a chart above has too is left
/// out: templates see that of the chart above.
pub(super) fn of_values(values: &Json) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    collect(values, &mut Vec::new(), &mut leaves);
    let is_above = |leaf: &Leaf| {
        let Some(at) = leaf.path.iter().position(|key| key == "global") else {
            return false;
        };
        let inner = &leaf.path[at..];
        (0..at).any(|depth| {
            let above = leaf.path[..depth].iter().chain(inner);
            let value = above.cloned().try_fold(values, |value, key| value.get(key));
            value.is_some()
        })
    };
    leaves.retain(|leaf| !is_above(leaf));
    leaves
}

fn collect(value: &Json, path: &mut Vec<String>, leaves: &mut Vec<Leaf>) {
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                path.push(key.clone());
                collect(value, path, leaves);
                path.pop();
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                collect(item, path, leaves);
                path.pop();
            }
        }
        // A switch is no name.
        Json::Bool(_) => {}
        _ if leaves.len() >= MOST || path.iter().any(String::is_empty) => {}
        Json::Null => leaves.push(Leaf {
            path: path.clone(),
            text: String::new(),
        }),
        scalar => {
            if let Some(text) = template_text(scalar) {
                leaves.push(Leaf {
                    path: path.clone(),
                    text,
                });
            }
        }
    }
}
