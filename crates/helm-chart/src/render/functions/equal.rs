//! Equality as `reflect.DeepEqual` sees it, and deep copies.

use std::rc::Rc;

use super::super::func::{Context, Failure};
use super::super::value::{List, MAX_DEPTH, Map, Value};
use super::semver::Version;

/// `reflect.DeepEqual`: types count, and so does nil against empty.
pub(super) fn equal(ctx: &mut dyn Context, a: &Value, b: &Value) -> Result<bool, Failure> {
    deep(ctx, a, b, 0)
}

fn deep(ctx: &mut dyn Context, a: &Value, b: &Value, depth: usize) -> Result<bool, Failure> {
    if depth > MAX_DEPTH {
        return Err(too_deep("compared"));
    }
    ctx.step(2)?;
    Ok(match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a, kind), Value::Int(b, other)) => a == b && kind == other,
        #[expect(clippy::float_cmp, reason = "it is what Go does")]
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::String(a), Value::String(b)) => {
            ctx.step(a.len().min(b.len()) / 64)?;
            a == b
        }
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            if a.elements != b.elements
                || a.items.len() != b.items.len()
                || a.is_nil() != b.is_nil()
            {
                return Ok(false);
            }
            Rc::ptr_eq(a, b) || all_equal(ctx, a.items.iter().zip(&b.items), depth)?
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.type_name() != b.type_name() || a.len() != b.len() || a.0.is_nil() != b.0.is_nil()
            {
                return Ok(false);
            }
            a.is_same(b) || pairs_equal(ctx, &a.snapshot(), &b.snapshot(), depth)?
        }
        (Value::Object(a), Value::Object(b)) => {
            if Rc::ptr_eq(a, b) {
                return Ok(true);
            }
            if a.type_name() != b.type_name() {
                return Ok(false);
            }
            match (a.fields(), b.fields()) {
                (Some(a), Some(b)) => pairs_equal(ctx, &a, &b, depth)?,
                _ => a.identity().is_some() && a.identity() == b.identity(),
            }
        }
        _ => false,
    })
}

fn pairs_equal<K: PartialEq>(
    ctx: &mut dyn Context,
    a: &[(K, Value)],
    b: &[(K, Value)],
    depth: usize,
) -> Result<bool, Failure> {
    let same_keys = a.len() == b.len() && a.iter().zip(b).all(|((a, _), (b, _))| a == b);
    if !same_keys {
        return Ok(false);
    }
    let values = a.iter().zip(b).map(|((_, a), (_, b))| (a, b));
    all_equal(ctx, values, depth)
}

fn all_equal<'v>(
    ctx: &mut dyn Context,
    pairs: impl Iterator<Item = (&'v Value, &'v Value)>,
    depth: usize,
) -> Result<bool, Failure> {
    for (a, b) in pairs {
        if !deep(ctx, a, b, depth + 1)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the list has an element that equals the value.
pub(super) fn contains(
    ctx: &mut dyn Context,
    items: &[Value],
    value: &Value,
) -> Result<bool, Failure> {
    for item in items {
        if equal(ctx, value, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `copystructure.Copy`: maps and slices are copied, all the way down.
pub(super) fn copy(ctx: &mut dyn Context, value: &Value, depth: usize) -> Result<Value, Failure> {
    if depth > MAX_DEPTH {
        return Err(too_deep("copied"));
    }
    Ok(match value {
        // `reflect.Value.Type` of nothing.
        Value::Nil if depth == 0 => {
            return Err(Failure::Panic(
                "reflect: call of reflect.Value.Type on zero Value".to_owned(),
            ));
        }
        Value::List(list) => {
            super::args::pay(ctx, list.items.len())?;
            let items = list.items.iter().map(|item| copy(ctx, item, depth + 1));
            let mut copied = List::new(list.elements, items.collect::<Result<_, _>>()?);
            copied.nil = list.nil;
            Value::List(Rc::new(copied))
        }
        Value::Map(map) if map.0.is_nil() => Value::Map(Map::nil(map.0.elements)),
        Value::Map(map) => {
            super::dicts::pay(ctx, map.len())?;
            let copied = Map::typed(map.0.named, map.0.elements);
            for (key, value) in map.snapshot() {
                copied.insert(key, copy(ctx, &value, depth + 1)?);
            }
            Value::Map(copied)
        }
        // Its fields are not exported, and therefore not copied.
        Value::Object(object) if object.as_any().is::<Version>() => {
            Value::Object(Rc::new(Version::default()))
        }
        other => other.clone(),
    })
}

fn too_deep(what: &str) -> Failure {
    Failure::Limit(format!(
        "values nested more than {MAX_DEPTH} deep cannot be {what}"
    ))
}
