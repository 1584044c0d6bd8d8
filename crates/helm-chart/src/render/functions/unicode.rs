//! Characters as Go's package unicode knows them: simple case mapping, one character to one, and
//! general categories.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, HirKind};

use super::super::text;

/// A class of characters by its name in a regular expression.
pub(super) fn class(name: &str) -> Option<ClassUnicode> {
    if !name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' '))
    {
        return None;
    }
    match regex_syntax::parse(&format!(r"\p{{{name}}}"))
        .ok()?
        .into_kind()
    {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        // A class of one character.
        HirKind::Literal(literal) => {
            let c = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(ClassUnicode::new([
                regex_syntax::hir::ClassUnicodeRange::new(c, c),
            ]))
        }
        _ => None,
    }
}

fn contains(class: &ClassUnicode, c: char) -> bool {
    class
        .ranges()
        .binary_search_by(|range| {
            if range.end() < c {
                std::cmp::Ordering::Less
            } else if range.start() > c {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
        .is_ok()
}

macro_rules! category {
    ($function:ident, $name:literal, $ascii:expr) => {
        pub(super) fn $function(c: char) -> bool {
            static CLASS: LazyLock<ClassUnicode> =
                LazyLock::new(|| class($name).expect("the category is compiled in"));
            if c.is_ascii() {
                let ascii: fn(&char) -> bool = $ascii;
                return ascii(&c);
            }
            contains(&CLASS, c)
        }
    };
}

category!(is_upper, "Lu", char::is_ascii_uppercase);
category!(is_lower, "Ll", char::is_ascii_lowercase);
category!(is_title, "Lt", |_| false);
category!(is_letter, "L", char::is_ascii_alphabetic);
category!(is_digit, "Nd", char::is_ascii_digit);
category!(is_number, "N", char::is_ascii_digit);
// Go counts none of $+<=>^`|~, which are symbols.
category!(is_punct, "P", |c| c.is_ascii_punctuation()
    && !matches!(
        c,
        '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~'
    ));

/// `unicode.IsSpace`.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace()
}

/// `unicode.ToUpper`.
pub(super) fn to_upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        // Several characters: the simple mapping is another one, or none.
        _ => match c {
            '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
                char::from_u32(u32::from(c) + 8).unwrap_or(c)
            }
            '\u{1fb3}' => '\u{1fbc}',
            '\u{1fc3}' => '\u{1fcc}',
            '\u{1ff3}' => '\u{1ffc}',
            _ => c,
        },
    }
}

/// `unicode.ToLower`.
pub(super) fn to_lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        // The only one: a capital I with a dot.
        _ => 'i',
    }
}

/// `unicode.ToTitle`.
pub(super) fn to_title(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        // Georgian has capitals, and no titles.
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => c,
        _ => to_upper(c),
    }
}

/// The characters of a Go string.
pub(super) fn runes(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().map(text::rune)
}
