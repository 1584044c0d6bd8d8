//! The results that a later deployment replaced stay in the bucket: the last ten, each with its proof.

use lab::aws::Aws;
use lab::chart::{Chart, ChartRepository};
use lab::registry::Registry;
use serde_json::Value;

use super::Result;
use super::data::Data;
use super::ecr::{build, image, seed_farmer};
use super::run::{Finished, Run};

pub(crate) const BUCKET: &str = "idf-dkr-img-rep-md-us-east-1-123456789012";
pub(crate) const OBJECT: &str = "dev-replication-images-metadata.json";
const KEPT: &str = "dev-replication-images-results/";

/// An account, and sources with several versions of an image and a chart that uses one of them.
pub(crate) struct World {
    pub(crate) aws: Aws,
    pub(crate) source: Registry,
    charts: ChartRepository,
}

impl World {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let source = Registry::start().await?;
        for version in 1..=13 {
            let image = image().layer(100 + version, version);
            image.push(&source, "team/app", &version.to_string())?;
        }
        let chart = Chart::new("app", "1.0.0").values("image: quay.io/team/app:1\n");
        let template = "kind: Pod\nspec: {image: {{ .Values.image }}}\n";
        let chart = chart.file("templates/x.yaml", template);
        Ok(Self {
            aws: Aws::start().await?,
            source,
            charts: ChartRepository::start(vec![chart]).await?,
        })
    }

    /// The chart, and besides a version of the image.
    pub(crate) fn data(&self, version: usize) -> Data {
        let listed = "    images: {app: {repository: {location: values, path: image}}}\n";
        let more = format!("additional_images: {{more: quay.io/team/app:{version}}}\n");
        Data::chart(&self.charts.url(), listed).file("1.34.yaml", &more)
    }

    pub(crate) async fn deploy(&self, version: usize) -> Finished {
        let run = build(&self.aws, &self.data(version), &self.source);
        run.run().await.ended(0)
    }

    /// A command in the module's build.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        seed_farmer(Run::new().args(args).envs(self.aws.env()))
    }

    /// The keys of the kept results and their proofs.
    pub(crate) fn kept(&self) -> Vec<String> {
        let bucket = self.aws.bucket(BUCKET).expect("a bucket");
        let keys = bucket.objects.into_keys();
        keys.filter(|key| key.starts_with(KEPT)).collect()
    }

    /// The names of the kept results, oldest first.
    pub(crate) fn names(&self) -> Vec<String> {
        let keys = self.kept().into_iter();
        let names = keys.filter_map(|key| {
            let name = key.strip_prefix(KEPT)?.strip_suffix("-metadata.json")?;
            Some(name.to_owned())
        });
        names.collect()
    }

    pub(crate) fn object(&self, key: &str) -> Value {
        let text = self.aws.object(BUCKET, key).expect("an object");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// The image that the current result names besides the chart's.
    pub(crate) fn current(&self) -> String {
        self.object(OBJECT)["additional_images"]["more"].to_string()
    }
}

#[tokio::test]
async fn a_result_that_is_replaced_is_kept_with_its_proof() -> Result {
    let world = World::start().await?;
    world.deploy(1).await;
    let first = world.object(OBJECT);
    assert_eq!(first["eks_version"], "1.34");
    assert_eq!(world.kept(), Vec::<String>::new());
    world.deploy(2).await;
    let [name] = &world.names()[..] else {
        panic!("{:?}", world.kept());
    };
    assert!(name.starts_with("20240101T0000"), "{name}");
    assert!(name.contains("Z-1.34-"), "{name}");
    assert_eq!(world.object(&format!("{KEPT}{name}-metadata.json")), first);
    let object = format!("s3://{BUCKET}/{KEPT}{name}-metadata.json");
    let verified = world.run(&["verify", "--prove", &object]).run().await;
    verified.ended(0).said(&["proved again: 1 chart"]);
    Ok(())
}

#[tokio::test]
async fn the_same_result_is_not_written_again_and_costs_no_more_requests() -> Result {
    let world = World::start().await?;
    world.deploy(1).await;
    world.aws.clear_calls();
    world.deploy(1).await;
    assert_eq!(world.kept(), Vec::<String>::new());
    let calls = world.aws.calls();
    let objects: Vec<String> = calls
        .iter()
        .filter(|call| call.service == "s3" && call.action.ends_with("Object"))
        .map(|call| {
            let key = call.resource.rsplit('/').next().unwrap_or_default();
            format!("{} {key}", call.action)
        })
        .collect();
    let written = [
        format!("GetObject {OBJECT}"),
        "PutObject dev-replication-images-closure.json".to_owned(),
        "PutObject dev-replication-images-report.html".to_owned(),
    ];
    assert_eq!(objects, written);
    assert_eq!(world.aws.count("ListObjectsV2"), 0);
    Ok(())
}

