//! What the data files say of charts and images, as types.

use std::path::PathBuf;

use helm_chart::set;
use helm_chart::values::Path;
use serde_json::{Map, Value};
use url::Url;

use oci_copy::reference::{ImageName, Location};

use super::Pattern;

/// One chart to replicate.
#[derive(Debug, Clone)]
pub struct ChartSpec {
    /// Its key in the data files and in the result.
    pub key: String,
    /// The chart's own name.
    pub name: String,
    /// Where charts of its repository are.
    pub repository: ChartRepository,
    /// The repository as the data file writes it, without what can be a secret in it.
    pub repository_text: String,
    /// The pinned version.
    pub version: String,
    /// Subcharts that images refer to.
    pub subcharts: Vec<Subchart>,
    /// The images to replicate with it.
    pub images: Vec<ImageSpec>,
    /// Images that were found by rendering, and that `images` does not list. Those of `images` win.
    pub found: Vec<ImageSpec>,
    /// `images: auto`: further images are found by rendering; `None` where only `images` counts.
    pub discovery: Option<Discovery>,
    /// Images that the chart's operator starts by itself.
    pub operator_images: Vec<OperatorImage>,
    /// References that may stay as they are.
    pub allow: Vec<Pattern>,
    /// Values of any type that are published as they are.
    pub overrides: Map<String, Value>,
    /// How it is installed.
    pub installation: Installation,
    /// File and line, for messages.
    pub place: String,
}

/// How a chart is installed: what its consumer sets apart from the published values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Installation {
    /// Values of every scenario, numbers as floats, nulls kept.
    pub values: Map<String, Value>,
    /// Further ways in which it is installed, in order of appearance; none is called `default`.
    pub scenarios: Vec<Scenario>,
    /// The release's namespace.
    pub namespace: Option<String>,
}

/// One way in which a chart is installed.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it sets; in [`Installation::all`] with the values of every scenario below it.
    pub values: Map<String, Value>,
}

impl Scenario {
    /// The name of the scenario that has the values of every scenario alone.
    pub const DEFAULT: &str = "default";
}

impl Installation {
    /// The same with values that win in every scenario, as those do that are published.
    #[must_use]
    pub fn under(&self, published: &Map<String, Value>) -> Self {
        let over = |values: &Map<String, Value>| {
            let floats = published.iter();
            let floats = floats.map(|(key, value)| (key.clone(), set::as_floats(value.clone())));
            let mut values = values.clone();
            set::merge(&mut values, floats.collect());
            values
        };
        Self {
            values: over(&self.values),
            scenarios: self
                .scenarios
                .iter()
                .map(|scenario| Scenario {
                    name: scenario.name.clone(),
                    values: over(&scenario.values),
                })
                .collect(),
            namespace: self.namespace.clone(),
        }
    }

    /// The ways in which the chart is installed, `default` first, each with all its values.
    #[must_use]
    pub fn all(&self) -> Vec<Scenario> {
        let with = |name: &str, over: &Map<String, Value>| {
            let mut values = self.values.clone();
            set::merge(&mut values, over.clone());
            let name = name.to_owned();
            Scenario { name, values }
        };
        let further = self.scenarios.iter();
        std::iter::once(with(Scenario::DEFAULT, &Map::new()))
            .chain(further.map(|scenario| with(&scenario.name, &scenario.values)))
            .collect()
    }
}

/// Which images of a chart are found by rendering it; those that `images` lists are as listed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discovery {
    /// Whether the images that the chart's switches would add are copied too.
    pub switches: bool,
}

/// An image whose name an operator has in its binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorImage {
    /// Its name. Without tag and digest, its tag is the chart's appVersion.
    pub name: ImageName,
    /// The path of the chart's values where the operator is given its registry. It need not exist in
    /// the chart.
    pub registry_path: Option<Path>,
    /// File, line and key, for messages.
    pub place: String,
}

