//! A build that is stopped.

use std::time::{Duration, Instant};

use lab::aws::Aws;
use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::Registry;

use super::Result;
use super::data::Data;
use super::ecr::build;
use super::run::Run;

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
    let stopped = run.finish().await.ended(143);
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(
        stopped.files(),
        [
            "replication_report.html",
            "replication_report.json",
            "updated_images.json"
        ]
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
    assert_eq!(aws.count("PutObject"), 0);
    assert_eq!(stopped.work_file("SEEDFARMER_MODULE_METADATA"), None);
    stopped.said(&[
        "2 of 3 artifacts failed, nothing was published",
        "run it again to continue",
    ]);
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
    let stopped = stopped.ended(143);
    assert_eq!(
        stopped.files(),
        ["replication_report.html", "replication_report.json"]
    );
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
    run.finish().await.ended(143);
    assert_eq!(halves(), 0);
    Ok(())
}

#[tokio::test]
async fn an_interrupt_and_a_termination_have_exit_codes_of_their_own() -> Result {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        Image::new().layer(100, 3).push(&source, "team/app", "1")?;
        let rule = Rule::new(Fault::Stall(Duration::from_secs(50)));
        source.faults().add(rule.on("GET", "/blobs/"));
        let from = format!("{}/team/app:1", source.host());
        let to = format!("{}/app:1", target.host());
        let run = Run::new().args(["copy", &from, &to]).start();
        run.until("a blob is asked for", || {
            source.wire().count("GET", "/blobs/") > 0
        })
        .await;
        run.signal(signal);
        run.finish().await.ended(code);
    }
    Ok(())
}

#[tokio::test]
async fn what_has_no_report_to_write_stops_at_once() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    Image::new().layer(100, 3).push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    build(&aws, &data, &source).run().await.ended(0);
    aws.stall("ListTagsForResource", Duration::from_secs(50));
    aws.clear_calls();
    let destroy = super::ecr::seed_farmer(Run::new().arg("destroy").envs(aws.env()));
    let by_hand = Run::new()
        .args(["delete-repos", "idf", "--yes"])
        .envs(aws.env());
    for run in [destroy.args(["--retention-type", "DESTROY"]), by_hand] {
        aws.wire().clear();
        let run = run.start();
        run.until("it is under way", || {
            !aws.wire().requests().is_empty() && aws.count("DescribeRepositories") > 0
        })
        .await;
        let asked = Instant::now();
        run.signal("INT");
        run.finish().await.ended(130);
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
    }
    assert_eq!(aws.registry().repositories(), ["idf-quay.io/team/app"]);
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_the_process_without_a_report() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    Image::new().layer(100, 3).push(&source, "team/app", "1")?;
    let run = build(&aws, &Data::images(&["quay.io/team/app:1"]), &source);
    // Publishing may take two seconds after the first one.
    aws.stall("PutObject", Duration::from_secs(50));
    let run = run.start();
    run.until("the object is put", || {
        aws.wire().count("PUT", "metadata.json") > 0
    })
    .await;
    run.signal("INT");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = Instant::now();
    run.signal("TERM");
    let stopped = run.finish().await.ended(143);
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert!(!stopped.stderr.contains("stopped"), "{}", stopped.stderr);
    Ok(())
}

/// `delete-repos` on a terminal that `script` makes, where a person types.
#[tokio::test]
async fn an_interrupt_at_the_prompt_deletes_nothing_even_if_the_name_is_typed_then() -> Result {
    use std::io::Write as _;
    if !std::path::Path::new("/usr/bin/script").exists() {
        super::corpus::skip("there is no `script` to make a terminal with");
        return Ok(());
    }
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    Image::new().layer(100, 3).push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    build(&aws, &data, &source).run().await.ended(0);
    for (typed, code, left) in [
        (&["\u{3}", "idf\n"][..], 130, 1),
        (&["other\n"], 1, 1),
        (&["idf\n"], 0, 0),
    ] {
        let (reader, mut writer) = std::io::pipe()?;
        let program = env!("CARGO_BIN_EXE_replicator");
        let command = format!("{program} delete-repos idf");
        let run = Run::of(std::path::Path::new("/usr/bin/script"))
            .args(["-qefc", &command, "/dev/null"])
            .envs(aws.env())
            .stdin(reader.into())
            .start();
        let question = "from account 123456789012 in us-east-1: ";
        run.until("it asks", || run.said(question)).await;
        for text in typed {
            writer.write_all(text.as_bytes()).ok();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        run.finish().await.ended(code);
        assert_eq!(aws.registry().repositories().len(), left, "{typed:?}");
    }
    Ok(())
}
