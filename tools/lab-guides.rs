//! The stand-ins that the commands of the guides run against (`tests/docs/check.py`): a source registry, a chart
//! repository, a target registry and an AWS account.
//!
//! ```text
//! lab-guides FOLDER [SECONDS]
//! ```
//!
//! Writes data files into FOLDER, prints the environment of the commands as a line of JSON, and serves until the
//! seconds (900) are over.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use lab::aws::Aws;
use lab::chart::{Chart, ChartRepository};
use lab::image::Image;
use lab::registry::Registry;

const DEFAULT: &str = "charts:
  app:
    name: app
    repository: https://charts.corp
    version: 1.0.0
    images:
      app:
        repository: {location: values, path: image.repository}
        tag: {location: chart, path: appVersion}
additional_images:
  agent: quay.io/team/agent:2
";

const PODINFO: &str = "apiVersion: v1
entries:
  podinfo:
    - {apiVersion: v2, name: podinfo, version: 6.9.1, urls: [podinfo-6.9.1.tgz]}
";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("lab-guides FOLDER [SECONDS]")?;
    let seconds = arguments.next().map_or(Ok(900), |text| text.parse());
    let seconds = Duration::from_secs(seconds.context("SECONDS is a number")?);

    let versions = Path::new(&folder).join("data/eks_dockerimage-replication/versions");
    std::fs::create_dir_all(&versions)?;
    std::fs::write(versions.join("default.yaml"), DEFAULT)?;
    for version in ["1.33", "1.34"] {
        let text = format!("ami: {{version: {version}.0}}\n");
        std::fs::write(versions.join(format!("{version}.yaml")), text)?;
    }

    let (source, target, aws) = (
        Registry::start().await?,
        Registry::start().await?,
        Aws::start().await?,
    );
    let image = |seed| {
        let image = Image::new().platform("linux/amd64").platform("linux/arm64");
        image.base(50_000, 1).layer(30_000, seed)
    };
    image(2).push(&source, "team/app", "7.1")?;
    image(3).push(&source, "team/agent", "2")?;
    let template = "apiVersion: v1\nkind: Pod\nmetadata: {name: app}\nspec:\n  containers:\n    - {name: app, image: \
                    '{{ .Values.image.repository }}:{{ .Chart.AppVersion }}'}\n";
    let chart = Chart::new("app", "1.0.0").app_version("7.1");
    let chart = chart
        .values("image: {repository: quay.io/team/app}\n")
        .file("templates/pod.yaml", template);
    let charts = ChartRepository::start(vec![chart]).await?;
    // The chart of `docs/own-charts.md`.
    let podinfo = Chart::new("podinfo", "6.9.1").app_version("6.9.1");
    let podinfo = podinfo
        .values("image: {repository: ghcr.io/stefanprodan/podinfo, tag: 6.9.1}\n")
        .file(
            "templates/pod.yaml",
            template.replace("{{ .Chart.AppVersion }}", "{{ .Values.image.tag }}"),
        );
    image(4).push(&source, "stefanprodan/podinfo", "6.9.1")?;
    let public = Path::new(&folder).join("public");
    std::fs::create_dir_all(public.join("podinfo"))?;
    std::fs::write(
        public.join("podinfo").join(podinfo.file_name()),
        podinfo.archive(),
    )?;
    std::fs::write(public.join("podinfo/index.yaml"), PODINFO)?;
    let public = ChartRepository::folder(public).await?;

    what_can_be_pruned(&aws)?;

    let endpoints = [
        format!("quay.io={}", source.url()),
        format!("ghcr.io={}", source.url()),
        format!("charts.corp={}", charts.url()),
        format!("stefanprodan.github.io={}", public.url()),
        format!("localhost:5000={}", target.url()),
    ];
    let mut environment: BTreeMap<String, String> = aws.env().into_iter().collect();
    environment.insert(
        "SEEDFARMER_PARAMETER_ENDPOINTS".to_owned(),
        endpoints.join(","),
    );
    println!("{}", serde_json::to_string(&environment)?);
    tokio::time::sleep(seconds).await;
    Ok(())
}

/// A repository of the project `idf` with an image that its only result names, and one that nothing needs any more.
fn what_can_be_pruned(aws: &Aws) -> anyhow::Result<()> {
    const REPOSITORY: &str = "idf-quay.io/team/app";
    const DAY: Duration = Duration::from_hours(24);
    aws.put_repository(REPOSITORY, |repository| {
        let tags = [
            ("SeedFarmerProjectName", "idf"),
            ("ManagedBy", "replicator"),
        ];
        let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
        repository.tags = tags.into();
    });
    let mut digests = serde_json::Map::new();
    for (tag, seed) in [("7.0", 7), ("7.1", 8)] {
        let image = Image::new().platform("linux/amd64").layer(50_000, seed);
        let pushed = image.push(aws.registry(), REPOSITORY, tag)?;
        let long_ago = SystemTime::now() - 200 * DAY;
        for manifest in &pushed.manifests {
            aws.set_image_times(REPOSITORY, &manifest.digest, long_ago, None);
        }
        if tag == "7.1" {
            let name = format!("{}/{REPOSITORY}:{tag}", aws.ecr_host());
            digests.insert(name, pushed.root.digest.into());
        }
    }
    let document = serde_json::json!({"charts": {}, "digests": digests});
    let bucket = "idf-dkr-img-rep-md-us-east-1-123456789012";
    let key = "dev-replication-images-metadata.json";
    aws.put_object(bucket, key, document.to_string());
    Ok(())
}
