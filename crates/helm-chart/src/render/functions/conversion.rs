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
        written(ctx, text)
    }),
    fixed("toYamlPretty", &[Any], |ctx, args| {
        let text = format::to_yaml_pretty(any(args, 0), &limits(ctx));
        written(ctx, text)
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

/// Helm makes nothing of what cannot be written.
fn written(ctx: &mut dyn Context, text: Result<String, Failure>) -> Output {
    match text {
        Ok(text) => string(ctx, text),
        Err(Failure::Error(_)) => Ok(Value::from("")),
        Err(failure) => Err(failure),
    }
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
