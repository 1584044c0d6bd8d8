//! Which further images a chart names once its switches are on.
//!
//! A switch is a value of the chart or of a subchart that is `false` and is called `enabled`, `create`,
//! `install`, `force`, `deploy` or `use`, or is a condition or a tag of a subchart. All are set to true together; what
//! does not render so is left out by halving. Each group below one top-level key is tried by itself as well, because one switch can hide
//! what another one adds. For each image that is new, a smallest set of switches is looked for.

mod search;

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::images::Image;
use super::release::{Error, Options, render};
use super::together;
use crate::chart::Chart;
use crate::dependencies::{Enabled, Processed, settle};
use crate::set;
use crate::values::table::Work;
use search::{Search, Set};

/// The names of switches.
pub const NAMES: [&str; 6] = ["enabled", "create", "install", "force", "deploy", "use"];

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
mod tests;
