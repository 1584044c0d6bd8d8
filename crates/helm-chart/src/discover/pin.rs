//! Digests written into a chart's values, where renders prove that the chart makes correct references of them.
//!
//! Every value that could take a digest gets a marker of its own, and the rendered references say which of them
//! it reaches. Then the real digests are written: an empty value for a digest is preferred, else the tag becomes
//! `tag@sha256:…`. Charts also make labels and names of tags: a digest that would make one invalid, or that would
//! reach another text, is refused.

mod handles;
mod objects;

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use self::handles::{Handle, Handles};
use self::objects::Objects;
use super::renders::most;
use super::seen::{Seen, Spot};
use crate::chart::Chart;
use crate::dependencies::{Enabled, settle};
use crate::render::release::{Options, Rendered, render};
use crate::render::together;
use crate::set;
use crate::values::table::Work;
use crate::values::{Overrides, Path};

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
}

/// An image that is to be pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The reference that the chart renders now, without a digest.
    pub reference: String,
    /// `sha256:…`
    pub digest: String,
}

/// What was pinned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pinned {
    /// The values to lay over the published ones.
    pub values: Map<String, Json>,
    /// The images, by their index, that stay as they are, and why; in their order.
    pub refused: Vec<(usize, String)>,
}

/// Writes digests where the chart takes them.
#[must_use]
pub fn pin(request: &Request<'_>, pins: &[Pin]) -> Pinned {
    together(|| pinned(request, pins))
}

fn pinned(request: &Request<'_>, pins: &[Pin]) -> Pinned {
    let Some(values) = settled(request) else {
        return none(pins, "the chart's values cannot be read");
    };
    let mut bases = Vec::new();
    for scenario in request.scenarios {
        // Of a scenario that does not render nothing can be proved; others still count.
        if let Ok(base) = Base::new(request, scenario) {
            bases.push(base);
        }
    }
    if bases.is_empty() {
        return none(pins, "the chart does not render");
    }
    let pinner = Pinner {
        handles: handles::find(request, &values, &bases, pins),
        request,
        values,
        bases,
        pins,
    };
    pinner.run()
}

fn none(pins: &[Pin], why: &str) -> Pinned {
    let refused = pins.iter().enumerate();
    Pinned {
        values: Map::new(),
        refused: refused.map(|(index, _)| (index, why.to_owned())).collect(),
    }
}

/// What templates see with the published values.
fn settled(request: &Request<'_>) -> Option<Json> {
    let published = Json::Object(request.published.clone());
    let settled = settle(request.chart, &published, Enabled::All).ok()?;
    settled.values.to_json(&mut Work::default()).ok()
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
            invalid: Objects::of(&rendered).invalid(),
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

/// An image, and how it is pinned: its first choice of handles, or that of tags alone.
type Choice = (usize, PinBy);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PinBy {
    /// Values for digests where there are some.
    Digests,
    /// Tags only.
    Tags,
}

struct Pinner<'a> {
    request: &'a Request<'a>,
    values: Json,
    bases: Vec<Base<'a>>,
    pins: &'a [Pin],
    handles: Handles,
}

