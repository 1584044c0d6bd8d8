//! How builds end before their time.

use super::{Result, account, build, buildspec, call, ended, start, until};
use lab::aws::Status;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

#[tokio::test]
async fn stopping_a_build_lets_its_processes_clean_up() -> Result {
    let aws = account().await?;
    aws.builds().set_limit(Some(1));
    let tidy = "bash -c 'trap \"sleep 0.3; echo tidy; exit 3\" TERM; echo ready; while :; do sleep 0.05; done'";
    let id = start(&aws, &[tidy, "echo never"]).await?;
    let waiting = start(&aws, &["echo never"]).await?;
    until("the build's process", || {
        aws.builds().log(&id).contains("\nready")
    })
    .await;
    let (_, stopped) = call(&aws, "StopBuild", json!({"id": waiting})).await?;
    assert_eq!(stopped["build"]["buildStatus"], "STOPPED");
    let (_, stopped) = call(&aws, "StopBuild", json!({"id": id})).await?;
    assert_eq!(
        (
            &stopped["build"]["buildStatus"],
            &stopped["build"]["currentPhase"]
        ),
        (&json!("STOPPED"), &json!("COMPLETED"))
    );
    assert_eq!(aws.builds().running(), 1);
    assert_eq!(ended(&aws, &id).await, Status::Stopped);
    let log = aws.builds().log(&id);
    assert!(
        log.contains("\ntidy\n") && !log.contains("\nnever"),
        "{log}"
    );
    assert_eq!(
        (build(&aws, &waiting).status, aws.builds().log(&waiting)),
        (Status::Stopped, String::new())
    );
    let (status, unknown) = call(&aws, "StopBuild", json!({"id": "p:none"})).await?;
    assert_eq!(
        (status, &unknown["__type"]),
        (400, &json!("ResourceNotFoundException"))
    );
    Ok(())
}

#[tokio::test]
async fn a_build_that_ignores_the_stop_or_its_time_limit_is_killed() -> Result {
    let aws = account().await?;
    let deaf = "trap '' TERM; echo ready; sleep 60 & sleep 60";
    let id = start(&aws, &[deaf]).await?;
    until("the build's process", || {
        aws.builds().log(&id).contains("\nready")
    })
    .await;
    aws.builds().set_minute(Duration::from_millis(40));
    let input = json!({"projectName": "p", "buildspecOverride": buildspec(&["sleep 60"]), "timeoutInMinutesOverride": 5});
    let (_, late) = call(&aws, "StartBuild", input).await?;
    let started = Instant::now();
    call(&aws, "StopBuild", json!({"id": id})).await?;
    let late = late["build"]["id"].as_str().unwrap_or_default();
    assert_eq!(ended(&aws, late).await, Status::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(ended(&aws, &id).await, Status::Stopped);
    assert!((5.0..8.0).contains(&started.elapsed().as_secs_f64()));
    Ok(())
}

#[tokio::test]
async fn dropping_the_account_ends_all_processes_and_removes_all_folders() -> Result {
    let aws = account().await?;
    let id = start(&aws, &["sleep 300 & echo $! $PWD; sleep 300"]).await?;
    until("the build's process", || {
        aws.builds().log(&id).lines().count() > 1
    })
    .await;
    let log = aws.builds().log(&id);
    let (child, folder) = log
        .lines()
        .nth(1)
        .and_then(|line| line.split_once(' '))
        .expect("a line");
    assert!(Path::new(folder).exists());
    let shell = build(&aws, &id).pid.expect("a process").to_string();
    let builds = aws.builds();
    drop(aws);
    until("the end of the processes", || {
        !alive(&shell) && !alive(child)
    })
    .await;
    assert!(!Path::new(folder).exists());
    assert_eq!(builds.running(), 0);
    Ok(())
}

/// Whether a process exists that is more than an entry waiting to be collected.
fn alive(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}
