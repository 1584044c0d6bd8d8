//! One chart, rendered in each of its scenarios with the values that are published.

use std::collections::BTreeSet;

use serde_json::Value;

use helm_chart::chart::Chart;
use helm_chart::render::images::Image;
use helm_chart::render::release::{self, Rendered};
use helm_chart::render::switches::{self, Switch};
use helm_chart::render::{Capabilities, together};
use helm_chart::set;

use crate::inventory::{Installation, Scenario};

use super::Values;
use super::effect::Effects;
use super::proof::{Cause, Failure};

/// The most references that the render of a chart may have; the largest public ones have some fifty.
const MAX_IMAGES: usize = 5_000;

/// The ways in which a chart is installed.
#[derive(Debug, Clone, Default)]
pub struct Installs {
    /// The release's namespace.
    pub namespace: Option<String>,
    /// Each way with all values that the consumer sets.
    pub scenarios: Vec<Scenario>,
    /// Whether the first of them is rendered with the chart's switches on, too.
    pub switches: bool,
}

/// A chart in all its scenarios.
#[derive(Debug, Clone, Default)]
pub struct Renders {
    /// The published values with which it was rendered.
    pub published: Values,
    /// Each scenario with the images that it names, or why it does not render.
    pub scenarios: Vec<(Scenario, Result<Vec<Image>, Failure>)>,
    /// The paths of published values that change nothing in any scenario, nor with the chart's switches on.
    pub without_effect: Vec<String>,
    /// Whether the search for images that switches add ended early.
    pub is_partial: bool,
}

/// The name of the scenarios in which the chart's switches are on. No data file can have it.
pub(super) const SWITCHES_ON: &str = "switches on";

/// Whether there is anything to render.
#[must_use]
pub fn has_templates(chart: &Chart) -> bool {
    let is_library = chart.metadata.kind == "library";
    !is_library && (!chart.templates.is_empty() || chart.subcharts.iter().any(has_templates))
}

/// Renders a chart in all its scenarios, each with the published values on top.
#[must_use]
pub fn render(
    chart: &Chart,
    installs: Installs,
    published: &Values,
    capabilities: &Capabilities,
) -> Renders {
    together(|| render_all(chart, installs, published, capabilities))
}

fn render_all(
    chart: &Chart,
    installs: Installs,
    published: &Values,
    capabilities: &Capabilities,
) -> Renders {
    let options = options(chart, installs.namespace.as_deref(), capabilities);
    let mut renders = Renders {
        published: published.clone(),
        ..Renders::default()
    };
    let mut rendered = Vec::new();
    let mut scenarios = installs.scenarios;
    if let Some(first) = scenarios.first().filter(|_| installs.switches) {
        let found = switches::sets(chart, &over(&first.values, published), &options);
        // Where it does not render as it is, its own render says so.
        let found = found.unwrap_or_default();
        renders.is_partial = found.is_partial;
        let more = with_switches(first, &found.sets);
        scenarios.extend(more);
    }
    for scenario in scenarios {
        let one = One {
            chart,
            options: &options,
            scenario: &scenario,
        };
        let result = one.render(published).and_then(|base| {
            let images = one.stable_images(published, &base)?;
            rendered.push((scenario.values.clone(), base));
            Ok(images)
        });
        renders.scenarios.push((scenario, result));
    }
    // Of a scenario that does not render it is not known what has an effect in it.
    if rendered.len() == renders.scenarios.len() {
        let effects = Effects {
            chart,
            options: &options,
            published,
        };
        let mut paths = effects.missing_in(&rendered);
        let mut scenarios = renders.scenarios.iter().map(|(scenario, _)| scenario);
        let first = scenarios.next().filter(|_| !paths.is_empty());
        let are_on = scenarios.any(|scenario| scenario.name.starts_with(SWITCHES_ON));
        if let Some(first) = first.filter(|_| !are_on) {
            paths = effects.missing_with_switches(paths, &first.values);
        }
        renders.without_effect = paths.iter().map(ToString::to_string).collect();
    }
    renders
}

/// A scenario with each of some sets of switches on.
fn with_switches(scenario: &Scenario, sets: &[Vec<Switch>]) -> Vec<Scenario> {
    let values = Value::Object(scenario.values.clone());
    let each = sets.iter().enumerate().map(|(index, on)| Scenario {
        name: match index {
            0 => SWITCHES_ON.to_owned(),
            _ => format!("{SWITCHES_ON} {}", index + 1),
        },
        values: match switches::switched_on(&values, on) {
            Value::Object(values) => values,
            _ => Values::new(),
        },
    });
    each.collect()
}

