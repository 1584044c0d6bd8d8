//! Settings and data files that cannot be right: exit code 2, everything at once, nothing created.

use super::Result;
use super::data::{Data, chart_entry};
use super::run::Run;

#[tokio::test]
async fn without_an_eks_version_the_remedy_names_manifest_and_flag() {
    let run = Run::new().args(["deploy", "--registry-prefix", "oci:mirror"]);
    let refused = run.out().run().await.ended(2).left_nothing();
    refused.said(&[
        "no EKS version is given",
        "eks-version",
        "--eks-version 1.34",
        "manifest",
    ]);
}

#[tokio::test]
async fn an_unknown_version_is_answered_with_those_that_are_known() {
    let data = Data::images(&["quay.io/a/b:1"]).file("1.9.yaml", "ami: {}\n");
    for version in ["1.35", "../1.34", "1.3"] {
        let run = data.run_version("plan", version);
        let run = run.args(["--no-observe", "--registry-prefix", "target.corp/"]);
        let refused = run.run().await.ended(2).left_nothing();
        refused.said(&[&format!("`{version}`"), "known versions: 1.9, 1.34"]);
    }
}

#[tokio::test]
async fn a_version_that_lost_its_zero_is_understood_and_said() {
    let data = Data::images(&["quay.io/a/b:1"]).file("1.30.yaml", "ami: {version: cut}\n");
    let run = data.run_version("plan", "1.3");
    let run = run.args(["--no-observe", "--registry-prefix", "target.corp/"]);
    let planned = run.run().await.ended(0);
    assert_eq!(planned.result()["ami"]["version"], "cut");
    planned.said(&["warning:", "`1.3`", "\"1.30\"", "quotes"]);

    // With a 1.3.yaml there are two meanings, and the written one counts.
    let data = data.file("1.3.yaml", "ami: {version: written}\n");
    let run = data.run_version("plan", "1.3");
    let run = run.args(["--no-observe", "--registry-prefix", "target.corp/"]);
    let planned = run.run().await.ended(0);
    assert_eq!(planned.result()["ami"]["version"], "written");
    assert_eq!(planned.lines_with("warning"), 0, "{}", planned.stderr);
}

#[tokio::test]
async fn broken_yaml_is_named_with_file_and_line() {
    let data = Data::new("charts: {}\n", "ami:\n  version: 1\ncharts: [\n  x\n");
    let refused = data.plan().run().await.ended(2).left_nothing();
    let place = format!("{}:", data.file_path("1.34.yaml").display());
    refused.said(&[&place, "the YAML is broken", "line"]);
}

#[tokio::test]
async fn a_missing_data_folder_and_a_missing_file_are_named() -> Result {
    let data = Data::images(&[]);
    std::fs::remove_file(data.file_path("default.yaml"))?;
    let default = data.file_path("default.yaml").display().to_string();
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&[&default, "cannot read the data file", "dataFiles"]);

    let run = Run::new().args([
        "plan",
        "--eks-version",
        "1.34",
        "--data-dir",
        "/no/such/folder",
    ]);
    let run = run.args(["--registry-prefix", "oci:mirror"]).out();
    let refused = run.run().await.ended(2).left_nothing();
    refused.said(&["/no/such/folder", "cannot read the folder", "--data-dir"]);
    Ok(())
}

#[tokio::test]
async fn a_data_file_whose_name_is_nearly_right_is_named() -> Result {
    for (right, wrong) in [
        ("1.34.yaml", "1.34.yml"),
        ("1.34.yaml", "v1.34.yaml"),
        ("default.yaml", "Default.YAML"),
    ] {
        let data = Data::images(&["quay.io/a/b:1"]);
        std::fs::rename(data.file_path(right), data.file_path(wrong))?;
        let refused = data.plan().run().await.ended(2).left_nothing();
        refused.said(&[&format!("there is a `{wrong}`: rename it to `{right}`")]);
    }
    Ok(())
}

