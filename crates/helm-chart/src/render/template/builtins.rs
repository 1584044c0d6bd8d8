//! Go's own functions.

use std::rc::Rc;

use super::compare;
use super::escape;
use super::exec::Eval;
use crate::render::format::{self, sprint, sprintf, sprintln};
use crate::render::func::{Context, Failure};
use crate::render::text;
use crate::render::value::{IntType, List, MAX_DEPTH, Value};

/// One of Go's functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builtin {
    And,
    Call,
    Eq,
    Ge,
    Gt,
    Html,
    Index,
    Js,
    Le,
    Len,
    Lt,
    Ne,
    Not,
    Or,
    Print,
    Printf,
    Println,
    Slice,
    UrlQuery,
}

impl Builtin {
    pub(super) const ALL: [Self; 19] = [
        Self::And,
        Self::Call,
        Self::Eq,
        Self::Ge,
        Self::Gt,
        Self::Html,
        Self::Index,
        Self::Js,
        Self::Le,
        Self::Len,
        Self::Lt,
        Self::Ne,
        Self::Not,
        Self::Or,
        Self::Print,
        Self::Printf,
        Self::Println,
        Self::Slice,
        Self::UrlQuery,
    ];

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builtin| builtin.name() == name)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Call => "call",
            Self::Eq => "eq",
            Self::Ge => "ge",
            Self::Gt => "gt",
            Self::Html => "html",
            Self::Index => "index",
            Self::Js => "js",
            Self::Le => "le",
            Self::Len => "len",
            Self::Lt => "lt",
            Self::Ne => "ne",
            Self::Not => "not",
            Self::Or => "or",
            Self::Print => "print",
            Self::Printf => "printf",
            Self::Println => "println",
            Self::Slice => "slice",
            Self::UrlQuery => "urlquery",
        }
    }

    /// How many arguments there must be, and whether there may be more.
    pub(super) const fn arity(self) -> (usize, bool) {
        match self {
            Self::Html | Self::Js | Self::Print | Self::Println | Self::UrlQuery => (0, true),
            Self::And
            | Self::Call
            | Self::Eq
            | Self::Index
            | Self::Or
            | Self::Printf
            | Self::Slice => (1, true),
            Self::Len | Self::Not => (1, false),
            Self::Ge | Self::Gt | Self::Le | Self::Lt | Self::Ne => (2, false),
        }
    }

    /// Calls any but `and` and `or`, which do not evaluate all of their arguments. `callee` is how
    /// the first argument is written.
    pub(super) fn call(
        self,
        context: &mut dyn Context,
        args: &[Eval],
        callee: &str,
    ) -> Result<Eval, Failure> {
        let (first, rest) = match args {
            [] => (&Eval::NIL, args),
            [first, rest @ ..] => (first, rest),
        };
        let plain =
            |args: &[Eval]| -> Vec<Value> { args.iter().map(|arg| arg.value.clone()).collect() };
        let one = &first.value;
        let other = rest.first().map_or(&Value::Nil, |arg| &arg.value);
        Ok(Eval::plain(match self {
            Self::And | Self::Or => return Ok(args.last().cloned().unwrap_or(Eval::NIL)),
            Self::Not => Value::Bool(!one.truth()),
            Self::Eq => Value::Bool(compare::eq(context, one, rest)?),
            Self::Ne => Value::Bool(!compare::eq(context, one, rest)?),
            Self::Lt => Value::Bool(compare::lt(context, one, other)?),
            Self::Ge => Value::Bool(!compare::lt(context, one, other)?),
            Self::Le => Value::Bool(compare::le(context, one, other)?),
            Self::Gt => Value::Bool(!compare::le(context, one, other)?),
            Self::Len => Value::int(len(context, first)?),
            Self::Index => return index(context, first, rest),
            Self::Slice => slice(context, one, rest)?,
            Self::Call => return Err(call(one, callee)),
            Self::Print => paid(context, |limits| sprint(&plain(args), limits))?,
            Self::Println => paid(context, |limits| sprintln(&plain(args), limits))?,
            Self::Printf => {
                let Value::String(format) = one else {
                    return Err(Failure::Error("the format is not a string".to_owned()));
                };
                paid(context, |limits| sprintf(format, &plain(rest), limits))?
            }
            Self::Html => escaped(context, &plain(args), escape::html)?,
            Self::Js => escaped(context, &plain(args), escape::js)?,
            Self::UrlQuery => escaped(context, &plain(args), escape::url_query)?,
        }))
    }
}

