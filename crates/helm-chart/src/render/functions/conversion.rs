//! Conversions between types, YAML, JSON and TOML.

use super::super::format;
use super::super::func::{Context, Failure, Func, Param};
use super::super::value::Value;
use super::args::{any, limits, pay, print, string, text};
use super::number::{NumberError, parse_int};
use super::{Output, cast, fixed, from_toml};
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
        or_nothing(write(ctx, args, format::to_yaml))
    }),
    fixed("toYamlPretty", &[Any], |ctx, args| {
        or_nothing(write(ctx, args, format::to_yaml_pretty))
    }),
    fixed("toJson", &[Any], |ctx, args| {
        or_nothing(write(ctx, args, format::to_json))
    }),
    fixed("mustToJson", &[Any], |ctx, args| {
        write(ctx, args, format::to_json)
    }),
    fixed("toPrettyJson", &[Any], |ctx, args| {
        or_nothing(write(ctx, args, format::to_pretty_json))
    }),
    fixed("mustToPrettyJson", &[Any], |ctx, args| {
        write(ctx, args, format::to_pretty_json)
    }),
    fixed("toRawJson", &[Any], |ctx, args| {
        write(ctx, args, format::to_raw_json)
    }),
    fixed("mustToRawJson", &[Any], |ctx, args| {
        write(ctx, args, format::to_raw_json)
    }),
    fixed("toToml", &[Any], |ctx, args| {
        match write(ctx, args, format::to_toml) {
            // Helm's function gives the error's message as its text.
            Err(Failure::Error(message)) => string(ctx, message),
            written => written,
        }
    }),
    fixed("fromJson", &[Text], |ctx, args| {
        read(ctx, args, format::from_json)
    }),
    fixed("fromJsonArray", &[Text], |ctx, args| {
        read(ctx, args, format::from_json_array)
    }),
    fixed("mustFromJson", &[Text], |ctx, args| {
        read(ctx, args, format::json::unmarshal)
    }),
    fixed("fromYaml", &[Text], |ctx, args| {
        read(ctx, args, |text| Ok(format::from_yaml(text)))
    }),
    fixed("fromYamlArray", &[Text], |ctx, args| {
        read(ctx, args, |text| Ok(format::from_yaml_array(text)))
    }),
    fixed("fromToml", &[Text], |ctx, args| {
        from_toml::from_toml(ctx, text(args, 0))
    }),
];

type Write = fn(&Value, &format::Limits) -> Result<String, Failure>;

fn write(ctx: &mut dyn Context, args: &[Value], write: Write) -> Output {
    let written = write(any(args, 0), &limits(ctx))?;
    ctx.step(written.len().saturating_mul(2))?;
    string(ctx, written)
}

/// What cannot be written becomes an empty text.
fn or_nothing(written: Output) -> Output {
    match written {
        Err(Failure::Error(_)) => Ok(Value::from("")),
        written => written,
    }
}

fn read(ctx: &mut dyn Context, args: &[Value], read: fn(&str) -> Output) -> Output {
    let text = text(args, 0);
    // Reading takes several times as long as writing.
    ctx.step(text.len().saturating_mul(4))?;
    ctx.spend(text.len())?;
    let value = read(text)?;
    pay_for(ctx, &value)?;
    Ok(value)
}

/// Pays for a value that has been read, which is not deep: readers limit that.
fn pay_for(ctx: &mut dyn Context, value: &Value) -> Result<(), Failure> {
    match value {
        Value::List(list) => {
            pay(ctx, list.items.len())?;
            list.items.iter().try_for_each(|item| pay_for(ctx, item))
        }
        Value::Map(map) => {
            super::dicts::pay(ctx, map.len())?;
            map.0
                .entries
                .borrow()
                .values()
                .try_for_each(|value| pay_for(ctx, value))
        }
        _ => Ok(()),
    }
}
