//! The `index.yaml` of a Helm chart repository.
//!
//! Indexes reach 20 MB and more, of which a few charts are wanted. The file that `helm repo index`
//! writes is cut by its indentation ([`plain`]) and only the wanted charts are parsed; any other
//! file is read event by event, and what is not wanted is passed over without being built.
//!
//! Read as helm v4.3 `pkg/repo/v1/index.go` does: as JSON if it is JSON, else as YAML, where
//! a chart that is listed twice is an error; entries that are null or lack a version are left out.
//! Unknown keys, and versions that are unquoted numbers, with which Helm refuses a whole index, are
//! taken.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use granit_parser::Event;

use crate::version;
use crate::yaml::{self, Item, Kind, Limits, Node, YamlReader, YamlText};

mod closest;
mod json;
mod plain;
#[cfg(test)]
mod tests;

pub use closest::{Closest, closest, newest_matching};

/// What of an index was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// The entries of the wanted charts in file order. A chart that the index does not list is not
    /// here.
    pub entries: BTreeMap<String, Vec<Entry>>,
    /// The names of all charts in the index, in file order, wanted or not.
    pub names: Vec<String>,
}

/// One version of a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// The version as a Go string field receives it (an unquoted `1.10` is `1.1`); never empty.
    pub version: String,
    /// Where the archive is: absolute, or relative to the index.
    pub urls: Vec<String>,
    /// SHA-256 of the archive in hex, as the index says.
    pub digest: Option<String>,
    /// When the entry was made, as written.
    pub created: Option<String>,
    /// The version of the packaged application.
    pub app_version: Option<String>,
}

