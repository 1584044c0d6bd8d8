//! What is wrong with bucket or settings ends a deployment before it copies anything: exit code 2.

use lab::aws::Aws;
use lab::registry::Registry;

use super::Result;
use super::data::Data;
use super::ecr::{build, image};

const LIFECYCLE: &str = r#"{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 9}, "action": {"type": "expire"}}]}"#;
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/4f5e";

async fn world() -> anyhow::Result<(Aws, Registry, Data)> {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    image().push(&source, "team/more", "1")?;
    let data = Data::images(&["quay.io/team/app:1", "quay.io/team/more:1"]);
    Ok((aws, source, data))
}

fn assert_nothing_was_copied(aws: &Aws, source: &Registry) {
    assert_eq!(source.wire().count("GET", "/blobs/"), 0);
    let writes = super::content::writes(aws.registry().wire());
    assert_eq!(writes, Vec::<String>::new());
    assert_eq!(aws.count("PutObject"), 0);
}

#[tokio::test]
async fn settings_that_aws_rejects_end_the_run_before_it_copies() -> Result {
    for (action, code, parameter, value) in [
        (
            "PutLifecyclePolicy",
            "InvalidParameterException",
            "LIFECYCLE_POLICY",
            LIFECYCLE,
        ),
        (
            "SetRepositoryPolicy",
            "InvalidParameterException",
            "REPOSITORY_POLICY",
            r#"{"Statement": []}"#,
        ),
        ("CreateRepository", "KmsException", "KMS_KEY_ARN", KEY),
        (
            "CreateRepository",
            "InvalidTagParameterException",
            "CUSTOM_TAGS",
            r#"{"a": "b"}"#,
        ),
    ] {
        // All repositories are new; or one of them exists, with content.
        for is_new in [true, false] {
            let (aws, source, data) = world().await?;
            if !is_new {
                build(&aws, &data, &source).run().await.ended(0);
                aws.clear_calls();
                source.wire().clear();
                aws.registry().wire().clear();
                image().layer(9, 9).push(&source, "team/third", "1")?;
            }
            let names = ["quay.io/team/app:1", "quay.io/team/third:1"];
            let data = if is_new { data } else { Data::images(&names) };
            aws.fail(action, code, 400, 99);
            let run = build(&aws, &data, &source);
            let run = run.env(&format!("SEEDFARMER_PARAMETER_{parameter}"), value);
            let refused = run.run().await.ended(2).left_nothing();
            refused.said(&["repository idf-quay.io/team/", action, code]);
            assert_nothing_was_copied(&aws, &source);
        }
    }
    Ok(())
}

