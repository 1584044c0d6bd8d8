//! The readings of a scalar.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Number, Value};

use super::timestamp::is_timestamp;
use crate::strconv::number;

/// Text, a number, a boolean or null, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text, with quotes, escapes and line folding undone. A value that is not there at all has
    /// `~` or nothing.
    pub text: String,
    /// Whether it stands without quotes and is no block (`|`, `>`).
    pub plain: bool,
    /// An explicit tag in full: `tag:yaml.org,2002:str` for `!!str`, `!x` for `!x`.
    pub tag: Option<Box<str>>,
}

/// A scalar that Helm cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(String);

/// What goyaml v2 makes of a scalar.
enum Resolved<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(Cow<'a, str>),
}

impl Scalar {
    /// As Helm reads values: `yes` is true, `010` is 8, `1.10` is 1.1, `1_000` is 1000, `~` is
    /// null. Numbers keep all their digits here, as in the JSON of sigs.k8s.io/yaml; Helm then
    /// reads them as 64-bit floats, see [`template_text`].
    ///
    /// # Errors
    /// Infinity and not-a-number, which JSON has not; a text that does not fit its tag.
    pub fn helm(&self) -> Result<Value, Undecodable> {
        Ok(match self.resolve()? {
            Resolved::Null => Value::Null,
            Resolved::Bool(bool) => Value::Bool(bool),
            Resolved::Int(int) => Value::from(int),
            Resolved::Uint(int) => Value::from(int),
            Resolved::Float(float) => Value::Number(json_number(float).ok_or_else(|| {
                Undecodable(format!(
                    "Helm cannot read {}, which JSON does not have",
                    self.text
                ))
            })?),
            Resolved::Text(text) => Value::String(text.into_owned()),
        })
    }

    /// What a Go string field receives, such as `version` and `appVersion` of `Chart.yaml`:
    /// unquoted `1.10` is `1.1`, `1.0` is `1`, `1234e5` is `1.234e+08`, `yes` is `true`. None for
    /// null, which leaves a field empty. A text that does not fit its tag, with which Helm fails,
    /// is given as it is.
    #[must_use]
    pub fn go_string(&self) -> Option<String> {
        match self.resolve() {
            Ok(Resolved::Null) => None,
            Ok(Resolved::Bool(bool)) => Some(bool.to_string()),
            Ok(Resolved::Int(int)) => Some(int.to_string()),
            Ok(Resolved::Uint(int)) => Some(int.to_string()),
            Ok(Resolved::Float(float)) => Some(format_float32(float)),
            Ok(Resolved::Text(text)) => Some(text.into_owned()),
            Err(_) => Some(self.text.clone()),
        }
    }

    /// The text as written, None for a plain null: the reading for data files.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let null = match self.tag.as_deref() {
            None => self.plain && is_null(&self.text),
            Some(tag) => tag == "tag:yaml.org,2002:null",
        };
        (!null).then_some(&self.text)
    }

    /// A boolean of YAML 1.1 as goyaml v2 knows them (`yes`, `On`, `y` and so on), None for
    /// anything else and for quoted text.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self.resolve() {
            Ok(Resolved::Bool(bool)) => Some(bool),
            _ => None,
        }
    }

    /// A plain scalar without a tag, the form in which most keys and values are written.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            plain: true,
            tag: None,
        }
    }

    /// As a key of a mapping that becomes JSON.
    pub(crate) fn helm_key(&self) -> Result<String, Undecodable> {
        match self.resolve()? {
            Resolved::Null => Err(Undecodable("null cannot be a key".to_owned())),
            // A gap in sigs.k8s.io/yaml.
            Resolved::Uint(int) => Err(Undecodable(format!(
                "the number {int} is too large for a key"
            ))),
            Resolved::Bool(bool) => Ok(bool.to_string()),
            Resolved::Int(int) => Ok(int.to_string()),
            Resolved::Float(float) => Ok(match format_float32(float).as_str() {
                "+Inf" => ".inf".to_owned(),
                "-Inf" => "-.inf".to_owned(),
                "NaN" => ".nan".to_owned(),
                number => number.to_owned(),
            }),
            Resolved::Text(text) => Ok(text.into_owned()),
        }
    }

    /// Whether this, as a key, merges its value into the mapping.
    pub(crate) fn is_merge(&self) -> bool {
        self.text == "<<"
            && match self.tag.as_deref() {
                None => self.plain,
                Some(tag) => matches!(tag, "!" | "tag:yaml.org,2002:merge"),
            }
    }

    /// goyaml v2 `resolve.go` and `decode.go`.
    fn resolve(&self) -> Result<Resolved<'_>, Undecodable> {
        let text = || Resolved::Text(Cow::Borrowed(&self.text));
        let Some(tag) = self.tag.as_deref() else {
            return Ok(if self.plain {
                resolve_plain(&self.text)
            } else {
                text()
            });
        };
        // Any other tag, `!` included, makes it text.
        let Some(name) = tag.strip_prefix("tag:yaml.org,2002:") else {
            return Ok(text());
        };
        let fits = match (name, resolve_plain(&self.text)) {
            ("null", Resolved::Null) => Some(Resolved::Null),
            ("bool", bool @ Resolved::Bool(_)) => Some(bool),
            ("int", int @ (Resolved::Int(_) | Resolved::Uint(_))) => Some(int),
            ("float", float @ Resolved::Float(_)) => Some(float),
            #[expect(clippy::cast_precision_loss, reason = "it is what goyaml does")]
            ("float", Resolved::Int(int)) => Some(Resolved::Float(int as f64)),
            // A timestamp reaches JSON as its text; whether it is one is not checked.
            ("timestamp", Resolved::Text(_)) => Some(text()),
            ("binary", _) => decode_base64(&self.text).map(|text| Resolved::Text(Cow::Owned(text))),
            ("null" | "bool" | "int" | "float" | "timestamp", _) => None,
            _ => Some(text()),
        };
        fits.ok_or_else(|| {
            Undecodable(format!("{:?} is not what its tag !!{name} says", self.text))
        })
    }
}

