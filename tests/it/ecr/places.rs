//! Which account, region and partition is meant.

use lab::aws::Aws;
use lab::registry::Registry;

use crate::Result;
use crate::data::Data;
use crate::run::Run;

use super::{REPOSITORY, app, build, digest_at, image, seed_farmer};

#[tokio::test]
async fn the_account_comes_from_sts_when_the_environment_has_none() -> Result {
    let aws = Aws::builder()
        .account("210987654321")
        .region("eu-central-1");
    let (aws, source) = (aws.start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let without = aws
        .env()
        .into_iter()
        .filter(|(name, _)| name != "AWS_ACCOUNT_ID");
    let run = data_run(&app(), &source).envs(without);
    let done = run.run().await.ended(0);
    assert_eq!(
        done.result()["additional_images"]["image0"],
        format!("210987654321.dkr.ecr.eu-central-1.amazonaws.com/{REPOSITORY}:1")
    );
    assert!(
        aws.bucket("idf-dkr-img-rep-md-eu-central-1-210987654321")
            .is_some()
    );
    assert_eq!(aws.count("GetCallerIdentity"), 1);
    Ok(())
}

/// [`build`] without the variables of AWS.
fn data_run(data: &Data, source: &Registry) -> Run {
    let run = seed_farmer(data.given_to(Run::new().arg("deploy")));
    run.out().endpoint("quay.io", &source.url())
}

#[tokio::test]
async fn in_china_hosts_and_arns_are_those_of_china() -> Result {
    let aws = Aws::builder().region("cn-north-1");
    let aws = aws
        .arn("arn:aws-cn:iam::123456789012:user/lab")
        .start()
        .await?;
    let source = Registry::start().await?;
    let pushed = image().push(&source, "team/app", "1")?;
    let done = build(&aws, &app(), &source).run().await.ended(0);
    let host = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn";
    assert_eq!(
        done.result()["additional_images"]["image0"],
        format!("{host}/{REPOSITORY}:1")
    );
    assert_eq!(digest_at(&aws, REPOSITORY), Some(pushed.root.digest));
    let bucket = aws.bucket("idf-dkr-img-rep-md-cn-north-1-123456789012");
    let bucket = bucket.expect("a bucket");
    assert_eq!(bucket.location.as_deref(), Some("cn-north-1"));
    assert!(bucket.settings["policy"].contains("arn:aws-cn:s3:::idf-dkr"));
    Ok(())
}

#[tokio::test]
async fn an_upper_case_project_is_lower_case_wherever_names_need_it() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let run = build(&aws, &app(), &source).env("SEEDFARMER_PROJECT_NAME", "IDF");
    run.run().await.ended(0);
    assert_eq!(aws.registry().repositories(), [REPOSITORY]);
    assert!(
        aws.bucket("idf-dkr-img-rep-md-us-east-1-123456789012")
            .is_some()
    );
    Ok(())
}

#[tokio::test]
async fn a_prefix_of_another_account_and_region_is_where_all_goes() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let prefix = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mirror/";
    let run = build(&aws, &app(), &source)
        .env("AWS_ACCOUNT_ID", "210987654321")
        .env("AWS_REGION", "eu-central-1")
        .args(["--registry-prefix", prefix]);
    let done = run.run().await.ended(0);
    assert_eq!(aws.registry().repositories(), ["mirror/quay.io/team/app"]);
    let name = format!("{prefix}quay.io/team/app:1");
    assert_eq!(done.result()["additional_images"]["image0"], name);
    assert!(
        aws.bucket("idf-dkr-img-rep-md-us-east-1-123456789012")
            .is_some()
    );
    Ok(())
}

#[tokio::test]
async fn without_aws_credentials_a_plan_is_made_and_a_deployment_says_what_it_needs() -> Result {
    let source = Registry::start().await?;
    image().push(&source, "team/app", "1")?;
    image().push(&source, "team/other", "1")?;
    let data = Data::images(&["quay.io/team/app:1", "quay.io/team/other:1"]);
    let run = |command: &str| {
        let run = seed_farmer(data.run(command)).endpoint("quay.io", &source.url());
        run.env("AWS_REGION", "us-east-1")
            .env("AWS_ACCOUNT_ID", "123456789012")
            .env("AWS_EC2_METADATA_DISABLED", "true")
    };
    let planned = run("plan").run().await.ended(1);
    let host = "could not query 123456789012.dkr.ecr.us-east-1.amazonaws.com: ";
    assert_eq!(planned.lines_with(host), 1, "{}", planned.stderr);
    assert_eq!(planned.lines_with("warning: "), 1, "{}", planned.stderr);
    assert!(planned.stdout.contains("2 unknown"), "{}", planned.stdout);
    let failed = run("deploy").run().await.ended(1);
    failed.said(&["target", "AWS_ACCESS_KEY_ID"]);
    Ok(())
}
