//! The images of a chart.

use crate::problem::{Problem, did_you_mean};
use helm_chart::values::Path;

use super::file::{DataReader, Entry};
use super::install::is_auto;
use super::merge::Stack;
use super::{ImageSpec, Origin, Part, Removal, Subchart, keys};

/// The most images of one chart. The largest public ones have some twenty.
const MAX_IMAGES: usize = 1_000;

/// The keys among the images that are none, but say that there are more.
const DISCOVERY: [&str; 2] = ["auto", "switches"];

impl DataReader {
    pub(super) fn images(&mut self, layers: &Stack<'_>, subcharts: &[Subchart]) -> Vec<ImageSpec> {
        let sections: Vec<Entry<'_>> = layers
            .below("images")
            .0
            .iter()
            .filter(|section| !is_auto(section))
            .filter_map(|section| self.mapping(section))
            .collect();
        let images = Stack(sections);
        let sections: Vec<Entry<'_>> = layers
            .below("replication")
            .0
            .iter()
            .filter_map(|section| self.mapping(section))
            .collect();
        let replication = Stack(sections);
        self.warn_of_nulls(&images.0);
        let mut names = images.names();
        names.retain(|name| !DISCOVERY.contains(&name.as_str()));
        if let (true, Some(place)) = (names.len() > MAX_IMAGES, layers.last()) {
            let what = format!("the chart has more than {MAX_IMAGES} images");
            self.problems.push(Problem::input(place.place(), what));
            return Vec::new();
        }
        for stray in replication
            .0
            .iter()
            .flat_map(Entry::entries)
            .filter(|entry| !names.iter().any(|n| n == entry.name()))
        {
            let problem = Problem::input(
                stray.place(),
                format!("the chart has no image `{}` to override", stray.name()),
            );
            let near = did_you_mean(stray.name(), names.iter().map(String::as_str));
            let known = format!(
                "images: {}",
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                }
            );
            self.problems.push(problem.remedy(near.unwrap_or(known)));
        }
        names
            .iter()
            .filter_map(|key| {
                self.image(key, &images.below(key), &replication.below(key), subcharts)
            })
            .collect()
    }

    fn image(
        &mut self,
        key: &str,
        layers: &Stack<'_>,
        replication: &Stack<'_>,
        subcharts: &[Subchart],
    ) -> Option<ImageSpec> {
        let place = layers.last()?.place();
        let layers = Stack(
            layers
                .0
                .iter()
                .filter_map(|layer| self.mapping(layer))
                .collect(),
        );
        self.check_keys(&layers.0, keys::IMAGE);
        let replication = Stack(
            replication
                .0
                .iter()
                .filter_map(|layer| self.mapping(layer))
                .collect(),
        );
        for stray in replication.0.iter().flat_map(Entry::entries) {
            if !["registry", "repository", "tag"].contains(&stray.name()) {
                let what = "only registry, repository and tag of an image can be overridden";
                self.problems.push(Problem::input(stray.place(), what));
            } else if layers.below(stray.name()).last().is_none() {
                let what = format!(
                    "the image has no `{}`, so it cannot be overridden",
                    stray.name()
                );
                self.problems.push(Problem::input(stray.place(), what));
            }
        }
        let mut part = |field: &str| {
            let entry = layers.below(field).last().cloned()?;
            let replacement = replication.below(field).last().cloned();
            let replacement =
                replacement.and_then(|entry| Some((self.text_or_null(&entry)?, entry.place())));
            self.part(&entry, replacement, subcharts)
        };
        let (registry, tag) = (part("registry"), part("tag"));

        let has_repository = layers.below("repository").last().is_some();
        let repository = part("repository");
        let also = layers.below("tag").last().and_then(|tag| tag.get("also"));
        if let Some(also) = also {
            let what = "`also` belongs to a registry or a repository, not to a tag";
            self.problems.push(Problem::input(also.place(), what));
        }
        if !has_repository {
            let problem = Problem::input(place.as_str(), "the image has no `repository`");
            let remedy = "say where it comes from, or spell the image's key as default.yaml does";
            self.problems.push(problem.remedy(remedy));
        }
        let removals = layers.below("remove").last().cloned();
        let remove = removals.map_or_else(Vec::new, |entry| {
            let entries = if entry.items().is_empty() {
                vec![entry]
            } else {
                entry.items()
            };
            entries
                .iter()
                .filter_map(|entry| self.removal(entry, subcharts))
                .collect()
        });
        Some(ImageSpec {
            key: key.to_owned(),
            registry,
            repository: repository?,
            tag,
            remove,
            place,
        })
    }

    fn part(
        &mut self,
        entry: &Entry<'_>,
        replacement: Option<(String, String)>,
        subcharts: &[Subchart],
    ) -> Option<Part> {
        let entry = &self.mapping(entry)?;
        self.check_keys(std::slice::from_ref(entry), keys::PART);
        let (place, replacement) = match replacement {
            Some((text, place)) => (place, Some(text)),
            None => (entry.place(), None),
        };
        if let Some(name) = self.optional_text(entry, "name") {
            let others = ["location", "path", "subchart", "prefix", "suffix", "set"];
            if let Some(other) = others.iter().find_map(|key| entry.get(key)) {
                let what = format!(
                    "`name` is a fixed text, so `{}` beside it has no effect",
                    other.name()
                );
                self.problems
                    .push(Problem::input(other.place(), what).remedy("remove one of the two"));
            }
            return Some(Part {
                origin: Origin::Fixed(name),
                replacement,
                also: self.also(entry),
                place,
            });
        }
        let path = self.path(entry, "path");
        let set = entry.get("set").and_then(|_| self.path(entry, "set"));
        let subchart = self.subchart(entry, subcharts);
        let prefix = self.optional_text(entry, "prefix").unwrap_or_default();
        let suffix = self.optional_text(entry, "suffix").unwrap_or_default();
        let location = self.optional_text(entry, "location");
        if location.as_deref() == Some("chart")
            && let Some(suffix) = entry.get("suffix")
        {
            let what = "`suffix` belongs to a value, behind which the chart's template puts it";
            self.problems.push(Problem::input(suffix.place(), what));
        }
        let origin = match location.as_deref() {
            Some("values") if entry.get("set").is_some() => {
                let what = "`set` belongs to a tag that is read from the chart; here the override goes to `path`";
                self.problems.push(Problem::input(entry.place(), what));
                return None;
            }
            Some("values") => Origin::Values {
                path: path?,
                subchart,
                prefix,
                suffix,
            },
            Some("chart") => Origin::Metadata {
                path: path?,
                subchart,
                prefix,
                set,
            },
            _ => {
                let what = location.map_or_else(
                    || "there is no `location`, and no fixed `name`".to_owned(),
                    |other| {
                        format!("`location` is `{other}`, which is neither `values` nor `chart`")
                    },
                );
                let remedy =
                    "write {location: values, path: …}, {location: chart, path: …} or {name: …}";
                self.problems
                    .push(Problem::input(entry.place(), what).remedy(remedy));
                return None;
            }
        };
        Some(Part {
            origin,
            replacement,
            also: self.also(entry),
            place,
        })
    }

    fn removal(&mut self, entry: &Entry<'_>, subcharts: &[Subchart]) -> Option<Removal> {
        let entry = &self.mapping(entry)?;
        self.check_keys(std::slice::from_ref(entry), keys::REMOVAL);
        let path = self.path(entry, "path");
        Some(Removal {
            subchart: self.subchart(entry, subcharts),
            path: path?,
        })
    }

    pub(super) fn path(&mut self, parent: &Entry<'_>, key: &str) -> Option<Path> {
        if self.optional_text(parent, key).is_none() {
            self.problems.push(Problem::input(
                parent.place(),
                format!("`{key}` is missing"),
            ));
            return None;
        }
        self.path_of(&parent.get(key)?)
    }

    /// A path of values.
    pub(super) fn path_of(&mut self, entry: &Entry<'_>) -> Option<Path> {
        let text = self.text_or_null(entry)?;
        let text = text.trim();
        let refused = |what: String| Problem::input(entry.place(), what);
        let path: Path = text
            .parse()
            .map_err(|what: String| self.problems.push(refused(what)))
            .ok()?;
        // Paths become keys of the values that are published, and other programs merge those.
        if path.segments().any(|part| part == "__proto__") {
            let what = format!("`{text}` is not a path of values: values cannot have `__proto__`");
            self.problems.push(refused(what));
            return None;
        }
        let is_plain = path.segments().all(|part| self.is_word(part, entry));
        is_plain.then_some(path)
    }

    /// The alias of the subchart that an entry names; one that the chart does not list is a problem.
    fn subchart(&mut self, entry: &Entry<'_>, subcharts: &[Subchart]) -> Option<String> {
        let name = self.optional_text(entry, "subchart")?;
        let known = subcharts
            .iter()
            .find(|subchart| subchart.alias == name)
            .or_else(|| subcharts.iter().find(|subchart| subchart.name == name));
        // A subchart's subchart is behind a dot.
        let nested = || {
            let (head, rest) = name.split_once('.')?;
            let is_head = |subchart: &&Subchart| subchart.alias == head || subchart.name == head;
            let head = subcharts.iter().find(is_head)?;
            Some(format!("{}.{rest}", head.alias))
        };
        let alias = known.map(|subchart| subchart.alias.clone()).or_else(nested);
        if alias.is_none() {
            let listed: Vec<&str> = subcharts
                .iter()
                .map(|subchart| subchart.alias.as_str())
                .collect();
            let listed = if listed.is_empty() {
                "none".to_owned()
            } else {
                listed.join(", ")
            };
            let what = format!("the subchart `{name}` is not listed under the chart's `subcharts`");
            self.problems
                .push(Problem::input(entry.place(), what).remedy(format!("listed: {listed}")));
        }
        alias
    }
}

