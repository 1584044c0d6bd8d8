//! A build that is stopped.

use std::time::{Duration, Instant};

use lab::aws::Aws;
use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::Registry;

use super::Result;
use super::data::Data;
use super::ecr::build;

#[tokio::test]
async fn a_stopped_deployment_ends_at_once_with_its_report_and_publishes_nothing() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    Image::new()
        .layer(100_000, 1)
        .push(&source, "team/stalled", "1")?;
    Image::new()
        .layer(100_000, 2)
        .push(&source, "team/within", "1")?;
    Image::new()
        .layer(100, 3)
        .push(&source, "team/quick", "1")?;
    let long = Duration::from_secs(50);
    let within = Fault::StallWithin {
        after: 5000,
        pause: long,
    };
    let faults = source.faults();
    faults.add(Rule::new(Fault::Stall(long)).on("GET", "team/stalled/blobs/"));
    faults.add(Rule::new(within).on("GET", "team/within/blobs/"));
    let data = Data::images(&[
        "quay.io/team/stalled:1",
        "quay.io/team/within:1",
        "quay.io/team/quick:1",
    ]);
    let run = build(&aws, &data, &source).start();
    let is_there = |name: &str| {
        !aws.registry()
            .tags(&format!("idf-quay.io/team/{name}"))
            .is_empty()
    };
    run.until("all three are under way, one is done", || {
        is_there("quick")
            && source.wire().count("GET", "team/stalled/blobs/") > 0
            && source.wire().count("GET", "team/within/blobs/") > 0
    })
    .await;

    let asked = Instant::now();
    run.terminate();
    let stopped = run.finish().await.ended(1);
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(
        stopped.files(),
        ["replication_report.json", "updated_images.json"]
    );
    for (name, done) in [
        ("stalled", "failed"),
        ("within", "failed"),
        ("quick", "copied"),
    ] {
        assert_eq!(stopped.report_of(&format!("team/{name}:1"))["done"], done);
    }
    let error = stopped.report_of("team/stalled:1")["error"].to_string();
    assert!(error.contains("stopped"), "{error}");
    assert!(!is_there("stalled") && !is_there("within"));
    assert!(aws.calls().iter().all(|call| call.service != "s3"));
    assert_eq!(stopped.work_file("SEEDFARMER_MODULE_METADATA"), None);
    stopped.said(&["2 of 3 artifacts failed, nothing was published"]);
    Ok(())
}

#[tokio::test]
async fn a_run_that_is_stopped_while_it_fetches_charts_ends_too() -> Result {
    let charts = lab::chart::ChartRepository::start(vec![lab::chart::Chart::new("app", "1.0.0")]);
    let charts = charts.await?;
    let rule = Rule::new(Fault::Stall(Duration::from_secs(50)));
    charts.faults().add(rule.on("GET", "index.yaml"));
    let target = Registry::start().await?;
    let run = Data::chart(&charts.url(), "").deploy(&target).start();
    run.until("the index is asked for", || {
        charts.wire().count("GET", "index.yaml") > 0
    })
    .await;
    let asked = Instant::now();
    run.terminate();
    let stopped = run.finish().await;
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    let stopped = stopped.ended(1);
    assert_eq!(stopped.files(), ["replication_report.json"]);
    let report = stopped.json("replication_report.json");
    assert_eq!(report["error"][0], "stopped before anything was copied");
    Ok(())
}

#[tokio::test]
async fn a_run_that_is_stopped_while_it_publishes_ends_too() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    Image::new().layer(100, 3).push(&source, "team/app", "1")?;
    let rule = Rule::new(Fault::Stall(Duration::from_secs(20)));
    aws.faults().add(rule.on("PUT", "metadata.json"));
    let run = build(&aws, &Data::images(&["quay.io/team/app:1"]), &source).start();
    run.until("the object is put", || {
        aws.wire().count("PUT", "metadata.json") > 0
    })
    .await;
    let asked = Instant::now();
    run.terminate();
    let stopped = run.finish().await;
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    assert_ne!(stopped.code, Some(0));
    assert_eq!(stopped.work_file("SEEDFARMER_MODULE_METADATA"), None);
    Ok(())
}

#[tokio::test]
async fn a_stopped_deployment_leaves_no_half_of_a_blob_in_a_folder() -> Result {
    let source = Registry::start().await?;
    let image = (0..4).fold(Image::new(), |image, seed| image.layer(100_000, seed));
    image.push(&source, "team/app", "1")?;
    let within = Fault::StallWithin {
        after: 5000,
        pause: Duration::from_secs(50),
    };
    source.faults().add(Rule::new(within).on("GET", "/blobs/"));
    let dir = tempfile::tempdir()?;
    let blobs = dir.path().join("blobs/sha256");
    let halves = || {
        let files = std::fs::read_dir(&blobs).into_iter().flatten().flatten();
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(".partial")).count()
    };
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = data.run("deploy").endpoint("quay.io", &source.url());
    let run = run
        .arg("--registry-prefix")
        .arg(format!("oci:{}", dir.path().display()));
    let run = run.start();
    run.until("all layers are under way", || halves() == 4)
        .await;
    run.terminate();
    run.finish().await.ended(1);
    assert_eq!(halves(), 0);
    Ok(())
}
