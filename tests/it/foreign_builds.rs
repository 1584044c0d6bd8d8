//! Builds of the same CodeBuild project that a run has nothing to do with, and which of its own it stops.

use std::time::Duration;

use lab::aws::{Aws, Status};
use lab::faults::{Fault, Rule};
use serde_json::{Value, json};

use super::Result;
use super::builds::{Corpus, PROJECT, first, logs, slow, totals};

/// Starts a build of the project that no run has to do with.
async fn start_foreign(aws: &Aws) -> anyhow::Result<String> {
    aws.put_project(PROJECT);
    let spec = json!({"version": 0.2, "phases": {"build": {"commands": ["sleep 600"]}}});
    let input = json!({"projectName": PROJECT, "buildspecOverride": spec.to_string()});
    let request = reqwest::Client::new().post(aws.url());
    let request = request.header("x-amz-target", "CodeBuild_20161006.StartBuild");
    let answer = request.body(input.to_string()).send().await?;
    let answer: Value = serde_json::from_slice(&answer.bytes().await?)?;
    let id = answer["build"]["id"].as_str().expect("an id");
    Ok(id.to_owned())
}

/// All builds but the foreign one have ended, and that one runs.
async fn assert_only_own_builds_stop(aws: &Aws, foreign: &str) {
    let is_foreign = |build: &lab::aws::Build| build.id == foreign;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while aws.builds().running() > 1 {
        let late = std::time::Instant::now() > deadline;
        assert!(!late, "they go on: {}", logs(aws));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let builds = aws.builds().list();
    let theirs = builds.iter().find(|build| is_foreign(build));
    assert_eq!(theirs.map(|build| build.status), Some(Status::InProgress));
    let ours = builds.iter().filter(|build| !is_foreign(build));
    assert!(
        ours.into_iter()
            .all(|build| build.status != Status::InProgress)
    );
    let stopped = aws
        .calls()
        .into_iter()
        .filter(|call| call.action == "StopBuild");
    let stopped: Vec<String> = stopped.map(|call| call.resource).collect();
    assert!(!stopped.contains(&foreign.to_owned()), "{stopped:?}");
    let coordinators = |id: &String| !builds.iter().any(|build| build.id == *id);
    assert!(!stopped.iter().any(coordinators), "{stopped:?}");
}

#[tokio::test]
async fn builds_of_others_in_the_same_project_are_never_stopped() -> Result {
    for signal in [None, Some(("INT", 130)), Some(("TERM", 143))] {
        let (aws, source) = slow(700).await?;
        let _another_module = aws.begin_build(PROJECT);
        let foreign = start_foreign(&aws).await?;
        // These wait for their turn until there is nothing left to do.
        aws.builds().set_limit(Some(5));
        let corpus = Corpus::new(&source, 16)?;
        let run = first(&aws, &corpus.data(), &source, "6").env("SEEDFARMER_PARAMETER_JOBS", "1");
        let run = run.start();
        let ordered = || aws.builds().list().len() == 6 && logs(&aws).contains("shard ");
        run.until("all builds are ordered and one works", ordered)
            .await;
        let code = signal.map_or(0, |(signal, code)| {
            run.signal(signal);
            code
        });
        source.faults().clear();
        run.finish().await.ended(code);
        assert!(aws.count("StopBuild") > 0);
        assert_only_own_builds_stop(&aws, &foreign).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_build_whose_start_was_answered_into_the_void_is_started_once_and_stopped() -> Result {
    // The answer is lost once, and the start is retried; or no response ever comes.
    for times in [1, u64::MAX] {
        let (aws, source) = slow(500).await?;
        let foreign = start_foreign(&aws).await?;
        let lost = Rule::new(Fault::LoseAnswer).on("POST", "CodeBuild_20161006.StartBuild");
        aws.faults().add(lost.times(times));
        let corpus = Corpus::new(&source, 12)?;
        let run = first(&aws, &corpus.data(), &source, "3").env("SEEDFARMER_PARAMETER_JOBS", "1");
        let run = run.start();
        run.until("a build is ordered", || aws.builds().list().len() > 1)
            .await;
        if times == 1 {
            let at_work = || logs(&aws).contains("shard ");
            run.until("a build works", at_work).await;
            run.signal("INT");
            run.finish().await.ended(130);
            assert_eq!(
                aws.builds().started().len(),
                3,
                "the same token twice is one build"
            );
        } else {
            let done = run.finish().await.ended(0);
            assert_eq!(totals(&done), (12, 0), "{}", logs(&aws));
            corpus.assert_arrived(&source, &aws);
            assert_eq!(
                aws.builds().started().len(),
                2,
                "none is started after that"
            );
            assert_eq!(aws.count("StopBuild"), 0, "its id is not known");
        }
        assert_only_own_builds_stop(&aws, &foreign).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_start_that_is_under_way_when_the_run_is_stopped_leaves_no_build_behind() -> Result {
    let (aws, source) = slow(700).await?;
    let foreign = start_foreign(&aws).await?;
    aws.builds().set_limit(Some(2));
    aws.stall("StartBuild", Duration::from_secs(1));
    let corpus = Corpus::new(&source, 12)?;
    let run = first(&aws, &corpus.data(), &source, "4").env("SEEDFARMER_PARAMETER_JOBS", "1");
    let run = run.start();
    let starts = || {
        let requests = aws.wire().requests();
        let targets = requests
            .iter()
            .filter_map(|request| request.headers.get("x-amz-target"));
        let starts = targets.filter(|target| *target == "CodeBuild_20161006.StartBuild");
        starts.count()
    };
    // The foreign one's start, and the first of this run, which is not answered yet.
    run.until("a build is being started", || starts() == 2)
        .await;
    assert_eq!(aws.builds().list().len(), 1);
    run.signal("INT");
    run.finish().await.ended(130);
    let builds = aws.builds().list();
    assert_eq!(builds.len(), 2, "{builds:?}");
    assert_only_own_builds_stop(&aws, &foreign).await;
    Ok(())
}
