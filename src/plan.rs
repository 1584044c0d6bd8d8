//! Inventory and charts -> [`Plan`]: every copy, and every value that makes a chart use its copies.
//! Pure: no I/O, no clock, no log.

mod chart_name;
mod context;
mod copy;
mod image;
mod operator;

use std::collections::{BTreeSet, HashMap};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use self::chart_name::chart_repository;
use self::context::Context;
pub use self::copy::{Copy, CopySource};
use crate::charts::{Artifact, Chart, Charts, Content};
use crate::document::{self, Ami, Helm, Kind, Pair, ResultDocument};
use crate::inventory::{ChartSpec, Inventory};
use crate::problem::{Problem, Problems, nearest};
use crate::reference::Prefix;
use helm_chart::values::Overrides;
use oci_copy::reference::{DOCKER_HUB, ImageName, Location, check_tag};

/// What a deployment does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The target prefix.
    pub prefix: Prefix,
    /// Every artifact once, in order of first appearance: images first, then charts.
    pub copies: Vec<Copy>,
    /// The document that the EKS module reads.
    pub result: ResultDocument,
    /// What is odd but possible.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Plans a deployment.
    ///
    /// # Errors
    /// Every problem at once: missing values paths, names that are none, two sources for one target, nothing
    /// to copy.
    pub fn new(inventory: &Inventory, charts: &Charts, prefix: &Prefix) -> Result<Self, Problems> {
        let mut planner = Planner::new(prefix, inventory);
        let additional = planner.additional_images();
        let mut chart_entries = IndexMap::new();
        for spec in &inventory.charts {
            if let Some(fetched) = charts.get(&spec.key)
                && let Some(values) = planner.chart(spec, &fetched.chart)
            {
                let entry = planner.chart_entry(spec, &fetched.chart, values);
                chart_entries.insert(spec.key.clone(), entry);
            }
        }
        for spec in &inventory.charts {
            planner.chart_copy(spec, charts);
        }
        planner.refuse_a_plan_of_nothing();
        let warnings = planner.warnings();
        let Planner {
            copies, problems, ..
        } = planner;
        Problems::check(problems)?;
        let result = ResultDocument {
            ami: Ami {
                version: inventory.ami_version.clone(),
            },
            charts: chart_entries,
            additional_images: additional,
            ..ResultDocument::default()
        };
        result.check_size()?;
        Ok(Self {
            prefix: prefix.clone(),
            copies,
            result: result.of_version(&inventory.eks_version),
            warnings,
        })
    }

    /// The values that will be published for one chart; `None` where something is wrong with it.
    #[must_use]
    pub fn published(
        inventory: &Inventory,
        spec: &ChartSpec,
        chart: &Chart,
        prefix: &Prefix,
    ) -> Option<Map<String, Value>> {
        let mut planner = Planner::new(prefix, inventory);
        let values = planner.chart(spec, chart)?;
        planner.problems.is_empty().then_some(values)
    }

    /// The repositories that the copies need, where they must exist beforehand: in ECR.
    #[must_use]
    pub fn repositories(&self) -> BTreeSet<&str> {
        match self.prefix {
            Prefix::Ecr { .. } => self
                .copies
                .iter()
                .filter_map(|copy| copy.target.repository())
                .collect(),
            Prefix::Registry { .. } | Prefix::Layout { .. } => BTreeSet::new(),
        }
    }

    /// The hosts that are read from and written to, chart repositories not among them.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.copies.iter().flat_map(Copy::hosts)
    }

    /// The pairs of `updated_images.json`: images, each pair once.
    #[must_use]
    pub fn updated_images(&self) -> Vec<Pair> {
        let images = self.copies.iter().filter(|copy| copy.kind == Kind::Image);
        images
            .map(|copy| Pair {
                src: copy.source_text.clone(),
                target: copy.target_text.clone(),
            })
            .collect()
    }
}

