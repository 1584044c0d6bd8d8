//! A Seed-Farmer build with ECR as target: repositories, tokens, and the account's names.

mod places;
mod tokens;

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
