//! Helm charts: archives made in memory, byte for byte the same at every run.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use lab::chart::{Chart, ChartRepository};
//!
//! let common = Chart::new("common", "0.1.0").values("image: {tag: 1.0.0}\n");
//! let app = Chart::new("app", "1.2.3")
//!     .app_version("4.5")
//!     .values("image:\n  repository: library/app\n  tag: \"\"\n")
//!     .dependency("common", "0.1.0", None)
//!     .subchart(common);
//! let repository = ChartRepository::start(vec![app]).await?;
//! println!("{}/index.yaml", repository.url());
//! # Ok(())
//! # }
//! ```

mod repository;

pub use repository::{Builder, ChartRepository};

use crate::content::digest_of;
use crate::image::{Manifest, Pushed, Seeding, media};
use crate::registry::Registry;
use flate2::{Compression, GzBuilder};
use serde_json::{Map, Value, json};
use std::io;

/// Media type of a chart's config: its Chart.yaml as JSON.
pub const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
/// Media type of a chart's archive.
pub const CONTENT: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// Media type of a chart's provenance file.
pub const PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";

/// A chart to be made.
#[derive(Debug, Clone)]
pub struct Chart {
    name: String,
    version: String,
    app_version: Option<String>,
    /// Further lines of Chart.yaml.
    meta: String,
    /// Chart.yaml as a whole, if it was given by hand.
    by_hand: Option<String>,
    dependencies: Vec<(String, String, Option<String>)>,
    files: Vec<(String, Vec<u8>)>,
    provenance: Option<String>,
}

