//! `replicator plan`: what would be done, without doing it.

mod documents;
mod estimate;

use lab::chart::{Chart, ChartRepository};
use lab::image::Image;
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::content::{mirrored, writes};
use super::data::{Data, chart_entry};
use super::run::Run;

fn image(seed: u64) -> Image {
    let image = Image::new().platform("linux/amd64").platform("linux/arm64");
    image.base(5000, 1).layer(3000, seed).attestations()
}

fn plan(data: &Data, source: &Registry, target: &Registry) -> Run {
    let prefix = format!("{}/mirror/", target.host());
    let run = data.run("plan").arg("--registry-prefix").arg(prefix);
    run.endpoint("quay.io", &source.url())
}

/// The plan's artifacts by the end of their source.
fn artifact<'a>(plan: &'a Value, source: &str) -> &'a Value {
    let artifacts = plan["artifacts"].as_array().expect("a list");
    let found = artifacts.iter().find(|artifact| {
        let text = artifact["source"].as_str();
        text.is_some_and(|text| text.ends_with(source))
    });
    found.unwrap_or_else(|| panic!("no {source} in {plan:#}"))
}

#[tokio::test]
async fn each_artifact_has_its_state_size_and_platforms_and_nothing_is_written() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let charts = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    let present = image(2).push(&source, "team/present", "1")?;
    image(2).push(&target, &mirrored("team/present"), "1")?;
    image(3).push(&source, "team/differs", "1")?;
    image(4).push(&target, &mirrored("team/differs"), "1")?;
    let missing = image(5).push(&source, "team/missing", "1")?;
    let default = chart_entry("app", &charts.url(), "")
        + "additional_images:
  a: quay.io/team/present:1
  b: quay.io/team/differs:1
  c: quay.io/team/missing:1
  d: quay.io/team/gone:1
";
    let data = Data::new(&default, "ami: {}\n");
    let planned = plan(&data, &source, &target)
        .arg("--json")
        .run()
        .await
        .ended(1)
        .said(&[
            "1 artifact does not exist at the source",
            "quay.io/team/gone:1",
        ]);
    let document: Value = serde_json::from_str(&planned.stdout)?;
    for (name, state) in [
        ("team/present:1", "present"),
        ("team/differs:1", "differs"),
        ("team/missing:1", "missing"),
        ("team/gone:1", "no source"),
        ("app:1.0.0", "missing"),
    ] {
        assert_eq!(artifact(&document, name)["state"], state, "{name}");
    }
    let entry = artifact(&document, "team/missing:1");
    assert_eq!(entry["digest"], missing.root.digest);
    assert_eq!(entry["platforms"], json!(["linux/amd64", "linux/arm64"]));
    let size = |pushed: &lab::image::Pushed| -> u64 {
        let all = pushed.blobs.iter().chain(&pushed.manifests);
        all.map(|content| content.size).sum()
    };
    assert_eq!(entry["bytes"], size(&missing));
    assert_eq!(
        artifact(&document, "team/present:1")["bytes"],
        size(&present)
    );
    assert_eq!(entry["usedBy"], json!(["c"]));
    assert_eq!(document["warnings"], json!([]));
    assert_eq!(document["repositories"], json!([]));
    assert_eq!(document["result"], planned.json("replication_result.json"));
    assert_eq!(
        (&document["plan"], &document["result"]["plan"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        planned.files(),
        ["replication_result.json", "updated_images.json"]
    );

    for registry in [&source, &target] {
        assert_eq!(writes(registry.wire()), Vec::<String>::new());
        assert!(!registry.wire().requests().is_empty());
        assert_eq!(registry.wire().count("GET", "/blobs/"), 0);
    }
    Ok(())
}

#[tokio::test]
async fn after_a_deployment_the_plan_says_that_all_is_present() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let charts = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    image(2).push(&source, "team/app", "1")?;
    let default =
        chart_entry("app", &charts.url(), "") + "additional_images: {a: 'quay.io/team/app:1'}\n";
    let data = Data::new(&default, "ami: {}\n");
    for platforms in [&[][..], &["--platforms", "linux/arm64"]] {
        let run = data.deploy(&target).endpoint("quay.io", &source.url());
        run.args(platforms).run().await.ended(0);
        let run = plan(&data, &source, &target).args(platforms);
        let planned = run.run().await.ended(0);
        assert!(
            planned.stdout.contains("at the target: 2 present"),
            "{}",
            planned.stdout
        );
        assert!(planned.stdout.starts_with("target prefix: "));
    }
    Ok(())
}

#[tokio::test]
async fn hosts_that_cannot_be_reached_leave_unknown_and_one_warning_each() -> Result {
    let target = Registry::start().await?;
    let data = Data::images(&[
        "quay.io/team/one:1",
        "quay.io/team/two:1",
        "ghcr.io/team/three:1",
        "quay.io/team/four:1",
    ]);
    let run = data
        .run("plan")
        .args(["--registry-prefix", "127.0.0.1:1/x/"]);
    let run = run.arg("--json");
    let run = run
        .endpoint("quay.io", "http://127.0.0.1:2")
        .endpoint("ghcr.io", "http://127.0.0.1:3");
    let planned = run
        .run()
        .await
        .ended(1)
        .said(&["not every host could be queried", "--no-observe"]);
    let document: Value = serde_json::from_str(&planned.stdout)?;
    let artifacts = document["artifacts"].as_array().expect("a list");
    assert_eq!(artifacts.len(), 4);
    for artifact in artifacts {
        assert_eq!(
            (&artifact["state"], &artifact["bytes"]),
            (&json!("unknown"), &Value::Null)
        );
    }
    assert_eq!(planned.lines_with("warning: "), 3, "{}", planned.stderr);
    for host in ["quay.io", "ghcr.io", "127.0.0.1:1"] {
        assert_eq!(
            planned.lines_with(&format!("warning: could not query {host}: ")),
            1
        );
    }
    assert_eq!(document["warnings"].as_array().map(Vec::len), Some(3));

    // What can be had is shown: the target says that it has nothing.
    let run = data.run("plan").arg("--registry-prefix");
    let run = run.arg(format!("{}/x/", target.host()));
    let run = run
        .endpoint("quay.io", "http://127.0.0.1:2")
        .endpoint("ghcr.io", "http://127.0.0.1:3");
    let planned = run
        .run()
        .await
        .ended(1)
        .said(&["not every host could be queried", "--no-observe"]);
    assert!(
        planned.stdout.contains("at the target: 4 missing"),
        "{}",
        planned.stdout
    );
    assert!(planned.stdout.contains("size unknown"));
    Ok(())
}

