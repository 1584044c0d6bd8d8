//! A Seed-Farmer build with ECR as target: repositories, tokens, and the account's names.

use std::time::{Duration, Instant};

use lab::aws::Aws;
use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::{Mutability, Registry};

use super::Result;
use super::content::writes;
use super::data::Data;
use super::run::Run;

const REPOSITORY: &str = "idf-quay.io/team/app";

/// What ECR says to an expired token.
const EXPIRED: &str = r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#;

/// `deploy` as the module's build runs it, with a separate output folder.
pub(crate) fn build(aws: &Aws, data: &Data, source: &Registry) -> Run {
    build_with(Run::new(), aws, data, source)
}

/// The same with a run of a copy of the program.
pub(crate) fn build_with(run: Run, aws: &Aws, data: &Data, source: &Registry) -> Run {
    let run = seed_farmer(data.given_to(run.arg("deploy")).envs(aws.env()));
    run.out().endpoint("quay.io", &source.url())
}

/// The variables that Seed-Farmer gives a build.
pub(crate) fn seed_farmer(run: Run) -> Run {
    run.env("SEEDFARMER_PARAMETER_EKS_VERSION", "1.34")
        .env("SEEDFARMER_PROJECT_NAME", "idf")
        .env("SEEDFARMER_DEPLOYMENT_NAME", "dev")
        .env("SEEDFARMER_MODULE_NAME", "replication-images")
        .env("SEEDFARMER_MODULE_METADATA", "null")
}

pub(crate) fn image() -> Image {
    let image = Image::new().platform("linux/amd64").platform("linux/arm64");
    image.base(5000, 1).layer(3000, 2)
}

fn app() -> Data {
    Data::images(&["quay.io/team/app:1"])
}

fn digest_at(aws: &Aws, repository: &str) -> Option<String> {
    let manifest = aws.registry().manifest(repository, "1");
    manifest.map(|(_, _, digest)| digest)
}

#[tokio::test]
async fn repositories_are_created_with_the_modules_tags_and_a_second_run_creates_nothing() -> Result
{
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let pushed = image().push(&source, "team/app", "1")?;
    image().push(&source, "team/other", "1")?;
    let data = Data::images(&[
        "quay.io/team/app:1",
        "quay.io/team/other:1",
        "quay.io/team/app:1",
    ]);
    let first = build(&aws, &data, &source).run().await.ended(0);

    let created = aws.calls();
    let mut created: Vec<&str> = created
        .iter()
        .filter(|call| call.action == "CreateRepository")
        .map(|call| call.resource.as_str())
        .collect();
    created.sort_unstable();
    assert_eq!(created, [REPOSITORY, "idf-quay.io/team/other"]);
    let tags = aws.repository(REPOSITORY).expect("a repository").tags;
    let tag = |key: &str| tags.get(key).map(String::as_str);
    assert_eq!(tag("SeedFarmerProjectName"), Some("idf"));
    assert_eq!(tag("SeedFarmerDeploymentName"), Some("dev"));
    assert_eq!(tag("SeedFarmerModuleName"), Some("replication-images"));
    assert_eq!(digest_at(&aws, REPOSITORY), Some(pushed.root.digest));
    assert_eq!(aws.registry().check_integrity(), Vec::<String>::new());
    let name = format!("{}/{REPOSITORY}:1", aws.ecr_host());
    assert_eq!(first.result()["additional_images"]["image0"], name);

    aws.clear_calls();
    aws.registry().wire().clear();
    build(&aws, &data, &source).run().await.ended(0);
    assert_eq!(aws.count("CreateRepository"), 0);
    assert_eq!(writes(aws.registry().wire()), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn no_repository_is_created_for_a_source_that_is_missing() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1", "quay.io/team/gone:1"]);
    let failed = build(&aws, &data, &source).run().await.ended(1);
    assert_eq!(aws.registry().repositories(), [REPOSITORY]);
    assert_eq!(aws.count("CreateRepository"), 1);
    failed.said(&["quay.io/team/gone:1"]);
    Ok(())
}

#[tokio::test]
async fn a_repository_that_another_run_creates_at_the_same_time_is_used() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let pushed = image().push(&source, "team/app", "1")?;
    // Not yet listed, but there already when it is to be created.
    let seen_from = Instant::now() + Duration::from_secs(3);
    aws.put_repository(REPOSITORY, |settings| settings.visible_from = seen_from);
    build(&aws, &app(), &source).run().await.ended(0);
    let calls = aws.calls();
    let create = calls.iter().find(|call| call.action == "CreateRepository");
    assert_eq!(create.map(|call| call.status), Some(400));
    assert_eq!(digest_at(&aws, REPOSITORY), Some(pushed.root.digest));
    Ok(())
}

