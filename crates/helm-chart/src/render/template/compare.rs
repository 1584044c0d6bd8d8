//! `eq`, `lt` and their kin.

use std::rc::Rc;

use super::budget::BYTES_A_STEP;
use super::builtins::print_as;
use super::exec::Eval;
use crate::render::func::{Context, Failure};
use crate::render::value::{Object, Value};

/// The types that Go's comparisons tell apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Basic {
    None,
    Bool,
    Complex,
    Int,
    Uint,
    Float,
    String,
}

impl Basic {
    fn of(value: &Value) -> Self {
        match value {
            Value::Bool(_) => Self::Bool,
            Value::Int(_, kind) if kind.is_unsigned() => Self::Uint,
            Value::Int(..) => Self::Int,
            Value::Float(_) => Self::Float,
            Value::String(_) => Self::String,
            Value::Object(object) if object.kind() == "complex128" => Self::Complex,
            _ => Self::None,
        }
    }

    fn of_ordered(value: &Value) -> Result<Self, Failure> {
        match Self::of(value) {
            Self::None => Err(invalid_type()),
            basic => Ok(basic),
        }
    }
}

fn invalid_type() -> Failure {
    Failure::Error("invalid type for comparison".to_owned())
}

fn incompatible(one: &Value, other: &Value) -> Failure {
    let (one, other) = (one.type_name(), other.type_name());
    Failure::Error(format!(
        "incompatible types for comparison: {one} and {other}"
    ))
}

/// Whether the first value is equal to any of the others.
pub(super) fn eq(context: &mut dyn Context, one: &Value, others: &[Eval]) -> Result<bool, Failure> {
    if others.is_empty() {
        return Err(Failure::Error("missing argument for comparison".to_owned()));
    }
    for other in others {
        if is_equal(context, one, &other.value)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_equal(context: &mut dyn Context, one: &Value, other: &Value) -> Result<bool, Failure> {
    Ok(match (one, other) {
        (Value::String(one), Value::String(other)) => {
            scan(context, one.len().min(other.len()))?;
            one == other
        }
        (Value::Bool(one), Value::Bool(other)) => one == other,
        #[expect(clippy::float_cmp, reason = "as Go compares")]
        (Value::Float(one), Value::Float(other)) => one == other,
        (Value::Int(one, one_type), Value::Int(other, other_type)) => {
            // A large number without a sign is kept as a negative one.
            let same_sign = one_type.is_unsigned() == other_type.is_unsigned();
            one == other && (same_sign || *one >= 0)
        }
        (Value::Nil, Value::Nil) => true,
        // A nil map or slice is equal to nil.
        (Value::Nil, typed) | (typed, Value::Nil) => is_nil(typed),
        _ if Basic::of(one) != Basic::of(other) => return Err(incompatible(one, other)),
        (Value::Object(one), Value::Object(other)) if one.kind() == other.kind() => {
            is_same(one, other)
        }
        _ if one.kind() != other.kind() => {
            let message = format!(
                "non-comparable types {}: {}, {}: {}",
                print_as(context, "%s", one)?,
                one.type_name(),
                other.type_name(),
                print_as(context, "%v", other)?
            );
            return Err(Failure::Error(message));
        }
        _ if is_nil(one) || is_nil(other) => is_nil(one) && is_nil(other),
        _ => {
            let shown = print_as(context, "%s", other)?;
            let name = other.type_name();
            return Err(Failure::Error(format!(
                "non-comparable type {shown}: {name}"
            )));
        }
    })
}

fn is_nil(value: &Value) -> bool {
    match value {
        Value::Map(map) => map.0.nil,
        Value::List(list) => list.is_nil(),
        _ => false,
    }
}

/// Pointers are the same when they point to the same thing, structs when their fields are.
fn is_same(one: &Rc<dyn Object>, other: &Rc<dyn Object>) -> bool {
    if Rc::ptr_eq(one, other) {
        return true;
    }
    if one.kind() == "ptr" || one.type_name() != other.type_name() {
        return false;
    }
    match (one.fields(), other.fields()) {
        (Some(one), Some(other)) => one
            .iter()
            .zip(&other)
            .all(|((_, one), (_, other))| is_same_scalar(one, other)),
        _ => one.identity() == other.identity(),
    }
}

fn is_same_scalar(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one == other,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Int(one, _), Value::Int(other, _)) => one == other,
        (Value::Nil, Value::Nil) => true,
        _ => false,
    }
}

/// Pays for looking at so many bytes of a text.
fn scan(context: &mut dyn Context, bytes: usize) -> Result<(), Failure> {
    context.step(bytes / BYTES_A_STEP)
}

/// Whether the first value is less than the second.
pub(super) fn lt(context: &mut dyn Context, one: &Value, other: &Value) -> Result<bool, Failure> {
    let (first, second) = (Basic::of_ordered(one)?, Basic::of_ordered(other)?);
    Ok(match (one, other) {
        (Value::Int(one, one_type), Value::Int(other, other_type)) => {
            widen(*one, one_type.is_unsigned()) < widen(*other, other_type.is_unsigned())
        }
        (Value::Float(one), Value::Float(other)) => one < other,
        (Value::String(one), Value::String(other)) => {
            scan(context, one.len().min(other.len()))?;
            one < other
        }
        _ if first != second => return Err(incompatible(one, other)),
        _ => return Err(invalid_type()),
    })
}

#[expect(clippy::cast_sign_loss, reason = "the number is kept without a sign")]
fn widen(number: i64, unsigned: bool) -> i128 {
    if unsigned {
        i128::from(number as u64)
    } else {
        i128::from(number)
    }
}

/// Go's `<=`: less or equal, with the errors of both.
pub(super) fn le(context: &mut dyn Context, one: &Value, other: &Value) -> Result<bool, Failure> {
    Ok(lt(context, one, other)? || is_equal(context, one, other)?)
}
