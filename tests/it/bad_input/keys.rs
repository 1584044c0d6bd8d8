//! Keys and values of the data files.

use crate::data::{Data, chart_entry};

#[tokio::test]
async fn a_key_that_stands_twice_is_refused() {
    let data = Data::new(
        "additional_images:\n  a: quay.io/a:1\n  b: quay.io/b:1\n  a: quay.io/c:1\n",
        "ami: {}\n",
    );
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&["default.yaml:4", "`a`", "second time"]);
}

#[tokio::test]
async fn only_an_exact_version_of_a_chart_is_taken() {
    let versions = [
        "^1.2.0",
        "'>=1.0.0'",
        "1.x",
        "~1.2",
        "latest",
        "1.*",
        "1.0.0;id",
        "'*'",
        "1.0.0 || 2.0.0",
    ];
    let entries = versions.iter().enumerate().map(|(number, version)| {
        format!("  c{number}: {{name: c, repository: oci://charts.corp/x, version: {version}}}\n")
    });
    let entries: String = entries.collect();
    let data = Data::new(&format!("charts:\n{entries}"), "ami: {}\n");
    let refused = data.plan().run().await.ended(2).left_nothing();
    for number in 0..versions.len() {
        let place = format!(":{}: charts.c{number}.version: `", number + 2);
        assert_eq!(refused.lines_with(&place), 1, "{}", refused.stderr);
    }
    refused.said(&["9 problems", "not a range"]);
}

#[tokio::test]
async fn a_chart_without_its_three_names_is_refused_with_each_that_lacks() {
    let default = "charts:\n  app: {name: app}\n  empty: {name: '', repository: ~, version: ''}\n";
    let data = Data::new(default, "ami: {}\n");
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&[
        "default.yaml:2: charts.app: the chart has no `repository`",
        "default.yaml:2: charts.app: the chart has no `version`",
        "charts.empty.name",
        "charts.empty: the chart has no `repository`",
        "charts.empty.version",
    ]);
}

#[tokio::test]
async fn values_of_the_wrong_kind_are_named_with_what_they_are() {
    let default = "charts:
  app: 5
  other: [a]
additional_images: {a: [x], b: {c: d}}
docker_mappings: text
ami: {version: {a: b}}
";
    let data = Data::new(default, "charts: [a]\n");
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&[
        "7 problems",
        "default.yaml:2: charts.app: a mapping is expected here, this is a text",
        "default.yaml:3: charts.other: a mapping is expected here, this is a list",
        "default.yaml:4: additional_images.a: a text is expected here, this is a list",
        "default.yaml:4: additional_images.b: a text is expected here, this is a mapping",
        "default.yaml:5: docker_mappings: a mapping is expected here, this is a text",
        "default.yaml:6: ami.version: a text is expected here, this is a mapping",
        "1.34.yaml:1: charts: a mapping is expected here, this is a list",
    ]);
}

#[tokio::test]
async fn wrong_kinds_within_a_chart_come_all_at_once() {
    let more =
        "    skip: maybe\n    subcharts: sub\n    images: [a]\n    replication: {b: {tag: 1}}\n";
    let data = Data::chart("https://charts.corp", more);
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&[
        "charts.app.skip",
        "charts.app.subcharts",
        "charts.app.images",
        "charts.app.replication.b",
    ]);
}

#[tokio::test]
async fn a_misspelt_key_is_refused_with_the_one_that_was_meant() {
    let chart = |more: &str| {
        format!("charts:\n  app: {{name: a, repository: oci://c.corp/x, version: 1.0.0, {more}}}\n")
    };
    let image = |more: &str| {
        chart(&format!(
            "images: {{a: {{repository: {{name: b.corp/c}}, {more}}}}}"
        ))
    };
    let part = |more: &str| chart(&format!("images: {{a: {{repository: {{{more}}}}}}}"));
    for (text, meant) in [
        ("chart: {}\n".to_owned(), "write `charts`"),
        ("Charts: {}\n".to_owned(), "write `charts`"),
        (
            "additionalImages: {}\n".to_owned(),
            "write `additional_images`",
        ),
        ("images: {}\n".to_owned(), "write `additional_images`"),
        ("docker-mapping: {}\n".to_owned(), "write `docker_mappings`"),
        ("ami: {verison: 1}\n".to_owned(), "write `version`"),
        ("replication: {}\n".to_owned(), "it belongs in a chart"),
        (chart("image: {}"), "write `images`"),
        (chart("verson: 1"), "write `version`"),
        (chart("subchart: []"), "write `subcharts`"),
        (chart("Skip: true"), "write `skip`"),
        (chart("tag: {name: x}"), "it belongs in an image"),
        (chart("subcharts: [{name: a, aliass: b}]"), "write `alias`"),
        (image("tags: {name: x}"), "write `tag`"),
        (image("removes: {path: a}"), "write `remove`"),
        (
            image("prefix: v"),
            "it belongs in registry, repository or tag of an image",
        ),
        (part("name: b.corp/c, prefx: v"), "write `prefix`"),
        (part("loc: values, path: a"), "write `location`"),
    ] {
        let data = Data::new(&text, "additional_images: {a: quay.io/a:1}\n");
        for command in ["plan", "deploy"] {
            let run = data.run(command).args(["--registry-prefix", "t.corp/"]);
            let refused = run.run().await.ended(2).left_nothing();
            refused.said(&["default.yaml:", "there is no key `", meant]);
        }
    }
}

