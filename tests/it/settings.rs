//! Repositories as the parameters want them: when they are made, and later.

use lab::aws::Aws;
use lab::registry::{Mutability, Registry};

use super::Result;
use super::data::Data;
use super::ecr::{build, image};
use super::run::Run;

const REPOSITORY: &str = "idf-quay.io/team/app";
pub(crate) const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/4f5e";
const LIFECYCLE: &str = r#"{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 9}, "action": {"type": "expire"}}]}"#;
const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": []}"#;

/// The settings of new repositories that need no resource.
pub(crate) fn with_settings(run: Run) -> Run {
    run.env(
        "SEEDFARMER_PARAMETER_CUSTOM_TAGS",
        r#"{"team": "platform"}"#,
    )
    .env("SEEDFARMER_PARAMETER_IMAGE_TAG_MUTABILITY", "IMMUTABLE")
    .env("SEEDFARMER_PARAMETER_SCAN_ON_PUSH", "true")
    .env("SEEDFARMER_PARAMETER_LIFECYCLE_POLICY", LIFECYCLE)
    .env("SEEDFARMER_PARAMETER_REPOSITORY_POLICY", POLICY)
}

fn assert_as_configured(aws: &Aws) {
    let repository = aws.repository(REPOSITORY).expect("a repository");
    assert_eq!(
        repository.tags.get("team").map(String::as_str),
        Some("platform")
    );
    assert_eq!(
        repository.tags.get("ManagedBy").map(String::as_str),
        Some("replicator")
    );
    assert_eq!(repository.mutability, Mutability::Immutable);
    for action in ["PutLifecyclePolicy", "SetRepositoryPolicy"] {
        assert_eq!(aws.count(action), 1, "{action}");
    }
}

#[tokio::test]
async fn a_new_repository_is_made_as_configured_and_a_second_run_changes_nothing() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let run =
        || with_settings(build(&aws, &data, &source)).env("SEEDFARMER_PARAMETER_KMS_KEY_ARN", KEY);
    run().run().await.ended(0);
    assert_as_configured(&aws);
    assert_eq!(
        aws.count("PutImageTagMutability") + aws.count("PutImageScanningConfiguration"),
        0
    );

    aws.clear_calls();
    let second = run().run().await.ended(0);
    let words = ["Create", "Put", "Set", "Tag"];
    let calls = aws.calls();
    let changed: Vec<&str> = calls
        .iter()
        .map(|call| call.action.as_str())
        .filter(|action| {
            *action != "PutObject" && words.iter().any(|word| action.starts_with(word))
        })
        .collect();
    assert_eq!(changed, Vec::<&str>::new());
    assert!(!second.stderr.contains("warning"), "{}", second.stderr);
    Ok(())
}

#[tokio::test]
async fn an_existing_repository_is_reconciled_and_what_cannot_be_changed_is_reported() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    build(&aws, &data, &source).run().await.ended(0);
    let run =
        with_settings(build(&aws, &data, &source)).env("SEEDFARMER_PARAMETER_KMS_KEY_ARN", KEY);
    let done = run.run().await.ended(0);
    assert_as_configured(&aws);
    done.said(&["warning:", REPOSITORY, "ECR sets this on creation only"]);
    Ok(())
}

#[tokio::test]
async fn without_wishes_an_existing_repository_is_left_alone() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    aws.put_repository(REPOSITORY, |repository| {
        repository.mutability = Mutability::Immutable;
    });
    build(&aws, &data, &source).run().await.ended(0);
    let repository = aws.repository(REPOSITORY).expect("a repository");
    assert_eq!(repository.mutability, Mutability::Immutable);
    assert!(
        repository.tags.is_empty(),
        "a repository that another program created is not claimed"
    );
    Ok(())
}

#[tokio::test]
async fn blob_mounting_is_left_required_or_enabled() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let run =
        |word: &str| build(&aws, &data, &source).env("SEEDFARMER_PARAMETER_BLOB_MOUNTING", word);
    run("leave").run().await.ended(0);
    assert_eq!(aws.count("PutAccountSetting"), 0);
    run("require")
        .run()
        .await
        .ended(1)
        .said(&["BLOB_MOUNTING", "put-account-setting"]);
    run("enable").run().await.ended(0);
    assert_eq!(aws.count("PutAccountSetting"), 1);
    run("require").run().await.ended(0);
    Ok(())
}
