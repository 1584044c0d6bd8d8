//! `replicator lock`: the exact content that data files mean.

use std::fs;

use lab::chart::{Chart, ChartRepository};
use lab::image::{Image, Pushed};
use lab::registry::Registry;
use serde_json::Value;

use super::Result;
use super::data::Data;
use super::run::{Finished, Run};

/// A chart with one image, and an image that no chart names; both signed.
pub(crate) struct World {
    pub(crate) source: Registry,
    pub(crate) charts: ChartRepository,
    pub(crate) data: Data,
    pub(crate) app: Pushed,
}

/// The chart that the data file names.
pub(crate) fn chart() -> Chart {
    Chart::new("app", "1.0.0")
        .values("image: {registry: quay.io, repository: team/app, tag: '1'}\n")
        .file(
            "templates/pod.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: app}\nspec:\n  containers:\n  - name: app\n    \
             image: {{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}\n",
        )
}

pub(crate) fn image(seed: u64) -> Image {
    let image = Image::new().platform("linux/amd64").platform("linux/arm64");
    image.layer(3000, seed)
}

/// The images of the chart, as its data file lists them.
pub(crate) const IMAGES: &str = "    images:
      main:
        registry: {location: values, path: image.registry}
        repository: {location: values, path: image.repository}
        tag: {location: values, path: image.tag}
";

impl World {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let source = Registry::start().await?;
        let charts = ChartRepository::start(vec![chart()]).await?;
        let app = image(1).push(&source, "team/app", "1")?;
        app.attach(&source, "application/spdx+json")?;
        app.sign(&source)?;
        image(2).push(&source, "team/tool", "2")?;
        let default = format!(
            "charts:\n  app:\n    name: app\n    repository: https://charts.corp\n    version: 1.0.0\n{IMAGES}\
             additional_images:\n  tool: quay.io/team/tool:2\n"
        );
        let data = Data::new(&default, "ami: {version: 1.34.0}\n");
        Ok(Self {
            source,
            charts,
            data,
            app,
        })
    }

    /// A command on the data files.
    pub(crate) fn run(&self, command: &str) -> Run {
        let run = Run::new().args([command, "--eks-version", "1.34"]);
        let run = self.data.given_to(run);
        run.endpoint("quay.io", &self.source.url())
            .endpoint("charts.corp", &self.charts.url())
    }

    pub(crate) async fn lock(&self) -> Finished {
        self.run("lock").run().await.ended(0)
    }

    /// The text of the lock beside the data file.
    pub(crate) fn lock_text(&self) -> String {
        fs::read_to_string(self.data.file_path("1.34.lock.json")).expect("a lock")
    }

    pub(crate) fn lock_json(&self) -> Value {
        serde_json::from_str(&self.lock_text()).expect("JSON")
    }
}

#[tokio::test]
async fn a_lock_has_archives_digests_platforms_referrers_and_the_proof() -> Result {
    let world = World::start().await?;
    world.lock().await;
    let lock = world.lock_json();
    let of_chart = &lock["charts"]["app"];
    assert_eq!(of_chart["archive"], chart().digest());
    assert_eq!(of_chart["version"], "1.0.0");
    assert_eq!(of_chart["target"], "charts.corp/app:1.0.0");
    assert_eq!(of_chart["values"]["image"]["registry"], "<prefix>quay.io");
    let app = &lock["images"][0];
    assert_eq!(app["source"], "quay.io/team/app:1");
    assert_eq!(app["target"], "quay.io/team/app:1");
    assert_eq!(app["digest"], world.app.root.digest);
    assert_eq!(app["usedBy"], serde_json::json!(["app"]));
    let platforms = app["platforms"].as_array().expect("platforms");
    let names: Vec<&Value> = platforms.iter().map(|one| &one["platform"]).collect();
    assert_eq!(names, ["linux/amd64", "linux/arm64"]);
    assert!(
        platforms
            .iter()
            .all(|one| one["bytes"].as_u64() > Some(3000))
    );
    let referrers = app["referrers"].as_array().expect("referrers");
    assert_eq!(referrers.len(), 2);
    let types: Vec<&Value> = referrers.iter().map(|one| &one["artifactType"]).collect();
    assert!(
        types.contains(&&Value::from("application/spdx+json")),
        "{types:?}"
    );
    assert!(
        referrers
            .iter()
            .all(|one| one["subject"] == world.app.root.digest)
    );
    assert_eq!(lock["closure"]["totals"]["copied"], 1);
    assert_eq!(lock["closure"]["totals"]["gaps"], 0);
    // Nothing but manifests was read.
    let blobs = world.source.wire().requests();
    assert!(
        blobs
            .iter()
            .all(|request| !request.path.contains("/blobs/"))
    );
    Ok(())
}

#[tokio::test]
async fn the_same_content_gives_the_same_bytes_whatever_comments_and_order_say() -> Result {
    let world = World::start().await?;
    world.lock().await;
    let first = world.lock_text();
    let text = fs::read_to_string(world.data.file_path("default.yaml"))?;
    let (charts, images) = text.split_once("additional_images:").expect("two parts");
    let turned = format!("# turned round\nadditional_images:{images}{charts}");
    fs::write(world.data.file_path("default.yaml"), turned)?;
    world.lock().await;
    assert_eq!(world.lock_text(), first);
    let elsewhere = world.run("lock").args(["--lock", "approved.json"]);
    let done = elsewhere.run().await.ended(0);
    assert_eq!(done.work_file("approved.json").as_ref(), Some(&first));
    Ok(())
}

#[tokio::test]
async fn what_a_source_does_not_have_is_not_locked() -> Result {
    let world = World::start().await?;
    world.source.remove_manifest("team/tool", "2");
    let failed = world.run("lock").run().await.ended(1);
    assert!(
        failed.stderr.contains("quay.io/team/tool:2")
            && failed.stderr.contains("nothing was written"),
        "{}",
        failed.stderr
    );
    assert!(!world.data.file_path("1.34.lock.json").exists());
    Ok(())
}

#[tokio::test]
async fn with_selected_platforms_source_and_target_have_other_digests() -> Result {
    let world = World::start().await?;
    let lock = world.run("lock").args(["--platforms", "linux/arm64"]);
    lock.run().await.ended(0);
    let lock = world.lock_json();
    let app = &lock["images"][0];
    assert_eq!(app["sourceDigest"], world.app.root.digest);
    assert_ne!(app["digest"], app["sourceDigest"]);
    assert_eq!(app["platforms"].as_array().map(Vec::len), Some(1));
    assert_eq!(lock["parameters"]["Platforms"], "linux/arm64");
    Ok(())
}
