//! Data files -> [`Inventory`]: which charts and images a version of EKS needs, and where the charts
//! hold their images' names. Touches no network.

mod chart;
mod checksum;
mod file;
mod image;
mod install;
mod keys;
mod merge;
mod pattern;
mod spec;
mod trust;
mod versions;

use std::collections::HashSet;
use std::path::PathBuf;

use bytes::Bytes;

use crate::problem::{Problem, Problems};
use crate::reference::Mappings;
use crate::source_secret::SourceHosts;

pub(crate) use chart::remote_repository;
pub use file::DataFiles;
use file::{DataFile, DataReader, Entry};
pub use pattern::Pattern;
pub use spec::{
    AdditionalImage, ChartRepository, ChartSpec, Discovery, ImageSpec, Installation, OperatorImage,
    Origin, Part, Removal, Scenario, Subchart,
};
pub use trust::{Identity, KeyReference, Requirement, SourcePattern, TrustRule};

/// What the data files ask for, both files merged.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The folder of the data files; empty for files that are not on a disk.
    pub dir: PathBuf,
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
    /// API versions that the cluster has besides those that Helm assumes, for rendering.
    pub api_versions: Vec<String>,
    /// What the sources have to prove; the first rule that matches applies.
    pub trust: Vec<TrustRule>,
    /// The lock of the bundle that the data files are from; `None` for files on a disk.
    pub bundled_lock: Option<BundledLock>,
    /// What is odd but harmless.
    pub warnings: Vec<String>,
}

/// The lock that a bundle has beside its data files.
#[derive(Debug, Clone)]
pub struct BundledLock {
    /// Its name in messages.
    pub place: String,
    /// Its text.
    pub text: Bytes,
}

impl Inventory {
    /// Reads and merges `default.yaml` and the version's file.
    ///
    /// # Errors
    /// Every problem of both files at once: file, line, key, what to do.
    pub fn read(files: &DataFiles) -> Result<Self, Problems> {
        let mut reader = DataReader::default();
        let read = reader.open(files);
        let inventory = Self::merge(reader, read)?;
        Ok(Self {
            dir: files.dir.clone(),
            ..inventory
        })
    }

    /// Merges the contents of a `default.yaml` and of a version's file that need not be on a disk.
    ///
    /// # Errors
    /// As [`Inventory::read`].
    pub fn parse(eks_version: &str, default: &[u8], version: &[u8]) -> Result<Self, Problems> {
        let mut reader = DataReader::default();
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
        mut reader: DataReader,
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
                dir: PathBuf::new(),
                eks_version,
                ami_version: reader.ami_version(&roots),
                charts: reader.charts(&roots),
                additional_images: reader.additional_images(&roots),
                mappings: reader.mappings(&roots),
                api_versions: reader.api_versions(&roots),
                trust: reader.trust(&roots),
                bundled_lock: None,
                warnings: Vec::new(),
            }
        });
        let DataReader { problems, warnings } = reader;
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

impl DataReader {
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
