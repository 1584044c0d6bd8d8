//! Applying a plan of what nothing needs.

mod refusals;

use std::fs;
use std::time::Duration;

use lab::aws::Aws;
use lab::image::{Image, Pushed};
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::data::Data;
use super::ecr::{build, seed_farmer};
use super::pruning_world::{APP, BUCKET, World, digests, image, lock, planned};
use super::run::{Finished, Run};

const PLAN: &str = "prune-plan.json";

impl World {
    async fn apply(&self) -> Finished {
        self.prune(&["--apply", PLAN]).run().await
    }

    fn manifests(&self, repository: &str) -> Vec<String> {
        let mut manifests = self.aws.registry().manifests(repository);
        manifests.sort();
        manifests
    }

    /// An old image that nothing needs, and one that a result names.
    async fn with_two_images() -> anyhow::Result<(Self, Pushed, Pushed)> {
        let world = Self::start().await?;
        let old = world.push(APP, "1", &image(1))?;
        let new = world.push(APP, "2", &image(2))?;
        world.publish("dev", &[(APP, "2")]);
        world.plan(&[]).await;
        Ok((world, old, new))
    }
}

#[tokio::test]
async fn exactly_the_plan_is_deleted_and_a_second_time_nothing() -> Result {
    let (world, _, new) = World::with_two_images().await?;
    let other = "idf-quay.io/team/other";
    world.repository(other, "idf");
    world.push(other, "1", &image(1))?;
    world.plan(&[]).await;
    let done = world.apply().await.ended(0);
    assert!(
        done.stdout
            .contains("deleted: 6 manifests and 1 repository"),
        "{}",
        done.stdout
    );
    assert_eq!(world.manifests(APP), digests(&[&new]));
    assert_eq!(world.aws.registry().check_integrity(), Vec::<String>::new());
    assert_eq!(world.aws.registry().repositories(), [APP]);
    let again = world.apply().await.ended(0);
    assert!(
        again.stdout.contains("deleted: 0 manifests"),
        "{}",
        again.stdout
    );
    assert!(again.stdout.contains("6 gone before"), "{}", again.stdout);
    assert_eq!(world.manifests(APP), digests(&[&new]));
    let nothing = world.prune(&[]).run().await.ended(0);
    assert!(
        nothing.stdout.contains("nothing to delete"),
        "{}",
        nothing.stdout
    );
    Ok(())
}

#[tokio::test]
async fn an_apply_that_failed_goes_on_where_it_was() -> Result {
    let (world, _, new) = World::with_two_images().await?;
    // The index is deleted, and the next call is refused.
    world
        .aws
        .fail("BatchDeleteImage", "AccessDeniedException", 400, 1);
    let failed = world.apply().await.ended(1);
    assert!(
        failed.stdout.contains("AccessDeniedException"),
        "{}",
        failed.stdout
    );
    // What it would leave dangling was not deleted.
    assert_eq!(world.aws.count("BatchDeleteImage"), 1);
    assert_eq!(world.aws.registry().check_integrity(), Vec::<String>::new());
    world.apply().await.ended(0);
    assert_eq!(world.manifests(APP), digests(&[&new]));
    Ok(())
}

#[tokio::test]
async fn an_apply_that_was_killed_goes_on_where_it_was() -> Result {
    let (world, old, new) = World::with_two_images().await?;
    world
        .aws
        .stall("BatchDeleteImage", Duration::from_millis(1500));
    let run = world.prune(&["--apply", PLAN]).start();
    run.until("the index is gone", || {
        !world.manifests(APP).contains(&old.root.digest)
    })
    .await;
    run.signal("KILL");
    drop(run);
    assert_eq!(world.aws.registry().check_integrity(), Vec::<String>::new());
    world.aws.stall("BatchDeleteImage", Duration::ZERO);
    world.apply().await.ended(0);
    assert_eq!(world.manifests(APP), digests(&[&new]));
    Ok(())
}

