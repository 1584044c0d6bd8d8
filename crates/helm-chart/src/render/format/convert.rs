//! Between values and `serde_json`'s.

use serde_json::Value as Json;

use super::output::Limits;
use super::view::{Path, View, plain, view};
use crate::render::func::Failure;
use crate::render::text::from_text;
use crate::render::value::{Map, Value};

/// A value as Helm reads it from `values.yaml`: each number is a 64-bit float.
#[must_use]
pub fn from_json_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(bool) => Value::Bool(*bool),
        Json::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::String(from_text(text)),
        Json::Array(items) => Value::list(items.iter().map(from_json_value).collect()),
        Json::Object(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|(key, value)| (from_text(key), from_json_value(value)));
            Value::Map(entries.collect::<Map>())
        }
    }
}

/// A value as encoding/json writes it; whole floats become integers.
///
/// # Errors
/// [`Failure::Error`] for infinity, not-a-number and a map that contains itself; [`Failure::Limit`]
/// for more levels than `limits` allows. Its bytes are not counted.
pub fn to_json_value(value: &Value, limits: &Limits) -> Result<Json, Failure> {
    convert(value, limits.depth, &mut Path::default())
}

fn convert(value: &Value, depth: usize, path: &mut Path) -> Result<Json, Failure> {
    let levels = || depth.checked_sub(1).ok_or_else(Limits::too_deep);
    Ok(match view(value)? {
        View::Null => Json::Null,
        View::Bool(bool) => Json::Bool(bool),
        View::Number(text) => {
            let int = text.parse::<i64>().map(Json::from);
            let int = int.or_else(|_| text.parse::<u64>().map(Json::from));
            int.unwrap_or_else(|_| text.parse::<f64>().map_or(Json::Null, Json::from))
        }
        View::Text(text) => Json::String(plain(&text).into_owned()),
        View::List(list) => {
            let depth = levels()?;
            let items = list.items.iter().map(|item| convert(item, depth, path));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        View::Struct(fields) => {
            let depth = levels()?;
            let fields = fields
                .iter()
                .map(|(name, value)| Ok((name.to_string(), convert(value, depth, path)?)));
            Json::Object(fields.collect::<Result<_, Failure>>()?)
        }
        View::Map(map) => {
            let depth = levels()?;
            path.descend(&map)?;
            let mut object = serde_json::Map::new();
            for (key, value) in map.0.entries.borrow().iter() {
                object.insert(plain(key).into_owned(), convert(value, depth, path)?);
            }
            path.leave();
            Json::Object(object)
        }
    })
}
