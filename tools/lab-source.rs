//! The sources that `tests/interop/run.sh` replicates from: a registry and a chart repository of the
//! lab, with one chart for each way in which charts name their images.
//!
//! ```text
//! lab-source FOLDER [SECONDS]
//! ```
//!
//! Writes the data files into `FOLDER/data` and where the sources are into `FOLDER/source.json`, prints
//! `ready`, and serves until its standard input ends or the seconds (900) are over.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use lab::chart::{Chart, ChartRepository};
use lab::image::{Image, media};
use lab::registry::Registry;
use serde_json::json;

const DEFAULT_YAML: &str = include_str!("../tests/interop/data/default.yaml");
const VERSION_YAML: &str = include_str!("../tests/interop/data/1.34.yaml");

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("lab-source FOLDER [SECONDS]")?;
    let seconds = arguments.next().map_or(Ok(900), |text| text.parse());
    let seconds = Duration::from_secs(seconds.context("SECONDS is a number")?);

    let registry = Registry::start().await?;
    let pinned = push_images(&registry)?;
    from_registry().push_oci(&registry, "stable/from-registry")?;
    let repository = serve(&charts(&pinned)).await?;
    write_files(Path::new(&folder), &registry, &repository)?;
    println!("ready");

    let (end, ended) = tokio::sync::oneshot::channel();
    // A separate thread; it is not waited for when the time is over first.
    std::thread::spawn(move || {
        let read = std::io::stdin().read_to_end(&mut Vec::new());
        end.send(read).ok();
    });
    if let Ok(ended) = tokio::time::timeout(seconds, ended).await {
        ended??;
    }
    Ok(())
}

/// Pushes all images, and says which digest the pinned one has.
fn push_images(registry: &Registry) -> std::io::Result<String> {
    let one = Image::new;
    let two = || one().platform("linux/amd64").platform("linux/arm64/v8");
    // The same base layer in all of them.
    let based = |image: Image| image.base(1_500_000, 1);
    let zstd = |image: Image| image.layer_as(media::LAYER_ZSTD, 60_000, 2);
    let plain_tar = |image: Image| image.layer_as(media::LAYER_TAR, 10_240, 3);
    let artifact = Image::artifact("application/vnd.example.thing");
    #[rustfmt::skip]
    let images = [
        ("extra/artifact:1", artifact.layer_as("text/plain", 5, 4)),
        ("extra/nested/deep/name:1_0-a.b", two().docker().nested().layer(100, 10)),
        ("extra/single:1", one().layer(1, 33).layer(100, 11)),
        ("extra/without-layers:1", one()),
        ("spare/moved:1.0", two().platform("windows/amd64").layer(1_000, 12)),
        ("team/aliased:2.7", two().platform("linux/arm/v7").layer(3_000_000, 13)),
        ("team/app-version:0.9.1", based(one()).layer(1, 14)),
        ("team/build:1.0", one().annotation("org.example.made-by", "lab")),
        ("team/chart-tag:v7.0", two().nested().layer(20_000, 15)),
        ("team/child:1.0", zstd(two())),
        ("team/controller:v3.0.0", two().layer(12_000, 16)),
        ("team/digest-removed:1.0", two().layer(7_000, 17)),
        ("team/dotted:1.0", one().layer(2_000_000, 18).layer(2_000_000, 19)),
        ("team/from-registry:1.0", two().layer(50_000, 20).layer(50_000, 20)),
        ("team/list-first:1.0", plain_tar(one())),
        ("team/list-second:1.0", two().nested().attestations().layer(4_000, 21)),
        ("team/node:v3.0.0", two().layer(11_000, 22)),
        ("team/null-tag:4.5.6", based(two()).attestations()),
        ("team/number-app-version:1.1", one().docker().layer(9_000, 23)),
        ("team/number-tag:1.2", two().without_media_type().layer(8_000, 24)),
        ("team/one-text:3.1", two().docker().layer(25_000, 25)),
        ("team/packed:6.0", based(two().docker())),
        ("team/parent-alias:1.0", one().without_media_type().layer(5_000, 26)),
        ("team/parent-packed:1.0", based(one().docker())),
        ("team/parent:1.0", based(two()).layer(6_000, 27).attestations()),
        ("team/replaced:1.1", two().layer(1_000, 28)),
        ("team/three-parts:1.0.0", two().layer(40_000, 29)),
        ("team/two-parts:2.0", one().layer(30_000, 30)),
        ("team/with-port:1.0", based(two()).layer(4_500_000, 31)),
    ];
    for (name, image) in images {
        let (repository, tag) = name.split_once(':').unwrap_or((name, "latest"));
        image.push(registry, repository, tag)?;
    }
    let pinned = two().layer(13_000, 32);
    Ok(pinned.push(registry, "team/pinned", "1.0")?.root.digest)
}

