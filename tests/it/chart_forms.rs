//! Charts in every form in which they come: archives of other tools, subcharts of every kind, and
//! values as a subchart really sees them.

use std::fs;

use lab::chart::{Chart, ChartRepository};
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::data::Data;
use super::run::Finished;

/// The text of an image that takes repository and tag from a subchart's values.
fn image(key: &str, subchart: &str) -> String {
    format!(
        "      {key}:\n        repository: {{location: values, path: image.repository, subchart: {subchart}}}\n        tag: {{location: values, path: image.tag, subchart: {subchart}}}\n"
    )
}

/// A subchart whose image is `q.corp/<name>:<tag>`.
fn sub(name: &str, version: &str, tag: &str) -> Chart {
    Chart::new(name, version)
        .app_version("9.9")
        .values(&format!(
            "image: {{repository: q.corp/{name}, tag: '{tag}'}}\n"
        ))
}

async fn planned(chart: Chart, more: &str) -> anyhow::Result<Finished> {
    let repository = ChartRepository::start(vec![chart]).await?;
    Ok(Data::chart(&repository.url(), more).plan().run().await)
}

fn values(done: &Finished) -> Value {
    done.result()["charts"]["app"]["values"].clone()
}

fn sources(done: &Finished) -> Vec<String> {
    let pairs = done.json("updated_images.json");
    let pairs = pairs.as_array().expect("a list").iter();
    let mut sources: Vec<String> = pairs
        .map(|pair| pair["src"].as_str().expect("a source").to_owned())
        .collect();
    sources.sort();
    sources
}

#[tokio::test]
async fn each_alias_of_a_subchart_has_its_own_version_and_its_own_values() -> Result {
    let app = Chart::new("app", "1.0.0")
        .dependency("sub", "1.0.0", Some("old"))
        .dependency("sub", "^2.0.0", Some("new"))
        .dependency("db", ">=1", None)
        .dependency("db", "", Some("spare"))
        .values("new: {image: {tag: '2b'}}\n")
        .packed_subchart(&sub("sub", "1.0.0", "1"))
        .packed_subchart(&sub("sub", "2.3.0", "2"))
        .subchart(sub("db", "1.5.0", "3"));
    let keys = ["old", "new", "db"];
    let images: String = keys.iter().map(|key| image(key, key)).collect();
    let more =
        format!("    subcharts: [old, {{name: sub, alias: new}}, db]\n    images:\n{images}");
    let done = planned(app, &more).await?.ended(0);
    assert_eq!(
        sources(&done),
        ["q.corp/db:3", "q.corp/sub:1", "q.corp/sub:2b"]
    );
    let values = values(&done);
    for (key, name, tag) in [("old", "sub", "1"), ("new", "sub", "2b"), ("db", "db", "3")] {
        let expected = json!({"repository": format!("target.corp/idf-q.corp/{name}"), "tag": tag});
        assert_eq!(values[key]["image"], expected, "{key}");
    }
    Ok(())
}

#[tokio::test]
async fn a_disabled_subchart_and_a_subchart_of_a_subchart_can_be_planned() -> Result {
    let middle = Chart::new("middle", "1.0.0")
        .dependency("deep", "1.0.0", Some("below"))
        .values("below: {image: {tag: '5'}}\n")
        .subchart(sub("deep", "1.0.0", "1"));
    let app = Chart::new("app", "1.0.0")
        .meta("dependencies: [{name: middle, version: 1.0.0, condition: middle.enabled}]")
        .values("middle: {enabled: false}\n")
        .subchart(middle);
    let more = format!(
        "    subcharts: [middle.below]\n    images:\n{}",
        image("a", "middle.below")
    );
    let done = planned(app, &more).await?.ended(0);
    assert_eq!(sources(&done), ["q.corp/deep:5"]);
    assert_eq!(values(&done)["middle"]["below"]["image"]["tag"], "5");
    Ok(())
}

