//! Charts that cannot be had, or are not what the data files say of them.

use lab::chart::{Chart, ChartRepository};
use lab::faults::{Fault, Rule};

use super::Result;
use super::data::{Data, chart_entry};

/// An image whose three parts come from values.
const IMAGES: &str = "    images:
      app:
        registry: {location: values, path: image.registry}
        repository: {location: values, path: image.repository}
        tag: {location: values, path: image.tag}
";

fn app() -> Chart {
    Chart::new("app", "1.0.0")
        .app_version("7.1")
        .values("image: {registry: quay.io, repository: team/app, tag: \"1\"}\n")
}

#[tokio::test]
async fn missing_values_of_all_charts_come_at_once_with_the_nearest_that_exist() -> Result {
    let other = Chart::new("other", "1.0.0").values("controller: {image: {repository: a/b}}\n");
    let repository = ChartRepository::start(vec![app(), other]).await?;
    let default = "charts:
  app:
    name: app
    repository: URL
    version: 1.0.0
    images:
      main:
        registry: {location: values, path: image.registri}
        repository: {location: values, path: image.repo}
        tag: {location: chart, path: appVersion}
  other:
    name: other
    repository: URL
    version: 1.0.0
    images:
      controller:
        repository: {location: values, path: controller.image.name.repository}
        tag: {location: chart, path: appVersion}
";
    let data = Data::new(&default.replace("URL", &repository.url()), "ami: {}\n");
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&[
        "4 problems",
        "default.yaml:8: charts.app.images.main.registry: app 1.0.0 has no value `image.registri`",
        "nearest: `image.registry`",
        "default.yaml:9: charts.app.images.main.repository",
        "`image.repository`",
        "default.yaml:17: charts.other.images.controller.repository: other 1.0.0",
        "`controller.image.repository`",
        "default.yaml:18: charts.other.images.controller.tag",
        "`appVersion`",
    ]);
    Ok(())
}

#[tokio::test]
async fn a_mapping_where_a_text_is_needed_is_answered_with_what_is_below_it() -> Result {
    let repository = ChartRepository::start(vec![app()]).await?;
    let more = "    images: {app: {repository: {location: values, path: image}}}\n";
    let data = Data::chart(&repository.url(), more);
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&["a mapping at `image`", "image.repository", "image.tag"]);
    Ok(())
}

#[tokio::test]
async fn a_chart_repository_out_of_reach_is_named_with_its_chart() {
    // Nothing listens there: the port is reserved.
    let data = Data::chart("https://charts.corp/stable", "");
    let run = data.plan().args(["--tries", "1"]);
    let run = run.endpoint("charts.corp", "http://127.0.0.1:1");
    let failed = run.run().await.ended(1).left_nothing();
    failed.said(&[
        "charts.app",
        "app 1.0.0",
        "https://charts.corp/stable",
        "no connection",
    ]);
}

#[tokio::test]
async fn a_chart_repository_that_fails_for_good_is_not_bad_input() -> Result {
    let repository = ChartRepository::start(vec![app()]).await?;
    let faults = repository.faults();
    faults.add(Rule::new(Fault::status(503)).on("GET", "index.yaml"));
    let data = Data::chart(&repository.url(), "");
    let run = data.plan().args(["--tries", "2"]);
    let failed = run.run().await.ended(1).left_nothing();
    failed.said(&["app 1.0.0", "503"]);
    assert_eq!(repository.wire().count("GET", "index.yaml"), 2);
    Ok(())
}

#[tokio::test]
async fn a_version_that_the_index_lacks_is_answered_with_the_closest_ones() -> Result {
    let charts = ["0.9.0", "1.1.0", "2.0.0"].map(|version| Chart::new("app", version));
    let repository = ChartRepository::start(charts.to_vec()).await?;
    let data = Data::chart(&repository.url(), "");
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&[
        "no version `1.0.0`",
        "0.9.0",
        "1.1.0",
        "the newest is 2.0.0",
    ]);
    Ok(())
}

#[tokio::test]
async fn a_chart_that_the_index_lacks_is_answered_with_similar_names() -> Result {
    let repository = ChartRepository::start(vec![Chart::new("cert-manager", "1.0.0")]).await?;
    let entry = chart_entry("certmanager", &repository.url(), "");
    let refused = Data::new(&entry, "ami: {}\n").plan().run().await.ended(2);
    let refused = refused.left_nothing();
    refused.said(&["no chart `certmanager`", "cert-manager"]);
    Ok(())
}

#[tokio::test]
async fn an_archive_that_is_not_what_the_index_promises_is_refused() -> Result {
    let repository = ChartRepository::start(vec![app()]).await?;
    let replaced = app().app_version("evil").archive();
    repository.set_file("app-1.0.0.tgz", replaced);
    let data = Data::chart(&repository.url(), "");
    let failed = data.plan().run().await.ended(1).left_nothing();
    let promised = app().digest();
    failed.said(&[
        "app 1.0.0",
        promised.trim_start_matches("sha256:"),
        "replaced or damaged",
    ]);
    Ok(())
}

