//! The last render: it accepts a reference only if it is exactly the target.

mod entry;

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::charts::Charts;
use super::leaf::Round;
use super::renders::{Renders, most};
use super::seen::Spot;
use super::variant::{Variant, Wanted};
use super::{Discovery, MovedImage, PartSource, Reason, Unmoved, ValuePath};
use crate::render::release::Error;
use crate::set;
use crate::values::Overrides;
use entry::Entry;

pub(super) struct Check<'c, 'a> {
    renders: &'c mut Renders<'a>,
    charts: &'c Charts,
}

/// What a render of one variant shows.
#[derive(Default)]
struct Outcome {
    /// The entries, by their index, that the chart refuses.
    refused: Vec<(usize, Reason)>,
    missed: Vec<(Spot, Reason)>,
    /// The places that take the image of another entry, given by its index, which another variant has there.
    instead: Vec<(Spot, usize)>,
    /// The same of places whose own image no value moves.
    followed: Vec<(Spot, usize)>,
    /// The entries that come to a place whose image is another in all variants, and is not moved.
    replaced: Vec<usize>,
}

/// What was found out about a place is of no use. Whether nothing else can be tried.
fn reject(variants: &mut [Variant], (index, spot): (usize, &Spot), reason: Reason) -> bool {
    let wanted = variants[index].wanted.get_mut(spot);
    let wanted = wanted.expect("it is one of them");
    wanted.reject(reason);
    wanted.is_over()
}

/// Where what another variant needs also decides about a place, the place takes that image. Whether there is such a
/// place.
fn follow(
    variants: &mut [Variant],
    spots: &[(usize, Spot, usize)],
    instead: &[(usize, Spot, usize)],
) -> bool {
    for (index, spot, at) in instead {
        let first = spots.iter().find(|(.., other)| other == at);
        let other = first.map(|(of, other, _)| variants[*of].wanted[other].clone());
        let wanted = variants[*index].wanted.get_mut(spot);
        if let (Some(wanted), Some(other)) = (wanted, other) {
            *wanted = Wanted {
                image: wanted.image.clone(),
                switches: wanted.switches.clone(),
                is_other: true,
                ..other
            };
        }
    }
    !instead.is_empty()
}

impl<'c, 'a> Check<'c, 'a> {
    pub(super) fn new(charts: &'c Charts, renders: &'c mut Renders<'a>) -> Self {
        Self { renders, charts }
    }

    /// Renders with everything that was found out. What does not hold is rejected, and then the answer is not the last
    /// one, unless nothing else can be tried.
    pub(super) fn run(mut self, variants: &mut [Variant]) -> Result<(Discovery, bool), Error> {
        let mut is_final = true;
        loop {
            let mut entries: Vec<Entry> = Vec::new();
            let mut spots: Vec<(usize, Spot, usize)> = Vec::new();
            let mut overrides = Overrides::default();
            for (index, variant) in variants.iter_mut().enumerate() {
                for (spot, wanted) in &mut variant.wanted {
                    let Some((shape, _)) = &wanted.shape else {
                        continue;
                    };
                    let entry = match Entry::new(self.charts, shape, wanted) {
                        Ok(entry) => entry,
                        Err(reason) => {
                            wanted.reject(reason);
                            is_final &= wanted.is_over();
                            continue;
                        }
                    };
                    let at = match entries.iter().position(|other| *other == entry) {
                        Some(at) => at,
                        None => match entry.write(&mut overrides, self.charts.values()) {
                            Ok(()) => {
                                entries.push(entry);
                                entries.len() - 1
                            }
                            Err(value) => {
                                wanted.reject(Reason::Shared { value });
                                is_final &= wanted.is_over();
                                continue;
                            }
                        },
                    };
                    spots.push((index, spot.clone(), at));
                }
            }
            let mut is_done = true;
            let (mut instead, mut followed) = (Vec::new(), Vec::new());
            let mut replaced = BTreeSet::new();
            for index in 0..variants.len() {
                let outcome = self.outcome((index, &variants[index]), &spots, &entries);
                for (refused, reason) in outcome.refused {
                    is_done = false;
                    for (of, spot, _) in spots.iter().filter(|(.., at)| *at == refused) {
                        is_final &= reject(variants, (*of, spot), reason.clone());
                    }
                }
                for (spot, reason) in outcome.missed {
                    is_done = false;
                    is_final &= reject(variants, (index, &spot), reason);
                }
                let of_variant = |(spot, at)| (index, spot, at);
                instead.extend(outcome.instead.into_iter().map(of_variant));
                followed.extend(outcome.followed.into_iter().map(of_variant));
                replaced.extend(outcome.replaced);
            }
            // Only of what holds as a whole it is known that another image takes a place, and what no value moves is
            // known at the end.
            if is_done && is_final {
                instead.append(&mut followed);
            } else {
                replaced.clear();
            }
            if is_done && follow(variants, &spots, &instead) {
                continue;
            }
            for (index, spot, at) in spots.iter().filter(|(.., at)| replaced.contains(at)) {
                is_done = false;
                let value = entries[*at].first_path();
                is_final &= reject(variants, (*index, spot), Reason::Shared { value });
            }
            if is_done {
                let mut values = overrides.into_values();
                set::merge(&mut values, self.renders.required.clone());
                let discovery = self.discovery(variants, &entries, &spots, values);
                return Ok((discovery, is_final));
            }
        }
    }

