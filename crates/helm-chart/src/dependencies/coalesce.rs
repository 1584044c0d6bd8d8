//! Values laid over values, as Helm 3.22 coalesces them (`pkg/chartutil/coalesce.go`): mappings merge,
//! of anything else the higher one wins, and a null takes away.

use std::collections::BTreeSet;

use super::Processed;
use crate::values::table::{Entry, Table, TooMuch, Work};

/// The key of the values that all subcharts see.
pub const GLOBAL: &str = "global";

/// Why a chart's values cannot be coalesced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A subchart's values are no mapping. The text is Helm's.
    #[error("type mismatch on {subchart}: {value}")]
    NoTable {
        /// The key of the subchart.
        subchart: String,
        /// Go's `%t` of what stands there.
        value: String,
    },
    /// They cost too much.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
}

/// What becomes of nulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// They take away what is below them, and go.
    Remove,
    /// They stay, because the values are coalesced once more later.
    Keep,
}

/// Lays values over those of a chart and its subcharts.
pub(crate) struct Coalescer<'w> {
    pub(crate) nulls: Nulls,
    pub(crate) work: &'w mut Work,
    /// What Helm logs, in its words.
    pub(crate) warnings: &'w mut Vec<String>,
}

impl Coalescer<'_> {
    /// The values of a chart and its subcharts under those of the user, which are not changed.
    pub(crate) fn chart(&mut self, chart: &Processed<'_>, user: &Table) -> Result<Table, Error> {
        let values = user.copy(self.work)?;
        self.level(chart, &values, "")?;
        Ok(values)
    }

    fn level(&mut self, chart: &Processed<'_>, values: &Table, prefix: &str) -> Result<(), Error> {
        self.own_values(chart, values, prefix)?;
        let prefix = join(prefix, &chart.name);
        for subchart in &chart.subcharts {
            let key = &*subchart.name;
            let below = match values.get(key) {
                Some(Entry::Table(below)) => below,
                Some(Entry::Leaf(value)) => {
                    return Err(Error::NoTable {
                        subchart: key.to_owned(),
                        value: go_percent_t(&value),
                    });
                }
                None => {
                    let below = Table::default();
                    values.insert(key, Entry::Table(below.clone()));
                    below
                }
            };
            self.globals(&below, values, &prefix)?;
            self.level(subchart, &below, &prefix)?;
        }
        Ok(())
    }

    /// A chart's own values under those that are there.
    fn own_values(
        &mut self,
        chart: &Processed<'_>,
        values: &Table,
        prefix: &str,
    ) -> Result<(), TooMuch> {
        let prefix = join(prefix, &chart.name);
        let own = chart.values.copy(self.work)?;
        for (key, default) in own.entries(self.work)? {
            match values.get(&key) {
                None => values.set(key, default),
                Some(value) if value.is_null() && self.nulls == Nulls::Remove => {
                    values.remove(&key);
                }
                Some(Entry::Table(value)) => match default {
                    Entry::Table(default) => {
                        let is_subchart = chart
                            .subcharts
                            .iter()
                            .any(|subchart| *subchart.name == *key);
                        // Its values are coalesced later, and need the nulls.
                        let nulls = if is_subchart { Nulls::Keep } else { self.nulls };
                        self.tables(&value, &default, &join(&prefix, &key), nulls)?;
                    }
                    default if default.is_null() => {}
                    Entry::Leaf(_) => self.warn(format!(
                        "warning: skipped value for {prefix}.{key}: Not a table."
                    )),
                },
                Some(Entry::Leaf(_)) => {}
            }
        }
        Ok(())
    }

    /// The globals of a chart, over those of its subchart.
    fn globals(&mut self, into: &Table, from: &Table, prefix: &str) -> Result<(), TooMuch> {
        let table = |side: &Table| match side.get(GLOBAL) {
            None => Some(Table::default()),
            Some(entry) => entry.table().cloned(),
        };
        let Some(globals) = table(into) else {
            let what =
                format!("warning: skipping globals because destination {GLOBAL} is not a table.");
            self.warn(what);
            return Ok(());
        };
        let Some(above) = table(from) else {
            let what = format!("warning: skipping globals because source {GLOBAL} is not a table.");
            self.warn(what);
            return Ok(());
        };
        for (key, value) in above.entries(self.work)? {
            match (value, globals.get(&key)) {
                (Entry::Table(value), None) => {
                    globals.set(key, Entry::Table(value.shallow(self.work)?));
                }
                (Entry::Table(value), Some(Entry::Table(below))) => {
                    let merged = value.shallow(self.work)?;
                    self.tables(&merged, &below, &join(prefix, &key), Nulls::Keep)?;
                    globals.set(key, Entry::Table(merged));
                }
                (Entry::Table(_), Some(Entry::Leaf(_))) => self.warn(format!(
                    "Conflict: cannot merge map onto non-map for {key:?}. Skipping."
                )),
                (Entry::Leaf(_), Some(Entry::Table(_))) => {
                    self.warn(format!("key {key} is table. Skipping"));
                }
                (value @ Entry::Leaf(_), _) => globals.set(key, value),
            }
        }
        into.insert(GLOBAL, Entry::Table(globals));
        Ok(())
    }

    /// One table over another (helm: `coalesceTablesFullKey`).
    pub(crate) fn tables(
        &mut self,
        over: &Table,
        under: &Table,
        prefix: &str,
        nulls: Nulls,
    ) -> Result<(), TooMuch> {
        if over.is(under) {
            return Ok(());
        }
        let entries = under.entries(self.work)?;
        let not_null: BTreeSet<_> = entries
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, _)| key.clone())
            .collect();
        let nulled: Vec<_> = over.entries(self.work)?;
        for (key, value) in nulled.into_iter().filter(|(_, value)| value.is_null()) {
            under.set(key, value);
        }
        for (key, value) in under.entries(self.work)? {
            match (over.get(&key), value) {
                (Some(kept), _)
                    if kept.is_null() && nulls == Nulls::Remove && not_null.contains(&key) =>
                {
                    over.remove(&key);
                }
                (None, value) => over.set(key, value),
                (Some(Entry::Table(over)), Entry::Table(under)) => {
                    self.tables(&over, &under, &join(prefix, &key), nulls)?;
                }
                (Some(Entry::Leaf(_)), Entry::Table(_)) => self.warn(format!(
                    "warning: cannot overwrite table with non table for {}",
                    join(prefix, &key)
                )),
                (Some(Entry::Table(_)), value) if !value.is_null() => self.warn(format!(
                    "warning: destination for {} is a table. Ignoring non-table value",
                    join(prefix, &key)
                )),
                (Some(_), Entry::Leaf(_)) => {}
            }
        }
        Ok(())
    }

    fn warn(&mut self, what: String) {
        const MOST: usize = 100;
        if self.warnings.len() < MOST {
            self.warnings.push(what);
        }
    }
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.to_owned()
    } else {
        format!("{prefix}.{key}")
    }
}

/// `fmt.Sprintf("%t", value)`, which Helm uses here for values of any type.
fn go_percent_t(value: &serde_json::Value) -> String {
    if value.is_null() {
        "%!t(<nil>)".to_owned()
    } else {
        inner_percent_t(value)
    }
}

/// The same of a value within another.
fn inner_percent_t(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(_) => format!(
            "%!t(float64={})",
            crate::yaml::template_text(value).unwrap_or_default()
        ),
        Value::String(text) => format!("%!t(string={text})"),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inner_percent_t).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let items: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("%!t(string={key}):{}", inner_percent_t(value)))
                .collect();
            format!("map[{}]", items.join(" "))
        }
    }
}