#[tokio::test]
async fn a_misspelt_key_of_the_version_file_is_refused_and_all_come_at_once() {
    let version = "chart: {}\nadditional_image: {}\n";
    let data = Data::new("additional_images: {a: quay.io/a:1}\n", version);
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&[
        "2 problems",
        "1.34.yaml:1: chart",
        "1.34.yaml:2: additional_image",
    ]);
}

#[tokio::test]
async fn a_key_that_looks_like_no_other_is_a_warning_and_an_extension_is_none() {
    let default = "additional_images: {a: quay.io/a:1}\naddons: {}\nx-common: {}\n";
    let planned = Data::new(default, "ami: {}\n").plan().run().await.ended(0);
    assert_eq!(planned.lines_with("warning:"), 1, "{}", planned.stderr);
    planned.said(&["default.yaml:2: addons: this key is not known and is ignored"]);
}

#[tokio::test]
async fn two_subcharts_under_one_name_are_refused() {
    let more = "    images: {}\n    subcharts: [a, {name: b, alias: a}, b, {name: b, alias: c}]\n";
    let data = Data::chart("oci://c.corp/x", more);
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&[
        "charts.app.subcharts.1: the subchart `a` is listed a second time",
        "alias",
    ]);
}

#[tokio::test]
async fn a_forgotten_value_is_reported() {
    let default = "additional_images: {a: quay.io/a:1, b: }\ndocker_mappings: {quay.io: }\n";
    let data = Data::new(default, "additional_images: {a: ~, c: ~, d: quay.io/d:1}\n");
    let planned = data.plan().run().await.ended(0);
    assert_eq!(planned.lines_with("warning:"), 3, "{}", planned.stderr);
    planned.said(&[
        "default.yaml:1: additional_images.b: there is no value here",
        "default.yaml:2: docker_mappings.quay.io: there is no value here",
        "1.34.yaml:1: additional_images.c: there is no value here",
    ]);

    let app = chart_entry("app", "oci://c.corp/x", "    images: {}\n");
    for (default, version, place) in [
        (
            "charts: {app: }\nadditional_images: {a: b.io/a:1}\n",
            "ami: {}\n",
            "default.yaml:1",
        ),
        (app.as_str(), "charts: {app: ~}\n", "1.34.yaml:1"),
    ] {
        let refused = Data::new(default, version)
            .plan()
            .run()
            .await
            .ended(2)
            .left_nothing();
        let words = format!("{place}: charts.app: the entry of the chart is empty");
        refused.said(&[&words, "`skip: true`"]);
    }
}

#[tokio::test]
async fn a_repository_without_its_scheme_is_refused_with_both() {
    let data = Data::chart("c.corp/charts", "    images: {}\n");
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&[
        "default.yaml:4: charts.app.repository",
        "https://c.corp/charts or oci://c.corp/charts",
    ]);
}

#[tokio::test]
async fn a_name_beside_a_path_and_a_key_that_is_not_a_text_are_refused() {
    let image =
        "    images:\n      a:\n        repository: {name: b.corp/c, location: values, path: x}\n";
    let data = Data::chart("oci://c.corp/x", image);
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&["default.yaml:8: ", "`location` beside it has no effect"]);

    let default = "additional_images:\n  {{ name }}: quay.io/a:1\n";
    let refused = Data::new(default, "ami: {}\n")
        .plan()
        .run()
        .await
        .ended(2)
        .left_nothing();
    refused.said(&[
        "default.yaml:2: a key is a text, this is a mapping",
        "quotes",
    ]);

    let refused = Data::new("charts:\n\tapp: {}\n", "ami: {}\n")
        .plan()
        .run()
        .await
        .ended(2);
    refused.left_nothing().said(&["default.yaml:2", "not tabs"]);
}
