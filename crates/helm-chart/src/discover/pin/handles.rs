//! Which values take the digests of which references, learnt from renders with markers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::super::charts::Charts;
use super::super::leaf::{self, Leaf};
use super::super::renders::most;
use super::super::seen::{Seen, Spot};
use super::super::shape;
use super::{Base, Pin, PinBy, Request, rendered};
use crate::values::place;

/// The most renders that markers are tried with; a chart that refuses many of them is left as it is.
const MAX_RENDERS: usize = 200;

/// What a value takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// `sha256:…`
    Digest,
    /// What is behind `sha256:`.
    Hex,
    /// A tag, or a whole reference, with `@sha256:…` behind it.
    Tag,
}

/// A value that takes a digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Handle {
    form: Form,
    /// Its path from the top chart's values.
    pub(super) path: Vec<String>,
    /// What stands in front of the digest.
    front: String,
}

impl Handle {
    /// What is written for a digest.
    pub(super) fn text(&self, digest: &str) -> String {
        match self.form {
            Form::Digest => digest.to_owned(),
            Form::Hex => digest.trim_start_matches("sha256:").to_owned(),
            Form::Tag => format!("{}@{digest}", self.front),
        }
    }
}

/// The handles of all references that are to be pinned.
#[derive(Debug, Default)]
pub(super) struct Handles {
    /// By the image: each of its places in words, with the handles there, the best first.
    uses: Vec<Vec<(String, Vec<Handle>)>>,
}

impl Handles {
    /// The places of an image.
    pub(super) fn uses(&self, index: usize) -> &[(String, Vec<Handle>)] {
        &self.uses[index]
    }

    /// One handle for each place of an image; `None` where a place has none of that kind.
    pub(super) fn chosen(&self, index: usize, by: PinBy) -> Option<BTreeSet<&Handle>> {
        let fits = |handle: &&Handle| by == PinBy::Digests || handle.form == Form::Tag;
        let uses = self.uses[index].iter();
        uses.map(|(_, handles)| handles.iter().find(fits)).collect()
    }

    /// Whether a value would have to hold the digest of another image too.
    pub(super) fn is_shared(&self, handle: &Handle, pins: &[Pin]) -> bool {
        let users = self.uses.iter().zip(pins).filter(|(uses, _)| {
            let mut handles = uses.iter().flat_map(|(_, handles)| handles);
            handles.any(|other| other.path == handle.path && other.form == handle.form)
        });
        let digests: BTreeSet<&str> = users.map(|(_, pin)| pin.digest.as_str()).collect();
        digests.len() > 1
    }
}

