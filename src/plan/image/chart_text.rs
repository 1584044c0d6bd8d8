//! Texts of a chart: of its values, and of Chart.yaml.

use serde_json::Value;

use crate::inventory::Part;
use crate::problem::{Problem, did_you_mean};
use helm_chart::values::Path;
use helm_chart::yaml::template_text;

use super::{AlreadyReported, OverridePath, Planner};

impl Planner<'_> {
    /// A text of the values with the place of its override; no text for what Helm's `default` takes
    /// as empty.
    pub(super) fn value(
        &mut self,
        part: &Part,
        path: &Path,
        subchart: Option<&str>,
        field: &str,
    ) -> Result<(Option<String>, OverridePath), AlreadyReported> {
        let seen = self.side(subchart)?;
        let place = seen.place(path);
        let found = match path.get(&seen.values) {
            None if seen.is_taken_away(path) => Some(&Value::Null),
            found => found,
        };
        let chart = self.context.text();
        let (what, remedy) = match found {
            // An override needs no value to be there.
            None | Some(Value::Null) if part.replacement.is_some() => return Ok((None, place)),
            Some(empty)
                if field == "registry"
                    && part.replacement.is_none()
                    && is_empty(empty)
                    && let Some(global) = global_registry(&seen.values) =>
            {
                (
                    format!(
                        "{chart} has {empty} at `{path}`, and so takes the registry from elsewhere, such as `{global}`; an override of the repository would be put behind that"
                    ),
                    Some(format!(
                        "give the path of the registry that it uses, such as `{global}`"
                    )),
                )
            }
            None => {
                let below = subchart
                    .map(|name| format!(" of its subchart {name}"))
                    .unwrap_or_default();
                let all = Path::all(&seen.values);
                let near = did_you_mean(&path.to_string(), all.iter().map(String::as_str));
                (
                    format!("{chart} has no value `{path}`{below} for the {field}"),
                    near,
                )
            }
            Some(collection @ (Value::Object(_) | Value::Array(_))) if !is_empty(collection) => {
                let kind = if collection.is_object() {
                    "a mapping"
                } else {
                    "a list"
                };
                let below = Path::all(collection);
                let below: Vec<String> = below
                    .iter()
                    .take(8)
                    .map(|inner| format!("{path}.{inner}"))
                    .collect();
                let remedy = (!below.is_empty()).then(|| format!("below it: {}", below.join(", ")));
                (
                    format!("{chart} has {kind} at `{path}`, a text is needed for the {field}"),
                    remedy,
                )
            }
            Some(scalar) => {
                let text = template_text(scalar).filter(|_| !is_empty(scalar));
                let text = text.map(|text| text.trim().to_owned());
                return Ok((text.filter(|text| !text.is_empty()), place));
            }
        };
        let problem = Problem::input(part.place.as_str(), what);
        self.problems.push(match remedy {
            Some(remedy) => problem.remedy(remedy),
            None => problem,
        });
        Err(AlreadyReported)
    }

    /// A text of Chart.yaml.
    pub(super) fn metadata(
        &mut self,
        part: &Part,
        path: &Path,
        subchart: Option<&str>,
        field: &str,
    ) -> Result<String, AlreadyReported> {
        let text = path
            .get(&self.side(subchart)?.metadata)
            .and_then(template_text)
            .filter(|text| !text.is_empty());
        text.ok_or_else(|| {
            self.report(part, &format!("Chart.yaml has no `{path}` for the {field}"))
        })
    }
}

/// What Helm's `default` and Sprig's `empty` take as empty.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// The global registry that a chart probably uses where its own is null.
fn global_registry(values: &Value) -> Option<String> {
    Path::all(values.get("global")?)
        .into_iter()
        .find_map(|path| {
            let last = path.rsplit('.').next().unwrap_or(&path).to_lowercase();
            let value = path.parse::<Path>().ok()?.get(values.get("global")?)?;
            let is_set = value.as_str().is_some_and(|text| !text.trim().is_empty());
            (is_set && last.contains("registry")).then(|| format!("global.{path}"))
        })
}