#[tokio::test]
async fn a_plan_for_a_folder_does_not_create_it() -> Result {
    let source = Registry::start().await?;
    image(2).push(&source, "team/app", "1")?;
    let parent = tempfile::tempdir()?;
    let dir = parent.path().join("mirror");
    let run = Data::images(&["quay.io/team/app:1"]).run("plan");
    let run = run
        .arg("--registry-prefix")
        .arg(format!("oci:{}", dir.display()));
    let planned = run.endpoint("quay.io", &source.url()).run().await.ended(0);
    assert!(planned.stdout.contains("1 missing"), "{}", planned.stdout);
    assert!(!dir.exists());
    Ok(())
}

#[tokio::test]
async fn without_observing_no_registry_is_asked() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    image(2).push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let planned = plan(&data, &source, &target)
        .arg("--no-observe")
        .run()
        .await
        .ended(0);
    assert!(planned.stdout.contains("1 unknown"), "{}", planned.stdout);
    assert_eq!(planned.stderr, "");
    assert!(source.wire().requests().is_empty() && target.wire().requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn what_a_deployment_could_not_copy_ends_a_plan_with_1() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let whole = image(2).push(&source, "team/app", "1")?;
    let torn = image(3).push(&source, "team/torn", "1")?;
    let child = torn
        .manifests
        .iter()
        .find(|one| one.digest != torn.root.digest);
    let child = &child.expect("a platform").digest;
    source.remove_manifest("team/torn", child);
    assert_ne!(whole.root.digest, torn.root.digest);

    let data = Data::images(&["quay.io/team/app:1"]);
    let run = plan(&data, &source, &target).args(["--platforms", "linux/s390x"]);
    let planned = run.run().await.ended(1);
    planned.said(&[
        "1 artifact does not exist",
        "quay.io/team/app:1 (no platform)",
    ]);

    let data = Data::images(&["quay.io/team/torn:1"]);
    let planned = plan(&data, &source, &target).run().await.ended(1);
    planned.said(&["quay.io/team/torn:1 (no source)"]);
    Ok(())
}

#[tokio::test]
async fn a_plan_asks_no_more_than_a_deployment_asks_before_it_writes() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    for number in 0..5 {
        image(number).push(&source, &format!("team/app{number}"), "1")?;
    }
    let names: Vec<String> = (0..5)
        .map(|number| format!("quay.io/team/app{number}:1"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let data = Data::images(&names);
    plan(&data, &source, &target).run().await.ended(0);
    let planned = (
        source.wire().requests().len(),
        target.wire().requests().len(),
    );
    source.wire().clear();
    target.wire().clear();
    let deploy = data.deploy(&target).endpoint("quay.io", &source.url());
    deploy.run().await.ended(0);
    let reads = source.wire().requests().len() - source.wire().count("GET", "/blobs/");
    assert!(
        planned.0 <= reads,
        "{planned:?} against {reads} of the source"
    );
    // One HEAD each; the first that says no is confirmed by GET.
    assert!(planned.1 <= 6, "{planned:?}");

    // What is there is described, with as many requests as it has manifests.
    source.wire().clear();
    plan(&data, &source, &target).run().await.ended(0);
    assert_eq!(source.wire().requests().len(), 5 * 5);
    Ok(())
}

#[tokio::test]
async fn every_option_of_deploy_exists_on_plan() {
    let flags = |help: String| -> Vec<String> {
        let words = help.split_whitespace().map(str::to_owned);
        let mut flags: Vec<String> = words.filter(|word| word.starts_with("--")).collect();
        flags.sort();
        flags.dedup();
        flags
    };
    let help = |command: &'static str| async move {
        let help = Run::new().args([command, "--help"]).run().await.ended(0);
        flags(help.stdout)
    };
    let (plan, deploy) = (help("plan").await, help("deploy").await);
    let missing = deploy.iter().filter(|flag| !plan.contains(flag));
    let missing: Vec<&String> = missing.collect();
    assert_eq!(missing, ["--dry-run"]);
}

#[tokio::test]
async fn the_exit_code_says_on_demand_whether_something_would_change() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    image(2).push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let planned = || plan(&data, &source, &target).arg("--exit-code").run();
    planned().await.ended(3);
    plan(&data, &source, &target).run().await.ended(0);
    let deploy = data.deploy(&target).endpoint("quay.io", &source.url());
    deploy.run().await.ended(0);
    planned().await.ended(0);
    // A tag that moved is a change, and what cannot be known is a failure.
    image(3).push(&source, "team/app", "1")?;
    planned().await.ended(3);
    let run = plan(&data, &source, &target).args(["--exit-code", "--endpoint"]);
    run.arg("quay.io=http://127.0.0.1:2").run().await.ended(2);
    drop(source);
    Ok(())
}
