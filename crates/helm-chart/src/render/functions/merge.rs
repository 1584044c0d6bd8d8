//! `merge` and `mergeOverwrite`: package mergo 1.0.1, as far as maps reach it.

use super::super::func::{Context, Failure};
use super::super::value::{MAX_DEPTH, Map, Value};
use super::Output;
use super::args::elements;
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
                into.insert(key, new);
            }
            continue;
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
            into.insert(key, new);
        }
    }
    Ok(())
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
