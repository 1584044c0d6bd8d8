//! Repositories of others: deploy does not write to them unasked, and destroy does not delete them.

use lab::aws::Aws;
use lab::registry::Registry;
use serde_json::json;

use super::Result;
use super::data::Data;
use super::ecr::{build, image, seed_farmer};
use super::run::Run;

const REPOSITORY: &str = "idf-quay.io/team/app";
const BUCKET: &str = "idf-dkr-img-rep-md-us-east-1-123456789012";

async fn world(tags: &[(&str, &str)]) -> anyhow::Result<(Aws, Registry, Data)> {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    image().push(&source, "team/new", "1")?;
    aws.put_repository(REPOSITORY, |repository| {
        let tags = tags.iter();
        let tags = tags.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        repository.tags = tags.collect();
    });
    let data = Data::images(&["quay.io/team/app:1", "quay.io/team/new:1"]);
    Ok((aws, source, data))
}

fn destroy(aws: &Aws) -> Run {
    let run = seed_farmer(Run::new().arg("destroy").envs(aws.env()));
    run.env("SEEDFARMER_PARAMETER_RETENTION_TYPE", "DESTROY")
}

#[tokio::test]
async fn a_repository_of_another_project_or_program_is_refused_before_anything_is_copied() -> Result
{
    for (tags, said) in [
        (
            &[
                ("SeedFarmerProjectName", "idf-x"),
                ("ManagedBy", "replicator"),
            ][..],
            "SeedFarmerProjectName=idf-x",
        ),
        (&[("ManagedBy", "terraform")], "ManagedBy=terraform"),
        (
            &[("SeedFarmerProjectName", "idf"), ("ManagedBy", "cdk")],
            "ManagedBy=cdk",
        ),
    ] {
        let (aws, source, data) = world(tags).await?;
        let refused = build(&aws, &data, &source).run().await.ended(2);
        refused
            .left_nothing()
            .said(&[REPOSITORY, said, "AdoptRepositories: true"]);
        assert_eq!(aws.registry().repositories(), [REPOSITORY]);
        assert_eq!(aws.registry().tags(REPOSITORY), Vec::<String>::new());
        assert_eq!(aws.count("CreateBucket") + aws.count("PutObject"), 0);
        assert_eq!(source.wire().count("GET", "/blobs/"), 0);

        let run = build(&aws, &data, &source);
        let adopted = run.env("SEEDFARMER_PARAMETER_ADOPT_REPOSITORIES", "true");
        let adopted = adopted.run().await.ended(0);
        assert!(!adopted.stderr.contains("warning"), "{}", adopted.stderr);
        assert_eq!(aws.registry().tags(REPOSITORY), ["1"]);
        // Writing to it does not make it ours.
        destroy(&aws).run().await.ended(0);
        assert_eq!(aws.registry().repositories(), [REPOSITORY]);
    }
    Ok(())
}

#[tokio::test]
async fn a_repository_that_nothing_claims_is_warned_about_each_time_and_never_deleted() -> Result {
    for tags in [
        &[][..],
        &[("Owner", "team")],
        &[("SeedFarmerProjectName", "idf")],
    ] {
        let (aws, source, data) = world(tags).await?;
        for _ in 0..2 {
            let warned = build(&aws, &data, &source).run().await.ended(0);
            warned.said(&["warning: this program did not create", REPOSITORY]);
        }
        let quiet = build(&aws, &data, &source).arg("--adopt-repositories");
        let quiet = quiet.run().await.ended(0);
        assert!(!quiet.stderr.contains("warning"), "{}", quiet.stderr);
        assert_eq!(quiet.result()["shared_repositories"], json!([REPOSITORY]));
        destroy(&aws).run().await.ended(0);
        assert_eq!(aws.registry().repositories(), [REPOSITORY], "{tags:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_repository_of_the_python_module_is_used_without_a_warning() -> Result {
    let (aws, source, data) = world(&[]).await?;
    let host = aws.ecr_host();
    let before =
        json!({"charts": {}, "additional_images": {"app": format!("{host}/{REPOSITORY}:0")}});
    aws.put_object(
        BUCKET,
        "dev-replication-images-metadata.json",
        before.to_string(),
    );
    let done = build(&aws, &data, &source).run().await.ended(0);
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
    assert!(done.result().get("shared_repositories").is_none());
    destroy(&aws).run().await.ended(0);
    assert_eq!(aws.registry().repositories(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn repositories_of_this_program_are_written_to_again_without_a_warning() -> Result {
    let (aws, source, data) = world(&[
        ("SeedFarmerProjectName", "Idf"),
        ("SeedFarmerDeploymentName", "other"),
        ("ManagedBy", "replicator"),
    ])
    .await?;
    let done = build(&aws, &data, &source).run().await.ended(0);
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
    Ok(())
}
