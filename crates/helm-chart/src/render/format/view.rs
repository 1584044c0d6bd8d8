//! What encoders see of a value: encoding/json's view, which sigs.k8s.io/yaml shares.

use std::borrow::Cow;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::render::func::Failure;
use crate::render::text;
use crate::render::value::{Encoded, IntType, List, Map, MapCell, Str, Value};
use crate::strconv::number::format_float;

/// A value as encoding/json sees it.
pub(super) enum View {
    Null,
    Bool(bool),
    /// A number in JSON's spelling.
    Number(String),
    Text(Str),
    List(Rc<List>),
    Map(Map),
    /// Fields in order.
    Struct(Vec<(Str, Value)>),
}

/// A Go string as JSON has it: with a replacement character for each byte that is not UTF-8.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text::len(text) == text.len() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().map(text::rune).collect())
    }
}

/// # Errors
/// Infinity and not-a-number, in the words of encoding/json.
pub(super) fn view(value: &Value) -> Result<View, Failure> {
    Ok(match value {
        Value::Nil => View::Null,
        Value::Bool(bool) => View::Bool(*bool),
        Value::Int(int, IntType::Uint64) => View::Number(int.cast_unsigned().to_string()),
        Value::Int(int, _) => View::Number(int.to_string()),
        Value::Float(float) => View::Number(json_float(*float)?),
        Value::String(text) => View::Text(Rc::clone(text)),
        Value::Bytes(bytes) => View::Text(STANDARD.encode(bytes).into()),
        Value::List(list) if list.is_nil() => View::Null,
        Value::List(list) => View::List(Rc::clone(list)),
        Value::Map(map) if map.0.is_nil() => View::Null,
        Value::Map(map) => View::Map(map.clone()),
        Value::Object(object) => match object.encoded() {
            Encoded::Value(value) => view(&value)?,
            Encoded::Time(time) => match time.refused {
                None => View::Text(time.text.into()),
                Some(reason) => {
                    return Err(Failure::Error(format!(
                        "json: error calling MarshalJSON for type time.Time: Time.MarshalJSON: {reason}"
                    )));
                }
            },
            Encoded::Struct(fields) => View::Struct(fields),
        },
    })
}

/// A float as encoding/json writes it: without an exponent from 1e-6 to below 1e21.
pub(super) fn json_float(float: f64) -> Result<String, Failure> {
    if !float.is_finite() {
        return Err(Failure::Error(format!(
            "json: unsupported value: {}",
            format_float(float, 'g', None)
        )));
    }
    let size = float.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return Ok(format_float(float, 'f', None));
    }
    let text = format_float(float, 'e', None);
    Ok(match text.split_once("e-0") {
        Some((mantissa, digit)) => format!("{mantissa}e-{digit}"),
        None => text,
    })
}

/// The maps that are being written: one that contains itself is an error for encoding/json.
#[derive(Default)]
pub(super) struct Path(Vec<*const MapCell>);

impl Path {
    /// # Errors
    /// A map that is being written already, in the words of encoding/json.
    pub(super) fn descend(&mut self, map: &Map) -> Result<(), Failure> {
        let address = Rc::as_ptr(&map.0);
        if self.0.contains(&address) {
            return Err(Failure::Error(format!(
                "json: unsupported value: encountered a cycle via {}",
                Value::Map(map.clone()).type_name()
            )));
        }
        self.0.push(address);
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.0.pop();
    }
}