#[tokio::test]
async fn a_new_repository_is_waited_for() -> Result {
    let aws = Aws::builder().creation_delay(Duration::from_millis(700));
    let (aws, source) = (aws.start().await?, Registry::start().await?);
    let pushed = image().push(&source, "team/app", "1")?;
    build(&aws, &app(), &source).run().await.ended(0);
    assert_eq!(digest_at(&aws, REPOSITORY), Some(pushed.root.digest));
    let requests = aws.registry().wire().requests();
    let refused = requests
        .iter()
        .filter(|request| request.method == "POST" && request.status == 404);
    // Those that were under way at once; then one asks for all whether it is there.
    assert!((1..=pushed.blobs.len()).contains(&refused.count()));
    assert!(aws.count("DescribeRepositories") > 1);
    Ok(())
}

/// On the way, the text of an answer can be lost.
#[tokio::test]
async fn a_new_repository_is_waited_for_although_the_registry_only_says_404() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let rule = Rule::new(Fault::status(404).body("not json")).on("POST", "/blobs/uploads/");
    aws.registry().faults().add(rule.times(3));
    build(&aws, &app(), &source).run().await.ended(0);
    assert!(digest_at(&aws, REPOSITORY).is_some());
    Ok(())
}

#[tokio::test]
async fn when_all_tokens_expire_another_one_is_had() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let pushed = image().push(&source, "team/app", "1")?;
    source
        .faults()
        .add(Rule::new(Fault::Stall(Duration::from_millis(800))).on("GET", "/blobs/"));
    let run = build(&aws, &app(), &source).start();
    run.until("the source is asked for a blob", || {
        source.wire().count("GET", "/blobs/") > 0
    })
    .await;
    aws.registry().expire_tokens();
    run.finish().await.ended(0);
    assert_eq!(digest_at(&aws, REPOSITORY), Some(pushed.root.digest));
    let requests = aws.registry().wire().requests();
    assert!(requests.iter().any(|request| request.status == 403));
    assert_eq!(aws.count("GetAuthorizationToken"), 2);
    Ok(())
}

#[tokio::test]
async fn wherever_a_token_is_refused_as_expired_a_new_one_is_tried() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let (mut names, mut digests) = (Vec::new(), Vec::new());
    for (name, method, path) in [
        ("open", "POST", "/blobs/uploads/"),
        ("send", "PUT", "/blobs/uploads/"),
        ("name", "PUT", "/manifests/"),
    ] {
        let fault = Fault::status(403).body(EXPIRED);
        let rule = Rule::new(fault).on(method, &format!("/{name}{path}"));
        aws.registry().faults().add(rule.times(1));
        names.push(format!("quay.io/team/{name}:1"));
        digests.push(
            image()
                .push(&source, &format!("team/{name}"), "1")?
                .root
                .digest,
        );
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    build(&aws, &Data::images(&names), &source)
        .run()
        .await
        .ended(0);
    for (name, digest) in names.iter().zip(digests) {
        let repository = format!("idf-{}", name.trim_end_matches(":1"));
        assert_eq!(digest_at(&aws, &repository), Some(digest));
    }
    assert_eq!(aws.registry().faults().injected().len(), 3);
    Ok(())
}