/// Why an index could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It exceeds [`MAX_BYTES`].
    #[error("the index has {bytes} bytes, more than {MAX_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is not UTF-8: an archive, an image, another encoding.
    #[error("the index is not text: it is not UTF-8 from byte {position} on")]
    NotText {
        /// The first byte that does not fit, from 0.
        position: usize,
    },
    /// It is JSON with values that do not belong there.
    #[error("the index is JSON of another shape")]
    Json(#[source] serde_json::Error),
    /// It is not YAML, or has values that do not belong there.
    #[error("the index cannot be read")]
    Yaml(#[from] yaml::Error),
    /// It has more than [`MAX_ENTRIES`] charts, or versions of one.
    #[error("the index has more than {MAX_ENTRIES} {0}")]
    TooMany(&'static str),
    /// It can be read and is something else, such as an error page.
    #[error("this is not an index of charts: {0}")]
    NotAnIndex(&'static str),
}

/// No index is read that is larger. The largest public ones have about 30 MB.
pub const MAX_BYTES: usize = 64 << 20;

/// The most charts of an index, and the most versions of a chart that is wanted. The largest public
/// ones have some thousands.
const MAX_ENTRIES: usize = 100_000;

/// An entry has about twenty values, and only one entry at a time is in memory as values.
const LIMITS: Limits = Limits {
    nodes: 4_000_000,
    depth: 128,
    bytes: MAX_BYTES,
};

/// The most values of one entry.
const ENTRY: usize = 100_000;

/// Reads an index, and of it the entries of the wanted charts.
///
/// # Errors
/// When it is too large or not an index; with a line number, when it is not YAML, names a chart twice, or has
/// an entry of a wanted chart whose parts have the wrong shape. Errors inside of other charts can
/// go unnoticed.
pub fn read(index: impl AsRef<[u8]>, wanted: &BTreeSet<String>) -> Result<Index, Error> {
    let bytes = index.as_ref();
    if bytes.len() > MAX_BYTES {
        return Err(Error::TooLarge { bytes: bytes.len() });
    }
    let text = str::from_utf8(bytes).map_err(|error| Error::NotText {
        position: error.valid_up_to(),
    })?;
    if text.trim_start().starts_with('{') {
        match json::read(text, wanted) {
            // Then it may still be YAML in flow style.
            Err(Error::Json(error)) if !error.is_data() => {}
            result => return result,
        }
    }
    plain::read(text, wanted).map_or_else(|| read_events(text, wanted), Ok)
}

/// Reads an index in YAML event by event: what [`read`] comes to where the fast way gives up.
///
/// # Errors
/// As [`read`].
pub fn read_events(text: &str, wanted: &BTreeSet<String>) -> Result<Index, Error> {
    let source = YamlText::new(text);
    let mut reader = YamlReader::new(&source, &LIMITS)?;
    let root = reader.document()?.ok_or(Error::NotAnIndex("it is empty"))?;
    if !matches!(root.0, Event::MappingStart(..)) {
        return Err(Error::NotAnIndex("its top level is not a mapping"));
    }
    let mut index = Index::default();
    let mut has_api_version = false;
    let mut seen = HashSet::new();
    while let Some(key) = key(&mut reader, &mut seen)? {
        let value = reader.next()?;
        match key.as_str() {
            "apiVersion" => has_api_version = !reader.node(value)?.is_null(),
            "entries" => read_charts(&mut reader, value, wanted, &mut index)?,
            _ => reader.skip(value)?,
        }
    }
    if !has_api_version {
        return Err(Error::NotAnIndex(NO_API_VERSION));
    }
    Ok(index)
}

const NO_API_VERSION: &str = "it has no apiVersion";

fn read_charts<'a>(
    reader: &mut YamlReader<'a>,
    value: Item<'a>,
    wanted: &BTreeSet<String>,
    index: &mut Index,
) -> Result<(), Error> {
    if !matches!(value.0, Event::MappingStart(..)) {
        let node = reader.node(value)?;
        return if node.is_null() {
            Ok(())
        } else {
            Err(node.error("entries must be a mapping").into())
        };
    }
    let mut seen = HashSet::new();
    while let Some(name) = key(reader, &mut seen)? {
        let value = reader.next()?;
        if wanted.contains(&name) {
            let versions = versions(reader, value)?;
            index.entries.insert(name.clone(), versions);
        } else {
            reader.skip(value)?;
        }
        index.add_name(name)?;
    }
    Ok(())
}

/// The next key of a mapping, None at its end.
fn key(
    reader: &mut YamlReader<'_>,
    seen: &mut HashSet<String>,
) -> Result<Option<String>, yaml::Error> {
    let item = reader.next()?;
    if matches!(item.0, Event::MappingEnd) {
        return Ok(None);
    }
    let node = reader.node(item)?;
    let key = node.helm_key()?;
    if key == "<<" {
        return Err(node.error("a merge key is not expected here"));
    }
    if !seen.insert(key.clone()) {
        return Err(node.error(format!("`{key}` is here for the second time")));
    }
    Ok(Some(key))
}

/// The entries of one chart, each of them read and dropped before the next one.
fn versions<'a>(reader: &mut YamlReader<'a>, value: Item<'a>) -> Result<Vec<Entry>, yaml::Error> {
    let mut entries = Vec::new();
    // What has an anchor can be meant by an alias, and an alias is expanded as a whole.
    let is_plain = matches!(value.0, Event::SequenceStart(..)) && value.0.anchor_id().is_none();
    if !is_plain {
        let versions = reader.small_node(value, LIMITS.nodes / 4)?;
        for node in list(&versions, "the versions of a chart")? {
            add_entry(&mut entries, node)?;
        }
        return Ok(entries);
    }
    loop {
        let item = reader.next()?;
        if matches!(item.0, Event::SequenceEnd) {
            return Ok(entries);
        }
        add_entry(&mut entries, &reader.small_node(item, ENTRY)?)?;
    }
}

/// Reads an entry; one that is null or has no version is left out.
fn add_entry(entries: &mut Vec<Entry>, node: &Node) -> Result<(), yaml::Error> {
    if let Some(key) = node.duplicates().first() {
        return Err(key.error("the entry has this key twice"));
    }
    if node.is_null() {
        return Ok(());
    }
    if !matches!(node.kind, Kind::Mapping(_)) {
        return Err(node.error(format!(
            "an entry must be a mapping, this is a {}",
            node.kind_name()
        )));
    }
    let text = |key| node.get(key).map_or(Ok(None), go_string);
    let Some(version) = text("version")?.filter(|version| !version.is_empty()) else {
        return Ok(());
    };
    if entries.len() == MAX_ENTRIES {
        return Err(node.error(format!(
            "a chart with more than {MAX_ENTRIES} versions is not read"
        )));
    }
    let urls = node
        .get("urls")
        .map_or(Ok(&[][..]), |urls| list(urls, "urls"))?;
    entries.push(Entry {
        version,
        urls: urls
            .iter()
            .map(go_string)
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()?,
        digest: text("digest")?,
        created: text("created")?,
        app_version: text("appVersion")?,
    });
    Ok(())
}

fn list<'a>(node: &'a Node, what: &str) -> Result<&'a [Node], yaml::Error> {
    match &node.kind {
        Kind::Sequence(items) => Ok(items),
        _ if node.is_null() => Ok(&[]),
        _ => Err(node.error(format!(
            "{what} must be a list, this is a {}",
            node.kind_name()
        ))),
    }
}

