//! What is read of `time.Duration`, and Sprig's way of writing it.

use std::fmt::Write as _;

/// Why nothing can go wrong.
const TEXT: &str = "writing to a text does not fail";

/// Sprig's `durationRound`: the largest unit alone.
pub(super) fn rounded(nanoseconds: i64) -> String {
    const HOUR: u64 = 3_600_000_000_000;
    let total = nanoseconds.unsigned_abs();
    let units = [
        (HOUR * 24 * 365, "y"),
        (HOUR * 24 * 30, "mo"),
        (HOUR * 24, "d"),
        (HOUR, "h"),
        (HOUR / 60, "m"),
        (HOUR / 3600, "s"),
    ];
    let largest = units.iter().find(|(unit, _)| total > *unit);
    largest.map_or_else(
        || "0s".to_owned(),
        |(unit, name)| format!("{}{name}", total / unit),
    )
}

/// `time.ParseDuration`, with its errors.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quote(text));
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let limit = 1_u64 << 63;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let value: u64 = match whole {
            "" => 0,
            whole => whole
                .parse()
                .ok()
                .filter(|value| *value <= limit)
                .ok_or_else(invalid)?,
        };
        let (decimals, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && decimals.is_empty() {
            return Err(invalid());
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        rest = after;
        let unit: u64 = match name {
            "" => return Err(format!("time: missing unit in duration {}", quote(text))),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            name => {
                return Err(format!(
                    "time: unknown unit {} in duration {}",
                    quote(name),
                    quote(text)
                ));
            }
        };
        if value > limit / unit {
            return Err(invalid());
        }
        let part = value * unit + fraction_of(decimals, unit);
        total = total
            .checked_add(part)
            .filter(|total| *total <= limit)
            .ok_or_else(invalid)?;
    }
    if negative {
        return Ok(0_i64.wrapping_sub_unsigned(total));
    }
    i64::try_from(total).map_err(|_| invalid())
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

/// The nanoseconds of what stands after the point, as Go computes them in floats.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is what Go does, and the result is less than a unit"
)]
fn fraction_of(decimals: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0_u64, 1.0_f64);
    for digit in decimals.bytes().map(|byte| u64::from(byte - b'0')) {
        if value > (i64::MAX as u64) / 10 {
            break;
        }
        value = value * 10 + digit;
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

/// Package time's own quoting.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        if c.is_ascii() && c >= ' ' {
            if matches!(c, '"' | '\\') {
                out.push('\\');
            }
            out.push(c);
        } else {
            let mut buffer = [0; 4];
            let encoded = c.encode_utf8(&mut buffer);
            for byte in super::super::super::text::to_bytes(encoded).iter() {
                write!(out, "\\x{byte:02x}").expect(TEXT);
            }
        }
    }
    out.push('"');
    out
}
