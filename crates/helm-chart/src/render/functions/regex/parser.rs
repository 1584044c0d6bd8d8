//! Go's syntax of regular expressions (package regexp/syntax, flags `Perl`), with its errors, made
//! into what the regex engine works on.

use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, Look};

mod class;
mod escape;
mod repetition;

use escape::escaped;
use repetition::{MAX_REPEAT, counts};

/// How deep expressions may nest, as in Go.
const MAX_HEIGHT: usize = 1000;
/// A part of an expression, with what Go's limits look at.
struct Part {
    hir: Hir,
    height: usize,
    /// The smallest limit under which its counted repetitions are valid.
    repeats: u64,
}

#[derive(Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the letters of (?imsU)"
)]
struct Flags {
    ignore_case: bool,
    multi_line: bool,
    dot_all: bool,
    lazy: bool,
}

/// An open parenthesis, or the whole.
struct Group {
    capture: Option<(u32, Option<Box<str>>)>,
    /// The flags outside of it.
    flags: Flags,
    alternatives: Vec<Part>,
    parts: Vec<Part>,
}

struct Parser<'p> {
    whole: &'p str,
    flags: Flags,
    groups: Vec<Group>,
    captures: u32,
}

/// Parses an expression.
///
/// # Errors
/// What Go says of it.
pub(super) fn parse(pattern: &str) -> Result<Hir, String> {
    let mut parser = Parser {
        whole: pattern,
        flags: Flags {
            ignore_case: false,
            multi_line: false,
            dot_all: false,
            lazy: false,
        },
        groups: Vec::new(),
        captures: 0,
    };
    parser.open(None);
    let mut rest = pattern;
    let mut last_repeat = "";
    while let Some(first) = rest.chars().next() {
        let before = rest;
        let mut repeats = false;
        rest = match first {
            '(' if rest.starts_with("(?") => parser.perl_group(rest)?,
            '(' => {
                parser.captures += 1;
                parser.open(Some((parser.captures, None)));
                &rest[1..]
            }
            '|' => {
                parser.end_alternative()?;
                &rest[1..]
            }
            ')' => {
                parser.close()?;
                &rest[1..]
            }
            '^' => {
                let look = if parser.flags.multi_line {
                    Look::StartLF
                } else {
                    Look::Start
                };
                parser.push(Hir::look(look));
                &rest[1..]
            }
            '$' => {
                let look = if parser.flags.multi_line {
                    Look::EndLF
                } else {
                    Look::End
                };
                parser.push(Hir::look(look));
                &rest[1..]
            }
            '.' => {
                let mut class = ClassUnicode::empty();
                if !parser.flags.dot_all {
                    class.push(ClassUnicodeRange::new('\n', '\n'));
                }
                class.negate();
                parser.push_class(class);
                &rest[1..]
            }
            '[' => parser.bracket(rest)?,
            '*' | '+' | '?' => {
                repeats = true;
                let (min, max) = match first {
                    '*' => (0, None),
                    '+' => (1, None),
                    _ => (0, Some(1)),
                };
                parser.repeat(min, max, false, before, &rest[1..], last_repeat)?
            }
            '{' => match counts(rest) {
                None => {
                    parser.literal('{');
                    &rest[1..]
                }
                Some((min, max, after)) => {
                    let too_many = |count: u64| count > MAX_REPEAT;
                    if too_many(min) || max.is_some_and(|max| too_many(max) || max < min) {
                        let operator = &before[..before.len() - after.len()];
                        return Err(message("invalid repeat count", operator));
                    }
                    repeats = true;
                    parser.repeat(min, max, true, before, after, last_repeat)?
                }
            },
            '\\' => parser.escape(rest)?,
            c => {
                parser.literal(c);
                &rest[c.len_utf8()..]
            }
        };
        last_repeat = if repeats { before } else { "" };
    }
    let whole = parser.finish_group()?;
    if !parser.groups.is_empty() {
        return Err(message("missing closing )", pattern));
    }
    Ok(whole.hir)
}

fn message(code: &str, expression: &str) -> String {
    format!("error parsing regexp: {code}: `{expression}`")
}

impl<'p> Parser<'p> {
    fn open(&mut self, capture: Option<(u32, Option<Box<str>>)>) {
        self.groups.push(Group {
            capture,
            flags: self.flags,
            alternatives: Vec::new(),
            parts: Vec::new(),
        });
    }

    fn group(&mut self) -> &mut Group {
        self.groups.last_mut().expect("the whole is always open")
    }

    fn push(&mut self, hir: Hir) {
        self.push_part(Part {
            hir,
            height: 1,
            repeats: 0,
        });
    }

    fn push_part(&mut self, part: Part) {
        self.group().parts.push(part);
    }

    fn push_class(&mut self, class: ClassUnicode) {
        self.push(Hir::class(Class::Unicode(class)));
    }

    fn literal(&mut self, c: char) {
        if self.flags.ignore_case {
            self.push_class(self.folded(ClassUnicode::new([ClassUnicodeRange::new(c, c)])));
        } else {
            let mut buffer = [0; 4];
            self.push(Hir::literal(c.encode_utf8(&mut buffer).as_bytes()));
        }
    }

