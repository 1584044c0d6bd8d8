//! Which published values change nothing.
//!
//! All of them are changed at once, each to a text that says which one it is. What of these texts stands in
//! no manifest is changed alone, and has no effect where the render stays the same. What is left may be for a part
//! of the chart that is off: it is tried with the chart's switches on.

use serde_json::{Number, Value};

use helm_chart::chart::Chart;
use helm_chart::dependencies::{Enabled, settle};
use helm_chart::render::release::{self, Rendered};
use helm_chart::render::switches;
use helm_chart::values::Path;
use helm_chart::values::table::Work;

use super::Values;
use super::render::over;

/// The most values that are changed alone; the largest public charts need some twenty.
const MAX_SINGLE: usize = 64;

/// A chart, and the values that are published for it.
#[derive(Clone, Copy)]
pub(super) struct Effects<'a> {
    pub(super) chart: &'a Chart,
    pub(super) options: &'a release::Options,
    pub(super) published: &'a Values,
}

/// The values of a scenario, and its render with the published values.
pub(super) type Scene = (Values, Rendered);

impl Effects<'_> {
    /// The published values that change nothing in any scenario, in their order.
    pub(super) fn missing_in(&self, scenes: &[Scene]) -> Vec<Path> {
        let root = Value::Object(self.published.clone());
        let mut leaves = Path::leaves(&root);
        let is_listed = |leaf: &Path| leaf.segments().any(|key| key.parse::<usize>().is_ok());
        if leaves.iter().any(is_listed) {
            // A list is published as a whole: what is as the chart has it was not set.
            let own = self.own_values();
            leaves.retain(|leaf| !is_listed(leaf) || leaf.get(&own) != leaf.get(&root));
        }
        self.missing(leaves, &root, scenes)
    }

    /// The chart's own values, those of its subcharts among them.
    fn own_values(&self) -> Value {
        let none = Value::Object(Values::new());
        let settled = settle(self.chart, &none, Enabled::All);
        let values = settled.map(|settled| settled.values.to_json(&mut Work::default()));
        values.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Those of some published values that change nothing with the switches of the chart on either.
    pub(super) fn missing_with_switches(&self, paths: Vec<Path>, scenario: &Values) -> Vec<Path> {
        let root = Value::Object(self.published.clone());
        let found = switches::sets(self.chart, &over(scenario, self.published), self.options);
        let found = found.unwrap_or_default();
        let others = found.sets.iter().filter(|on| **on != found.largest);
        let scenario = Value::Object(scenario.clone());
        let sets = std::iter::once(&found.largest).chain(others);
        sets.fold(paths, |paths, on| {
            let values = switches::switched_on(&scenario, on);
            let values = values.as_object().cloned().unwrap_or_default();
            match self.with(&values, &root) {
                Some(rendered) if !paths.is_empty() => {
                    self.missing(paths, &root, &[(values, rendered)])
                }
                _ => paths,
            }
        })
    }

    /// Those of some paths that change nothing in any scene.
    fn missing(&self, mut unseen: Vec<Path>, root: &Value, scenes: &[Scene]) -> Vec<Path> {
        let texts: Vec<(Path, Value)> = unseen
            .iter()
            .enumerate()
            .filter(|(_, leaf)| leaf.get(root).is_some_and(is_text))
            .map(|(index, leaf)| (leaf.clone(), changed(root, leaf, index)))
            .collect();
        let mut marked = root.clone();
        for (leaf, value) in &texts {
            set(&mut marked, leaf, value.clone());
        }
        for (values, _) in scenes {
            let Some(rendered) = self.with(values, &marked) else {
                continue;
            };
            let seen = |value: &Value| {
                let mark = value.as_str().map(mark_of).unwrap_or_default();
                let manifests = rendered.manifests.iter();
                let hooks = rendered.hooks.iter().map(|hook| &hook.manifest);
                manifests
                    .chain(hooks)
                    .any(|manifest| manifest.content.contains(mark))
            };
            let seen: Vec<&Path> = texts
                .iter()
                .filter(|(_, value)| seen(value))
                .map(|(leaf, _)| leaf)
                .collect();
            unseen.retain(|leaf| !seen.contains(&leaf));
        }
        unseen.truncate(MAX_SINGLE);
        let has_effect = |leaf: &Path| {
            let mut other = root.clone();
            set(&mut other, leaf, changed(root, leaf, 0));
            scenes.iter().any(|(values, base)| {
                let rendered = self.with(values, &other);
                rendered.is_none_or(|rendered| {
                    rendered.manifests != base.manifests || rendered.hooks != base.hooks
                })
            })
        };
        unseen.retain(|leaf| !has_effect(leaf));
        unseen
    }

    fn with(&self, scenario: &Values, published: &Value) -> Option<Rendered> {
        let values = over(scenario, published.as_object()?);
        release::render(self.chart, &values, self.options).ok()
    }
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// Another value of the same type; a text holds which one it is, and stays a reference, a tag or a digest
/// where it was one.
fn changed(root: &Value, leaf: &Path, index: usize) -> Value {
    match leaf.get(root) {
        Some(Value::Bool(flag)) => Value::Bool(!flag),
        Some(Value::Number(number)) => {
            let next = number.as_f64().unwrap_or_default() + 1.0;
            Number::from_f64(next).map_or(Value::Null, Value::Number)
        }
        Some(Value::String(text)) => {
            let key = leaf.segments().last().unwrap_or_default().to_lowercase();
            let is_digest = key.contains("digest") || key.contains("sha");
            let empty = text.is_empty() && is_digest;
            Value::String(other_text(if empty { "sha256:" } else { text }, index))
        }
        _ => Value::Null,
    }
}

/// Another text that says which one it is; of a digest another one.
pub(super) fn other_text(text: &str, index: usize) -> String {
    match text.split_once("sha256:") {
        Some((front, _)) => format!("{front}sha256:{}{index:016x}", "e".repeat(48)),
        None => format!("{text}-zz{index}q"),
    }
}

/// Puts a value where a leaf is.
fn set(root: &mut Value, leaf: &Path, value: Value) {
    if let Some(found) = leaf.get_mut(root) {
        *found = value;
    }
}

/// What of a changed text shows where it came from.
fn mark_of(text: &str) -> &str {
    match (text.rfind("sha256:"), text.rfind("-zz")) {
        (_, Some(at)) => &text[at..],
        (Some(at), None) => &text[at + "sha256:".len()..],
        (None, None) => text,
    }
}
