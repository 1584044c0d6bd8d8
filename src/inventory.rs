//! Data files -> [`Inventory`]: which charts and images a version of EKS needs, and where the charts
//! hold their images' names. Touches no network.

mod chart;
mod file;
mod image;
mod keys;
mod layers;

use std::collections::HashSet;
use std::path::PathBuf;

use url::Url;

use crate::http::source_secret::SourceHosts;
use crate::problem::{Problem, Problems};
use crate::reference::{ImageName, Mappings};
use crate::settings::DataFiles;
use helm_chart::values::Path;

pub(crate) use chart::remote_repository;
use file::{DataFile, Entry, Reader};

/// What the data files ask for, both files merged.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The EKS version whose file was read.
    pub eks_version: String,
    /// `ami.version`; empty when no file gives one.
    pub ami_version: String,
    /// The charts that are not skipped, in the order of `default.yaml`.
    pub charts: Vec<ChartSpec>,
    /// Images that no chart names.
    pub additional_images: Vec<AdditionalImage>,
    /// Where images are read from instead.
    pub mappings: Mappings,
    /// What is odd but harmless.
    pub warnings: Vec<String>,
}

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
    /// File and line, for messages.
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
}

impl ChartRepository {
    /// Its host, with its port; `None` for a path.
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
            Self::Path(_) => None,
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
    /// File, line and key, for messages.
    pub place: String,
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

impl Inventory {
    /// Reads and merges `default.yaml` and the version's file.
    ///
    /// # Errors
    /// Every problem of both files at once: file, line, key, what to do.
    pub fn read(files: &DataFiles) -> Result<Self, Problems> {
        let mut reader = Reader::default();
        let read = reader.open(files);
        Self::merge(reader, read)
    }

    /// Merges the contents of a `default.yaml` and of a version's file that need not be on a disk.
    ///
    /// # Errors
    /// As [`Inventory::read`].
    pub fn parse(eks_version: &str, default: &[u8], version: &[u8]) -> Result<Self, Problems> {
        let mut reader = Reader::default();
        let name = format!("{eks_version}.yaml");
        let files = (
            reader.parse_file("default.yaml".as_ref(), default),
            reader.parse_file(name.as_ref(), version),
        );
        let read = match files {
            (Some(default), Some(version)) => Some((eks_version.to_owned(), default, version)),
            _ => None,
        };
        Self::merge(reader, read)
    }

    fn merge(
        mut reader: Reader,
        files: Option<(String, DataFile, DataFile)>,
    ) -> Result<Self, Problems> {
        let inventory = files.map(|(eks_version, default, version)| {
            let roots = [default.root(), version.root()];
            reader.check_keys(&roots, keys::TOP);
            for key in ["additional_images", "docker_mappings"] {
                let sections: Vec<Entry<'_>> =
                    roots.iter().filter_map(|root| root.get(key)).collect();
                reader.warn_of_nulls(&sections);
            }
            Self {
                eks_version,
                ami_version: reader.ami_version(&roots),
                charts: reader.charts(&roots),
                additional_images: reader.additional_images(&roots),
                mappings: reader.mappings(&roots),
                warnings: Vec::new(),
            }
        });
        let Reader { problems, warnings } = reader;
        let inventory = Problems::or(problems, inventory)?;
        Ok(Self {
            warnings,
            ..inventory
        })
    }
}

impl Inventory {
    /// The hosts that charts and images are read from by this inventory's own wish: chart
    /// repositories, and what `docker_mappings` maps to.
    #[must_use]
    pub fn source_hosts(&self) -> SourceHosts {
        let charts = self
            .charts
            .iter()
            .filter_map(|chart| chart.repository.host());
        SourceHosts {
            named: self.mappings.hosts().map(str::to_owned).collect(),
            charts: charts.collect(),
        }
    }
}

impl Reader {
    fn ami_version(&mut self, roots: &[Entry<'_>]) -> String {
        let mut version = String::new();
        for root in roots {
            let Some(ami) = root.get("ami") else { continue };
            let ami = self.mapping(&ami);
            self.check_keys(ami.as_slice(), keys::AMI);
            let entry = ami.and_then(|ami| ami.get("version"));
            let text = entry.and_then(|entry| {
                let text = self.text_or_null(&entry)?.trim().to_owned();
                self.is_word(&text, &entry).then_some(text)
            });
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                version = text;
            }
        }
        version
    }

    fn additional_images(&mut self, roots: &[Entry<'_>]) -> Vec<AdditionalImage> {
        let mut images: Vec<AdditionalImage> = Vec::new();
        let mut seen = HashSet::new();
        for root in roots {
            for entry in self.entries(root, "additional_images") {
                if !self.is_word(entry.name(), &entry) {
                    continue;
                }
                if !seen.insert(entry.name().to_owned()) {
                    images.retain(|image| image.key != entry.name());
                }
                // An image that is set to null in the version file is dropped.
                let Some(text) = self.text_or_null(&entry) else {
                    continue;
                };
                match text.parse() {
                    Ok(name) => images.push(AdditionalImage {
                        key: entry.name().to_owned(),
                        name,
                        place: entry.place(),
                    }),
                    Err(error) => self
                        .problems
                        .push(Problem::input(entry.place(), error_text(&error))),
                }
            }
        }
        images
    }

    fn mappings(&mut self, roots: &[Entry<'_>]) -> Mappings {
        let mut mappings = Mappings::default();
        for root in roots {
            let mut seen = HashSet::new();
            for entry in self.entries(root, "docker_mappings") {
                // A null takes back what the file before says.
                let read = if entry.is_null() {
                    mappings.remove(entry.name())
                } else {
                    let Some(to) = self.text_or_null(&entry) else {
                        continue;
                    };
                    mappings.insert(entry.name(), &to)
                };
                match read {
                    Ok(place) if seen.contains(&place) => {
                        let what =
                            format!("`{place}` is mapped a second time, in another spelling");
                        let problem = Problem::input(entry.place(), what);
                        self.problems.push(problem.remedy("remove one of the two"));
                    }
                    Ok(place) => drop(seen.insert(place)),
                    Err(error) => self
                        .problems
                        .push(Problem::input(entry.place(), error_text(&error))),
                }
            }
        }
        mappings
    }
}

fn error_text(error: &impl std::error::Error) -> String {
    error.to_string()
}
