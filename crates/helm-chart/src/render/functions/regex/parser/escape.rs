//! Characters that are escaped.

use super::message;

/// A character that is escaped, as a number: it may be half of a UTF-16 pair.
pub(super) fn escaped(text: &str) -> Result<(u32, &str), String> {
    let Some(c) = text[1..].chars().next() else {
        return Err(message("trailing backslash at end of expression", ""));
    };
    let rest = &text[1 + c.len_utf8()..];
    let octal = |text: &str| text.starts_with(|c: char| matches!(c, '0'..='7'));
    let invalid = |rest: &str| {
        Err(message(
            "invalid escape sequence",
            &text[..text.len() - rest.len()],
        ))
    };
    let code = match c {
        '0' | '1'..='7' if c == '0' || octal(rest) => {
            let more = rest
                .chars()
                .take(2)
                .take_while(|c| matches!(c, '0'..='7'))
                .count();
            let digits = &text[1..2 + more];
            let code = u32::from_str_radix(digits, 8).unwrap_or(0);
            return Ok((code, &rest[more..]));
        }
        'x' => return hexadecimal(text, rest),
        'a' => 7,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c.into(),
        _ => return invalid(rest),
    };
    Ok((code, rest))
}

/// `\x7F` and `\x{10FFFF}`.
fn hexadecimal<'t>(text: &'t str, mut rest: &'t str) -> Result<(u32, &'t str), String> {
    let invalid = |rest: &str| {
        Err(message(
            "invalid escape sequence",
            &text[..text.len() - rest.len()],
        ))
    };
    let mut next = || {
        let c = rest.chars().next();
        rest = c.map_or("", |c| &rest[c.len_utf8()..]);
        (c, rest)
    };
    match next() {
        (None, after) => invalid(after),
        (Some('{'), _) => {
            let mut code = 0;
            let mut digits = 0;
            loop {
                match next() {
                    (Some('}'), after) if digits > 0 => return Ok((code, after)),
                    (Some(c), after) => match c.to_digit(16) {
                        Some(digit) if code * 16 + digit <= 0x0010_ffff => {
                            code = code * 16 + digit;
                            digits += 1;
                        }
                        _ => return invalid(after),
                    },
                    (None, after) => return invalid(after),
                }
            }
        }
        (Some(first), _) => {
            let (second, after) = next();
            let digit = |c: Option<char>| c.and_then(|c| c.to_digit(16));
            match (digit(Some(first)), digit(second)) {
                (Some(high), Some(low)) => Ok((high * 16 + low, after)),
                _ => invalid(after),
            }
        }
    }
}
