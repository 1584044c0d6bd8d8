//! A run over several builds of CodeBuild, which the lab runs as processes.

mod losses;
mod stopping;

use std::time::Duration;

use lab::aws::Aws;
use lab::registry::{Auth, Registry};

use super::Result;
use super::builds::{
    BUCKET, Corpus, PROJECT, first, is_published, left, logs, manifest_reads, program, reads, slow,
    slow_until, totals,
};
use super::ecr::build;
use super::run::Running;

#[tokio::test]
async fn four_builds_share_the_work_and_no_blob_is_read_twice() -> Result {
    let (aws, source) = slow(700).await?;
    let corpus = Corpus::new(&source, 48)?;
    let run = first(&aws, &corpus.data(), &source, "4").env("SEEDFARMER_PARAMETER_JOBS", "1");
    let at_work = |_: &Running| {
        let builds = aws.builds().list();
        let mut logs = builds.iter().map(|build| aws.builds().log(&build.id));
        builds.len() == 3 && logs.all(|log| log.contains("copied "))
    };
    let done = slow_until(&source, run, "all workers have copied", at_work).await;
    let done = done.ended(0).said(&["divided among 4 builds"]);
    assert_eq!(totals(&done), (48, 0), "{}", logs(&aws));
    corpus.assert_arrived(&source, &aws);
    let reads = reads(&source);
    assert_eq!(reads.len(), corpus.distinct().len());
    assert!(reads.values().all(|reads| *reads == 1), "{reads:?}");
    assert!(is_published(&aws));
    assert_eq!(left(&aws), Vec::<String>::new());
    // Those of workers too have their place on the timeline.
    let report = done.json("replication_report.json");
    let whole = report["totals"]["seconds"].as_f64().expect("a time");
    for one in report["artifacts"].as_array().expect("a list") {
        let time = |key: &str| {
            one[key]
                .as_f64()
                .unwrap_or_else(|| panic!("no {key}: {one}"))
        };
        let end = time("start") + time("seconds");
        assert!((0.0..whole + 0.1).contains(&end), "{end} of {whole}: {one}");
    }
    let logs = logs(&aws);
    let builds = aws.builds().list();
    assert_eq!(builds.len(), 3);
    for build in &builds {
        let log = aws.builds().log(&build.id);
        assert!(log.contains("copied "), "it did nothing: {logs}");
    }
    Ok(())
}

#[tokio::test]
async fn no_manifest_is_read_twice_by_all_builds_together() -> Result {
    let (aws, source) = slow(500).await?;
    let corpus = Corpus::new(&source, 24)?;
    let mut attached = Vec::new();
    for image in &corpus.pushed {
        let sbom = image.attach(&source, "application/spdx+json")?;
        let signature = sbom.attach(&source, "application/vnd.dev.sigstore.bundle.v0.3+json")?;
        attached.extend([sbom, signature, image.sign(&source)?]);
    }
    source.wire().clear();
    let run = first(&aws, &corpus.data(), &source, "3").env("SEEDFARMER_PARAMETER_JOBS", "1");
    let at_work = |_: &Running| logs(&aws).matches("copied ").count() > 3;
    let done = slow_until(&source, run, "workers have copied", at_work).await;
    let done = done.ended(0);
    assert_eq!(totals(&done), (24, 0), "{}", logs(&aws));
    corpus.assert_arrived(&source, &aws);
    for part in &attached {
        let (name, digest) = (&part.repository, &part.root.digest);
        let at_target = format!("idf-quay.io/{name}");
        assert!(aws.registry().manifest(&at_target, digest).is_some());
    }
    let reads = manifest_reads(&source);
    assert!(reads.values().all(|reads| *reads == 1), "{reads:#?}");
    // By its tag alone, not once more by its digest.
    let roots = corpus.pushed.iter().map(|pushed| &pushed.root.digest);
    for root in roots {
        assert!(!reads.keys().any(|path| path.ends_with(root.as_str())));
    }
    // What is attached is listed once too.
    let wire = source.wire().requests();
    let lists = wire
        .iter()
        .filter(|request| request.path.contains("/referrers/"));
    let mut lists: Vec<&str> = lists.map(|request| request.path.as_str()).collect();
    let all = lists.len();
    lists.sort_unstable();
    lists.dedup();
    assert_eq!(lists.len(), all);
    let shards = logs(&aws).matches("shard ").count();
    assert!(shards > 1, "the workers did nothing: {}", logs(&aws));
    Ok(())
}

