//! One image of a chart: its name out of the chart, and the overrides that point at its copy.

mod chart_text;

use crate::inventory::{ImageSpec, Origin, Part};
use crate::problem::Problem;
use crate::reference::Prefix;
use helm_chart::values::{Overrides, Path};
use oci_copy::reference::{ImageName, repository_path};

use super::context::{Context, Expected, OverridePath, Seen};

/// A part of an image's name.
struct Found {
    text: String,
    /// Where its override goes; `None` where there is none to write.
    path: Option<OverridePath>,
    /// Where else it goes.
    also: Vec<OverridePath>,
    /// The end of the text, which the chart's template puts there.
    suffix: String,
}

impl Found {
    /// What is written for the part, and where.
    fn writes(self, mut value: String) -> impl Iterator<Item = (OverridePath, String)> {
        let length = value.strip_suffix(self.suffix.as_str()).map(str::len);
        value.truncate(length.unwrap_or(value.len()));
        let places = self.path.into_iter().chain(self.also);
        places.map(move |place| (place, value.clone()))
    }
}

/// An error whose problem is recorded already.
struct AlreadyReported;

/// One image on its way into the plan.
struct Planner<'a> {
    context: &'a Context<'a>,
    image: &'a ImageSpec,
    overrides: &'a mut Overrides,
    expected: Vec<Expected>,
    problems: Vec<Problem>,
}

/// Finds out an image's name and writes the overrides for it, which must be seen in the end.
///
/// # Errors
/// Everything that is wrong with this image.
pub(super) fn plan(
    context: &Context<'_>,
    image: &ImageSpec,
    prefix: &Prefix,
    overrides: &mut Overrides,
) -> Result<(ImageName, Vec<Expected>), Vec<Problem>> {
    let mut planner = Planner {
        context,
        image,
        overrides,
        expected: Vec::new(),
        problems: Vec::new(),
    };
    let name = planner.name(prefix);
    for removal in &image.remove {
        if let Ok(seen) = planner.side(removal.subchart.as_deref()) {
            planner.write(&seen.place(&removal.path), "");
        }
    }
    match name {
        Ok(name) if planner.problems.is_empty() => Ok((name, planner.expected)),
        _ => Err(planner.problems),
    }
}

impl<'a> Planner<'a> {
    fn name(&mut self, prefix: &Prefix) -> Result<ImageName, AlreadyReported> {
        let image = self.image;
        // All three are looked at, so that all that is wrong is said at once.
        let registry = image
            .registry
            .as_ref()
            .map_or(Ok(None), |part| self.part(part, "registry"));
        let repository = self.part(&image.repository, "repository");
        let tag = image.tag.as_ref().map_or(Ok(None), |part| self.tag(part));
        let (registry, repository, tag) = (registry?, repository?, tag?);
        let Some(repository) = repository else {
            return Err(self.report(
                &image.repository,
                "the chart's value for the repository is empty",
            ));
        };
        let name = self.join(registry.as_ref(), &repository, tag.as_ref())?;

        // Where the chart keeps the registry apart, the prefix goes there and the repository stays.
        let repository_value = match &registry {
            Some(_) => repository.text.to_lowercase(),
            None => prefix.join(&target_of(&repository.text)),
        };
        let registry = registry.map(|found| {
            let value = prefix.join(&repository_path(&found.text));
            found.writes(value)
        });
        let tag = tag.map(|found| {
            let value = found.text.clone();
            found.writes(value)
        });
        let writes = registry.into_iter().flatten();
        let writes = writes.chain(repository.writes(repository_value));
        for (path, text) in writes.chain(tag.into_iter().flatten()) {
            self.write(&path, &text);
        }
        Ok(name)
    }

    /// Puts the parts of a name together.
    fn join(
        &mut self,
        registry: Option<&Found>,
        repository: &Found,
        tag: Option<&Found>,
    ) -> Result<ImageName, AlreadyReported> {
        let mut text = repository.text.clone();
        if let Some(registry) = registry {
            text = format!("{}/{text}", registry.text);
        }
        if let Some(Found { text: tag, .. }) = tag {
            let last = repository.text.rsplit('/').next().unwrap_or_default();
            if last.contains([':', '@']) {
                let what = format!(
                    "the repository `{}` has a tag or digest already, and the image has the tag `{tag}`",
                    repository.text
                );
                return Err(self.report(&self.image.repository, &what));
            }
            text = format!("{text}:{tag}");
        }
        text.parse()
            .map_err(|error: oci_copy::reference::InvalidName| {
                self.report(&self.image.repository, &error.to_string())
            })
    }

