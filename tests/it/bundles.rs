//! `save` and `load`: everything of a deployment in one file, as its only source.

mod bucket;
mod damage;
mod loading;
mod saving;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use lab::chart::{Chart, ChartRepository};
use lab::image::Image;
use lab::registry::Registry;
use serde_json::Value;

use super::data::Data;
use super::run::{Finished, Run};

/// Where no source is.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Sources of every kind: images of several forms with what refers to them, and charts of a repository and of a
/// registry.
pub(crate) struct Sources {
    registry: Registry,
    charts: ChartRepository,
    pub(crate) data: Data,
}

fn image(seed: u64) -> Image {
    let image = Image::new().platform("linux/amd64").platform("linux/arm64");
    image.base(5000, 1).layer(3000, seed)
}

impl Sources {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let registry = Registry::start().await?;
        let app = image(2).attestations().push(&registry, "team/app", "1")?;
        app.sign(&registry)?;
        let bill = app.attach(&registry, "application/spdx+json")?;
        bill.attach(&registry, "application/vnd.signature")?;
        image(3).docker().push(&registry, "team/docker", "1")?;
        // The same image elsewhere, without what refers to it.
        image(2).attestations().push(&registry, "team/same", "1")?;
        let pinned = image(4).push(&registry, "team/pinned", "1")?;
        let of_registry = Chart::new("second", "2.0.0+b")
            .values("image: {repository: quay.io/team/app, tag: \"1\"}\n");
        of_registry.push_oci(&registry, "charts/second")?;
        let first = Chart::new("first", "1.0.0")
            .values("image: {repository: quay.io/team/docker, tag: \"1\"}\n")
            .file("templates/pod.yaml", "kind: Pod\napiVersion: v1\nspec:\n  containers:\n  - image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"\n")
            .provenance("-----BEGIN PGP SIGNED MESSAGE-----\nname: first\n");
        let charts = ChartRepository::start(vec![first]).await?;
        let image = "    images:\n      main:\n        repository: {location: values, path: image.repository}\n        tag: {location: values, path: image.tag}\n";
        let default = format!(
            "charts:\n  one:\n    name: first\n    repository: {}\n    version: 1.0.0\n{image}  two:\n    name: second\n    repository: oci://quay.io/charts\n    version: 2.0.0+b\n{image}additional_images:\n  same: quay.io/team/same:1\n  pinned: quay.io/team/pinned:1@{}\n",
            charts.url(),
            pinned.root.digest
        );
        Ok(Self {
            registry,
            charts,
            data: Data::new(&default, "ami: {version: 1.34.0}\n"),
        })
    }

    pub(crate) fn run(&self, command: &str) -> Run {
        self.data
            .run(command)
            .endpoint("quay.io", &self.registry.url())
    }

    pub(crate) async fn save(&self, bundle: &Path) -> Finished {
        self.run("save").arg(bundle).run().await
    }
}

pub(crate) fn load(bundle: &Path, prefix: &str) -> Run {
    let run = Run::new()
        .arg("load")
        .arg(bundle)
        .args(["--registry-prefix", prefix]);
    run.endpoint("quay.io", NOWHERE).out()
}

/// Every file of a folder with its bytes, but for the index of a layout, whose entries stand in another order.
fn files(dir: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with("index.json") {
                found.insert(path.strip_prefix(dir)?.to_owned(), fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

/// The names of a layout with their digests, and the digests that have no name.
fn names(dir: &Path) -> anyhow::Result<BTreeSet<(Option<String>, String)>> {
    let index: Value = serde_json::from_slice(&fs::read(dir.join("index.json"))?)?;
    let entries = index["manifests"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(entries
        .map(|entry| {
            let name = text(&entry["annotations"]["org.opencontainers.image.ref.name"]);
            (name, text(&entry["digest"]).expect("a digest"))
        })
        .collect())
}

/// Everything of a registry below a prefix: repository, tag or digest, and the manifest.
fn content(registry: &Registry) -> BTreeSet<(String, String, String)> {
    let mut found = BTreeSet::new();
    for repository in registry.repositories() {
        let names = registry
            .tags(&repository)
            .into_iter()
            .chain(registry.manifests(&repository));
        for name in names {
            let (media_type, _, digest) = registry
                .manifest(&repository, &name)
                .expect("what is listed");
            found.insert((repository.clone(), name, format!("{media_type} {digest}")));
        }
    }
    found
}

/// A document without the names of a target, and without the digest of the proof, which has them too.
fn without(document: &Value, prefix: &str) -> String {
    let mut document = document.clone();
    if let Some(closure) = document["closure"].as_object_mut() {
        closure.shift_remove("proof");
    }
    document.to_string().replace(prefix, "PREFIX/")
}
