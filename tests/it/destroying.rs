//! A module's end: exactly what is ours goes.

use lab::aws::Aws;
use lab::registry::Registry;
use serde_json::json;

use super::Result;
use super::data::Data;
use super::ecr::{build, image, seed_farmer};
use super::run::Run;

const BUCKET: &str = "idf-dkr-img-rep-md-us-east-1-123456789012";
const OBJECT: &str = "dev-replication-images-metadata.json";

fn destroy(aws: &Aws, retention: Option<&str>) -> Run {
    let run = seed_farmer(Run::new().arg("destroy").envs(aws.env()));
    match retention {
        Some(word) => run.env("SEEDFARMER_PARAMETER_RETENTION_TYPE", word),
        None => run,
    }
}

/// A deployment of `idf`, and its neighbours.
async fn neighbourhood() -> anyhow::Result<Aws> {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    image().push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    build(&aws, &data, &source).run().await.ended(0);
    let tag = |name: &str, tags: &[(&str, &str)]| {
        aws.put_repository(name, |repository| {
            let tags = tags
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            repository.tags = tags.collect();
        });
    };
    let other = [
        ("SeedFarmerProjectName", "idf-x"),
        ("ManagedBy", "replicator"),
    ];
    tag("idf-x-quay.io/team/app", &other);
    tag(
        "idf2-quay.io/team/app",
        &[
            ("SeedFarmerProjectName", "idf2"),
            ("ManagedBy", "replicator"),
        ],
    );
    tag("idf-dev-apps-ecr", &[("SeedFarmerProjectName", "idf")]);
    tag("idf-docker.io/library/old", &[]);
    tag("idf", &[]);
    Ok(aws)
}

fn repositories(aws: &Aws) -> Vec<String> {
    aws.registry().repositories()
}

const NEIGHBOURS: [&str; 5] = [
    "idf",
    "idf-dev-apps-ecr",
    "idf-docker.io/library/old",
    "idf-x-quay.io/team/app",
    "idf2-quay.io/team/app",
];

#[tokio::test]
async fn without_destroy_everything_stays_and_aws_is_not_asked() -> Result {
    let aws = neighbourhood().await?;
    let before = repositories(&aws);
    aws.clear_calls();
    for word in [None, Some("RETAIN"), Some(" retain "), Some("null")] {
        destroy(&aws, word)
            .run()
            .await
            .ended(0)
            .said(&["RetentionType is RETAIN"]);
    }
    let refused = destroy(&aws, Some("delete")).run().await.ended(2);
    refused.said(&[
        "parameter RetentionType",
        "`delete` is neither RETAIN nor DESTROY",
    ]);
    assert_eq!(aws.calls().len(), 0);
    assert_eq!(repositories(&aws), before);
    assert!(aws.object(BUCKET, OBJECT).is_some());
    Ok(())
}

#[tokio::test]
async fn destroy_deletes_exactly_ours_and_a_second_time_nothing() -> Result {
    let aws = neighbourhood().await?;
    let done = destroy(&aws, Some(" destroy")).run().await.ended(0);
    assert_eq!(repositories(&aws), NEIGHBOURS);
    assert!(aws.bucket(BUCKET).is_none());
    let done = done.said(&[
        "1 to delete, 3 to keep",
        "delete idf-quay.io/team/app: its tags say that it was made for this project",
        "keep   idf-dev-apps-ecr: its tags say that it is not ours",
        "keep   idf-docker.io/library/old: no tag claims it",
    ]);
    // The list comes before anything is deleted.
    let at = |text: &str| done.stderr.find(text).expect("it was said");
    assert!(at("keep   idf-dev-apps-ecr") < at("deleted idf-quay.io/team/app"));

    destroy(&aws, Some("DESTROY")).run().await.ended(0);
    assert_eq!(repositories(&aws), NEIGHBOURS);
    Ok(())
}

#[tokio::test]
async fn untagged_repositories_go_when_the_modules_own_result_names_them() -> Result {
    let aws = neighbourhood().await?;
    let host = aws.ecr_host();
    let document = json!({"charts": {"old": {"helm": {}, "values": {"image": {
        "registry": format!("{host}/idf-docker.io"), "repository": "library/old", "tag": "1"}}}}});
    aws.put_object(BUCKET, OBJECT, document.to_string());
    aws.put_object(BUCKET, "somebody-else.json", "{}");
    let done = destroy(&aws, Some("DESTROY")).run().await.ended(0);
    done.said(&[
        "delete idf-docker.io/library/old: it has no owner's tags, but the module's result",
    ]);
    assert!(!repositories(&aws).contains(&"idf-docker.io/library/old".to_owned()));
    assert!(repositories(&aws).contains(&"idf-dev-apps-ecr".to_owned()));
    // The bucket holds another module's document.
    assert!(aws.object(BUCKET, OBJECT).is_none());
    assert!(aws.object(BUCKET, "somebody-else.json").is_some());
    Ok(())
}

#[tokio::test]
async fn one_repository_that_cannot_be_deleted_stops_no_other_and_ends_in_failure() -> Result {
    let aws = neighbourhood().await?;
    aws.put_repository("idf-quay.io/more", |repository| {
        let tags = [
            ("SeedFarmerProjectName", "idf"),
            ("ManagedBy", "replicator"),
        ];
        repository.tags = tags
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
    });
    aws.fail("DeleteRepository", "AccessDeniedException", 400, 1);
    let done = destroy(&aws, Some("DESTROY")).run().await.ended(1);
    done.said(&[
        "AccessDeniedException",
        "1 of 2 repositories could not be deleted",
    ]);
    assert_eq!(aws.count("DeleteRepository"), 2);
    assert!(
        aws.object(BUCKET, OBJECT).is_some(),
        "the document is still needed"
    );
    Ok(())
}

#[tokio::test]
async fn by_hand_the_list_is_shown_and_nothing_goes_unasked() -> Result {
    let aws = neighbourhood().await?;
    let before = repositories(&aws);
    let by_hand = |more: &[&str]| {
        Run::new()
            .args(["delete-repos", "idf"])
            .args(more)
            .envs(aws.env())
    };
    by_hand(&[])
        .run()
        .await
        .ended(2)
        .said(&["no terminal to ask on", "--yes"]);
    by_hand(&["--dry-run"])
        .run()
        .await
        .ended(0)
        .said(&["1 to delete, 3 to keep"]);
    by_hand(&["--dry-run", "--all"])
        .run()
        .await
        .ended(0)
        .said(&["4 to delete", "no tag claims it for us"]);
    assert_eq!(repositories(&aws), before);
    by_hand(&["--yes"]).run().await.ended(0);
    assert_eq!(repositories(&aws), NEIGHBOURS);
    by_hand(&["--yes", "--all"]).run().await.ended(0);
    assert_eq!(repositories(&aws), ["idf", "idf2-quay.io/team/app"]);
    Ok(())
}
