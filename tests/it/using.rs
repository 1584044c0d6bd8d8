//! Using a result elsewhere: `replicator values`.

use lab::aws::Aws;
use lab::registry::Registry;

use super::Result;
use super::data::Data;
use super::ecr::{build, seed_farmer};
use super::run::Run;

const RESULT: &str = r#"{"ami": {}, "charts": {
    "app": {"helm": {"name": "app", "repository": "oci://r.corp/mirror/charts/app", "version": "1.0.0"},
            "values": {"image": {"repository": "r.corp/mirror/quay.io/team/app", "tag": "1.10"}}},
    "more": {"helm": {"repository": "oci://r.corp/mirror/charts/more", "version": "2"}, "values": null}}}"#;

fn values(document: &str) -> (tempfile::TempDir, Run) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("replication_result.json"), document).expect("a file in it");
    let run = Run::new().arg("values").arg("--out").arg(dir.path());
    (dir, run)
}

#[tokio::test]
async fn the_values_of_a_chart_are_yaml_that_helm_takes() {
    let (_dir, run) = values(RESULT);
    let printed = run.arg("app").run().await.ended(0);
    assert_eq!(
        printed.stdout,
        "# helm upgrade --install app oci://r.corp/mirror/charts/app --version 1.0.0 --namespace default --values FILE\n\
         image:\n  repository: r.corp/mirror/quay.io/team/app\n  tag: \"1.10\"\n"
    );
}

#[tokio::test]
async fn every_format_names_repository_version_namespace_and_values() {
    for format in ["argocd", "flux", "terraform", "helmfile"] {
        let (_dir, run) = values(RESULT);
        let run = run.args(["--format", format, "--namespace", "apps"]);
        let printed = run.run().await.ended(0).stdout;
        for wanted in [
            "r.corp/mirror/charts",
            "1.0.0",
            "apps",
            "r.corp/mirror/quay.io/team/app",
            "more",
        ] {
            assert!(
                printed.contains(wanted),
                "{format}: no {wanted} in\n{printed}"
            );
        }
    }
}

#[tokio::test]
async fn a_build_prints_the_values_of_its_own_result_in_the_bucket() -> Result {
    let aws = Aws::start().await?;
    let source = Registry::start().await?;
    lab::image::Image::new()
        .layer(100, 1)
        .push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    build(&aws, &data, &source).run().await.ended(0);
    let printed = seed_farmer(Run::new().arg("values").envs(aws.env()))
        .run()
        .await
        .ended(0);
    assert!(
        printed.stderr.contains("names no charts"),
        "{}",
        printed.stderr
    );
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() {
    for (document, chart, said) in [
        (RESULT, "ap", "name one of: app, more"),
        ("[]", "app", "give the replication_result.json"),
        (r#"{"charts": {}}"#, "app", "names no such chart"),
    ] {
        let (_dir, run) = values(document);
        let failed = run.arg(chart).run().await.ended(2);
        assert!(failed.stderr.contains(said), "{}", failed.stderr);
    }
    let (_dir, run) = values(&RESULT.replacen('{', r#"{"plan": true, "#, 1));
    let planned = run.run().await.ended(0);
    assert!(
        planned.stderr.contains("not at the target yet"),
        "{}",
        planned.stderr
    );
}

#[tokio::test]
async fn the_values_of_a_folder_come_without_a_command_that_cannot_work() {
    let document = RESULT
        .replace("oci://r.corp/mirror/", "oci:mirror:")
        .replace("r.corp/mirror/", "oci:mirror:");
    let (_dir, run) = values(&document);
    let done = run.arg("app").run().await.ended(0);
    assert_eq!(
        done.stdout,
        "# oci:mirror:charts/app:1.0.0 is in a folder, which no cluster can read\n\
         image:\n  repository: \"oci:mirror:quay.io/team/app\"\n  tag: \"1.10\"\n"
    );
    done.said(&[
        "warning:",
        "the target is a folder, which no cluster can read",
    ]);
    for format in ["argocd", "flux", "terraform", "helmfile"] {
        let (_dir, run) = values(&document);
        let refused = run.args(["app", "--format", format]).run().await.ended(2);
        assert_eq!(refused.stdout, "");
        refused.said(&["the target is a folder, which no cluster can read"]);
    }
}