    /// Registry or repository, or a tag that is not read from the values; `None` when the chart's
    /// value is empty.
    fn part(&mut self, part: &Part, field: &str) -> Result<Option<Found>, AlreadyReported> {
        let (value, path) = match &part.origin {
            Origin::Fixed(_) if part.replacement.is_some() => {
                let what = format!(
                    "the {field} is fixed, the chart has no value for it: an override could not have an effect"
                );
                return Err(self.report(part, &what));
            }
            Origin::Fixed(name) => (Some(name.clone()), None),
            Origin::Values {
                path,
                subchart,
                prefix,
                suffix,
            } => {
                let (text, place) = self.value(part, path, subchart.as_deref(), field)?;
                let text = text.map(|text| format!("{prefix}{text}{suffix}"));
                (text, Some(place))
            }
            Origin::Metadata {
                path,
                subchart,
                prefix,
                set,
            } => {
                let text = self.metadata(part, path, subchart.as_deref(), field)?;
                let place = match part.replacement {
                    Some(_) => {
                        Some(self.set_path(part, set.as_ref(), subchart.as_deref(), field)?)
                    }
                    None => None,
                };
                (Some(format!("{prefix}{text}")), place)
            }
        };
        let also = self.also(part)?;
        let suffix = part.suffix();
        let text = part.replacement.clone().or(value);
        if let Some(text) = text.as_ref().filter(|text| !text.ends_with(suffix)) {
            let what = format!(
                "the chart puts `{suffix}` behind the {field}, and `{text}` does not end with it"
            );
            return Err(self.report(part, &what));
        }
        let suffix = suffix.to_owned();
        Ok(text.map(|text| Found {
            text,
            path,
            also,
            suffix,
        }))
    }

    /// A tag: an empty one in the chart's values means the chart's appVersion, as charts themselves
    /// have it.
    fn tag(&mut self, part: &Part) -> Result<Option<Found>, AlreadyReported> {
        let (
            Origin::Values {
                path,
                subchart,
                prefix,
                suffix,
            },
            None,
        ) = (&part.origin, &part.replacement)
        else {
            return self.part(part, "tag");
        };
        let (text, place) = self.value(part, path, subchart.as_deref(), "tag")?;
        let text = match text {
            Some(text) => text,
            None => self.metadata(part, &app_version(), subchart.as_deref(), "tag")?,
        };
        Ok(Some(Found {
            text: format!("{prefix}{text}{suffix}"),
            path: Some(place),
            also: Vec::new(),
            suffix: suffix.clone(),
        }))
    }

    /// The further places of a part's override.
    fn also(&mut self, part: &Part) -> Result<Vec<OverridePath>, AlreadyReported> {
        let subchart = match &part.origin {
            Origin::Fixed(_) => None,
            Origin::Values { subchart, .. } | Origin::Metadata { subchart, .. } => {
                subchart.as_deref()
            }
        };
        let seen = self.side(subchart)?;
        Ok(part.also.iter().map(|path| seen.place(path)).collect())
    }

    /// Where an override of what Chart.yaml says goes.
    fn set_path(
        &mut self,
        part: &Part,
        set: Option<&Path>,
        subchart: Option<&str>,
        field: &str,
    ) -> Result<OverridePath, AlreadyReported> {
        if let Some(set) = set {
            return Ok(self.side(subchart)?.place(set));
        }
        let chart = self.context.text();
        let what = format!(
            "the {field} is read from Chart.yaml, where an override has no effect ({chart})"
        );
        let remedy = format!(
            "add `set: <values path>` to images.{}.{field}: the path where the chart takes it, such as image.tag",
            self.image.key
        );
        self.problems
            .push(Problem::input(part.place.as_str(), what).remedy(remedy));
        Err(AlreadyReported)
    }

    /// The chart, or one of its subcharts.
    fn side(&mut self, subchart: Option<&str>) -> Result<&'a Seen<'a>, AlreadyReported> {
        let context = self.context;
        let Some(alias) = subchart else {
            return Ok(&context.top);
        };
        if let Some(seen) = context.subcharts.get(alias) {
            return Ok(seen);
        }
        let known = match context.subchart_keys.as_slice() {
            [] => "none".to_owned(),
            known => known.join(", "),
        };
        let what = format!("{} has no subchart `{alias}`", context.text());
        let problem =
            Problem::input(self.image.place.as_str(), what).remedy(format!("it has: {known}"));
        // Each part of the image would say it again.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
        Err(AlreadyReported)
    }

    fn write(&mut self, place: &OverridePath, text: &str) {
        let written = self
            .context
            .write(self.overrides, place, text, &self.image.place);
        match written {
            Ok(expected) => self.expected.push(expected),
            Err(problem) => self.problems.push(problem),
        }
    }

    fn report(&mut self, part: &Part, what: &str) -> AlreadyReported {
        let what = format!("{what} ({})", self.context.text());
        self.problems
            .push(Problem::input(part.place.as_str(), what));
        AlreadyReported
    }
}

/// A repository's value at the target: the whole name, with its tag where it has one, as the target
/// names it.
fn target_of(repository: &str) -> String {
    repository
        .parse::<ImageName>()
        .map_or_else(|_| repository.to_owned(), |name| name.target())
}

fn app_version() -> Path {
    "appVersion".parse().expect("a valid path")
}
