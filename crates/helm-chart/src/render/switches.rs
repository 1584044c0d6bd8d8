//! Which further images a chart names once its switches are on.
//!
//! A switch is a value of the chart or of a subchart that is `false` and is called `enabled`, `create`,
//! `install`, `force`, `deploy` or `use`, or is a condition or a tag of a subchart. All are set to true together; what
//! does not render so is left out by halving. Each group below one top-level key is tried by itself as well, because one switch can hide
//! what another one adds. For each image that is new, a smallest set of switches is looked for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::images::Image;
use super::release::{Error, Options, render};
use super::together;
use crate::chart::Chart;
use crate::dependencies::{Enabled, Processed, settle};
use crate::set;
use crate::values::table::Work;

/// The names of switches.
pub const NAMES: [&str; 6] = ["enabled", "create", "install", "force", "deploy", "use"];

/// The most renders of one search; the largest public charts need some hundred.
const MAX_RENDERS: usize = 600;

/// The path of a switch: `["grafana", "enabled"]`.
pub type Switch = Vec<String>;

/// What the switches of a chart add.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The images that a chart names as it is.
    pub images: Vec<Image>,
    /// Images that only some switches add, each with the switches that it needs, in order.
    pub added: Vec<(Image, Vec<Switch>)>,
    /// As many switches as go together, whether or not they add an image.
    pub largest: Vec<Switch>,
    /// Switches with which alone the chart does not render, and why.
    pub refused: Vec<(Switch, String)>,
    /// Whether the search ended early because it took too many renders.
    pub is_partial: bool,
    /// How many times the chart was rendered.
    pub renders: usize,
}

/// Sets of switches that together show all images that a chart names with its switches on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sets {
    /// The switches of each render, the largest set first; each set adds an image that those before do not.
    pub sets: Vec<Vec<Switch>>,
    /// As many switches as go together, whether or not they add an image.
    pub largest: Vec<Switch>,
    /// Whether the search ended early because it took too many renders.
    pub is_partial: bool,
}

/// Renders a chart with a user's values, and again with as many switches on as go together. Which switch adds which
/// image is not looked for: that takes fewer renders than [`search`].
///
/// # Errors
/// When the chart does not render as it is.
pub fn sets(chart: &Chart, user: &Json, options: &Options) -> Result<Sets, Error> {
    together(|| sets_of(chart, user, options))
}

fn sets_of(chart: &Chart, user: &Json, options: &Options) -> Result<Sets, Error> {
    let switches = of_chart(chart, user)?;
    let base = render(chart, user, options)?.images();
    let mut search = Search::new((chart, user, options), &switches, &base);
    let (mut tried, _) = search.renderable_sets();
    tried.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let named = |set: &Set| set.iter().map(|index| switches[*index].clone()).collect();
    let largest = tried.first().map(&named).unwrap_or_default();
    let mut known = BTreeSet::new();
    let mut sets = Vec::new();
    for set in tried {
        let images = search.images(&set).into_iter();
        let before = known.len();
        known.extend(images.map(|image| image.reference));
        if known.len() > before {
            sets.push(named(&set));
        }
    }
    Ok(Sets {
        sets,
        largest,
        is_partial: search.is_partial,
    })
}

/// A user's values with some switches on.
#[must_use]
pub fn switched_on<'s>(user: &Json, on: impl IntoIterator<Item = &'s Switch>) -> Json {
    let mut values = user.as_object().cloned().unwrap_or_default();
    for switch in on {
        set::merge(&mut values, turned_on(switch));
    }
    Json::Object(values)
}

/// Renders a chart with a user's values, and again with its switches on.
///
/// # Errors
/// When the chart does not render as it is.
pub fn search(chart: &Chart, user: &Json, options: &Options) -> Result<Found, Error> {
    together(|| search_in(chart, user, options))
}

