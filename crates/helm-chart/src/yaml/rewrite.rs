//! Scalars as goyaml reads them where the parser reads something else: `scannerc.go` of goyaml v2.

use std::ops::Range;

/// A line, and what its line break becomes, if it has one.
type Line<'t> = (&'t str, Option<char>);

/// Refuses escapes of JSON that goyaml does not know.
pub(super) fn check_escapes(raw: &str) -> Result<(), &'static str> {
    let mut rest = raw;
    while let Some((_, escape)) = rest.split_once('\\') {
        let code = escape
            .strip_prefix('u')
            .and_then(|digits| u32::from_str_radix(digits.get(..4)?, 16).ok());
        if escape.starts_with('/') {
            return Err("while parsing a quoted scalar, found unknown escape character");
        }
        if code.is_some_and(|code| (0xd800..0xe000).contains(&code)) {
            return Err(
                "while parsing a quoted scalar, found invalid Unicode character escape code",
            );
        }
        let mut chars = escape.chars();
        chars.next();
        rest = chars.as_str();
    }
    Ok(())
}

/// Whether a line break stays what it is.
pub(super) fn is_kept_break(char: char) -> bool {
    matches!(char, '\u{2028}' | '\u{2029}')
}

fn is_break(char: char) -> bool {
    matches!(char, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What a line break at the start becomes, and what follows it.
fn read_break(text: &str) -> Option<(char, &str)> {
    if let Some(rest) = text.strip_prefix("\r\n") {
        return Some(('\n', rest));
    }
    let char = text.chars().next().filter(|char| is_break(*char))?;
    let kept = if is_kept_break(char) { char } else { '\n' };
    Some((kept, &text[char.len_utf8()..]))
}

/// The lines of a text. The last has no line break.
fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let end = text.find(is_break).unwrap_or(text.len());
        let after = read_break(&text[end..]);
        rest = after.map(|(_, after)| after);
        Some((&text[..end], after.map(|(kept, _)| kept)))
    })
}

/// A plain scalar, or one in quotes.
pub(super) fn flow(raw: &str, quote: Option<char>) -> String {
    let mut text = String::new();
    let mut rest = match quote {
        Some(_) => raw.get(1..raw.len().max(2) - 1).unwrap_or_default(),
        None => raw.trim_end_matches(|c| is_break(c) || matches!(c, ' ' | '\t')),
    };
    loop {
        // What is not white space.
        let mut escaped_break = false;
        while let Some(char) = rest.chars().next() {
            if matches!(char, ' ' | '\t') || is_break(char) {
                break;
            }
            rest = &rest[char.len_utf8()..];
            match (char, quote) {
                ('\'', Some('\'')) => {
                    rest = rest.strip_prefix('\'').unwrap_or(rest);
                    text.push('\'');
                }
                ('\\', Some('"')) => {
                    if let Some((_, after)) = read_break(rest) {
                        rest = after;
                        escaped_break = true;
                        break;
                    }
                    rest = escape(rest, &mut text);
                }
                _ => text.push(char),
            }
        }
        if rest.is_empty() && !escaped_break {
            return text;
        }
        // White space.
        let (mut blanks, mut leading, mut trailing) = (String::new(), None, String::new());
        let mut has_break = escaped_break;
        loop {
            if let Some((kept, after)) = read_break(rest) {
                rest = after;
                if has_break {
                    trailing.push(kept);
                } else {
                    blanks.clear();
                    leading = Some(kept);
                    has_break = true;
                }
            } else if let Some(blank) = rest.chars().next().filter(|c| matches!(c, ' ' | '\t')) {
                rest = &rest[1..];
                if !has_break {
                    blanks.push(blank);
                }
            } else {
                break;
            }
        }
        match leading {
            Some('\n') if trailing.is_empty() => text.push(' '),
            Some('\n') => text.push_str(&trailing),
            Some(kept) => {
                text.push(kept);
                text.push_str(&trailing);
            }
            None if has_break => text.push_str(&trailing),
            None => text.push_str(&blanks),
        }
    }
}