#[tokio::test]
async fn what_others_write_into_the_run_is_not_copied() -> Result {
    for object in ["order.json", "shards/"] {
        let (aws, source) = slow(400).await?;
        aws.builds().set_start_delay(Duration::from_secs(1));
        let corpus = Corpus::new(&source, 40)?;
        let run = first(&aws, &corpus.data(), &source, "2").env("SEEDFARMER_PARAMETER_JOBS", "1");
        let run = run.start();
        run.until("a build is ordered", || aws.builds().list().len() == 1)
            .await;
        for key in left(&aws).iter().filter(|key| key.contains(object)) {
            let text = aws.object(BUCKET, key).expect("it was there a moment ago");
            let text = String::from_utf8(text.to_vec())?;
            let changed = text
                .replace("team/app", "team/evil")
                .replace("\"FAN_OUT\"", "\"OUT\"");
            aws.put_object(BUCKET, key, changed + " ");
        }
        run.until("the loss is seen", || run.said("is lost")).await;
        source.faults().clear();
        let done = run.finish().await.ended(0);
        assert_eq!(totals(&done), (40, 0), "{}", logs(&aws));
        corpus.assert_arrived(&source, &aws);
        let logs = logs(&aws);
        assert!(logs.contains("was changed after the coordinator"), "{logs}");
        let asked = source.wire().requests();
        assert!(!asked.iter().any(|request| request.path.contains("evil")));
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_is_like_the_coordinator_and_checks_the_program_that_it_fetches() -> Result {
    let (aws, source) = slow(300).await?;
    let corpus = Corpus::new(&source, 8)?;
    let run = first(&aws, &corpus.data(), &source, "2").env("SEEDFARMER_PARAMETER_JOBS", "1");
    run.run().await.ended(0);
    let started = aws.builds().started();
    assert_eq!(started.len(), 1);
    let order = &started[0];
    assert_eq!(order["projectName"], PROJECT);
    assert_eq!(order["sourceTypeOverride"], "NO_SOURCE");
    let spec: serde_json::Value =
        serde_json::from_str(order["buildspecOverride"].as_str().expect("a buildspec"))?;
    let install = spec["phases"]["install"]["commands"]
        .as_array()
        .expect("commands");
    let program = std::fs::read(program())?;
    let digest = lab::content::digest_of(&program);
    let check = format!("echo '{}  replicator' | sha256sum", &digest[7..]);
    assert!(
        install.iter().any(|command| command
            .as_str()
            .is_some_and(|text| text.starts_with(&check))),
        "{install:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_quotas_hold_for_all_builds_together() -> Result {
    let (aws, source) = slow(10).await?;
    let corpus = Corpus::new(&source, 40)?;
    let run =
        first(&aws, &corpus.data(), &source, "4").env("SEEDFARMER_PARAMETER_QUOTAS", "PutImage=12");
    run.run().await.ended(0);
    let requests = aws.registry().wire().requests();
    let puts = requests
        .iter()
        .filter(|request| request.action == "manifest.put");
    let times: Vec<_> = puts.map(|request| request.started).collect();
    assert_eq!(times.len(), 120, "an index and two manifests each");
    // In any two seconds the quota's worth, and the burst of a quarter of a second of each build.
    let window = Duration::from_secs(2);
    let busiest = times.iter().map(|start| {
        times
            .iter()
            .filter(|time| **time >= *start && **time - *start < window)
            .count()
    });
    let busiest = busiest.max().unwrap_or_default();
    assert!(busiest <= 24 + 4 * 4, "{busiest} in two seconds");
    Ok(())
}

#[tokio::test]
async fn what_a_worker_cannot_copy_fails_with_its_reason_in_the_coordinator() -> Result {
    let (aws, source) = slow(300).await?;
    let corpus = Corpus::new(&source, 16)?;
    let gone = &corpus.pushed[3].blobs[0].digest;
    source.remove_blob("team/app3", gone);
    let run = first(&aws, &corpus.data(), &source, "3").env("SEEDFARMER_PARAMETER_JOBS", "1");
    let done = run.run().await.ended(1).said(&["source", "team/app3"]);
    assert_eq!(totals(&done), (15, 1));
    assert!(!is_published(&aws));
    assert_eq!(aws.registry().check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn what_only_the_coordinator_has_credentials_for_it_copies_itself() -> Result {
    let (username, password) = ("me".to_owned(), "secret".to_owned());
    let auth = Auth::Basic { username, password };
    let aws = Aws::start().await?;
    let source = Registry::builder().auth(auth).start().await?;
    let corpus = Corpus::new(&source, 6)?;
    let run = first(&aws, &corpus.data(), &source, "3").login("quay.io", "me", "secret");
    let done = run.run().await.ended(0);
    assert_eq!(totals(&done), (6, 0));
    assert_eq!(
        aws.builds().started().len(),
        0,
        "nothing is left for others"
    );
    Ok(())
}

#[tokio::test]
async fn outside_codebuild_and_for_little_work_there_is_one_build() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let corpus = Corpus::new(&source, 2)?;
    let outside = build(&aws, &corpus.data(), &source).env("SEEDFARMER_PARAMETER_FAN_OUT", "4");
    outside
        .run()
        .await
        .ended(0)
        .said(&["not a CodeBuild build"]);
    first(&aws, &corpus.data(), &source, "auto")
        .run()
        .await
        .ended(0);
    first(&aws, &corpus.data(), &source, "off")
        .run()
        .await
        .ended(0);
    assert_eq!(aws.builds().started().len(), 0);
    let bad = first(&aws, &corpus.data(), &source, "many").run().await;
    bad.ended(2).said(&["parameter FanOut", "`many`"]);
    Ok(())
}

#[tokio::test]
async fn the_preflight_asks_no_more_than_a_run_without_it() -> Result {
    let requests = async |fan_out: &str| -> anyhow::Result<(usize, usize)> {
        let (aws, source) = (Aws::start().await?, Registry::start().await?);
        let corpus = Corpus::new(&source, 6)?;
        first(&aws, &corpus.data(), &source, fan_out)
            .run()
            .await
            .ended(0);
        let api = aws
            .calls()
            .iter()
            .filter(|call| call.service == "ecr")
            .count();
        let wire = source.wire().requests().len() + aws.registry().wire().requests().len();
        Ok((api, wire))
    };
    assert_eq!(requests("auto").await?, requests("off").await?);
    Ok(())
}
