//! `snakecase`, `kebabcase` and `camelcase`: package xstrings 1.5, and the word functions of goutils.

use super::unicode::{
    is_letter, is_lower, is_number, is_punct, is_space, is_title, is_upper, runes, to_lower,
    to_title, to_upper,
};

/// `xstrings.ToPascalCase`.
pub(super) fn pascal(text: &str) -> String {
    let all: Vec<char> = runes(text).collect();
    let mut out = String::with_capacity(text.len());
    let Some(start) = all.iter().position(|c| !is_connector(*c)) else {
        // The last one is written twice.
        return all.iter().chain(all.last()).collect();
    };
    out.extend(&all[..start]);
    let mut lowering = is_upper(all[start]);
    let mut current = to_upper(all[start]);
    for &next in &all[start + 1..] {
        let before = current;
        current = next;
        if is_connector(current) && is_connector(before) {
            out.push(before);
        } else if is_connector(before) {
            lowering = is_upper(current);
            current = to_upper(current);
        } else {
            if lowering {
                if is_upper(current) {
                    current = to_lower(current);
                } else {
                    lowering = false;
                }
            }
            out.push(before);
        }
    }
    out.push(current);
    out
}

/// `xstrings.ToSnakeCase` and `ToKebabCase`.
pub(super) fn lower_words(text: &str, connector: char) -> String {
    let mut writer = Words {
        rest: text,
        out: String::with_capacity(text.len() + text.len() / 4),
        connector,
    };
    let (mut kind, mut word) = writer.next();
    while !writer.rest.is_empty() {
        if kind != Kind::Connector {
            writer.write(kind, word);
        }
        let (before, last) = (kind, word);
        (kind, word) = writer.next();
        match before {
            Kind::Number => {
                (kind, word) = writer.write_run(kind, word);
                if !matches!(kind, Kind::None | Kind::Punct | Kind::Connector) {
                    writer.out.push(connector);
                }
            }
            Kind::Connector => writer.write(before, last),
            Kind::Punct => {}
            _ if kind != Kind::Number => {
                if !matches!(kind, Kind::Connector | Kind::Punct) {
                    writer.out.push(connector);
                }
            }
            _ if writer.rest.is_empty() => {}
            _ => {
                let last = word;
                (kind, word) = writer.next();
                // A number is part of the word before it, unless small letters follow.
                if kind == Kind::Alphabet {
                    writer.out.push(connector);
                    writer.write(Kind::Number, last);
                    (kind, word) = writer.write_run(kind, word);
                    if !matches!(kind, Kind::None | Kind::Punct | Kind::Connector) {
                        writer.out.push(connector);
                    }
                } else {
                    writer.write(Kind::Number, last);
                    if !matches!(kind, Kind::Connector | Kind::Punct) {
                        writer.out.push(connector);
                    }
                }
            }
        }
    }
    writer.write(kind, word);
    writer.out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punct,
    Other,
}

struct Words<'a> {
    rest: &'a str,
    out: String,
    connector: char,
}

impl<'a> Words<'a> {
    /// The next word, which may be empty at the end.
    fn next(&mut self) -> (Kind, &'a str) {
        let text = self.rest;
        let Some(first) = runes(text).next() else {
            return (Kind::None, "");
        };
        let after_first = text.chars().next().map_or(0, char::len_utf8);
        let (kind, length) = if is_connector(first) {
            (Kind::Connector, span(text, is_connector))
        } else if is_punct(first) {
            (Kind::Punct, span(text, is_punct))
        } else if is_upper(first) {
            (Kind::Upper, upper_word(text, after_first))
        } else if is_alphabet(first) {
            let small = |c| is_alphabet(c) && !is_upper(c);
            (
                Kind::Alphabet,
                after_first + span(&text[after_first..], small),
            )
        } else if is_number(first) {
            (Kind::Number, span(text, is_number))
        } else {
            let other = |c| !(is_connector(c) || is_alphabet(c) || is_number(c) || is_punct(c));
            (Kind::Other, after_first + span(&text[after_first..], other))
        };
        let (word, rest) = text.split_at(length);
        self.rest = rest;
        (kind, word)
    }

    /// Writes letters and numbers up to something else, and gives that.
    fn write_run(&mut self, mut kind: Kind, mut word: &'a str) -> (Kind, &'a str) {
        while matches!(kind, Kind::Alphabet | Kind::Number) {
            self.write(kind, word);
            (kind, word) = self.next();
        }
        (kind, word)
    }

    fn write(&mut self, kind: Kind, word: &str) {
        if !matches!(kind, Kind::Upper | Kind::Connector) {
            self.out.push_str(word);
            return;
        }
        for c in word.chars() {
            self.out.push(if is_connector(c) {
                self.connector
            } else if is_upper(c) {
                to_lower(c)
            } else {
                c
            });
        }
    }
}

/// `HTTPStatus` is `HTTP` and `Status`.
fn upper_word(text: &str, after_first: usize) -> usize {
    let rest = &text[after_first..];
    match runes(rest).next() {
        Some(second) if is_upper(second) => {
            let capitals = after_first + span(rest, is_upper);
            match runes(&text[capitals..]).next() {
                Some(next) if is_alphabet(next) => {
                    let last = text[..capitals]
                        .chars()
                        .next_back()
                        .map_or(0, char::len_utf8);
                    capitals - last
                }
                _ => capitals,
            }
        }
        Some(second) if is_alphabet(second) => {
            after_first + span(rest, |c| is_alphabet(c) && !is_upper(c))
        }
        _ => after_first,
    }
}

/// The length of the start of the text whose characters fit.
fn span(text: &str, fits: impl Fn(char) -> bool) -> usize {
    text.char_indices()
        .find(|(_, c)| !fits(*c))
        .map_or(text.len(), |(at, _)| at)
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || is_space(c)
}

fn is_alphabet(c: char) -> bool {
    let is_chinese =
        matches!(c, '\u{4e00}'..='\u{9fcc}' | '\u{3400}'..='\u{4d85}' | '\u{20000}'..='\u{2b81d}');
    is_letter(c) && !is_chinese
}

/// `goutils.Uncapitalize`: the first letter of each word in lower case.
pub(super) fn untitle(text: &str) -> String {
    let mut first = true;
    runes(text)
        .map(|c| {
            if is_space(c) {
                first = true;
                c
            } else if std::mem::take(&mut first) {
                to_lower(c)
            } else {
                c
            }
        })
        .collect()
}

/// `goutils.SwapCase`.
pub(super) fn swap(text: &str) -> String {
    let mut after_space = true;
    runes(text)
        .map(|c| {
            if is_upper(c) || is_title(c) {
                after_space = false;
                to_lower(c)
            } else if is_lower(c) {
                if std::mem::take(&mut after_space) {
                    to_title(c)
                } else {
                    to_upper(c)
                }
            } else {
                after_space = is_space(c);
                c
            }
        })
        .collect()
}

/// `strings.Title`.
pub(super) fn title(text: &str) -> String {
    let mut before = ' ';
    runes(text)
        .map(|c| {
            let starts = is_separator(before);
            before = c;
            if starts { to_title(c) } else { c }
        })
        .collect()
}

fn is_separator(c: char) -> bool {
    if c.is_ascii() {
        return !(c.is_ascii_alphanumeric() || c == '_');
    }
    !is_letter(c) && !super::unicode::is_digit(c) && is_space(c)
}