impl Chart {
    /// A chart with nothing but its Chart.yaml.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            app_version: None,
            meta: String::new(),
            by_hand: None,
            dependencies: Vec::new(),
            files: Vec::new(),
            provenance: None,
        }
    }

    /// `appVersion`, quoted.
    #[must_use]
    pub fn app_version(mut self, version: &str) -> Self {
        self.app_version = Some(version.to_owned());
        self
    }

    /// One more line of Chart.yaml as it stands, such as `appVersion: 1.10`.
    #[must_use]
    pub fn meta(mut self, line: &str) -> Self {
        self.meta += line;
        self.meta.push('\n');
        self
    }

    /// Chart.yaml as a whole.
    #[must_use]
    pub fn chart_yaml(mut self, text: &str) -> Self {
        self.by_hand = Some(text.to_owned());
        self
    }

    /// values.yaml.
    #[must_use]
    pub fn values(self, yaml: &str) -> Self {
        self.file("values.yaml", yaml)
    }

    /// One more file, its path relative to the chart's folder.
    #[must_use]
    pub fn file(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), bytes.into()));
        self
    }

    /// A chart unpacked under `charts/`.
    #[must_use]
    pub fn subchart(mut self, chart: Self) -> Self {
        let folder = format!("charts/{}", chart.name);
        self.files.extend(chart.files_under(&folder));
        self
    }

    /// A chart as an archive under `charts/`.
    #[must_use]
    pub fn packed_subchart(self, chart: &Self) -> Self {
        self.file(&format!("charts/{}", chart.file_name()), chart.archive())
    }

    /// An entry of `dependencies`.
    #[must_use]
    pub fn dependency(mut self, name: &str, version: &str, alias: Option<&str>) -> Self {
        self.dependencies.push((
            name.to_owned(),
            version.to_owned(),
            alias.map(str::to_owned),
        ));
        self
    }

    /// A `.prov` file beside the archive.
    #[must_use]
    pub fn provenance(mut self, text: &str) -> Self {
        self.provenance = Some(text.to_owned());
        self
    }

    /// `name-version.tgz`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-{}.tgz", self.name, self.version)
    }

    /// The gzipped tar archive.
    ///
    /// # Panics
    /// When a file's path is none that an archive can have, such as an absolute one.
    #[must_use]
    pub fn archive(&self) -> Vec<u8> {
        let gzip = GzBuilder::new()
            .mtime(0)
            .write(Vec::new(), Compression::default());
        let mut archive = tar::Builder::new(gzip);
        for (path, bytes) in self.clone().files_under(&self.name) {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(1_704_067_200);
            header.set_cksum();
            archive
                .append_data(&mut header, path, bytes.as_slice())
                .expect("a relative path");
        }
        let gzip = archive
            .into_inner()
            .expect("writing to memory does not fail");
        gzip.finish().expect("writing to memory does not fail")
    }

    /// `sha256:<hex>` of the archive.
    #[must_use]
    pub fn digest(&self) -> String {
        digest_of(&self.archive())
    }

    /// Pushes the chart as `helm push` does: under its version, with `+` as `_`, in a manifest without
    /// `mediaType`. The repository is the whole name, the chart's own included.
    ///
    /// # Errors
    /// When the registry's folder cannot be written.
    pub fn push_oci(&self, registry: &Registry, repository: &str) -> io::Result<Pushed> {
        let mut seeding = Seeding::new(registry, repository);
        let config = seeding.blob(CONFIG, self.metadata().to_string().as_bytes())?;
        let mut layers = vec![seeding.blob(CONTENT, &self.archive())?];
        if let Some(provenance) = &self.provenance {
            layers.push(seeding.blob(PROVENANCE, provenance.as_bytes())?);
        }
        layers.sort_by(|a, b| a.digest.cmp(&b.digest));
        let json = json!({
            "schemaVersion": 2,
            "config": config,
            "layers": layers,
            "annotations": {
                "org.opencontainers.image.created": "2024-01-01T00:00:00Z",
                "org.opencontainers.image.title": self.name,
                "org.opencontainers.image.version": self.version,
            },
        });
        let manifest = Manifest {
            media_type: media::MANIFEST,
            json,
        };
        let root = seeding.manifest(&self.version.replace('+', "_"), &manifest);
        Ok(seeding.finish(root))
    }

    /// What Chart.yaml says, as far as the lab knows it.
    fn metadata(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("apiVersion".to_owned(), "v2".into());
        fields.insert("name".to_owned(), self.name.as_str().into());
        fields.insert("version".to_owned(), self.version.as_str().into());
        fields.extend(
            self.app_version
                .iter()
                .map(|version| ("appVersion".to_owned(), version.as_str().into())),
        );
        if !self.dependencies.is_empty() {
            let dependency = |(name, version, alias): &(String, String, Option<String>)| {
                let mut dependency = json!({"name": name, "version": version, "repository": ""});
                if let Some(alias) = alias {
                    dependency["alias"] = alias.as_str().into();
                }
                dependency
            };
            fields.insert(
                "dependencies".to_owned(),
                self.dependencies.iter().map(dependency).collect(),
            );
        }
        fields.into()
    }

    /// Chart.yaml, one JSON value per field, which is YAML too.
    fn chart_yaml_text(&self) -> String {
        if let Some(text) = &self.by_hand {
            return text.clone();
        }
        let metadata = self.metadata();
        let fields = metadata.as_object().into_iter().flatten();
        let lines: Vec<String> = fields
            .map(|(key, value)| format!("{key}: {value}\n"))
            .collect();
        lines.concat() + &self.meta
    }

    /// The entry of `index.yaml` for an archive at `url`, as JSON, which is YAML too.
    fn index_entry(&self, url: &str) -> Value {
        let mut entry = self.metadata();
        entry["created"] = "2024-01-01T00:00:00Z".into();
        entry["digest"] = self.digest().trim_start_matches("sha256:").into();
        entry["urls"] = json!([url]);
        entry
    }

    fn files_under(self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let chart_yaml = ("Chart.yaml".to_owned(), self.chart_yaml_text().into_bytes());
        let files = std::iter::once(chart_yaml).chain(self.files);
        files
            .map(|(path, bytes)| (format!("{folder}/{path}"), bytes))
            .collect()
    }
}
