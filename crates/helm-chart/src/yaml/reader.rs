//! From parser events to nodes, within limits.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::tabs::Tabs;
use super::{Error, Kind, Limits, Node, Scalar, Spent, YamlText};

/// An event and where it is.
pub(crate) type Item<'a> = (Event<'a>, Span);

/// Reads a text event by event: whole values become nodes, or are skipped without being built.
pub(crate) struct YamlReader<'a> {
    pub(super) source: &'a YamlText<'a>,
    parser: Parser<'a, StrInput<'a>>,
    limits: Limits,
    spent: Weight,
    tabs: Option<Tabs<'a>>,
    /// Levels that are open.
    pub(super) depth: usize,
    anchors: HashMap<usize, (Node, Weight)>,
    /// The values that `anchors` holds.
    kept: usize,
}

/// What a node costs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weight {
    pub(super) nodes: usize,
    pub(super) bytes: usize,
    /// Levels of lists and mappings, itself included.
    pub(super) depth: usize,
}

impl<'a> YamlReader<'a> {
    /// # Errors
    /// A text that is too long or has control characters, which goyaml refuses as well.
    pub(crate) fn new(source: &'a YamlText<'a>, limits: &Limits) -> Result<Self, Error> {
        let text = source.parsed();
        let start = |message| Error {
            line: 1,
            column: 1,
            message,
        };
        if text.len() > limits.bytes {
            return Err(start(format!(
                "the text has {} bytes, more than {}",
                text.len(),
                limits.bytes
            )));
        }
        if let Some((at, char)) = text.char_indices().find(|(_, char)| !is_allowed(*char)) {
            let before = &text[..at];
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            return Err(Error {
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
                message: format!("the control character {char:?} is not allowed"),
            });
        }
        let options = granit_parser::options! {
            // As libyaml, hence goyaml, does.
            bom_inside_document_as_content: true,
            block_scalar_eof_without_line_feed: true,
            flow_nesting_limit: limits.depth,
            block_nesting_limit: limits.depth,
        };
        Ok(Self {
            source,
            tabs: source.has_tabs.then(|| Tabs::new(text)),
            parser: Parser::new_from_str_with_options(text, options),
            limits: limits.clone(),
            spent: Weight::default(),
            depth: 0,
            anchors: HashMap::new(),
            kept: 0,
        })
    }

    /// Counts what other texts have spent.
    pub(crate) fn spend_before(&mut self, spent: &Spent) {
        self.spent.nodes += spent.nodes;
        self.spent.bytes += spent.bytes;
    }

    /// What this text and those before it have spent.
    pub(crate) fn spent(&self) -> Spent {
        Spent {
            nodes: self.spent.nodes,
            bytes: self.spent.bytes,
        }
    }

