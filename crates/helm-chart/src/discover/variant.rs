//! One way in which a chart is rendered, with the references that are to be moved.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::Reason;
use super::leaf::{self, Leaf, Round};
use super::renders::{Renders, Values};
use super::seen::{Seen, Spot};
use super::shape::{self, Obstacle, Shape};
use crate::render::images::Image;
use crate::render::release::Error;
use crate::render::switches::Switch;

/// An image that some switches add.
pub(super) type Added = (Image, Vec<Switch>);

/// One way in which the chart is rendered.
pub(super) struct Variant {
    pub(super) user: Json,
    pub(super) settled: Json,
    /// As it is.
    pub(super) base: Seen,
    /// The references that are to be moved.
    pub(super) wanted: BTreeMap<Spot, Wanted>,
    /// The values that can be parts of names.
    pub(super) leaves: Vec<Leaf>,
    /// The digests that are blanked, by their index in `leaves`.
    pub(super) blank: BTreeSet<usize>,
}

/// A reference that is to be moved.
#[derive(Clone)]
pub(super) struct Wanted {
    /// The reference to copy: without a digest that is blanked.
    pub(super) original: String,
    pub(super) target: String,
    pub(super) image: Image,
    /// What must be on for it to be there.
    pub(super) switches: Vec<Switch>,
    /// The paths of digests that are blanked for it.
    pub(super) remove: BTreeSet<Vec<String>>,
    /// What was found out, and in which round.
    pub(super) shape: Option<(Shape, Round)>,
    /// Whether it is the image of another variant, whose values decide here too.
    pub(super) is_other: bool,
    /// The rounds before this one are over for it.
    pub(super) next: Round,
    pub(super) reason: Reason,
}

impl Wanted {
    /// What was found out is of no use.
    pub(super) fn reject(&mut self, reason: Reason) {
        self.reason = reason;
        if let Some((_, round)) = self.shape.take() {
            let later = Round::ALL.into_iter().find(|later| *later > round);
            self.next = later.unwrap_or(Round::Over);
        }
    }

    /// Keeps the reason that says most.
    pub(super) fn record(&mut self, obstacle: Obstacle) {
        let template = self.image.template.clone();
        match (obstacle, &self.reason) {
            (Obstacle::Changed(value), Reason::Fixed { .. } | Reason::Beginning { .. }) => {
                self.reason = Reason::Changed { template, value };
            }
            (Obstacle::Beginning(values), Reason::Fixed { .. }) if !values.is_empty() => {
                self.reason = Reason::Beginning { template, values };
            }
            _ => {}
        }
    }
}

impl Variant {
    /// Renders the chart as it is, and finds out which digests are to be blanked; `added` are the images that its
    /// switches add.
    pub(super) fn new(
        user: Json,
        added: &[Added],
        target: &dyn Fn(&str) -> Option<String>,
        renders: &mut Renders<'_>,
    ) -> Result<Self, Error> {
        let base = renders.plain(&user)?;
        let settled = renders.settled(&user)?;
        let mut variant = Self {
            leaves: leaf::of_values(&settled),
            user,
            settled,
            base,
            wanted: BTreeMap::new(),
            blank: BTreeSet::new(),
        };
        let digests = variant.digests(renders);
        let blanked = variant.without_digests(&digests, renders);
        for (spot, image) in variant.base.iter() {
            let original = blanked.get(spot).unwrap_or(&image.reference).clone();
            let Some(target) = target(&original).filter(|target| *target != original) else {
                continue;
            };
            let is_blanked = blanked.contains_key(spot);
            let remove = digests.get(spot).filter(|_| is_blanked);
            let remove = remove.cloned().unwrap_or_default();
            variant.blank.extend(&remove);
            // Its reference can be another one there, but not its place.
            let is_it = |other: &Image| {
                (&other.kind, &other.name, &other.field, &other.template)
                    == (&image.kind, &image.name, &image.field, &image.template)
            };
            let same = |(other, _): &&Added| other.reference == image.reference && is_it(other);
            let needed = added.iter().find(same);
            let needed = needed.or_else(|| added.iter().find(|(other, _)| is_it(other)));
            let switches = needed.map(|(_, switches)| switches.clone());
            let paths = remove.iter().map(|leaf| variant.leaves[*leaf].path.clone());
            let wanted = Wanted {
                original,
                target,
                image: image.clone(),
                switches: switches.unwrap_or_default(),
                remove: paths.collect(),
                shape: None,
                is_other: false,
                next: Round::Likely,
                reason: Reason::Fixed {
                    template: image.template.clone(),
                },
            };
            variant.wanted.insert(spot.clone(), wanted);
        }
        Ok(variant)
    }

    /// The digests that hold a part of each reference, by their index: each is marked by another one.
    fn digests(&self, renders: &mut Renders<'_>) -> BTreeMap<Spot, BTreeSet<usize>> {
        let is_used = |leaf: &Leaf| {
            let hex = leaf.text.trim_start_matches("sha256:");
            leaf.is_digest()
                && self
                    .base
                    .iter()
                    .any(|(_, image)| image.reference.contains(hex))
        };
        let mut markers: BTreeMap<usize, (&Leaf, String)> = BTreeMap::new();
        for (number, leaf) in self
            .leaves
            .iter()
            .enumerate()
            .filter(|(_, leaf)| is_used(leaf))
        {
            let algorithm = if leaf.text.starts_with("sha256:") {
                "sha256:"
            } else {
                ""
            };
            markers.insert(number, (leaf, format!("{algorithm}{number:064x}")));
        }
        if markers.is_empty() {
            return BTreeMap::new();
        }
        let (seen, _) = renders.marked(&self.values(), &markers);
        let seen = seen.unwrap_or_default();
        let spots = self.base.iter().filter_map(|(spot, _)| {
            let marked = self.base.found_in(&seen, spot)?;
            let hex = |marker: &str| marker.trim_start_matches("sha256:").to_owned();
            let held = markers
                .iter()
                .filter(|(_, (_, marker))| marked.contains(&hex(marker)));
            let held: BTreeSet<usize> = held.map(|(number, _)| *number).collect();
            (!held.is_empty()).then(|| (spot.clone(), held))
        });
        spots.collect()
    }

    /// What the references with digests are without them, where a tag is left.
    fn without_digests(
        &self,
        digests: &BTreeMap<Spot, BTreeSet<usize>>,
        renders: &mut Renders<'_>,
    ) -> BTreeMap<Spot, String> {
        if digests.is_empty() {
            return BTreeMap::new();
        }
        let all: BTreeSet<usize> = digests.values().flatten().copied().collect();
        let empty = |number: &usize| (*number, (&self.leaves[*number], String::new()));
        let (seen, _) = renders.marked(&self.values(), &all.iter().map(empty).collect());
        let seen = seen.unwrap_or_default();
        let spots = digests.keys().filter_map(|spot| {
            let reference = self.base.found_in(&seen, spot)?;
            let has_tag = shape::split(reference).1.is_some() && !reference.contains('@');
            has_tag.then(|| (spot.clone(), reference.to_owned()))
        });
        spots.collect()
    }

    pub(super) fn values(&self) -> Values<'_> {
        Values {
            user: &self.user,
            settled: &self.settled,
        }
    }

    /// The reference that another render has at a place of this variant.
    pub(super) fn found_in<'s>(&self, seen: &'s Seen, spot: &Spot) -> Option<&'s str> {
        self.base.found_in(seen, spot)
    }

    /// The leaves of the values that templates see.
    pub(super) fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }
}
