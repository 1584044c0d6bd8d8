//! Chart -> images as data files list them, found by rendering. Pure.

mod fragment;

use std::collections::BTreeSet;

use serde_json::Value;

use helm_chart::chart::Chart;
use helm_chart::discover::{self, Discovery, MovedImage, PartSource, Request, ValuePath};
use helm_chart::render::Capabilities;
use helm_chart::render::release::{Error, Options};
use helm_chart::set;
use helm_chart::values::Path;

use crate::inventory::{
    ChartSpec, ImageSpec, Installation, Origin, Part, Pattern, Removal, Subchart,
};
use crate::reference::Prefix;
use oci_copy::reference::ImageName;

pub use fragment::Fragment;

/// The prefix of targets where the real one cannot stand in a rendered reference.
const PREFIX: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com/project-";

/// How a chart is searched for its images.
#[derive(Debug, Clone)]
pub struct Search {
    /// How it is installed.
    pub installation: Installation,
    /// What the cluster can do.
    pub capabilities: Capabilities,
    /// Whether images count that only switches add.
    pub switches: bool,
    /// The references that stay as they are.
    pub allow: Vec<Pattern>,
}

/// The images of a chart as a data file lists them.
#[derive(Debug, Clone)]
pub struct Found {
    /// What was found, with reasons for what is not moved.
    pub discovery: Discovery,
    /// The images, each with a key of its own; in the order of `discovery`.
    pub images: Vec<ImageSpec>,
    /// The subcharts that they refer to.
    pub subcharts: Vec<Subchart>,
}

/// Finds the images of a chart that was read whole. The same chart always gives the same images.
///
/// # Errors
/// When the chart renders in none of its scenarios.
pub fn find(chart: &Chart, search: &Search, prefix: Option<&Prefix>) -> Result<Found, Error> {
    let options = Options {
        namespace: search
            .installation
            .namespace
            .clone()
            .unwrap_or_else(|| Options::default().namespace),
        capabilities: search.capabilities.clone(),
        ..Options::default()
    };
    find_with(chart, search, &options, prefix)
}

/// Like [`find`], rendered with other options.
///
/// # Errors
/// As [`find`].
pub fn find_with(
    chart: &Chart,
    search: &Search,
    options: &Options,
    prefix: Option<&Prefix>,
) -> Result<Found, Error> {
    let scenarios = search.installation.all().into_iter();
    let scenarios: Vec<Value> = scenarios
        .map(|scenario| Value::Object(scenario.values))
        .collect();
    // A folder is not a registry: the values are found with one in its place.
    let prefix = match prefix {
        None | Some(Prefix::Layout { .. }) => PREFIX.to_owned(),
        Some(prefix @ (Prefix::Ecr { .. } | Prefix::Registry { .. })) => prefix.to_string(),
    };
    let target = |reference: &str| {
        let name: ImageName = reference.parse().ok()?;
        let may_stay = search.allow.iter().any(|pattern| pattern.covers(reference));
        (!may_stay && !reference.starts_with(&prefix)).then(|| format!("{prefix}{}", name.target()))
    };
    let request = Request {
        chart,
        scenarios: &scenarios,
        options,
        switches: search.switches,
        target: &target,
    };
    Ok(Found::new(discover::discover(&request)?))
}

impl Found {
    fn new(discovery: Discovery) -> Self {
        let mut keys = BTreeSet::new();
        let images: Vec<ImageSpec> = discovery
            .images
            .iter()
            .map(|image| spec(image, key(image, &mut keys)))
            .collect();
        let mut aliases: Vec<String> = Vec::new();
        for alias in images.iter().flat_map(ImageSpec::subcharts) {
            if !aliases.contains(alias) {
                aliases.push(alias.clone());
            }
        }
        let subchart = |alias: String| Subchart {
            name: alias.clone(),
            alias,
        };
        Self {
            subcharts: aliases.into_iter().map(subchart).collect(),
            images,
            discovery,
        }
    }

