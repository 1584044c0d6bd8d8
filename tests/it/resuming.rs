//! What breaks in the middle goes on from there; what stands still is cut; who throttles is waited for.

use std::time::{Duration, Instant};

use lab::faults::{Fault, Rule};
use lab::image::{Image, Pushed};
use lab::registry::Registry;

use super::Result;
use super::content::assert_same;
use super::data::Data;
use super::run::Run;

const LAYER: u64 = 400_000;

/// An image with one long layer at a source whose answers for that layer are bad once.
fn with_fault(source: &Registry, fault: Fault) -> std::io::Result<(Pushed, String)> {
    let pushed = Image::new().layer(LAYER, 1).push(source, "team/app", "1")?;
    let layer = pushed.blobs.iter().find(|blob| blob.size == LAYER);
    let path = format!("/blobs/{}", layer.expect("a layer").digest);
    source
        .faults()
        .add(Rule::new(fault).on("GET", &path).times(1));
    Ok((pushed, path))
}

fn app(source: &Registry, target: &Registry) -> Run {
    let run = Data::images(&["quay.io/team/app:1"]).deploy(target);
    run.endpoint("quay.io", &source.url())
}

#[tokio::test]
async fn a_read_that_breaks_goes_on_where_it_broke_and_the_upload_notices_nothing() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let (pushed, path) = with_fault(&source, Fault::Truncate { after: 300_000 })?;
    app(&source, &target).run().await.ended(0);
    assert_same(&source, &pushed, &target, "1");
    let reads: Vec<u16> = source
        .wire()
        .requests()
        .iter()
        .filter(|request| request.path.contains(&path))
        .map(|request| request.status)
        .collect();
    assert_eq!(reads, [200, 206]);
    let sent: u64 = pushed.blobs.iter().map(|blob| blob.size).sum();
    let read = source.wire().bytes_out();
    assert!(read < sent + 100_000, "{read} bytes were read for {sent}");
    assert_eq!(target.wire().count_action("upload.put"), pushed.blobs.len());
    Ok(())
}

#[tokio::test]
async fn a_source_that_knows_no_ranges_is_read_again_and_the_upload_still_goes_on() -> Result {
    let source = Registry::builder().without_ranges().start().await?;
    let target = Registry::start().await?;
    let (pushed, path) = with_fault(&source, Fault::Truncate { after: 300_000 })?;
    app(&source, &target).run().await.ended(0);
    assert_same(&source, &pushed, &target, "1");
    assert_eq!(source.wire().count("GET", &path), 2);
    assert_eq!(target.wire().count_action("upload.put"), pushed.blobs.len());
    Ok(())
}

#[tokio::test]
async fn what_stands_still_or_trickles_is_cut_and_retried() -> Result {
    for fault in [
        Fault::Stall(Duration::from_secs(40)),
        Fault::StallWithin {
            after: 100_000,
            pause: Duration::from_secs(40),
        },
        Fault::Slow {
            bytes_per_second: 1_000,
        },
    ] {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        let (pushed, _) = with_fault(&source, fault)?;
        let started = Instant::now();
        let run = app(&source, &target).args(["--answer-timeout", "1"]);
        let run = run.args(["--slowest-transfer", "20000"]);
        run.run().await.ended(0);
        assert!(started.elapsed() < Duration::from_secs(30));
        assert_same(&source, &pushed, &target, "1");
    }
    Ok(())
}

#[tokio::test]
async fn a_target_that_stands_still_is_cut_and_retried() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = Image::new()
        .layer(LAYER, 1)
        .push(&source, "team/app", "1")?;
    let stall = Rule::new(Fault::Stall(Duration::from_mins(1)));
    let faults = target.faults();
    faults.add(stall.clone().on("PUT", "/blobs/uploads/").times(1));
    faults.add(stall.clone().on("POST", "/blobs/uploads/").times(1));
    faults.add(stall.on("PUT", "/manifests/").times(1));
    let started = Instant::now();
    let run = app(&source, &target).args(["--answer-timeout", "0.5"]);
    run.run().await.ended(0);
    assert!(started.elapsed() < Duration::from_secs(40));
    assert_same(&source, &pushed, &target, "1");
    Ok(())
}

#[tokio::test]
async fn a_host_that_throttles_gets_patience_and_not_tries() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = Image::new().layer(1000, 1).push(&source, "team/app", "1")?;
    let busy = Rule::new(Fault::status(429));
    source
        .faults()
        .add(busy.clone().on("GET", "/manifests/").times(4));
    app(&source, &target)
        .args(["--tries", "2"])
        .run()
        .await
        .ended(0);
    assert_same(&source, &pushed, &target, "1");

    // And not for ever.
    let target = Registry::start().await?;
    source.faults().add(busy.on("GET", "/manifests/"));
    let run = app(&source, &target).args(["--patience", "2"]);
    let failed = run.run().await.ended(1);
    failed.said(&["source", "429"]);
    Ok(())
}

#[tokio::test]
async fn a_host_that_does_nothing_but_throttle_is_given_up_once_and_not_for_each_blob() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let names: Vec<String> = (0..12).map(|n| format!("team/app{n}")).collect();
    for (number, name) in (0..).zip(&names) {
        let image = Image::new().layer(2000 + number, number);
        image.layer(1000, 100 + number).push(&source, name, "1")?;
    }
    let busy = Rule::new(Fault::status(429));
    source.faults().add(busy.on("GET", "/blobs/"));
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("quay.io/{name}:1"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let run = Data::images(&names).deploy(&target);
    let run = run.endpoint("quay.io", &source.url());
    let started = Instant::now();
    let failed = run.args(["--patience", "3"]).run().await.ended(1);
    // With three seconds for each of the blobs anew it took forty.
    assert!(started.elapsed() < Duration::from_secs(30));
    failed.said(&["12 artifacts failed for one reason", "429"]);
    Ok(())
}

#[tokio::test]
async fn waits_and_tries_are_parameters_too_and_nonsense_is_refused() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let nonsense = [
        ("TRIES", "0"),
        ("PATIENCE", "soon"),
        ("CONNECT_TIMEOUT", "-1"),
        ("ANSWER_TIMEOUT", "0"),
        ("SLOWEST_TRANSFER", "x"),
        ("QUOTAS", "PutImages=5"),
        ("HASH", "never"),
        ("REFERRERS", "some"),
    ];
    let run = nonsense
        .iter()
        .fold(app(&source, &target), |run, (name, value)| {
            run.env(&format!("SEEDFARMER_PARAMETER_{name}"), value)
        });
    let refused = run.run().await.ended(2).left_nothing();
    refused.said(&[
        "parameter Tries",
        "parameter Patience",
        "parameter ConnectTimeout",
        "parameter AnswerTimeout",
        "parameter SlowestTransfer",
        "parameter Quotas",
        "parameter Hash",
        "parameter Referrers",
    ]);
    Ok(())
}