#[tokio::test]
async fn an_output_folder_that_is_a_file_is_refused() -> Result {
    let data = Data::images(&["quay.io/a/b:1"]);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    std::fs::write(&file, "mine")?;
    for out in [file.clone(), file.join("below")] {
        for command in ["plan", "deploy"] {
            let run = data.given_to(Run::new().args([command, "--eks-version", "1.34"]));
            let run = run
                .args(["--registry-prefix", "oci:mirror", "--out"])
                .arg(&out);
            let refused = run.run().await.ended(2);
            refused.said(&["--out", "file is not a folder"]);
        }
    }
    assert_eq!(std::fs::read_to_string(&file)?, "mine");
    Ok(())
}

#[tokio::test]
async fn a_malformed_prefix_is_refused_with_the_rule() {
    let data = Data::images(&["quay.io/a/b:1"]);
    for (prefix, why) in [
        ("registry", "host[:port]/prefix"),
        ("https://target.corp/idf-", "no scheme"),
        ("target.corp/Upper-", "target.corp/Upper-"),
        ("oci:", "oci:DIR"),
        ("mirror/idf-", "registry's host"),
        ("target.corp/a:1-", "tag"),
    ] {
        let run = data.run("deploy").args(["--registry-prefix", prefix]);
        let refused = run.run().await.ended(2).left_nothing();
        refused.said(&["--registry-prefix", prefix, why]);
    }
}

#[tokio::test]
async fn settings_out_of_their_range_are_refused_together() {
    let data = Data::images(&["quay.io/a/b:1"]);
    let run = data.plan().args(["--platforms", "amd64", "--jobs", "0"]);
    let run = run.args(["--endpoint", "quay.io", "--endpoint", "quay.io=ftp://x"]);
    let refused = run.run().await.ended(2).left_nothing();
    refused.said(&[
        "4 problems",
        "--platforms: `amd64`",
        "--jobs: `0`",
        "`quay.io` is not HOST=URL",
        "ftp://x",
    ]);
}

#[tokio::test]
async fn parameters_of_a_manifest_are_named_as_the_manifest_names_them() {
    let data = Data::images(&["quay.io/a/b:1"]);
    let run = Run::new()
        .arg("plan")
        .arg("--data-dir")
        .arg(data.path())
        .out();
    let run = run
        .env("SEEDFARMER_PARAMETER_EKS_VERSION", "1.35")
        .env("SEEDFARMER_PARAMETER_REGISTRY_PREFIX", "nothing")
        .env("SEEDFARMER_PARAMETER_PLATFORMS", "arm64");
    let refused = run.run().await.ended(2).left_nothing();
    refused.said(&[
        "3 problems",
        "RegistryPrefix",
        "Platforms: `arm64`",
        "version `1.35`",
    ]);
}

