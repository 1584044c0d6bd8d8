//! What a plan says about bytes and time.

use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::Registry;
use serde_json::Value;

use crate::Result;
use crate::data::Data;
use crate::run::Run;

use super::{artifact, image, plan};

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
