//! Which values of a chart set an image.
//!
//! Values that hold the reference or a part of it are changed, one at a time; one sets the image where the
//! chart then names another one.

use serde_json::Value;

use helm_chart::chart::Chart;
use helm_chart::dependencies::{Enabled, settle};
use helm_chart::render::{release, together};
use helm_chart::values::Path;
use helm_chart::values::table::Work;

use oci_copy::reference::{DOCKER_HUB, ImageName};

use super::effect::other_text;
use super::proof::{Install, Reference};
use super::render::over;
use super::{Coverage, Values};

/// The most values that are tried for one reference.
const MAX_TRIES: usize = 8;

/// The paths of values that set a reference of a proof.
pub(super) fn of(
    chart: &Chart,
    scenarios: &[Install],
    reference: &Reference,
    published: &Values,
    options: &release::Options,
    coverage: &Coverage,
) -> Vec<String> {
    let named = reference.uses.first().and_then(|one| one.scenarios.first());
    let Some(scenario) = scenarios.iter().find(|one| Some(&one.name) == named) else {
        return Vec::new();
    };
    let values = over(&scenario.values, published);
    let rendered = coverage.inward(&reference.image);
    let paths = together(|| paths(chart, &values, options, &rendered));
    paths.iter().map(ToString::to_string).collect()
}

/// The paths of values that set a reference, in their order; none where no value does. `values` are those of
/// the scenario, the published ones included.
fn paths(chart: &Chart, values: &Value, options: &release::Options, reference: &str) -> Vec<Path> {
    let Ok(name) = reference.parse::<ImageName>() else {
        return Vec::new();
    };
    let settled = settle(chart, values, Enabled::AsHelm).ok();
    let effective = settled.and_then(|settled| settled.values.to_json(&mut Work::default()).ok());
    let Some(effective) = effective else {
        return Vec::new();
    };
    let leaves = Path::leaves(&effective);
    let uses = |values: &Value| -> Option<usize> {
        let images = release::render(chart, values, options).ok()?.images();
        let same = images.iter().filter(|image| image.reference == reference);
        Some(same.count())
    };
    let Some(before) = uses(values) else {
        return Vec::new();
    };
    let mut tries = MAX_TRIES;
    let mut found: Vec<Path> = Vec::new();
    for texts in forms_of(&name) {
        let holds = |leaf: &&Path| {
            let text = leaf.get(&effective).and_then(Value::as_str);
            text.is_some_and(|text| texts.iter().any(|part| part == text.trim_end_matches('/')))
        };
        for leaf in leaves.iter().filter(holds) {
            if tries == 0 {
                return found;
            }
            tries -= 1;
            let text = leaf
                .get(&effective)
                .and_then(Value::as_str)
                .unwrap_or_default();
            let mut changed = values.clone();
            put(&mut changed, &effective, leaf, &other_text(text, 0));
            if uses(&changed).is_some_and(|after| after < before) {
                found.push(leaf.clone());
            }
        }
        // A whole name needs no other part.
        if !found.is_empty() && texts.contains(&name.to_string()) {
            break;
        }
    }
    found.sort_by_key(|path| leaves.iter().position(|leaf| leaf == path));
    found.dedup();
    found
}

/// What values can hold of a name: the whole, its digest, the repository, the registry.
fn forms_of(name: &ImageName) -> [Vec<String>; 4] {
    let bare = ImageName {
        tag: None,
        digest: None,
        ..name.clone()
    };
    let untagged = ImageName {
        digest: None,
        ..name.clone()
    };
    let last = name.repository.rsplit('/').next().unwrap_or_default();
    let registry = name.registry.as_deref().unwrap_or(DOCKER_HUB);
    let below = name
        .repository
        .rsplit_once('/')
        .map(|(namespace, _)| format!("{registry}/{namespace}"));
    let mut registries = vec![registry.to_owned()];
    registries.extend(below);
    let mut repositories = vec![bare.to_string(), name.repository.clone()];
    if last != name.repository {
        repositories.push(last.to_owned());
    }
    [
        vec![name.to_string(), untagged.to_string()]
            .into_iter()
            .filter(|text| text.contains([':', '@']))
            .collect(),
        name.digest.iter().map(ToString::to_string).collect(),
        repositories,
        registries,
    ]
}

/// Writes a text at a path that the chart's values have.
fn put(values: &mut Value, effective: &Value, path: &Path, text: &str) {
    let parts: Vec<&str> = path.segments().collect();
    write(values, Some(effective), &parts, text);
}

fn write(target: &mut Value, effective: Option<&Value>, path: &[&str], text: &str) {
    let Some((part, rest)) = path.split_first() else {
        *target = Value::String(text.to_owned());
        return;
    };
    // A list is replaced as a whole.
    if let Some(Value::Array(list)) = effective {
        if !target.is_array() {
            *target = Value::Array(list.clone());
        }
        let index = part.parse::<usize>().unwrap_or(usize::MAX);
        if let Some(item) = target.get_mut(index) {
            write(item, list.get(index), rest, text);
        }
        return;
    }
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(map) = target {
        let below = map.entry((*part).to_owned()).or_insert(Value::Null);
        write(
            below,
            effective.and_then(|value| value.get(part)),
            rest,
            text,
        );
    }
}
