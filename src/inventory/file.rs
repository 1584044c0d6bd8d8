//! A data file as a tree whose every place can be named.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::problem::Problem;
use helm_chart::yaml::{self, Kind, Limits, Node};

use super::keys;
use super::versions::{close_name, versions};

/// Which data files to read.
#[derive(Debug, Clone)]
pub struct DataFiles {
    /// The folder.
    pub dir: PathBuf,
    /// The EKS version as it was given, such as `1.34`.
    pub eks_version: String,
}

/// Where a reader says what it found wrong.
#[derive(Debug, Default)]
pub(super) struct DataReader {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

/// A data file.
#[derive(Debug)]
pub(super) struct DataFile {
    path: PathBuf,
    root: Node,
}

/// A value in a data file with the way to it.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    file: &'a DataFile,
    node: &'a Node,
    line: usize,
    keys: Vec<String>,
}

impl DataFile {
    pub(super) fn root(&self) -> Entry<'_> {
        Entry {
            file: self,
            node: &self.root,
            line: self.root.line,
            keys: Vec::new(),
        }
    }
}

impl<'a> Entry<'a> {
    /// `file:line: a.b.c`
    pub(super) fn place(&self) -> String {
        let place = format!("{}:{}", self.file.path.display(), self.line);
        if self.keys.is_empty() {
            place
        } else {
            format!("{place}: {}", self.keys.join("."))
        }
    }

    /// The file's folder, against which paths in it are meant.
    pub(super) fn folder(&self) -> &'a Path {
        self.file.path.parent().unwrap_or(Path::new("."))
    }

    /// The last key on the way here.
    pub(super) fn name(&self) -> &str {
        self.keys.last().map_or("", String::as_str)
    }

    pub(super) fn node(&self) -> &'a Node {
        self.node
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.node.kind, Kind::Scalar(scalar) if scalar.text().is_none())
    }

    /// What a mapping holds, in order.
    pub(super) fn entries(&self) -> Vec<Entry<'a>> {
        let entries = self.node.entries().into_iter();
        entries
            .filter_map(|(key, node)| Some(self.below(key_text(key)?, key, node)))
            .collect()
    }

    pub(super) fn get(&self, key: &str) -> Option<Entry<'a>> {
        let entries = self.node.entries().into_iter();
        let mut found = entries.filter(|(name, _)| key_text(name) == Some(key));
        found.next().map(|(name, node)| self.below(key, name, node))
    }

    fn below(&self, name: &str, key: &Node, node: &'a Node) -> Entry<'a> {
        let mut keys = self.keys.clone();
        keys.push(name.to_owned());
        Entry {
            file: self.file,
            node,
            line: key.line,
            keys,
        }
    }

    /// The elements of a list.
    pub(super) fn items(&self) -> Vec<Entry<'a>> {
        let item = |(index, node): (usize, &'a Node)| {
            let mut keys = self.keys.clone();
            keys.push(index.to_string());
            Entry {
                file: self.file,
                node,
                line: node.line,
                keys,
            }
        };
        self.node.items().iter().enumerate().map(item).collect()
    }
}

/// A key as it is written; null is a name like any other.
fn key_text(key: &Node) -> Option<&str> {
    key.as_scalar().map(|key| key.text().unwrap_or("null"))
}

impl DataReader {
    /// Opens `default.yaml` and the file of a version, and says which version that is.
    pub(super) fn open(&mut self, files: &DataFiles) -> Option<(String, DataFile, DataFile)> {
        let dir = &files.dir;
        let versions = match versions(dir) {
            Ok(versions) => versions,
            Err(error) => {
                let what = format!("cannot read the folder of the data files: {error}");
                self.problems.push(Problem::input(dir.display().to_string(), what).remedy(
                    "in a manifest: name default.yaml and the version's file under dataFiles, with their path\n\
                     data/eks_dockerimage-replication/versions/…; by hand: --data-dir DIR",
                ));
                return None;
            }
        };
        let version = self.choose_version(&files.eks_version, &versions, dir);
        let default = self.read_file(&dir.join("default.yaml"));
        let version = version?;
        let file = self.read_file(&dir.join(format!("{version}.yaml")));
        Some((version, default?, file?))
    }

    fn read_file(&mut self, path: &Path) -> Option<DataFile> {
        let limit = Limits::default().bytes as u64;
        let mut bytes = Vec::new();
        // One byte more than allowed, so that a file that is too large is seen to be.
        let read =
            std::fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
        if let Err(error) = read {
            let name = path.file_name().and_then(|name| name.to_str());
            let found = path.parent().zip(name).and_then(|(dir, name)| {
                Some(format!(
                    "there is a `{}`: rename it to `{name}`",
                    close_name(dir, name)?
                ))
            });
            let remedy = found.as_deref().unwrap_or(
                "in a manifest: name it under dataFiles; default.yaml and the version's file are both needed",
            );
            let what = format!("cannot read the data file: {error}");
            self.problems
                .push(Problem::input(path.display().to_string(), what).remedy(remedy));
            return None;
        }
        self.parse_file(path, &bytes)
    }

