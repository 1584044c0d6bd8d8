//! The search for sets of switches that render, and for the smallest ones.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{Switch, switched_on};
use crate::chart::Chart;
use crate::render::images::Image;
use crate::render::release::{Options, render};

/// The most renders of one search; the largest public charts need some hundred.
const MAX_RENDERS: usize = 600;

/// Some switches, by their place in the list of all.
pub(super) type Set = BTreeSet<usize>;

/// The search in one chart with one user's values.
pub(super) struct Search<'a> {
    chart: &'a Chart,
    user: &'a Json,
    options: &'a Options,
    switches: &'a [Switch],
    /// The references that need no switch.
    known: BTreeSet<String>,
    /// What was rendered already: the images that are new, or why it does not render.
    pub(super) renders: BTreeMap<Set, Result<Vec<Image>, String>>,
    pub(super) is_partial: bool,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        (chart, user, options): (&'a Chart, &'a Json, &'a Options),
        switches: &'a [Switch],
        base: &[Image],
    ) -> Self {
        Self {
            chart,
            user,
            options,
            switches,
            known: base.iter().map(|image| image.reference.clone()).collect(),
            renders: BTreeMap::new(),
            is_partial: false,
        }
    }

    /// All switches that render together, those of each group, and each that does not go with others; and the
    /// switches with which alone the chart does not render, with the reason.
    pub(super) fn renderable_sets(&mut self) -> (Vec<Set>, Vec<(Switch, String)>) {
        let mut refused = Set::new();
        let mut sets = Vec::new();
        for group in self.groups() {
            let on = self.renderable(&Set::new(), &group, &mut refused);
            sets.push(on);
        }
        let mut reasons = Vec::new();
        for switch in refused {
            let alone = Set::from([switch]);
            match self.render(&alone) {
                Ok(_) => sets.push(alone),
                Err(reason) => reasons.push((self.switches[switch].clone(), reason)),
            }
        }
        (sets, reasons)
    }

    /// All switches, and those below each top-level key.
    fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, switch) in self.switches.iter().enumerate() {
            groups.entry(switch[0].as_str()).or_default().push(index);
        }
        let all: Vec<usize> = (0..self.switches.len()).collect();
        let mut sets = vec![all];
        if groups.len() > 1 {
            sets.extend(groups.into_values());
        }
        sets
    }

    /// The new images of a render with some switches on.
    fn render(&mut self, on: &Set) -> Result<Vec<Image>, String> {
        if let Some(known) = self.renders.get(on) {
            return known.clone();
        }
        if self.renders.len() >= MAX_RENDERS {
            self.is_partial = true;
            return Err(format!("more than {MAX_RENDERS} renders are needed"));
        }
        let values = switched_on(self.user, on.iter().map(|switch| &self.switches[*switch]));
        let result = render(self.chart, &values, self.options)
            .map(|rendered| {
                let mut images = rendered.images();
                images.retain(|image| !self.known.contains(&image.reference));
                images
            })
            .map_err(|error| error.to_string());
        self.renders.insert(on.clone(), result.clone());
        result
    }

    pub(super) fn images(&mut self, on: &Set) -> Vec<Image> {
        self.render(on).unwrap_or_default()
    }

    fn names(&mut self, reference: &str, on: &Set) -> bool {
        self.images(on)
            .iter()
            .any(|image| image.reference == reference)
    }

    /// As many of some switches as render together with those that are on; the others are refused.
    fn renderable(&mut self, on: &Set, more: &[usize], refused: &mut Set) -> Set {
        let mut all = on.clone();
        all.extend(more);
        if more.is_empty() || self.render(&all).is_ok() {
            return all;
        }
        if let [one] = more {
            refused.insert(*one);
            return on.clone();
        }
        let (first, second) = more.split_at(more.len() / 2);
        let on = self.renderable(on, first, refused);
        self.renderable(&on, second, refused)
    }

    /// A smallest part of some switches with which the chart still names an image (`QuickXplain`).
    pub(super) fn smallest(&mut self, reference: &str, within: &Set) -> Set {
        let known: Vec<Set> = self
            .renders
            .keys()
            .filter(|set| set.len() == 1)
            .cloned()
            .collect();
        let by_one = known
            .into_iter()
            .find(|set| set.is_subset(within) && self.names(reference, set));
        by_one.unwrap_or_else(|| {
            let list: Vec<usize> = within.iter().copied().collect();
            self.needed(reference, &Set::new(), false, &list)
        })
    }

    /// What of `list` is needed besides `fixed`; `changed` when `fixed` has grown since it was last tried.
    fn needed(&mut self, reference: &str, fixed: &Set, changed: bool, list: &[usize]) -> Set {
        if changed && self.names(reference, fixed) {
            return Set::new();
        }
        if list.len() <= 1 {
            return list.iter().copied().collect();
        }
        let (first, second) = list.split_at(list.len() / 2);
        let with = |fixed: &Set, more: &mut dyn Iterator<Item = usize>| {
            let mut set = fixed.clone();
            set.extend(more);
            set
        };
        let with_first = with(fixed, &mut first.iter().copied());
        let of_second = self.needed(reference, &with_first, !first.is_empty(), second);
        let with_second = with(fixed, &mut of_second.iter().copied());
        let of_first = self.needed(reference, &with_second, !of_second.is_empty(), first);
        with(&of_first, &mut of_second.into_iter())
    }
}
