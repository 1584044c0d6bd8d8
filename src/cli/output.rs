//! The forms in which a command prints its result.

use anyhow::anyhow;
use console::Term;
use serde::Serialize;
use serde_json::Value as Json;

use helm_chart::render::format::{self, Limits};
use helm_chart::render::value::{Str, Value};

use crate::printable::escaped_json;
use crate::settings::Environment;

/// The width of a table where nothing says how wide it can be.
const WIDTH: usize = 80;

/// The smallest width that a table is made for.
const LEAST_WIDTH: usize = 40;

/// The form of a command's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table that fits the terminal
    #[value(alias = "text")]
    Table,
    /// The table with all columns and whole names
    Wide,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// In which form a command prints its result.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Output {
    /// The form: table (fits the terminal, or COLUMNS, or else 80 columns), wide (whole names), json or yaml
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORM",
        hide_possible_values = true,
        help_heading = "Output",
        default_value = "table",
        hide_default_value = true
    )]
    output: Format,
}

impl Output {
    /// JSON if that is wanted by another flag.
    pub(super) fn or_json(self, is_json: bool) -> Self {
        if is_json {
            let output = Format::Json;
            Self { output }
        } else {
            self
        }
    }

    /// The document in this form; `table` makes a table of a width, or of any. What a registry says is escaped.
    pub(super) fn text(
        self,
        environment: &Environment,
        document: &impl Serialize,
        table: impl FnOnce(Option<usize>) -> String,
    ) -> anyhow::Result<String> {
        Ok(match self.output {
            Format::Table => table(Some(width(environment))),
            Format::Wide => table(None),
            Format::Json => escaped_json(&json(document)?),
            Format::Yaml => yaml(document)?,
        })
    }
}

/// The width of tables on standard output: `COLUMNS`, or else the terminal's width, or else 80.
fn width(environment: &Environment) -> usize {
    let terminal = Term::stdout().size_checked();
    let terminal = terminal.map(|(_, columns)| usize::from(columns));
    let width = environment.columns.or(terminal).unwrap_or(WIDTH);
    width.max(LEAST_WIDTH)
}

/// A document as JSON.
fn json(document: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}

/// A document as YAML.
fn yaml(document: &impl Serialize) -> anyhow::Result<String> {
    let value = value(&serde_json::to_value(document)?);
    let text = format::to_yaml(&value, &Limits::default());
    Ok(text.map_err(|error| anyhow!("cannot write YAML: {error:?}"))? + "\n")
}

/// A value whose whole numbers stay whole: as a chart's values, they would be floats.
fn value(json: &Json) -> Value {
    match json {
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::int(whole),
            None => format::from_json_value(json),
        },
        Json::Array(items) => Value::list(items.iter().map(value).collect()),
        Json::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, entry)| (Str::from(key.as_str()), value(entry)));
            Value::Map(entries.collect())
        }
        Json::Null | Json::Bool(_) | Json::String(_) => format::from_json_value(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_numbers_stay_whole_and_texts_stay_texts() {
        let text = yaml(&json!({"bytes": 5_242_880, "tag": "1.10", "rate": 0.5, "none": null}));
        assert_eq!(
            text.unwrap(),
            "bytes: 5242880\nnone: null\nrate: 0.5\ntag: \"1.10\"\n"
        );
    }
}