#[tokio::test]
async fn settings_that_cannot_be_right_are_refused_without_aws() -> Result {
    for (parameter, value, said) in [
        ("LIFECYCLE_POLICY", r#"{"rules": []}"#, "0 rules"),
        (
            "LIFECYCLE_POLICY",
            r#"{"rules": [{"rulePriority": 1}]}"#,
            "rule 1: it has no `selection`",
        ),
        (
            "REPOSITORY_POLICY",
            r#"{"Statement": [{"Effect": "Allow"}]}"#,
            "statement 1: it has no Principal",
        ),
        ("CUSTOM_TAGS", r#"{"a<b": "c"}"#, "AWS takes letters"),
        (
            "KMS_KEY_ARN",
            "arn:aws:kms:eu-west-1:123456789012:key/4f5e",
            "the region `eu-west-1`",
        ),
        ("BUCKET_VERSIONING", "twice", "neither true nor false"),
        ("ADOPT_REPOSITORIES", "some", "neither true nor false"),
    ] {
        let (aws, source, data) = world().await?;
        let run = build(&aws, &data, &source);
        let run = run.env(&format!("SEEDFARMER_PARAMETER_{parameter}"), value);
        run.run()
            .await
            .ended(2)
            .left_nothing()
            .said(&["parameter ", said]);
        assert_eq!(aws.count("CreateRepository") + aws.count("CreateBucket"), 0);
        assert_nothing_was_copied(&aws, &source);
    }
    Ok(())
}

#[tokio::test]
async fn a_bucket_that_cannot_be_used_ends_the_run_before_it_copies() -> Result {
    for (action, code, status, said) in [
        ("HeadBucket", "Forbidden", 403, "another account owns it"),
        ("CreateBucket", "AccessDenied", 403, "s3:CreateBucket"),
        (
            "CreateBucket",
            "BucketAlreadyExists",
            409,
            "BucketAlreadyExists",
        ),
        ("PutBucketPolicy", "AccessDenied", 403, "s3:PutBucketPolicy"),
    ] {
        let (aws, source, data) = world().await?;
        aws.fail(action, code, status, 99);
        let refused = build(&aws, &data, &source).run().await.ended(2);
        let bucket = "s3://idf-dkr-img-rep-md-us-east-1-123456789012";
        refused.left_nothing().said(&[bucket, said]);
        assert_nothing_was_copied(&aws, &source);
    }
    Ok(())
}

#[tokio::test]
async fn all_problems_are_reported_at_once() -> Result {
    let (aws, source, data) = world().await?;
    aws.fail("PutLifecyclePolicy", "InvalidParameterException", 400, 99);
    aws.fail("CreateBucket", "AccessDenied", 403, 99);
    let run = build(&aws, &data, &source);
    let run = run.env("SEEDFARMER_PARAMETER_LIFECYCLE_POLICY", LIFECYCLE);
    let refused = run.run().await.ended(2).left_nothing();
    refused.said(&["2 problems", "PutLifecyclePolicy", "CreateBucket"]);
    Ok(())
}

#[tokio::test]
async fn a_service_that_fails_is_not_bad_input() -> Result {
    let (aws, source, data) = world().await?;
    aws.fail("HeadBucket", "InternalError", 500, 99);
    let run = build(&aws, &data, &source).args(["--tries", "2"]);
    run.run().await.ended(1).said(&["s3:HeadBucket"]);
    assert_nothing_was_copied(&aws, &source);
    Ok(())
}

#[tokio::test]
async fn exclusions_of_immutability_are_reconciled_and_reported() -> Result {
    use lab::registry::Mutability::{Immutable, Mutable};
    for (found, wanted) in [
        (Immutable, "MUTABLE"),
        (Mutable, "IMMUTABLE"),
        (Immutable, "IMMUTABLE"),
    ] {
        let (aws, source, data) = world().await?;
        build(&aws, &data, &source).run().await.ended(0);
        let repository = "idf-quay.io/team/app";
        aws.put_repository(repository, |repository| {
            repository.mutability = found;
            repository.exclusions = vec!["latest*".to_owned()];
        });
        let run = build(&aws, &data, &source);
        let run = run.env("SEEDFARMER_PARAMETER_IMAGE_TAG_MUTABILITY", wanted);
        run.run()
            .await
            .ended(0)
            .said(&["WITH_EXCLUSION (latest*)", wanted]);
        let settings = aws.repository(repository).expect("it is there");
        let is_immutable = settings.mutability == Immutable;
        assert_eq!(is_immutable, wanted == "IMMUTABLE");
        assert_eq!(settings.exclusions, Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn a_tag_that_is_excluded_from_immutability_moves_and_others_do_not() -> Result {
    let (aws, source, _) = world().await?;
    let data = Data::images(&["quay.io/team/app:latest-1", "quay.io/team/app:1"]);
    image().push(&source, "team/app", "latest-1")?;
    build(&aws, &data, &source).run().await.ended(0);
    aws.put_repository("idf-quay.io/team/app", |repository| {
        repository.mutability = lab::registry::Mutability::Immutable;
        repository.exclusions = vec!["latest*".to_owned()];
    });
    let moved = image().layer(77, 77);
    let moved = [
        moved.push(&source, "team/app", "latest-1")?,
        moved.push(&source, "team/app", "1")?,
    ];
    source.wire().clear();
    let failed = build(&aws, &data, &source).run().await.ended(1);
    assert_eq!(failed.report_of("app:latest-1")["done"], "copied");
    assert_eq!(failed.report_of("app:1")["done"], "failed");
    let at_target = aws.registry().manifest("idf-quay.io/team/app", "latest-1");
    let digest = at_target.map(|(_, _, digest)| digest);
    assert_eq!(digest.as_ref(), Some(&moved[0].root.digest));
    Ok(())
}
