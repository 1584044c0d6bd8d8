//! Package cast 1.7: numbers from anything. What does not fit is 0.

use super::super::value::{IntType, Value};
use super::number::{parse_float, parse_int};

/// `cast.ToInt64`, and `cast.ToInt` on 64 bits.
pub(super) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Bool(truth) => i64::from(*truth),
        // A type of its own, which the package does not know.
        Value::Int(_, IntType::Duration) => 0,
        Value::Int(int, _) => *int,
        Value::Float(float) => truncate(*float),
        Value::String(text) => parse_int(without_zero_decimals(text), 0).unwrap_or(0),
        _ => 0,
    }
}

/// `cast.ToFloat64`.
pub(super) fn to_float(value: &Value) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "it is what Go does")]
    match value {
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Int(_, IntType::Duration) => 0.0,
        Value::Int(int, IntType::Uint64) => int.cast_unsigned() as f64,
        Value::Int(int, _) => *int as f64,
        Value::Float(float) => *float,
        Value::String(text) => parse_float(text).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// Go's conversion on amd64: what does not fit is the smallest number.
pub(super) fn truncate(float: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&float) {
        #[expect(clippy::cast_possible_truncation, reason = "the fraction is dropped")]
        let int = float as i64;
        int
    } else {
        i64::MIN
    }
}

/// `1.00` without its zeros.
fn without_zero_decimals(text: &str) -> &str {
    let mut found_zero = false;
    for (index, byte) in text.bytes().enumerate().rev() {
        match byte {
            b'.' if found_zero => return &text[..index],
            b'.' => {}
            b'0' => found_zero = true,
            _ => return text,
        }
    }
    text
}
