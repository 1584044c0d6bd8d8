//! Runs that are stopped, and several at once.

use std::time::Duration;

use crate::Result;
use crate::builds::{BUCKET, Corpus, first, is_published, left, logs, slow, totals};

#[tokio::test]
async fn a_stopped_coordinator_stops_its_workers_and_publishes_nothing() -> Result {
    let (aws, source) = slow(2_000).await?;
    let corpus = Corpus::new(&source, 24)?;
    let run = first(&aws, &corpus.data(), &source, "3").env("SEEDFARMER_PARAMETER_JOBS", "1");
    let run = run.start();
    let at_work = || {
        let builds = aws.builds().list();
        let logs = builds.iter().map(|build| aws.builds().log(&build.id));
        logs.filter(|log| log.contains("shard ")).count()
    };
    run.until("two workers are at work", || at_work() == 2)
        .await;
    run.terminate();
    run.finish().await.ended(143);
    assert!(!is_published(&aws));
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while aws.builds().running() > 0 {
        assert!(
            std::time::Instant::now() < deadline,
            "they go on: {}",
            logs(&aws)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(aws.registry().check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn workers_end_when_the_coordinator_vanishes() -> Result {
    let (aws, source) = slow(1_500).await?;
    let corpus = Corpus::new(&source, 40)?;
    let run = first(&aws, &corpus.data(), &source, "2")
        .env("SEEDFARMER_PARAMETER_JOBS", "1")
        .env("SEEDFARMER_PARAMETER_ANSWER_TIMEOUT", "3")
        .start();
    run.until("a worker is at work", || logs(&aws).contains("shard "))
        .await;
    // kill -9
    drop(run);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while aws.builds().running() > 0 {
        assert!(
            std::time::Instant::now() < deadline,
            "it goes on: {}",
            logs(&aws)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        logs(&aws).contains("no heartbeat of the coordinator"),
        "{}",
        logs(&aws)
    );
    Ok(())
}

#[tokio::test]
async fn two_deployments_at_once_do_not_meet() -> Result {
    let (aws, source) = slow(300).await?;
    let corpus = Corpus::new(&source, 16)?;
    let other = first(&aws, &corpus.data(), &source, "2")
        .env("SEEDFARMER_DEPLOYMENT_NAME", "test")
        .env("SEEDFARMER_PARAMETER_JOBS", "1");
    let run = first(&aws, &corpus.data(), &source, "3").env("SEEDFARMER_PARAMETER_JOBS", "1");
    let (run, other) = tokio::join!(run.run(), other.run());
    assert_eq!((totals(&run.ended(0)).1, totals(&other.ended(0)).1), (0, 0));
    corpus.assert_arrived(&source, &aws);
    assert!(is_published(&aws));
    assert!(
        aws.object(BUCKET, "test-replication-images-metadata.json")
            .is_some()
    );
    assert_eq!(left(&aws), Vec::<String>::new());
    Ok(())
}