#[tokio::test]
async fn a_lock_that_is_given_to_apply_counts_and_json_says_what_was_skipped() -> Result {
    let (world, old, new) = World::with_two_images().await?;
    world.push(APP, "3", &image(3))?;
    world.plan(&[]).await;
    let locked = lock("1", &old.root.digest);
    fs::write(world.dir.path().join("approved.json"), locked)?;
    let run = world.prune(&["--apply", PLAN, "--lock", "approved.json", "-o", "json"]);
    let done = run.run().await.ended(1);
    let outcome: Value = serde_json::from_str(&done.stdout)?;
    assert_eq!(
        (&outcome["deleted"], &outcome["gone"]),
        (&json!(3), &json!(0))
    );
    let skipped = outcome["skipped"].as_array().expect("a list");
    assert_eq!(skipped.len(), 3);
    let root = skipped
        .iter()
        .find(|one| one["digest"] == old.root.digest.as_str());
    let root = root.expect("the image of the lock");
    assert_eq!(root["reason"], "needed by approved.json");
    assert_eq!(root["repository"], APP);
    assert_eq!(world.manifests(APP), digests(&[&old, &new]));
    Ok(())
}

#[tokio::test]
async fn many_images_are_deleted_in_batches() -> Result {
    let world = World::start().await?;
    for seed in 0..250 {
        world.push(APP, &format!("t{seed}"), &Image::new().layer(10, seed))?;
    }
    world.publish("dev", &[(APP, "t7")]);
    world.plan(&[]).await;
    world.aws.throttle("BatchDeleteImage", 1);
    world.apply().await.ended(0);
    assert_eq!(world.aws.count("BatchDeleteImage"), 4);
    assert_eq!(world.manifests(APP).len(), 1);
    Ok(())
}

/// A deployment of one image, as the module's build makes it.
async fn deploy(aws: &Aws, source: &Registry, name: &str, deployment: &str) -> Finished {
    let data = Data::images(&[name]);
    let run = build(aws, &data, source).env("SEEDFARMER_DEPLOYMENT_NAME", deployment);
    run.run().await.ended(0)
}

#[tokio::test]
async fn after_an_upgrade_the_old_images_of_both_deployments_go_and_both_still_verify() -> Result {
    let world = World::start().await?;
    let source = Registry::start().await?;
    for (tag, seed) in [("1", 1), ("2", 2), ("3", 3)] {
        let pushed = image(seed).push(&source, "team/app", tag)?;
        pushed.attach(&source, "application/spdx+json")?;
        pushed.sign(&source)?;
    }
    deploy(&world.aws, &source, "quay.io/team/app:1", "dev").await;
    deploy(&world.aws, &source, "quay.io/team/app:2", "prod").await;
    deploy(&world.aws, &source, "quay.io/team/app:3", "dev").await;
    for digest in world.manifests(APP) {
        world.times(APP, &digest, 200, Some(150));
    }
    // The first deployment's result is kept, so that it can be published again.
    let plan = world.plan(&[]).await;
    assert_eq!(plan["documents"].as_array().map(Vec::len), Some(3));
    assert_eq!(planned(&plan, APP), Vec::<String>::new());
    let objects = world.aws.bucket(BUCKET).expect("a bucket").objects;
    for key in objects.keys().filter(|key| key.contains("-results/")) {
        world.aws.delete_object(BUCKET, key);
    }
    let before = world.manifests(APP).len();
    let plan = world.plan(&[]).await;
    // The index, two platforms, the SBOM and the signature.
    assert_eq!(planned(&plan, APP).len(), 5);
    world.apply().await.ended(0);
    assert_eq!(world.manifests(APP).len(), before - 5);
    assert_eq!(world.aws.registry().check_integrity(), Vec::<String>::new());
    for deployment in ["dev", "prod"] {
        let verify = seed_farmer(Run::new().arg("verify").envs(world.aws.env()));
        let verify = verify.env("SEEDFARMER_DEPLOYMENT_NAME", deployment);
        verify.run().await.ended(0);
    }
    Ok(())
}
