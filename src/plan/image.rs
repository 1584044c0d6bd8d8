//! One image of a chart: its name out of the chart, and the overrides that point at its copy.

use serde_json::Value;

use crate::charts::Chart;
use crate::inventory::{ChartSpec, ImageSpec, Origin, Part};
use crate::problem::{Problem, did_you_mean};
use crate::reference::{ImageName, Prefix, repository_path};
use crate::values::{Overrides, Path};
use crate::yaml::template_text;

/// A part of an image's name with the places where its override goes.
struct Found {
    text: String,
    /// The values path, complete, where the chart reads it.
    path: Option<Path>,
}

struct Reader<'a> {
    spec: &'a ChartSpec,
    image: &'a ImageSpec,
    chart: &'a Chart,
    problems: Vec<Problem>,
}

/// Finds out an image's name and writes the overrides for it.
///
/// # Errors
/// Everything that is wrong with this image.
pub(super) fn plan(
    spec: &ChartSpec,
    image: &ImageSpec,
    chart: &Chart,
    prefix: &Prefix,
    overrides: &mut Overrides,
) -> Result<ImageName, Vec<Problem>> {
    let mut reader = Reader {
        spec,
        image,
        chart,
        problems: Vec::new(),
    };
    let registry = match &image.registry {
        Some(part) => reader.part(part, "registry"),
        None => Some(None),
    };
    let repository = reader.part(&image.repository, "repository");
    let tag = match &image.tag {
        Some(part) => reader.tag(part),
        None => Some(None),
    };
    let (Some(registry), Some(repository), Some(tag)) = (registry, repository, tag) else {
        return Err(reader.problems);
    };
    let Some(repository) = repository else {
        reader.complain(
            &image.repository,
            "the chart's value for the repository is empty",
        );
        return Err(reader.problems);
    };

    let mut text = String::new();
    for (part, mark) in [(&registry, "/"), (&Some(&repository).map(clone), "")] {
        if let Some(part) = part {
            text.push_str(&part.text);
            text.push_str(mark);
        }
    }
    if let Some(tag) = &tag {
        let last = repository.text.rsplit('/').next().unwrap_or_default();
        if last.contains([':', '@']) {
            let what = format!(
                "the repository `{}` has a tag or digest already, and the image has the tag `{}`",
                repository.text, tag.text
            );
            reader.complain(&image.repository, &what);
            return Err(reader.problems);
        }
        text.push(':');
        text.push_str(&tag.text);
    }
    let name = match text.parse::<ImageName>() {
        Ok(name) => name,
        Err(error) => {
            reader.complain(&image.repository, &error.to_string());
            return Err(reader.problems);
        }
    };

    // Where the chart keeps the registry apart, the prefix goes there and the repository stays.
    let repository_value = match &registry {
        Some(_) => repository.text.clone(),
        None => prefix.join(&path_of(&repository.text)),
    };
    let registry_value = registry
        .as_ref()
        .map(|registry| prefix.join(&repository_path(&registry.text)));
    let writes = [
        registry
            .as_ref()
            .and_then(|registry| registry.path.clone())
            .zip(registry_value),
        repository.path.clone().map(|path| (path, repository_value)),
        tag.and_then(|tag| Some((tag.path?, tag.text))),
    ];
    for (path, text) in writes.into_iter().flatten() {
        reader.write(overrides, &path, &text);
    }
    for removal in &image.remove {
        if let Some(path) = reader.place(&removal.path, removal.subchart.as_deref()) {
            reader.write(overrides, &path, "");
        }
    }
    if reader.problems.is_empty() {
        Ok(name)
    } else {
        Err(reader.problems)
    }
}

fn clone(found: &Found) -> Found {
    Found {
        text: found.text.clone(),
        path: found.path.clone(),
    }
}

/// A repository's value at the target: the whole name, with its tag where it has one, as the target
/// names it.
fn path_of(repository: &str) -> String {
    repository
        .parse::<ImageName>()
        .map_or_else(|_| repository.to_owned(), |name| name.target())
}

