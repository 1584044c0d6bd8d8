//! What can be written into data files, and what is planned from it.

use lab::chart::{Chart, ChartRepository};
use serde_json::{Value, json};

use super::Result;
use super::data::{Data, chart_entry};

/// Plans one chart `app` at version 1.0.0 and gives its values and the sources of all images.
async fn plan(chart: Chart, more: &str, version: &str) -> anyhow::Result<(Value, Vec<String>)> {
    let repository = ChartRepository::start(vec![chart]).await?;
    let data = Data::new(&chart_entry("app", &repository.url(), more), version);
    let planned = data.plan().run().await.ended(0);
    let pairs = planned.json("updated_images.json");
    let sources = pairs.as_array().expect("a list").iter();
    let sources = sources.map(|pair| pair["src"].as_str().expect("a text").to_owned());
    Ok((
        planned.result()["charts"]["app"]["values"].clone(),
        sources.collect(),
    ))
}

fn app() -> Chart {
    Chart::new("app", "1.0.0").app_version("7.1")
}

#[tokio::test]
async fn docker_mappings_change_the_source_and_not_the_target() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let default = format!(
        "additional_images:
  mapped: quay.io/team/app:1
  port: reg.corp:5000/app:2
  other_port: reg.corp:5001/app:2
  nowhere: busybox:1.36
  nested: bitnami/kubectl:3
  dotted: team/foo.bar:4
  pinned: quay.io/team/app@{digest}
  both: quay.io/team/app:5@{digest}
  hub: docker.io/library/busybox:6
docker_mappings:
  quay.io: old.corp
  reg.corp:5000: mirror.corp:8443/five
  default: mirror.corp/hub/
"
    );
    let data = Data::new(&default, "docker_mappings: {quay.io: mirror.corp/quay}\n");
    let planned = data.plan().run().await.ended(0);
    let pair = |src: &str, target: &str| json!({"src": src, "target": format!("target.corp/idf-{target}")});
    let expected = json!([
        pair("mirror.corp/quay/team/app:1", "quay.io/team/app:1"),
        pair("mirror.corp:8443/five/app:2", "reg.corp-5000/app:2"),
        pair("reg.corp:5001/app:2", "reg.corp-5001/app:2"),
        pair("mirror.corp/hub/busybox:1.36", "busybox:1.36"),
        pair("mirror.corp/hub/bitnami/kubectl:3", "bitnami/kubectl:3"),
        pair("mirror.corp/hub/team/foo.bar:4", "team/foo.bar:4"),
        pair(
            &format!("mirror.corp/quay/team/app@{digest}"),
            &format!("quay.io/team/app@{digest}")
        ),
        pair(
            &format!("mirror.corp/quay/team/app:5@{digest}"),
            &format!("quay.io/team/app:5@{digest}")
        ),
        pair("docker.io/library/busybox:6", "docker.io/library/busybox:6"),
    ]);
    assert_eq!(planned.json("updated_images.json"), expected);
}

