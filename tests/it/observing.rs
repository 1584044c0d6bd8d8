//! `replicator plan`: what would be done, without doing it.

use lab::chart::{Chart, ChartRepository};
use lab::faults::{Fault, Rule};
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
async fn a_plan_writes_no_file_unless_a_folder_is_named() -> Result {
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = Run::new().args(["plan", "--no-observe", "--eks-version", "1.34"]);
    let run = data
        .given_to(run)
        .args(["--registry-prefix", "target.corp/"]);
    let planned = run.run().await.ended(0);
    for name in [
        "replication_result.json",
        "updated_images.json",
        "replication_report.json",
        "replication_report.html",
    ] {
        assert_eq!(planned.work_file(name), None, "{name}");
    }
    assert!(planned.stdout.contains("target prefix: target.corp/"));
    Ok(())
}

#[tokio::test]
async fn a_plan_is_marked_and_never_takes_the_place_of_a_deployed_result() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    image(2).push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let deployed = data.deploy(&target).endpoint("quay.io", &source.url());
    let deployed = deployed.run().await.ended(0);
    let path = deployed.out().join("replication_result.json");
    let before = std::fs::read_to_string(&path)?;
    assert!(!before.contains("\"plan\""), "{before}");

    let planned = |out: &std::path::Path| {
        let run = Run::new().args(["plan", "--no-observe", "--eks-version", "1.34"]);
        let run = data
            .given_to(run)
            .args(["--registry-prefix", "target.corp/"]);
        run.arg("--out").arg(out)
    };
    let refused = planned(&deployed.out()).run().await.ended(2);
    refused.said(&[
        "replication_result.json",
        "the result of a deployment",
        "--out",
    ]);
    assert_eq!(std::fs::read_to_string(&path)?, before);

    // Over an earlier plan, it is written.
    let folder = tempfile::tempdir()?;
    for _ in 0..2 {
        planned(folder.path()).run().await.ended(0);
        let text = std::fs::read_to_string(folder.path().join("replication_result.json"))?;
        assert_eq!(serde_json::from_str::<Value>(&text)?["plan"], true);
    }
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
async fn a_plan_estimates_what_a_deployment_then_moves() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let signed = image(2).push(&source, "team/signed", "1")?;
    signed.attach(&source, "application/vnd.example.sbom")?;
    image(3).push(&source, "team/changed", "1")?;
    image(4).push(&source, "team/there", "1")?;
    let names = [
        "quay.io/team/signed:1",
        "quay.io/team/changed:1",
        "quay.io/team/there:1",
    ];
    let data = Data::images(&names);
    let before = Data::images(&names[1..]).deploy(&target);
    before
        .endpoint("quay.io", &source.url())
        .run()
        .await
        .ended(0);
    // Only one platform is new.
    let changed = image(3).platform("linux/s390x");
    changed.push(&source, "team/changed", "1")?;

    let planned = plan(&data, &source, &target).arg("--json").run().await;
    let planned: Value = serde_json::from_str(&planned.ended(0).stdout)?;
    source.wire().clear();
    target.wire().clear();
    let deployed = data.deploy(&target).endpoint("quay.io", &source.url());
    let deployed = deployed.run().await.ended(0);
    let outlook = &planned["outlook"];
    let written = target.wire().count_action("manifest.put");
    // A subject with referrers is written once more, under its tag.
    assert_eq!(outlook["manifests"], written - 1);
    let moved = &deployed.json("replication_report.json")["totals"]["bytes"];
    assert!(
        outlook["bytes"].as_u64() >= moved.as_u64(),
        "{outlook} {moved}"
    );
    assert_eq!(artifact(&planned, "team/there:1")["state"], "present");
    assert_eq!(artifact(&planned, "team/changed:1")["state"], "differs");
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
async fn a_plan_comes_as_json_or_yaml_and_deploy_can_show_it_too() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    image(2).push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let forms = |command: &str, args: &[&str]| {
        let run = data.run(command).arg("--registry-prefix");
        let run = run.arg(format!("{}/mirror/", target.host()));
        run.endpoint("quay.io", &source.url()).args(args).run()
    };
    let json = forms("plan", &["-o", "json"]).await.ended(0).stdout;
    assert_eq!(forms("plan", &["--json"]).await.ended(0).stdout, json);
    let dry = &["--dry-run", "-o", "json"];
    assert_eq!(forms("deploy", dry).await.ended(0).stdout, json);
    let yaml = forms("plan", &["-o", "yaml"]).await.ended(0).stdout;
    let read = helm_chart::yaml::values(&yaml)?;
    let json: Value = serde_json::from_str(&json)?;
    assert_eq!(read["artifacts"][0]["state"], "missing");
    assert_eq!(read["outlook"]["blobs"], json["outlook"]["blobs"]);
    assert_eq!(writes(target.wire()), Vec::<String>::new());
    // Without --dry-run the options of a plan mean nothing.
    let refused = data.deploy(&target).args(["-o", "json"]).run().await;
    refused.ended(2).said(&["--dry-run"]);
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

