//! How libyaml's emitter, which goyaml is a translation of, puts scalars and indicators on lines.

use super::scalar::{Scalar, Style, is_break, is_printable};
use crate::render::format::output::Output;

/// Where goyaml v2 folds long texts, in characters; v3 does not.
const BEST_WIDTH: usize = 80;

/// How many columns a level is indented.
pub(super) const INDENT: usize = 2;

/// Writes tokens, and knows what the line looks like so far.
pub(super) struct Emitter {
    pub(super) output: Output,
    /// Characters on the line.
    column: usize,
    /// Whether the last character was a space that separates tokens.
    whitespace: bool,
    /// Whether there is nothing on the line but spaces, `-`, `?` and `:`.
    pub(super) indention: bool,
}

impl Emitter {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            column: 0,
            whitespace: true,
            indention: true,
        }
    }

    fn put(&mut self, char: char) {
        self.output.push(char);
        self.column += 1;
    }

    fn put_break(&mut self) {
        self.output.push('\n');
        self.column = 0;
    }

    /// A line break of the text itself.
    fn write_break(&mut self, char: char) {
        self.output.push(char);
        self.column = 0;
        self.indention = true;
    }

    /// Goes to a new line unless this one is fresh, and indents it.
    pub(super) fn indent(&mut self, indent: usize) {
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break();
        }
        if self.column < indent {
            self.output.repeat(' ', indent - self.column);
            self.column = indent;
        }
        self.whitespace = true;
        self.indention = true;
    }

    /// Writes an indicator, after a space if it `needs_space`. `indents` says whether what follows on
    /// the line counts as its beginning.
    pub(super) fn indicator(&mut self, indicator: &str, needs_space: bool, indents: bool) {
        if needs_space && !self.whitespace {
            self.put(' ');
        }
        self.output.push_str(indicator);
        self.column += indicator.len();
        self.whitespace = false;
        self.indention &= indents;
    }

    /// Writes a scalar. `indent` is that of its further lines; `folds` says whether it may be folded.
    pub(super) fn scalar(&mut self, scalar: &Scalar<'_>, indent: usize, folds: bool) {
        if let Some(tag) = scalar.tag {
            self.indicator(tag, true, false);
        }
        match scalar.style {
            Style::Plain => self.plain(&scalar.text, indent, folds),
            Style::SingleQuoted => self.single_quoted(&scalar.text, indent, folds),
            Style::DoubleQuoted => self.double_quoted(&scalar.text, indent, folds),
            Style::Literal => self.literal(&scalar.text, indent),
        }
    }

    fn plain(&mut self, text: &str, indent: usize, folds: bool) {
        if !self.whitespace {
            self.put(' ');
        }
        self.flow_text(text, indent, folds, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn single_quoted(&mut self, text: &str, indent: usize, folds: bool) {
        self.indicator("'", true, false);
        self.flow_text(text, indent, folds, true);
        self.indicator("'", false, false);
    }

    /// The inside of a plain or single-quoted text.
    fn flow_text(&mut self, text: &str, indent: usize, folds: bool, quoted: bool) {
        let mut spaces = false;
        let mut breaks = false;
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            let is_first = rest.len() == text.len();
            let after = &rest[char.len_utf8()..];
            if char == ' ' {
                let is_inner = !quoted || (!is_first && !after.is_empty());
                let can_fold = folds && !spaces && self.column > BEST_WIDTH;
                if can_fold && is_inner && !after.starts_with(' ') {
                    self.indent(indent);
                } else {
                    self.put(char);
                }
                spaces = true;
                rest = after;
            } else if is_break(char) {
                if !breaks && char == '\n' {
                    self.put_break();
                }
                self.write_break(char);
                breaks = true;
                rest = after;
            } else {
                if breaks {
                    self.indent(indent);
                }
                let word = until(rest, |char| char == ' ' || is_break(char));
                if quoted && word.contains('\'') {
                    self.put_all(&word.replace('\'', "''"));
                } else {
                    self.put_all(word);
                }
                self.indention = false;
                spaces = false;
                breaks = false;
                rest = &rest[word.len()..];
            }
        }
    }

    fn put_all(&mut self, text: &str) {
        self.output.push_str(text);
        self.column += text.chars().count();
    }

    fn double_quoted(&mut self, text: &str, indent: usize, folds: bool) {
        // goyaml asks at each character whether the text starts with a byte order mark.
        let escapes_all = text.starts_with('\u{feff}');
        let is_escaped = |char| {
            escapes_all || !is_printable(char) || is_break(char) || matches!(char, '"' | '\\')
        };
        let mut spaces = false;
        self.indicator("\"", true, false);
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            let is_first = rest.len() == text.len();
            let after = &rest[char.len_utf8()..];
            if is_escaped(char) {
                self.escape(char);
                spaces = false;
                rest = after;
            } else if char == ' ' {
                let can_fold = folds && !spaces && self.column > BEST_WIDTH;
                if can_fold && !is_first && !after.is_empty() {
                    self.indent(indent);
                    if after.starts_with(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(char);
                }
                spaces = true;
                rest = after;
            } else {
                let word = until(rest, |char| char == ' ' || is_escaped(char));
                self.put_all(word);
                spaces = false;
                rest = &rest[word.len()..];
            }
        }
        self.indicator("\"", false, false);
    }

    fn escape(&mut self, char: char) {
        let letter = match char {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' | '\\' => char,
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let escaped = match u32::from(char) {
                    code @ ..0x100 => format!("\\x{code:02X}"),
                    code @ ..0x1_0000 => format!("\\u{code:04X}"),
                    code => format!("\\U{code:08X}"),
                };
                self.output.push_str(&escaped);
                self.column += escaped.len();
                return;
            }
        };
        self.put('\\');
        self.put(letter);
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.indicator("|", true, false);
        if text.starts_with(|char| char == ' ' || is_break(char)) {
            self.indicator("2", false, false);
        }
        let mut from_end = text.chars().rev();
        let ends_with_break = from_end.next().is_some_and(is_break);
        if !ends_with_break {
            self.indicator("-", false, false);
        } else if from_end.next().is_none_or(is_break) {
            self.indicator("+", false, false);
        }
        self.put_break();
        self.indention = true;
        self.whitespace = true;
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            if is_break(char) {
                self.write_break(char);
                rest = &rest[char.len_utf8()..];
            } else {
                self.indent(indent);
                let line = until(rest, is_break);
                self.put_all(line);
                self.indention = false;
                rest = &rest[line.len()..];
            }
        }
    }
}

/// What comes before the first character of a kind.
fn until(text: &str, ends: impl Fn(char) -> bool) -> &str {
    &text[..text.find(ends).unwrap_or(text.len())]
}
