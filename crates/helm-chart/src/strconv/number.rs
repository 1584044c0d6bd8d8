//! Floats as Go's `strconv.FormatFloat` writes them.

use std::fmt::Write as _;

/// More digits than any 64-bit float has, before or after the point: what is asked beyond is zeros.
const MOST_DIGITS: usize = 1_100;

/// `strconv.FormatFloat(float, verb, precision, 64)`; without a precision the shortest digits that
/// read back as the same float. Verbs: `e E f g G b x X`.
pub(crate) fn format_float(float: f64, verb: char, precision: Option<usize>) -> String {
    if let Some(text) = not_finite(float) {
        return text;
    }
    let sign = if float.is_sign_negative() { "-" } else { "" };
    let float = float.abs();
    let text = match verb {
        'e' | 'E' => {
            let (digits, exponent) = digits(float, precision.map(|precision| precision + 1));
            let fraction = precision.unwrap_or(digits.len() - 1);
            scientific(&digits, exponent, fraction, verb)
        }
        'f' => fixed(float, precision),
        'g' | 'G' => general(float, verb, precision),
        'b' => binary(float),
        _ => hexadecimal(float, verb, precision),
    };
    format!("{sign}{text}")
}

/// `strconv.FormatFloat(float, 'g', -1, 32)`.
pub(crate) fn format_float32(float: f32) -> String {
    if let Some(text) = not_finite(float.into()) {
        return text;
    }
    let sign = if float.is_sign_negative() { "-" } else { "" };
    let (digits, exponent) = split_exponent(&format!("{:e}", float.abs()));
    format!("{sign}{}", general_of(&digits, exponent, 'g', None))
}

fn not_finite(float: f64) -> Option<String> {
    let text = match (float.is_nan(), float.is_infinite()) {
        (true, _) => "NaN",
        (_, true) if float > 0.0 => "+Inf",
        (_, true) => "-Inf",
        _ => return None,
    };
    Some(text.to_owned())
}

/// The decimal digits of a float, rounded to so many or the shortest, and the exponent of the
/// first.
fn digits(float: f64, count: Option<usize>) -> (String, i32) {
    split_exponent(&match count {
        Some(count) => format!("{float:.*e}", count.clamp(1, MOST_DIGITS) - 1),
        None => shortest(float),
    })
}

/// The digits of what Rust writes with `{:e}`, and the exponent of the first.
fn split_exponent(text: &str) -> (String, i32) {
    let (mantissa, exponent) = text.split_once('e').expect("Rust writes an exponent");
    let exponent = exponent.parse().expect("Rust writes digits after the e");
    (mantissa.replace('.', ""), exponent)
}

/// The shortest digits in scientific notation. Of two that are equally close Go takes the even one,
/// Rust the larger.
fn shortest(float: f64) -> String {
    const MAY_TIE: usize = 16;
    let text = format!("{float:e}");
    let digits = text.bytes().take_while(|byte| *byte != b'e');
    let digits = digits.filter(u8::is_ascii_digit).count();
    if digits < MAY_TIE {
        return text;
    }
    let even = format!("{float:.*e}", digits - 1);
    if even.parse() == Ok(float) {
        even
    } else {
        text
    }
}

fn scientific(digits: &str, exponent: i32, fraction: usize, verb: char) -> String {
    let mut text = digits[..1].to_owned();
    if fraction > 0 {
        text.push('.');
        pad_fraction(&mut text, &digits[1..], fraction);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let letter = if verb.is_uppercase() { 'E' } else { 'e' };
    write!(text, "{letter}{sign}{:02}", exponent.unsigned_abs()).expect("a text takes everything");
    text
}

fn pad_fraction(text: &mut String, digits: &str, length: usize) {
    let digits = &digits[..digits.len().min(length)];
    text.push_str(digits);
    text.extend(std::iter::repeat_n('0', length - digits.len()));
}

fn fixed(float: f64, precision: Option<usize>) -> String {
    match precision {
        None => {
            let (digits, exponent) = digits(float, None);
            positional(&digits, exponent)
        }
        Some(precision) if precision <= MOST_DIGITS => format!("{float:.precision$}"),
        Some(precision) => {
            let mut text = format!("{float:.MOST_DIGITS$}");
            text.extend(std::iter::repeat_n('0', precision - MOST_DIGITS));
            text
        }
    }
}

fn general(float: f64, verb: char, precision: Option<usize>) -> String {
    let (digits, exponent) = digits(float, precision);
    general_of(&digits, exponent, verb, precision)
}

fn general_of(digits: &str, exponent: i32, verb: char, precision: Option<usize>) -> String {
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    let count = i32::try_from(digits.len()).expect("no more than a float has");
    let wanted = precision.map_or(count, |precision| {
        i32::try_from(precision.max(1)).unwrap_or(i32::MAX)
    });
    let threshold = match precision {
        None => 6,
        Some(_) if wanted > count && count > exponent => count,
        Some(_) => wanted,
    };
    if exponent < -4 || exponent >= threshold {
        return scientific(digits, exponent, digits.len().saturating_sub(1), verb);
    }
    positional(digits, exponent)
}

/// Digits with a point where the exponent of the first says.
fn positional(digits: &str, exponent: i32) -> String {
    match usize::try_from(exponent) {
        Err(_) => {
            let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
            format!("0.{zeros}{digits}")
        }
        Ok(point) if point + 1 >= digits.len() => {
            let zeros = "0".repeat(point + 1 - digits.len());
            format!("{digits}{zeros}")
        }
        Ok(point) => format!("{}.{}", &digits[..=point], &digits[point + 1..]),
    }
}

/// Mantissa and exponent of two, as they are stored.
fn mantissa_and_exponent(float: f64) -> (u64, i64) {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = float.to_bits();
    let exponent = (bits >> 52 & 0x7ff).cast_signed();
    match exponent {
        0 => (bits & MANTISSA, -1022),
        _ => (bits & MANTISSA | 1 << 52, exponent - 1023),
    }
}

fn binary(float: f64) -> String {
    let (mantissa, exponent) = mantissa_and_exponent(float);
    format!("{mantissa}p{:+}", exponent - 52)
}

fn hexadecimal(float: f64, verb: char, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = mantissa_and_exponent(float);
    if mantissa == 0 {
        exponent = 0;
    } else {
        let shift = mantissa.leading_zeros() - 3;
        mantissa <<= shift;
        exponent -= i64::from(shift) - 8;
    }
    if let Some(precision @ 0..15) = precision {
        let shift = precision * 4;
        let rest = mantissa << shift & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if rest | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & 1 << 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut fraction = format!("{:015x}", mantissa & ((1 << 60) - 1));
    match precision {
        None => fraction.truncate(fraction.trim_end_matches('0').len()),
        Some(precision) => {
            fraction.truncate(precision);
            let zeros = precision - fraction.len();
            fraction.extend(std::iter::repeat_n('0', zeros));
        }
    }
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let text = format!(
        "0x{}{point}{fraction}p{sign}{:02}",
        mantissa >> 60 & 1,
        exponent.unsigned_abs()
    );
    if verb == 'X' {
        text.to_uppercase()
    } else {
        text
    }
}
