//! Package strconv: numbers from text.

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberError {
    /// `invalid syntax`.
    Syntax,
    /// `value out of range`, with the nearest number.
    Range(i64),
}

/// `strconv.ParseInt`. Base 0 reads prefixes and underscores as Go's literals have them.
pub(super) fn parse_int(text: &str, base: u32) -> Result<i64, NumberError> {
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = parse_uint(unsigned, base);
    let edge = if negative { i64::MIN } else { i64::MAX };
    match magnitude {
        Err(NumberError::Range(_)) => Err(NumberError::Range(edge)),
        Err(syntax) => Err(syntax),
        Ok(magnitude) if negative => 0_i64
            .checked_sub_unsigned(magnitude)
            .ok_or(NumberError::Range(edge)),
        Ok(magnitude) => i64::try_from(magnitude).map_err(|_| NumberError::Range(edge)),
    }
}

/// `strconv.ParseUint`.
pub(super) fn parse_uint(text: &str, base: u32) -> Result<u64, NumberError> {
    let (radix, digits) = if base == 0 { radix(text) } else { (base, text) };
    let has_underscores = base == 0 && digits.contains('_');
    if digits.is_empty() || has_underscores && !underscores_fit(text) {
        return Err(NumberError::Syntax);
    }
    let mut value = Some(0_u64);
    for c in digits.chars() {
        if has_underscores && c == '_' {
            continue;
        }
        let digit = c.to_digit(radix).ok_or(NumberError::Syntax)?;
        value = value
            .and_then(|value| value.checked_mul(radix.into()))
            .and_then(|value| value.checked_add(digit.into()));
    }
    value.ok_or(NumberError::Range(i64::MAX))
}

fn radix(text: &str) -> (u32, &str) {
    match text.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &text[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &text[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &text[2..]),
        [b'0', _, ..] => (8, &text[1..]),
        _ => (10, text),
    }
}

/// Go's `underscoreOK`: underscores only between digits, or after the prefix.
fn underscores_fit(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text).as_bytes();
    let (mut before, rest, hex) = match text {
        [b'0', b'x' | b'X', rest @ ..] => (b'0', rest, true),
        [b'0', b'b' | b'B' | b'o' | b'O', rest @ ..] => (b'0', rest, false),
        _ => (b'^', text, false),
    };
    for byte in rest {
        before = match byte {
            b'0'..=b'9' => b'0',
            b'a'..=b'f' | b'A'..=b'F' if hex => b'0',
            b'_' if before == b'0' => b'_',
            b'_' => return false,
            _ if before == b'_' => return false,
            _ => b'!',
        };
    }
    before != b'_'
}

/// `strconv.ParseFloat` for 64 bits; an error where it returns one, infinity included.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let negative = text.starts_with('-');
    let named = |name: &str| unsigned.eq_ignore_ascii_case(name);
    let signed = |float: f64| if negative { -float } else { float };
    if named("inf") || named("infinity") {
        return Some(signed(f64::INFINITY));
    }
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    if text.contains('_') && !underscores_fit(text) {
        return None;
    }
    let plain = unsigned.replace('_', "");
    let float = if plain.starts_with("0x") || plain.starts_with("0X") {
        hex_float(&plain[2..])?
    } else {
        let (mantissa, exponent) = plain.split_once(['e', 'E']).unwrap_or((&plain, "0"));
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let well_formed = is_digits(whole)
            && is_digits(fraction)
            && !(whole.is_empty() && fraction.is_empty())
            && !digits.is_empty()
            && is_digits(digits);
        if !well_formed {
            return None;
        }
        plain.parse().ok()?
    };
    float.is_finite().then(|| signed(float))
}

/// A hexadecimal float after its prefix; the exponent is required. Rounds to even.
fn hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if exponent_digits.is_empty() || !exponent_digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let magnitude: i64 = exponent_digits.parse().unwrap_or(1_000_000).min(1_000_000);
    let mut scale = if exponent.starts_with('-') {
        -magnitude
    } else {
        magnitude
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for (index, c) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(c.to_digit(16)?);
        let in_fraction = index >= whole.len();
        if value >> 58 == 0 {
            value = value << 4 | digit;
            scale -= if in_fraction { 4 } else { 0 };
        } else {
            // What no longer fits only decides how to round.
            value |= u64::from(digit != 0);
            scale += if in_fraction { 0 } else { 4 };
        }
    }
    let scale = i32::try_from(scale.clamp(-20_000, 20_000)).unwrap_or(0);
    Some(scale_to_even(value, scale))
}

/// `value * 2^scale`, rounded once.
fn scale_to_even(value: u64, scale: i32) -> f64 {
    if value == 0 {
        return 0.0;
    }
    let bits = 64 - value.leading_zeros().cast_signed();
    let exponent = scale + bits - 1;
    let kept = if exponent < -1022 {
        53 - (-1022 - exponent)
    } else {
        53
    };
    if kept < 0 {
        return 0.0;
    }
    let dropped = bits - kept;
    let (mantissa, scale) = if dropped > 0 {
        let dropped = dropped.cast_unsigned();
        let low = value & ((1_u64 << (dropped - 1) << 1).wrapping_sub(1));
        let half = 1_u64 << (dropped - 1);
        let high = value.checked_shr(dropped).unwrap_or(0);
        let up = low > half || low == half && high & 1 == 1;
        (high + u64::from(up), scale + dropped.cast_signed())
    } else {
        (value, scale)
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most 54 bits, the last one zero"
    )]
    let float = mantissa as f64;
    if scale > 1023 {
        f64::INFINITY
    } else if scale < -1000 {
        float * 2_f64.powi(-1000) * 2_f64.powi(scale + 1000)
    } else {
        float * 2_f64.powi(scale)
    }
}
