//! encoding/json's encoder.

use std::fmt::Write as _;

use crate::render::format::output::{Limits, Output};
use crate::render::format::view::{Path, View, view};
use crate::render::func::Failure;
use crate::render::text::escaped_byte;
use crate::render::value::{Str, Value};

/// `json.Marshal`, which escapes `<`, `>` and `&`: Helm's `toJson`.
///
/// # Errors
/// [`Failure::Error`] for infinity, not-a-number and a map that contains itself, upon which Helm's
/// `toJson` is empty; [`Failure::Limit`] when a limit is exceeded.
pub fn to_json(value: &Value, limits: &Limits) -> Result<String, Failure> {
    write(value, limits, true, false)
}

/// The same without the escapes of HTML: Sprig's `toRawJson`.
///
/// # Errors
/// As [`to_json`].
pub fn to_raw_json(value: &Value, limits: &Limits) -> Result<String, Failure> {
    write(value, limits, false, false)
}

/// `json.MarshalIndent` with two spaces: Sprig's `toPrettyJson`.
///
/// # Errors
/// As [`to_json`].
pub fn to_pretty_json(value: &Value, limits: &Limits) -> Result<String, Failure> {
    write(value, limits, true, true)
}

fn write(value: &Value, limits: &Limits, html: bool, pretty: bool) -> Result<String, Failure> {
    let mut writer = Writer {
        output: Output::new(limits),
        path: Path::default(),
        html,
        pretty,
        depth: 0,
    };
    if let Err(failure) = writer.value(value) {
        writer.output.fail(failure);
    }
    writer.output.finish()
}

struct Writer {
    output: Output,
    path: Path,
    /// Whether the characters that mean something in HTML are escaped.
    html: bool,
    pretty: bool,
    depth: usize,
}

impl Writer {
    fn value(&mut self, value: &Value) -> Result<(), Failure> {
        match view(value)? {
            View::Null => self.output.push_str("null"),
            View::Bool(bool) => self.output.push_str(if bool { "true" } else { "false" }),
            View::Number(text) => self.output.push_str(&text),
            View::Text(text) => self.text(&text),
            View::List(list) => {
                let items = list.items.iter().map(|item| (None, item));
                self.container(['[', ']'], items)?;
            }
            View::Struct(fields) => self.object(&fields)?,
            View::Map(map) => {
                self.path.descend(&map)?;
                self.object(&map.snapshot())?;
                self.path.leave();
            }
        }
        Ok(())
    }

    fn object(&mut self, entries: &[(Str, Value)]) -> Result<(), Failure> {
        let entries = entries.iter().map(|(key, value)| (Some(&**key), value));
        self.container(['{', '}'], entries)
    }

    fn container<'v>(
        &mut self,
        brackets: [char; 2],
        entries: impl ExactSizeIterator<Item = (Option<&'v str>, &'v Value)>,
    ) -> Result<(), Failure> {
        if !self.output.open() {
            return Ok(());
        }
        self.output.push(brackets[0]);
        self.depth += 1;
        let is_empty = entries.len() == 0;
        for (index, (key, value)) in entries.enumerate() {
            if index > 0 {
                self.output.push(',');
            }
            self.new_line();
            if let Some(key) = key {
                self.text(key);
                self.output.push_str(if self.pretty { ": " } else { ":" });
            }
            self.value(value)?;
            if self.output.failed() {
                break;
            }
        }
        self.depth -= 1;
        if !is_empty {
            self.new_line();
        }
        self.output.push(brackets[1]);
        self.output.close();
        Ok(())
    }

    fn new_line(&mut self) {
        if self.pretty {
            self.output.push('\n');
            self.output.repeat(' ', 2 * self.depth);
        }
    }

    fn text(&mut self, text: &str) {
        self.output.push('"');
        let mut rest = text;
        while let Some(at) = rest.find(|char| self.is_escaped(char)) {
            self.output.push_str(&rest[..at]);
            let mut chars = rest[at..].chars();
            if let Some(char) = chars.next() {
                self.escape(char);
            }
            rest = chars.as_str();
        }
        self.output.push_str(rest);
        self.output.push('"');
    }

    fn is_escaped(&self, char: char) -> bool {
        match char {
            '\0'..='\u{1f}' | '"' | '\\' | '\u{2028}' | '\u{2029}' => true,
            '<' | '>' | '&' => self.html,
            char => escaped_byte(char).is_some(),
        }
    }

    fn escape(&mut self, char: char) {
        let letter = match char {
            '"' | '\\' => char,
            '\u{8}' => 'b',
            '\u{c}' => 'f',
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            _ => {
                // A byte that is not UTF-8.
                let code = match escaped_byte(char) {
                    Some(_) => u32::from(char::REPLACEMENT_CHARACTER),
                    None => u32::from(char),
                };
                let mut escape = String::new();
                write!(escape, "\\u{code:04x}").expect("a text takes everything");
                self.output.push_str(&escape);
                return;
            }
        };
        self.output.push('\\');
        self.output.push(letter);
    }
}
