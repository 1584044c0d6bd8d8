//! Lists as flags, manifests and Seed-Farmer write them.

use serde_json::{Map, Value};

/// The entries of a list: the JSON that Seed-Farmer makes of a YAML list, or a text with commas or line ends
/// between the entries. A JSON map is a list of `key=value`.
///
/// # Errors
/// When it looks like JSON but is not, holds something other than texts and numbers, or is empty.
pub(super) fn entries(text: &str) -> Result<Vec<String>, String> {
    let text = text.trim();
    let entries: Vec<String> = if text.starts_with('[') {
        let list: Vec<Value> = json(text)?;
        list.iter().map(scalar).collect::<Result<_, _>>()?
    } else if text.starts_with('{') {
        let map: Map<String, Value> = json(text)?;
        map.iter()
            .map(|(key, value)| Ok(format!("{key}={}", scalar(value)?)))
            .collect::<Result<_, String>>()?
    } else {
        text.split([',', '\n']).map(str::to_owned).collect()
    };
    let entries: Vec<String> = entries
        .iter()
        .map(|entry| entry.trim().to_owned())
        .filter(|entry| !entry.is_empty())
        .collect();
    if entries.is_empty() {
        return Err(format!(
            "`{text}` is an empty list; leave it out if that is meant"
        ));
    }
    Ok(entries)
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("`{text}` is not JSON: {error}"))
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!(
            "`{other}` is not a text: write each entry as one text"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_in_every_form_a_manifest_gives() {
        for text in [
            "a=1,b=2",
            " a=1 ,\n b=2,",
            r#"["a=1", "b=2"]"#,
            r#"{"a": "1", "b": 2}"#,
        ] {
            assert_eq!(entries(text).unwrap(), ["a=1", "b=2"], "{text}");
        }
        for text in [
            "",
            ",",
            "[]",
            "{}",
            "[\"a=1\"",
            "[[\"a\"]]",
            "[null]",
            "{\"a\": {}}",
            "[true]",
        ] {
            assert!(entries(text).is_err(), "{text}");
        }
    }
}