    /// Goes to the next document and gives its first event, for [`YamlReader::node`] or
    /// [`YamlReader::skip`].
    pub(crate) fn document(&mut self) -> Result<Option<Item<'a>>, Error> {
        loop {
            let item = self.next()?;
            match item.0 {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(None),
                _ => return Ok(Some(item)),
            }
        }
    }

    /// The next event. After the end of a stream there is none to ask for.
    pub(crate) fn next(&mut self) -> Result<Item<'a>, Error> {
        let item = self
            .parser
            .next_event()
            .expect("no event is asked for after the stream's end")
            .map_err(|error| syntax(&error))?;
        if let Some(tabs) = &mut self.tabs {
            tabs.check(&item)
                .map_err(|message| at(&item.1.start, message))?;
        }
        Ok(item)
    }

    /// Builds the value that starts with this event.
    pub(crate) fn node(&mut self, (event, span): Item<'a>) -> Result<Node, Error> {
        let start = span.start;
        self.spend(
            &start,
            Weight {
                nodes: 1,
                ..Weight::default()
            },
        )?;
        let anchor = event.anchor_id();
        let kind = match event {
            Event::Alias(id) => return self.alias(&start, id),
            Event::Scalar(text, style, _, tag) => {
                self.spend(
                    &start,
                    Weight {
                        bytes: text.len(),
                        ..Weight::default()
                    },
                )?;
                let text = self.source.scalar(text, style, &span);
                let text = text.map_err(|message| at(&start, message))?;
                Kind::Scalar(Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                    tag: tag
                        .map(|tag| format!("{}{}", tag.handle(), tag.suffix()).into_boxed_str()),
                })
            }
            Event::SequenceStart(..) => {
                self.open(&start)?;
                let mut items = Vec::new();
                while let Some(item) = self.next_in_collection()? {
                    items.push(self.node(item)?);
                }
                Kind::Sequence(items)
            }
            Event::MappingStart(..) => {
                self.open(&start)?;
                let mut pairs = Vec::new();
                while let Some(item) = self.next_in_collection()? {
                    let key = self.node(item)?;
                    let item = self.next()?;
                    let is_alias = item.0.is_alias();
                    let value = self.node(item)?;
                    if key.is_merge() && !can_merge(&value, is_alias) {
                        return Err(
                            value.error("a merge key needs a mapping, or a list of mappings")
                        );
                    }
                    pairs.push((key, value));
                }
                Kind::Mapping(pairs)
            }
            other => return Err(at(&start, format!("a value was expected, not {other:?}"))),
        };
        let node = Node {
            kind,
            line: start.line(),
            column: start.col() + 1,
        };
        if let Some(id) = anchor {
            let weight = Weight::of(&node);
            self.spend(&start, weight)?;
            self.kept += weight.nodes;
            self.anchors.insert(id, (node.clone(), weight));
        }
        Ok(node)
    }

    /// The same for a value that should be small: one with more than so many values is an error.
    pub(crate) fn small_node(&mut self, item: Item<'a>, most: usize) -> Result<Node, Error> {
        let (start, before, all) = (item.1.start, self.spent.nodes, self.limits.nodes);
        self.limits.nodes = all.min(before + most);
        let node = self.node(item);
        self.limits.nodes = all;
        if node.is_err() && self.spent.nodes - before > most {
            return Err(at(
                &start,
                format!("it has more than {most} values, with aliases resolved"),
            ));
        }
        node
    }

    /// Passes over the value that starts with this event. Only what has an anchor is built, because
    /// an alias elsewhere may mean it. It stays in memory, so all of it together has a quarter of the values that the
    /// text may have.
    pub(crate) fn skip(&mut self, item: Item<'a>) -> Result<(), Error> {
        let mut open = 0_usize;
        let mut next = Some(item);
        loop {
            let item = match next.take() {
                Some(item) => item,
                None => self.next()?,
            };
            if item.0.anchor_id().is_some() {
                let most = (self.limits.nodes / 4).saturating_sub(self.kept);
                self.small_node(item, most)?;
            } else {
                match item.0 {
                    Event::SequenceStart(..) | Event::MappingStart(..) => open += 1,
                    Event::SequenceEnd | Event::MappingEnd => open -= 1,
                    _ => {}
                }
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    /// The next event inside of a list or mapping, None at its end.
    pub(super) fn next_in_collection(&mut self) -> Result<Option<Item<'a>>, Error> {
        let item = self.next()?;
        if matches!(item.0, Event::SequenceEnd | Event::MappingEnd) {
            self.depth -= 1;
            return Ok(None);
        }
        Ok(Some(item))
    }

    fn alias(&mut self, start: &Marker, id: usize) -> Result<Node, Error> {
        let Some(&(_, weight)) = self.anchors.get(&id) else {
            return Err(at(start, "an alias is inside of its own anchor"));
        };
        self.spend(start, weight)?;
        let kind = self.anchors[&id].0.kind.clone();
        Ok(Node {
            kind,
            line: start.line(),
            column: start.col() + 1,
        })
    }

    pub(super) fn open(&mut self, start: &Marker) -> Result<(), Error> {
        self.depth += 1;
        self.spend(start, Weight::default())
    }

    pub(super) fn spend(&mut self, start: &Marker, weight: Weight) -> Result<(), Error> {
        self.spent.nodes += weight.nodes;
        self.spent.bytes += weight.bytes;
        let limits = &self.limits;
        let (limit, what) = if self.spent.nodes > limits.nodes {
            (limits.nodes, "values")
        } else if self.spent.bytes > limits.bytes {
            (limits.bytes, "bytes")
        } else if self.depth + weight.depth > limits.depth {
            (limits.depth, "levels")
        } else {
            return Ok(());
        };
        Err(at(
            start,
            format!("the text has more than {limit} {what}, with aliases resolved"),
        ))
    }
}

impl Weight {
    fn of(node: &Node) -> Self {
        let mut weight = Self {
            nodes: 1,
            ..Self::default()
        };
        let mut add = |child: &Node| {
            let child = Self::of(child);
            weight.nodes += child.nodes;
            weight.bytes += child.bytes;
            weight.depth = weight.depth.max(child.depth);
        };
        match &node.kind {
            Kind::Scalar(scalar) => weight.bytes = scalar.text.len(),
            Kind::Sequence(items) => items.iter().for_each(add),
            Kind::Mapping(pairs) => pairs.iter().for_each(|(key, value)| {
                add(key);
                add(value);
            }),
        }
        if !matches!(node.kind, Kind::Scalar(_)) {
            weight.depth += 1;
        }
        weight
    }
}

/// goyaml takes a mapping, an alias of one, or a list of these; not an alias of a list.
fn can_merge(value: &Node, is_alias: bool) -> bool {
    match &value.kind {
        Kind::Mapping(_) => true,
        Kind::Sequence(items) => {
            !is_alias
                && items
                    .iter()
                    .all(|item| matches!(item.kind, Kind::Mapping(_)))
        }
        Kind::Scalar(_) => false,
    }
}

/// The characters that YAML 1.1 has.
fn is_allowed(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{A0}'..='\u{FFFD}' | '\u{10000}'..)
}

fn syntax(error: &ScanError) -> Error {
    at(error.marker(), error.info())
}

fn at(marker: &Marker, message: impl Into<String>) -> Error {
    Error {
        line: marker.line(),
        column: marker.col() + 1,
        message: message.into(),
    }
}