impl Pinner<'_> {
    fn run(&self) -> Pinned {
        let mut pinned = Pinned::default();
        let mut open = Vec::new();
        for index in 0..self.pins.len() {
            match self.obstacle(index) {
                Some(why) => pinned.refused.push((index, why)),
                None => open.push(index),
            }
        }
        let mut done: Vec<Choice> = Vec::new();
        let mut reasons: Vec<(usize, String)> = Vec::new();
        for by in [PinBy::Digests, PinBy::Tags] {
            let is_done = |index: usize| done.iter().any(|(known, _)| *known == index);
            let left: Vec<usize> = open
                .iter()
                .copied()
                .filter(|index| !is_done(*index) && self.has(*index, by))
                .collect();
            let fixed = done.clone();
            let with = |on: &BTreeSet<usize>| {
                let more = on.iter().map(|index| (*index, by));
                fixed.iter().copied().chain(more).collect::<Vec<_>>()
            };
            let mut take = |on: &BTreeSet<usize>| self.try_all(&with(on));
            let is_named = |index: usize, error: &str| {
                let pin = &self.pins[index];
                error.contains(&pin.digest) || error.contains(&pin.reference)
            };
            let (on, refused) = most(&left, &mut take, &is_named);
            done = with(&on);
            let refused = refused.into_iter();
            reasons.extend(refused.map(|refused| (refused.index, refused.error)));
        }
        for index in open {
            if done.iter().any(|(known, _)| *known == index) {
                continue;
            }
            let mut reason = reasons.iter().rev();
            let reason = reason.find(|(of, _)| *of == index);
            let reason = reason.map_or_else(String::new, |(_, reason)| reason.clone());
            pinned.refused.push((index, reason));
        }
        pinned.refused.sort();
        pinned.values = self.written(&done).unwrap_or_default();
        pinned
    }

    /// Why an image cannot be pinned, as far as the handles say so.
    fn obstacle(&self, index: usize) -> Option<String> {
        let uses = self.handles.uses(index);
        if uses.is_empty() {
            return Some("no scenario that renders uses it".to_owned());
        }
        if let Some((place, _)) = uses.iter().find(|(_, handles)| handles.is_empty()) {
            return Some(format!("no value takes a digest for {place}"));
        }
        let is_shared = |by| {
            let writes = self.handles.chosen(index, by);
            let mut writes = writes.into_iter().flatten();
            writes.any(|handle| self.handles.is_shared(handle, self.pins))
        };
        let is_open = [PinBy::Digests, PinBy::Tags]
            .into_iter()
            .any(|by| self.handles.chosen(index, by).is_some() && !is_shared(by));
        (!is_open)
            .then(|| "its tag is the tag of another image too, which has another digest".to_owned())
    }

    /// Whether an image can be pinned so; tags alone only where that differs from the first choice.
    fn has(&self, index: usize, by: PinBy) -> bool {
        let Some(handles) = self.handles.chosen(index, by) else {
            return false;
        };
        let is_shared = |handle: &&Handle| self.handles.is_shared(handle, self.pins);
        !handles.iter().any(is_shared)
            && (by == PinBy::Digests || self.handles.chosen(index, PinBy::Digests) != Some(handles))
    }

    /// The values of some choices.
    fn written(&self, choices: &[Choice]) -> Result<Map<String, Json>, String> {
        let mut overrides = Overrides::default();
        for (index, by) in choices {
            let digest = &self.pins[*index].digest;
            for handle in self.handles.chosen(*index, *by).unwrap_or_default() {
                let path = Path::from_parts(handle.path.clone());
                let written = overrides.write(&path, handle.text(digest), &self.values);
                written.map_err(|conflict| {
                    format!(
                        "{digest} at {path} would need another text at {}: {}",
                        conflict.path, conflict.text
                    )
                })?;
            }
        }
        Ok(overrides.into_values())
    }

    /// Renders all scenarios with some digests: each reference must be the same one with its digest, and no label,
    /// no name and no other text may take harm.
    fn try_all(&self, choices: &[Choice]) -> Result<(), String> {
        if choices.is_empty() {
            return Ok(());
        }
        let mut published = self.request.published.clone();
        set::merge(&mut published, self.written(choices)?);
        let wanted: Vec<&Pin> = choices
            .iter()
            .map(|(index, _)| &self.pins[*index])
            .collect();
        for base in &self.bases {
            let rendered = rendered(self.request, base.scenario, &published)?;
            let objects = Objects::of(&rendered);
            if let Some(text) = objects.invalid().difference(&base.invalid).next() {
                return Err(format!("a label or a name would become invalid: {text}"));
            }
            let seen = Seen::new(rendered.images());
            for (spot, image) in base.seen.iter() {
                let mut pins = wanted.iter();
                let pin = pins.find(|pin| pin.reference == image.reference);
                check(base, &seen, (spot, &image.reference), pin.copied())?;
            }
            if let Some(text) = objects.stray(&wanted) {
                return Err(format!("the digest would also reach another text: {text}"));
            }
        }
        Ok(())
    }
}

fn check(
    base: &Base<'_>,
    seen: &Seen,
    (spot, before): (&Spot, &str),
    pin: Option<&Pin>,
) -> Result<(), String> {
    let found = base.seen.found_in(seen, spot).unwrap_or_default();
    match pin {
        None if found == before => Ok(()),
        None => Err(format!("{before} would become `{found}`")),
        Some(pin) if pin.names().iter().any(|name| name == found) => Ok(()),
        Some(pin) => Err(format!(
            "{before} would become `{found}` and not have {}",
            pin.digest
        )),
    }
}

impl Pin {
    /// The reference without its tag.
    fn name(&self) -> &str {
        super::shape::split(&self.reference).0
    }

    /// The reference with its digest, with and without the tag.
    fn names(&self) -> [String; 2] {
        [&*self.reference, self.name()].map(|name| format!("{name}@{}", self.digest))
    }
}
