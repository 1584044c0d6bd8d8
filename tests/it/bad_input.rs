//! Settings and data files that cannot be right: exit code 2, everything at once, nothing created.

mod files;
mod keys;

use super::Result;
use super::data::Data;
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
        ("localhost:5000", "end it with `/`: `localhost:5000/`"),
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
async fn variables_are_named_as_they_were_set() {
    let data = Data::images(&["quay.io/a/b:1"]);
    let run = data.plan().env("REPLICATOR_JOBS", "abc");
    let run = run.env("REPLICATOR_ENDPOINTS", "quay.io");
    let refused = run.run().await.ended(2).left_nothing();
    refused.said(&["REPLICATOR_JOBS: `abc`", "REPLICATOR_ENDPOINTS: `quay.io`"]);
    let run = data.plan().env("SEEDFARMER_PARAMETER_JOBS", "abc");
    let refused = run.run().await.ended(2).left_nothing();
    refused.said(&["parameter Jobs: `abc`"]);
}

#[tokio::test]
async fn a_flag_of_other_commands_is_answered_with_them() {
    let run = Run::new().args(["verify", "--project", "idf"]).run().await;
    let refused = run.ended(2);
    let refused = refused.said(&[
        "unexpected argument '--project'",
        "is an option of",
        "publish",
    ]);
    assert!(!refused.stderr.contains("--prove"), "{}", refused.stderr);
}

#[tokio::test]
async fn publish_without_a_result_names_the_list() {
    let refused = Run::new().arg("publish").run().await.ended(2);
    refused.said(&["RESULT: no result is named", "publish --list"]);
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
