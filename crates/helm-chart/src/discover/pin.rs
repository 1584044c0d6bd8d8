//! Digests written into a chart's values, where renders prove that the chart makes correct references of them.
//!
//! A tag becomes `tag@sha256:…`, or the value for a digest beside it is set. Charts also make labels and names of tags:
//! a digest that ends up in one would make the object invalid, and is refused.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::renders::most;
use super::seen::{Seen, Spot};
use crate::chart::Chart;
use crate::render::Manifest;
use crate::render::release::{Options, Rendered, render};
use crate::set;
use crate::values::{Overrides, Path};
use crate::yaml::{self, Limits};

/// The longest value of a label.
const MAX_LABEL: usize = 63;
/// The longest name of an object.
const MAX_NAME: usize = 253;

/// A chart whose images are to be pinned.
pub struct Request<'a> {
    /// The chart.
    pub chart: &'a Chart,
    /// The values of each way in which it is installed.
    pub scenarios: &'a [Json],
    /// How it is rendered.
    pub options: &'a Options,
    /// The values that are laid over those of each scenario.
    pub published: &'a Map<String, Json>,
    /// The chart's own values as its templates see them; a path through a list takes the list along.
    pub values: &'a Json,
}

/// An image that is to be pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The reference that the chart renders now.
    pub reference: String,
    /// `sha256:…`
    pub digest: String,
    /// The value of its tag, from the top chart's values, and the tag.
    pub tag: Option<(Path, String)>,
    /// The value for a digest, which is empty.
    pub place: Option<Path>,
}

/// What was pinned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pinned {
    /// The published values with the digests.
    pub values: Map<String, Json>,
    /// The images, by their index, that stay as they are, and why.
    pub refused: Vec<(usize, String)>,
}

/// Writes digests where the chart takes them.
#[must_use]
pub fn pin(request: &Request<'_>, pins: &[Pin]) -> Pinned {
    let mut pinned = Pinned {
        values: request.published.clone(),
        refused: Vec::new(),
    };
    let mut bases = Vec::new();
    for scenario in request.scenarios {
        // Of a scenario that does not render nothing can be proved; others still count.
        if let Ok(base) = Base::new(request, scenario) {
            bases.push(base);
        }
    }
    let mut open = Vec::new();
    for (index, pin) in pins.iter().enumerate() {
        let is_used = bases.iter().any(|base| {
            base.seen
                .iter()
                .any(|(_, image)| image.reference == pin.reference)
        });
        let shared = pin.tag.as_ref().is_some_and(|(path, _)| {
            pins.iter().any(|other| {
                other.digest != pin.digest
                    && other.tag.as_ref().is_some_and(|(theirs, _)| theirs == path)
            })
        });
        if !is_used {
            let why = "no scenario that renders uses it";
            pinned.refused.push((index, why.to_owned()));
        } else if pin.place.is_none() && shared {
            let why = "its tag is the tag of another image too, which has another digest";
            pinned.refused.push((index, why.to_owned()));
        } else if pin.place.is_none() && pin.tag.is_none() {
            let why = "the chart has no value for its tag or its digest";
            pinned.refused.push((index, why.to_owned()));
        } else {
            open.push((index, shared));
        }
    }
    let all = |by: PinBy| -> Vec<usize> {
        let can = |(index, shared): &&(usize, bool)| match by {
            PinBy::Digest => pins[*index].place.is_some(),
            PinBy::Tag => pins[*index].tag.is_some() && !*shared,
        };
        open.iter().filter(can).map(|(index, _)| *index).collect()
    };
    let mut done: Vec<(usize, PinBy)> = Vec::new();
    let mut reasons: Vec<(usize, String)> = Vec::new();
    for by in [PinBy::Digest, PinBy::Tag] {
        let left: Vec<usize> = all(by)
            .into_iter()
            .filter(|index| done.iter().all(|(known, _)| known != index))
            .collect();
        let fixed = done.clone();
        let with = |on: &BTreeSet<usize>| {
            let more = on.iter().map(|index| (*index, by));
            fixed.iter().copied().chain(more).collect::<Vec<_>>()
        };
        let mut take = |on: &BTreeSet<usize>| try_all(request, &bases, pins, &with(on));
        let is_named = |index: usize, error: &str| {
            error.contains(&pins[index].digest) || error.contains(&pins[index].reference)
        };
        let (on, refused) = most(&left, &mut take, &is_named);
        done = with(&on);
        reasons.extend(
            refused
                .into_iter()
                .map(|refused| (refused.index, refused.error)),
        );
    }
    for (index, _) in open {
        if done.iter().any(|(known, _)| *known == index) {
            continue;
        }
        let reason = reasons.iter().rev().find(|(of, _)| *of == index);
        let reason = reason.map_or_else(
            || "its tag is the tag of another image too".to_owned(),
            |(_, reason)| reason.clone(),
        );
        pinned.refused.push((index, reason));
    }
    pinned.refused.sort();
    if let Ok(values) = written(request, pins, &done) {
        pinned.values = values;
    }
    pinned
}

/// Where a digest is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PinBy {
    Digest,
    Tag,
}