/// What one printed value may cost: values that share their parts can be as long as they like.
pub(super) const FORMAT_LIMITS: format::Limits = format::Limits {
    bytes: 16 << 20,
    depth: MAX_DEPTH,
};

/// Formats and pays for it.
fn paid(
    context: &mut dyn Context,
    format: impl FnOnce(&format::Limits) -> Result<String, Failure>,
) -> Result<Value, Failure> {
    let text = format(&FORMAT_LIMITS)?;
    context.step(text.len() / 16)?;
    context.spend(text.len())?;
    Ok(Value::from(text))
}

/// What Go's fmt makes of one value.
pub(super) fn print_as(
    context: &mut dyn Context,
    verb: &str,
    value: &Value,
) -> Result<String, Failure> {
    match paid(context, |limits| {
        sprintf(verb, std::slice::from_ref(value), limits)
    })? {
        Value::String(text) => Ok(text.to_string()),
        _ => Ok(String::new()),
    }
}

/// All arguments as one text, escaped.
fn escaped(
    context: &mut dyn Context,
    args: &[Value],
    escape: fn(&str) -> String,
) -> Result<Value, Failure> {
    let args: Vec<Value> = args
        .iter()
        .map(|arg| match arg {
            Value::Nil => Value::from("<no value>"),
            arg => arg.clone(),
        })
        .collect();
    let Value::String(text) = paid(context, |limits| sprint(&args, limits))? else {
        return Ok(Value::Nil);
    };
    // An escape is at most six times as long as its character.
    context.spend(text.len().saturating_mul(6))?;
    Ok(Value::from(escape(&text)))
}

fn error<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Error(message.into()))
}

/// What a pointer points to, by the name of its type.
fn pointed_to(value: &Value) -> String {
    let name = value.type_name();
    match value.kind() {
        "ptr" => name.trim_start_matches('*').to_owned(),
        _ => name.into_owned(),
    }
}

/// Pays for what has to be looked at as a whole: a text whose bytes are counted, the fields of an
/// object, which are collected.
fn scan(context: &mut dyn Context, value: &Value) -> Result<(), Failure> {
    match value {
        Value::String(text) => context.step(text.len() / 16),
        Value::Object(object) if matches!(object.kind(), "map" | "slice") => context.step(
            object
                .fields()
                .map_or(0, |fields| fields.len())
                .saturating_mul(4),
        ),
        _ => Ok(()),
    }
}

fn len(context: &mut dyn Context, item: &Eval) -> Result<i64, Failure> {
    scan(context, &item.value)?;
    let length = match &item.value {
        Value::Nil if item.boxed => return error("len of nil pointer"),
        Value::Nil => return error("reflect: call of reflect.Value.Type on zero Value"),
        Value::String(text) => text::len(text),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.len(),
        Value::Object(object) if matches!(object.kind(), "map" | "slice") => {
            object.fields().map_or(0, |fields| fields.len())
        }
        other => return error(format!("len of type {}", pointed_to(other))),
    };
    Ok(i64::try_from(length).unwrap_or(i64::MAX))
}

/// An index into that many elements, the place behind them included.
fn index_arg(index: &Value, length: usize) -> Result<usize, Failure> {
    let place = match index {
        Value::Int(place, _) => *place,
        Value::Nil => return error("cannot index slice/array with nil"),
        other => {
            let name = other.type_name();
            return error(format!("cannot index slice/array with type {name}"));
        }
    };
    match usize::try_from(place) {
        Ok(index) if index <= length => Ok(index),
        _ => error(format!("index out of range: {place}")),
    }
}

