//! Go's literals: strings, characters, numbers.

use super::super::text;
use super::super::value::Str;
use super::quote::quote;
use super::token::Kind;

/// What Go says of a literal that it cannot read.
const INVALID: &str = "invalid syntax";

/// The text of a quoted or raw string.
pub(super) fn unquote(literal: &str) -> Result<Str, String> {
    if let Some(raw) = literal.strip_prefix('`') {
        let raw = &raw[..raw.len() - 1];
        return Ok(if raw.contains('\r') {
            raw.replace('\r', "").into()
        } else {
            raw.into()
        });
    }
    let mut rest = &literal[1..literal.len() - 1];
    if !rest.contains('\\') {
        return Ok(rest.into());
    }
    let mut bytes = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let (unit, tail) = unquote_unit(rest, '"')?;
        match unit {
            Unit::Byte(byte) => bytes.push(byte),
            Unit::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = tail;
    }
    Ok(text::from_bytes(&bytes))
}

/// One unit of a quoted text: `\xff` is a byte, everything else a character.
enum Unit {
    Byte(u8),
    Char(char),
}

/// Reads one character or escape from a text between these quotes.
fn unquote_unit(text: &str, mark: char) -> Result<(Unit, &str), String> {
    let mut letters = text.chars();
    let first = letters.next().ok_or(INVALID)?;
    if first == mark {
        return Err(INVALID.to_owned());
    }
    if first != '\\' {
        return Ok((Unit::Char(first), letters.as_str()));
    }
    let escape = letters.next().ok_or(INVALID)?;
    let rest = letters.as_str();
    let plain = match escape {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        '"' | '\'' if escape == mark => mark,
        'x' | 'u' | 'U' => {
            let digits = match escape {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            let (code, rest) = number(rest, digits, 16)?;
            let unit = match escape {
                'x' => u8::try_from(code).map(Unit::Byte).ok(),
                _ => char::from_u32(code).map(Unit::Char),
            };
            return Ok((unit.ok_or(INVALID)?, rest));
        }
        '0'..='7' => {
            let (code, rest) = number(&text[1..], 3, 8)?;
            let byte = u8::try_from(code).map_err(|_| INVALID)?;
            return Ok((Unit::Byte(byte), rest));
        }
        _ => return Err(INVALID.to_owned()),
    };
    Ok((Unit::Char(plain), rest))
}

fn number(text: &str, digits: usize, base: u32) -> Result<(u32, &str), String> {
    let digits = text.get(..digits).ok_or(INVALID)?;
    // A sign would pass.
    if !digits.chars().all(|digit| digit.is_digit(base)) {
        return Err(INVALID.to_owned());
    }
    let code = u32::from_str_radix(digits, base).map_err(|_| INVALID)?;
    Ok((code, &text[digits.len()..]))
}

/// A number as all the types that can hold it: Go's ideal constants.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Number {
    pub(super) int: Option<i64>,
    pub(super) uint: Option<u64>,
    pub(super) float: Option<f64>,
    /// Real and imaginary part.
    pub(super) complex: Option<(f64, f64)>,
}

impl Number {
    /// Reads a number, a complex number, or a character constant.
    pub(super) fn parse(text: &str, kind: Kind) -> Result<Self, String> {
        match kind {
            Kind::CharConstant => return Self::of_character(text),
            Kind::Complex => return Self::of_pair(text),
            _ => {}
        }
        if let Some(Ok(imaginary)) = text.strip_suffix('i').map(parse_float) {
            return Ok(Self::of_complex(0.0, imaginary));
        }
        let mut number = Self {
            uint: parse_uint(text),
            int: parse_int(text),
            ..Self::default()
        };
        if number.int == Some(0) {
            // -0.
            number.uint = Some(0);
        }
        number.float = match (number.int, number.uint) {
            (Some(int), _) => Some(as_float(int)),
            (None, Some(uint)) => Some(as_float(uint)),
            (None, None) => None,
        };
        if number.float.is_none()
            && let Ok(float) = parse_float(text)
        {
            // A number without a point or exponent that is no integer is too large.
            if !text.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err(format!("integer overflow: {}", quote(text)));
            }
            number.float = Some(float);
            number.int = whole_int(float);
            number.uint = whole_uint(float);
        }
        if number.float.is_none() {
            return Err(format!("illegal number syntax: {}", quote(text)));
        }
        Ok(number)
    }

    fn of_character(text: &str) -> Result<Self, String> {
        let (unit, rest) = unquote_unit(&text[1..], '\'')?;
        if rest != "'" {
            return Err(format!("malformed character constant: {text}"));
        }
        let code = match unit {
            Unit::Byte(byte) => u32::from(byte),
            Unit::Char(c) => u32::from(c),
        };
        Ok(Self {
            int: Some(i64::from(code)),
            uint: Some(u64::from(code)),
            float: Some(f64::from(code)),
            complex: None,
        })
    }

    /// `1+2i`.
    fn of_pair(text: &str) -> Result<Self, String> {
        const WRONG: &str = "syntax error scanning complex number";
        let bytes = text.as_bytes();
        // The sign in the middle, which belongs to no exponent.
        let middle = (1..bytes.len()).rfind(|&place| {
            matches!(bytes[place], b'+' | b'-')
                && !matches!(bytes[place - 1], b'e' | b'E' | b'p' | b'P')
        });
        let (real, imaginary) = text.split_at(middle.ok_or(WRONG)?);
        let imaginary = imaginary.strip_suffix('i').ok_or(WRONG)?;
        match (parse_float(real), parse_float(imaginary)) {
            (Ok(real), Ok(imaginary)) => Ok(Self::of_complex(real, imaginary)),
            _ => Err(WRONG.to_owned()),
        }
    }

    /// A complex number, which is a real one too where it has no imaginary part.
    fn of_complex(real: f64, imaginary: f64) -> Self {
        let mut number = Self {
            complex: Some((real, imaginary)),
            ..Self::default()
        };
        if imaginary == 0.0 {
            number.float = Some(real);
            number.int = whole_int(real);
            number.uint = whole_uint(real);
        }
        number
    }
}

