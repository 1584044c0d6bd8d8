//! Splits a template's text into tokens.

use std::borrow::Cow;

use super::quote::quote;
use super::token::{Keyword, Kind, Token};
use super::unicode::{is_digit, is_letter, is_print};

const LEFT_DELIM: &str = "{{";
const RIGHT_DELIM: &str = "}}";
const LEFT_COMMENT: &str = "/*";
const RIGHT_COMMENT: &str = "*/";
/// The spaces that trim markers remove.
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];
/// A trim marker is a minus with a space on its other side.
const TRIM_MARKER: usize = 2;

/// A lexer; after an error there is no more text.
pub(super) struct Lexer<'t> {
    text: &'t str,
    position: usize,
    /// Where the current token starts.
    start: usize,
    /// The line of `counted`, up to which newlines have been counted.
    line: usize,
    counted: usize,
    in_action: bool,
    parens: usize,
}

/// What a step of the lexer ends with: a token, or the message of an error.
type Step<'t> = Result<Token<'t>, String>;

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            position: 0,
            start: 0,
            line: 1,
            counted: 0,
            in_action: false,
            parens: 0,
        }
    }

    /// The next token; after the last one, the end again and again.
    pub(super) fn next(&mut self) -> Token<'t> {
        let step = if self.in_action {
            self.action()
        } else {
            self.plain_text()
        };
        step.unwrap_or_else(|message| {
            let mut token = self.emit(Kind::Error);
            token.text = Cow::Owned(message);
            self.text = "";
            (self.position, self.start, self.counted) = (0, 0, 0);
            token
        })
    }

    fn rest(&self) -> &'t str {
        &self.text[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek();
        self.position += next.map_or(0, char::len_utf8);
        next
    }

    fn accept(&mut self, valid: impl Fn(char) -> bool) -> bool {
        let accepts = self.peek().is_some_and(valid);
        if accepts {
            self.bump();
        }
        accepts
    }

    fn accept_run(&mut self, valid: impl Fn(char) -> bool) {
        while self.accept(&valid) {}
    }

    /// The token from the start to the current position.
    fn emit(&mut self, kind: Kind) -> Token<'t> {
        self.line += self.text[self.counted..self.start].matches('\n').count();
        self.counted = self.start;
        let token = Token {
            kind,
            position: self.start,
            text: Cow::Borrowed(&self.text[self.start..self.position]),
            line: self.line,
        };
        self.start = self.position;
        token
    }

    /// Text up to the next action, whose left delimiter may trim its end.
    fn plain_text(&mut self) -> Step<'t> {
        loop {
            let Some(length) = self.rest().find(LEFT_DELIM) else {
                self.position = self.text.len();
                let kind = if self.position > self.start {
                    Kind::Text
                } else {
                    Kind::End
                };
                return Ok(self.emit(kind));
            };
            if length > 0 {
                let delim = self.position + length;
                let mut end = delim;
                if has_left_trim_marker(&self.text[delim + LEFT_DELIM.len()..]) {
                    end = self.start + self.text[self.start..delim].trim_end_matches(SPACES).len();
                }
                self.position = end;
                let text = self.emit(Kind::Text);
                (self.position, self.start) = (delim, delim);
                if end > text.position {
                    return Ok(text);
                }
            }
            if let Some(token) = self.left_delim()? {
                return Ok(token);
            }
        }
    }

    /// The left delimiter; `None` after a comment.
    fn left_delim(&mut self) -> Result<Option<Token<'t>>, String> {
        self.position += LEFT_DELIM.len();
        let marker = if has_left_trim_marker(self.rest()) {
            TRIM_MARKER
        } else {
            0
        };
        if self.rest()[marker..].starts_with(LEFT_COMMENT) {
            self.position += marker;
            self.start = self.position;
            self.comment()?;
            return Ok(None);
        }
        let token = self.emit(Kind::LeftDelim);
        self.in_action = true;
        self.position += marker;
        self.start = self.position;
        self.parens = 0;
        Ok(Some(token))
    }

    fn comment(&mut self) -> Result<(), String> {
        self.position += LEFT_COMMENT.len();
        let Some(length) = self.rest().find(RIGHT_COMMENT) else {
            return Err("unclosed comment".to_owned());
        };
        self.position += length + RIGHT_COMMENT.len();
        let Some(trims) = self.at_right_delim() else {
            return Err("comment ends before closing delimiter".to_owned());
        };
        self.skip_right_delim(trims);
        self.start = self.position;
        Ok(())
    }

    /// Whether a right delimiter follows, and if so, whether it trims.
    fn at_right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim_marker(rest) && rest[TRIM_MARKER..].starts_with(RIGHT_DELIM) {
            return Some(true);
        }
        rest.starts_with(RIGHT_DELIM).then_some(false)
    }

    fn skip_right_delim(&mut self, trims: bool) {
        if trims {
            self.position += TRIM_MARKER;
        }
        self.position += RIGHT_DELIM.len();
        if trims {
            self.trim_start();
        }
    }

    fn trim_start(&mut self) {
        self.position = self.text.len() - self.rest().trim_start_matches(SPACES).len();
    }

    fn right_delim(&mut self, trims: bool) -> Token<'t> {
        if trims {
            self.position += TRIM_MARKER;
            self.start = self.position;
        }
        self.position += RIGHT_DELIM.len();
        let token = self.emit(Kind::RightDelim);
        if trims {
            self.trim_start();
            self.start = self.position;
        }
        self.in_action = false;
        token
    }

    fn action(&mut self) -> Step<'t> {
        if let Some(trims) = self.at_right_delim() {
            if self.parens == 0 {
                return Ok(self.right_delim(trims));
            }
            return Err("unclosed left paren".to_owned());
        }
        let Some(first) = self.peek() else {
            return Err("unclosed action".to_owned());
        };
        let kind = match first {
            _ if is_space(first) => return Ok(self.space()),
            '+' | '-' | '0'..='9' => return self.number(),
            '.' if self.rest()[1..].starts_with(|next: char| next.is_ascii_digit())
                || self.rest().len() == 1 =>
            {
                return self.number();
            }
            _ if is_alphanumeric(first) => return self.identifier(),
            '=' => Kind::Assign,
            ':' => {
                self.bump();
                if !self.accept(|next| next == '=') {
                    return Err("expected :=".to_owned());
                }
                return Ok(self.emit(Kind::Declare));
            }
            '|' => Kind::Pipe,
            '"' => return self.quoted('"', Kind::String, "unterminated quoted string"),
            '\'' => {
                return self.quoted('\'', Kind::CharConstant, "unterminated character constant");
            }
            '`' => return self.raw_quoted(),
            '$' | '.' => return self.field_or_variable(first),
            '(' => {
                self.parens += 1;
                Kind::LeftParen
            }
            ')' if self.parens == 0 => {
                return Err("unexpected right paren".to_owned());
            }
            ')' => {
                self.parens -= 1;
                Kind::RightParen
            }
            ' '..='~' => Kind::Char,
            _ => {
                return Err(format!(
                    "unrecognized character in action: {}",
                    name(Some(first))
                ));
            }
        };
        self.bump();
        Ok(self.emit(kind))
    }

    /// A run of spaces, without the last one where that belongs to a right delimiter that trims.
    fn space(&mut self) -> Token<'t> {
        self.accept_run(is_space);
        let trimming = self.position - 1;
        let rest = &self.text[trimming..];
        if has_right_trim_marker(rest) && rest[TRIM_MARKER..].starts_with(RIGHT_DELIM) {
            self.position = trimming;
            if trimming == self.start {
                return self.right_delim(true);
            }
        }
        self.emit(Kind::Space)
    }

    fn identifier(&mut self) -> Step<'t> {
        self.accept_run(is_alphanumeric);
        self.expect_terminator()?;
        let word = &self.text[self.start..self.position];
        let kind = match (Keyword::of(word), word) {
            (Some(keyword), _) => Kind::Keyword(keyword),
            (None, "true" | "false") => Kind::Bool,
            (None, _) => Kind::Identifier,
        };
        Ok(self.emit(kind))
    }

    fn field_or_variable(&mut self, sigil: char) -> Step<'t> {
        self.bump();
        let (alone, named) = match sigil {
            '$' => (Kind::Variable, Kind::Variable),
            _ => (Kind::Keyword(Keyword::Dot), Kind::Field),
        };
        if self.at_terminator() {
            return Ok(self.emit(alone));
        }
        self.accept_run(is_alphanumeric);
        self.expect_terminator()?;
        Ok(self.emit(named))
    }

    /// Whether what follows may follow an identifier: it keeps `$x+2` from being read as two things.
    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(next) => is_space(next) || self.rest().starts_with(RIGHT_DELIM),
        }
    }

    fn expect_terminator(&self) -> Result<(), String> {
        if self.at_terminator() {
            return Ok(());
        }
        Err(format!("bad character {}", name(self.peek())))
    }

    fn quoted(&mut self, mark: char, kind: Kind, unterminated: &str) -> Step<'t> {
        self.bump();
        loop {
            let mut next = self.bump();
            if next == Some('\\') {
                next = self.bump().filter(|escaped| *escaped != '\n');
            } else if next == Some(mark) {
                return Ok(self.emit(kind));
            }
            if matches!(next, None | Some('\n')) {
                return Err(unterminated.to_owned());
            }
        }
    }

    fn raw_quoted(&mut self) -> Step<'t> {
        self.bump();
        let Some(length) = self.rest().find('`') else {
            return Err("unterminated raw quoted string".to_owned());
        };
        self.position += length + 1;
        Ok(self.emit(Kind::RawString))
    }

    /// Not a perfect scanner: the parser notices what is wrong with `0x0.2` or `089`.
    fn number(&mut self) -> Step<'t> {
        let mut kind = Kind::Number;
        let mut good = self.scan_number();
        if good && matches!(self.peek(), Some('+' | '-')) {
            kind = Kind::Complex;
            good = self.scan_number() && self.text[..self.position].ends_with('i');
        }
        if good {
            return Ok(self.emit(kind));
        }
        let text = quote(&self.text[self.start..self.position]);
        Err(format!("bad number syntax: {text}"))
    }

    fn scan_number(&mut self) -> bool {
        self.accept(|c| matches!(c, '+' | '-'));
        let mut base = 10;
        if self.accept(|c| c == '0') {
            if self.accept(|c| matches!(c, 'x' | 'X')) {
                base = 16;
            } else if self.accept(|c| matches!(c, 'o' | 'O')) {
                base = 8;
            } else if self.accept(|c| matches!(c, 'b' | 'B')) {
                base = 2;
            }
        }
        let digit = |c: char| c == '_' || c.is_digit(base);
        self.accept_run(digit);
        if self.accept(|c| c == '.') {
            self.accept_run(digit);
        }
        let has_exponent = match base {
            10 => self.accept(|c| matches!(c, 'e' | 'E')),
            16 => self.accept(|c| matches!(c, 'p' | 'P')),
            _ => false,
        };
        if has_exponent {
            self.accept(|c| matches!(c, '+' | '-'));
            self.accept_run(|c| c == '_' || c.is_ascii_digit());
        }
        self.accept(|c| c == 'i');
        !self.accept(is_alphanumeric)
    }
}

/// Go's `%#U` of a character, or of the end of the text.
fn name(character: Option<char>) -> String {
    match character {
        None => "U+FFFFFFFFFFFFFFFF".to_owned(),
        Some(c) if is_print(c) => format!("U+{:04X} '{c}'", u32::from(c)),
        Some(c) => format!("U+{:04X}", u32::from(c)),
    }
}

fn is_space(c: char) -> bool {
    SPACES.contains(&c)
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || is_letter(c) || is_digit(c)
}

fn has_left_trim_marker(text: &str) -> bool {
    matches!(text.as_bytes(), [b'-', space, ..] if is_space(char::from(*space)))
}

fn has_right_trim_marker(text: &str) -> bool {
    matches!(text.as_bytes(), [space, b'-', ..] if is_space(char::from(*space)))
}