#[tokio::test]
async fn an_archive_that_is_none_or_holds_another_chart_is_refused() -> Result {
    let repository = ChartRepository::start(vec![app()]).await?;
    let index = "apiVersion: v1\nentries:\n  app:\n  - {version: 1.0.0, urls: [x.tgz]}\n";
    repository.set_index(index);
    repository.set_file("x.tgz", "<html>Sign in</html>");
    let data = Data::chart(&repository.url(), "");
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&["app 1.0.0", "not usable"]);

    repository.set_file("x.tgz", Chart::new("other", "1.0.0").archive());
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&["holds the chart `other`", "`name`"]);
    Ok(())
}

#[tokio::test]
async fn an_index_that_is_a_web_page_is_refused() -> Result {
    let repository = ChartRepository::start(vec![app()]).await?;
    repository.set_index("<!DOCTYPE html>\n<html><body>Moved</body></html>\n");
    let data = Data::chart(&repository.url(), "");
    let failed = data.plan().run().await.ended(1).left_nothing();
    failed.said(&["app 1.0.0", "index.yaml"]);
    Ok(())
}

#[tokio::test]
async fn a_subchart_that_neither_data_file_nor_chart_knows_is_refused() -> Result {
    let repository =
        ChartRepository::start(vec![app().subchart(Chart::new("ui", "1.0.0"))]).await?;
    let image = "    images: {app: {repository: {location: values, path: image.repository, subchart: uj}}}\n";
    let unlisted = Data::chart(&repository.url(), &format!("    subcharts: [ui]\n{image}"));
    let refused = unlisted.plan().run().await.ended(2).left_nothing();
    refused.said(&["`uj` is not listed", "listed: ui"]);

    let unknown = Data::chart(&repository.url(), &format!("    subcharts: [uj]\n{image}"));
    let refused = unknown.plan().run().await.ended(2).left_nothing();
    refused.said(&["app 1.0.0 has no subchart `uj`", "it has: ui"]);
    Ok(())
}

#[tokio::test]
async fn an_override_of_what_chart_yaml_says_needs_a_place_in_the_values() -> Result {
    let repository = ChartRepository::start(vec![app()]).await?;
    let images = IMAGES.replace(
        "tag: {location: values, path: image.tag}",
        "tag: {location: chart, path: appVersion}",
    );
    let version = "charts: {app: {replication: {app: {tag: v2}}}}\n";
    let entry = |images: &str| chart_entry("app", &repository.url(), images);
    let refused = Data::new(&entry(&images), version)
        .plan()
        .run()
        .await
        .ended(2);
    refused.left_nothing().said(&[
        "read from Chart.yaml",
        "app 1.0.0",
        "add `set: <values path>` to images.app.tag",
    ]);

    let images = images.replace("path: appVersion", "path: appVersion, set: image.tag");
    let planned = Data::new(&entry(&images), version)
        .plan()
        .run()
        .await
        .ended(0);
    let values = &planned.result()["charts"]["app"]["values"];
    assert_eq!(values["image"]["tag"], "v2");
    let pairs = planned.json("updated_images.json");
    assert_eq!(pairs[0]["src"], "quay.io/team/app:v2");

    // Without an override, nothing is written there.
    let planned = Data::new(&entry(&images), "ami: {}\n")
        .plan()
        .run()
        .await
        .ended(0);
    let values = &planned.result()["charts"]["app"]["values"];
    assert_eq!(values["image"].get("tag"), None);
    assert_eq!(
        planned.json("updated_images.json")[0]["src"],
        "quay.io/team/app:7.1"
    );
    Ok(())
}

#[tokio::test]
async fn an_override_of_a_part_that_the_image_has_not_is_refused() -> Result {
    let repository = ChartRepository::start(vec![app()]).await?;
    let default = chart_entry("app", &repository.url(), IMAGES);
    let version = "charts: {app: {replication: {app: {digest: x}, ap: {tag: x}}}}\n";
    let refused = Data::new(&default, version).plan().run().await.ended(2);
    refused.left_nothing().said(&[
        "replication.app.digest",
        "only registry, repository and tag",
        "the chart has no image `ap`",
        "`app`",
    ]);
    Ok(())
}

#[tokio::test]
async fn two_charts_for_one_target_are_a_conflict_unless_they_are_the_same() -> Result {
    let one = ChartRepository::start(vec![app()]).await?;
    let same = ChartRepository::start(vec![app()]).await?;
    let other = ChartRepository::start(vec![app().app_version("8")]).await?;
    let default = "charts:
  one: {name: app, repository: https://one.corp/charts, version: 1.0.0}
  two: {name: app, repository: https://two.corp/charts, version: 1.0.0}
";
    for (two, code) in [(&same, 0), (&other, 2)] {
        for repository in [&one, two] {
            for file in ["index.yaml", "app-1.0.0.tgz"] {
                let bytes = repository.file(file).expect("a file");
                repository.set_file(&format!("charts/{file}"), bytes);
            }
        }
        let run = Data::new(default, "ami: {}\n").plan();
        let run = run.endpoint("one.corp", &one.url());
        let run = run.endpoint("two.corp", &two.url()).run().await.ended(code);
        if code == 2 {
            run.left_nothing().said(&[
                "target.corp/idf-charts/app:1.0.0: two sources for one target",
                "https://one.corp/charts/app:1.0.0 (for one)",
                "https://two.corp/charts/app:1.0.0 (for two)",
                "give both the same `repository`",
            ]);
        }
    }
    Ok(())
}
