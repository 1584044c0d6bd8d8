//! Looks at values without building them.

use std::borrow::Cow;

use granit_parser::{Event, ScalarStyle};

use super::reader::Weight;
use super::{Error, Item, Kind, Node, YamlReader};

/// The number that the parser gives to what has no anchor.
const NO_ANCHOR: usize = 0;

impl<'a> YamlReader<'a> {
    /// The entries of a document under some keys, if the document is a mapping that certainly becomes JSON.
    pub(super) fn entries(&mut self, wanted: &[&str]) -> Result<Option<Node>, Error> {
        let Some((Event::MappingStart(_, NO_ANCHOR, None), span)) = self.document()? else {
            return Ok(None);
        };
        self.open(&span.start)?;
        let mut pairs = Vec::new();
        while let Some(item) = self.next_in_collection()? {
            if !matches!(item.0, Event::Scalar(_, _, NO_ANCHOR, None)) {
                return Ok(None);
            }
            let key = self.node(item)?;
            if key.is_merge() || key.helm_key().is_err() {
                return Ok(None);
            }
            let item = self.next()?;
            if !key.text().is_some_and(|key| wanted.contains(&key)) {
                if self.is_plain(item)? {
                    continue;
                }
                return Ok(None);
            }
            let value = self.node(item)?;
            if value.to_helm_json().is_err() {
                return Ok(None);
            }
            pairs.push((key, value));
        }
        Ok(Some(Node {
            kind: Kind::Mapping(pairs),
            line: span.start.line(),
            column: span.start.col() + 1,
        }))
    }

    /// Passes over the value that starts with this event. Whether it certainly becomes JSON: there are no
    /// anchors, aliases, tags and merge keys in it, nor values and keys that JSON does not have.
    fn is_plain(&mut self, item: Item<'a>) -> Result<bool, Error> {
        // For each open collection: of a mapping, whether a key is next.
        let mut open: Vec<Option<bool>> = Vec::new();
        let mut next = Some(item);
        loop {
            let (event, span) = match next.take() {
                Some(item) => item,
                None => self.next()?,
            };
            let is_key = open.last() == Some(&Some(true));
            match event {
                Event::Scalar(text, style, NO_ANCHOR, None) => {
                    let weight = Weight {
                        nodes: 1,
                        bytes: text.len(),
                        depth: 0,
                    };
                    self.spend(&span.start, weight)?;
                    let is_odd = style == ScalarStyle::Plain && is_odd(&text, is_key);
                    if is_odd
                        || self
                            .source
                            .scalar(Cow::Borrowed(&text), style, &span)
                            .is_err()
                    {
                        return Ok(false);
                    }
                }
                Event::SequenceStart(_, NO_ANCHOR, None) if !is_key => {
                    self.open(&span.start)?;
                    open.push(None);
                    continue;
                }
                Event::MappingStart(_, NO_ANCHOR, None) if !is_key => {
                    self.open(&span.start)?;
                    open.push(Some(true));
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    self.depth -= 1;
                    open.pop();
                }
                _ => return Ok(false),
            }
            match open.last_mut() {
                None => return Ok(true),
                Some(Some(is_key)) => *is_key = !*is_key,
                Some(None) => {}
            }
        }
    }
}

/// Whether a plain scalar might be what JSON does not have: infinity, not-a-number, and as a key also null,
/// a merge key and a large number.
fn is_odd(text: &str, is_key: bool) -> bool {
    let unsigned = text.trim_start_matches(['+', '-']);
    let is_odd = matches!(
        unsigned,
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
    );
    let is_large =
        || text.len() >= 16 && text.starts_with(|c: char| c.is_ascii_digit() || c == '+');
    is_odd || is_key && (is_large() || matches!(text, "" | "~" | "null" | "Null" | "NULL" | "<<"))
}
