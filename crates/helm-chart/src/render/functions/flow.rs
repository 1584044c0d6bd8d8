//! Defaults, conditions, and Helm's functions that execute templates.

use super::super::func::{Func, Param};
use super::super::template::{MESSAGE_END, MESSAGE_START};
use super::super::value::{Map, Value};
use super::args::{any, elements, error, text};
use super::{fixed, variadic};
use Param::{Any, Bool, String as Text};

pub(super) const FUNCS: &[Func] = &[
    variadic("default", &[Any], Any, |_, args| {
        Ok(match args.get(1) {
            Some(given) if !empty(given) => given.clone(),
            _ => any(args, 0).clone(),
        })
    }),
    fixed("empty", &[Any], |_, args| Ok(empty(any(args, 0)).into())),
    variadic("coalesce", &[], Any, |_, args| {
        Ok(args
            .iter()
            .find(|value| !empty(value))
            .cloned()
            .unwrap_or_default())
    }),
    variadic("all", &[], Any, |_, args| {
        Ok((!args.iter().any(empty)).into())
    }),
    variadic("any", &[], Any, |_, args| {
        Ok((!args.iter().all(empty)).into())
    }),
    fixed("ternary", &[Any, Any, Bool], |_, args| {
        let truth = matches!(args.get(2), Some(Value::Bool(true)));
        Ok(any(args, usize::from(!truth)).clone())
    }),
    fixed("fail", &[Text], |ctx, args| {
        if ctx.lint() {
            return Ok(Value::from(""));
        }
        Err(error(marked(text(args, 0))))
    }),
    fixed("required", &[Text, Any], |ctx, args| {
        let value = any(args, 1);
        let missing = match value {
            Value::Nil => true,
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        match (missing, ctx.lint()) {
            (false, _) => Ok(value.clone()),
            (true, true) => Ok(Value::from("")),
            (true, false) => Err(error(marked(text(args, 0)))),
        }
    }),
    fixed("include", &[Text, Any], |ctx, args| {
        ctx.include(text(args, 0), any(args, 1))
    }),
    fixed("tpl", &[Text, Any], |ctx, args| {
        ctx.tpl(text(args, 0), any(args, 1))
    }),
    // Without a cluster there is nothing to find.
    fixed("lookup", &[Text, Text, Text, Text], |_, _| {
        Ok(Value::Map(Map::new()))
    }),
];

fn marked(message: &str) -> String {
    format!("{MESSAGE_START}{message}{MESSAGE_END}")
}

/// Sprig's `empty`: the zero of its type. Structs are never empty.
pub(super) fn empty(value: &Value) -> bool {
    match value {
        Value::Object(object) => match object.kind() {
            "slice" => elements(value).is_none_or(|items| items.is_empty()),
            "map" => object.fields().is_none_or(|fields| fields.is_empty()),
            _ => false,
        },
        value => !value.truth(),
    }
}