#[tokio::test]
async fn problems_of_settings_and_of_both_data_files_come_together() {
    let default = "additional_images:\n  broken: 'a b'\nunheard: 1\n";
    let version = "docker_mappings:\n  quay.io: no-host/path\ncharts:\n  ghost: {version: 1.0.0}\n";
    let run = Data::new(default, version);
    let run = run.run("deploy").args(["--registry-prefix", "nothing"]);
    let refused = run.run().await.ended(2).left_nothing();
    refused.said(&[
        "4 problems, nothing was started",
        "--registry-prefix",
        "default.yaml:2: additional_images.broken",
        "1.34.yaml:2: docker_mappings.quay.io",
        "1.34.yaml:4: charts.ghost: the chart `ghost` is not known",
    ]);
}

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
async fn a_byte_order_mark_and_line_ends_of_windows_are_read() {
    let default = "\u{feff}additional_images:\r\n  a: quay.io/a:1\r\n";
    let planned = Data::new(default, "ami: {}\r\n")
        .plan()
        .run()
        .await
        .ended(0);
    assert_eq!(
        planned.result()["additional_images"]["a"],
        "target.corp/idf-quay.io/a:1"
    );
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
async fn a_plan_of_nothing_is_refused() {
    for (default, version) in [
        ("charts: {}\n", "ami: {version: 1}\n"),
        ("ami: {}\n", "ami: {version: 1}\n"),
        (
            "additional_images: {a: quay.io/a:1}\n",
            "additional_images: {a: ~}\n",
        ),
        (
            "charts:\n  app: {name: a, repository: oci://c.corp/x, version: 1.0.0, images: {}}\n",
            "charts: {app: {skip: true}}\n",
        ),
    ] {
        let data = Data::new(default, version);
        for command in ["plan", "deploy"] {
            let run = data.run(command).args(["--registry-prefix", "oci:mirror"]);
            let refused = run.run().await.ended(2).left_nothing();
            refused.said(&["nothing to copy", "additional_images"]);
        }
    }
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

#[tokio::test]
async fn two_sources_for_one_target_are_a_conflict_before_anything_is_copied() {
    // A port's colon becomes a dash.
    let default = "additional_images:\n  one: reg.corp:5000/app:1\n  two: reg.corp-5000/app:1\n";
    for (version, one) in [
        ("ami: {}\n", "reg.corp:5000/app:1 (for one)"),
        (
            "docker_mappings: {'Reg.corp:5000': mirror.corp}\n",
            "mirror.corp/app:1 (for one)",
        ),
    ] {
        let data = Data::new(default, version);
        let refused = data.plan().run().await.ended(2).left_nothing();
        refused.said(&[
            "target.corp/idf-reg.corp-5000/app:1: two sources for one target",
            one,
            "reg.corp-5000/app:1 (for two)",
            "docker_mappings",
        ]);
    }
}

#[tokio::test]
async fn a_host_in_capitals_is_the_same_source() {
    let default = "additional_images:\n  one: QUAY.io/app:1\n  two: quay.io/app:1\n";
    for version in ["ami: {}\n", "docker_mappings: {quay.io: mirror.corp}\n"] {
        let planned = Data::new(default, version).plan().run().await.ended(0);
        let pairs = planned.json("updated_images.json");
        assert_eq!(pairs.as_array().map(Vec::len), Some(1), "{pairs}");
    }
}

#[tokio::test]
async fn a_result_document_that_fits_exactly_passes_and_one_byte_more_does_not() -> Result {
    const MOST: usize = 131_019;
    let image = |tag: usize| format!("quay.io/team/app:{}", "x".repeat(tag));
    let document = |last: usize, count: usize| {
        let mut images = serde_json::Map::new();
        for number in 0..count {
            let tag = if number + 1 == count { last } else { 100 };
            let target = format!("target.corp/idf-{}", image(tag));
            images.insert(format!("image{number}"), target.into());
        }
        let ami = serde_json::json!({"version": ""});
        serde_json::json!({"ami": ami, "charts": {}, "additional_images": images}).to_string()
    };
    // The number of images that leaves 28 to 127 letters for the last one's tag.
    let count = (1..5000).find(|count| document(28, *count).len() + 99 >= MOST);
    let count = count.expect("there is one");
    let last = 28 + MOST - document(28, count).len();
    for (last, code) in [(last, 0), (last + 1, 2)] {
        let lines = (0..count).map(|number| {
            let tag = if number + 1 == count { last } else { 100 };
            format!("  image{number}: {}\n", image(tag))
        });
        let lines: String = lines.collect();
        let data = Data::new(&format!("additional_images:\n{lines}"), "ami: {}\n");
        let planned = data.plan().run().await.ended(code);
        if code == 0 {
            assert_eq!(planned.result().to_string(), document(last, count));
        } else {
            planned
                .left_nothing()
                .said(&["result document", "131020 bytes", "131019"]);
        }
    }
    Ok(())
}