#[tokio::test]
async fn additional_images_of_both_files_merge_and_null_takes_one_back() {
    let data = Data::new(
        "additional_images: {kept: a/kept:1, changed: a/changed:1, dropped: a/dropped:1}\n",
        "additional_images: {changed: a/changed:2, dropped: null, new: a/new:1}\n",
    );
    let planned = data.plan().run().await.ended(0);
    let expected = json!({
        "kept": "target.corp/idf-a/kept:1",
        "changed": "target.corp/idf-a/changed:2",
        "new": "target.corp/idf-a/new:1",
    });
    assert_eq!(planned.result()["additional_images"], expected);
    let pairs = planned.json("updated_images.json");
    assert_eq!(pairs.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn an_image_that_two_users_name_is_one_pair() -> Result {
    let repository =
        ChartRepository::start(vec![app().values("image: quay.io/team/shared:1\n")]).await?;
    let more = "    images: {one: {repository: {location: values, path: image}}}\n";
    let default = chart_entry("app", &repository.url(), more)
        + "additional_images: {two: quay.io/team/shared:1}\n";
    let planned = Data::new(&default, "ami: {}\n").plan().run().await.ended(0);
    let target = "target.corp/idf-quay.io/team/shared:1";
    assert_eq!(
        planned.json("updated_images.json"),
        json!([{"src": "quay.io/team/shared:1", "target": target}])
    );
    assert_eq!(planned.result()["charts"]["app"]["values"]["image"], target);
    assert_eq!(planned.result()["additional_images"]["two"], target);
    Ok(())
}

#[tokio::test]
async fn the_version_file_changes_adds_and_drops_images_part_by_part() -> Result {
    let chart = app().values(
        "one: {registry: quay.io, repository: a/one, tag: 1}\ntwo: quay.io/a/two:2\nthree: quay.io/a/three:3\nelsewhere: b/one\n",
    );
    let more = "    images:
      one:
        registry: {location: values, path: one.registry}
        repository: {location: values, path: one.repository}
        tag: {location: values, path: one.tag}
      two: {repository: {location: values, path: two}}
";
    let version = "charts:
  app:
    images:
      one: {repository: {location: values, path: elsewhere}, registry: null}
      two: null
      three: {repository: {location: values, path: three}}
";
    let (values, sources) = plan(chart, more, version).await?;
    assert_eq!(sources, ["b/one:1", "quay.io/a/three:3"]);
    let expected = json!({
        "elsewhere": "target.corp/idf-b/one",
        "one": {"tag": "1"},
        "three": "target.corp/idf-quay.io/a/three:3",
    });
    assert_eq!(values, expected);
    Ok(())
}

#[tokio::test]
async fn a_subchart_is_read_with_what_its_parent_says_and_written_below_its_alias() -> Result {
    let ui = Chart::new("ui", "2.0.0")
        .app_version("9")
        .values("image: {registry: quay.io, repository: team/ui, tag: \"1\"}\n");
    let chart = app()
        .dependency("ui", "2.0.0", Some("frontend"))
        .subchart(ui)
        .values("frontend: {image: {tag: \"3\"}}\n");
    let more = "    subcharts: [{name: ui, alias: frontend}]
    images:
      ui:
        registry: {location: values, path: image.registry, subchart: frontend}
        repository: {location: values, path: image.repository, subchart: ui}
        tag: {location: values, path: image.tag, subchart: frontend}
      app: {repository: {name: quay.io/team/fixed}, tag: {location: chart, path: appVersion, subchart: ui}}
";
    let (values, sources) = plan(chart, more, "ami: {}\n").await?;
    assert_eq!(sources, ["quay.io/team/ui:3", "quay.io/team/fixed:9"]);
    let image = json!({"registry": "target.corp/idf-quay.io", "repository": "team/ui", "tag": "3"});
    assert_eq!(values, json!({"frontend": {"image": image}}));
    Ok(())
}

#[tokio::test]
async fn a_subchart_that_is_packed_is_read_too() -> Result {
    let ui = Chart::new("ui", "2.0.0").values("image: quay.io/team/ui:1\n");
    let more = "    subcharts: [ui]\n    images: {ui: {repository: {location: values, path: image, subchart: ui}}}\n";
    let (values, sources) = plan(app().packed_subchart(&ui), more, "ami: {}\n").await?;
    assert_eq!(sources, ["quay.io/team/ui:1"]);
    assert_eq!(
        values,
        json!({"ui": {"image": "target.corp/idf-quay.io/team/ui:1"}})
    );
    Ok(())
}

#[tokio::test]
async fn paths_go_through_dotted_keys_and_lists() -> Result {
    let chart = app().values(
        "images:\n  example.com/app: {repository: quay.io/a/dotted, tag: \"1\"}\nlist:\n- {image: quay.io/a/first:1, keep: true}\n- {image: quay.io/a/second:2}\n",
    );
    let more = r"    images:
      dotted:
        repository: {location: values, path: 'images.example\.com/app.repository'}
        tag: {location: values, path: 'images.example\.com/app.tag'}
      second: {repository: {location: values, path: list.1.image}}
";
    let (values, sources) = plan(chart, more, "ami: {}\n").await?;
    assert_eq!(sources, ["quay.io/a/dotted:1", "quay.io/a/second:2"]);
    let dotted = json!({"repository": "target.corp/idf-quay.io/a/dotted", "tag": "1"});
    let expected = json!({
        "images": {"example.com/app": dotted},
        // Helm cannot override a single element: the whole list is published.
        "list": [
            {"image": "quay.io/a/first:1", "keep": true},
            {"image": "target.corp/idf-quay.io/a/second:2"},
        ],
    });
    assert_eq!(values, expected);
    Ok(())
}

#[tokio::test]
async fn an_empty_tag_is_the_charts_app_version_and_written_where_it_is_read() -> Result {
    let chart =
        app().values("repository: quay.io/a/b\nempty: \"\"\nnothing: null\nblank:\nset: \"1\"\n");
    let image = |path: &str| {
        format!(
            "      {path}: {{repository: {{location: values, path: repository}}, tag: {{location: values, path: {path}, prefix: v}}}}\n"
        )
    };
    let more: String = ["empty", "nothing", "blank", "set"].map(image).concat();
    let (values, sources) = plan(chart, &format!("    images:\n{more}"), "ami: {}\n").await?;
    assert_eq!(sources, ["quay.io/a/b:v7.1", "quay.io/a/b:v1"]);
    let expected = json!({
        "repository": "target.corp/idf-quay.io/a/b",
        "empty": "v7.1",
        "nothing": "v7.1",
        "blank": "v7.1",
        "set": "v1",
    });
    assert_eq!(values, expected);
    Ok(())
}

#[tokio::test]
async fn what_is_to_be_removed_becomes_empty() -> Result {
    let chart =
        app().values("image: {repository: quay.io/a/b, tag: \"1\", digest: sha256:00, sha: x}\n");
    let images = |remove: &str| {
        format!(
            "    images: {{app: {{repository: {{location: values, path: image.repository}}, tag: {{location: values, path: image.tag}}, remove: {remove}}}}}\n"
        )
    };
    let (values, sources) =
        plan(chart.clone(), &images("{path: image.digest}"), "ami: {}\n").await?;
    assert_eq!(sources, ["quay.io/a/b:1"]);
    let image = json!({"repository": "target.corp/idf-quay.io/a/b", "tag": "1", "digest": ""});
    assert_eq!(values["image"], image);

    let (values, _) = plan(
        chart,
        &images("[{path: image.digest}, {path: image.sha}]"),
        "ami: {}\n",
    )
    .await?;
    assert_eq!(
        (&values["image"]["digest"], &values["image"]["sha"]),
        (&json!(""), &json!(""))
    );
    Ok(())
}

#[tokio::test]
async fn a_port_in_a_registry_becomes_a_dash_in_the_values_too() -> Result {
    let chart = app().values("image: {registry: 'Reg.corp:5000', repository: a/b, tag: \"1\"}\n");
    let more = "    images:
      app:
        registry: {location: values, path: image.registry}
        repository: {location: values, path: image.repository}
        tag: {location: values, path: image.tag}
";
    let (values, sources) = plan(chart, more, "ami: {}\n").await?;
    assert_eq!(sources, ["Reg.corp:5000/a/b:1"]);
    assert_eq!(values["image"]["registry"], "target.corp/idf-reg.corp-5000");
    assert_eq!(values["image"]["repository"], "a/b");
    Ok(())
}

#[tokio::test]
async fn numbers_are_read_as_helm_reads_them_and_go_out_as_texts() -> Result {
    let tags = [
        ("5", "5"),
        ("1.10", "1.1"),
        ("010", "8"),
        ("\"1.20\"", "1.20"),
        ("1_7", "17"),
    ];
    let line = |(number, (written, _)): (usize, &(&str, &str))| format!("tag{number}: {written}\n");
    let image = |number: usize| {
        format!(
            "      i{number}: {{repository: {{location: values, path: image}}, tag: {{location: values, path: tag{number}}}}}\n"
        )
    };
    let lines: Vec<String> = tags.iter().enumerate().map(line).collect();
    let images: Vec<String> = (0..tags.len()).map(image).collect();
    let lines = format!("image: quay.io/a/b\n{}", lines.concat());
    let images = format!("    images:\n{}", images.concat());
    let (values, sources) = plan(app().values(&lines), &images, "ami: {}\n").await?;
    assert_eq!(sources, tags.map(|(_, read)| format!("quay.io/a/b:{read}")));
    for (number, (_, read)) in tags.iter().enumerate() {
        assert_eq!(values[format!("tag{number}")], json!(read));
    }
    Ok(())
}

#[tokio::test]
async fn what_a_data_file_writes_keeps_its_text() -> Result {
    let chart = app().values("image: quay.io/a/b\ntag: x\n");
    let more = "    images: {app: {repository: {location: values, path: image}, tag: {location: values, path: tag}}}\n";
    let version = "charts: {app: {replication: {app: {tag: 1.10}}}}\n";
    let (values, sources) = plan(chart, more, version).await?;
    assert_eq!(sources, ["quay.io/a/b:1.10"]);
    assert_eq!(values["tag"], "1.10");
    let image = "ami: {version: 1.10}\nadditional_images: {a: quay.io/a:1}\n";
    let planned = Data::new(image, "ami: {}\n").plan().run().await;
    assert_eq!(planned.ended(0).result()["ami"]["version"], "1.10");
    Ok(())
}

#[tokio::test]
async fn a_chart_that_is_skipped_is_not_asked_for() -> Result {
    let default = chart_entry("app", "https://127.0.0.1:1/nothing", "");
    let version = "charts: {app: {skip: yes}}\nadditional_images: {a: quay.io/a:1}\n";
    let planned = Data::new(&default, version).plan().run().await.ended(0);
    assert_eq!(planned.result()["charts"], json!({}));
    let repository = ChartRepository::start(vec![app()]).await?;
    let default = chart_entry("app", &repository.url(), "    skip: true\n");
    let planned = Data::new(&default, "charts: {app: {skip: false}}\n")
        .plan()
        .run()
        .await;
    assert_ne!(planned.ended(0).result()["charts"]["app"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn the_entry_of_a_chart_says_where_helm_finds_its_copy() -> Result {
    let repository = ChartRepository::start(vec![app()]).await?;
    let url = format!("{}/stable/", repository.url());
    repository.set_file(
        "stable/index.yaml",
        repository.file("index.yaml").expect("an index"),
    );
    repository.set_file("stable/app-1.0.0.tgz", app().archive());
    let data = Data::chart(&url, "");
    let planned = data.plan().run().await.ended(0);
    let expected = json!({
        "helm": {
            "name": "app",
            "repository": "oci://target.corp/idf-stable/app",
            "version": "1.0.0",
            "srcRepository": url,
        },
        "values": {},
    });
    assert_eq!(planned.result()["charts"]["app"], expected);
    Ok(())
}