#[tokio::test]
async fn the_last_ten_are_kept_and_each_content_once() -> Result {
    let world = World::start().await?;
    for version in 1..=12 {
        world.deploy(version).await;
    }
    assert_eq!(world.kept().len(), 30, "results with proofs and pages");
    let kept: Vec<String> = world
        .names()
        .iter()
        .map(|name| world.object(&format!("{KEPT}{name}-metadata.json")))
        .map(|result| result["additional_images"]["more"].to_string())
        .collect();
    assert!(kept[0].contains("app:2"), "{kept:?}");
    assert!(kept[9].contains("app:11"), "{kept:?}");
    // What was published before and is current again is not kept besides.
    world.deploy(11).await;
    let names = world.names();
    assert_eq!(names.len(), 10, "{names:?}");
    let newest = world.object(&format!("{KEPT}{}-metadata.json", names[9]));
    assert!(
        newest["additional_images"]["more"]
            .to_string()
            .contains("app:12")
    );
    Ok(())
}

#[tokio::test]
async fn of_deployments_at_the_same_moment_no_result_is_lost() -> Result {
    let world = World::start().await?;
    world.deploy(1).await;
    let (two, three) = tokio::join!(world.deploy(2), world.deploy(3));
    drop((two, three));
    let names = world.names();
    assert_eq!(names.len(), 2, "{names:?}");
    let mut images: Vec<String> = names
        .iter()
        .map(|name| world.object(&format!("{KEPT}{name}-metadata.json")))
        .map(|result| result["additional_images"]["more"].to_string())
        .collect();
    images.push(world.current());
    for version in 1..=3 {
        let tag = format!("app:{version}\"");
        assert!(
            images.iter().any(|image| image.ends_with(&tag)),
            "{images:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_role_that_may_not_keep_results_still_publishes() -> Result {
    let world = World::start().await?;
    world.deploy(1).await;
    world.aws.fail("ListObjectsV2", "AccessDenied", 403, 9);
    let done = world.deploy(2).await;
    done.said(&["the result that is replaced is not kept", "s3:ListBucket"]);
    assert!(world.current().contains("app:2"), "{}", world.current());
    Ok(())
}

#[tokio::test]
async fn what_is_no_result_is_replaced_and_not_kept() -> Result {
    let world = World::start().await?;
    world.aws.put_object(BUCKET, OBJECT, "before");
    let done = world.deploy(1).await;
    done.said(&["it is not the result of a deployment"]);
    assert_eq!(world.kept(), Vec::<String>::new());
    assert!(world.current().contains("app:1"), "{}", world.current());
    Ok(())
}

#[tokio::test]
async fn destroy_deletes_the_kept_results_and_only_with_destroy() -> Result {
    let world = World::start().await?;
    for version in 1..=3 {
        world.deploy(version).await;
    }
    world.run(&["destroy"]).run().await.ended(0);
    assert_eq!(world.kept().len(), 6);
    let destroy = world.run(&["destroy"]);
    destroy
        .env("SEEDFARMER_PARAMETER_RETENTION_TYPE", "DESTROY")
        .run()
        .await
        .ended(0);
    assert!(world.aws.bucket(BUCKET).is_none());
    Ok(())
}

#[tokio::test]
async fn what_a_kept_result_of_another_deployment_names_is_not_destroyed() -> Result {
    let world = World::start().await?;
    world.source.wire().clear();
    image().push(&world.source, "team/old", "1")?;
    let data = Data::images(&["quay.io/team/old:1", "quay.io/team/app:1"]);
    let other = |data: &Data| {
        let run = build(&world.aws, data, &world.source);
        run.env("SEEDFARMER_DEPLOYMENT_NAME", "prod")
    };
    other(&data).run().await.ended(0);
    other(&Data::images(&["quay.io/team/app:1"]))
        .run()
        .await
        .ended(0);
    build(&world.aws, &data, &world.source).run().await.ended(0);
    let destroy = world.run(&["destroy"]);
    let done = destroy
        .env("SEEDFARMER_PARAMETER_RETENTION_TYPE", "DESTROY")
        .run()
        .await
        .ended(0);
    done.said(&[
        "keep   idf-quay.io/team/old: used by another deployment: prod-replication-images-results/",
    ]);
    assert!(world.aws.repository("idf-quay.io/team/old").is_some());
    Ok(())
}
