//! How a chart is installed, and what of its images the data file says besides `images`.

use std::collections::HashSet;

use helm_chart::set;
use helm_chart::values::Path;
use helm_chart::yaml::{Kind, Scalar};
use serde_json::{Map, Value};

use crate::problem::Problem;
use oci_copy::reference::ImageName;

use super::file::{DataReader, Entry};
use super::merge::Stack;
use super::pattern::Pattern;
use super::{Discovery, Installation, OperatorImage, Scenario, keys};

/// The most scenarios of a chart: each is rendered.
const MAX_SCENARIOS: usize = 32;
/// The most entries of `allow`, `operatorImages`, `also`, `apiVersions` and `trust`.
const MAX_ITEMS: usize = 1_000;

/// What images a chart has that are not written out.
pub(super) struct ImageFlags {
    auto: bool,
    switches: bool,
}

impl DataReader {
    /// The keys of a chart that say how it is installed.
    pub(super) fn installation(&mut self, layers: &Stack<'_>) -> Installation {
        Installation {
            values: self.helm_values(&layers.below("values").0),
            scenarios: self.scenarios(layers),
            namespace: self.namespace(layers),
        }
    }

    fn scenarios(&mut self, layers: &Stack<'_>) -> Vec<Scenario> {
        let sections: Vec<Entry<'_>> = self.mappings_of(&layers.below("scenarios").0);
        self.warn_of_nulls(&sections);
        let sections = Stack(sections);
        let names = sections.names();
        if let (true, Some(place)) = (names.len() > MAX_SCENARIOS, layers.last()) {
            let what = format!("the chart has more than {MAX_SCENARIOS} scenarios");
            self.problems.push(Problem::input(place.place(), what));
            return Vec::new();
        }
        let mut scenarios = Vec::new();
        for name in names {
            let of_name = sections.below(&name);
            let Some(entry) = of_name.last() else {
                continue;
            };
            if name == Scenario::DEFAULT {
                let what = "`default` is the scenario of `values` alone";
                let remedy = "put these values under `values`, or give the scenario another name";
                self.problems
                    .push(Problem::input(entry.place(), what).remedy(remedy));
            } else if self.is_word(&name, entry) {
                let values = self.helm_values(&of_name.0);
                scenarios.push(Scenario { name, values });
            }
        }
        scenarios
    }

    fn namespace(&mut self, layers: &Stack<'_>) -> Option<String> {
        let below = layers.below("namespace");
        let entry = below.last()?;
        let text = self.text_or_null(entry)?;
        let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = (1..=63).contains(&text.len())
            && text.chars().all(is_letter)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if !fits {
            let what = format!("`{}` is not a namespace", text.escape_debug());
            let remedy = "1 to 63 lower-case letters, digits and `-`, not at its ends";
            self.problems
                .push(Problem::input(entry.place(), what).remedy(remedy));
        }
        fits.then_some(text)
    }

    /// `overrides`: values that are published as they are.
    pub(super) fn fixed_overrides(&mut self, layers: &Stack<'_>) -> Map<String, Value> {
        let layers = layers.below("overrides");
        let mut merged = Map::new();
        for layer in &layers.0 {
            set::merge(&mut merged, self.helm_mapping(layer).unwrap_or_default());
            self.refuse_keys_of_programs(layer);
        }
        merged
    }

    /// What is published is merged by other programs, to which some keys mean more than a name.
    fn refuse_keys_of_programs(&mut self, entry: &Entry<'_>) {
        for below in entry.entries().iter().chain(&entry.items()) {
            if below.name() == "__proto__" {
                let what = "`__proto__` cannot be a key of values";
                self.problems.push(Problem::input(below.place(), what));
            }
            self.refuse_keys_of_programs(below);
        }
    }

    /// `images: auto`, or `auto` and `switches` among the images.
    pub(super) fn discovery(&mut self, layers: &Stack<'_>) -> Option<Discovery> {
        let images = layers.below("images");
        let mut flags = ImageFlags {
            auto: false,
            switches: false,
        };
        for section in &images.0 {
            if is_auto(section) {
                flags.auto = true;
                continue;
            }
            let flag = |reader: &mut Self, key: &str| {
                let entry = section.get(key).filter(|entry| !entry.is_null())?;
                reader.flag(&entry)
            };
            flags.auto = flag(self, "auto").unwrap_or(flags.auto);
            flags.switches = flag(self, "switches").unwrap_or(flags.switches);
        }
        let beside = layers.below("switches");
        let beside = beside.last();
        flags.switches = beside
            .and_then(|entry| self.flag(entry))
            .unwrap_or(flags.switches);
        if flags.switches && !flags.auto {
            let place = beside.or(images.last()).or(layers.last())?.place();
            let what =
                "`switches` asks what discovery would find, but the images are not discovered";
            let remedy =
                "write `images: auto`, or `auto: true` among the images, or remove `switches`";
            self.problems
                .push(Problem::input(place, what).remedy(remedy));
        }
        flags.auto.then_some(Discovery {
            switches: flags.switches,
        })
    }

    /// `operatorImages`: what an operator starts by itself.
    pub(super) fn operator_images(&mut self, layers: &Stack<'_>) -> Vec<OperatorImage> {
        let below = layers.below("operatorImages");
        let Some(list) = below.last() else {
            return Vec::new();
        };
        let items = self.list(list, "a list of images");
        let images = items.iter().filter_map(|item| self.operator_image(item));
        images.collect()
    }

