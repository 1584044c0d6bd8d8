//! Calls to AWS: none waits for ever, and throttling is waited out, whatever the service.

use std::time::Duration;

use lab::aws::Aws;
use lab::registry::Registry;

use super::Result;
use super::data::Data;
use super::ecr::{build, image, seed_farmer};
use super::run::Run;

/// What a deployment with a secret calls.
const CALLS: [&str; 9] = [
    "GetSecretValue",
    "DescribeRepositories",
    "GetAccountSetting",
    "CreateRepository",
    "GetAuthorizationToken",
    "HeadBucket",
    "GetBucketPolicy",
    "PutBucketEncryption",
    "PutObject",
];

async fn world() -> anyhow::Result<(Aws, Registry, Data)> {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    aws.put_secret("sources", r#"{"username": "me", "password": "p"}"#);
    Ok((aws, source, Data::images(&["quay.io/team/app:1"])))
}

/// A deployment that makes each of the calls.
fn deployment(aws: &Aws, data: &Data, source: &Registry) -> Run {
    let run = build(aws, data, source);
    run.env("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "sources")
}

#[tokio::test]
async fn every_call_that_is_throttled_is_made_again_for_as_long_as_patience_lasts() -> Result {
    let (aws, source, data) = world().await?;
    // The answer to HEAD has no body: S3 says it by the status.
    for action in CALLS.into_iter().filter(|action| *action != "HeadBucket") {
        aws.throttle(action, 2);
    }
    aws.fail("HeadBucket", "SlowDown", 503, 2);
    for (action, code, status) in [
        ("CreateRepository", "TooManyRequestsException", 400),
        ("PutObject", "SlowDown", 503),
        ("PutPublicAccessBlock", "SlowDown", 503),
        ("CreateBucket", "OperationAborted", 409),
    ] {
        aws.fail(action, code, status, 2);
    }
    // Tries are for other failures.
    let run = deployment(&aws, &data, &source).args(["--tries", "3"]);
    run.run().await.ended(0);
    for action in CALLS {
        assert!(aws.count(action) > 2, "{action}: {}", aws.count(action));
    }
    Ok(())
}

#[tokio::test]
async fn calls_of_sts_and_codebuild_are_made_again_too() -> Result {
    let (aws, source, data) = world().await?;
    for action in ["GetCallerIdentity", "BatchGetBuilds"] {
        aws.throttle(action, 2);
    }
    let run = build(&aws, &data, &source)
        .envs(aws.begin_build("codeseeder-idf"))
        .env("AWS_ACCOUNT_ID", "")
        .env("SEEDFARMER_PARAMETER_FAN_OUT", "2");
    run.run().await.ended(0);
    for action in ["GetCallerIdentity", "BatchGetBuilds"] {
        assert!(aws.count(action) > 2, "{action}: {}", aws.count(action));
    }
    Ok(())
}

#[tokio::test]
async fn patience_ends() -> Result {
    let (aws, source, data) = world().await?;
    aws.throttle("CreateRepository", u64::MAX);
    let run = build(&aws, &data, &source).args(["--patience", "2"]);
    let failed = run.run().await.ended(1);
    failed.said(&["ecr:CreateRepository", "ThrottlingException"]);
    assert!(aws.count("CreateRepository") > 1);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_says_when_to_come_back_is_heeded() -> Result {
    let (aws, source, data) = world().await?;
    aws.throttle_for("CreateRepository", 3, 1);
    let done = build(&aws, &data, &source).run().await.ended(0);
    assert!(done.took > Duration::from_secs(3), "{:?}", done.took);
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_never_answered_ends_in_failure_and_not_in_silence() -> Result {
    // Without an answer about blob mounting, every blob is uploaded.
    let calls = CALLS
        .into_iter()
        .filter(|action| *action != "GetAccountSetting");
    let hung = calls.map(|action| async move {
        let (aws, source, data) = world().await?;
        aws.stall(action, Duration::from_hours(1));
        let run = deployment(&aws, &data, &source);
        let run = run.args(["--answer-timeout", "1", "--tries", "2"]);
        let failed = run.run().await.ended(1);
        let took = failed.took;
        assert!(took < Duration::from_secs(30), "{action}: {took:?}");
        failed.said(&["timeout"]);
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(hung).await?;
    Ok(())
}

#[tokio::test]
async fn destroy_does_not_wait_for_ever_either() -> Result {
    for action in ["ListObjectsV2", "ListTagsForResource", "DeleteRepository"] {
        let (aws, source, data) = world().await?;
        build(&aws, &data, &source).run().await.ended(0);
        aws.stall(action, Duration::from_hours(1));
        let run = seed_farmer(Run::new().arg("destroy").envs(aws.env()));
        let run = run
            .args(["--retention-type", "DESTROY"])
            .env("SEEDFARMER_PARAMETER_ANSWER_TIMEOUT", "1")
            .env("SEEDFARMER_PARAMETER_TRIES", "1");
        run.run().await.ended(1);
    }
    Ok(())
}