/// A plan in the making.
struct Planner<'a> {
    prefix: &'a Prefix,
    inventory: &'a Inventory,
    copies: Vec<Copy>,
    by_target: HashMap<Location, usize>,
    /// The names of all images, before `docker_mappings`.
    names: Vec<ImageName>,
    problems: Vec<Problem>,
}

impl<'a> Planner<'a> {
    fn new(prefix: &'a Prefix, inventory: &'a Inventory) -> Self {
        Self {
            prefix,
            inventory,
            copies: Vec::new(),
            by_target: HashMap::new(),
            names: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// A plan of nothing is a slip: an empty result would make the EKS module use public images, and say so
    /// nowhere.
    fn refuse_a_plan_of_nothing(&mut self) {
        if self.copies.is_empty() && self.problems.is_empty() {
            let what = "they name no chart and no image, so there is nothing to copy";
            let remedy = "list charts under `charts` and images under `additional_images`, and do not skip all of them";
            self.problems
                .push(Problem::input("data files", what).remedy(remedy));
        }
    }

    fn warnings(&self) -> Vec<String> {
        let hosts = self.names.iter();
        let hosts = hosts.map(|name| {
            name.registry
                .as_deref()
                .unwrap_or(DOCKER_HUB)
                .to_lowercase()
        });
        let hosts: BTreeSet<String> = hosts.collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let unused = self.inventory.mappings.unused(&self.names);
        let unused = unused.into_iter().map(|key| {
            let near = nearest(key, hosts.iter().copied(), 1);
            let near = near.first().map(|near| format!(" (nearest: {near})"));
            format!(
                "docker_mappings.{key}: no image is read from there{}; the hosts of the images are {}",
                near.unwrap_or_default(),
                hosts.join(", ")
            )
        });
        let prefix = self.copies.first().and_then(|copy| {
            let looks_cut = self.prefix.path().is_some_and(|path| !path.is_empty() && !path.ends_with(['/', '-']));
            looks_cut.then(|| {
                format!(
                    "the registry prefix {0} ends in neither `/` nor `-`: a complete name at the target is {1}; if it is a \
                     path, write {0}/",
                    self.prefix, copy.target_text
                )
            })
        });
        unused.chain(prefix).collect()
    }

    fn additional_images(&mut self) -> IndexMap<String, String> {
        let inventory = self.inventory;
        let mut images = IndexMap::new();
        for image in &inventory.additional_images {
            let target = self.prefix.join(&image.name.target());
            images.insert(image.key.clone(), target);
            self.image_copy(&image.name, &image.key, &image.place);
        }
        images
    }

    /// The values that are published for a chart; its images become copies.
    fn chart(&mut self, spec: &ChartSpec, chart: &Chart) -> Option<Map<String, Value>> {
        let mut overrides = Overrides::default();
        let context = match Context::new(spec, chart) {
            Ok(context) => context,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        let (mut expected, before) = (Vec::new(), self.problems.len());
        for image in &spec.images {
            match image::plan(&context, image, self.prefix, &mut overrides) {
                Ok((name, seen)) => {
                    expected.extend(seen);
                    self.image_copy(&name, &spec.key, &image.place);
                }
                Err(problems) => self.problems.extend(problems),
            }
        }
        for image in &spec.operator_images {
            expected.extend(self.operator_image(&context, image, &mut overrides));
        }
        self.fixed_overrides(&context, &mut overrides);
        for image in &spec.found {
            // Where the data file wants another value, it wins.
            let mut with = overrides.clone();
            if let Ok((name, seen)) = image::plan(&context, image, self.prefix, &mut with) {
                overrides = with;
                expected.extend(seen);
                self.image_copy(&name, &spec.key, &image.place);
            }
        }
        if self.problems.len() == before {
            let unseen = context.unseen(&overrides.to_json(), &expected);
            self.problems.extend(unseen);
        }
        Some(overrides.into_values())
    }

    /// A chart's entry in the result document.
    fn chart_entry(
        &self,
        spec: &ChartSpec,
        chart: &Chart,
        values: Map<String, Value>,
    ) -> document::Chart {
        document::Chart {
            helm: Helm {
                name: Some(spec.name.clone()),
                repository: self.prefix.chart_repository(&chart_repository(spec)),
                // What `helm pull --version` needs: the chart's own text is the tag.
                version: chart.version().to_owned(),
                source_repository: Some(spec.repository_text.clone()),
            },
            values,
        }
    }

    fn image_copy(&mut self, name: &ImageName, user: &str, place: &str) {
        self.names.push(name.clone());
        let source = self.inventory.mappings.apply(name);
        let target_text = self.prefix.join(&name.target());
        let host = source.registry.as_deref().map(str::to_lowercase);
        let at = ImageName {
            registry: host,
            ..source.clone()
        };
        let located = at.to_string().parse::<Location>();
        match (located, self.prefix.locate(&name.target())) {
            (Ok(from), Ok(target)) => self.copy(Copy {
                kind: Kind::Image,
                source: CopySource::At(from),
                source_text: source.to_string(),
                target,
                target_text,
                used_by: vec![user.to_owned()],
                expected: None,
            }),
            (Err(error), _) | (_, Err(error)) => {
                self.problems.push(Problem::input(place, error.to_string()));
            }
        }
    }

    fn chart_copy(&mut self, spec: &ChartSpec, charts: &Charts) {
        let Some(fetched) = charts.get(&spec.key) else {
            return;
        };
        // A tag cannot hold `+`; Helm reads and writes `_` instead.
        let tag = fetched.chart.version().replace('+', "_");
        if let Err(why) = check_tag(&tag) {
            self.problems.push(Problem::input(
                spec.place.as_str(),
                format!("the chart's version cannot be a tag: {why}"),
            ));
            return;
        }
        let name = format!("{}:{tag}", chart_repository(spec));
        let source = match &fetched.content {
            Content::Artifact(location) => CopySource::At(location.clone()),
            Content::Archive { provenance } => CopySource::Chart(Box::new(Artifact::of(
                &fetched.chart,
                &fetched.archive,
                provenance.as_ref(),
            ))),
        };
        match self.prefix.locate(&name) {
            Ok(target) => self.copy(Copy {
                kind: Kind::Chart,
                source,
                source_text: format!(
                    "{}/{}:{}",
                    spec.repository_text.trim_end_matches('/'),
                    spec.name,
                    fetched.chart.version()
                ),
                target,
                target_text: self.prefix.join(&name),
                used_by: vec![spec.key.clone()],
                expected: None,
            }),
            Err(error) => self
                .problems
                .push(Problem::input(spec.place.as_str(), error.to_string())),
        }
    }

    /// Adds a copy, once; two sources for one target are a conflict.
    fn copy(&mut self, copy: Copy) {
        let known = self.by_target.get(&copy.target);
        match known.map(|index| &mut self.copies[*index]) {
            None => {
                self.by_target
                    .insert(copy.target.clone(), self.copies.len());
                self.copies.push(copy);
            }
            Some(same) if same.is_same_source(&copy) => {
                for user in copy.used_by {
                    if !same.used_by.contains(&user) {
                        same.used_by.push(user);
                    }
                }
            }
            Some(other) => {
                let what = format!(
                    "two sources for one target: {} (for {}) and {} (for {})",
                    other.source_text,
                    other.used_by.join(", "),
                    copy.source_text,
                    copy.used_by.join(", ")
                );
                let remedy = if copy.kind == Kind::Chart {
                    "a chart is named after the last part of its repository's URL: give both the same `repository`,\n\
                     pin different versions, or leave one out with `skip: true`"
                } else {
                    "rename one of them, or make both the same with `replication` or `docker_mappings`"
                };
                let problem = Problem::input(copy.target_text, what).remedy(remedy);
                self.problems.push(problem);
            }
        }
    }
}