    /// Renders one variant with all that is written, also for the others, and says what did not become its target.
    fn outcome(
        &mut self,
        (index, variant): (usize, &Variant),
        spots: &[(usize, Spot, usize)],
        entries: &[Entry],
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if entries.is_empty() {
            return outcome;
        }
        let all: Vec<usize> = (0..entries.len()).collect();
        let mut seen = None;
        let mut render = |on: &BTreeSet<usize>| {
            let mut overrides = Overrides::default();
            for index in on {
                entries[*index].write(&mut overrides, self.charts.values())?;
            }
            let mut values = variant.user.as_object().cloned().unwrap_or_default();
            set::merge(&mut values, overrides.into_values());
            let rendered = self.renders.changed(&Json::Object(values), true);
            seen = Some(rendered.map_err(|error| error.to_string())?);
            Ok(())
        };
        let (_, refused) = most(&all, &mut render, &|_, _| false);
        let seen = seen.unwrap_or_default();
        for refused in refused {
            let reason = Reason::Refused {
                value: entries[refused.index].first_path(),
                error: beginning(&refused.error),
            };
            outcome.refused.push((refused.index, reason));
        }
        let refused: BTreeSet<usize> = outcome.refused.iter().map(|(at, _)| *at).collect();
        for (spot, wanted) in &variant.wanted {
            let mut own = spots.iter().filter(|(of, ..)| *of == index);
            let own = own.find(|(_, other, _)| other == spot).map(|(.., at)| *at);
            let found = variant.found_in(&seen, spot).unwrap_or_default();
            if own.is_some_and(|at| found == entries[at].target || refused.contains(&at)) {
                continue;
            }
            let other = entries.iter().position(|other| other.target == found);
            let other = other.filter(|_| !wanted.is_other);
            let is_same = |at: usize| {
                let mut same = spots.iter().filter(|(.., of)| *of == at);
                same.any(|(_, other, _)| other == spot)
            };
            match (other, own) {
                (Some(at), Some(_)) if is_same(at) => outcome.instead.push((spot.clone(), at)),
                (_, Some(own)) => {
                    let reason = entries[own].missed(found);
                    outcome.missed.push((spot.clone(), reason));
                }
                (Some(at), None) if is_same(at) => outcome.followed.push((spot.clone(), at)),
                (Some(at), None) => outcome.replaced.push(at),
                (None, None) => {}
            }
        }
        outcome
    }

    fn discovery(
        &self,
        variants: &[Variant],
        entries: &[Entry],
        spots: &[(usize, Spot, usize)],
        values: Map<String, Json>,
    ) -> Discovery {
        let mut images: Vec<MovedImage> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let of_entry = spots.iter().filter(|(.., of)| *of == at);
            let wanted: Vec<&Wanted> = of_entry
                .map(|(index, spot, _)| &variants[*index].wanted[spot])
                .collect();
            let Some(first) = wanted.first() else {
                continue;
            };
            let mut uses: Vec<_> = wanted.iter().map(|wanted| wanted.image.clone()).collect();
            uses.dedup();
            let tag_place = entry.tag.as_ref().and_then(PartSource::place);
            images.push(MovedImage {
                reference: entry.reference.clone(),
                registry: entry.registry.clone(),
                repository: entry.repository.clone(),
                tag: entry.tag.clone(),
                remove: entry.remove.clone(),
                digest: tag_place
                    .or(entry.repository.place())
                    .and_then(|place| self.digest_beside(place, variants)),
                uses,
                switches: first.switches.clone(),
            });
        }
        let mut unmoved: Vec<Unmoved> = Vec::new();
        for wanted in variants.iter().flat_map(|variant| variant.wanted.values()) {
            if wanted.shape.is_some() {
                continue;
            }
            let known = unmoved
                .iter_mut()
                .find(|other| other.reference == wanted.original && other.reason == wanted.reason);
            match known {
                Some(known) if known.uses.contains(&wanted.image) => {}
                Some(known) => known.uses.push(wanted.image.clone()),
                None => unmoved.push(Unmoved {
                    reference: wanted.original.clone(),
                    reason: within(wanted, variants).unwrap_or_else(|| wanted.reason.clone()),
                    uses: vec![wanted.image.clone()],
                    switches: wanted.switches.clone(),
                }),
            }
        }
        Discovery {
            images,
            unmoved,
            required: self.renders.required.clone(),
            values,
            ..Discovery::default()
        }
    }

    /// The empty value for a digest in the same mapping as a tag or repository.
    fn digest_beside(&self, place: &ValuePath, variants: &[Variant]) -> Option<ValuePath> {
        let full: Vec<String> = place.full().segments().map(str::to_owned).collect();
        let above = full.split_last()?.1;
        let mut leaves = variants.iter().flat_map(Variant::leaves);
        let found = leaves.find(|leaf| {
            leaf.is_empty_digest()
                && leaf
                    .path
                    .split_last()
                    .is_some_and(|(_, rest)| rest == above)
        });
        found.map(|leaf| self.charts.place(&leaf.path))
    }
}

/// The first lines of a message, in one: of a schema's refusal the first names neither the value nor the reason.
fn beginning(error: &str) -> String {
    let lines = error.lines().map(str::trim).take(3);
    lines.collect::<Vec<_>>().join(" ")
}

/// Whether a reference is a part of a longer text of the values.
fn within(wanted: &Wanted, variants: &[Variant]) -> Option<Reason> {
    if !matches!(
        wanted.reason,
        Reason::Fixed { .. } | Reason::Beginning { .. }
    ) {
        return None;
    }
    let mut leaves = variants.iter().flat_map(Variant::leaves);
    let found =
        leaves.find(|leaf| leaf.text.contains(&wanted.original) && leaf.text != wanted.original);
    found.map(|leaf| Reason::Within {
        value: leaf.path().to_string(),
    })
}

impl Wanted {
    /// Whether no further round can explain it.
    fn is_over(&self) -> bool {
        self.next >= Round::Over
    }
}