impl ImageSpec {
    /// Says of it and its parts where they come from, for messages.
    pub(crate) fn set_place(&mut self, place: &str) {
        let parts = self.registry.iter_mut().chain([&mut self.repository]);
        for part in parts.chain(&mut self.tag) {
            place.clone_into(&mut part.place);
        }
        place.clone_into(&mut self.place);
    }

    /// The aliases of the subcharts that it refers to.
    pub(crate) fn subcharts(&self) -> impl Iterator<Item = &String> {
        let parts = self
            .registry
            .iter()
            .chain([&self.repository])
            .chain(&self.tag);
        let of_parts = parts.filter_map(|part| match &part.origin {
            Origin::Fixed(_) => None,
            Origin::Values { subchart, .. } | Origin::Metadata { subchart, .. } => {
                subchart.as_ref()
            }
        });
        let of_removals = self.remove.iter();
        of_parts.chain(of_removals.filter_map(|removal| removal.subchart.as_ref()))
    }
}

/// The subcharts' subcharts that images refer to and that are not listed themselves.
pub(super) fn nested_subcharts(images: &[ImageSpec], listed: &[Subchart]) -> Vec<Subchart> {
    let mut nested: Vec<Subchart> = Vec::new();
    for alias in images.iter().flat_map(ImageSpec::subcharts) {
        if !listed
            .iter()
            .chain(&nested)
            .any(|known| known.alias == *alias)
        {
            let (name, alias) = (alias.clone(), alias.clone());
            nested.push(Subchart { name, alias });
        }
    }
    nested
}