impl From<&Installation> for Installs {
    fn from(installation: &Installation) -> Self {
        Self {
            namespace: installation.namespace.clone(),
            scenarios: installation.all(),
            switches: false,
        }
    }
}

impl Renders {
    /// A chart that cannot be rendered in any scenario, and why.
    #[must_use]
    pub fn failed(installs: Installs, published: Values, reason: &str) -> Self {
        let fail = |scenario: Scenario| {
            let failure = Failure {
                scenario: scenario.name.clone(),
                reason: reason.to_owned(),
                cause: Cause::Limit,
            };
            (scenario, Err(failure))
        };
        Self {
            published,
            scenarios: installs.scenarios.into_iter().map(fail).collect(),
            without_effect: Vec::new(),
            is_partial: false,
        }
    }
}

/// How a chart is rendered.
pub(super) fn options(
    chart: &Chart,
    namespace: Option<&str>,
    capabilities: &Capabilities,
) -> release::Options {
    release::Options {
        name: release_name(chart.name()),
        namespace: namespace.unwrap_or("default").to_owned(),
        capabilities: capabilities.clone(),
        ..release::Options::default()
    }
}

/// The values of a scenario with others on top, as Helm reads a file of values.
pub(super) fn over(scenario: &Values, published: &Values) -> Value {
    let mut values = scenario.clone();
    let published = set::as_floats(Value::Object(published.clone()));
    if let Value::Object(published) = published {
        set::merge(&mut values, published);
    }
    Value::Object(values)
}

/// A name for the release that Helm takes, made of the chart's.
fn release_name(chart: &str) -> String {
    let letter = |c: char| {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            c
        } else {
            '-'
        }
    };
    let name: String = chart.chars().map(letter).take(53).collect();
    let name = name.trim_matches('-');
    if name.is_empty() {
        release::Options::default().name
    } else {
        name.to_owned()
    }
}

struct One<'a> {
    chart: &'a Chart,
    options: &'a release::Options,
    scenario: &'a Scenario,
}

impl One<'_> {
    fn render(&self, published: &Values) -> Result<Rendered, Failure> {
        let values = over(&self.scenario.values, published);
        let rendered = release::render(self.chart, &values, self.options);
        rendered.map_err(|error| self.failure(published, &error))
    }

    fn failure(&self, published: &Values, error: &release::Error) -> Failure {
        let mut cause = Cause::of_text(&error.to_string(), error.is_limit());
        if cause == Cause::Chart && !published.is_empty() {
            let bare = over(&self.scenario.values, &Values::new());
            if release::render(self.chart, &bare, self.options).is_ok() {
                cause = Cause::Published;
            }
        }
        Failure {
            scenario: self.scenario.name.clone(),
            reason: error.to_string().trim().to_owned(),
            cause,
        }
    }

    /// The images of a render, if another clock and other keys give the same ones.
    fn stable_images(&self, published: &Values, base: &Rendered) -> Result<Vec<Image>, Failure> {
        let failed = |reason: String, cause: Cause| Failure {
            scenario: self.scenario.name.clone(),
            reason,
            cause,
        };
        let images = base.images();
        if images.len() > MAX_IMAGES {
            let reason = format!("it names more than {MAX_IMAGES} images");
            return Err(failed(reason, Cause::Limit));
        }
        if !base.used_stand_in {
            return Ok(images);
        }
        let options = release::Options {
            stand_in: self.options.stand_in + 1,
            ..self.options.clone()
        };
        let values = over(&self.scenario.values, published);
        let again = release::render(self.chart, &values, &options);
        let again = again.map_err(|error| failed(error.to_string(), Cause::Chart))?;
        let names = |images: &[Image]| -> BTreeSet<String> {
            images.iter().map(|image| image.reference.clone()).collect()
        };
        let (first, second) = (names(&images), names(&again.images()));
        match first.symmetric_difference(&second).next() {
            None => Ok(images),
            Some(image) => {
                let reason = format!(
                    "the image {image} follows from a clock, a key or a random text, so another render names another one"
                );
                Err(failed(reason, Cause::NotRepeatable))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_release_is_one_that_helm_takes() {
        for (chart, name) in [
            ("app", "app"),
            ("My_App.x", "my-app-x"),
            ("_", "release-name"),
            (&"a-".repeat(40), "a-".repeat(27)[..53].trim_matches('-')),
        ] {
            assert_eq!(release_name(chart), name);
        }
    }
}