fn search_in(chart: &Chart, user: &Json, options: &Options) -> Result<Found, Error> {
    let base = render(chart, user, options)?.images();
    let switches = of_chart(chart, user)?;
    let mut search = Search::new((chart, user, options), &switches, &base);
    let (mut seen, reasons) = search.renderable_sets();
    // The smallest sets first: they need the fewest renders to be made smaller.
    seen.sort_by_key(BTreeSet::len);
    let largest = seen.last().cloned().unwrap_or_default();
    let mut added: Vec<(Image, Vec<Switch>)> = Vec::new();
    for set in seen {
        for image in search.images(&set) {
            if added
                .iter()
                .any(|(known, _)| known.reference == image.reference)
            {
                continue;
            }
            let needed = search.smallest(&image.reference, &set);
            let needed = needed.into_iter().map(|switch| switches[switch].clone());
            added.push((image, needed.collect()));
        }
    }
    let largest = largest.into_iter().map(|switch| switches[switch].clone());
    Ok(Found {
        images: base,
        added,
        largest: largest.collect(),
        refused: reasons,
        is_partial: search.is_partial,
        renders: search.renders.len() + 1,
    })
}

/// The images that a chart names with some switches on, as far as they are wanted, each with the switches that it needs.
pub(crate) fn needed(
    (chart, user, options): (&Chart, &Json, &Options),
    on: &[Switch],
    is_wanted: &dyn Fn(&Image) -> bool,
) -> Found {
    let mut search = Search::new((chart, user, options), on, &[]);
    let all: Set = (0..on.len()).collect();
    let mut found = Found::default();
    for image in search
        .images(&all)
        .into_iter()
        .filter(|image| is_wanted(image))
    {
        let mut known = found.added.iter();
        if known.any(|(known, _)| known.reference == image.reference) {
            continue;
        }
        let needed = search.smallest(&image.reference, &all).into_iter();
        let needed = needed.map(|switch| on[switch].clone()).collect();
        found.added.push((image, needed));
    }
    found.renders = search.renders.len();
    found
}

/// The switches of a chart and of all its subcharts that are off with a user's values.
fn of_chart(chart: &Chart, user: &Json) -> Result<Vec<Switch>, Error> {
    let settled =
        settle(chart, user, Enabled::All).map_err(|error| Error::helm(error.to_string()))?;
    let values = settled
        .values
        .to_json(&mut Work::default())
        .map_err(|error| Error::helm(error.to_string()))?;
    let mut of_subcharts = BTreeSet::new();
    collect_conditions(&settled.chart, &mut Vec::new(), &mut of_subcharts);
    let mut switches = Vec::new();
    collect(&values, &of_subcharts, &mut Vec::new(), &mut switches);
    Ok(switches)
}

fn collect(
    values: &Json,
    of_subcharts: &BTreeSet<Switch>,
    path: &mut Switch,
    switches: &mut Vec<Switch>,
) {
    for (key, value) in values.as_object().into_iter().flatten() {
        path.push(key.clone());
        let is_switch = NAMES.contains(&key.as_str()) || of_subcharts.contains(path);
        if *value == Json::Bool(false) && is_switch {
            switches.push(path.clone());
        }
        collect(value, of_subcharts, path, switches);
        path.pop();
    }
}

/// The values that decide whether subcharts are taken: their conditions and tags.
fn collect_conditions(chart: &Processed<'_>, keys: &mut Switch, found: &mut BTreeSet<Switch>) {
    for dependency in chart.chart.metadata.dependencies.iter().flatten() {
        for condition in dependency.condition.split(',').map(str::trim) {
            let path = condition.split('.').map(str::to_owned);
            found.insert(keys.iter().cloned().chain(path).collect());
        }
        let tags = dependency.tags.iter();
        found.extend(tags.map(|tag| vec!["tags".to_owned(), tag.clone()]));
    }
    for subchart in &chart.subcharts {
        keys.push(subchart.name.to_string());
        collect_conditions(subchart, keys, found);
        keys.pop();
    }
}

/// Some switches, by their place in the list of all.
type Set = BTreeSet<usize>;

struct Search<'a> {
    chart: &'a Chart,
    user: &'a Json,
    options: &'a Options,
    switches: &'a [Switch],
    /// The references that need no switch.
    known: BTreeSet<String>,
    /// What was rendered already: the images that are new, or why it does not render.
    renders: BTreeMap<Set, Result<Vec<Image>, String>>,
    is_partial: bool,
}

