//! Which builds run, and which builds the API knows.

use super::{Result, account, build, buildspec, call, ended, get, start, until};
use lab::aws::{Phase, Status};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn builds_beyond_the_limit_wait_for_a_place_in_the_order_of_arrival() -> Result {
    let aws = account().await?;
    let parent = aws.begin_build("p");
    let (_, parent_id) = &parent[0];
    assert_eq!(parent[0].0, "CODEBUILD_BUILD_ID");
    assert_eq!(get(&aws, parent_id).await?["currentPhase"], "BUILD");
    aws.builds().set_limit(Some(2));
    aws.builds().set_queue_limit(Some(4));
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(start(&aws, &["date +%s.%N; sleep 0.2"]).await?);
    }
    let input = json!({"projectName": "p", "buildspecOverride": buildspec(&[])});
    let (status, refused) = call(&aws, "StartBuild", input).await?;
    assert_eq!(
        (status, &refused["__type"]),
        (400, &json!("AccountLimitExceededException"))
    );
    assert!(
        refused["message"]
            .as_str()
            .is_some_and(|text| text.contains("more than 4 builds in queue"))
    );
    assert_eq!(get(&aws, &ids[2]).await?["currentPhase"], "QUEUED");
    for id in &ids {
        assert_eq!(ended(&aws, id).await, Status::Succeeded);
    }
    assert_eq!(aws.builds().most_running(), 1);
    let begun = |id: &String| -> f64 {
        let log = aws.builds().log(id);
        let time = log.lines().nth(1).and_then(|line| line.parse().ok());
        time.expect("a time")
    };
    assert!(begun(&ids[0]) + 0.2 <= begun(&ids[1]) && begun(&ids[1]) + 0.2 <= begun(&ids[2]));

    aws.builds().set_limit(Some(1));
    let waiting = start(&aws, &["true"]).await?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(build(&aws, &waiting).phase, Phase::Queued);
    aws.end_build("p");
    assert_eq!(ended(&aws, &waiting).await, Status::Succeeded);
    assert_eq!(get(&aws, parent_id).await?["buildStatus"], "SUCCEEDED");
    let ordinals: Vec<usize> = aws
        .builds()
        .list()
        .iter()
        .map(|build| build.ordinal)
        .collect();
    assert_eq!(ordinals, [0, 1, 2, 3]);
    Ok(())
}

#[tokio::test]
async fn builds_run_at_once_after_their_provisioning() -> Result {
    let aws = account().await?;
    aws.builds().set_start_delay(Duration::from_millis(300));
    let one = start(&aws, &["sleep 30"]).await?;
    assert_eq!(
        (build(&aws, &one).phase, aws.builds().running()),
        (Phase::Provisioning, 0)
    );
    let two = start(&aws, &["sleep 30"]).await?;
    let three = start(&aws, &["sleep 30"]).await?;
    until("three processes", || aws.builds().running() == 3).await;
    for id in [&one, &two, &three] {
        aws.builds().kill(id);
        assert_eq!(ended(&aws, id).await, Status::Failed);
    }
    assert_eq!(
        (aws.builds().running(), aws.builds().most_running()),
        (0, 3)
    );
    Ok(())
}

#[tokio::test]
async fn builds_get_lost_and_freeze_on_request() -> Result {
    let aws = account().await?;
    aws.builds().lose(1);
    aws.builds().freeze(1);
    aws.builds().set_limit(Some(1));
    let lost = start(&aws, &["true"]).await?;
    let frozen = start(&aws, &["true"]).await?;
    let third = start(&aws, &["true"]).await?;
    until("a frozen build", || {
        build(&aws, &frozen).phase == Phase::Build
    })
    .await;
    let ids = json!({"ids": [lost, frozen, third]});
    let (_, answer) = call(&aws, "BatchGetBuilds", ids).await?;
    assert_eq!(answer["buildsNotFound"], json!([lost]));
    let phases: Vec<&Value> = (0..2)
        .map(|i| &answer["builds"][i]["currentPhase"])
        .collect();
    assert_eq!(phases, ["BUILD", "QUEUED"]);
    assert_eq!(
        (aws.builds().started().len(), aws.builds().list().len()),
        (3, 2)
    );
    call(&aws, "StopBuild", json!({"id": frozen})).await?;
    assert_eq!(ended(&aws, &third).await, Status::Succeeded);
    assert_eq!(
        (build(&aws, &frozen).status, build(&aws, &third).ordinal),
        (Status::Stopped, 2)
    );
    Ok(())
}

#[tokio::test]
async fn what_codebuild_refuses_is_refused_and_recorded() -> Result {
    let aws = account().await?;
    let input = json!({"projectName": "p", "buildspecOverride": buildspec(&["true"]), "idempotencyToken": "t"});
    let (_, first) = call(&aws, "StartBuild", input.clone()).await?;
    let (_, again) = call(&aws, "StartBuild", input).await?;
    assert_eq!(first["build"]["id"], again["build"]["id"]);
    assert_eq!(aws.builds().started().len(), 1);
    for (input, code) in [
        (
            json!({"projectName": "p", "idempotencyToken": "t"}),
            "InvalidInputException",
        ),
        (json!({"projectName": "q"}), "ResourceNotFoundException"),
        (
            json!({"projectName": "p", "timeoutInMinutesOverride": 4}),
            "InvalidInputException",
        ),
        (
            json!({"projectName": "p", "queuedTimeoutInMinutesOverride": 481}),
            "InvalidInputException",
        ),
    ] {
        let (status, answer) = call(&aws, "StartBuild", input).await?;
        assert_eq!((status, &answer["__type"]), (400, &json!(code)));
    }
    let (status, _) = call(&aws, "BatchGetBuilds", json!({"ids": []})).await?;
    assert_eq!(status, 400);
    aws.fail("StartBuild", "AccountLimitExceededException", 400, 1);
    let (status, answer) = call(&aws, "StartBuild", json!({"projectName": "p"})).await?;
    assert_eq!(
        (status, &answer["__type"]),
        (400, &json!("AccountLimitExceededException"))
    );
    let calls = aws.calls();
    let call = &calls[calls.len() - 1];
    assert_eq!(
        (call.service, &*call.action, &*call.resource, call.status),
        ("codebuild", "StartBuild", "p", 400)
    );
    assert_eq!(aws.wire().count_action("codebuild:StartBuild"), 7);
    Ok(())
}
