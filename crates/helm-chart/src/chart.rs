//! A chart and its subcharts, with what Helm holds of each.

mod metadata;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value};

use crate::archive::{self, Budget, File, Keep, MAX_DEPTH};
use crate::yaml::{self, Limits, Spent};

pub use metadata::{Dependency, Maintainer, Metadata};

/// A chart, read as Helm reads it (helm v3.22: `pkg/chart/loader/load.go`).
#[derive(Debug, Clone)]
pub struct Chart {
    /// What Chart.yaml says, and requirements.yaml.
    pub metadata: Metadata,
    /// values.yaml, nulls included.
    pub values: Value,
    /// values.schema.json.
    pub schema: Option<File>,
    /// The files below `templates/`, in the archive's order.
    pub templates: Vec<File>,
    /// All other files, `crds/` included: what `.Files` gives, apart from what is read by Helm itself.
    pub files: Vec<File>,
    /// Chart.lock or requirements.lock.
    pub lock: Option<File>,
    /// The subcharts by the names of their folders and archives. Helm's own order is random.
    pub subcharts: Vec<Chart>,
}

/// What the files of a chart and of all its subcharts may cost together: some fifty times what the
/// largest public chart costs.
const LIMITS: Limits = Limits {
    nodes: 500_000,
    depth: 128,
    bytes: 16 << 20,
};

/// The largest metadata, as JSON in bytes. It becomes part of a manifest, and of those registries
/// take 4 MiB, with `<` as six characters.
const MAX_METADATA: usize = 512 << 10;

/// What reading a chart has cost so far, its subcharts included.
#[derive(Default)]
struct Loading {
    budget: Budget,
    spent: Spent,
}

impl Chart {
    /// Reads a chart from its archive.
    ///
    /// # Errors
    /// When the archive is no gzipped tar, holds what Helm refuses too (paths that lead out, oversized
    /// files, a broken Chart.yaml), or is over the limits.
    pub fn read(archive: &[u8], keep: Keep) -> anyhow::Result<Self> {
        let mut loading = Loading::default();
        let files = archive::read(archive, keep, &mut loading.budget)?;
        loading.chart(files, keep, MAX_DEPTH)
    }

    /// Reads a chart with all its files from a folder, without what `.helmignore` names.
    ///
    /// # Errors
    /// As [`Chart::read`], and when the folder cannot be read.
    pub fn read_folder(folder: &Path) -> anyhow::Result<Self> {
        let files = archive::read_folder(folder)?;
        Loading::default().chart(files, Keep::Everything, MAX_DEPTH)
    }

    /// The name in Chart.yaml.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The version in Chart.yaml.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.metadata.version
    }

    /// The dependencies that Chart.yaml names and `charts/` lacks, with which Helm does not install
    /// the chart (helm: `CheckDependencies`).
    #[must_use]
    pub fn missing_dependencies(&self) -> Vec<&str> {
        let dependencies = self.metadata.dependencies.iter().flatten();
        dependencies
            .map(|dependency| dependency.name.as_str())
            .filter(|name| self.subcharts.iter().all(|chart| chart.name() != *name))
            .collect()
    }
}

impl Loading {
    fn chart(&mut self, files: Vec<File>, keep: Keep, depth: usize) -> anyhow::Result<Chart> {
        ensure!(
            depth > 0,
            "its subcharts are nested more than {MAX_DEPTH} deep"
        );
        let metadata = self.metadata(&files)?;
        let mut chart = Chart {
            metadata,
            values: Value::Object(Map::new()),
            schema: None,
            templates: Vec::new(),
            files: Vec::new(),
            lock: None,
            subcharts: Vec::new(),
        };
        // By the name below `charts/`.
        let mut subcharts: BTreeMap<String, Vec<File>> = BTreeMap::new();
        let is_old = chart.metadata.api_version == "v1";
        for mut file in files {
            match file.name.as_str() {
                "Chart.yaml" => {}
                "values.yaml" => chart.values = self.values(&file)?,
                "values.schema.json" => chart.schema = Some(file),
                "Chart.lock" => chart.lock = Some(file),
                "requirements.lock" => {
                    chart.files.extend(is_old.then(|| file.clone()));
                    chart.lock = Some(file);
                }
                "requirements.yaml" => chart.files.extend(is_old.then_some(file)),
                name if name.starts_with("templates/") => chart.templates.push(file),
                name => match name.strip_prefix("charts/") {
                    Some(below) if below.rsplit_once('.').is_none_or(|(_, end)| end != "prov") => {
                        let folder = below.split('/').next().unwrap_or(below).to_owned();
                        let below = below.to_owned();
                        file.name = below;
                        subcharts.entry(folder).or_default().push(file);
                    }
                    _ => chart.files.push(file),
                },
            }
        }
        for (name, files) in subcharts {
            if name.starts_with(['_', '.']) {
                continue;
            }
            let subchart = self
                .subchart(&name, files, keep, depth - 1)
                .with_context(|| format!("in its subchart {name}"))?;
            chart.subcharts.push(subchart);
        }
        Ok(chart)
    }

    fn subchart(
        &mut self,
        name: &str,
        files: Vec<File>,
        keep: Keep,
        depth: usize,
    ) -> anyhow::Result<Chart> {
        if !archive::is_archive(name) {
            let below = files.into_iter().filter_map(|mut file| {
                file.name = file.name.split_once('/')?.1.to_owned();
                Some(file)
            });
            return self.chart(below.collect(), keep, depth);
        }
        let Some(packed) = files.first().filter(|file| file.name == name) else {
            bail!("a folder has the name of an archive");
        };
        let files = archive::read(&packed.data, keep, &mut self.budget)?;
        self.chart(files, keep, depth)
    }

    fn metadata(&mut self, files: &[File]) -> anyhow::Result<Metadata> {
        let mut metadata = Metadata::default();
        let mut found = false;
        for name in ["Chart.yaml", "requirements.yaml"] {
            for file in files.iter().filter(|file| file.name == name) {
                found |= name == "Chart.yaml";
                let broken = || format!("its {name} is broken");
                let node = yaml::first_within(file.text()?, &LIMITS, &mut self.spent)
                    .with_context(broken)?;
                if let Some(node) = node {
                    metadata.update(&node)?;
                }
            }
        }
        ensure!(found, "it has no Chart.yaml in its top folder");
        metadata.check()?;
        ensure!(
            metadata.to_json().to_string().len() <= MAX_METADATA,
            "its Chart.yaml says more than {} KiB",
            MAX_METADATA >> 10
        );
        Ok(metadata)
    }

    fn values(&mut self, file: &File) -> anyhow::Result<Value> {
        yaml::values_within(file.text()?, &LIMITS, &mut self.spent)
            .context("its values.yaml is broken")
    }
}
