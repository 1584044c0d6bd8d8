//! A text as the parser is to read it. The parser is one of YAML 1.2, and goyaml reads 1.1: it takes
//! U+0085, U+2028 and U+2029 for line breaks, and `\'` for an escape.

use std::borrow::Cow;
use std::ops::Range;

use granit_parser::{ScalarStyle, Span};

use super::Error;
use super::rewrite::{Block, check_escapes, flow, is_kept_break};

/// How often the parser starts again because of an escape that it does not know.
const MAX_STARTS: usize = 64;
/// How many bytes it reads because of that, at most.
const MAX_BYTES: usize = 32 << 20;

/// A text, and what the parser reads instead of it.
pub(crate) struct YamlText<'a> {
    text: Cow<'a, str>,
    /// The text with line feeds in place of the line breaks that only goyaml knows, where it has such.
    parsed: Option<Breaks>,
    /// Whether there are tabs, which goyaml refuses where the parser does not.
    pub(super) has_tabs: bool,
    starts: usize,
}

struct Breaks {
    text: String,
    /// Where such line breaks are in it, and how many bytes shorter it is behind each.
    places: Vec<(usize, usize)>,
}

impl<'a> YamlText<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            parsed: Breaks::new(text),
            text: Cow::Borrowed(text),
            has_tabs: text.contains('\t'),
            starts: 0,
        }
    }

    /// What the parser reads.
    pub(super) fn parsed(&self) -> &str {
        match &self.parsed {
            Some(breaks) => &breaks.text,
            None => &self.text,
        }
    }

    /// What goyaml makes of a scalar that the parser has read.
    ///
    /// # Errors
    /// What goyaml alone refuses.
    pub(super) fn scalar<'t>(
        &self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        span: &Span,
    ) -> Result<Cow<'t, str>, &'static str> {
        let Some(place) = self.place(span) else {
            return Ok(text);
        };
        let raw = &self.text[place.clone()];
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let has_breaks = self.parsed.is_some() && (is_block || raw.contains(is_kept_break));
        if is_block && (has_breaks || self.has_tabs) {
            let Some(block) = Block::find(&self.text, place, span.start.col()) else {
                return Ok(text);
            };
            block.check_tabs()?;
            return Ok(if has_breaks {
                Cow::Owned(block.text(style == ScalarStyle::Literal))
            } else {
                text
            });
        }
        let quote = match style {
            ScalarStyle::DoubleQuoted => Some('"'),
            ScalarStyle::SingleQuoted => Some('\''),
            _ => None,
        };
        if quote == Some('"') && raw.contains('\\') {
            check_escapes(raw)?;
        }
        if has_breaks {
            return Ok(Cow::Owned(flow(raw, quote)));
        }
        Ok(text)
    }

    /// Where a part of what the parser reads is in the text.
    fn place(&self, span: &Span) -> Option<Range<usize>> {
        let place = |offset: usize| match &self.parsed {
            None => offset,
            Some(breaks) => offset + breaks.shorter(offset),
        };
        let (start, end) = (span.start.byte_offset()?, span.end.byte_offset()?);
        let place = place(start)..place(end);
        self.text.get(place.clone()).map(|_| place)
    }

    /// Changes the place that an error is about into what means the same to goyaml and is no error to
    /// the parser, if there is such: `\'` becomes `'`, and a comment behind blank lines of an empty block
    /// loses its indentation.
    pub(super) fn repair(&mut self, error: &Error) -> bool {
        if self.starts >= MAX_STARTS || self.starts * self.text.len() > MAX_BYTES {
            return false;
        }
        let Some(place) = offset(&self.text, error.line, error.column) else {
            return false;
        };
        let (before, rest) = self.text.split_at(place);
        let text = if error.message.ends_with("found unknown escape character") {
            without_escaped_quotes(rest)
                .map(|(scalar, length)| [before, &scalar, &rest[length..]].concat())
        } else if error
            .message
            .ends_with("wrongly indented line in block scalar")
            && rest.starts_with('#')
        {
            Some([before.trim_end_matches(' '), rest].concat())
        } else {
            None
        };
        let Some(text) = text else {
            return false;
        };
        self.parsed = Breaks::new(&text);
        self.text = Cow::Owned(text);
        self.starts += 1;
        true
    }
}

impl Breaks {
    fn new(text: &str) -> Option<Self> {
        let is_break = |char: char| matches!(char, '\u{85}' | '\u{2028}' | '\u{2029}');
        // None of them starts with another byte.
        if !text.bytes().any(|byte| matches!(byte, 0xc2 | 0xe2)) || !text.contains(is_break) {
            return None;
        }
        let mut breaks = Self {
            text: String::with_capacity(text.len()),
            places: Vec::new(),
        };
        let mut shorter = 0;
        for char in text.chars() {
            if is_break(char) {
                // Together they would be one line break.
                if breaks.text.ends_with('\r') {
                    breaks.text.pop();
                    breaks.text.push('\n');
                }
                breaks.text.push('\n');
                shorter += char.len_utf8() - 1;
                breaks.places.push((breaks.text.len(), shorter));
            } else {
                breaks.text.push(char);
            }
        }
        Some(breaks)
    }

    fn shorter(&self, offset: usize) -> usize {
        let before = self.places.partition_point(|(place, _)| *place <= offset);
        before
            .checked_sub(1)
            .map_or(0, |index| self.places[index].1)
    }
}

/// The byte at a line and a column, both from 1, in a text in which every line break counts.
fn offset(text: &str, line: usize, column: usize) -> Option<usize> {
    let is_break = |char: char| matches!(char, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let start = match line {
        1 => 0,
        line => {
            let (at, char) = text
                .char_indices()
                .filter(|(at, char)| {
                    is_break(*char) || *char == '\r' && !text[*at + 1..].starts_with('\n')
                })
                .nth(line - 2)?;
            at + char.len_utf8()
        }
    };
    let (at, _) = text[start..].char_indices().nth(column - 1)?;
    Some(start + at)
}

/// A scalar in double quotes with `'` in place of `\'`, and its length before that.
fn without_escaped_quotes(text: &str) -> Option<(String, usize)> {
    let mut chars = text.char_indices();
    if chars.next()?.1 != '"' {
        return None;
    }
    let mut repaired = String::from('"');
    let mut has_changed = false;
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => {
                repaired.push('"');
                return has_changed.then_some((repaired, at + 1));
            }
            '\\' => {
                let escaped = chars.next()?.1;
                if escaped == '\'' {
                    has_changed = true;
                } else {
                    repaired.push('\\');
                }
                repaired.push(escaped);
            }
            plain => repaired.push(plain),
        }
    }
    None
}