impl Reader<'_> {
    fn chart_text(&self) -> String {
        format!("{} {}", self.spec.name, self.chart.version)
    }

    fn complain(&mut self, part: &Part, what: &str) {
        let what = format!("{} ({})", what, self.chart_text());
        self.problems
            .push(Problem::input(part.place.as_str(), what));
    }

    /// Registry or repository: `None` when it cannot be had, `Some(None)` when the chart's value is
    /// empty.
    fn part(&mut self, part: &Part, field: &str) -> Option<Option<Found>> {
        let (value, path) = match &part.origin {
            Origin::Fixed(name) => {
                if part.replacement.is_some() {
                    let what = format!(
                        "the {field} is fixed, the chart has no value for it: an override could not have an effect"
                    );
                    self.complain(part, &what);
                    return None;
                }
                return Some(Some(Found {
                    text: name.clone(),
                    path: None,
                }));
            }
            Origin::Values {
                path,
                subchart,
                prefix,
            } => {
                let (text, place) = self.value(part, path, subchart.as_deref(), field)?;
                (text.map(|text| format!("{prefix}{text}")), Some(place))
            }
            Origin::Metadata {
                path,
                subchart,
                prefix,
                set,
            } => {
                let text = self.metadata(part, path, subchart.as_deref(), field)?;
                let place = self.set_path(part, set.as_ref(), subchart.as_deref(), field)?;
                (Some(format!("{prefix}{text}")), place)
            }
        };
        let text = part.replacement.clone().or(value);
        Some(text.map(|text| Found { text, path }))
    }

    /// A tag: an empty one in the chart's values means the chart's appVersion, as charts themselves
    /// have it.
    fn tag(&mut self, part: &Part) -> Option<Option<Found>> {
        if let (
            Origin::Values {
                path,
                subchart,
                prefix,
            },
            None,
        ) = (&part.origin, &part.replacement)
        {
            let (text, place) = self.value(part, path, subchart.as_deref(), "tag")?;
            let text = match text {
                Some(text) => text,
                None => self.metadata(part, &app_version(), subchart.as_deref(), "tag")?,
            };
            return Some(Some(Found {
                text: format!("{prefix}{text}"),
                path: Some(place),
            }));
        }
        self.part(part, "tag")
    }

    /// Where an override of what Chart.yaml says goes; `Some(None)` where there is no override.
    fn set_path(
        &mut self,
        part: &Part,
        set: Option<&Path>,
        subchart: Option<&str>,
        field: &str,
    ) -> Option<Option<Path>> {
        if part.replacement.is_none() {
            return Some(None);
        }
        let Some(set) = set else {
            let problem = Problem::input(
                part.place.as_str(),
                format!(
                    "the {field} is read from Chart.yaml, where an override has no effect ({})",
                    self.chart_text()
                ),
            );
            self.problems.push(problem.remedy(format!(
                "add `set: <values path>` to images.{}.{field}: the path where the chart takes it, such as image.tag",
                self.image.key
            )));
            return None;
        };
        self.place(set, subchart).map(Some)
    }

    /// A text of the values with its complete path; `None` for an empty or null one.
    fn value(
        &mut self,
        part: &Part,
        path: &Path,
        subchart: Option<&str>,
        field: &str,
    ) -> Option<(Option<String>, Path)> {
        let place = self.place(path, subchart)?;
        let (values, _) = self.side(subchart)?;
        let Some(value) = path.get(&values) else {
            // An override needs no value to be there.
            if part.replacement.is_some() {
                return Some((None, place));
            }
            let below = subchart
                .map(|subchart| format!(" of its subchart {subchart}"))
                .unwrap_or_default();
            let what = format!(
                "{} has no value `{path}`{below} for the {field}",
                self.chart_text()
            );
            let problem = Problem::input(part.place.as_str(), what);
            let all = Path::all(&values);
            self.problems.push(
                match did_you_mean(&path.to_string(), all.iter().map(String::as_str)) {
                    Some(near) => problem.remedy(near),
                    None => problem,
                },
            );
            return None;
        };
        match value {
            Value::Null => Some((None, place)),
            Value::Object(_) | Value::Array(_) => {
                let kind = if value.is_object() {
                    "a mapping"
                } else {
                    "a list"
                };
                let what = format!(
                    "{} has {kind} at `{path}`, a text is needed for the {field}",
                    self.chart_text()
                );
                let problem = Problem::input(part.place.as_str(), what);
                let below = Path::all(value);
                let below: Vec<String> = below
                    .iter()
                    .take(8)
                    .map(|inner| format!("{path}.{inner}"))
                    .collect();
                self.problems
                    .push(problem.remedy(format!("below it: {}", below.join(", "))));
                None
            }
            scalar => Some((template_text(scalar).filter(|text| !text.is_empty()), place)),
        }
    }

    /// A text of Chart.yaml.
    fn metadata(
        &mut self,
        part: &Part,
        path: &Path,
        subchart: Option<&str>,
        field: &str,
    ) -> Option<String> {
        let (_, metadata) = self.side(subchart)?;
        let text = path
            .get(&metadata)
            .and_then(template_text)
            .filter(|text| !text.is_empty());
        if text.is_none() {
            let what = format!(
                "{} has no `{path}` in its Chart.yaml for the {field}",
                self.chart_text()
            );
            self.problems
                .push(Problem::input(part.place.as_str(), what));
        }
        text
    }

    /// The values and the metadata of the chart or of a subchart.
    fn side(&self, subchart: Option<&str>) -> Option<(Value, Value)> {
        let Some(alias) = subchart else {
            return Some((self.chart.values.clone(), self.chart.metadata.clone()));
        };
        let wanted = self
            .spec
            .subcharts
            .iter()
            .find(|subchart| subchart.alias == alias)?;
        self.chart
            .subchart(wanted)
            .map(|sub| (sub.values, sub.metadata))
    }

    /// A path from the top of the chart's values.
    fn place(&mut self, path: &Path, subchart: Option<&str>) -> Option<Path> {
        let Some(alias) = subchart else {
            return Some(path.clone());
        };
        let wanted = self
            .spec
            .subcharts
            .iter()
            .find(|subchart| subchart.alias == alias)?;
        if let Some(sub) = self.chart.subchart(wanted) {
            return Some(path.below(&sub.key));
        }
        let what = format!("{} has no subchart `{}`", self.chart_text(), wanted.name);
        let known: Vec<&str> = self.chart.subchart_names().collect();
        let problem = Problem::input(self.image.place.as_str(), what);
        self.problems.push(problem.remedy(format!(
            "it has: {}",
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        )));
        None
    }

    fn write(&mut self, overrides: &mut Overrides, path: &Path, text: &str) {
        if let Err(conflict) = overrides.write(path, text, &self.chart.values) {
            let what = format!(
                "`{path}` would need the value `{text}`, but another image of {} needs `{}` at `{}`",
                self.chart_text(),
                conflict.text,
                conflict.path
            );
            self.problems
                .push(Problem::input(self.image.place.as_str(), what));
        }
    }
}

fn app_version() -> Path {
    "appVersion".parse().expect("a valid path")
}
