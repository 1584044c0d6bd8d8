//! The data files as files: names, YAML, versions.

use crate::Result;
use crate::data::{Data, plan_of_no_folder};

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
async fn a_version_in_another_spelling_is_answered_with_the_one_to_write() {
    let data = Data::images(&["quay.io/a/b:1"]);
    for version in ["v1.34", "V1.34", "1.34.yaml"] {
        let run = data.run_version("plan", version);
        let run = run.args(["--no-observe", "--registry-prefix", "target.corp/"]);
        let refused = run.run().await.ended(2).left_nothing();
        let refused = refused.said(&["write the version as `1.34`"]);
        assert!(!refused.stderr.contains("rename"), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn an_empty_data_file_is_answered_with_what_to_write() {
    for empty in ["", "# only a comment\n", "---\n", "~\n"] {
        let data = Data::new("additional_images: {a: quay.io/a:1}\n", empty);
        let refused = data.plan().run().await.ended(2).left_nothing();
        refused.said(&["1.34.yaml: the file is empty", "write `charts: {}`"]);
    }
    let data = Data::new("additional_images: {a: quay.io/a:1}\n", "charts: {}\n");
    data.plan().run().await.ended(0);
    let data = Data::new("- a\n", "charts: {}\n");
    let refused = data.plan().run().await.ended(2).left_nothing();
    refused.said(&[
        "its keys are ami, charts, additional_images, docker_mappings, apiVersions, trust",
    ]);
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

    let run = plan_of_no_folder().out();
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
