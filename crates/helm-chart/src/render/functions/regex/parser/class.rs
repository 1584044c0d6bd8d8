//! Classes of characters: `[a-z]`, `\d`, `\pN`, `[:alpha:]`.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::super::super::unicode;
use super::escape::escaped;
use super::{Parser, message};

impl<'p> Parser<'p> {
    /// `\d`, `\s`, `\w` and their opposites, which know ASCII only.
    pub(super) fn perl_class(&self, text: &str) -> Option<ClassUnicode> {
        let letter = char::from(*text.as_bytes().get(1)?);
        let ranges: &[(char, char)] = match letter.to_ascii_lowercase() {
            'd' => &[('0', '9')],
            's' => &[('\t', '\n'), ('\u{c}', '\r'), (' ', ' ')],
            'w' => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            _ => return None,
        };
        Some(self.ranges(ranges, letter.is_ascii_uppercase()))
    }

    fn ranges(&self, ranges: &[(char, char)], negated: bool) -> ClassUnicode {
        let ranges = ranges
            .iter()
            .map(|(from, to)| ClassUnicodeRange::new(*from, *to));
        let mut class = self.folded(ClassUnicode::new(ranges));
        if negated {
            class.negate();
        }
        class
    }

    /// `\pN`, `\p{Greek}`, `\P{^Greek}`.
    pub(super) fn unicode_class(&self, text: &'p str) -> Result<(ClassUnicode, &'p str), String> {
        let mut negated = text.as_bytes()[1] == b'P';
        let Some(first) = text[2..].chars().next() else {
            // Go reads a character of width nothing: the name is empty.
            return Err(message("invalid character class range", text));
        };
        let (sequence, name) = if first == '{' {
            let Some(end) = text.find('}') else {
                return Err(message("invalid character class range", text));
            };
            (&text[..=end], &text[3..end])
        } else {
            let end = 2 + first.len_utf8();
            (&text[..end], &text[2..end])
        };
        let name = match name.strip_prefix('^') {
            Some(name) => {
                negated = !negated;
                name
            }
            None => name,
        };
        let Some(class) = unicode::class(name) else {
            return Err(message("invalid character class range", sequence));
        };
        let mut class = self.folded(class);
        if negated {
            class.negate();
        }
        Ok((class, &text[sequence.len()..]))
    }

    /// `[a-z]`.
    pub(super) fn bracket(&mut self, text: &'p str) -> Result<&'p str, String> {
        let (negated, mut rest) = match text[1..].strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, &text[1..]),
        };
        let mut class = ClassUnicode::empty();
        let mut first = true;
        while first || !rest.starts_with(']') {
            first = false;
            if rest.len() > 2
                && rest.starts_with("[:")
                && let Some(end) = rest[2..].find(":]")
            {
                let (name, after) = rest.split_at(end + 4);
                let Some(named) = self.posix_class(name) else {
                    return Err(message("invalid character class range", name));
                };
                class.union(&named);
                rest = after;
                continue;
            }
            if rest.starts_with(r"\p") || rest.starts_with(r"\P") {
                let (unicode, after) = self.unicode_class(rest)?;
                class.union(&unicode);
                rest = after;
                continue;
            }
            if rest.starts_with('\\')
                && let Some(perl) = self.perl_class(rest)
            {
                class.union(&perl);
                rest = &rest[2..];
                continue;
            }
            let range = rest;
            let (low, mut after) = class_character(rest, text)?;
            let mut high = low;
            if after.len() >= 2 && after.starts_with('-') && !after[1..].starts_with(']') {
                (high, after) = class_character(&after[1..], text)?;
                if high < low {
                    let range = &range[..range.len() - after.len()];
                    return Err(message("invalid character class range", range));
                }
            }
            rest = after;
            if let Some(range) = characters(low, high) {
                class.union(&self.folded(ClassUnicode::new([range])));
            }
        }
        if negated {
            class.negate();
        }
        self.push_class(class);
        Ok(&rest[1..])
    }

    /// `[:alpha:]`, `[:^alpha:]`.
    fn posix_class(&self, name: &str) -> Option<ClassUnicode> {
        let inner = name.strip_prefix("[:")?.strip_suffix(":]")?;
        let (negated, inner) = match inner.strip_prefix('^') {
            Some(inner) => (true, inner),
            None => (false, inner),
        };
        let ranges: &[(char, char)] = match inner {
            "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
            "alpha" => &[('A', 'Z'), ('a', 'z')],
            "ascii" => &[('\0', '\x7f')],
            "blank" => &[('\t', '\t'), (' ', ' ')],
            "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
            "digit" => &[('0', '9')],
            "graph" => &[('!', '~')],
            "lower" => &[('a', 'z')],
            "print" => &[(' ', '~')],
            "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
            "space" => &[('\t', '\r'), (' ', ' ')],
            "upper" => &[('A', 'Z')],
            "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
            _ => return None,
        };
        Some(self.ranges(ranges, negated))
    }
}

/// A range without the halves of UTF-16 pairs at its ends.
fn characters(low: u32, high: u32) -> Option<ClassUnicodeRange> {
    let low = if (0xd800..0xe000).contains(&low) {
        0xe000
    } else {
        low
    };
    let high = if (0xd800..0xe000).contains(&high) {
        0xd7ff
    } else {
        high
    };
    if low > high {
        return None;
    }
    Some(ClassUnicodeRange::new(
        char::from_u32(low)?,
        char::from_u32(high)?,
    ))
}

fn class_character<'t>(text: &'t str, class: &str) -> Result<(u32, &'t str), String> {
    match text.chars().next() {
        None => Err(message("missing closing ]", class)),
        Some('\\') => escaped(text),
        Some(c) => Ok((c.into(), &text[c.len_utf8()..])),
    }
}
