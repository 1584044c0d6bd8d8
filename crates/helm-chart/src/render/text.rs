//! Go's strings, which are bytes: `b64dec`, `trunc` and `substr` make some that are not UTF-8.
//!
//! A byte outside a valid sequence is kept as a private-use character, U+10FE00 plus the byte; where a
//! text from outside has such a character, it is kept as the four bytes that it is in UTF-8. What
//! works on bytes (`len`, hashes, base64, slices, the final output) calls [`to_bytes`]; what works on
//! characters sees U+FFFD through [`rune`], as Go does.

use std::borrow::Cow;

use super::value::Str;
use crate::strconv::FIRST;
pub use crate::strconv::escaped_byte;

/// A Go string of these bytes.
#[must_use]
pub fn from_bytes(bytes: &[u8]) -> Str {
    match std::str::from_utf8(bytes) {
        Ok(text) => from_text(text),
        Err(_) => escape(bytes).into(),
    }
}

/// A Go string of this text.
#[must_use]
pub fn from_text(text: &str) -> Str {
    if is_escaped(text) {
        escape(text.as_bytes()).into()
    } else {
        text.into()
    }
}

/// A Go string as a text, if it is UTF-8.
#[must_use]
pub fn to_text(text: &str) -> Option<Cow<'_, str>> {
    match to_bytes(text) {
        Cow::Borrowed(_) => Some(Cow::Borrowed(text)),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        let mut valid = chunk.valid();
        while let Some((at, char)) = valid
            .char_indices()
            .find(|(_, char)| escaped_byte(*char).is_some())
        {
            let (before, rest) = valid.split_at(at);
            text.push_str(before);
            let (kept, after) = rest.split_at(char.len_utf8());
            text.extend(kept.bytes().map(keep));
            valid = after;
        }
        text.push_str(valid);
        text.extend(chunk.invalid().iter().copied().map(keep));
    }
    text
}

/// The character that keeps a byte.
fn keep(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The bytes of a Go string.
#[must_use]
pub fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    if !is_escaped(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        match escaped_byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// Go's `len` of a string.
#[must_use]
pub fn len(text: &str) -> usize {
    if is_escaped(text) {
        to_bytes(text).len()
    } else {
        text.len()
    }
}

/// The character as Go reads it: U+FFFD for a byte that is not UTF-8.
#[must_use]
pub fn rune(c: char) -> char {
    match escaped_byte(c) {
        Some(_) => char::REPLACEMENT_CHARACTER,
        None => c,
    }
}

/// Whether a string may keep such bytes. All of U+10xxxx start with 0xF4.
fn is_escaped(text: &str) -> bool {
    text.as_bytes().contains(&0xf4) && text.chars().any(|c| escaped_byte(c).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_survive() {
        for bytes in [
            &b"abc"[..],
            b"",
            b"\xff\xfe",
            b"a\xc3",
            "é\u{1F600}".as_bytes(),
            "a\u{10FE41}\u{10FEFF}é".as_bytes(),
            b"\xff\xf4\x8f\xb9\x81",
            b"\xc3\xa9\xa9",
        ] {
            let text = from_bytes(bytes);
            assert_eq!(to_bytes(&text).as_ref(), bytes);
            assert_eq!(len(&text), bytes.len());
        }
    }

    #[test]
    fn characters_of_invalid_bytes_read_as_the_replacement_character() {
        let runes: Vec<char> = from_bytes(b"a\xffb").chars().map(rune).collect();
        assert_eq!(runes, ['a', '\u{FFFD}', 'b']);
    }
}