    /// Reads a data file's bytes.
    pub(super) fn parse_file(&mut self, path: &Path, bytes: &[u8]) -> Option<DataFile> {
        let problem = |what: String| Problem::input(path.display().to_string(), what);
        let most = Limits::default().bytes;
        if bytes.len() > most {
            self.problems
                .push(problem(format!("the file has more than {most} bytes")));
            return None;
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.problems
                .push(problem("the file is not UTF-8 text".to_owned()));
            return None;
        };
        let mut documents = match yaml::parse(text, &Limits::default()) {
            Ok(documents) => documents,
            Err(error) => {
                let place = format!("{}:{}", path.display(), error.line);
                let problem = Problem::input(place, format!("the YAML is broken: {error}"));
                self.problems.push(problem.remedy(
                    "indent YAML with spaces, not tabs; put a text in quotes if it contains `: ` or ` #`, or begins with\n\
                     a character such as `{` `[` `*` `&` `%` `@`",
                ));
                return None;
            }
        };
        if documents.len() > 1 {
            let what = format!(
                "it holds {} YAML documents, one is expected",
                documents.len()
            );
            let remedy =
                "remove the lines `---` after the first document and put all under one mapping";
            self.problems.push(problem(what).remedy(remedy));
            return None;
        }
        let root = documents.pop();
        let is_null =
            |root: &Node| matches!(&root.kind, Kind::Scalar(scalar) if scalar.text().is_none());
        if root.as_ref().is_none_or(is_null) {
            let remedy = "write `charts: {}` if it names nothing";
            self.problems
                .push(problem("the file is empty".to_owned()).remedy(remedy));
            return None;
        }
        let Some(root) = root.filter(|root| matches!(root.kind, Kind::Mapping(_))) else {
            let remedy = format!(
                "a data file is a mapping; its keys are {}",
                keys::TOP.known.join(", ")
            );
            self.problems
                .push(problem("it holds no mapping with `charts`".to_owned()).remedy(remedy));
            return None;
        };
        for key in root.duplicates() {
            let place = format!("{}:{}", path.display(), key.line);
            let what = format!(
                "the key `{}` is here a second time",
                key.as_text().unwrap_or_default()
            );
            let remedy = "remove one of the two";
            self.problems
                .push(Problem::input(place, what).remedy(remedy));
        }
        self.refuse_keys_that_are_no_text(path, &root);
        Some(DataFile {
            path: path.to_owned(),
            root,
        })
    }

    /// A list or a mapping as a key, such as an unquoted `{{ name }}`, names nothing that could be read.
    fn refuse_keys_that_are_no_text(&mut self, path: &Path, node: &Node) {
        for item in node.items() {
            self.refuse_keys_that_are_no_text(path, item);
        }
        for (key, value) in node.pairs().unwrap_or_default() {
            if key.as_scalar().is_none() {
                let place = format!("{}:{}", path.display(), key.line);
                let what = format!("a key is a text, this is a {}", key.kind_name());
                let remedy = "put the key in quotes; a template must be rendered first";
                self.problems
                    .push(Problem::input(place, what).remedy(remedy));
            }
            self.refuse_keys_that_are_no_text(path, value);
        }
    }

    /// The entry itself where it is a mapping; null counts as an empty one.
    pub(super) fn mapping<'a>(&mut self, entry: &Entry<'a>) -> Option<Entry<'a>> {
        match &entry.node.kind {
            Kind::Mapping(_) => Some(entry.clone()),
            _ if entry.is_null() => None,
            _ => {
                self.wrong_kind(entry, "a mapping");
                None
            }
        }
    }

    /// What stands below a key that should hold a mapping.
    pub(super) fn entries<'a>(&mut self, parent: &Entry<'a>, key: &str) -> Vec<Entry<'a>> {
        let mapping = parent.get(key).and_then(|entry| self.mapping(&entry));
        mapping.map(|mapping| mapping.entries()).unwrap_or_default()
    }

    /// A scalar's text as written; null and anything else than a scalar give `None`, the latter with
    /// a problem.
    pub(super) fn text_or_null(&mut self, entry: &Entry<'_>) -> Option<String> {
        let Kind::Scalar(scalar) = &entry.node.kind else {
            self.wrong_kind(entry, "a text");
            return None;
        };
        scalar.text().map(str::to_owned)
    }

    /// The text below a key, `None` where key or text is missing.
    pub(super) fn optional_text(&mut self, parent: &Entry<'_>, key: &str) -> Option<String> {
        let entry = parent.get(key)?;
        self.text_or_null(&entry)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    }

    /// Whether a key or version has only letters that are safe everywhere: what is published becomes an
    /// environment variable of other programs, and words of their shell lines.
    pub(super) fn is_word(&mut self, text: &str, entry: &Entry<'_>) -> bool {
        let is_letter = |c: char| c.is_alphanumeric() || "-_.:/@+".contains(c);
        let fits = text.chars().all(is_letter);
        if !fits {
            let what = format!(
                "`{}` contains a character that is not allowed here",
                text.escape_debug()
            );
            let remedy = "letters, digits and `-` `_` `.` `:` `/` `@` `+` are allowed";
            self.problems
                .push(Problem::input(entry.place(), what).remedy(remedy));
        }
        fits
    }

    pub(super) fn wrong_kind(&mut self, entry: &Entry<'_>, expected: &str) {
        let what = format!(
            "{expected} is expected here, this is a {}",
            entry.node.kind_name()
        );
        let remedy = match expected {
            "a mapping" => "write indented `key: value` lines below it",
            "a text" => "write one value, in quotes if it looks like another type",
            "true or false" => "write `true` or `false`",
            _ => "write `- name` lines below it",
        };
        self.problems
            .push(Problem::input(entry.place(), what).remedy(remedy));
    }
}
