//! Conversions between types, YAML, JSON and TOML.

use super::super::format;
use super::super::func::{Context, Failure, Func, Param};
use super::super::value::Value;
use super::args::{any, error, limits, print, string, text};
use super::number::{NumberError, parse_int};
use super::{Output, cast, decode, fixed};
use Param::{Any, String as Text};

pub(super) const FUNCS: &[Func] = &[
    fixed("atoi", &[Text], |_, args| {
        // The error is ignored, and so the nearest number is what remains of one out of range.
        Ok(Value::int(match parse_int(text(args, 0), 10) {
            Ok(int) | Err(NumberError::Range(int)) => int,
            Err(NumberError::Syntax) => 0,
        }))
    }),
    fixed("int", &[Any], |_, args| {
        Ok(Value::int(cast::to_int64(any(args, 0))))
    }),
    fixed("int64", &[Any], |_, args| {
        Ok(Value::int64(cast::to_int64(any(args, 0))))
    }),
    fixed("float64", &[Any], |_, args| {
        Ok(cast::to_float(any(args, 0)).into())
    }),
    fixed("toDecimal", &[Any], |ctx, args| {
        let printed = print(ctx, any(args, 0))?;
        Ok(Value::int64(parse_int(&printed, 8).unwrap_or(0)))
    }),
    fixed("toYaml", &[Any], |ctx, args| {
        let text = format::to_yaml(any(args, 0), &limits(ctx));
        written(ctx, text, Failed::Empty)
    }),
    fixed("toYamlPretty", &[Any], |ctx, args| {
        let text = format::to_yaml_pretty(any(args, 0), &limits(ctx));
        written(ctx, text, Failed::Empty)
    }),
    fixed("toJson", &[Any], |ctx, args| {
        to_json(ctx, args, format::Json::Compact, Failed::Empty)
    }),
    fixed("mustToJson", &[Any], |ctx, args| {
        to_json(ctx, args, format::Json::Compact, Failed::Error)
    }),
    fixed("toPrettyJson", &[Any], |ctx, args| {
        to_json(ctx, args, format::Json::Pretty, Failed::Empty)
    }),
    fixed("mustToPrettyJson", &[Any], |ctx, args| {
        to_json(ctx, args, format::Json::Pretty, Failed::Error)
    }),
    fixed("toRawJson", &[Any], |ctx, args| {
        to_json(ctx, args, format::Json::Raw, Failed::Error)
    }),
    fixed("mustToRawJson", &[Any], |ctx, args| {
        to_json(ctx, args, format::Json::Raw, Failed::Error)
    }),
    fixed("toToml", &[Any], |ctx, args| {
        let text = format::to_toml(any(args, 0), &limits(ctx));
        written(ctx, text, Failed::Message)
    }),
    fixed("fromJson", &[Text], |ctx, args| {
        let decoded = decode::json_object(ctx, text(args, 0))?;
        Ok(with_error(decoded))
    }),
    fixed("fromJsonArray", &[Text], |ctx, args| {
        let decoded = decode::json_array(ctx, text(args, 0))?;
        Ok(or_error(decoded))
    }),
    fixed(
        "mustFromJson",
        &[Text],
        |ctx, args| match decode::json_any(ctx, text(args, 0))? {
            (value, None) => Ok(value),
            (_, Some(problem)) => Err(error(problem)),
        },
    ),
    fixed("fromYaml", &[Text], |ctx, args| {
        let decoded = decode::yaml_object(ctx, text(args, 0))?;
        Ok(with_error(decoded))
    }),
    fixed("fromYamlArray", &[Text], |ctx, args| {
        let decoded = decode::yaml_array(ctx, text(args, 0))?;
        Ok(or_error(decoded))
    }),
    fixed("fromToml", &[Text], |ctx, args| {
        let decoded = decode::toml_object(ctx, text(args, 0))?;
        Ok(with_error(decoded))
    }),
];

/// What becomes of a value that cannot be written.
enum Failed {
    /// Nothing.
    Empty,
    /// The error's message.
    Message,
    /// An error.
    Error,
}

fn written(ctx: &mut dyn Context, text: Result<String, Failure>, failed: Failed) -> Output {
    match (text, failed) {
        (Ok(text), _) => string(ctx, text),
        (Err(Failure::Error(_)), Failed::Empty) => Ok(Value::from("")),
        (Err(Failure::Error(message)), Failed::Message) => string(ctx, message),
        (Err(failure), _) => Err(failure),
    }
}

fn to_json(ctx: &mut dyn Context, args: &[Value], form: format::Json, failed: Failed) -> Output {
    let text = format::to_json(any(args, 0), form, &limits(ctx));
    written(ctx, text, failed)
}

/// A map with the error under `Error`.
fn with_error((value, problem): (Value, Option<String>)) -> Value {
    if let (Value::Map(map), Some(problem)) = (&value, problem) {
        map.insert("Error", problem.into());
    }
    value
}

/// The value, or a list of the error alone.
fn or_error((value, problem): (Value, Option<String>)) -> Value {
    match problem {
        None => value,
        Some(problem) => Value::list(vec![problem.into()]),
    }
}
