//! Paths into a chart's values, and the overrides that are written along them. Pure.

pub mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

/// A path into values: keys and list indices between dots; `\.` is a dot within a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<String>);

impl FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = vec![String::new()];
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let last = parts.last_mut().expect("there is always a part");
            match letter {
                '.' => parts.push(String::new()),
                '\\' => match letters.next() {
                    Some(escaped @ ('.' | '\\')) => last.push(escaped),
                    other => {
                        last.push('\\');
                        last.extend(other);
                    }
                },
                letter => last.push(letter),
            }
        }
        if parts.iter().any(String::is_empty) {
            return Err(format!(
                "`{text}` is not a path of values: a part of it is empty"
            ));
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped: Vec<String> = self.0.iter().map(|part| escape(part)).collect();
        f.write_str(&escaped.join("."))
    }
}

fn escape(part: &str) -> String {
    part.replace('\\', "\\\\").replace('.', "\\.")
}

impl Path {
    /// A path of keys and indices, the outermost first.
    #[must_use]
    pub fn from_parts(parts: Vec<String>) -> Self {
        Self(parts)
    }

    /// The same path below some keys, as a subchart's values are below its name.
    #[must_use]
    pub fn below(&self, keys: &[String]) -> Self {
        Self(keys.iter().chain(&self.0).cloned().collect())
    }

    /// Keys and indices, the outermost first.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// What stands at the path; `None` when there is nothing, `Some(Null)` when there is a null.
    #[must_use]
    pub fn get<'v>(&self, values: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(values, |value, part| match value {
            Value::Object(map) => map.get(part),
            Value::Array(list) => list.get(part.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The same for what is to be changed.
    #[must_use]
    pub fn get_mut<'v>(&self, values: &'v mut Value) -> Option<&'v mut Value> {
        self.0.iter().try_fold(values, |value, part| match value {
            Value::Object(map) => map.get_mut(part),
            Value::Array(list) => list.get_mut(part.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The paths of all values that are neither mapping nor list nor null, in their order.
    #[must_use]
    pub fn leaves(values: &Value) -> Vec<Self> {
        fn walk(value: &Value, path: &mut Vec<String>, leaves: &mut Vec<Path>) {
            let mut visit = |key: String, value: &Value| {
                path.push(key);
                walk(value, path, leaves);
                path.pop();
            };
            match value {
                Value::Object(map) => map
                    .iter()
                    .for_each(|(key, value)| visit(key.clone(), value)),
                Value::Array(list) => list
                    .iter()
                    .enumerate()
                    .for_each(|(index, value)| visit(index.to_string(), value)),
                Value::Null => {}
                _ => leaves.push(Path(path.clone())),
            }
        }
        let mut leaves = Vec::new();
        walk(values, &mut Vec::new(), &mut leaves);
        leaves
    }

    /// The paths that exist in some values, inner ones included: as many as a person could mean. Paths
    /// that are very long are left out, and so are those after the first twenty thousand.
    #[must_use]
    pub fn all(values: &Value) -> Vec<String> {
        const LONGEST: usize = 256;
        const MOST: usize = 20_000;
        fn walk(value: &Value, path: &str, all: &mut Vec<String>) {
            let mut visit = |part: &str, value: &Value| {
                if all.len() == MOST || path.len() + part.len() > LONGEST {
                    return;
                }
                let path = if path.is_empty() {
                    part.to_owned()
                } else {
                    format!("{path}.{part}")
                };
                all.push(path.clone());
                walk(value, &path, all);
            };
            match value {
                Value::Object(map) => map
                    .iter()
                    .for_each(|(key, value)| visit(&escape(key), value)),
                Value::Array(list) => {
                    list.iter()
                        .enumerate()
                        .for_each(|(index, value)| visit(&index.to_string(), value));
                }
                _ => {}
            }
        }
        let mut all = Vec::new();
        walk(values, "", &mut all);
        all
    }
}

/// The values that make a chart use other images: only what differs from nothing.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    values: Map<String, Value>,
    written: BTreeMap<Path, Value>,
}

/// Two values are wanted at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The path that is already written.
    pub path: Path,
    /// What is written there: a text as it is, any other value as JSON.
    pub text: String,
}

impl Overrides {
    /// Writes a value at a path. `chart` are the chart's own values: a path that goes through a list
    /// takes the list along, because Helm and the EKS module know no override of a single element.
    ///
    /// # Errors
    /// When another value is already written there, or above or below it.
    pub fn write(
        &mut self,
        path: &Path,
        value: impl Into<Value>,
        chart: &Value,
    ) -> Result<(), Conflict> {
        let value = value.into();
        let clash = self.written.iter().find(|(other, written)| {
            let related = other.0.starts_with(&path.0) || path.0.starts_with(&other.0);
            related && !(*other == path && **written == value)
        });
        if let Some((other, written)) = clash {
            let text = written.as_str().map(str::to_owned);
            return Err(Conflict {
                path: other.clone(),
                text: text.unwrap_or_else(|| written.to_string()),
            });
        }
        let mut root = Value::Object(std::mem::take(&mut self.values));
        place(&mut root, Some(chart), &path.0, value.clone());
        if let Value::Object(values) = root {
            self.values = values;
        }
        self.written.insert(path.clone(), value);
        Ok(())
    }

