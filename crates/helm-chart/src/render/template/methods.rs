//! The methods of `chartutil.Values`, the type of `.Values`.

use super::quote::quote;
use crate::render::func::{Context, Failure, Method, Param};
use crate::render::value::{Map, Value};

/// The Go type of `.Values`, its subcharts' values and `.Template`.
pub const VALUES: &str = "chartutil.Values";

/// The method of that name, which goes before an entry of the same name.
pub(super) fn of_map(map: &Map, name: &str) -> Option<Method> {
    if map.0.named != Some(VALUES) {
        return None;
    }
    let params: &[Param] = match name {
        "AsMap" => &[],
        "Table" | "PathValue" => &[Param::String],
        _ => return None,
    };
    Some(Method::new(params))
}

pub(super) fn call_of_map(
    context: &mut dyn Context,
    map: &Map,
    name: &str,
    args: &[Value],
) -> Result<Value, Failure> {
    let path = match args.first() {
        Some(Value::String(path)) => path.clone(),
        _ => return Ok(Value::Map(map.clone())),
    };
    context.step(path.len())?;
    if name == "Table" {
        return table(map, &path).map(Value::Map);
    }
    if path.is_empty() {
        return Err(Failure::Error("YAML path cannot be empty".to_owned()));
    }
    let (found, key) = match path.rsplit_once('.') {
        Some((tables, key)) => (
            table(map, tables).ok().and_then(|table| table.get(key)),
            key,
        ),
        None => (map.get(&path), &*path),
    };
    match found {
        // A table is not a value.
        Some(Value::Map(_)) | None => {
            let key = quote(key);
            Err(Failure::Error(format!("{key} is not a value")))
        }
        Some(value) => Ok(value),
    }
}

/// The map at a path of keys.
fn table(map: &Map, path: &str) -> Result<Map, Failure> {
    path.split('.')
        .try_fold(map.clone(), |table, key| match table.get(key) {
            Some(Value::Map(map)) => Ok(map),
            _ => Err(Failure::Error(format!("{} is not a table", quote(key)))),
        })
}
