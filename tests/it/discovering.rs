//! `replicator discover`.

use std::fs;

use lab::chart::Chart;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Result;
use super::data::Data;
use super::run::{Finished, Run};

const PREFIX: &str = "target.corp/idf-";

/// A chart with a registry of its own, a digest that wins, a suffix, an empty registry, a subchart's
/// subchart, a name in two parts and an image that nothing moves.
fn chart() -> Chart {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let inner = Chart::new("inner", "1.0.0")
        .app_version("7.1.0")
        .values("image: {repository: quay.io/in/inner, tag: ''}\n")
        .file(
            "templates/x.yaml",
            "kind: Pod\nmetadata: {name: inner}\nspec: {image: '{{ .Values.image.repository }}:v{{ .Values.image.tag | default .Chart.AppVersion }}'}\n",
        );
    Chart::new("app", "1.0.0")
        .app_version("2.5.0")
        .values(&format!(
            "image: {{registry: quay.io, repository: team/app, tag: ''}}\n\
             pinned: {{repository: ghcr.io/p/p, tag: '1.0', digest: '{digest}'}}\n\
             chroot: {{repository: r.k8s.io/n/controller, tag: v1}}\n\
             hub: {{registry: null, repository: lib/tool, tag: '3'}}\n\
             vendor: quay.io\nvendorNamespace: vendor\n\
             list:\n- {{name: a, image: 'quay.io/list/a:1', n: 2}}\n\
             extra: {{enabled: false, image: 'quay.io/team/extra:1'}}\n",
        ))
        .file(
            "templates/x.yaml",
            "kind: Pod\nmetadata: {name: x}\nspec:\n\
             \x20 a: {image: '{{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}'}\n\
             \x20 b: {image: '{{ .Values.pinned.repository }}{{ with .Values.pinned.digest }}@{{ . }}{{ else }}:{{ .Values.pinned.tag }}{{ end }}'}\n\
             \x20 c: {image: '{{ .Values.chroot.repository }}-chroot:{{ .Values.chroot.tag }}'}\n\
             \x20 d: {image: '{{ .Values.hub.registry | default \"docker.io\" }}/{{ .Values.hub.repository }}:{{ .Values.hub.tag }}'}\n\
             \x20 e: {image: '{{ .Values.vendor }}/{{ .Values.vendorNamespace }}/thing:1'}\n\
             \x20 containers: {{ toJson .Values.list }}\n\
             {{- if .Values.extra.enabled }}\n  f: {image: '{{ .Values.extra.image }}'}\n{{- end }}\n",
        )
        .file(
            "templates/test.yaml",
            "kind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\nspec: {image: 'quay.io/team/test:1'}\n",
        )
        .subchart(Chart::new("outer", "1.0.0").subchart(inner))
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("app-1.0.0.tgz"), chart().archive()).expect("a file");
    folder
}

async fn discover(folder: &TempDir, args: &[&str]) -> Finished {
    let run = Run::new().arg("discover").args(args);
    run.current_dir(folder.path()).run().await
}

/// The values and the sources of images that a plan of some data files has.
async fn planned(data: &Data) -> Result<(Value, Vec<String>)> {
    let planned = data.plan().arg("--json").run().await.ended(0);
    let plan: Value = serde_json::from_str(&planned.stdout)?;
    let artifacts = plan["artifacts"].as_array().expect("artifacts");
    let images = artifacts
        .iter()
        .filter(|artifact| artifact["kind"] == "image");
    let images = images.map(|image| image["source"].as_str().expect("a source").to_owned());
    let mut images: Vec<String> = images.collect();
    images.sort();
    Ok((plan["result"]["charts"]["app"]["values"].clone(), images))
}

const MOVED: [&str; 7] = [
    "docker.io/lib/tool:3",
    "ghcr.io/p/p:1.0",
    "quay.io/in/inner:v7.1.0",
    "quay.io/list/a:1",
    "quay.io/team/app:2.5.0",
    "quay.io/vendor/thing:1",
    "r.k8s.io/n/controller-chroot:v1",
];

