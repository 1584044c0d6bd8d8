//! YAML with positions, and with the two readings that this program needs of it.
//!
//! A chart's own files are read as Helm reads them ([`Node::to_helm_json`], [`values`],
//! [`Scalar::go_string`]), because that is what the chart's templates will see. Data files keep the
//! text of their scalars ([`Scalar::text`]), so that `version: 1.10` stays `1.10`.
//!
//! The parser is one of YAML 1.2, goyaml v2 is one of 1.1. Where they disagree, one of them refuses
//! the text, with a few exceptions that do not occur: in `[?x]` and `{a: b, ?x}` goyaml sees
//! a key, in `[x:,]` it sees the text `x:`. goyaml alone takes `[-]`, `"x"#c` and tabs that indent
//! flow collections; it alone refuses `%YAML 1.2`, and tabs after `-`. Its line breaks and escapes are
//! read as it reads them.
//!
//! Facts about Helm are from the source of helm v3.17 to v4.3, sigs.k8s.io/yaml 1.6 and its decoder
//! go.yaml.in/yaml/v2 2.4; the readings were compared with theirs on some 300,000 scalars.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

mod pass;
mod reader;
mod rewrite;
mod scalar;
mod source;
mod tabs;
#[cfg(test)]
mod tests;
mod timestamp;

pub(crate) use reader::{Item, YamlReader};
pub use scalar::{Scalar, Undecodable, template_text};
pub(crate) use scalar::{is_text_when_plain, json_number};
pub(crate) use source::YamlText;

/// One value of a document, with aliases resolved.
#[derive(Debug, Clone)]
pub struct Node {
    /// What the value is.
    pub kind: Kind,
    /// Line where it starts, from 1. An alias counts where it stands, the content of what it stands
    /// for where that was written.
    pub line: usize,
    /// Column where it starts, in characters, from 1.
    pub column: usize,
}

/// The three shapes of a value.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Text, a number, a boolean or null: [`Scalar`] has the readings.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in source order, as written: with merge keys (`<<`) and with duplicates.
    Mapping(Vec<(Node, Node)>),
}

/// Why a text could not be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Error {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

/// What a text may cost. Aliases count as often as they are used ("billion laughs").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Values, keys included, of all documents together.
    pub nodes: usize,
    /// Levels of lists and mappings.
    pub depth: usize,
    /// Bytes of the text, and of all scalars together.
    pub bytes: usize,
}

impl Default for Limits {
    /// Half a million values, 16 MiB, 128 levels: Helm refuses a chart with a file of more than 5
    /// MiB, and `serde_json` reads no more than 128 levels back.
    fn default() -> Self {
        Self {
            nodes: 500_000,
            depth: 128,
            bytes: 16 << 20,
        }
    }
}

/// What of its limits other texts have spent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spent {
    /// Values.
    pub nodes: usize,
    /// Bytes of scalars.
    pub bytes: usize,
}

/// Reads all documents. A text without any has none, an empty document between two `---` is null.
///
/// # Errors
/// What is no YAML, has a merge key whose value is no mapping, or exceeds a limit.
pub fn parse(text: &str, limits: &Limits) -> Result<Vec<Node>, Error> {
    read(text, |source| {
        let mut reader = YamlReader::new(source, limits)?;
        let mut documents = Vec::new();
        while let Some(root) = reader.document()? {
            documents.push(reader.node(root)?);
        }
        Ok(documents)
    })
}