/// Looks for the values that take digests. `values` are what templates see.
pub(super) fn find(
    request: &Request<'_>,
    values: &Json,
    bases: &[Base<'_>],
    pins: &[Pin],
) -> Handles {
    let leaves = leaf::of_values(values);
    let charts = Charts::new(request.chart).ok();
    let version = |leaf: &Leaf| {
        let version = charts.as_ref().map(|charts| charts.version_at(&leaf.path));
        version.unwrap_or_default().to_owned()
    };
    let mut search = Search {
        request,
        values,
        leaves: &leaves,
        renders: 0,
    };
    let mut found: Vec<BTreeMap<Spot, Vec<Handle>>> = vec![BTreeMap::new(); bases.len()];
    for form in [Form::Digest, Form::Hex, Form::Tag] {
        let is_candidate = |leaf: &Leaf| match form {
            Form::Digest => leaf.is_empty_digest(),
            Form::Hex => leaf.is_empty_digest() && !is_known(&found, &leaf.path),
            Form::Tag => is_tag_of(leaf, pins),
        };
        let candidates = leaves.iter().enumerate();
        let candidates = candidates.filter(|(_, leaf)| is_candidate(leaf));
        let markers: BTreeMap<usize, Marker> = candidates
            .map(|(number, leaf)| (number, Marker::new(form, number, leaf, &version(leaf))))
            .collect();
        if markers.is_empty() {
            continue;
        }
        for (base, found) in bases.iter().zip(&mut found) {
            let seen = search.marked(base.scenario, &markers);
            for (spot, image) in base.seen.iter() {
                let is_wanted = pins.iter().any(|pin| pin.reference == image.reference);
                let marked = base.seen.found_in(&seen, spot).filter(|_| is_wanted);
                let handle =
                    marked.and_then(|marked| search.handle(&markers, &image.reference, marked));
                if let Some(handle) = handle {
                    found.entry(spot.clone()).or_default().push(handle);
                }
            }
        }
    }
    let uses = pins.iter().map(|pin| {
        let mut uses = Vec::new();
        for (base, found) in bases.iter().zip(&found) {
            let of_pin = base.seen.iter();
            let of_pin = of_pin.filter(|(_, image)| image.reference == pin.reference);
            for (spot, image) in of_pin {
                let place = format!("{} {} ({})", image.kind, image.name, image.field);
                uses.push((place, found.get(spot).cloned().unwrap_or_default()));
            }
        }
        uses
    });
    Handles {
        uses: uses.collect(),
    }
}

fn is_known(found: &[BTreeMap<Spot, Vec<Handle>>], path: &[String]) -> bool {
    let mut known = found.iter().flat_map(BTreeMap::values).flatten();
    known.any(|handle| handle.path == path)
}

/// Whether a value can be the end of a reference: its tag, or all of it.
fn is_tag_of(leaf: &Leaf, pins: &[Pin]) -> bool {
    if leaf.text.is_empty() {
        return leaf.is_tag();
    }
    if leaf.text.contains(['{', '@']) {
        return false;
    }
    let text = leaf.text.as_str();
    pins.iter().any(|pin| {
        let before = pin.reference.strip_suffix(text);
        before.is_some_and(|before| before.is_empty() || before.ends_with(['/', ':', 'v', '-']))
    })
}

/// What is written into a value to see where it ends up.
struct Marker {
    form: Form,
    text: String,
    /// Its digest, by which it is recognized.
    hex: String,
}

impl Marker {
    fn new(form: Form, number: usize, leaf: &Leaf, version: &str) -> Self {
        // No content has a digest of so many zeros.
        let hex = format!("{:064x}", number + 1);
        let front = match leaf.text.as_str() {
            "" if version.is_empty() => "1.0.0",
            "" => version,
            text => text,
        };
        let text = match form {
            Form::Digest => format!("sha256:{hex}"),
            Form::Hex => hex.clone(),
            Form::Tag => format!("{front}@sha256:{hex}"),
        };
        Self { form, text, hex }
    }
}

struct Search<'a> {
    request: &'a Request<'a>,
    values: &'a Json,
    leaves: &'a [Leaf],
    renders: usize,
}

impl Search<'_> {
    /// The references of a scenario with as many markers as the chart takes.
    fn marked(&mut self, scenario: &Json, markers: &BTreeMap<usize, Marker>) -> Seen {
        let all: Vec<usize> = markers.keys().copied().collect();
        let mut seen = Seen::default();
        let mut take = |on: &BTreeSet<usize>| {
            self.renders += 1;
            if self.renders > MAX_RENDERS {
                return Err("too many renders are needed".to_owned());
            }
            let mut published = Json::Object(self.request.published.clone());
            for number in on {
                let leaf = &self.leaves[*number];
                let text = Json::from(markers[number].text.as_str());
                place(&mut published, Some(self.values), &leaf.path, text);
            }
            let published = published.as_object().cloned().unwrap_or_default();
            let rendered = rendered(self.request, scenario, &published)?;
            seen = Seen::new(rendered.images());
            Ok(())
        };
        let is_named = |number: usize, error: &str| error.contains(markers[&number].hex.as_str());
        most(&all, &mut take, &is_named);
        seen
    }

    /// The handle that a marked reference shows: its end is the digest of a marker, and it is the same otherwise.
    fn handle(
        &self,
        markers: &BTreeMap<usize, Marker>,
        before: &str,
        found: &str,
    ) -> Option<Handle> {
        let (name, digest) = found.split_once('@')?;
        let hex = digest.strip_prefix("sha256:")?;
        let (number, marker) = markers.iter().find(|(_, marker)| marker.hex == hex)?;
        let leaf = &self.leaves[*number];
        let front = match marker.form {
            Form::Digest | Form::Hex => {
                let is_same = name == before || name == shape::split(before).0;
                return is_same.then(|| Handle {
                    form: marker.form,
                    path: leaf.path.clone(),
                    front: String::new(),
                });
            }
            Form::Tag => marker.text.split('@').next().unwrap_or_default(),
        };
        // What the template puts in front, and what is left of the reference for the value.
        let above = name.strip_suffix(front)?;
        let front = before.strip_prefix(above)?;
        (!front.is_empty()).then(|| Handle {
            form: Form::Tag,
            path: leaf.path.clone(),
            front: front.to_owned(),
        })
    }
}