const THREE: &str = "{{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}";
const TWO: &str =
    "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}";
const ONE: &str = "{{ .Values.image }}";
const OTHER: &str =
    "{{ .Values.other.repository }}:{{ .Values.other.tag | default .Chart.AppVersion }}";

/// A chart whose deployment has these images, each a text with Helm's templates in it.
fn chart(name: &str, version: &str, values: &str, images: &[&str]) -> Chart {
    let containers = images.iter().enumerate();
    let containers: Vec<String> = containers
        .map(|(number, image)| format!("        - {{name: c{number}, image: '{image}'}}\n"))
        .collect();
    let template = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: '{{ .Chart.Name }}'}
spec:
  selector: {matchLabels: {app: '{{ .Chart.Name }}'}}
  template:
    metadata: {labels: {app: '{{ .Chart.Name }}'}}
    spec:
      containers:
";
    Chart::new(name, version).values(values).file(
        "templates/deploy.yaml",
        template.to_owned() + &containers.concat(),
    )
}

/// A chart with the most usual values: repository and tag of an image that is called as the chart.
fn simple(name: &str, version: &str, tag: &str) -> Chart {
    simple_with(name, version, tag, "")
}

/// The same with further values.
fn simple_with(name: &str, version: &str, tag: &str, more: &str) -> Chart {
    let image = format!("image: {{repository: registry.example/team/{name}, tag: {tag}}}\n{more}");
    chart(name, version, &image, &[TWO])
}

