//! The rounds: in each, values are marked that can explain the references that are left.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::charts::Charts;
use super::leaf::{Leaf, Round};
use super::renders::Renders;
use super::seen::{Seen, Spot};
use super::shape::{self, Marked, Obstacle, Shape};
use super::variant::{Added, Variant, Wanted};
use super::{Discovery, Request, check};
use crate::render::images::Image;
use crate::render::release::Error;
use crate::render::switches::{self, Switch, switched_on};
use crate::set;

/// The most passes through the rounds. Each takes at least one value less into account, and the limit of renders ends
/// most of what needs many.
const MAX_PASSES: usize = 64;

/// The most times that further places of known images are looked for.
const MAX_MORE: usize = 4;

pub(super) struct Search<'a> {
    request: &'a Request<'a>,
    renders: Renders<'a>,
    variants: Vec<Variant>,
    failed: Vec<(usize, String)>,
    charts: Charts,
}

impl<'a> Search<'a> {
    pub(super) fn new(request: &'a Request<'a>) -> Result<Self, Error> {
        let mut search = Self {
            request,
            renders: Renders::new(request.chart, request.options),
            variants: Vec::new(),
            failed: Vec::new(),
            charts: Charts::new(request.chart)?,
        };
        let mut first = None;
        for (index, scenario) in request.scenarios.iter().enumerate() {
            if let Err(error) = search.add_variant(scenario.clone(), &[]) {
                search.failed.push((index, error.to_string()));
                first = first.or(Some(error));
            }
        }
        match first {
            Some(error) if search.variants.is_empty() => Err(error),
            _ => Ok(search),
        }
    }

    pub(super) fn run(mut self) -> Result<Discovery, Error> {
        let mut discovery = self.rounds()?;
        if self.request.switches {
            let largest = self.add_switches(&discovery)?;
            discovery = self.rounds()?;
            // An image can have other places, behind other switches.
            for _ in 0..MAX_MORE {
                if !self.add_more(&largest, &discovery)? {
                    break;
                }
                discovery = self.rounds()?;
            }
        }
        Ok(Discovery {
            failed: self.failed,
            renders: self.renders.count,
            is_partial: self.renders.is_partial,
            ..discovery
        })
    }

    fn rounds(&mut self) -> Result<Discovery, Error> {
        // What turns out not to hold is tried with the values of later rounds.
        for _ in 0..MAX_PASSES {
            for round in Round::ALL {
                for index in 0..self.variants.len() {
                    self.learn_from_others(index);
                    self.round(round, index);
                }
            }
            let check = check::Check::new(&self.charts, &mut self.renders);
            let (discovery, is_final) = check.run(&mut self.variants)?;
            if is_final {
                return Ok(discovery);
            }
        }
        Err(Error::helm("the search does not end (please report this)"))
    }

    /// The further ways to render the chart in which its switches are on. With the values that were found before, what
    /// still names a source is moved by other values, be it an image that is known or not. Returns for each scenario as
    /// many switches as go together.
    fn add_switches(&mut self, before: &Discovery) -> Result<Vec<Vec<Switch>>, Error> {
        let users: Vec<Json> = self.variants.iter().map(|one| one.user.clone()).collect();
        let mut largest = Vec::new();
        for user in users {
            let moved = with_moved(&user, before);
            let found = switches::search(self.request.chart, &moved, self.request.options)?;
            self.renders.count += found.renders;
            self.renders.is_partial |= found.is_partial;
            largest.push(found.largest);
            self.add_groups(&user, &moved, found.added)?;
        }
        Ok(largest)
    }

    /// The same for images that the chart still names with its switches on, and that are neither moved nor known to
    /// stay. Whether there are some.
    fn add_more(&mut self, largest: &[Vec<Switch>], found: &Discovery) -> Result<bool, Error> {
        let target = self.request.target;
        let moved = found.images.iter();
        let moved: BTreeSet<String> = moved.filter_map(|image| target(&image.reference)).collect();
        let unmoved = found.unmoved.iter();
        let unmoved: BTreeSet<&str> = unmoved.map(|image| image.reference.as_str()).collect();
        let is_left = |image: &Image| {
            let reference = image.reference.as_str();
            !moved.contains(reference)
                && !unmoved.contains(reference)
                && target(reference).is_some()
        };
        let mut has_more = false;
        for (index, on) in largest.iter().enumerate() {
            let user = self.variants[index].user.clone();
            let values = with_moved(&user, found);
            let (chart, options) = (self.request.chart, self.request.options);
            let needed = switches::needed((chart, &values, options), on, &is_left);
            self.renders.count += needed.renders;
            has_more |= !needed.added.is_empty();
            self.add_groups(&user, &values, needed.added)?;
        }
        Ok(has_more)
    }

    /// Adds images with the switches that they need. Switches that go together are one variant.
    fn add_groups(&mut self, user: &Json, moved: &Json, added: Vec<Added>) -> Result<(), Error> {
        let mut groups: Vec<(BTreeSet<Switch>, Vec<Added>)> = Vec::new();
        for (image, switches) in added {
            let fitting = groups.iter_mut().find_map(|(on, images)| {
                let mut all = on.clone();
                all.extend(switches.iter().cloned());
                if all != *on {
                    let seen = self.renders.plain(&switched_on(moved, &all)).ok()?;
                    let has = |image: &Image| {
                        seen.iter()
                            .any(|(_, other)| other.reference == image.reference)
                    };
                    (has(&image) && images.iter().all(|(image, _)| has(image))).then_some(())?;
                }
                *on = all;
                images.push((image.clone(), switches.clone()));
                Some(())
            });
            if fitting.is_none() {
                groups.push((switches.iter().cloned().collect(), vec![(image, switches)]));
            }
        }
        for (on, images) in groups {
            self.add_variant(switched_on(user, &on), &images)?;
        }
        Ok(())
    }