#[tokio::test]
async fn an_estimate_says_what_it_is_based_on() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let large = Image::new().layer(40_000_000, 1);
    large.push(&source, "team/large", "1")?;
    let data = Data::images(&["quay.io/team/large:1"]);
    let estimate = |run: Run| async {
        let planned = run.arg("--json").run().await.ended(0);
        let document: Value = serde_json::from_str(&planned.stdout).expect("JSON");
        document["outlook"].clone()
    };
    let unknown = estimate(plan(&data, &source, &target)).await;
    for key in ["seconds", "limit", "assumedBytesPerSecond"] {
        assert_eq!(unknown[key], Value::Null, "{key}");
    }
    assert_eq!(unknown["rateFrom"], "unknown");
    let run = plan(&data, &source, &target).args(["--bandwidth", "10MB/s"]);
    let given = estimate(run).await;
    assert_eq!(given["rateFrom"], "given");
    let seconds = given["seconds"].as_f64().expect("a time");
    assert!((4.0..4.1).contains(&seconds), "{given}");
    let shown = plan(&data, &source, &target).run().await.ended(0).stdout;
    assert!(shown.contains("time: unknown"), "{shown}");
    assert!(
        !shown.contains("ECR") && !shown.contains("quota"),
        "{shown}"
    );

    // The last deployment into the folder says how fast it is here.
    let deploy = data.deploy(&target).endpoint("quay.io", &source.url());
    let deployed = deploy.run().await.ended(0);
    let totals = deployed.json("replication_report.json")["totals"].clone();
    let rate = totals["bytes"].as_f64().expect("bytes") / totals["seconds"].as_f64().expect("s");
    let second = Registry::start().await?;
    let run = data
        .given_to(Run::new().args(["plan", "--eks-version", "1.34"]))
        .current_dir(deployed.out());
    let run = run
        .arg("--registry-prefix")
        .arg(format!("{}/x/", second.host()));
    let measured = estimate(run.endpoint("quay.io", &source.url())).await;
    assert_eq!(measured["rateFrom"], "measured");
    let used = measured["assumedBytesPerSecond"].as_f64().expect("a rate");
    assert!((used / rate - 1.0).abs() < 0.01, "{used} against {rate}");
    Ok(())
}

#[tokio::test]
async fn an_estimate_is_within_a_quarter_of_what_a_deployment_takes() -> Result {
    let source = Registry::start().await?;
    let names = ["quay.io/team/a:1", "quay.io/team/b:1"];
    for (name, size) in [("a", 5_000_000), ("b", 12_000_000)] {
        let image = Image::new().layer(size, size);
        image.push(&source, &format!("team/{name}"), "1")?;
    }
    let shaped = Fault::Slow {
        bytes_per_second: 4_000_000,
    };
    source.faults().add(Rule::new(shaped).on("GET", "/blobs/"));
    let data = Data::images(&names);
    let first = Registry::start().await?;
    let deployed = data.deploy(&first).endpoint("quay.io", &source.url());
    let deployed = deployed.run().await.ended(0);
    let seconds = |of: &Value| of["seconds"].as_f64().expect("a time");

    let second = Registry::start().await?;
    let run = data.given_to(Run::new().args(["plan", "--json", "--eks-version", "1.34"]));
    let run = run
        .arg("--registry-prefix")
        .arg(format!("{}/x/", second.host()));
    let run = run
        .endpoint("quay.io", &source.url())
        .current_dir(deployed.out());
    let planned: Value = serde_json::from_str(&run.run().await.ended(0).stdout)?;
    let estimated = seconds(&planned["outlook"]);
    let deploy = data.deploy(&second).endpoint("quay.io", &source.url());
    let report = deploy.run().await.ended(0).json("replication_report.json");
    let measured = seconds(&report["totals"]);
    assert!(
        (estimated / measured - 1.0).abs() < 0.25,
        "{estimated} s estimated, {measured} s measured"
    );
    // Each artifact's time is its own: the large one takes longer than the small one.
    let took = |name: &str| {
        let artifacts = report["artifacts"].as_array().expect("a list");
        let of = artifacts
            .iter()
            .find(|one| one["source"].to_string().contains(name));
        seconds(of.expect("the artifact"))
    };
    assert!(took("team/a:1") < 0.6 * took("team/b:1"), "{report}");
    Ok(())
}