/// The charts of the chart repository, in the order of `default.yaml`.
fn charts(pinned: &str) -> Vec<Chart> {
    let zeros = "0".repeat(64);
    let pinned = format!("image: 'registry.example/team/pinned:1.0@{pinned}'\n");
    let digest_removed = format!(
        "image: {{repository: registry.example/team/digest-removed, tag: '1.0', digest: 'sha256:{zeros}'}}\n"
    );
    vec![
        chart("three-parts", "1.0.0", "image: {registry: registry.example, repository: team/three-parts, tag: 1.0.0}\n", &[THREE]),
        chart(
            "two-images",
            "2.3.4",
            "image: {repository: registry.example/team/two-parts, tag: '2.0'}\nother:\n  repository: registry.example/team/null-tag\n  tag:\n",
            &[TWO, OTHER],
        )
        .app_version("4.5.6"),
        chart("one-text", "0.1.0", "image: registry.example/team/one-text:3.1\n", &[ONE]),
        simple("app-version", "0.2.0", "''").app_version("0.9.1"),
        chart(
            "chart-tag",
            "3.0.0-rc.1",
            "image: {repository: registry.example/team/chart-tag}\n",
            &["{{ .Values.image.repository }}:v{{ .Chart.AppVersion }}"],
        )
        .app_version("7.0"),
        simple("number-app-version", "1.0.0", "''").meta("appVersion: 1.10"),
        simple("number-tag", "1.0.0", "1.20"),
        chart(
            "digest-removed",
            "1.0.0",
            &digest_removed,
            &["{{ .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag }}{{ end }}"],
        ),
        chart("pinned", "1.0.0", &pinned, &[ONE]),
        simple_with("parent", "1.0.0", "'1.0'", "child: {image: {tag: '1.0'}}\n")
            .subchart(simple("child", "0.1.0", "'0.9'"))
            .dependency("child", "0.1.0", None),
        simple("parent-alias", "1.0.0", "'1.0'")
            .subchart(simple("aliased", "0.1.0", "''").app_version("2.7"))
            .dependency("aliased", "0.1.0", Some("metrics")),
        simple("parent-packed", "1.0.0", "'1.0'")
            .packed_subchart(&simple("packed", "0.1.0", "'6.0'"))
            .dependency("packed", "0.1.0", None),
        chart(
            "list",
            "1.0.0",
            "sidecars:\n  - image: registry.example/team/list-first:1.0\n  - {image: registry.example/team/list-second, tag: '1.0'}\n",
            &[
                "{{ (index .Values.sidecars 0).image }}",
                "{{ with index .Values.sidecars 1 }}{{ .image }}:{{ .tag }}{{ end }}",
            ],
        ),
        chart(
            "dotted",
            "1.0.0",
            "images: {app.example/main: {name: registry.example/team/dotted, tag: '1.0'}}\n",
            &["{{ with index .Values.images \"app.example/main\" }}{{ .name }}:{{ .tag }}{{ end }}"],
        ),
        chart(
            "replaced",
            "1.0.0",
            "image: {repository: registry.example/team/replaced, tag: '1.0'}\nother: {repository: registry.example/team/moved, tag: '1.0'}\n",
            &[TWO, OTHER],
        ),
        chart(
            "build",
            "1.0.0+build.7",
            "image: {repository: registry.example/team/build, tag: '1.0'}\nother: registry.example/team/two-parts:2.0\n",
            &[TWO, "{{ .Values.other }}"],
        ),
        chart(
            "with-port",
            "v1.3.0",
            "image: {registry: 'mirror.example:5443', repository: team/with-port, tag: '1.0'}\n",
            &[THREE],
        )
        .provenance("-----BEGIN PGP SIGNED MESSAGE-----\nmade up\n-----END PGP SIGNATURE-----\n"),
        chart(
            "fixed",
            "v3.0.0",
            "registry: registry.example\n",
            &[
                "{{ .Values.registry }}/team/node:{{ .Chart.AppVersion }}",
                "{{ .Values.registry }}/team/controller:{{ .Chart.AppVersion }}",
            ],
        )
        .app_version("v3.0.0"),
        Chart::new("without-images", "1.0.0").file("templates/NOTES.txt", "Nothing.\n"),
    ]
}

/// The chart that is in the registry.
fn from_registry() -> Chart {
    simple("from-registry", "1.2.3", "'1.0'")
}

/// Starts the chart repository, with its charts below the folder `stable`.
async fn serve(charts: &[Chart]) -> std::io::Result<ChartRepository> {
    let repository = ChartRepository::start(charts.to_vec()).await?;
    let archives = charts.iter().map(Chart::file_name);
    for archive in archives.chain(["index.yaml".to_owned()]) {
        for file in [format!("{archive}.prov"), archive] {
            if let Some(bytes) = repository.file(&file) {
                repository.set_file(&format!("stable/{file}"), bytes);
                repository.remove_file(&file);
            }
        }
    }
    Ok(repository)
}

/// Writes the settings for a run against the sources.
fn write_files(
    folder: &Path,
    registry: &Registry,
    charts: &ChartRepository,
) -> std::io::Result<()> {
    let data = folder.join("data");
    std::fs::create_dir_all(&data)?;
    std::fs::write(data.join("default.yaml"), DEFAULT_YAML)?;
    std::fs::write(data.join("1.34.yaml"), VERSION_YAML)?;
    let source = json!({
        "endpoints": {
            "registry.example": registry.url(),
            "mirror.example:5443": registry.url(),
            "charts.example": charts.url(),
        },
    });
    std::fs::write(folder.join("source.json"), source.to_string())
}