#[tokio::test]
async fn what_discover_prints_is_a_data_file_that_plans_and_moves_every_image() -> Result {
    let folder = folder();
    let done = discover(&folder, &["./app-1.0.0.tgz"]).await.ended(0);
    let again = discover(&folder, &["./app-1.0.0.tgz"]).await.ended(0);
    assert_eq!(done.stdout, again.stdout);
    for text in [&done.stdout, &done.stderr] {
        assert!(
            text.contains("quay.io/team/test:1 (Pod t, for `helm test` only)"),
            "{text}"
        );
        assert!(
            text.contains("no value changes it: it is fixed in app/templates/test.yaml"),
            "{text}"
        );
    }

    let data = Data::new(&done.stdout, "ami: {}\n");
    fs::copy(
        folder.path().join("app-1.0.0.tgz"),
        data.file_path("app-1.0.0.tgz"),
    )?;
    let (values, images) = planned(&data).await?;
    assert_eq!(images, MOVED);
    assert_eq!(
        values,
        json!({
            "image": {"registry": format!("{PREFIX}quay.io"), "repository": "team/app"},
            "pinned": {"repository": format!("{PREFIX}ghcr.io/p/p"), "tag": "1.0", "digest": ""},
            "chroot": {"repository": format!("{PREFIX}r.k8s.io/n/controller"), "tag": "v1"},
            "hub": {"registry": format!("{PREFIX}docker.io"), "repository": "lib/tool", "tag": "3"},
            "vendor": format!("{PREFIX}quay.io"),
            "list": [{"name": "a", "image": format!("{PREFIX}quay.io/list/a:1"), "n": 2.0}],
            "outer": {"inner": {"image": {"repository": format!("{PREFIX}quay.io/in/inner")}}},
        })
    );

    // Rendered with these values, only the image of the test comes from elsewhere.
    fs::write(folder.path().join("values.json"), values.to_string())?;
    let run = Run::new().args(["images", "./app-1.0.0.tgz", "-f", "values.json"]);
    let listed = run.current_dir(folder.path()).run().await.ended(0).stdout;
    let elsewhere: Vec<&str> = listed
        .lines()
        .filter(|line| !line.starts_with(PREFIX))
        .collect();
    assert_eq!(elsewhere, ["quay.io/team/test:1"]);
    let mut targets: Vec<String> = MOVED
        .iter()
        .map(|image| format!("{PREFIX}{image}"))
        .collect();
    targets.push("quay.io/team/test:1".to_owned());
    let mut listed: Vec<&str> = listed.lines().collect();
    listed.sort_unstable();
    targets.sort_unstable();
    assert_eq!(listed, targets);
    Ok(())
}

#[tokio::test]
async fn values_and_switches_are_printed_with_what_they_add() -> Result {
    let folder = folder();
    let args = [
        "./app-1.0.0.tgz",
        "--set",
        "vendorNamespace=other,n=1",
        "-n",
        "tools",
        "--switches",
    ];
    let done = discover(&folder, &args).await.ended(0);
    for line in [
        "    namespace: tools\n",
        "    values:\n      vendorNamespace: other\n      n: 1\n",
        "      # quay.io/vendor/thing:1",
        "      # quay.io/team/extra:1 (Pod x), with extra.enabled\n",
    ] {
        let line = line.replace("vendor/", "other/");
        assert!(done.stdout.contains(&line), "{line}\n{}", done.stdout);
    }
    let data = Data::new(&done.stdout, "ami: {}\n");
    fs::copy(
        folder.path().join("app-1.0.0.tgz"),
        data.file_path("app-1.0.0.tgz"),
    )?;
    let (_, images) = planned(&data).await?;
    assert!(
        images.contains(&"quay.io/team/extra:1".to_owned()),
        "{images:?}"
    );

    let done = discover(&folder, &["./app-1.0.0.tgz", "--json"])
        .await
        .ended(0);
    let document: Value = serde_json::from_str(&done.stdout)?;
    assert_eq!(document["images"].as_array().map(Vec::len), Some(7));
    assert_eq!(document["unmoved"][0]["uses"][0]["test"], true);
    assert_eq!(document["images"][0]["repository"]["location"], "values");
    Ok(())
}

#[tokio::test]
async fn a_chart_that_demands_a_value_or_refuses_other_images_says_so() -> Result {
    let folder = tempfile::tempdir()?;
    let template = "{{ $_ := required \"clusterName is needed\" .Values.clusterName }}\n\
        {{- if and (ne .Values.image.registry \"docker.io\") (not .Values.global.security.allowInsecureImages) }}\
        {{ fail \"set global.security.allowInsecureImages\" }}{{ end }}\n\
        kind: Pod\nmetadata: {name: x}\nspec: {image: '{{ .Values.image.registry }}/{{ .Values.image.repository }}:1'}\n";
    let chart = Chart::new("app", "1.0.0")
        .values("global: {security: {allowInsecureImages: false}}\nimage: {registry: docker.io, repository: b/n}\n")
        .file("templates/x.yaml", template);
    fs::write(folder.path().join("app-1.0.0.tgz"), chart.archive())?;
    let refused = discover(&folder, &["./app-1.0.0.tgz"]).await.ended(2);
    assert!(
        refused.stderr.contains("clusterName is needed"),
        "{}",
        refused.stderr
    );
    assert_eq!(refused.stdout, "");
    let done = discover(&folder, &["./app-1.0.0.tgz", "--set", "clusterName=c"])
        .await
        .ended(0);
    let overrides =
        "    overrides:\n      global:\n        security:\n          allowInsecureImages: true\n";
    assert!(done.stdout.contains(overrides), "{}", done.stdout);
    let data = Data::new(&done.stdout, "ami: {}\n");
    fs::copy(
        folder.path().join("app-1.0.0.tgz"),
        data.file_path("app-1.0.0.tgz"),
    )?;
    let (values, images) = planned(&data).await?;
    assert_eq!(images, ["docker.io/b/n:1"]);
    assert_eq!(values["global"]["security"]["allowInsecureImages"], true);
    discover(&folder, &["./nowhere.tgz"]).await.ended(2);
    Ok(())
}
