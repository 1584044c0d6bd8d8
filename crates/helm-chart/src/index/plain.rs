//! The fast way through an index in the block style that `helm repo index` writes:
//!
//! ```yaml
//! apiVersion: v1
//! entries:
//!   first-chart:
//!   - version: 1.0.0
//!   second-chart:
//!   - version: 1.0.0
//! generated: "2025-01-01T00:00:00Z"
//! ```
//!
//! Lines are cut into blocks by indentation alone, and only wanted charts are parsed. In YAML a
//! line that is indented as little as a chart's name ends a block scalar and a plain scalar, but it
//! can be part of a quoted scalar or of a `[` or `{` that an earlier line left open. So no cut is
//! made before it is certain that none is open: either no line since the last cut can have opened
//! one, or the parser finds that what stands between the two cuts is complete. Whatever else is
//! unusual is left to the slow way, the reporting of errors included.

use std::collections::{BTreeSet, HashSet};

use granit_parser::Event;

use super::{ENTRY, Entry, Index, LIMITS, MAX_ENTRIES, versions};
use crate::yaml::{self, Kind, Limits, Scalar, YamlReader, YamlText};

/// Reads an index, None if that takes the slow way.
pub(super) fn read(text: &str, wanted: &BTreeSet<String>) -> Option<Index> {
    let parts = cut(text)?;
    check_top_level(parts.head, parts.tail)?;
    let mut index = Index::default();
    let mut seen = HashSet::new();
    for (name, block) in parts.charts {
        if !seen.insert(name) {
            return None;
        }
        if wanted.contains(name) {
            let entries = yaml::read(block, |source| chart(source, name)).ok()?;
            index.entries.insert(name.to_owned(), entries?);
        }
        index.add_name(name.to_owned()).ok()?;
    }
    Some(index)
}

/// The entries in the lines of a chart; None where these are anything else.
fn chart(source: &YamlText<'_>, name: &str) -> Result<Option<Vec<Entry>>, yaml::Error> {
    let mut reader = YamlReader::new(source, &LIMITS)?;
    let root = reader.document()?;
    if !root.is_some_and(|root| matches!(root.0, Event::MappingStart(..))) {
        return Ok(None);
    }
    let key = reader.next()?;
    if reader.node(key)?.as_text() != Some(name) {
        return Ok(None);
    }
    let list = reader.next()?;
    let entries = versions(&mut reader, list)?;
    let is_all = matches!(reader.next()?.0, Event::MappingEnd) && reader.document()?.is_none();
    Ok(is_all.then_some(entries))
}

struct Parts<'a> {
    /// From the start to the line `entries:`, inclusive.
    head: &'a str,
    /// Each chart's name and its lines, the one with the name included.
    charts: Vec<(&'a str, &'a str)>,
    /// From the first line after the entries.
    tail: &'a str,
}

fn cut(text: &str) -> Option<Parts<'_>> {
    const ENTRIES: &str = "entries:\n";
    // To YAML a carriage return alone ends a line, here only a line feed does.
    if text.contains('\r') {
        return None;
    }
    let body = if text.starts_with(ENTRIES) {
        0
    } else {
        text.find("\nentries:\n")? + 1
    } + ENTRIES.len();
    let mut charts: Vec<(&str, usize)> = Vec::new();
    let mut level = 0;
    // Where the last cut was made, and whether something may have been left open since.
    let (mut last_cut, mut may_be_open) = (body, false);
    let mut lines = Lines::default();
    let mut position = body;
    let mut tail = text.len();
    for line in text[body..].split_inclusive('\n') {
        let start = position;
        position += line.len();
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        let content = content.trim_end_matches([' ', '\t', '\n']);
        if content.is_empty() {
            continue;
        }
        if charts.is_empty() {
            level = indent;
        }
        if indent > level {
            may_be_open |= lines.may_open(indent, content);
            continue;
        }
        if may_be_open && !is_complete(&text[last_cut..start]) {
            return None;
        }
        last_cut = start;
        if indent == 0 {
            tail = start;
            break;
        }
        if indent < level {
            return None;
        }
        let is_item = content == "-" || content.starts_with("- ");
        if is_item && !charts.is_empty() {
            may_be_open = lines.may_open(indent, content);
        } else {
            // The slow way says so.
            if charts.len() == MAX_ENTRIES {
                return None;
            }
            may_be_open = false;
            lines = Lines::default();
            charts.push((chart_name(content)?, start));
        }
    }
    if tail == text.len() && may_be_open && !is_complete(&text[last_cut..]) {
        return None;
    }
    let ends = charts.iter().skip(1).map(|(_, start)| *start).chain([tail]);
    let charts = charts
        .iter()
        .zip(ends)
        .map(|(&(name, start), end)| (name, &text[start..end]))
        .collect();
    Some(Parts {
        head: &text[..body],
        charts,
        tail: &text[tail..],
    })
}

