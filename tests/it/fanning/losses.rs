//! Builds that do not start, do nothing or are lost.

use std::time::Duration;

use lab::aws::{Aws, Phase, Status};
use lab::registry::Registry;

use crate::Result;
use crate::builds::{BUCKET, Corpus, first, is_published, left, logs, slow, totals};

#[tokio::test]
async fn in_an_account_of_one_build_the_coordinator_does_everything_and_stops_the_queued_builds()
-> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    aws.builds().set_limit(Some(1));
    let corpus = Corpus::new(&source, 24)?;
    let run = first(&aws, &corpus.data(), &source, "8");
    let done = run.run().await.ended(0);
    assert_eq!(totals(&done), (24, 0));
    corpus.assert_arrived(&source, &aws);
    assert_eq!(aws.builds().most_running(), 0, "children");
    let builds = aws.builds().list();
    assert_eq!(builds.len(), 7);
    assert!(
        builds.iter().all(|build| build.status == Status::Stopped),
        "{builds:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_account_that_starts_no_build_or_only_some_is_no_failure() -> Result {
    for (limit, words) in [
        (Some(1), "continuing without workers"),
        (Some(3), "only 3 of 8 builds"),
    ] {
        let (aws, source) = slow(200).await?;
        aws.builds().set_queue_limit(limit);
        let corpus = Corpus::new(&source, 16)?;
        let run = first(&aws, &corpus.data(), &source, "8").env("SEEDFARMER_PARAMETER_JOBS", "1");
        let done = run.run().await.ended(0);
        let done = done.said(&[words, "AccountLimitExceeded"]);
        assert_eq!(totals(&done), (16, 0));
        corpus.assert_arrived(&source, &aws);
        assert_eq!(left(&aws), Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn lost_builds_and_builds_that_never_begin_delay_nothing() -> Result {
    let (aws, source) = slow(300).await?;
    aws.builds().lose(2);
    aws.builds().freeze(1);
    let corpus = Corpus::new(&source, 24)?;
    let run = first(&aws, &corpus.data(), &source, "5").env("SEEDFARMER_PARAMETER_JOBS", "1");
    let done = run.run().await.ended(0);
    assert_eq!(totals(&done), (24, 0), "{}", logs(&aws));
    corpus.assert_arrived(&source, &aws);
    assert_eq!(aws.builds().running(), 0);
    Ok(())
}

#[tokio::test]
async fn a_build_that_gets_no_program_or_another_one_does_nothing() -> Result {
    let (aws, source) = slow(400).await?;
    aws.builds().set_start_delay(Duration::from_secs(1));
    aws.builds().set_variables(|ordinal| {
        let nowhere = "http://127.0.0.1:1".to_owned();
        let nowhere = vec![("AWS_ENDPOINT_URL".to_owned(), nowhere)];
        if ordinal == 0 { nowhere } else { Vec::new() }
    });
    let corpus = Corpus::new(&source, 40)?;
    let run = first(&aws, &corpus.data(), &source, "3").env("SEEDFARMER_PARAMETER_JOBS", "1");
    let run = run.start();
    run.until("both builds are ordered", || aws.builds().list().len() == 2)
        .await;
    let keys = left(&aws);
    let program = keys.iter().find(|key| key.ends_with("/replicator.gz"));
    aws.put_object(
        BUCKET,
        program.expect("the program"),
        "#!/bin/sh\necho evil\n",
    );
    let lost = || run.text("stderr").matches("is lost").count();
    run.until("both losses are seen", || lost() == 2).await;
    source.faults().clear();
    let done = run.finish().await.ended(0).said(&["FAILED"]);
    assert_eq!(totals(&done), (40, 0));
    let builds = aws.builds().list();
    let statuses = builds.iter().map(|build| build.status);
    assert!(
        statuses.into_iter().all(|status| status == Status::Failed),
        "{}",
        logs(&aws)
    );
    assert!(!logs(&aws).contains("evil"), "{}", logs(&aws));
    corpus.assert_arrived(&source, &aws);
    Ok(())
}

#[tokio::test]
async fn what_killed_workers_did_not_finish_the_coordinator_does() -> Result {
    // At the beginning of its work, and in the middle of it.
    for sign in ["shard ", "copied "] {
        let (aws, source) = slow(500).await?;
        let corpus = Corpus::new(&source, 24)?;
        let run = first(&aws, &corpus.data(), &source, "3").env("SEEDFARMER_PARAMETER_JOBS", "1");
        let run = run.start();
        let victim = || {
            let builds = aws.builds().list();
            builds.into_iter().find(|build| {
                build.phase == Phase::Build && aws.builds().log(&build.id).contains(sign)
            })
        };
        run.until("a build has come so far", || victim().is_some())
            .await;
        let victim = victim().expect("it was there a moment ago");
        aws.builds().kill(&victim.id);
        source.faults().clear();
        let done = run.finish().await.ended(0);
        assert_eq!(totals(&done), (24, 0), "{}", logs(&aws));
        corpus.assert_arrived(&source, &aws);
        assert!(is_published(&aws));
        assert_eq!(left(&aws), Vec::<String>::new());
    }
    Ok(())
}
