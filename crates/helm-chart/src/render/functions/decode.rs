//! Values from JSON, YAML and TOML.

use std::rc::Rc;

use super::super::func::{Context, Failure};
use super::super::value::{ElementType, List, Map, Value};
use super::args::pay;
use crate::yaml;

mod json;
mod toml;

/// What a text decodes to, and the error beside it: Go keeps what it has read.
type Decoded = (Value, Option<String>);

/// The names that Go's JSON has for kinds of values.
fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Int(..) | Value::Float(_) => "number",
        Value::String(_) => "string",
        Value::List(_) => "array",
        _ => "object",
    }
}

/// `json.Unmarshal` into an `interface {}`.
pub(super) fn json_any(ctx: &mut dyn Context, text: &str) -> Result<Decoded, Failure> {
    json::parse(ctx, text)
}

/// `json.Unmarshal` into a map.
pub(super) fn json_object(ctx: &mut dyn Context, text: &str) -> Result<Decoded, Failure> {
    let (value, problem) = json::parse(ctx, text)?;
    Ok(object(value, problem))
}

/// `json.Unmarshal` into a slice.
pub(super) fn json_array(ctx: &mut dyn Context, text: &str) -> Result<Decoded, Failure> {
    let (value, problem) = json::parse(ctx, text)?;
    Ok(array(value, problem))
}

fn object(value: Value, problem: Option<String>) -> Decoded {
    match (value, problem) {
        (map @ Value::Map(_), problem) => (map, problem),
        (Value::Nil, None) => (Value::Map(Map::nil(ElementType::Any)), None),
        (_, Some(problem)) => (
            Value::Map(Map::new()),
            Some(whole_number(problem, "map[string]interface {}")),
        ),
        (other, None) => (
            Value::Map(Map::new()),
            Some(mismatch(&other, "map[string]interface {}")),
        ),
    }
}

fn array(value: Value, problem: Option<String>) -> Decoded {
    match (value, problem) {
        (list @ Value::List(_), problem) => (list, problem),
        (Value::Nil, None) => (Value::List(Rc::new(List::nil(ElementType::Any))), None),
        (_, Some(problem)) => (
            Value::list(Vec::new()),
            Some(whole_number(problem, "[]interface {}")),
        ),
        (other, None) => (
            Value::list(Vec::new()),
            Some(mismatch(&other, "[]interface {}")),
        ),
    }
}

/// A number out of range that is the whole document is of the wrong kind in the first place.
fn whole_number(problem: String, wanted: &str) -> String {
    if problem.starts_with("json: cannot unmarshal number ") {
        return mismatch(&Value::Float(0.0), wanted);
    }
    problem
}

fn mismatch(value: &Value, wanted: &str) -> String {
    format!(
        "json: cannot unmarshal {} into Go value of type {wanted}",
        json_kind(value)
    )
}

/// `yaml.Unmarshal` into a map.
pub(super) fn yaml_object(ctx: &mut dyn Context, text: &str) -> Result<Decoded, Failure> {
    yaml_into(ctx, text, object, (Value::Map(Map::new()), None))
}

/// `yaml.Unmarshal` into a slice.
pub(super) fn yaml_array(ctx: &mut dyn Context, text: &str) -> Result<Decoded, Failure> {
    yaml_into(ctx, text, array, (Value::list(Vec::new()), None))
}

fn yaml_into(
    ctx: &mut dyn Context,
    text: &str,
    into: fn(Value, Option<String>) -> Decoded,
    empty: Decoded,
) -> Result<Decoded, Failure> {
    ctx.step(text.len())?;
    ctx.spend(text.len())?;
    let read = yaml::first(text, &yaml::Limits::default())
        .and_then(|root| root.map(|root| root.to_helm_json()).transpose());
    let value = match read {
        Ok(value) => from_json(ctx, value.unwrap_or_default())?,
        Err(problem) => {
            let problem = format!(
                "error converting YAML to JSON: yaml: line {}: {}",
                problem.line, problem.message
            );
            return Ok(into(Value::Nil, Some(problem)));
        }
    };
    // The package decodes null into a pointer to what it was given, which stays as it was: empty.
    if matches!(value, Value::Nil) {
        return Ok(empty);
    }
    let (value, problem) = into(value, None);
    let problem =
        problem.map(|problem| format!("error unmarshaling JSON: while decoding JSON: {problem}"));
    Ok((value, problem))
}

/// The value that Go makes of JSON: each number is a float.
fn from_json(ctx: &mut dyn Context, value: serde_json::Value) -> Result<Value, Failure> {
    Ok(match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(truth) => truth.into(),
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(0.0)),
        serde_json::Value::String(text) => {
            ctx.spend(text.len())?;
            text.into()
        }
        serde_json::Value::Array(items) => {
            pay(ctx, items.len())?;
            let items = items.into_iter().map(|item| from_json(ctx, item));
            Value::list(items.collect::<Result<_, _>>()?)
        }
        serde_json::Value::Object(map) => {
            super::dicts::pay(ctx, map.len())?;
            let entries = map
                .into_iter()
                .map(|(key, value)| Ok((key, from_json(ctx, value)?)));
            Value::Map(entries.collect::<Result<Map, Failure>>()?)
        }
    })
}

/// `toml.Unmarshal` into a map.
pub(super) fn toml_object(ctx: &mut dyn Context, text: &str) -> Result<Decoded, Failure> {
    toml::parse(ctx, text)
}