/// Where a chart comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChartRepository {
    /// A classic repository with an `index.yaml`.
    Http(Url),
    /// A registry: `host/path` below which the chart's name is a repository.
    Oci(String),
    /// A chart's folder or archive, or a folder that holds such.
    Path(PathBuf),
    /// A bundle: the chart's artifact in it.
    Bundle(Location),
}

impl ChartRepository {
    /// Its host, with its port; `None` for a path and for a bundle.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        match self {
            Self::Http(url) => {
                let host = url.host_str()?;
                Some(
                    url.port()
                        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
                )
            }
            Self::Oci(path) => path.split('/').next().map(str::to_owned),
            Self::Path(_) | Self::Bundle(_) => None,
        }
    }
}

/// A subchart as images refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subchart {
    /// The subchart's own name: its folder below `charts/`.
    pub name: String,
    /// The key under which the parent's values hold its values.
    pub alias: String,
}

/// One image of a chart: where the parts of its name come from.
#[derive(Debug, Clone)]
pub struct ImageSpec {
    /// Its key below `images`.
    pub key: String,
    /// The registry, where the chart keeps it apart.
    pub registry: Option<Part>,
    /// The repository, or all of the name.
    pub repository: Part,
    /// The tag, where the chart keeps it apart.
    pub tag: Option<Part>,
    /// Values that must become empty, such as a digest that would win over the tag.
    pub remove: Vec<Removal>,
    /// File and line, for messages.
    pub place: String,
}

/// One part of an image's name.
#[derive(Debug, Clone)]
pub struct Part {
    /// Where it comes from.
    pub origin: Origin,
    /// What `replication` wants instead.
    pub replacement: Option<String>,
    /// Further paths of values (within the subchart of the origin) that get what is written for this
    /// part. They need not exist in the chart.
    pub also: Vec<Path>,
    /// File, line and key, for messages.
    pub place: String,
}

impl Part {
    /// What the chart's template puts behind the value.
    #[must_use]
    pub fn suffix(&self) -> &str {
        match &self.origin {
            Origin::Values { suffix, .. } => suffix,
            Origin::Fixed(_) | Origin::Metadata { .. } => "",
        }
    }
}

/// Where a part of an image's name comes from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// The data file names it: `name`.
    Fixed(String),
    /// A path of the chart's values.
    Values {
        /// The path, within the subchart where there is one.
        path: Path,
        /// The subchart's alias.
        subchart: Option<String>,
        /// Text to put in front.
        prefix: String,
        /// Text that the chart's template puts behind the value: part of the name, and not written.
        suffix: String,
    },
    /// A field of the chart's Chart.yaml.
    Metadata {
        /// The path, mostly `appVersion`.
        path: Path,
        /// The subchart's alias.
        subchart: Option<String>,
        /// Text to put in front.
        prefix: String,
        /// The values path (within the subchart) where an override has an effect.
        set: Option<Path>,
    },
}

/// A value that must become empty.
#[derive(Debug, Clone)]
pub struct Removal {
    /// The path, within the subchart where there is one.
    pub path: Path,
    /// The subchart's alias.
    pub subchart: Option<String>,
}

/// An image that no chart names.
#[derive(Debug, Clone)]
pub struct AdditionalImage {
    /// Its key in the data files and in the result.
    pub key: String,
    /// Its name.
    pub name: ImageName,
    /// File, line and key, for messages.
    pub place: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_scenario_lies_over_the_values_of_all() {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let installation = Installation {
            values: map(json!({"cluster": "c", "pod": {"cpu": 1, "memory": 2}})),
            scenarios: vec![Scenario {
                name: "eks".to_owned(),
                values: map(json!({"pod": {"cpu": null}, "region": "r"})),
            }],
            namespace: None,
        };
        let all = installation.all();
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["default", "eks"]);
        assert_eq!(all[0].values, installation.values);
        let expected = json!({"cluster": "c", "pod": {"cpu": null, "memory": 2}, "region": "r"});
        assert_eq!(Value::Object(all[1].values.clone()), expected);
    }
}