#[tokio::test]
async fn a_null_of_the_parent_takes_a_subcharts_default_away() -> Result {
    let app = |values: &str| {
        let app = Chart::new("app", "1.0.0").dependency("sub", "1.0.0", None);
        app.values(values).subchart(sub("sub", "1.0.0", "1"))
    };
    let more = format!("    subcharts: [sub]\n    images:\n{}", image("a", "sub"));
    let done = planned(app("sub: {image: {tag: null}}\n"), &more)
        .await?
        .ended(0);
    assert_eq!(sources(&done), ["q.corp/sub:9.9"]);
    let done = planned(app("sub: {image: {repository: null}}\n"), &more).await?;
    done.ended(2)
        .said(&["the chart's value for the repository is empty"]);
    Ok(())
}

#[tokio::test]
async fn a_list_of_a_subchart_is_published_whole() -> Result {
    let list = "sidecars: [{image: q.corp/a, tag: '1', port: 80, off: null}, {image: q.corp/b}]\n";
    let app = Chart::new("app", "1.0.0")
        .dependency("sub", "1.0.0", None)
        .subchart(Chart::new("sub", "1.0.0").values(list));
    let more = "    subcharts: [sub]\n    images:\n      a:\n        repository: {location: values, path: sidecars.0.image, subchart: sub}\n        tag: {location: values, path: sidecars.0.tag, subchart: sub}\n";
    let done = planned(app, more).await?.ended(0);
    let expected = json!([
        {"image": "target.corp/idf-q.corp/a", "tag": "1", "port": 80},
        {"image": "q.corp/b"},
    ]);
    assert_eq!(values(&done)["sub"]["sidecars"], expected);
    Ok(())
}

#[tokio::test]
async fn a_global_is_overridden_where_helm_reads_it() -> Result {
    let more = "    subcharts: [sub]\n    images:\n      a:\n        registry: {location: values, path: global.reg, subchart: sub}\n        repository: {location: values, path: image.repository, subchart: sub}\n        tag: {location: values, path: image.tag, subchart: sub}\n";
    for (parent, at, source) in [
        ("global: {reg: r.corp}\n", "/global/reg", "r.corp/m:1"),
        (
            "global: {reg: r.corp}\nsub: {global: {reg: s.corp}}\n",
            "/global/reg",
            "r.corp/m:1",
        ),
        (
            "sub: {global: {reg: s.corp}}\n",
            "/sub/global/reg",
            "s.corp/m:1",
        ),
        ("global: {other: x}\n", "/sub/global/reg", "t.corp/m:1"),
    ] {
        let values = "global: {reg: t.corp}\nimage: {repository: m, tag: '1'}\n";
        let app = Chart::new("app", "1.0.0")
            .dependency("sub", "1.0.0", None)
            .values(parent)
            .subchart(Chart::new("sub", "1.0.0").values(values));
        let done = planned(app, more).await?.ended(0);
        assert_eq!(sources(&done), [source], "{parent}");
        let host = source.split('/').next().unwrap_or_default();
        let expected = format!("target.corp/idf-{host}");
        let written = self::values(&done);
        assert_eq!(written.pointer(at), Some(&json!(expected)), "{parent}");
    }
    Ok(())
}

#[tokio::test]
async fn an_override_that_the_chart_would_not_see_is_refused() -> Result {
    // The parent has no such global until another image's override makes one.
    let more = "    subcharts: [sub]\n    images:\n      a:\n        registry: {location: values, path: global.reg, subchart: sub}\n        repository: {location: values, path: image, subchart: sub}\n      b:\n        registry: {location: values, path: global.reg}\n        repository: {location: values, path: image}\n    replication: {b: {registry: other.corp}}\n";
    let app = Chart::new("app", "1.0.0")
        .dependency("sub", "1.0.0", None)
        .values("image: other\n")
        .subchart(Chart::new("sub", "1.0.0").values("global: {reg: t.corp}\nimage: m\n"));
    let refused = planned(app, more).await?.ended(2);
    refused.said(&[
        "would not see the override `target.corp/idf-t.corp` at `sub.global.reg`",
        "it sees `target.corp/idf-other.corp`",
    ]);
    Ok(())
}

#[tokio::test]
async fn a_registry_that_is_empty_is_refused_with_the_global_that_takes_its_place() -> Result {
    let more = "    images:\n      a:\n        registry: {location: values, path: image.registry}\n        repository: {location: values, path: image.repository}\n        tag: {location: values, path: image.tag}\n";
    for empty in ["null", "''", "false"] {
        let values = format!(
            "global: {{image: {{registry: quay.corp}}}}\nimage: {{registry: {empty}, repository: x/m, tag: '1'}}\n"
        );
        let app = Chart::new("app", "1.0.0").values(&values);
        let refused = planned(app, more).await?.ended(2);
        let found = format!("has {} at `image.registry`", empty.replace("''", "\"\""));
        refused.said(&[&found, "such as `global.image.registry`"]);
    }
    Ok(())
}