/// A scenario as it is without digests.
struct Base<'a> {
    scenario: &'a Json,
    seen: Seen,
    invalid: BTreeSet<String>,
}

impl<'a> Base<'a> {
    fn new(request: &Request<'_>, scenario: &'a Json) -> Result<Self, String> {
        let rendered = rendered(request, scenario, request.published)?;
        Ok(Self {
            scenario,
            invalid: invalid(&rendered),
            seen: Seen::new(rendered.images()),
        })
    }
}

fn rendered(
    request: &Request<'_>,
    scenario: &Json,
    published: &Map<String, Json>,
) -> Result<Rendered, String> {
    let mut values = scenario.as_object().cloned().unwrap_or_default();
    set::merge(&mut values, published.clone());
    render(request.chart, &Json::Object(values), request.options).map_err(|error| error.to_string())
}

/// The published values with some digests.
fn written(
    request: &Request<'_>,
    pins: &[Pin],
    chosen: &[(usize, PinBy)],
) -> Result<Map<String, Json>, String> {
    let mut overrides = Overrides::default();
    for (index, by) in chosen {
        let pin = &pins[*index];
        let (path, text) = match (by, &pin.place, &pin.tag) {
            (PinBy::Digest, Some(place), _) => (place, pin.digest.clone()),
            (PinBy::Tag, _, Some((path, tag))) => (path, format!("{tag}@{}", pin.digest)),
            _ => continue,
        };
        let conflict = overrides.write(path, text, request.values);
        conflict.map_err(|conflict| {
            format!(
                "{} at {} would need another digest too: {}",
                pin.digest, conflict.path, conflict.text
            )
        })?;
    }
    let mut values = request.published.clone();
    set::merge(&mut values, overrides.into_values());
    Ok(values)
}

/// Renders all scenarios with some digests: each reference must be the same one with its digest, and no label and no
/// name may become invalid.
fn try_all(
    request: &Request<'_>,
    bases: &[Base<'_>],
    pins: &[Pin],
    chosen: &[(usize, PinBy)],
) -> Result<(), String> {
    if chosen.is_empty() {
        return Ok(());
    }
    let published = written(request, pins, chosen)?;
    for base in bases {
        let rendered = rendered(request, base.scenario, &published)?;
        if let Some(text) = invalid(&rendered).difference(&base.invalid).next() {
            return Err(format!("a label or a name would become invalid: {text}"));
        }
        let seen = Seen::new(rendered.images());
        for (spot, image) in base.seen.iter() {
            let pin = chosen
                .iter()
                .map(|(index, _)| &pins[*index])
                .find(|pin| pin.reference == image.reference);
            check(base, &seen, (spot, &image.reference), pin)?;
        }
    }
    Ok(())
}

fn check(
    base: &Base<'_>,
    seen: &Seen,
    (spot, before): (&Spot, &str),
    pin: Option<&Pin>,
) -> Result<(), String> {
    let found = base.seen.found_in(seen, spot).unwrap_or_default();
    let Some(pin) = pin else {
        return if found == before {
            Ok(())
        } else {
            Err(format!("{before} would become `{found}`"))
        };
    };
    let name = before
        .rsplit_once(':')
        .filter(|(_, tag)| !tag.contains('/'))
        .map_or(before, |(name, _)| name);
    let is_pinned =
        found == format!("{before}@{}", pin.digest) || found == format!("{name}@{}", pin.digest);
    if is_pinned {
        return Ok(());
    }
    Err(format!(
        "{before} would become `{found}` and not have {}",
        pin.digest
    ))
}

/// The labels and names of all objects that Kubernetes refuses, and the images with two digests.
fn invalid(rendered: &Rendered) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let hooks = rendered.hooks.iter().map(|hook| &hook.manifest);
    for Manifest { content, .. } in rendered.manifests.iter().chain(hooks) {
        let root = yaml::first_document(content, &Limits::default());
        if let Ok(Some(root)) = root
            && let Ok(json) = root.to_helm_json()
        {
            walk(&json, "", &mut found);
        }
    }
    found
}

fn walk(value: &Json, key: &str, found: &mut BTreeSet<String>) {
    match value {
        Json::Object(map) => {
            let are_labels = matches!(key, "labels" | "matchLabels" | "selector" | "nodeSelector");
            for (inner, value) in map {
                let is_refused = value.as_str().is_some_and(|text| {
                    let is_name_of_object = key == "metadata" && inner == "name";
                    (are_labels && !is_label(text)) || (is_name_of_object && !is_name(text))
                });
                if is_refused {
                    found.insert(format!("{inner}: {}", value.as_str().unwrap_or_default()));
                } else {
                    walk(value, inner, found);
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| walk(item, key, found)),
        _ => {}
    }
}

/// A value of a label: up to 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_label(text: &str) -> bool {
    let is_end = |letter: Option<char>| letter.is_none_or(|letter| letter.is_ascii_alphanumeric());
    text.len() <= MAX_LABEL
        && is_end(text.chars().next())
        && is_end(text.chars().last())
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}

/// A name of an object. Those of roles may have a colon.
fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.chars().all(|letter| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.:".contains(letter)
        })
}