#[expect(clippy::cast_precision_loss, reason = "Go rounds in the same way")]
fn as_float(number: impl Into<i128>) -> f64 {
    number.into() as f64
}

#[expect(clippy::cast_possible_truncation, reason = "in range and whole")]
fn whole_int(float: f64) -> Option<i64> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    ((-END..END).contains(&float) && float.fract() == 0.0).then_some(float as i64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "in range and whole"
)]
fn whole_uint(float: f64) -> Option<u64> {
    const END: f64 = 18_446_744_073_709_551_616.0;
    ((0.0..END).contains(&float) && float.fract() == 0.0).then_some(float as u64)
}

/// Go's `strconv.ParseUint` with base 0.
fn parse_uint(text: &str) -> Option<u64> {
    let prefix = text.get(..2).filter(|_| text.len() >= 3);
    let (base, digits) = match prefix {
        Some("0b" | "0B") => (2, &text[2..]),
        Some("0o" | "0O") => (8, &text[2..]),
        Some("0x" | "0X") => (16, &text[2..]),
        _ if text.starts_with('0') => (8, &text[1..]),
        _ => (10, text),
    };
    if text.is_empty() || text.contains('_') && !underscores_are_good(text) {
        return None;
    }
    digits
        .chars()
        .filter(|c| *c != '_')
        .try_fold(0_u64, |number, c| {
            let digit = c.to_digit(base)?;
            number
                .checked_mul(u64::from(base))?
                .checked_add(u64::from(digit))
        })
}

/// Go's `strconv.ParseInt` with base 0.
fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let size = i128::from(parse_uint(digits)?);
    i64::try_from(if negative { -size } else { size }).ok()
}

/// Go's `strconv.ParseFloat`, of what the lexer takes for a number.
fn parse_float(text: &str) -> Result<f64, ()> {
    if text.contains('_') && !underscores_are_good(text) {
        return Err(());
    }
    let plain = text.replace('_', "");
    let unsigned = plain.trim_start_matches(['+', '-']);
    let float = if unsigned.starts_with("0x") || unsigned.starts_with("0X") {
        let size = parse_hex_float(&unsigned[2..]).ok_or(())?;
        if plain.starts_with('-') { -size } else { size }
    } else if unsigned.starts_with(|c: char| c == '.' || c.is_ascii_digit()) {
        plain.parse().map_err(|_| ())?
    } else {
        return Err(());
    };
    if float.is_finite() {
        Ok(float)
    } else {
        Err(())
    }
}

/// A hexadecimal mantissa, perhaps with a point, and a binary exponent, which Go demands.
fn parse_hex_float(text: &str) -> Option<f64> {
    let (digits, exponent) = text.split_once(['p', 'P'])?;
    let mut exponent: i32 = match exponent.parse::<i64>() {
        Ok(exponent) => i32::try_from(exponent.clamp(-20_000, 20_000)).ok()?,
        // More digits than anyone needs, but digits.
        Err(_)
            if exponent
                .trim_start_matches(['+', '-'])
                .bytes()
                .all(|b| b.is_ascii_digit())
                && exponent.len() > 2 =>
        {
            if exponent.starts_with('-') {
                -20_000
            } else {
                20_000
            }
        }
        Err(_) => return None,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut mantissa: u64 = 0;
    for (digit, is_fraction) in whole
        .chars()
        .map(|c| (c, false))
        .chain(fraction.chars().map(|c| (c, true)))
    {
        let digit = u64::from(digit.to_digit(16)?);
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
            exponent -= if is_fraction { 4 } else { 0 };
        } else {
            // What does not fit only decides about rounding.
            mantissa |= u64::from(digit != 0);
            exponent += if is_fraction { 0 } else { 4 };
        }
    }
    let float = as_float(mantissa);
    // In two steps, since 2^exponent alone may be out of range.
    let half = exponent / 2;
    Some(float * 2_f64.powi(half) * 2_f64.powi(exponent - half))
}

/// Whether underscores stand only between digits, or between a base prefix and a digit.
fn underscores_are_good(text: &str) -> bool {
    let text = text.trim_start_matches(['+', '-']);
    let lower = text.to_ascii_lowercase();
    let has_prefix = ["0b", "0o", "0x"]
        .iter()
        .any(|prefix| lower.starts_with(prefix));
    let is_digit = |c: char| c.is_ascii_digit() || lower.starts_with("0x") && c.is_ascii_hexdigit();
    // The prefix counts as a digit.
    let mut before_is_digit = has_prefix;
    let mut before_is_underscore = false;
    for c in lower.chars().skip(if has_prefix { 2 } else { 0 }) {
        let underscore = c == '_';
        if underscore && !before_is_digit || before_is_underscore && !is_digit(c) {
            return false;
        }
        before_is_digit = is_digit(c);
        before_is_underscore = underscore;
    }
    !before_is_underscore
}