    fn operator_image(&mut self, item: &Entry<'_>) -> Option<OperatorImage> {
        if !matches!(item.node().kind, Kind::Mapping(_)) {
            self.wrong_kind(item, "a mapping");
            return None;
        }
        self.check_keys(std::slice::from_ref(item), keys::OPERATOR_IMAGE);
        let path = item.get("registryPath");
        let registry_path = path.and_then(|_| self.path(item, "registryPath"));
        let Some(text) = self.optional_text(item, "image") else {
            let problem = Problem::input(item.place(), "the entry has no `image`");
            let remedy = "write `- {image: quay.io/team/agent, registryPath: operator.registry}`";
            self.problems.push(problem.remedy(remedy));
            return None;
        };
        let name: ImageName = match text.parse() {
            Ok(name) => name,
            Err(error) => {
                let error: oci_copy::reference::InvalidName = error;
                self.problems
                    .push(Problem::input(item.place(), error.to_string()));
                return None;
            }
        };
        if registry_path.is_some() && name.registry.is_none() {
            let what =
                format!("`{text}` names no registry, so there is none to write to `registryPath`");
            let remedy = "write its host in front, such as docker.io/";
            self.problems
                .push(Problem::input(item.place(), what).remedy(remedy));
            return None;
        }
        Some(OperatorImage {
            name,
            registry_path,
            place: item.place(),
        })
    }

    /// `allow`: references that may stay as they are.
    pub(super) fn allow(&mut self, layers: &Stack<'_>) -> Vec<Pattern> {
        let below = layers.below("allow");
        let Some(list) = below.last() else {
            return Vec::new();
        };
        let items = self.list(list, "a list of patterns");
        let mut patterns = Vec::new();
        for item in &items {
            let Some(text) = self.text_or_null(item) else {
                continue;
            };
            match text.trim().parse() {
                Ok(pattern) => patterns.push(pattern),
                Err(what) => {
                    let remedy = "a pattern is a reference with `*` for any characters, such as\n\
                        602401143452.dkr.ecr.*.amazonaws.com/*";
                    self.problems
                        .push(Problem::input(item.place(), what).remedy(remedy));
                }
            }
        }
        patterns
    }

    /// `also` of a registry or a repository: further paths that get the same value.
    pub(super) fn also(&mut self, part: &Entry<'_>) -> Vec<Path> {
        let Some(list) = part.get("also").filter(|entry| !entry.is_null()) else {
            return Vec::new();
        };
        let items = self.list(&list, "a list of paths");
        let mut paths: Vec<Path> = Vec::new();
        for item in &items {
            let path = self.path_of(item);
            paths.extend(path.filter(|path| !paths.contains(path)));
        }
        paths
    }

    /// `apiVersions`: what the cluster has besides what Helm assumes.
    pub(super) fn api_versions(&mut self, roots: &[Entry<'_>]) -> Vec<String> {
        let below = Stack(roots.to_vec()).below("apiVersions");
        let Some(list) = below.last() else {
            return Vec::new();
        };
        let (mut versions, mut seen) = (Vec::new(), HashSet::new());
        for item in self.list(list, "a list of API versions") {
            let Some(text) = self.text_or_null(&item) else {
                continue;
            };
            if text.is_empty() || !self.is_word(&text, &item) {
                continue;
            }
            if seen.insert(text.clone()) {
                versions.push(text);
            }
        }
        versions
    }

    /// The values of some layers as Helm merges its value files.
    fn helm_values(&mut self, layers: &[Entry<'_>]) -> Map<String, Value> {
        let mut merged = Map::new();
        for layer in layers {
            let values = self.helm_mapping(layer).unwrap_or_default();
            // Numbers of value files are floats to Helm.
            let values = values.into_iter();
            let values = values.map(|(key, value)| (key, set::as_floats(value)));
            set::merge(&mut merged, values.collect());
        }
        merged
    }

    /// A mapping as Helm reads values.
    fn helm_mapping(&mut self, entry: &Entry<'_>) -> Option<Map<String, Value>> {
        let entry = self.mapping(entry)?;
        match entry.node().to_helm_json() {
            Ok(Value::Object(map)) => Some(map),
            Ok(_) => None,
            Err(error) => {
                let what = format!("Helm cannot read these values: {error}");
                self.problems.push(Problem::input(entry.place(), what));
                None
            }
        }
    }

    fn mappings_of<'a>(&mut self, entries: &[Entry<'a>]) -> Vec<Entry<'a>> {
        let mappings = entries.iter().filter_map(|entry| self.mapping(entry));
        mappings.collect()
    }

    /// The items of a list; anything else is a problem, and so is a null among them.
    pub(super) fn list<'a>(&mut self, entry: &Entry<'a>, expected: &str) -> Vec<Entry<'a>> {
        if !matches!(entry.node().kind, Kind::Sequence(_)) {
            self.wrong_kind(entry, expected);
            return Vec::new();
        }
        let items = entry.items();
        if items.len() > MAX_ITEMS {
            let what = format!("the list has more than {MAX_ITEMS} entries");
            self.problems.push(Problem::input(entry.place(), what));
            return Vec::new();
        }
        for item in items.iter().filter(|item| item.is_null()) {
            let problem = Problem::input(item.place(), "the entry of the list is empty");
            self.problems.push(problem.remedy("remove it"));
        }
        items.into_iter().filter(|item| !item.is_null()).collect()
    }

    /// A scalar that is true or false.
    pub(super) fn flag(&mut self, entry: &Entry<'_>) -> Option<bool> {
        let flag = entry.node().as_scalar().and_then(Scalar::boolean);
        if flag.is_none() {
            self.wrong_kind(entry, "true or false");
        }
        flag
    }
}

/// Whether `images` is the word `auto`.
pub(super) fn is_auto(images: &Entry<'_>) -> bool {
    matches!(&images.node().kind, Kind::Scalar(scalar) if scalar.text() == Some("auto"))
}