/// What `{{ .Values.x }}` prints for a scalar: text as it is, `true`, and numbers as Go prints the
/// 64-bit float that Helm makes of every number (`20230101` is `2.0230101e+07`, `1.10` is `1.1`).
/// None for null, lists and mappings.
///
/// Compared with Helm 3.22.0 and 4.3.1 by running their loaders and text/template; of the versions
/// whose source was read (3.17.0, 3.18.0, 3.19.0, 4.0.0) only 3.18.0 kept the digits of numbers.
#[must_use]
pub fn template_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Number(number) => number
            .as_f64()
            .map(|float| number::format_float(float, 'g', None)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether goyaml v2 reads this as text where it stands without quotes, so that none are needed.
pub(crate) fn is_text_when_plain(text: &str) -> bool {
    matches!(resolve_plain(text), Resolved::Text(_)) && !is_timestamp(text)
}

fn resolve_plain(text: &str) -> Resolved<'_> {
    if is_null(text) {
        return Resolved::Null;
    }
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Resolved::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Resolved::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        _ => resolve_number(text).unwrap_or(Resolved::Text(Cow::Borrowed(text))),
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn resolve_number(text: &str) -> Option<Resolved<'static>> {
    match text.as_bytes().first()? {
        // Go's ParseFloat alone decides, and it wants each underscore between two digits.
        b'.' => {
            let separated = text
                .split('_')
                .zip(text.split('_').skip(1))
                .all(|(before, after)| {
                    before.ends_with(|c: char| c.is_ascii_digit())
                        && after.starts_with(|c: char| c.is_ascii_digit())
                });
            if separated {
                float(&text.replace('_', ""))
            } else {
                None
            }
        }
        b'0'..=b'9' | b'+' | b'-' => {
            let text = text.replace('_', "");
            integer(&text).or_else(|| float(&text)).or_else(|| {
                // `0b-101`: goyaml gives Go what follows the prefix, sign included.
                let digits = text.strip_prefix("0b")?;
                i64::from_str_radix(digits, 2).ok().map(Resolved::Int)
            })
        }
        _ => None,
    }
}

/// Go's `ParseInt` and `ParseUint` with base 0: `0x`, `0o`, `0b`, and a leading zero is octal.
fn integer(text: &str) -> Option<Resolved<'static>> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    // Rust would take another sign here.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if text.starts_with('-') {
        0_i64.checked_sub_unsigned(magnitude).map(Resolved::Int)
    } else if let Ok(int) = i64::try_from(magnitude) {
        Some(Resolved::Int(int))
    } else {
        (!text.starts_with('+')).then_some(Resolved::Uint(magnitude))
    }
}

/// goyaml's `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, if it does not overflow.
fn float(text: &str) -> Option<Resolved<'static>> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (
            mantissa,
            exponent.strip_prefix(['+', '-']).unwrap_or(exponent),
        ),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_float = digits(whole) && digits(fraction) && digits(exponent) && !exponent.is_empty();
    if !is_float || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    text.parse()
        .ok()
        .filter(|float: &f64| float.is_finite())
        .map(Resolved::Float)
}

/// A float as Go writes it to JSON: whole numbers have no point. None for what JSON does not have.
pub(crate) fn json_number(float: f64) -> Option<Number> {
    let digits = float.to_string();
    // Negative zero stays a float, Go writes and reads it as `-0`.
    let int = if digits == "-0" {
        None
    } else {
        digits.parse::<i64>().ok().map(Number::from)
    };
    int.or_else(|| digits.parse::<u64>().ok().map(Number::from))
        .or_else(|| Number::from_f64(float))
}

/// `strconv.FormatFloat(float, 'g', -1, 32)`, with which sigs.k8s.io/yaml makes text of a float.
fn format_float32(float: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "sigs.k8s.io/yaml asks for 32 bits"
    )]
    let float = float as f32;
    number::format_float32(float)
}

/// Go's standard base64: line breaks are ignored. What is not UTF-8 is replaced byte by byte, as Go
/// does when it writes JSON.
fn decode_base64(text: &str) -> Option<String> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let bytes = GeneralPurpose::new(&STANDARD, LENIENT)
        .decode(text.replace(['\r', '\n'], ""))
        .ok()?;
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Some(text)
}
