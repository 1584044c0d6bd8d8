//! Arguments and results. The executor has checked the arguments' types before the call.

use std::borrow::Cow;
use std::rc::Rc;

use super::super::format;
use super::super::func::{Context, Failure};
use super::super::value::{LIST_BYTES, List, Map, Str, Value};
use super::Output;

/// What Go's runtime says when a function looks at the type of nil.
pub(super) const NIL: &str = "runtime error: invalid memory address or nil pointer dereference";

/// A `string` argument.
pub(super) fn text(args: &[Value], index: usize) -> &str {
    match args.get(index) {
        Some(Value::String(text)) => text,
        _ => "",
    }
}

/// An `int` argument.
pub(super) fn int(args: &[Value], index: usize) -> i64 {
    match args.get(index) {
        Some(Value::Int(int, _)) => *int,
        _ => 0,
    }
}

/// A `map[string]interface {}` argument: none for a nil map.
pub(super) fn map(args: &[Value], index: usize) -> Option<&Map> {
    match args.get(index) {
        Some(Value::Map(map)) if !map.0.nil => Some(map),
        _ => None,
    }
}

/// An `interface {}` argument.
pub(super) fn any(args: &[Value], index: usize) -> &Value {
    args.get(index).unwrap_or(&Value::Nil)
}

/// The variadic arguments after the fixed ones.
pub(super) fn rest(args: &[Value], fixed: usize) -> &[Value] {
    args.get(fixed..).unwrap_or_default()
}

pub(super) fn error(message: impl Into<String>) -> Failure {
    Failure::Error(message.into())
}

pub(super) fn panic(message: impl Into<String>) -> Failure {
    Failure::Panic(message.into())
}

/// The elements of a slice; none for anything else.
pub(super) fn elements(value: &Value) -> Option<Cow<'_, [Value]>> {
    use super::super::value::IntType::Uint8;
    match value {
        Value::List(list) => Some(Cow::Borrowed(&list.items)),
        Value::Bytes(bytes) => {
            let items = bytes.iter().map(|byte| Value::Int(i64::from(*byte), Uint8));
            Some(Cow::Owned(items.collect()))
        }
        Value::Object(object) if object.kind() == "slice" => {
            let fields = object.fields().unwrap_or_default();
            Some(Cow::Owned(
                fields.into_iter().map(|(_, item)| item).collect(),
            ))
        }
        _ => None,
    }
}

/// A `[]interface {}`, paid for.
pub(super) fn list(ctx: &mut dyn Context, items: Vec<Value>) -> Output {
    pay(ctx, items.len())?;
    Ok(Value::list(items))
}

/// Go's nil slice of `interface {}`.
pub(super) fn nil_list() -> Value {
    Value::List(Rc::new(List::nil(super::super::value::ElementType::Any)))
}

/// Pays for a slice of that many elements.
pub(super) fn pay(ctx: &mut dyn Context, elements: usize) -> Result<(), Failure> {
    ctx.step(elements)?;
    ctx.spend(
        elements
            .saturating_mul(size_of::<Value>())
            .saturating_add(LIST_BYTES),
    )
}

/// A string, paid for.
pub(super) fn string(ctx: &mut dyn Context, text: impl Into<Str>) -> Output {
    let text = text.into();
    ctx.spend(text.len())?;
    Ok(Value::String(text))
}

/// Sprig's `strval`: a string as it is, bytes as a string, anything else as `%v` prints it.
pub(super) fn strval(ctx: &mut dyn Context, value: &Value) -> Result<Str, Failure> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bytes(bytes) => {
            ctx.spend(bytes.len())?;
            Ok(super::super::text::from_bytes(bytes))
        }
        other => Ok(print(ctx, other)?.into()),
    }
}

/// `fmt.Sprint` of one value, which is what `%v` prints.
pub(super) fn print(ctx: &mut dyn Context, value: &Value) -> Result<String, Failure> {
    format::sprint(std::slice::from_ref(value), &limits(ctx))
}

/// What a formatter may write at most.
pub(super) fn limits(ctx: &dyn Context) -> format::Limits {
    let defaults = format::Limits::default();
    format::Limits {
        bytes: defaults.bytes.min(ctx.left()),
        ..defaults
    }
}

/// Sprig's `strslice`: the elements of a slice as strings, without nils; anything else is one element.
pub(super) fn strslice(ctx: &mut dyn Context, value: &Value) -> Result<Vec<Str>, Failure> {
    if matches!(value, Value::Nil) {
        return Ok(Vec::new());
    }
    let Some(items) = elements(value) else {
        return Ok(vec![strval(ctx, value)?]);
    };
    pay(ctx, items.len())?;
    items
        .iter()
        .filter(|item| !matches!(item, Value::Nil))
        .map(|item| strval(ctx, item))
        .collect()
}
