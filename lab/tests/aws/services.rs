//! S3, STS and Secrets Manager, and the log of all calls.

use std::time::Duration;

use lab::aws::Aws;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::{Result, ecr};

#[tokio::test]
async fn calls_are_logged_fail_on_request_and_new_repositories_take_their_time() -> Result {
    let aws = Aws::builder()
        .creation_delay(Duration::from_millis(200))
        .start()
        .await?;
    aws.throttle("CreateRepository", 1);
    let name = json!({"repositoryName": "new/one"});
    assert_eq!(
        ecr(&aws, "CreateRepository", name.clone()).await?.1["__type"],
        "ThrottlingException"
    );
    assert_eq!(ecr(&aws, "CreateRepository", name).await?.0, 200);
    let names = json!({"repositoryNames": ["new/one"]});
    assert_eq!(
        ecr(&aws, "DescribeRepositories", names.clone()).await?.1["__type"],
        "RepositoryNotFoundException"
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(ecr(&aws, "DescribeRepositories", names).await?.0, 200);
    for number in 1..=4 {
        aws.put_repository(&format!("more/{number}"), |_| {});
    }
    let (_, first) = ecr(&aws, "DescribeRepositories", json!({"maxResults": 3})).await?;
    let (_, second) = ecr(
        &aws,
        "DescribeRepositories",
        json!({"maxResults": 3, "nextToken": first["nextToken"]}),
    )
    .await?;
    let count = |page: &Value| page["repositories"].as_array().map_or(0, Vec::len);
    assert_eq!(
        (count(&first), count(&second), &second["nextToken"]),
        (3, 2, &Value::Null)
    );
    let calls = aws.calls();
    assert_eq!(
        (
            calls[0].action.as_str(),
            calls[0].resource.as_str(),
            calls[0].status
        ),
        ("CreateRepository", "new/one", 400)
    );
    assert_eq!(aws.count("DescribeRepositories"), 4);
    Ok(())
}

#[tokio::test]
async fn s3_keeps_buckets_their_settings_and_objects() -> Result {
    let aws = Aws::builder().region("eu-west-1").start().await?;
    let client = Client::new();
    let url = |path: &str| format!("{}{path}", aws.url());
    assert_eq!(
        client.head(url("/bucket")).send().await?.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        client.put(url("/bucket")).send().await?.status(),
        StatusCode::BAD_REQUEST
    );
    let constraint = "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    assert_eq!(
        client
            .put(url("/bucket"))
            .body(constraint)
            .send()
            .await?
            .status(),
        StatusCode::OK
    );
    assert_eq!(
        client
            .put(url("/bucket?publicAccessBlock"))
            .body("<x/>")
            .send()
            .await?
            .status(),
        StatusCode::OK
    );
    assert_eq!(
        aws.bucket("bucket").unwrap().settings["publicAccessBlock"],
        "<x/>"
    );
    assert!(
        client
            .get(url("/bucket?tagging"))
            .send()
            .await?
            .text()
            .await?
            .contains("NoSuchTagSet")
    );
    assert!(
        client
            .get(url("/bucket/a/b.json?x-id=GetObject"))
            .send()
            .await?
            .text()
            .await?
            .contains("NoSuchKey")
    );
    client
        .put(url("/bucket/a/b.json?x-id=PutObject"))
        .body("{}")
        .send()
        .await?;
    assert_eq!(
        aws.object("bucket", "a/b.json").as_deref(),
        Some(b"{}".as_slice())
    );
    let list = client
        .get(url("/bucket?list-type=2&prefix=a%2F"))
        .send()
        .await?
        .text()
        .await?;
    assert!(list.contains("<Key>a/b.json</Key>"), "{list}");
    assert_eq!(
        client.delete(url("/bucket")).send().await?.status(),
        StatusCode::CONFLICT
    );
    assert_eq!(aws.calls()[0].action, "HeadBucket");
    Ok(())
}

#[tokio::test]
async fn sts_and_secrets_manager_answer() -> Result {
    let aws = Aws::start().await?;
    let client = Client::new();
    let form = client
        .post(aws.url())
        .header("content-type", "application/x-www-form-urlencoded");
    let identity = form
        .body("Action=GetCallerIdentity&Version=2011-06-15")
        .send()
        .await?
        .text()
        .await?;
    assert!(identity.contains("<Account>123456789012</Account>"));
    aws.put_secret("hub", "s3cret");
    let secret = client
        .post(aws.url())
        .header("x-amz-target", "secretsmanager.GetSecretValue");
    assert!(
        secret
            .body("{\"SecretId\":\"hub\"}")
            .send()
            .await?
            .text()
            .await?
            .contains("s3cret")
    );
    let calls = aws.calls();
    let services: Vec<&str> = calls.iter().map(|call| call.service).collect();
    assert_eq!(services, ["sts", "secretsmanager"]);
    Ok(())
}
