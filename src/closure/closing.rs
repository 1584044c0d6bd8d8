//! How the gaps of a chart can be closed: which values set them, found by rendering with markers.

use serde_json::Value;

use helm_chart::chart::Chart;
use helm_chart::discover::{self, Discovery, MovedImage};
use helm_chart::render::Capabilities;
use helm_chart::values::Path;

use oci_copy::reference::ImageName;

use crate::inventory::{ChartSpec, ImageSpec, Origin, Part};
use crate::reference::Prefix;

use super::proof::{ChartProof, State};
use super::render::{options, over};
use super::{Coverage, Values, origin};

/// What closes gaps of a chart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Closing {
    /// Images to copy.
    images: Vec<String>,
    /// Values to publish besides.
    values: Values,
}

impl Closing {
    /// Whether nothing can be closed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Adds images and values to what the data file says of the chart.
    pub fn add_to(&self, spec: &mut ChartSpec) {
        helm_chart::set::merge(&mut spec.overrides, self.values.clone());
        for image in &self.images {
            spec.images.push(ImageSpec {
                key: image.clone(),
                registry: None,
                repository: Part {
                    origin: Origin::Fixed(image.clone()),
                    replacement: None,
                    also: Vec::new(),
                    place: format!("{}: {image}, which closes a gap", spec.place),
                },
                tag: None,
                remove: Vec::new(),
                place: format!("{}: {image}, which closes a gap", spec.place),
            });
        }
    }
}

impl std::fmt::Display for Closing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "copying {}", self.images.join(", "))?;
        let values = Value::Object(self.values.clone());
        let paths: Vec<String> = Path::leaves(&values)
            .iter()
            .map(ToString::to_string)
            .collect();
        if paths.is_empty() {
            return Ok(());
        }
        write!(f, " and setting {}", paths.join(", "))
    }
}

/// Finds the values that set the gaps of a chart, notes them in the proof, and says what closes them.
/// `published` are the values with which it was rendered.
pub fn explain(
    proof: &mut ChartProof,
    chart: &Chart,
    published: &Values,
    capabilities: &Capabilities,
    (coverage, prefix): (&Coverage, &Prefix),
) -> Closing {
    let options = options(chart, proof.namespace.as_deref(), capabilities);
    let mut closing = Closing::default();
    let gaps: Vec<String> = proof
        .gaps()
        .filter(|gap| gap.state == State::Gap)
        .map(|gap| gap.image.clone())
        .collect();
    if !gaps.is_empty() {
        let scenarios = proof.scenarios.iter();
        let scenarios: Vec<Value> = scenarios.map(|one| over(&one.values, published)).collect();
        let target = |reference: &str| {
            let name: ImageName = reference.parse().ok()?;
            let is_gap = gaps.iter().any(|gap| is_of(gap, reference));
            is_gap.then(|| coverage.inward(&prefix.join(&name.target())))
        };
        let request = discover::Request {
            chart,
            scenarios: &scenarios,
            options: &options,
            switches: false,
            target: &target,
        };
        if let Ok(discovery) = discover::discover(&request) {
            record_discovery(proof, &discovery);
            let moved = discovery.images.iter();
            let moved = moved.filter(|moved| gaps.iter().any(|gap| is_of(gap, &moved.reference)));
            closing.images = moved.map(|moved| moved.reference.clone()).collect();
            if !closing.images.is_empty() {
                closing.values = coverage.outward_values(discovery.values);
            }
        }
    }
    // What an override made of an image: the same name without the prefix is its source.
    let below = proof.references.iter_mut();
    for gap in below.filter(|reference| reference.state == State::NotAtTarget) {
        gap.set_by = origin::of(chart, &proof.scenarios, gap, published, &options, coverage);
        let source = gap.image.strip_prefix(&prefix.to_string());
        let source = source.and_then(|source| source.parse::<ImageName>().ok());
        let is_source =
            |name: &ImageName| name.registry.is_some() && prefix.join(&name.target()) == gap.image;
        closing
            .images
            .extend(source.filter(is_source).map(|name| name.to_string()));
    }
    closing
}

/// Whether a gap is a reference that discovery names: without its digest, where that becomes empty.
fn is_of(gap: &str, reference: &str) -> bool {
    let rest = gap.strip_prefix(reference);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
}

/// Notes what was found out of each gap.
fn record_discovery(proof: &mut ChartProof, discovery: &Discovery) {
    for gap in &mut proof.references {
        if gap.state != State::Gap {
            continue;
        }
        let moved = discovery.images.iter();
        let moved = moved.filter(|moved| is_of(&gap.image, &moved.reference));
        gap.set_by = moved.flat_map(paths).collect();
        gap.set_by.dedup();
        let unmoved = discovery.unmoved.iter();
        let mut unmoved = unmoved.filter(|unmoved| is_of(&gap.image, &unmoved.reference));
        gap.reason = unmoved.next().map(|unmoved| unmoved.reason.to_string());
    }
}

/// The paths of the values that an image's reference is made of.
fn paths(moved: &MovedImage) -> Vec<String> {
    let sources = [&moved.registry, &Some(moved.repository.clone()), &moved.tag];
    let places = sources
        .into_iter()
        .flatten()
        .filter_map(|source| source.place());
    places.map(ToString::to_string).collect()
}