fn go_string(node: &Node) -> Result<Option<String>, yaml::Error> {
    let scalar = node
        .as_scalar()
        .ok_or_else(|| node.error(format!("this must be text, it is a {}", node.kind_name())))?;
    Ok(scalar.go_string())
}

impl Index {
    fn add_name(&mut self, name: String) -> Result<(), Error> {
        if self.names.len() == MAX_ENTRIES {
            return Err(Error::TooMany("charts"));
        }
        self.names.push(name);
        Ok(())
    }

    /// The entry of a version of a wanted chart: the one with exactly this text, else the one that
    /// differs by a leading `v`, else the one whose version is equal (`7.0` is `7`, as an index says
    /// for a chart with an unquoted `version: 7.0`).
    ///
    /// # Errors
    /// What comes closest.
    pub fn find(&self, chart: &str, version: &str) -> Result<&Entry, Missing> {
        let Some(entries) = self.entries.get(chart) else {
            return Err(Missing::Chart {
                chart: chart.to_owned(),
                similar: self.similar(chart),
            });
        };
        let with = |text: &str| entries.iter().find(|entry| entry.version == text);
        let other = version
            .strip_prefix('v')
            .map_or_else(|| format!("v{version}"), str::to_owned);
        let equal = || {
            let is_equal = |entry: &&Entry| version::is_equal(&entry.version, version);
            entries.iter().find(is_equal)
        };
        with(version)
            .or_else(|| with(&other))
            .or_else(equal)
            .ok_or_else(|| Missing::Version {
                chart: chart.to_owned(),
                version: version.to_owned(),
                closest: closest(version, entries.iter().map(|entry| entry.version.as_str())),
            })
    }

    /// The names that look most like this one, at most three.
    fn similar(&self, chart: &str) -> Vec<String> {
        let mut names: Vec<_> = self
            .names
            .iter()
            // No name is much longer than the one that is looked for and still similar to it.
            .filter(|name| name.len() <= 2 * chart.len())
            .map(|name| (strsim::jaro_winkler(chart, name), name))
            .filter(|(similarity, name)| *similarity > 0.8 && *name != chart)
            .collect();
        names.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        names
            .into_iter()
            .take(3)
            .map(|(_, name)| name.clone())
            .collect()
    }
}

/// What an index lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The chart.
    #[error("the index has no chart `{chart}`")]
    Chart {
        /// Its name.
        chart: String,
        /// At most three names in the index that look like it, the most similar first.
        similar: Vec<String>,
    },
    /// The version.
    #[error("the index has no version `{version}` of the chart `{chart}`")]
    Version {
        /// The chart, which the index has.
        chart: String,
        /// The version that it has not.
        version: String,
        /// The versions that it has.
        closest: Closest,
    },
}

impl Missing {
    /// What the index has that comes close, as a sentence for a person; None if there is nothing.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Chart { similar, .. } if similar.is_empty() => None,
            Self::Chart { similar, .. } => Some(format!("similar names: {}", similar.join(", "))),
            Self::Version { closest, .. } => closest.remedy(),
        }
    }
}