impl<'a> Search<'a> {
    fn new(
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
    fn renderable_sets(&mut self) -> (Vec<Set>, Vec<(Switch, String)>) {
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

    fn images(&mut self, on: &Set) -> Vec<Image> {
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
    fn smallest(&mut self, reference: &str, within: &Set) -> Set {
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

/// The values that turn a switch on.
fn turned_on(switch: &[String]) -> Map<String, Json> {
    let value = switch.iter().rev().fold(Json::Bool(true), |inner, key| {
        Json::Object(Map::from_iter([(key.clone(), inner)]))
    });
    match value {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn found_in(values: &str, template: &str) -> Found {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("templates")).unwrap();
        let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        file("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n");
        file("values.yaml", values);
        file("templates/x.yaml", template);
        let chart = Chart::read_folder(folder.path()).unwrap();
        search(&chart, &json!({}), &Options::default()).unwrap()
    }

    fn added(found: &Found) -> Vec<(String, Vec<String>)> {
        let added = found.added.iter();
        let mut added: Vec<_> = added
            .map(|(image, switches)| {
                let switches = switches.iter().map(|path| path.join(".")).collect();
                (image.reference.clone(), switches)
            })
            .collect();
        added.sort();
        added
    }

    fn pairs(pairs: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        let text = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        pairs
            .iter()
            .map(|(image, switches)| ((*image).to_owned(), text(switches)))
            .collect()
    }

    #[test]
    fn each_image_has_the_switches_that_it_needs() {
        let found = found_in(
            "a: {enabled: false, b: {install: false}}\nc: {use: false}\nd: {enabled: false}\non: {enabled: true}\n",
            "kind: Pod\nbase: {image: base}\n\
             {{ if .Values.a.enabled }}a: {image: 'a:1'}\n\
             {{ if .Values.a.b.install }}ab: {image: 'ab:1'}{{ end }}{{ end }}\n\
             {{ if and .Values.c.use .Values.d.enabled }}cd: {image: 'cd:1'}{{ end }}\n\
             {{ if .Values.c.use }}c: {image: base}{{ end }}\n",
        );
        assert_eq!(
            added(&found),
            pairs(&[
                ("a:1", &["a.enabled"]),
                ("ab:1", &["a.b.install", "a.enabled"]),
                ("cd:1", &["c.use", "d.enabled"]),
            ])
        );
        assert_eq!(found.images.len(), 1);
        assert!(found.refused.is_empty() && !found.is_partial);
    }

    #[test]
    fn switches_that_fail_or_exclude_each_other_do_not_hide_the_others() {
        let found = found_in(
            "a: {enabled: false}\nb: {enabled: false}\nc: {enabled: false}\nd: {enabled: false}\n",
            "kind: Pod\n\
             {{ if and .Values.a.enabled .Values.b.enabled }}{{ fail \"a or b\" }}{{ end }}\n\
             {{ if .Values.c.enabled }}{{ fail \"c needs more\" }}{{ end }}\n\
             {{ if .Values.a.enabled }}a: {image: 'a:1'}{{ end }}\n\
             {{ if .Values.b.enabled }}b: {image: 'b:1'}{{ end }}\n\
             {{ if and .Values.d.enabled (not .Values.a.enabled) }}d: {image: 'd:1'}{{ end }}\n",
        );
        assert_eq!(
            added(&found),
            pairs(&[
                ("a:1", &["a.enabled"]),
                ("b:1", &["b.enabled"]),
                ("d:1", &["d.enabled"]),
            ])
        );
        let [(switch, reason)] = &found.refused[..] else {
            panic!("{:?}", found.refused);
        };
        assert_eq!(switch.join("."), "c.enabled");
        assert!(reason.contains("c needs more"), "{reason}");
    }

    #[test]
    fn a_chart_without_switches_is_rendered_once() {
        let found = found_in("a: false\nenabled: true\n", "kind: Pod\nspec: {image: x}\n");
        assert_eq!((found.images.len(), found.added.len()), (1, 0));
    }
}