    /// What is not moved, and why the search may have missed something, each in one line.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let unmoved = self.discovery.unmoved.iter();
        let unmoved = unmoved.map(|unmoved| {
            let used = fragment::used(unmoved);
            format!("{used} is not moved: {}", unmoved.reason)
        });
        unmoved.chain(self.incomplete()).collect()
    }

    /// Why the search may have missed something, each reason in one line.
    #[must_use]
    pub fn incomplete(&self) -> Vec<String> {
        let failed = self.discovery.failed.iter().map(|(_, error)| {
            let line = error.lines().next().unwrap_or_default();
            format!("a scenario does not render, so its images may be missing: {line}")
        });
        let partial = self.discovery.is_partial.then(|| {
            "the search took too many renders and ended early; images may be missing".to_owned()
        });
        failed.chain(partial).collect()
    }

    /// A chart of a data file with what was found beside the images that it lists, which win.
    #[must_use]
    pub fn beside(&self, spec: &ChartSpec) -> ChartSpec {
        let mut spec = spec.clone();
        let listed =
            |spec: &ChartSpec, alias: &str| spec.subcharts.iter().any(|known| known.alias == alias);
        for subchart in &self.subcharts {
            if !listed(&spec, &subchart.alias) {
                spec.subcharts.push(subchart.clone());
            }
        }
        let mut overrides = self.discovery.required.clone();
        set::merge(&mut overrides, spec.overrides);
        spec.overrides = overrides;
        let placed = self.images.iter().cloned().map(|mut image| {
            image.set_place(&spec.place);
            image
        });
        spec.found = placed.collect();
        spec
    }
}

/// A key for an image: the last part of its repository, with more in front where that is taken.
fn key(image: &MovedImage, keys: &mut BTreeSet<String>) -> String {
    let name = image.reference.split('@').next().unwrap_or_default();
    let mut parts: Vec<&str> = name.split('/').collect();
    let last = parts.pop().unwrap_or_default();
    let last = last.split(':').next().unwrap_or_default();
    let place = image
        .repository
        .place()
        .or(image.registry.as_ref().and_then(PartSource::place));
    let place = place.map(ValuePath::to_string).unwrap_or_default();
    let word = |text: &str| {
        let letter = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        };
        let mut word = String::new();
        for c in text.chars() {
            // `webhooksCleanup` is `webhooks_cleanup`.
            if c.is_ascii_uppercase() && !word.is_empty() && !word.ends_with('_') {
                word.push('_');
            }
            word.push(letter(c));
        }
        word
    };
    let mut key = word(last);
    if keys.contains(&key) {
        // Where the chart keeps it tells it apart: `webhooks_cleanup_kubectl`.
        let outer = place.split('.').rev().skip(1).find(|part| !is_common(part));
        key = outer.map_or_else(|| key.clone(), |outer| format!("{}_{key}", word(outer)));
    }
    let mut number = 2;
    let plain = key.clone();
    while !keys.insert(key.clone()) {
        key = format!("{plain}_{number}");
        number += 1;
    }
    key
}

fn is_common(part: &str) -> bool {
    ["image", "images", "container", "spec"].contains(&part)
        || part.bytes().all(|byte| byte.is_ascii_digit())
}

fn spec(image: &MovedImage, key: String) -> ImageSpec {
    ImageSpec {
        key,
        registry: image.registry.as_ref().map(part),
        repository: part(&image.repository),
        tag: image.tag.as_ref().map(part),
        remove: image
            .remove
            .iter()
            .map(|place| Removal {
                path: place.path.clone(),
                subchart: alias(&place.subchart),
            })
            .collect(),
        place: String::new(),
    }
}

fn part(source: &PartSource) -> Part {
    let (origin, also) = match source {
        PartSource::Value { place, suffix } => (
            Origin::Values {
                path: place.path.clone(),
                subchart: alias(&place.subchart),
                prefix: String::new(),
                suffix: suffix.clone(),
            },
            Vec::new(),
        ),
        PartSource::Default { text, place } => (
            Origin::Fixed(text.clone()),
            vec![place.path.below(&place.subchart)],
        ),
        PartSource::AppVersion {
            subchart,
            prefix,
            place,
        } => (
            Origin::Metadata {
                path: Path::from_parts(vec!["appVersion".to_owned()]),
                subchart: alias(subchart),
                prefix: prefix.clone(),
                set: place.as_ref().map(|place| place.path.clone()),
            },
            Vec::new(),
        ),
        PartSource::Text(text) => (Origin::Fixed(text.clone()), Vec::new()),
    };
    Part {
        origin,
        replacement: None,
        also,
        place: String::new(),
    }
}

fn alias(keys: &[String]) -> Option<String> {
    (!keys.is_empty()).then(|| keys.join("."))
}