    /// A further way to render the chart; `added` are the images that its switches add.
    fn add_variant(&mut self, user: Json, added: &[Added]) -> Result<(), Error> {
        let variant = Variant::new(user, added, self.request.target, &mut self.renders)?;
        self.variants.push(variant);
        Ok(())
    }

    /// What is known of the same reference at the same place counts in all variants; the last render checks it.
    fn learn_from_others(&mut self, index: usize) {
        let (before, rest) = self.variants.split_at_mut(index);
        let Some(variant) = rest.first_mut() else {
            return;
        };
        for (spot, wanted) in &mut variant.wanted {
            if wanted.shape.is_some() {
                continue;
            }
            let known = before.iter().filter_map(|other| other.wanted.get(spot));
            let mut known = known.filter(|other| other.original == wanted.original);
            if let Some(other) = known.find(|other| other.shape.is_some()) {
                let is_over = other
                    .shape
                    .as_ref()
                    .is_some_and(|(_, round)| *round < wanted.next);
                if !is_over {
                    wanted.shape.clone_from(&other.shape);
                }
            }
        }
    }

    fn round(&mut self, round: Round, index: usize) {
        let variant = &mut self.variants[index];
        let is_open = |wanted: &Wanted| wanted.shape.is_none() && wanted.next <= round;
        let open: BTreeSet<String> = variant
            .wanted
            .values()
            .filter(|wanted| is_open(wanted))
            .map(|wanted| wanted.original.clone())
            .collect();
        if open.is_empty() {
            return;
        }
        let of_round = |leaf: &Leaf| leaf.round(open.iter().map(String::as_str));
        let mut markers: BTreeMap<usize, (&Leaf, String)> = BTreeMap::new();
        let mut is_new = false;
        for (number, leaf) in variant.leaves.iter().enumerate() {
            match of_round(leaf) {
                Some(found) if found == round || found == Round::Likely => {
                    is_new |= found == round;
                    markers.insert(
                        number,
                        (
                            leaf,
                            leaf.marker(number, self.charts.version_at(&leaf.path)),
                        ),
                    );
                }
                _ => {}
            }
        }
        if !is_new {
            return;
        }
        for number in &variant.blank {
            markers.insert(*number, (&variant.leaves[*number], String::new()));
        }
        let values = variant.values();
        let (seen, refused) = self.renders.marked(&values, &markers);
        let mut found = explain(variant, &markers, seen.as_ref(), &is_open);
        let explained: BTreeSet<&Spot> = found
            .iter()
            .filter(|(_, result)| result.is_ok())
            .map(|(spot, _)| spot)
            .collect();
        let is_left = variant
            .wanted
            .iter()
            .any(|(spot, wanted)| is_open(wanted) && !explained.contains(spot));
        if is_left && !refused.is_empty() {
            // Perhaps it takes a text that looks more like the one that it has.
            for refused in &refused {
                let leaf = markers.remove(&refused.index).map(|(leaf, _)| leaf);
                let plain = leaf.and_then(|leaf| Some((leaf, leaf.plain_marker(refused.index)?)));
                markers.extend(plain.map(|plain| (refused.index, plain)));
            }
            let (seen, _) = self.renders.marked(&values, &markers);
            let again = explain(variant, &markers, seen.as_ref(), &is_open);
            found.extend(again.into_iter().filter(|(_, result)| result.is_ok()));
        }
        for (spot, result) in found {
            let wanted = variant.wanted.get_mut(&spot).expect("it is one of them");
            match result {
                Ok(shape) => wanted.shape = Some((shape, round)),
                Err(obstacle) => wanted.record(obstacle),
            }
        }
    }
}

/// A user's values with those that move images.
fn with_moved(user: &Json, found: &Discovery) -> Json {
    let mut values = user.as_object().cloned().unwrap_or_default();
    set::merge(&mut values, found.values.clone());
    Json::Object(values)
}

type Found = Vec<(Spot, Result<Shape, Obstacle>)>;

/// What a marked render says of the references that are open.
fn explain(
    variant: &Variant,
    markers: &BTreeMap<usize, (&Leaf, String)>,
    seen: Option<&Seen>,
    is_open: &dyn Fn(&Wanted) -> bool,
) -> Found {
    let Some(seen) = seen else {
        return Vec::new();
    };
    let by_number = |number: usize| {
        markers.get(&number).map(|(leaf, marker)| Marked {
            leaf,
            marker: marker.as_str(),
        })
    };
    let open = variant.wanted.iter().filter(|(_, wanted)| is_open(wanted));
    open.filter_map(|(spot, wanted)| {
        let marked = variant.base.found_in(seen, spot)?;
        Some((
            spot.clone(),
            shape::read(&wanted.original, marked, &by_number),
        ))
    })
    .collect()
}
