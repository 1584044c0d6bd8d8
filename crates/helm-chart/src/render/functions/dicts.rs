//! Maps. Go ranges over a map in random order: here `keys` and `values` are in the order of the keys.

use super::super::func::{Context, Failure, Func, Param};
use super::super::value::{ENTRY_BYTES, MAP_BYTES, Map, Value};
use super::args::{any, list, map, panic, rest, strval, text};
use super::{Output, args, equal, fixed, merge, variadic};
use Param::{Any, Map as Dict, String as Text};

pub(super) const FUNCS: &[Func] = &[
    variadic("dict", &[], Any, |ctx, args| {
        pay(ctx, args.len() / 2)?;
        let dict = Map::new();
        for pair in args.chunks(2) {
            let key = strval(ctx, &pair[0])?;
            dict.insert(key, pair.get(1).cloned().unwrap_or_else(|| Value::from("")));
        }
        Ok(Value::Map(dict))
    }),
    fixed("get", &[Dict, Text], |_, args| {
        let value = map(args, 0).and_then(|map| map.get(text(args, 1)));
        Ok(value.unwrap_or_else(|| Value::from("")))
    }),
    fixed("set", &[Dict, Text, Any], |ctx, args| {
        let Some(map) = map(args, 0) else {
            return Err(panic("assignment to entry in nil map"));
        };
        pay_entry(ctx)?;
        map.insert(text(args, 1), any(args, 2).clone());
        Ok(Value::Map(map.clone()))
    }),
    fixed("unset", &[Dict, Text], |_, args| {
        if let Some(map) = map(args, 0) {
            map.remove(text(args, 1));
        }
        Ok(given(args))
    }),
    fixed("hasKey", &[Dict, Text], |_, args| {
        Ok(map(args, 0)
            .is_some_and(|map| map.contains(text(args, 1)))
            .into())
    }),
    variadic("pluck", &[Text], Dict, |ctx, args| {
        let found = (1..args.len()).filter_map(|index| map(args, index)?.get(text(args, 0)));
        let found = found.collect();
        list(ctx, found)
    }),
    variadic("keys", &[], Dict, |ctx, args| {
        let maps: Vec<&Map> = (0..args.len())
            .filter_map(|index| map(args, index))
            .collect();
        args::pay(ctx, maps.iter().map(|map| map.len()).sum())?;
        let snapshots = maps.into_iter().flat_map(Map::snapshot);
        Ok(Value::strings(snapshots.map(|(key, _)| key)))
    }),
    fixed("values", &[Dict], |ctx, args| {
        let entries = map(args, 0).map(Map::snapshot).unwrap_or_default();
        list(ctx, entries.into_iter().map(|(_, value)| value).collect())
    }),
    variadic("pick", &[Dict], Text, |ctx, args| {
        pay(ctx, 0)?;
        let picked = Map::new();
        let map = map(args, 0);
        for key in (1..args.len()).map(|index| text(args, index)) {
            if let Some(value) = map.and_then(|map| map.get(key)) {
                pay_entry(ctx)?;
                picked.insert(key, value);
            }
        }
        Ok(Value::Map(picked))
    }),
    variadic("omit", &[Dict], Text, |ctx, args| {
        let keys: std::collections::HashSet<&str> =
            (1..args.len()).map(|index| text(args, index)).collect();
        let entries = map(args, 0).map(Map::snapshot).unwrap_or_default();
        pay(ctx, entries.len())?;
        let kept = entries
            .into_iter()
            .filter(|(key, _)| !keys.contains(&**key));
        let kept: Map = kept.collect();
        Ok(Value::Map(kept))
    }),
    variadic("merge", &[Dict], Dict, |ctx, args| {
        or_nothing(merge::all(ctx, args, false))
    }),
    variadic("mustMerge", &[Dict], Dict, |ctx, args| {
        merge::all(ctx, args, false)
    }),
    variadic("mergeOverwrite", &[Dict], Dict, |ctx, args| {
        or_nothing(merge::all(ctx, args, true))
    }),
    variadic("mustMergeOverwrite", &[Dict], Dict, |ctx, args| {
        merge::all(ctx, args, true)
    }),
    variadic("dig", &[], Any, dig),
    fixed("deepCopy", &[Any], |ctx, args| {
        equal::copy(ctx, any(args, 0), 0)
    }),
    fixed("mustDeepCopy", &[Any], |ctx, args| {
        equal::copy(ctx, any(args, 0), 0)
    }),
];

/// An error becomes an empty text.
fn or_nothing(merged: Output) -> Output {
    match merged {
        Err(Failure::Error(_)) => Ok(Value::from("")),
        merged => merged,
    }
}

/// Pays for a new map of so many entries.
pub(super) fn pay(ctx: &mut dyn Context, entries: usize) -> Result<(), Failure> {
    ctx.step(entries)?;
    ctx.spend(
        entries
            .saturating_mul(ENTRY_BYTES)
            .saturating_add(MAP_BYTES),
    )
}

/// Pays for one more entry.
fn pay_entry(ctx: &mut dyn Context) -> Result<(), Failure> {
    ctx.step(1)?;
    ctx.spend(ENTRY_BYTES)
}

/// The map that was given, nil or not.
pub(super) fn given(args: &[Value]) -> Value {
    match args.first() {
        Some(Value::Map(map)) => Value::Map(map.clone()),
        _ => Value::Map(Map::nil(super::super::value::ElementType::Any)),
    }
}

fn dig(_: &mut dyn Context, args: &[Value]) -> Output {
    let [keys @ .., default, dict] = args else {
        return Err(panic("dig needs at least three arguments"));
    };
    if keys.is_empty() {
        return Err(panic("dig needs at least three arguments"));
    }
    let mut dict = as_dict(dict)?;
    let keys = keys
        .iter()
        .map(|key| match key {
            Value::String(key) => Ok(key),
            other => Err(not_of_type(other, "string")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let (last, path) = keys.split_last().expect("there is a key");
    for key in path {
        match dict.get(key) {
            None => return Ok(default.clone()),
            Some(value) => dict = as_dict(&value)?,
        }
    }
    Ok(dict.get(last).unwrap_or_else(|| default.clone()))
}

fn as_dict(value: &Value) -> Result<Map, Failure> {
    match value {
        Value::Map(map) if map.type_name() == "map[string]interface {}" => Ok(map.clone()),
        other => Err(not_of_type(other, "map[string]interface {}")),
    }
}

/// What Go's runtime says of a type assertion that fails.
fn not_of_type(value: &Value, wanted: &str) -> Failure {
    let found = match value {
        Value::Nil => "nil".into(),
        value => value.type_name(),
    };
    panic(format!(
        "interface conversion: interface {{}} is {found}, not {wanted}"
    ))
}

/// The variadic arguments that are maps.
pub(super) fn sources(args: &[Value]) -> impl Iterator<Item = Option<&Map>> {
    (1..=rest(args, 1).len()).map(|index| map(args, index))
}