#[tokio::test]
async fn calls_that_are_throttled_are_made_again() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let pushed = image().push(&source, "team/app", "1")?;
    for action in [
        "GetAuthorizationToken",
        "DescribeRepositories",
        "CreateRepository",
    ] {
        aws.throttle(action, 1);
    }
    build(&aws, &app(), &source).run().await.ended(0);
    assert_eq!(digest_at(&aws, REPOSITORY), Some(pushed.root.digest));
    Ok(())
}

#[tokio::test]
async fn what_the_role_may_not_do_is_named() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    aws.fail("CreateRepository", "AccessDeniedException", 400, 9);
    let failed = build(&aws, &app(), &source).run().await.ended(1);
    failed.said(&[
        "ecr:CreateRepository",
        REPOSITORY,
        "AccessDeniedException",
        "modulestack.yaml",
    ]);
    assert_eq!(aws.count("PutObject"), 0);
    Ok(())
}

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
async fn a_tag_that_cannot_move_is_reported_and_one_that_need_not_is_fine() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    aws.put_repository(REPOSITORY, |settings| {
        settings.mutability = Mutability::Immutable;
    });
    for _ in 0..2 {
        build(&aws, &app(), &source).run().await.ended(0);
    }
    let before = digest_at(&aws, REPOSITORY);
    aws.registry().wire().clear();
    image().layer(10, 9).push(&source, "team/app", "1")?;
    let failed = build(&aws, &app(), &source).run().await.ended(1);
    failed.said(&[
        "target",
        "cannot move",
        "immutable",
        "delete the tag at the target",
    ]);
    assert_eq!(writes(aws.registry().wire()), Vec::<String>::new());
    assert_eq!(digest_at(&aws, REPOSITORY), before);
    Ok(())
}

#[tokio::test]
async fn a_lost_response_for_an_immutable_tag_does_not_fail_the_run() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let pushed = image().push(&source, "team/app", "1")?;
    aws.put_repository(REPOSITORY, |settings| {
        settings.mutability = Mutability::Immutable;
    });
    let rule = Rule::new(Fault::LoseAnswer).on("PUT", "/manifests/1");
    aws.registry().faults().add(rule.times(1));
    build(&aws, &app(), &source).run().await.ended(0);
    assert_eq!(digest_at(&aws, REPOSITORY), Some(pushed.root.digest));
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

#[tokio::test]
async fn quotas_of_the_registry_are_lived_with() -> Result {
    let behaviour = lab::registry::EcrBehaviour::default().with_quotas();
    let aws = Aws::builder().ecr(behaviour).start().await?;
    let source = Registry::start().await?;
    let names: Vec<String> = (0..25)
        .map(|number| format!("quay.io/team/app:{number}"))
        .collect();
    for number in 0..25 {
        let image = Image::new().layer(100, number);
        image.push(&source, "team/app", &number.to_string())?;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    build(&aws, &Data::images(&names), &source)
        .run()
        .await
        .ended(0);
    assert_eq!(aws.registry().tags(REPOSITORY).len(), 25);
    let requests = aws.registry().wire().requests();
    // Kept, not run into.
    assert!(requests.iter().all(|request| request.status != 429));
    Ok(())
}

#[tokio::test]
async fn an_image_with_a_blob_of_zero_bytes_gets_a_verdict_and_sends_nothing() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let empty = Image::new().layer(0, 0).layer(100, 1);
    empty.push(&source, "team/empty", "1")?;
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/empty:1", "quay.io/team/app:1"]);
    let failed = build(&aws, &data, &source).run().await.ended(1);
    let failed = failed.said(&[
        "has a blob of zero bytes",
        "the target refuses blobs of zero bytes",
    ]);
    assert_eq!(failed.report_of("team/app:1")["done"], "copied");
    assert_eq!(failed.report_of("team/empty:1")["bytes"], 0);
    let repositories = aws.registry().repositories();
    assert!(
        !repositories.iter().any(|name| name.contains("team/empty")),
        "{repositories:?}"
    );
    Ok(())
}
