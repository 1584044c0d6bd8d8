//! The escapes of `html`, `js` and `urlquery`.

use std::fmt::Write as _;

use super::unicode::is_print;
use crate::render::text;

pub(super) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\0' => escaped.push('\u{fffd}'),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    escaped
}

pub(super) fn js(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        let code = u32::from(c);
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\'' => escaped.push_str("\\'"),
            '"' => escaped.push_str("\\\""),
            '<' | '>' | '&' | '=' | '\0'..' ' => {
                write!(escaped, "\\u{code:04X}").expect("a text takes everything");
            }
            c if c.is_ascii() || is_print(text::rune(c)) => escaped.push(c),
            _ => write!(escaped, "\\u{code:04X}").expect("a text takes everything"),
        }
    }
    escaped
}

pub(super) fn url_query(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for byte in text::to_bytes(text).iter() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(*byte));
            }
            b' ' => escaped.push('+'),
            byte => write!(escaped, "%{byte:02X}").expect("a text takes everything"),
        }
    }
    escaped
}