/// The name in a line that has nothing else, except for an empty list. It must be one that YAML
/// reads as that very text.
fn chart_name(content: &str) -> Option<&str> {
    let name = content
        .strip_suffix(" []")
        .unwrap_or(content)
        .strip_suffix(':')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (is_name && Scalar::plain(name).helm_key().is_ok_and(|key| key == name)).then_some(name)
}

/// Looks line by line for what may be left open. It holds of lines that are YAML.
#[derive(Default)]
struct Lines {
    /// The indentation of a key that has a block scalar; deeper lines are its text.
    block_scalar: Option<usize>,
}

impl Lines {
    /// Whether a line, given without its indentation, can end inside of quotes or brackets.
    fn may_open(&mut self, indent: usize, content: &str) -> bool {
        if self.block_scalar.is_some_and(|key| indent > key) {
            return false;
        }
        self.block_scalar = None;
        let item = content.trim_start_matches("- ");
        if let Some((key, value)) = item.split_once(": ") {
            let is_key = key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
            if is_key && value.starts_with(|c: char| c.is_ascii_alphanumeric()) {
                return false;
            }
            if is_key && matches!(value, "|" | "|-" | "|+" | ">" | ">-" | ">+") {
                self.block_scalar = Some(indent + content.len() - item.len());
                return false;
            }
        }
        may_open(content.as_bytes())
    }
}

/// A quote or bracket begins something only at the start of a line or after a blank. One is fine if
/// it is closed at the line's end with nothing inside that could begin something itself, should it
/// be text.
fn may_open(content: &[u8]) -> bool {
    let mut before = b' ';
    for (position, &byte) in content.iter().enumerate() {
        if matches!(before, b' ' | b'\t') && matches!(byte, b'"' | b'\'' | b'[' | b'{') {
            return match &content[position..] {
                b"[]" | b"{}" => false,
                [quote @ (b'"' | b'\''), inner @ .., last] if quote == last => inner
                    .iter()
                    .any(|byte| matches!(byte, b'"' | b'\'' | b'[' | b'{' | b'\\')),
                _ => true,
            };
        }
        before = byte;
    }
    false
}

/// Whether a text is one document that needs nothing after it.
fn is_complete(text: &str) -> bool {
    let check = || -> Result<bool, yaml::Error> {
        let source = YamlText::new(text);
        let mut reader = YamlReader::new(&source, &LIMITS)?;
        let Some(root) = reader.document()? else {
            return Ok(false);
        };
        reader.skip(root)?;
        Ok(reader.document()?.is_none())
    };
    check().unwrap_or(false)
}

/// Whether what is around the entries is what it should be.
fn check_top_level(head: &str, tail: &str) -> Option<()> {
    let head = single_document(head)?;
    let tail = if tail.is_empty() {
        None
    } else {
        Some(single_document(tail)?)
    };
    // A marker of documents, a tab or a comment might mean something else than a key.
    let tail_starts_with_key = tail.as_ref().is_none_or(|tail| tail.column == 1);
    let (entries, before) = head.pairs()?.split_last()?;
    let after = tail.as_ref().map_or(Some(&[][..]), yaml::Node::pairs)?;
    let mut keys = HashSet::from([entries.0.as_text()?]);
    for (key, _) in before.iter().chain(after) {
        if key.as_text()? == "<<" || !keys.insert(key.as_text()?) {
            return None;
        }
    }
    let has_api_version = before
        .iter()
        .chain(after)
        .any(|(key, value)| key.as_text() == Some("apiVersion") && !value.is_null());
    let is_index =
        entries.0.as_text() == Some("entries") && entries.1.is_null() && tail_starts_with_key;
    (is_index && has_api_version).then_some(())
}

fn single_document(text: &str) -> Option<yaml::Node> {
    // All of it is in memory as values, and it is what stands around the charts.
    let limits = Limits {
        nodes: ENTRY,
        ..LIMITS
    };
    let mut documents = yaml::parse(text, &limits).ok()?;
    let document = documents.pop()?;
    (documents.is_empty() && matches!(document.kind, Kind::Mapping(_))).then_some(document)
}