    /// Writes all that a mapping holds, each value at its path; a mapping or list without content
    /// counts as a value, and so does a null. Gives the paths that cannot be written, with what stands
    /// in their way.
    pub fn write_all(&mut self, values: &Map<String, Value>) -> Vec<(Path, Conflict)> {
        let mut conflicts = Vec::new();
        self.write_below(&mut Vec::new(), values, &mut conflicts);
        conflicts
    }

    fn write_below(
        &mut self,
        keys: &mut Vec<String>,
        values: &Map<String, Value>,
        conflicts: &mut Vec<(Path, Conflict)>,
    ) {
        for (key, value) in values {
            keys.push(key.clone());
            match value {
                Value::Object(map) if !map.is_empty() => {
                    self.write_below(keys, map, conflicts);
                }
                value => {
                    let path = Path(keys.clone());
                    if let Err(conflict) = self.write(&path, value.clone(), &Value::Null) {
                        conflicts.push((path, conflict));
                    }
                }
            }
            keys.pop();
        }
    }

    /// The overrides as Helm values, so far.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.values.clone())
    }

    /// The overrides as Helm values.
    #[must_use]
    pub fn into_values(self) -> Map<String, Value> {
        self.values
    }
}

/// Writes a value at a path, and takes a list of `chart` along where the path goes through one.
pub(crate) fn place(target: &mut Value, chart: Option<&Value>, path: &[String], value: Value) {
    let Some((part, rest)) = path.split_first() else {
        *target = value;
        return;
    };
    if let (Value::Null, Some(Value::Array(list))) = (&target, chart) {
        *target = Value::Array(list.iter().map(without_nulls).collect());
    }
    if let Value::Array(list) = target {
        let index = part.parse::<usize>().unwrap_or(usize::MAX);
        if let Some(element) = list.get_mut(index) {
            let chart = chart.and_then(|chart| chart.get(index));
            place(element, chart, rest, value);
        }
        return;
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(map) = target {
        let below = map.entry(part.clone()).or_insert(Value::Null);
        place(below, chart.and_then(|chart| chart.get(part)), rest, value);
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::Array(list) => Value::Array(list.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(text: &str) -> Path {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_goes_through_maps_lists_and_dotted_keys() {
        let values = json!({"a": {"b.c": [{"tag": "x"}, null]}});
        assert_eq!(path(r"a.b\.c.0.tag").get(&values), Some(&json!("x")));
        assert_eq!(path(r"a.b\.c.1").get(&values), Some(&Value::Null));
        assert_eq!(path("a.b").get(&values), None);
        assert_eq!(path(r"a.b\.c").to_string(), r"a.b\.c");
        assert!(Path::all(&values).contains(&r"a.b\.c.0.tag".to_owned()));
        assert!("a..b".parse::<Path>().is_err());
    }

    #[test]
    fn an_override_through_a_list_takes_the_list_along() {
        let chart = json!({"list": [{"image": "a", "keep": 1, "none": null}, {"image": "b"}]});
        let mut overrides = Overrides::default();
        overrides.write(&path("list.0.image"), "x", &chart).unwrap();
        overrides.write(&path("other.deep"), "y", &chart).unwrap();
        let values = Value::Object(overrides.into_values());
        assert_eq!(
            values,
            json!({"list": [{"image": "x", "keep": 1}, {"image": "b"}], "other": {"deep": "y"}})
        );
    }

    #[test]
    fn two_texts_for_one_path_are_a_conflict() {
        let mut overrides = Overrides::default();
        let chart = json!({});
        overrides
            .write(&path("image.registry"), "a", &chart)
            .unwrap();
        overrides
            .write(&path("image.registry"), "a", &chart)
            .unwrap();
        assert!(
            overrides
                .write(&path("image.registry"), "b", &chart)
                .is_err()
        );
        assert!(overrides.write(&path("image"), "b", &chart).is_err());
        assert!(
            overrides
                .write(&path("image.registry.x"), "b", &chart)
                .is_err()
        );
    }

    #[test]
    fn values_of_any_type_are_written_as_they_are_beside_texts() {
        let mut overrides = Overrides::default();
        let chart = json!({"list": [{"image": "a"}], "image": {"tag": "1"}});
        overrides.write(&path("image.tag"), "2", &chart).unwrap();
        let values = json!({
            "image": {"tag": 2, "pull": true},
            "list": [{"image": "b"}],
            "none": null,
            "empty": {},
            "a.b": 1.5,
        });
        let conflicts = overrides.write_all(values.as_object().unwrap());
        let conflict = Conflict {
            path: path("image.tag"),
            text: "2".to_owned(),
        };
        assert_eq!(conflicts, [(path("image.tag"), conflict)]);
        let expected = json!({
            "image": {"tag": "2", "pull": true},
            "list": [{"image": "b"}],
            "none": null,
            "empty": {},
            "a.b": 1.5,
        });
        assert_eq!(overrides.to_json(), expected);
    }

    #[test]
    fn the_paths_of_hostile_values_stay_few_and_short() {
        let wide: Value = (0..50_000).map(|n| (n.to_string(), json!(1))).collect();
        let below_a_long_key = json!({"k".repeat(1_000_000): wide, "a": {"b": 1}});
        assert_eq!(Path::all(&below_a_long_key), ["a", "a.b"]);
        assert_eq!(Path::all(&wide).len(), 20_000);
    }
}
