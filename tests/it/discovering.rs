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
             list:\n- {{name: a, image: 'quay.io/list/a:1', port: 2}}\n\
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

/// A folder with `archives/app-1.0.0.tgz`.
fn folder(chart: &Chart) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("archives")).expect("a folder in it");
    let file = folder.path().join("archives/app-1.0.0.tgz");
    fs::write(file, chart.archive()).expect("a file");
    folder
}

/// What `discover` printed as a data file, with the chart beside it.
fn beside(done: &Finished, folder: &TempDir) -> Data {
    let data = Data::new(&done.stdout, "ami: {}\n");
    let chart = folder.path().join("archives/app-1.0.0.tgz");
    fs::copy(chart, data.file_path("app-1.0.0.tgz")).expect("a file");
    data
}

async fn discover(folder: &TempDir, args: &[&str]) -> Finished {
    let run = Run::new().arg("discover").args(args);
    run.current_dir(folder.path().join("archives")).run().await
}

/// The values and the sources of images that a plan of some data files has.
async fn planned(data: &Data) -> (Value, Vec<String>) {
    let planned = data.plan().arg("--json").run().await.ended(0);
    let plan: Value = serde_json::from_str(&planned.stdout).expect("JSON");
    let artifacts = plan["artifacts"].as_array().expect("artifacts");
    let images = artifacts
        .iter()
        .filter(|artifact| artifact["kind"] == "image");
    let images = images.map(|image| image["source"].as_str().expect("a source").to_owned());
    let mut images: Vec<String> = images.collect();
    images.sort();
    (plan["result"]["charts"]["app"]["values"].clone(), images)
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
    let folder = folder(&chart());
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

    assert!(
        done.stdout.contains("repository: \"./app-1.0.0.tgz\"\n"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout
            .contains("# The path in repository is relative to this file's folder"),
        "{}",
        done.stdout
    );
    let data = beside(&done, &folder);
    let (values, images) = planned(&data).await;
    assert_eq!(images, MOVED);
    assert_eq!(
        values,
        json!({
            "image": {"registry": format!("{PREFIX}quay.io"), "repository": "team/app"},
            "pinned": {"repository": format!("{PREFIX}ghcr.io/p/p"), "tag": "1.0", "digest": ""},
            "chroot": {"repository": format!("{PREFIX}r.k8s.io/n/controller"), "tag": "v1"},
            "hub": {"registry": format!("{PREFIX}docker.io"), "repository": "lib/tool", "tag": "3"},
            "vendor": format!("{PREFIX}quay.io"),
            "list": [{"name": "a", "image": format!("{PREFIX}quay.io/list/a:1"), "port": 2}],
            "outer": {"inner": {"image": {"repository": format!("{PREFIX}quay.io/in/inner")}}},
        })
    );

    // Rendered with these values, only the image of the test comes from elsewhere.
    fs::write(
        folder.path().join("archives/values.json"),
        values.to_string(),
    )?;
    let run = Run::new().args(["images", "./app-1.0.0.tgz", "-f", "values.json"]);
    let listed = run
        .current_dir(folder.path().join("archives"))
        .run()
        .await
        .ended(0)
        .stdout;
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
    let folder = folder(&chart());
    let args = [
        "./app-1.0.0.tgz",
        "--set",
        "vendorNamespace=other,count=1",
        "-n",
        "tools",
        "--switches",
    ];
    let done = discover(&folder, &args).await.ended(0);
    for line in [
        "    namespace: tools\n",
        "    values:\n      vendorNamespace: other\n      count: 1\n",
        "      # quay.io/vendor/thing:1",
        "      # quay.io/team/extra:1 (Pod x), with extra.enabled\n",
    ] {
        let line = line.replace("vendor/", "other/");
        assert!(done.stdout.contains(&line), "{line}\n{}", done.stdout);
    }
    let data = beside(&done, &folder);
    let (_, images) = planned(&data).await;
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
    let template = "{{ $_ := required \"clusterName is needed\" .Values.clusterName }}\n\
        {{- if and (ne .Values.image.registry \"docker.io\") (not .Values.global.security.allowInsecureImages) }}\
        {{ fail \"set global.security.allowInsecureImages\" }}{{ end }}\n\
        kind: Pod\nmetadata: {name: x}\nspec: {image: '{{ .Values.image.registry }}/{{ .Values.image.repository }}:1'}\n";
    let chart = Chart::new("app", "1.0.0")
        .values("global: {security: {allowInsecureImages: false}}\nimage: {registry: docker.io, repository: b/n}\n")
        .file("templates/x.yaml", template);
    let folder = folder(&chart);
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
    let data = beside(&done, &folder);
    let (values, images) = planned(&data).await;
    assert_eq!(images, ["docker.io/b/n:1"]);
    assert_eq!(values["global"]["security"]["allowInsecureImages"], true);
    discover(&folder, &["./nowhere.tgz"]).await.ended(2);
    Ok(())
}

#[tokio::test]
async fn images_auto_copies_what_discovery_finds_and_written_entries_win() -> Result {
    let auto = |more: &str| {
        let data = Data::new(
            &format!(
                "charts:\n  app:\n    name: app\n    repository: archives/app-1.0.0.tgz\n    version: 1.0.0\n{more}"
            ),
            "ami: {}\n",
        );
        fs::create_dir(data.file_path("archives")).expect("a folder");
        fs::write(data.file_path("archives/app-1.0.0.tgz"), chart().archive()).expect("a file");
        data
    };
    let (values, images) = planned(&auto("    images: auto\n")).await;
    assert_eq!(images, MOVED);
    assert_eq!(
        values["chroot"]["repository"],
        format!("{PREFIX}r.k8s.io/n/controller")
    );

    let (_, images) = planned(&auto("    images: auto\n    switches: true\n")).await;
    assert!(
        images.contains(&"quay.io/team/extra:1".to_owned()),
        "{images:?}"
    );

    // The written entry names another image for the same value; nothing else changes.
    let written = "    images:\n      auto: true\n      vendor:\n        registry: {location: values, path: vendor}\n        \
        repository: {name: vendor/thing}\n        tag: {name: '1'}\n      tool:\n        registry: {name: ghcr.io, also: [hub.registry]}\n        \
        repository: {location: values, path: hub.repository}\n        tag: {location: values, path: hub.tag}\n";
    let (values, images) = planned(&auto(written)).await;
    assert_eq!(values["hub"]["registry"], format!("{PREFIX}ghcr.io"));
    assert!(
        images.contains(&"ghcr.io/lib/tool:3".to_owned()),
        "{images:?}"
    );
    assert!(
        !images.contains(&"docker.io/lib/tool:3".to_owned()),
        "{images:?}"
    );
    assert_eq!(images.len(), MOVED.len());

    let data = auto("    images: auto\n    values: {list: 3}\n");
    let refused = data.plan().run().await.ended(0);
    assert!(
        refused.stderr.contains("quay.io/team/test:1"),
        "{}",
        refused.stderr
    );
    Ok(())
}

#[tokio::test]
async fn a_suffix_of_a_template_is_part_of_the_name_and_not_of_the_value() -> Result {
    let entry = |tag: &str, more: &str| {
        let data = Data::new(
            &format!(
                "charts:\n  app:\n    name: app\n    repository: archives/app-1.0.0.tgz\n    version: 1.0.0\n    images:\n      c:\n        \
                repository: {{location: values, path: chroot.repository, suffix: -chroot}}\n        tag: {tag}\n{more}"
            ),
            "ami: {}\n",
        );
        fs::create_dir(data.file_path("archives")).expect("a folder");
        fs::write(data.file_path("archives/app-1.0.0.tgz"), chart().archive()).expect("a file");
        data
    };
    let value = "{location: values, path: chroot.tag}";
    let (values, images) = planned(&entry(value, "")).await;
    assert_eq!(images, ["r.k8s.io/n/controller-chroot:v1"]);
    assert_eq!(
        values["chroot"]["repository"],
        format!("{PREFIX}r.k8s.io/n/controller")
    );
    let replaced = "    replication: {c: {repository: r.k8s.io/n/other}}\n";
    let refused = entry(value, replaced).plan().run().await.ended(2);
    assert!(
        refused
            .stderr
            .contains("puts `-chroot` behind the repository"),
        "{}",
        refused.stderr
    );
    let refused = entry("{location: chart, path: appVersion, suffix: -x}", "")
        .plan()
        .run()
        .await
        .ended(2);
    assert!(
        refused.stderr.contains("`suffix` belongs to a value"),
        "{}",
        refused.stderr
    );
    Ok(())
}
