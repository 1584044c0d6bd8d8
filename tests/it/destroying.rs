//! A module's end: exactly what is ours goes.

use lab::aws::Aws;
use lab::registry::Registry;
use replication::destroy::{ModuleRemoval, Removable};
use replication::settings::{Environment, Flags};
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
        "delete idf-quay.io/team/app: its tags say that this program created it for this project",
        "keep   idf-dev-apps-ecr: its tags name another owner",
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
async fn what_is_kept_is_known_without_a_query() -> Result {
    let of = |retention: &str, prefix: &str| {
        let variables = [
            ("SEEDFARMER_PROJECT_NAME", "idf"),
            ("SEEDFARMER_DEPLOYMENT_NAME", "dev"),
            ("SEEDFARMER_MODULE_NAME", "replication-images"),
            ("SEEDFARMER_PARAMETER_RETENTION_TYPE", retention),
            ("SEEDFARMER_PARAMETER_REGISTRY_PREFIX", prefix),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        Environment::from_vars(variables)
    };
    let flags = Flags::default();
    let ecr = "123456789012.dkr.ecr.us-east-1.amazonaws.com/idf-";
    let retained = ModuleRemoval::observe(&flags, &of("RETAIN", ecr)).await?;
    assert!(matches!(retained, Removable::Retained));
    let elsewhere = ModuleRemoval::observe(&flags, &of("DESTROY", "target.corp/mirror/")).await;
    assert!(matches!(elsewhere?, Removable::NotEcr));
    let refused = ModuleRemoval::observe(&flags, &of("MAYBE", ecr)).await;
    let refused = refused.err().expect("there is no such type");
    assert!(refused.to_string().contains("MAYBE"), "{refused:#}");
    Ok(())
}

#[tokio::test]
async fn untagged_repositories_go_when_the_modules_own_result_names_them() -> Result {
    let aws = neighbourhood().await?;
    let host = aws.ecr_host();
    let document = json!({"charts": {"old": {"helm": {}, "values": {"image": {
        "registry": format!("{host}/idf-docker.io"), "repository": "library/old", "tag": "1"}}}}});
    aws.put_object(BUCKET, OBJECT, document.to_string());
    aws.put_object(BUCKET, "other.json", "{}");
    let done = destroy(&aws, Some("DESTROY")).run().await.ended(0);
    done.said(&[
        "delete idf-docker.io/library/old: it has no owner's tags, but the module's result",
    ]);
    assert!(!repositories(&aws).contains(&"idf-docker.io/library/old".to_owned()));
    assert!(repositories(&aws).contains(&"idf-dev-apps-ecr".to_owned()));
    // The bucket holds another module's document.
    assert!(aws.object(BUCKET, OBJECT).is_none());
    assert!(aws.object(BUCKET, "other.json").is_some());
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
        .said(&["no terminal to ask for confirmation", "--yes"]);
    by_hand(&["--dry-run"])
        .run()
        .await
        .ended(0)
        .said(&["1 to delete, 3 to keep"]);
    by_hand(&["--dry-run", "--all"])
        .run()
        .await
        .ended(0)
        .said(&["4 to delete", "no tag claims it for this program"]);
    assert_eq!(repositories(&aws), before);
    by_hand(&["--yes"]).run().await.ended(0);
    assert_eq!(repositories(&aws), NEIGHBOURS);
    by_hand(&["--yes", "--all"]).run().await.ended(0);
    assert_eq!(repositories(&aws), ["idf", "idf2-quay.io/team/app"]);
    Ok(())
}

const OWN: [(&str, &str); 2] = [
    ("SeedFarmerProjectName", "idf"),
    ("ManagedBy", "replicator"),
];

fn put(aws: &Aws, name: &str, tags: &[(&str, &str)]) {
    aws.put_repository(name, |repository| {
        let tags = tags.iter();
        let tags = tags.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        repository.tags = tags.collect();
    });
}

#[tokio::test]
async fn what_was_only_a_source_stays() -> Result {
    let aws = Aws::start().await?;
    let host = aws.ecr_host();
    put(&aws, "idf-platform/charts/app", &[]);
    put(&aws, "idf-charts/app", &OWN);
    put(&aws, "idf-old/app", &[]);
    let document = json!({"charts": {"app": {"helm": {
        "repository": format!("oci://{host}/idf-old/app"),
        "srcRepository": format!("oci://{host}/idf-platform/charts/app")}}}});
    aws.put_object(BUCKET, OBJECT, document.to_string());
    destroy(&aws, Some("DESTROY")).run().await.ended(0);
    assert_eq!(repositories(&aws), ["idf-platform/charts/app"]);
    Ok(())
}

#[tokio::test]
async fn what_the_result_of_another_deployment_names_stays() -> Result {
    let aws = Aws::start().await?;
    let host = aws.ecr_host();
    for name in [
        "idf-a",
        "idf-b/c",
        "idf-d/e",
        "idf-f",
        "idf-source",
        "idf-mine",
    ] {
        put(&aws, name, &OWN);
    }
    let values = json!({"image": {"registry": format!("{host}/idf-b"), "repository": "c"},
                        "global": {"imageRegistry": format!("{host}/idf-d")}, "job": {"image": "e:1"}});
    let chart = json!({"helm": {"repository": format!("oci://{host}/idf-a"), "srcRepository": format!("oci://{host}/idf-source")}, "values": values});
    let prod = json!({"charts": {"a": chart}, "digests": {format!("{host}/idf-f@sha256:00"): "sha256:00"}});
    aws.put_object(BUCKET, "prod-x-metadata.json", prod.to_string());
    aws.put_object(
        BUCKET,
        "dev-replication-images-runs/1/other-metadata.json",
        "not a result",
    );
    let done = destroy(&aws, Some("DESTROY")).run().await.ended(0);
    assert_eq!(
        repositories(&aws),
        ["idf-a", "idf-b/c", "idf-d/e", "idf-f", "idf-source"]
    );
    done.said(&["keep   idf-a: used by another deployment: prod-x-metadata.json"]);
    assert!(aws.object(BUCKET, "prod-x-metadata.json").is_some());

    // By hand it is shown, and no obstacle.
    let by_hand = Run::new()
        .args(["delete-repos", "idf", "--yes"])
        .envs(aws.env());
    let done = by_hand.run().await.ended(0);
    done.said(&["delete idf-a: its tags", "used by prod-x-metadata.json"]);
    assert_eq!(repositories(&aws), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn what_a_result_that_cannot_be_read_may_name_stays_and_the_run_fails() -> Result {
    for is_denied in [false, true] {
        let aws = neighbourhood().await?;
        let before = repositories(&aws);
        aws.put_object(BUCKET, "prod-x-metadata.json", "{broken");
        if is_denied {
            aws.fail("GetObject", "AccessDenied", 403, 99);
        }
        let failed = destroy(&aws, Some("DESTROY")).run().await.ended(1);
        failed.said(&[
            "prod-x-metadata.json, so everything that it may name is kept",
            "keep   idf-quay.io/team/app",
        ]);
        assert_eq!(repositories(&aws), before);
        assert!(aws.object(BUCKET, OBJECT).is_some());
    }
    // What our own result cannot say is kept, what tags say goes.
    let aws = neighbourhood().await?;
    aws.put_object(BUCKET, OBJECT, "{broken");
    let failed = destroy(&aws, Some("DESTROY")).run().await.ended(1);
    failed.said(&[&format!("cannot read the result s3://{BUCKET}/{OBJECT}")]);
    assert_eq!(repositories(&aws), NEIGHBOURS);
    assert!(aws.object(BUCKET, OBJECT).is_some());
    Ok(())
}

#[tokio::test]
async fn a_repository_or_bucket_that_vanishes_meanwhile_does_not_fail_the_run() -> Result {
    for (action, code, status) in [
        ("ListTagsForResource", "RepositoryNotFoundException", 400),
        ("DeleteRepository", "RepositoryNotFoundException", 400),
        ("DeleteObject", "NoSuchBucket", 404),
        ("GetBucketTagging", "NoSuchBucket", 404),
        ("DeleteBucket", "NoSuchBucket", 404),
        ("DeleteBucket", "BucketNotEmpty", 409),
    ] {
        let aws = neighbourhood().await?;
        aws.fail(action, code, status, 1);
        destroy(&aws, Some("DESTROY")).run().await.ended(0);
    }
    Ok(())
}
