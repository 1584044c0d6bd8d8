//! TOML: integers are `int64`, tables of tables are lists of maps.

use std::rc::Rc;

use toml::de::{DeTable, DeValue};

use super::super::func::{Context, Failure};
use super::super::value::{ElementType, List, Map, Value};
use super::args::pay;
use super::{dates, dicts, number};

/// Helm's `fromToml`: a map, in which `Error` tells what is wrong with the text.
pub(super) fn from_toml(ctx: &mut dyn Context, text: &str) -> Result<Value, Failure> {
    ctx.step(text.len())?;
    ctx.spend(text.len())?;
    match DeTable::parse(text) {
        Ok(root) => table(ctx, root.get_ref()),
        Err(problem) => {
            let before = problem.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            let problem = format!("toml: line {line}: {}", problem.message());
            Ok(Value::Map(
                [("Error", problem.into())].into_iter().collect(),
            ))
        }
    }
}

fn table(ctx: &mut dyn Context, table: &DeTable<'_>) -> Result<Value, Failure> {
    dicts::pay(ctx, table.len())?;
    let map = Map::new();
    for (key, value) in table {
        map.insert(key.get_ref().as_ref(), element(ctx, value.get_ref())?);
    }
    Ok(Value::Map(map))
}

fn element(ctx: &mut dyn Context, value: &DeValue<'_>) -> Result<Value, Failure> {
    Ok(match value {
        DeValue::String(text) => {
            ctx.spend(text.len())?;
            Value::from(text.as_ref())
        }
        DeValue::Integer(integer) => {
            let parsed = number::parse_int(integer.as_str(), integer.radix());
            Value::int64(parsed.unwrap_or(0))
        }
        DeValue::Float(float) => match float.as_str() {
            "inf" | "+inf" => f64::INFINITY.into(),
            "-inf" => f64::NEG_INFINITY.into(),
            "nan" | "+nan" | "-nan" => f64::NAN.into(),
            digits => digits.parse().unwrap_or(0.0).into(),
        },
        DeValue::Boolean(truth) => (*truth).into(),
        DeValue::Datetime(datetime) => dates::from_toml(&datetime.to_string()),
        DeValue::Array(items) => {
            pay(ctx, items.len())?;
            let all_tables =
                !items.is_empty() && items.iter().all(|item| item.get_ref().is_table());
            let items = items.iter().map(|item| element(ctx, item.get_ref()));
            let items = items.collect::<Result<Vec<_>, _>>()?;
            let elements = if all_tables {
                ElementType::Map
            } else {
                ElementType::Any
            };
            Value::List(Rc::new(List::new(elements, items)))
        }
        DeValue::Table(inner) => table(ctx, inner)?,
    })
}