    fn folded(&self, mut class: ClassUnicode) -> ClassUnicode {
        if self.flags.ignore_case {
            // Fails only where the tables are not compiled in.
            drop(class.try_case_fold_simple());
        }
        class
    }

    fn end_alternative(&mut self) -> Result<(), String> {
        let parts = std::mem::take(&mut self.group().parts);
        let joined = self.join(parts, Hir::concat)?;
        self.group().alternatives.push(joined);
        Ok(())
    }

    fn join(&self, mut parts: Vec<Part>, with: fn(Vec<Hir>) -> Hir) -> Result<Part, String> {
        if parts.len() == 1
            && let Some(part) = parts.pop()
        {
            return Ok(part);
        }
        let height = parts.iter().map(|part| part.height).max().unwrap_or(0) + 1;
        let repeats = parts.iter().map(|part| part.repeats).max().unwrap_or(0);
        let hir = with(parts.into_iter().map(|part| part.hir).collect());
        self.checked(Part {
            hir,
            height,
            repeats,
        })
    }

    fn checked(&self, part: Part) -> Result<Part, String> {
        if part.height > MAX_HEIGHT {
            return Err(message("expression nests too deeply", self.whole));
        }
        Ok(part)
    }

    /// Ends the group on top, and gives what it holds.
    fn finish_group(&mut self) -> Result<Part, String> {
        self.end_alternative()?;
        let group = self.groups.pop().expect("the whole is always open");
        let Part {
            hir,
            height,
            repeats,
        } = self.join(group.alternatives, Hir::alternation)?;
        self.flags = group.flags;
        let Some((index, name)) = group.capture else {
            return Ok(Part {
                hir,
                height,
                repeats,
            });
        };
        self.checked(Part {
            hir: Hir::capture(Capture {
                index,
                name,
                sub: Box::new(hir),
            }),
            height: height + 1,
            repeats,
        })
    }

    fn close(&mut self) -> Result<(), String> {
        if self.groups.len() == 1 {
            return Err(message("unexpected )", self.whole));
        }
        let part = self.finish_group()?;
        self.push_part(part);
        Ok(())
    }

    /// `(?i)`, `(?i:`, `(?P<name>`, `(?<name>`.
    fn perl_group(&mut self, text: &'p str) -> Result<&'p str, String> {
        let bytes = text.as_bytes();
        let named = bytes.len() > 4 && text.starts_with("(?P<");
        if named || bytes.len() > 3 && text.starts_with("(?<") {
            let start = if named { 4 } else { 3 };
            let Some(end) = text.find('>') else {
                return Err(message("invalid named capture", text));
            };
            let name = text.get(start..end).unwrap_or_default();
            let is_word = |c: char| c == '_' || c.is_ascii_alphanumeric();
            if name.is_empty() || !name.chars().all(is_word) {
                return Err(message("invalid named capture", &text[..=end]));
            }
            self.captures += 1;
            self.open(Some((self.captures, Some(name.into()))));
            return Ok(&text[end + 1..]);
        }
        let mut flags = self.flags;
        let (mut set, mut saw_flag) = (true, false);
        let mut length = 2;
        for c in text[2..].chars() {
            length += c.len_utf8();
            match c {
                'i' => flags.ignore_case = set,
                'm' => flags.multi_line = set,
                's' => flags.dot_all = set,
                'U' => flags.lazy = set,
                '-' if set => {
                    set = false;
                    saw_flag = false;
                    continue;
                }
                ':' | ')' if set || saw_flag => {
                    if c == ':' {
                        self.open(None);
                    }
                    self.flags = flags;
                    return Ok(&text[length..]);
                }
                _ => break,
            }
            saw_flag = true;
        }
        Err(message(
            "invalid or unsupported Perl syntax",
            &text[..length],
        ))
    }

    /// What follows a backslash outside of brackets.
    fn escape(&mut self, text: &'p str) -> Result<&'p str, String> {
        let after = text.get(2..).unwrap_or_default();
        match text.as_bytes().get(1) {
            Some(b'A') => self.push(Hir::look(Look::Start)),
            Some(b'z') => self.push(Hir::look(Look::End)),
            Some(b'b') => self.push(Hir::look(Look::WordAscii)),
            Some(b'B') => self.push(Hir::look(Look::WordAsciiNegate)),
            Some(b'C') => return Err(message("invalid escape sequence", &text[..2])),
            Some(b'Q') => {
                let (literal, rest) = after.split_once(r"\E").unwrap_or((after, ""));
                literal.chars().for_each(|c| self.literal(c));
                return Ok(rest);
            }
            Some(b'p' | b'P') => {
                let (class, rest) = self.unicode_class(text)?;
                self.push_class(class);
                return Ok(rest);
            }
            _ => {
                if let Some(class) = self.perl_class(text) {
                    self.push_class(class);
                    return Ok(after);
                }
                let (code, rest) = escaped(text)?;
                match char::from_u32(code) {
                    Some(c) => self.literal(c),
                    // Half of a UTF-16 pair, which no text has.
                    None => self.push(Hir::fail()),
                }
                return Ok(rest);
            }
        }
        Ok(after)
    }
}