fn map_arg(index: &Value) -> Result<&str, Failure> {
    match index {
        Value::String(key) => Ok(key),
        Value::Nil => error("value is nil; should be of type string"),
        other => error(format!(
            "value has type {}; should be string",
            other.type_name()
        )),
    }
}

fn index(context: &mut dyn Context, item: &Eval, indexes: &[Eval]) -> Result<Eval, Failure> {
    if matches!(item.value, Value::Nil) {
        return error("index of untyped nil");
    }
    let mut item = item.clone();
    for Eval { value: index, .. } in indexes {
        scan(context, &item.value)?;
        item = match &item.value {
            Value::Nil => return error("index of nil pointer"),
            Value::Map(map) => {
                let found = map.get(map_arg(index)?);
                Eval::element(
                    found.unwrap_or_else(|| map.0.elements.zero()),
                    map.0.elements,
                )
            }
            Value::List(list) => {
                let place = index_arg(index, list.items.len())?;
                match list.items.get(place) {
                    Some(found) => Eval::element(found.clone(), list.elements),
                    None => return error("reflect: slice index out of range"),
                }
            }
            Value::String(text) => {
                let bytes = text::to_bytes(text);
                let place = index_arg(index, bytes.len())?;
                byte(bytes.get(place), "string")?
            }
            Value::Bytes(bytes) => {
                let place = index_arg(index, bytes.len())?;
                byte(bytes.get(place), "slice")?
            }
            Value::Object(object) if object.kind() == "map" => {
                let found = object.field(map_arg(index)?);
                Eval::plain(found.unwrap_or_else(|| object.missing()))
            }
            Value::Object(object) if object.kind() == "slice" => {
                let items = object.fields().unwrap_or_default();
                let place = index_arg(index, items.len())?;
                match items.into_iter().nth(place) {
                    Some((_, found)) => Eval::plain(found),
                    None => return error("reflect: slice index out of range"),
                }
            }
            other => {
                return error(format!("can't index item of type {}", pointed_to(other)));
            }
        };
    }
    Ok(item)
}

fn byte(found: Option<&u8>, of: &str) -> Result<Eval, Failure> {
    match found {
        Some(byte) => Ok(Eval::plain(Value::Int(i64::from(*byte), IntType::Uint8))),
        None => error(format!("reflect: {of} index out of range")),
    }
}

fn slice(context: &mut dyn Context, item: &Value, indexes: &[Eval]) -> Result<Value, Failure> {
    if matches!(item, Value::Nil) {
        return error("slice of untyped nil");
    }
    if indexes.len() > 3 {
        return error(format!("too many slice indexes: {}", indexes.len()));
    }
    scan(context, item)?;
    let length = match item {
        Value::String(_) if indexes.len() == 3 => return error("cannot 3-index slice a string"),
        Value::String(text) => text::len(text),
        Value::List(list) => list.items.len(),
        Value::Bytes(bytes) => bytes.len(),
        other => return error(format!("can't slice item of type {}", pointed_to(other))),
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        if index.boxed {
            // As Go has it, which looks into the interfaces of all arguments but these.
            return error("cannot index slice/array with type interface {}");
        }
        *bound = index_arg(&index.value, length)?;
    }
    let [from, to, end] = bounds;
    if from > to {
        return error(format!("invalid slice index: {from} > {to}"));
    }
    if indexes.len() == 3 && to > end {
        return error(format!("invalid slice index: {to} > {end}"));
    }
    context.step(to - from)?;
    context.spend((to - from).saturating_mul(size_of::<Value>()))?;
    Ok(match item {
        Value::List(list) => {
            let items = list.items[from..to].to_vec();
            Value::List(Rc::new(List::new(list.elements, items)))
        }
        Value::Bytes(bytes) => Value::Bytes(bytes[from..to].into()),
        Value::String(text) => Value::String(text::from_bytes(&text::to_bytes(text)[from..to])),
        _ => Value::Nil,
    })
}

/// No value of a template is a function.
fn call(callee: &Value, written: &str) -> Failure {
    Failure::Error(match callee {
        Value::Nil => "call of nil".to_owned(),
        other => format!("non-function {written} of type {}", other.type_name()),
    })
}
