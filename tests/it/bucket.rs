//! The module's bucket: private and hardened, whether this program created it or not.

use lab::aws::Aws;
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::data::Data;
use super::ecr::{build, image, seed_farmer};
use super::run::Run;

const BUCKET: &str = "idf-dkr-img-rep-md-us-east-1-123456789012";

async fn world() -> anyhow::Result<(Aws, Registry, Data)> {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    Ok((aws, source, Data::images(&["quay.io/team/app:1"])))
}

fn setting(aws: &Aws, name: &str) -> String {
    let bucket = aws.bucket(BUCKET).expect("the bucket");
    bucket.settings.get(name).cloned().unwrap_or_default()
}

#[tokio::test]
async fn every_call_to_the_bucket_names_the_account_that_must_own_it() -> Result {
    let (aws, source, data) = world().await?;
    let versioned = |run: Run| run.env("SEEDFARMER_PARAMETER_BUCKET_VERSIONING", "true");
    versioned(build(&aws, &data, &source)).run().await.ended(0);
    let end = seed_farmer(Run::new().arg("destroy").envs(aws.env()));
    let end = end.env("SEEDFARMER_PARAMETER_RETENTION_TYPE", "DESTROY");
    end.run().await.ended(0);
    let requests = aws.wire().requests();
    let to_bucket = requests
        .iter()
        .filter(|request| request.action.starts_with("s3:"));
    let to_bucket: Vec<_> = to_bucket.collect();
    assert!(to_bucket.len() > 12, "{}", to_bucket.len());
    // A bucket that is being created has no owner yet.
    for request in to_bucket
        .iter()
        .filter(|request| request.action != "s3:CreateBucket")
    {
        let owner = request.headers.get("x-amz-expected-bucket-owner");
        let is_named = owner.is_some_and(|owner| owner == "123456789012");
        assert!(is_named, "{}", request.action);
    }
    Ok(())
}

#[tokio::test]
async fn a_bucket_with_a_policy_is_hardened_and_keeps_what_others_set() -> Result {
    let (aws, source, data) = world().await?;
    let theirs = json!({"Sid": "Readers", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{BUCKET}/*")});
    let policy = json!({"Version": "2012-10-17", "Statement": [theirs]});
    aws.put_bucket(BUCKET);
    aws.put_bucket_setting(BUCKET, "policy", &policy.to_string());
    aws.put_bucket_setting(
        BUCKET,
        "tagging",
        "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    );
    let kms = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    aws.put_bucket_setting(BUCKET, "encryption", kms);
    build(&aws, &data, &source).run().await.ended(0);
    let merged: Value = serde_json::from_str(&setting(&aws, "policy"))?;
    assert_eq!(merged["Statement"][0], theirs);
    assert_eq!(merged["Statement"][1]["Sid"], "DenyUnencryptedConnections");
    assert_eq!(
        setting(&aws, "encryption"),
        kms,
        "another key is encryption too"
    );
    assert!(setting(&aws, "publicAccessBlock").contains("<RestrictPublicBuckets>true<"));
    assert!(setting(&aws, "tagging").contains("<Key>a</Key>"));
    assert!(
        !setting(&aws, "tagging").contains("ManagedBy"),
        "it is not ours"
    );

    // A second time there is nothing to do.
    aws.clear_calls();
    build(&aws, &data, &source).run().await.ended(0);
    let calls = aws.calls();
    let puts = calls
        .iter()
        .filter(|call| call.service == "s3" && call.action.starts_with("Put"));
    let puts: Vec<&str> = puts.map(|call| call.action.as_str()).collect();
    assert_eq!(puts, ["PutObject"], "the page");
    Ok(())
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_is_kept_with_a_warning() -> Result {
    let (aws, source, data) = world().await?;
    aws.put_bucket(BUCKET);
    aws.put_bucket_setting(BUCKET, "policy", "{no policy");
    let done = build(&aws, &data, &source).run().await.ended(0);
    done.said(&["warning: the policy of the bucket", "stays as it is"]);
    assert_eq!(setting(&aws, "policy"), "{no policy");
    assert!(setting(&aws, "publicAccessBlock").contains("<RestrictPublicBuckets>true<"));
    Ok(())
}

#[tokio::test]
async fn hardening_that_is_refused_is_a_warning_and_the_result_is_published() -> Result {
    let (aws, source, data) = world().await?;
    aws.put_bucket(BUCKET);
    aws.fail("PutPublicAccessBlock", "AccessDenied", 403, 9);
    let done = build(&aws, &data, &source).run().await.ended(0);
    done.said(&["warning: the bucket", "s3:PutBucketPublicAccessBlock"]);
    assert!(setting(&aws, "policy").contains("DenyUnencryptedConnections"));
    Ok(())
}

#[tokio::test]
async fn old_versions_are_kept_where_that_is_wanted() -> Result {
    let (aws, source, data) = world().await?;
    for (value, status) in [
        (None, ""),
        (Some("true"), "Enabled"),
        (None, "Enabled"),
        (Some("Suspended"), "Suspended"),
    ] {
        let run = build(&aws, &data, &source);
        let run = match value {
            Some(value) => run.args(["--bucket-versioning", value]),
            None => run,
        };
        run.run().await.ended(0);
        let versioning = setting(&aws, "versioning");
        assert!(
            versioning.contains(status) && (status.is_empty() == versioning.is_empty()),
            "{versioning}"
        );
    }
    Ok(())
}