/// Appends the character of an escape, given without its backslash, and returns what follows it.
fn escape<'t>(rest: &'t str, text: &mut String) -> &'t str {
    let mut chars = rest.chars();
    let code = chars.next().unwrap_or_default();
    let rest = chars.as_str();
    let digits = match code {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    if digits > 0 {
        let number = rest.get(..digits);
        let number = number.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        text.extend(number.and_then(char::from_u32));
        return rest.get(digits..).unwrap_or_default();
    }
    text.push(match code {
        '0' => '\0',
        'a' => '\x07',
        'b' => '\x08',
        't' => '\t',
        'n' => '\n',
        'v' => '\x0b',
        'f' => '\x0c',
        'r' => '\r',
        'e' => '\x1b',
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        itself => itself,
    });
    rest
}

/// A block scalar, `|` or `>`.
pub(super) struct Block<'t> {
    /// What follows `|` or `>`: the indentation and what becomes of line breaks at the end.
    header: &'t str,
    /// All lines below that, with their indentation.
    lines: Vec<Line<'t>>,
    /// Columns in front of its content.
    indent: usize,
}

impl<'t> Block<'t> {
    /// The block whose content is between two places of a text, the first of which is in some column.
    pub(super) fn find(text: &'t str, content: Range<usize>, indent: usize) -> Option<Self> {
        let before = &text[..content.start];
        let start_of_line = |text: &str| match text.char_indices().rfind(|(_, c)| is_break(*c)) {
            Some((at, c)) => at + c.len_utf8(),
            None => 0,
        };
        // At the end of a text the parser gives the place of an empty block's header.
        let is_header = spaces(&before[start_of_line(before)..])
            < before.len() - start_of_line(before)
            && text[content.start..].starts_with(['|', '>']);
        let head = if is_header {
            &text[..=content.start]
        } else {
            before.trim_end_matches(|c| is_break(c) || matches!(c, ' ' | '\t'))
        };
        let line_end = head.len() + text[head.len()..content.end].find(is_break)?;
        let line = &text[start_of_line(head)..line_end];
        let header = line
            .char_indices()
            .filter(|(_, c)| matches!(c, '|' | '>'))
            .find_map(|(at, _)| header_of(&line[at + 1..]))?;
        let (_, below) = read_break(&text[line_end..content.end])?;
        Some(Self {
            header,
            lines: lines(below).collect(),
            // Of no content there is nothing but blank lines.
            indent: if is_header || content.is_empty() {
                usize::MAX
            } else {
                indent
            },
        })
    }

    /// Refuses a tab where goyaml wants spaces that indent the block.
    pub(super) fn check_tabs(&self) -> Result<(), &'static str> {
        let mut is_known = self.header.contains(|c: char| c.is_ascii_digit());
        for (line, _) in &self.lines {
            let spaces = spaces(line);
            if line[spaces..].starts_with('\t') && (!is_known || spaces < self.indent) {
                return Err(
                    "while scanning a block scalar, found a tab character where an indentation space is expected",
                );
            }
            is_known |= spaces < line.len();
        }
        Ok(())
    }

    /// Its text: lines as they are, or folded.
    pub(super) fn text(&self, literal: bool) -> String {
        let (mut text, mut leading, mut trailing) = (String::new(), None, String::new());
        let mut starts_with_blank = false;
        for (line, kept) in &self.lines {
            if spaces(line) < self.indent || line.len() == self.indent {
                trailing.extend(*kept);
                continue;
            }
            let content = &line[self.indent..];
            let is_blank = content.starts_with([' ', '\t']);
            match leading.take() {
                Some('\n') if !literal && !starts_with_blank && !is_blank => {
                    if trailing.is_empty() {
                        text.push(' ');
                    }
                }
                other => text.extend(other),
            }
            text.push_str(&trailing);
            trailing.clear();
            starts_with_blank = is_blank;
            text.push_str(content);
            leading = *kept;
        }
        if !self.header.contains('-') {
            text.extend(leading);
        }
        if self.header.contains('+') {
            text.push_str(&trailing);
        }
        text
    }
}

fn spaces(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The indicators behind `|` or `>`, if nothing else but a comment follows.
fn header_of(text: &str) -> Option<&str> {
    let end = text
        .find(|c: char| !matches!(c, '+' | '-' | '0'..='9'))
        .unwrap_or(text.len());
    let (indicators, rest) = text.split_at(end);
    let after = rest.trim_start_matches([' ', '\t']);
    let is_header = after.is_empty() || after.starts_with('#') && after.len() < rest.len();
    is_header.then_some(indicators)
}
