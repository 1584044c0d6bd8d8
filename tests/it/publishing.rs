//! What a deployment publishes: the bucket's object and the module's metadata, or nothing.

use std::fs;

use lab::aws::Aws;
use lab::registry::Registry;
use serde_json::json;

use super::Result;
use super::data::Data;
use super::ecr::{build, image, seed_farmer};
use super::run::Run;

const BUCKET: &str = "idf-dkr-img-rep-md-us-east-1-123456789012";
const OBJECT: &str = "dev-replication-images-metadata.json";
const METADATA: &str = r#"{"S3Bucket": "idf-dkr-img-rep-md-us-east-1-123456789012", "S3Object": "dev-replication-images-metadata.json", "S3FullPath": "idf-dkr-img-rep-md-us-east-1-123456789012/dev-replication-images-metadata.json", "s3_bucket": "idf-dkr-img-rep-md-us-east-1-123456789012", "s3_object": "dev-replication-images-metadata.json", "s3_full_path": "idf-dkr-img-rep-md-us-east-1-123456789012/dev-replication-images-metadata.json"}"#;

fn app() -> Data {
    Data::images(&["quay.io/team/app:1"])
}

#[tokio::test]
async fn a_build_needs_nothing_but_its_environment() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&[&format!("{}/team/app:1", source.host())]);
    let run = data.given_to(Run::new().arg("deploy"));
    let done = seed_farmer(run.envs(aws.env())).run().await.ended(0);

    let written = done
        .work_file("replication_result.json")
        .expect("the result");
    let object = aws.object(BUCKET, OBJECT).expect("the object");
    assert_eq!(object, written.as_bytes());
    assert!(done.work_file("updated_images.json").is_some());
    assert!(done.work_file("replication_report.json").is_some());
    let metadata = done.work_file("SEEDFARMER_MODULE_METADATA");
    assert_eq!(metadata.as_deref(), Some(METADATA));

    // It is published last.
    let calls = aws.calls();
    assert_eq!(
        calls.last().map(|call| call.action.as_str()),
        Some("PutObject")
    );
    assert_eq!(aws.count("PutObject"), 2, "document and page");
    assert!(
        calls
            .iter()
            .all(|call| call.status < 400 || call.status == 404)
    );
    Ok(())
}

#[tokio::test]
async fn the_bucket_is_created_encrypted_closed_and_tagged_and_only_once() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    build(&aws, &app(), &source).run().await.ended(0);
    let bucket = aws.bucket(BUCKET).expect("a bucket");
    assert_eq!(bucket.location, None, "us-east-1 has no name here");
    let has = |setting: &str, text: &str| {
        let document = bucket.settings.get(setting).map_or("", String::as_str);
        assert!(document.contains(text), "{setting}: {document}");
    };
    has("encryption", "AES256");
    for block in [
        "BlockPublicAcls",
        "IgnorePublicAcls",
        "BlockPublicPolicy",
        "RestrictPublicBuckets",
    ] {
        has("publicAccessBlock", &format!("<{block}>true</{block}>"));
    }
    has("policy", "aws:SecureTransport");
    has("policy", "\"Deny\"");
    has("policy", &format!("arn:aws:s3:::{BUCKET}/*"));
    has(
        "tagging",
        "<Key>SeedFarmerModuleName</Key><Value>replication-images</Value>",
    );
    let headers = &bucket.objects[OBJECT].headers;
    assert_eq!(
        headers.get("content-type").map(String::as_str),
        Some("application/json")
    );
    assert_eq!(
        headers
            .get("x-amz-expected-bucket-owner")
            .map(String::as_str),
        Some("123456789012")
    );

    aws.clear_calls();
    build(&aws, &app(), &source).run().await.ended(0);
    let calls = aws.calls();
    let s3: Vec<&str> = calls
        .iter()
        .filter(|call| call.service == "s3" && !call.action.starts_with("Get"))
        .map(|call| call.action.as_str())
        .collect();
    assert_eq!(
        s3,
        ["HeadBucket", "PutObject"],
        "the page; the same document is not written again"
    );
    Ok(())
}

#[tokio::test]
async fn a_bucket_left_half_made_is_finished() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    aws.put_bucket(BUCKET);
    build(&aws, &app(), &source).run().await.ended(0);
    assert_eq!(aws.count("CreateBucket"), 0);
    let settings = aws.bucket(BUCKET).expect("a bucket").settings;
    for setting in ["encryption", "publicAccessBlock", "policy", "tagging"] {
        assert!(settings.contains_key(setting), "{setting}");
    }
    Ok(())
}

#[tokio::test]
async fn after_a_failure_the_object_before_stays_and_nothing_is_put() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    aws.put_object(BUCKET, OBJECT, "before");
    let data = Data::images(&["quay.io/team/app:1", "quay.io/team/gone:1"]);
    let failed = build(&aws, &data, &source).run().await.ended(1);
    assert_eq!(aws.count("PutObject"), 0);
    assert_eq!(aws.object(BUCKET, OBJECT).as_deref(), Some(&b"before"[..]));
    assert_eq!(failed.work_file("SEEDFARMER_MODULE_METADATA"), None);
    assert_eq!(
        failed.files(),
        [
            "replication_report.html",
            "replication_report.json",
            "updated_images.json"
        ]
    );
    failed.said(&["1 of 2 artifacts failed, nothing was published"]);
    Ok(())
}

