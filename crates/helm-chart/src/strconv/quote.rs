//! Go's string and character literals, as `strconv.Quote` and its kin write them.

use std::fmt::Write as _;

use super::escaped_byte;
use super::unicode::is_print;

/// `strconv.Quote`, or with `ascii` `strconv.QuoteToASCII`.
#[must_use]
pub fn quote(text: &str, ascii: bool) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        escape(&mut quoted, char, '"', ascii);
    }
    quoted.push('"');
    quoted
}

/// `strconv.QuoteRune`, or with `ascii` `strconv.QuoteRuneToASCII`.
pub(crate) fn quote_char(char: char, ascii: bool) -> String {
    let mut quoted = "'".to_owned();
    escape(&mut quoted, char, '\'', ascii);
    quoted.push('\'');
    quoted
}

/// `strconv.CanBackquote`.
pub(crate) fn can_backquote(text: &str) -> bool {
    !text.chars().any(|char| {
        escaped_byte(char).is_some()
            || matches!(char, '\0'..='\u{8}' | '\n'..='\u{1f}' | '`' | '\u{7f}' | '\u{feff}')
    })
}

fn escape(into: &mut String, char: char, quote: char, ascii: bool) {
    if let Some(byte) = escaped_byte(char) {
        write!(into, "\\x{byte:02x}").expect("a text takes everything");
        return;
    }
    let letter = match char {
        _ if char == quote || char == '\\' => char,
        _ if is_print(char) && (char.is_ascii() || !ascii) => {
            into.push(char);
            return;
        }
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{b}' => 'v',
        _ => {
            match u32::from(char) {
                code @ (..0x20 | 0x7f) => write!(into, "\\x{code:02x}"),
                code @ ..0x1_0000 => write!(into, "\\u{code:04x}"),
                code => write!(into, "\\U{code:08x}"),
            }
            .expect("a text takes everything");
            return;
        }
    };
    into.push('\\');
    into.push(letter);
}
