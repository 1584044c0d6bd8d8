//! What a build runs, and what it finds there.

use super::{Result, account, buildspec, call, ended, get, start};
use lab::aws::Status;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn a_build_runs_its_phases_in_one_shell_and_ends_as_its_commands_do() -> Result {
    let aws = account().await?;
    let phases = json!({
        "build": {"commands": ["echo $value >&2; cd sub; pwd"]},
        "install": {"commands": ["value=forty\\ two; mkdir sub", "echo \"it's $0 $#\""]},
        "post_build": {"commands": ["pwd | grep -q /sub$"]},
    });
    let text = json!({"version": 0.2, "phases": phases}).to_string();
    let input = json!({
        "projectName": "p", "buildspecOverride": text, "sourceTypeOverride": "NO_SOURCE",
        "computeTypeOverride": "BUILD_GENERAL1_LARGE", "timeoutInMinutesOverride": 30,
    });
    let (_, answer) = call(&aws, "StartBuild", input.clone()).await?;
    let started = &answer["build"];
    let id = started["id"].as_str().unwrap_or_default();
    assert!(id.starts_with("p:") && id.len() == 38, "{id}");
    let arn = format!("arn:aws:codebuild:us-east-1:123456789012:build/{id}");
    assert_eq!(
        (&started["arn"], &started["buildNumber"]),
        (&json!(arn), &json!(1))
    );
    assert_eq!(
        (&started["buildStatus"], &started["buildComplete"]),
        (&json!("IN_PROGRESS"), &json!(false))
    );
    assert_eq!(
        started["environment"]["computeType"],
        "BUILD_GENERAL1_LARGE"
    );
    assert_eq!(
        ended(&aws, id).await,
        Status::Succeeded,
        "{}",
        aws.builds().log(id)
    );
    let log = aws.builds().log(id);
    for text in ["forty two\n", "it's bash 0\n", "/work/sub\n"] {
        assert!(log.contains(text), "{text} is missing in\n{log}");
    }
    let done = get(&aws, &arn).await?;
    assert_eq!(
        (&done["buildStatus"], &done["currentPhase"]),
        (&json!("SUCCEEDED"), &json!("COMPLETED"))
    );
    assert!(done["endTime"].as_f64() >= done["startTime"].as_f64());
    assert_eq!(aws.builds().started(), [input]);

    let failing = start(&aws, &["echo one", "false", "echo three"]).await?;
    assert_eq!(ended(&aws, &failing).await, Status::Failed);
    let log = aws.builds().log(&failing);
    assert!(
        log.contains("exit status 1") && !log.contains("three"),
        "{log}"
    );
    let nonsense = json!({"projectName": "p", "buildspecOverride": "version: 0.2"});
    let (_, answer) = call(&aws, "StartBuild", nonsense).await?;
    let unparsable = answer["build"]["id"].as_str().unwrap_or_default();
    assert_eq!(ended(&aws, unparsable).await, Status::Failed);
    assert!(aws.builds().log(unparsable).contains("YAML_FILE_ERROR"));
    Ok(())
}

#[tokio::test]
async fn a_build_has_the_environment_of_codebuild_and_nothing_of_the_tests() -> Result {
    let aws = account().await?;
    aws.builds()
        .set_variables(|ordinal| vec![("EXTRA".into(), format!("of {ordinal}"))]);
    let input = json!({
        "projectName": "p", "buildspecOverride": buildspec(&["env; test $HOME = $PWD"]),
        "environmentVariablesOverride": [{"name": "GIVEN", "value": "a b", "type": "PLAINTEXT"}],
    });
    let (_, answer) = call(&aws, "StartBuild", input).await?;
    let id = answer["build"]["id"].as_str().unwrap_or_default();
    assert_eq!(ended(&aws, id).await, Status::Succeeded);
    let log = aws.builds().log(id);
    let mut names: Vec<&str> = log
        .lines()
        .filter(|line| !line.starts_with("[Container]"))
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    let expected = [
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "CODEBUILD_BUILD_ARN",
        "CODEBUILD_BUILD_ID",
        "CODEBUILD_BUILD_IMAGE",
        "CODEBUILD_BUILD_NUMBER",
        "CODEBUILD_INITIATOR",
        "CODEBUILD_LOG_PATH",
        "CODEBUILD_SRC_DIR",
        "EXTRA",
        "GIVEN",
        "HOME",
        "PATH",
        "PWD",
        "SHLVL",
        "_",
    ];
    assert_eq!(names, expected, "{log}");
    for line in [
        "EXTRA=of 0".to_owned(),
        "GIVEN=a b".into(),
        format!("CODEBUILD_BUILD_ID={id}"),
    ] {
        assert!(
            log.lines().any(|found| found == line),
            "{line} is missing in\n{log}"
        );
    }
    Ok(())
}

/// What `cksum` says of the bytes from 0 to 255, again and again.
const SUM: &str = "1205004431 200000";

#[tokio::test]
async fn a_build_gets_objects_from_s3_as_they_are() -> Result {
    let aws = account().await?;
    let content: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    aws.put_object("b", "runs/1/program", content);
    let id = start(
        &aws,
        &[
            "aws s3 cp --only-show-errors s3://b/runs/1/program program",
            "test $(wc -c <program) = 200000",
            "cksum <program",
            "aws s3 cp --quiet s3://b/none missing; test $? = 1 && test ! -e missing",
            "mkdir sub && aws s3 cp --no-progress s3://b/runs/1/program sub && cmp program sub/program",
            "aws s3 ls s3://b && exit 1; true",
        ],
    )
    .await?;
    assert_eq!(
        ended(&aws, &id).await,
        Status::Succeeded,
        "{}",
        aws.builds().log(&id)
    );
    assert!(
        aws.builds().log(&id).contains(SUM),
        "{}",
        aws.builds().log(&id)
    );
    assert_eq!(aws.count("GetObject"), 3);
    Ok(())
}

#[tokio::test]
async fn the_switches_may_be_used_by_the_function_for_variables() -> Result {
    let aws = account().await?;
    let builds = Arc::new(aws.builds());
    aws.builds()
        .set_variables(move |_| vec![("COUNT".into(), builds.list().len().to_string())]);
    let id = start(&aws, &["test $COUNT = 1"]).await?;
    assert_eq!(ended(&aws, &id).await, Status::Succeeded);
    Ok(())
}
