//! Profiles of the AWS CLI.

use lab::aws::Aws;
use lab::registry::Registry;

use super::Result;
use super::data::Data;
use super::ecr::image;
use super::run::Run;

const CONFIG: &str = "[profile base]
region = eu-west-1
[profile dev]
role_arn = arn:aws:iam::123456789012:role/dev
source_profile = base
region = us-east-1
";

const CREDENTIALS: &str = "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = base\n";

/// A run of a shell outside Seed-Farmer: with profiles, and without the variables of credentials and region.
fn with_profiles(aws: &Aws, run: Run, folder: &std::path::Path) -> anyhow::Result<Run> {
    let (config, credentials) = (folder.join("config"), folder.join("credentials"));
    std::fs::write(&config, CONFIG)?;
    std::fs::write(&credentials, CREDENTIALS)?;
    let kept = [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_EC2_METADATA_DISABLED",
    ];
    let variables = aws.env().into_iter();
    let variables = variables.filter(|(name, _)| kept.contains(&name.as_str()));
    let run = run.envs(variables).env("AWS_CONFIG_FILE", config);
    Ok(run.env("AWS_SHARED_CREDENTIALS_FILE", credentials))
}

#[tokio::test]
async fn a_profile_gives_region_and_assumed_role() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let folder = tempfile::tempdir()?;
    let deploy = |args: &[&str]| {
        let run = data.run("plan").args(args).args(["--project", "idf"]);
        with_profiles(&aws, run.endpoint("quay.io", &source.url()), folder.path())
    };
    let planned = deploy(&["--profile", "dev"])?.run().await.ended(0);
    let prefix = "123456789012.dkr.ecr.us-east-1.amazonaws.com/idf-";
    assert!(planned.stdout.contains(prefix), "{}", planned.stdout);
    assert_eq!(aws.count("AssumeRole"), 1);
    // A region wins over the profile's.
    let other = deploy(&["--profile", "base", "--region", "us-east-1"])?;
    let planned = other.run().await.ended(0);
    assert!(planned.stdout.contains(prefix), "{}", planned.stdout);
    assert_eq!(aws.count("AssumeRole"), 1);
    // A profile that does not exist.
    let refused = deploy(&["--profile", "dve"])?.run().await.ended(2);
    refused.said(&["--profile: there is no profile `dve`", "dev"]);
    let refused = deploy(&["--region", "us-east-1"])?.env("AWS_PROFILE", "nope");
    refused
        .run()
        .await
        .ended(2)
        .said(&["AWS_PROFILE: there is no profile `nope`"]);
    // Where AWS is not used, the variable does not matter.
    let run = data.plan().env("AWS_PROFILE", "nope");
    run.run().await.ended(0);
    Ok(())
}

#[tokio::test]
async fn a_profile_of_sso_is_an_error_that_says_how_to_use_it() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let data = Data::images(&["quay.io/team/app:1"]);
    for sso in [
        "sso_start_url = https://corp.awsapps.com/start\nsso_region = us-east-1\n",
        "sso_session = corp\n[sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = us-east-1\n",
    ] {
        let folder = tempfile::tempdir()?;
        let account = "sso_account_id = 123456789012\nsso_role_name = dev\nregion = us-east-1\n";
        let run = data
            .run("plan")
            .args(["--project", "idf", "--profile", "sso"]);
        let run = with_profiles(&aws, run.endpoint("quay.io", &source.url()), folder.path())?;
        std::fs::write(
            folder.path().join("config"),
            format!("[profile sso]\n{account}{sso}"),
        )?;
        let refused = run.run().await.ended(1);
        let refused = refused.said(&[
            "IAM Identity Center (SSO)",
            "aws configure export-credentials --profile NAME",
            "credential_process",
        ]);
        assert!(!refused.stderr.contains("cargo"), "{}", refused.stderr);
    }
    Ok(())
}