#[tokio::test]
async fn a_bucket_that_cannot_be_written_is_a_failure_without_metadata() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    aws.fail("PutObject", "AccessDenied", 403, 99);
    let failed = build(&aws, &app(), &source).run().await.ended(1);
    assert_eq!(failed.work_file("SEEDFARMER_MODULE_METADATA"), None);
    assert_eq!(aws.object(BUCKET, OBJECT), None);
    let object = format!("s3://{BUCKET}/{OBJECT}");
    failed.said(&[&object, "s3:PutObject", "AccessDenied"]);
    Ok(())
}

#[tokio::test]
async fn what_the_deployment_knows_of_an_earlier_run_stays_in_the_metadata() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let earlier = r#"{"Mine": "kept", "S3Bucket": "old"}"#;
    let run = build(&aws, &app(), &source).env("SEEDFARMER_MODULE_METADATA", earlier);
    let done = run.run().await.ended(0);
    let metadata = done
        .work_file("SEEDFARMER_MODULE_METADATA")
        .expect("metadata");
    let start = format!(r#"{{"Mine": "kept", "S3Bucket": "{BUCKET}", "S3Object""#);
    assert!(metadata.starts_with(&start), "{metadata}");
    Ok(())
}

#[tokio::test]
async fn every_missing_name_is_reported_before_any_request() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let run = build(&aws, &app(), &source)
        .env("SEEDFARMER_DEPLOYMENT_NAME", "")
        .env("SEEDFARMER_MODULE_NAME", " ");
    let refused = run.run().await.ended(2).left_nothing();
    refused.said(&[
        "2 problems",
        "SEEDFARMER_DEPLOYMENT_NAME",
        "--deployment",
        "SEEDFARMER_MODULE_NAME",
        "--module",
    ]);

    let run = data_without_project(&aws, &source);
    let refused = run.run().await.ended(2).left_nothing();
    refused.said(&["SEEDFARMER_PROJECT_NAME", "AWS_REGION", "--registry-prefix"]);
    assert_eq!(aws.calls(), []);
    assert_eq!(source.wire().requests().len(), 0);
    Ok(())
}

fn data_without_project(aws: &Aws, source: &Registry) -> Run {
    let run = build(aws, &app(), source).env("SEEDFARMER_PROJECT_NAME", "");
    run.env("AWS_REGION", "").env("AWS_DEFAULT_REGION", "")
}

#[tokio::test]
async fn flags_do_what_the_environment_does_and_win_over_it() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let run = build(&aws, &app(), &source)
        .env("SEEDFARMER_PARAMETER_EKS_VERSION", "9.99")
        .args(["--eks-version", "1.34", "--project", "other"])
        .args(["--deployment", "prod", "--module", "g-m"]);
    let done = run.run().await.ended(0);
    let bucket = BUCKET.replacen("idf", "other", 1);
    let object = aws
        .object(&bucket, "prod-g-m-metadata.json")
        .expect("the object");
    let written = fs::read(done.out().join("replication_result.json"))?;
    assert_eq!(object, written);
    assert_eq!(aws.registry().repositories(), ["other-quay.io/team/app"]);
    Ok(())
}

#[tokio::test]
async fn a_plan_changes_nothing_in_the_account() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let run = seed_farmer(app().run("plan").envs(aws.env()));
    let run = run.arg("--json").endpoint("quay.io", &source.url());
    let planned = run.run().await.ended(0);
    let plan: serde_json::Value = serde_json::from_str(&planned.stdout)?;
    assert_eq!(plan["repositories"], json!(["idf-quay.io/team/app"]));
    assert_eq!(plan["artifacts"][0]["state"], "missing");
    assert_eq!(plan["warnings"], json!([]));
    let calls = aws.calls();
    let changes = calls.iter().filter(|call| {
        call.service == "s3"
            || ![
                "GetAuthorizationToken",
                "DescribeRepositories",
                "GetCallerIdentity",
            ]
            .contains(&call.action.as_str())
    });
    assert_eq!(changes.count(), 0, "{calls:?}");
    assert_eq!(aws.registry().repositories(), Vec::<String>::new());
    assert_eq!(planned.work_file("SEEDFARMER_MODULE_METADATA"), None);
    Ok(())
}

#[tokio::test]
async fn a_result_that_cannot_be_published_is_not_left_behind_and_the_report_says_why() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    aws.fail("PutObject", "AccessDenied", 403, 9);
    let failed = build(&aws, &app(), &source).run().await.ended(1);
    assert_eq!(
        failed.files(),
        [
            "replication_report.html",
            "replication_report.json",
            "updated_images.json"
        ]
    );
    assert_eq!(failed.report_of("team/app:1")["done"], "copied");
    let error = failed.json("replication_report.json")["error"].to_string();
    assert!(
        error.contains("cannot publish") && error.contains("AccessDenied"),
        "{error}"
    );
    Ok(())
}
