//! `merge` and `mergeOverwrite`: package mergo 1.0.1, as far as maps reach it.

use super::super::func::{Context, Failure};
use super::super::value::{ElementType, MAX_DEPTH, Map, Str, Value};
use super::Output;
use super::args::{elements, error, panic};
use super::dicts::{given, pay, sources};

/// Merges the other maps into the first one, in place. Nested maps of the first one are changed too;
/// those that it gets from the others are shared with them.
pub(super) fn all(ctx: &mut dyn Context, args: &[Value], overwrite: bool) -> Output {
    let mut target = given(args);
    for source in sources(args).flatten() {
        // A nil map is replaced by a new one.
        let into = match &target {
            Value::Map(map) if !map.0.nil => map.clone(),
            _ => Map::new(),
        };
        merge(ctx, &into, source, overwrite, 0)?;
        target = Value::Map(into);
    }
    Ok(target)
}

fn merge(
    ctx: &mut dyn Context,
    into: &Map,
    from: &Map,
    overwrite: bool,
    depth: usize,
) -> Result<(), Failure> {
    if depth > MAX_DEPTH {
        return Err(Failure::Limit(format!(
            "maps nested more than {MAX_DEPTH} deep cannot be merged"
        )));
    }
    pay(ctx, from.len())?;
    for (key, new) in from.snapshot() {
        let old = into.get(&key);
        if is_nil(&new) {
            if overwrite {
                insert(into, from, key, new)?;
            }
            continue;
        }
        if !overwrite && is_pointer(old.as_ref()) && matches!(new.kind(), "map" | "struct") {
            return Err(error("src and dst must be of same type"));
        }
        if let (Value::Map(new), Some(Value::Map(old))) = (&new, &old)
            && !old.0.nil
        {
            merge(ctx, old, new, overwrite, depth + 1)?;
        }
        let keeps = match &old {
            None => false,
            Some(old) if is_empty(old) => false,
            // Maps have been merged, even into a map that was empty.
            Some(Value::Map(_)) if matches!(new, Value::Map(_)) => true,
            Some(_) => !overwrite,
        };
        if !keeps {
            insert(into, from, key, new)?;
        }
    }
    Ok(())
}

/// Go does not put an `interface {}` into a `map[string]string`, whatever it holds.
fn insert(into: &Map, from: &Map, key: Str, value: Value) -> Result<(), Failure> {
    let (wanted, given) = (into.0.elements, from.0.elements);
    if wanted != ElementType::Any && wanted != given {
        return Err(panic(format!(
            "reflect.Value.SetMapIndex: value of type {} is not assignable to type {}",
            given.type_name(),
            wanted.type_name()
        )));
    }
    into.insert(key, value);
    Ok(())
}

fn is_pointer(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value.kind() == "ptr")
}

/// What mergo takes for nil: nothing, and nil slices and maps.
fn is_nil(value: &Value) -> bool {
    matches!(value, Value::Nil)
}

/// mergo's `isEmptyValue`.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(object) => match object.kind() {
            "slice" => elements(value).is_none_or(|items| items.is_empty()),
            _ => !object.truth(),
        },
        value => !value.truth(),
    }
}