/// Reads a text, and again where the parser has to be helped.
pub(crate) fn read<T>(
    text: &str,
    read: impl Fn(&YamlText<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut source = YamlText::new(text);
    loop {
        match read(&source) {
            Err(error) if source.repair(&error) => {}
            result => return result,
        }
    }
}

/// Reads the first document only, and does not look at what follows, as Helm reads `Chart.yaml`.
///
/// # Errors
/// As [`parse`].
pub fn first_document(text: &str, limits: &Limits) -> Result<Option<Node>, Error> {
    first_within(text, limits, &mut Spent::default())
}

/// The same as [`first`], within limits that it shares with other texts: many small ones cost as much
/// as one large one.
///
/// # Errors
/// As [`parse`].
pub fn first_within(text: &str, limits: &Limits, spent: &mut Spent) -> Result<Option<Node>, Error> {
    let (root, after) = read(text, |source| {
        let mut reader = YamlReader::new(source, limits)?;
        reader.spend_before(spent);
        let root = reader.document()?;
        let root = root.map(|root| reader.node(root)).transpose()?;
        Ok((root, reader.spent()))
    })?;
    *spent = after;
    Ok(root)
}

/// Some entries of a text's first document, without building the others. `None` where the document is no
/// mapping, would not become JSON, or has what takes more than a look at each value, such as aliases:
/// [`first`] is for those.
pub(crate) fn entries(text: &str, limits: &Limits, wanted: &[&str]) -> Option<Node> {
    let source = YamlText::new(text);
    let read = || YamlReader::new(&source, limits)?.entries(wanted);
    read().ok().flatten()
}

/// Reads a `values.yaml` as Helm 3 does: the first document, and what follows is not looked at
/// (Helm 4 merges all documents). Without any content it is an empty object. Nulls are kept: what they
/// remove is decided when values are coalesced.
///
/// # Errors
/// As [`parse`] and [`Node::to_helm_json`]; a document that is not a mapping.
pub fn values(text: &str) -> Result<Value, Error> {
    values_within(text, &Limits::default(), &mut Spent::default())
}

/// The same as [`values`], within limits that it shares with other texts.
///
/// # Errors
/// As [`values`].
pub fn values_within(text: &str, limits: &Limits, spent: &mut Spent) -> Result<Value, Error> {
    let Some(root) = first_within(text, limits, spent)? else {
        return Ok(Value::Object(Map::new()));
    };
    match root.to_helm_json()? {
        Value::Null => Ok(Value::Object(Map::new())),
        map @ Value::Object(_) => Ok(map),
        _ => Err(root.error(format!(
            "values must be a mapping, this is a {}",
            root.kind_name()
        ))),
    }
}

impl Node {
    /// The value of a key, compared with the key's text as written; with merge keys, and of
    /// duplicates the one that goyaml v2 would keep. None if there is no such key, or this is no
    /// mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.assignments()
            .into_iter()
            .rfind(|(k, _)| k.text() == Some(key))
            .map(|(_, value)| value)
    }

    /// Keys and values as [`Node::get`] sees them, each key once, in order of first appearance.
    /// Empty if this is no mapping.
    #[must_use]
    pub fn entries(&self) -> Vec<(&Node, &Node)> {
        let mut places = HashMap::new();
        let mut entries: Vec<(&Node, &Node)> = Vec::new();
        for (key, value) in self.assignments() {
            let place = key.text().map_or(entries.len(), |text| {
                *places.entry(text).or_insert(entries.len())
            });
            match entries.get_mut(place) {
                Some(entry) => entry.1 = value,
                None => entries.push((key, value)),
            }
        }
        entries
    }

    /// The items of a list; empty if this is none.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::Sequence(items) => items,
            _ => &[],
        }
    }

    /// Keys and values as written, None if this is no mapping.
    #[must_use]
    pub fn pairs(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            Kind::Mapping(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The scalar, if this is one.
    #[must_use]
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Text as written, if this is a scalar and not null: short for [`Scalar::text`].
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        self.as_scalar().and_then(Scalar::text)
    }

    /// Whether this is a null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_scalar()
            .is_some_and(|scalar| scalar.text().is_none())
    }

    /// What to call this value in a message: `mapping`, `list`, `null` or `text`.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Mapping(_) => "mapping",
            Kind::Sequence(_) => "list",
            Kind::Scalar(scalar) if scalar.text().is_none() => "null",
            Kind::Scalar(_) => "text",
        }
    }

    /// Keys that repeat an earlier key of the same mapping, here and in everything below, in source
    /// order. Helm keeps the last; a person who wrote one twice wants to know.
    #[must_use]
    pub fn duplicates(&self) -> Vec<&Node> {
        let mut found = Vec::new();
        self.find_duplicates(&mut found);
        found
    }

    fn find_duplicates<'a>(&'a self, found: &mut Vec<&'a Node>) {
        match &self.kind {
            Kind::Scalar(_) => {}
            Kind::Sequence(items) => items.iter().for_each(|item| item.find_duplicates(found)),
            Kind::Mapping(pairs) => {
                let mut seen = HashSet::new();
                for (key, value) in pairs {
                    if !key.is_merge() && key.text().is_some_and(|text| !seen.insert(text)) {
                        found.push(key);
                    }
                    value.find_duplicates(found);
                }
            }
        }
    }

    /// This value as it reaches a template: goyaml v2, then sigs.k8s.io/yaml to JSON. Keys become
    /// text (`true`, `8` for `010`, `1.1` for `1.10`).
    ///
    /// # Errors
    /// What Helm refuses too: `.inf` and `.nan` as values; null, lists and mappings as keys; a
    /// scalar that its tag does not fit.
    pub fn to_helm_json(&self) -> Result<Value, Error> {
        Ok(match &self.kind {
            Kind::Scalar(scalar) => scalar
                .helm()
                .map_err(|error| self.error(error.to_string()))?,
            Kind::Sequence(items) => Value::Array(
                items
                    .iter()
                    .map(Self::to_helm_json)
                    .collect::<Result<_, _>>()?,
            ),
            Kind::Mapping(_) => {
                let mut map = Map::new();
                for (key, value) in self.assignments() {
                    map.insert(key.helm_key()?, value.to_helm_json()?);
                }
                Value::Object(map)
            }
        })
    }

    /// An error at this place.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error {
            line: self.line,
            column: self.column,
            message: message.into(),
        }
    }

    /// The pairs of a mapping in the order in which goyaml v2 assigns them. It treats `<<: X` as if
    /// X's pairs stood there, so it replaces what was written before it and yields to what comes
    /// after; of a list of mappings the first wins.
    fn assignments(&self) -> Vec<(&Node, &Node)> {
        let mut pairs = Vec::new();
        self.collect_assignments(&mut pairs);
        pairs
    }

    fn collect_assignments<'a>(&'a self, into: &mut Vec<(&'a Node, &'a Node)>) {
        let Kind::Mapping(pairs) = &self.kind else {
            return;
        };
        for (key, value) in pairs {
            if !key.is_merge() {
                into.push((key, value));
            } else if let Kind::Sequence(mappings) = &value.kind {
                mappings
                    .iter()
                    .rev()
                    .for_each(|mapping| mapping.collect_assignments(into));
            } else {
                value.collect_assignments(into);
            }
        }
    }

    /// The text of a scalar, null or not: what a key is compared by.
    fn text(&self) -> Option<&str> {
        self.as_scalar().map(|scalar| scalar.text.as_str())
    }

    /// As a key of a mapping that becomes JSON.
    pub(crate) fn helm_key(&self) -> Result<String, Error> {
        let scalar = self
            .as_scalar()
            .ok_or_else(|| self.error(format!("a {} cannot be a key", self.kind_name())))?;
        scalar
            .helm_key()
            .map_err(|error| self.error(error.to_string()))
    }

    fn is_merge(&self) -> bool {
        self.as_scalar().is_some_and(Scalar::is_merge)
    }
}