#[tokio::test]
async fn what_helm_takes_as_empty_is_empty() -> Result {
    let more = "    images:\n      a:\n        registry: {location: values, path: registry}\n        repository: {location: values, path: repository}\n        tag: {location: values, path: tag}\n";
    for empty in ["false", "0", "0.0", "''", "no", "-0", "{}", "[]"] {
        let values = format!("registry: {empty}\nrepository: q.corp/m\ntag: {empty}\n");
        let app = Chart::new("app", "1.0.0")
            .app_version("7.1")
            .values(&values);
        let done = planned(app, more).await?.ended(0);
        assert_eq!(sources(&done), ["q.corp/m:7.1"], "{empty}");
        assert_eq!(self::values(&done)["tag"], "7.1", "{empty}");
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_dependency_is_refused_in_a_folder_and_a_warning_in_an_archive() -> Result {
    let app = Chart::new("app", "1.0.0").dependency("sub", "1.0.0", None);
    let told = planned(app, "").await?.ended(0);
    told.said(&["warning", "lacks: sub"]);
    let folder = Data::chart("./app", "");
    fs::create_dir(folder.file_path("app"))?;
    let folder = folder.file(
        "app/Chart.yaml",
        "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n- {name: sub, version: 1.0.0, repository: 'file://../sub'}\n",
    );
    let refused = folder.plan().run().await.ended(2);
    refused.said(&["lacks: sub", "helm dependency build"]);
    Ok(())
}

#[tokio::test]
async fn names_that_helm_passes_over_are_passed_over() -> Result {
    let app = Chart::new("app", "1.0.0")
        .file("charts/._x.tgz", "\0")
        .file("charts/_x.tgz", "junk")
        .file("charts/.y.tgz", "junk")
        .file("charts/_draft/Chart.yaml", "{")
        .file("charts/.hidden/Chart.yaml", "{")
        .file("charts/z.tgz.prov", "x")
        .file("._Chart.yaml", "\0");
    planned(app, "").await?.ended(0);
    let broken = Chart::new("app", "1.0.0").file("charts/x/Chart.yaml", "{");
    planned(broken, "")
        .await?
        .ended(2)
        .said(&["in its subchart x"]);
    Ok(())
}

#[tokio::test]
async fn a_version_without_quotes_is_found_as_it_is_written_and_as_helm_reads_it() -> Result {
    let repository = ChartRepository::start(vec![
        Chart::new("app", "7").chart_yaml("apiVersion: v2\nname: app\nversion: 7.0\n"),
    ])
    .await?;
    let data = |version: &str, repository: &str| {
        let entry = format!(
            "charts: {{app: {{name: app, repository: '{repository}', version: '{version}', images: {{}}}}}}\n"
        );
        Data::new(&entry, "ami: {}\n")
    };
    let archive = repository.file("app-7.tgz").expect("the archive");
    for version in ["7", "7.0", "7.0.0", "v7"] {
        let done = data(version, &repository.url()).plan().run().await.ended(0);
        assert_eq!(
            done.result()["charts"]["app"]["helm"]["version"],
            "7",
            "{version}"
        );
        let local = data(version, "./charts");
        fs::create_dir(local.file_path("charts"))?;
        fs::write(local.file_path("charts/app-7.tgz"), &archive)?;
        local.plan().run().await.ended(0);
    }
    let refused = data("7.1", &repository.url()).plan().run().await.ended(2);
    refused.said(&["no version `7.1`", "7"]);
    Ok(())
}

#[tokio::test]
async fn a_chart_in_capitals_is_a_warning() -> Result {
    let repository = ChartRepository::start(vec![Chart::new("Tool", "1.0.0")]).await?;
    let entry = format!(
        "charts: {{tool: {{name: Tool, repository: '{}', version: 1.0.0, images: {{}}}}}}\n",
        repository.url()
    );
    let done = Data::new(&entry, "ami: {}\n").plan().run().await.ended(0);
    done.said(&["the chart `Tool` has capital letters"]);
    Ok(())
}

#[tokio::test]
async fn an_index_can_name_a_registry() -> Result {
    let source = Registry::start().await?;
    let app = sub("app", "1.0.0", "1");
    app.push_oci(&source, "bitnami/app")?;
    let repository = ChartRepository::start(vec![app.clone()]).await?;
    let more = "    images: {}\n";
    for (url, digest, code) in [
        ("oci://ghcr.io/bitnami/app:1.0.0", "''", 0),
        ("oci://ghcr.io/bitnami/app", app.digest().as_str(), 0),
        ("oci://ghcr.io/bitnami/app", &"0".repeat(64), 1),
        ("oci://ghcr.io/bitnami/none:1.0.0", "''", 1),
        ("ftp://ghcr.io/app.tgz", "''", 1),
    ] {
        repository.set_index(format!(
            "apiVersion: v1\nentries: {{app: [{{name: app, version: 1.0.0, urls: ['{url}'], digest: {digest}}}]}}\n"
        ));
        let target = Registry::start().await?;
        let run = Data::chart(&format!("{}/c", repository.url()), more).deploy(&target);
        repository.set_file(
            "c/index.yaml",
            repository.file("index.yaml").expect("an index"),
        );
        let run = run.endpoint("ghcr.io", &source.url());
        let done = run.args(["--tries", "1"]).run().await.ended(code);
        if code == 0 {
            let copied = target.manifest("mirror/c/app", "1.0.0");
            assert_eq!(copied, source.manifest("bitnami/app", "1.0.0"), "{url}");
        } else {
            let named = url.trim_start_matches("oci://");
            assert!(
                done.stderr.contains(named) || digest.len() == 64,
                "{}",
                done.stderr
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_registry_url_can_end_with_the_charts_name() -> Result {
    let source = Registry::start().await?;
    Chart::new("app", "1.0.0").push_oci(&source, "charts/app")?;
    let plan = |version: &str, repository: &str| {
        let entry = format!(
            "charts: {{app: {{name: app, repository: '{repository}', version: '{version}', images: {{}}}}}}\n"
        );
        let run = Data::new(&entry, "ami: {}\n").plan();
        run.endpoint("ghcr.io", &source.url())
    };
    for version in ["1.0.0", "1.0", "v1"] {
        plan(version, "oci://ghcr.io/charts/app")
            .run()
            .await
            .ended(0);
        plan(version, "oci://ghcr.io/charts").run().await.ended(0);
    }
    let refused = plan("2.0.0", "oci://ghcr.io/charts/app")
        .run()
        .await
        .ended(2);
    refused.said(&[
        "oci://ghcr.io/charts/app/app and oci://ghcr.io/charts/app",
        "1.0.0",
    ]);
    Ok(())
}

#[tokio::test]
async fn a_digest_of_an_index_can_be_empty_or_written_in_other_ways() -> Result {
    let app = Chart::new("app", "1.0.0");
    let repository = ChartRepository::start(vec![app.clone()]).await?;
    let digest = app.digest();
    let hex = digest.trim_start_matches("sha256:");
    let upper = hex.to_uppercase();
    for (written, code) in [
        ("''", 0),
        ("'  '", 0),
        ("null", 0),
        ("~", 0),
        ("", 0),
        (hex, 0),
        (&*upper, 0),
        (&*digest, 0),
        (&*format!("SHA256:{upper}"), 0),
        (&*"0".repeat(64), 1),
    ] {
        for index in [
            format!(
                "apiVersion: v1\nentries:\n  app:\n  - name: app\n    version: 1.0.0\n    digest: {written}\n    urls:\n    - app-1.0.0.tgz\n"
            ),
            format!(
                "apiVersion: v1\nentries: {{app: [{{name: app, version: 1.0.0, digest: {written}, urls: [app-1.0.0.tgz]}}]}}\n"
            ),
        ] {
            repository.set_index(index.clone());
            let run = Data::chart(&repository.url(), "    images: {}\n").plan();
            let done = run.args(["--tries", "1"]).run().await;
            assert_eq!(done.code, Some(code), "{index}{}", done.stderr);
        }
    }
    Ok(())
}
