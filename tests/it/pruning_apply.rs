//! Applying a plan of what nothing needs.

use std::fs;
use std::time::Duration;

use lab::aws::Aws;
use lab::image::{Image, Pushed, media};
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::data::Data;
use super::ecr::{build, seed_farmer};
use super::pruning_world::{APP, BUCKET, World, ago, digests, image, lock, planned};
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
async fn what_a_deployment_publishes_after_the_plan_is_not_deleted() -> Result {
    let (world, old, new) = World::with_two_images().await?;
    let third = world.push(APP, "3", &image(3))?;
    world.plan(&[]).await;
    world.publish("prod", &[(APP, "1")]);
    let done = world.apply().await.ended(1);
    done.said(&["3 items of the plan were not deleted"]);
    assert_eq!(world.manifests(APP), digests(&[&old, &new]));
    assert_eq!(world.aws.registry().check_integrity(), Vec::<String>::new());
    assert!(!world.manifests(APP).contains(&third.root.digest));
    Ok(())
}

#[tokio::test]
async fn what_came_into_use_after_the_plan_is_not_deleted() -> Result {
    type Change = fn(&World, &Pushed) -> anyhow::Result<()>;
    let pulled: Change = |world, old| {
        // Not by this command: an hour after it read the index.
        world
            .aws
            .set_image_times(APP, &old.root.digest, ago(200), Some(ago(0)));
        let file = world.dir.path().join(PLAN);
        let mut plan: Value = serde_json::from_slice(&fs::read(&file)?)?;
        plan["reads"] = json!({});
        fs::write(file, plan.to_string())?;
        Ok(())
    };
    let tagged: Change = |world, old| {
        let (media_type, bytes, _) = world.aws.registry().manifest(APP, "1").expect("an image");
        world
            .aws
            .registry()
            .put_manifest(APP, "new-tag", &media_type, bytes);
        world.times(APP, &old.root.digest, 200, Some(150));
        Ok(())
    };
    let untagged: Change = |world, _| {
        world.aws.registry().remove_manifest(APP, "1");
        Ok(())
    };
    let pushed: Change = |world, old| {
        world.times(APP, &old.root.digest, 1, Some(150));
        Ok(())
    };
    let indexed: Change = |world, old| {
        let index =
            json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": [&old.root]});
        world
            .aws
            .registry()
            .put_manifest(APP, "new-index", media::INDEX, index.to_string());
        Ok(())
    };
    let signed: Change = |world, old| {
        old.attach(world.aws.registry(), "application/spdx+json")?;
        Ok(())
    };
    let changes = [
        ("pulled on", pulled),
        ("it has other tags now: 1, new-tag", tagged),
        ("it has lost its tags", untagged),
        ("pushed on", pushed),
        ("belongs to sha256:", indexed),
        ("belongs to sha256:", signed),
    ];
    for (why, change) in changes {
        let (world, old, new) = World::with_two_images().await?;
        change(&world, &old)?;
        let done = world.apply().await.ended(1);
        assert!(done.stdout.contains(why), "{why}: {}", done.stdout);
        assert!(done.stdout.contains("3 skipped"), "{why}: {}", done.stdout);
        let left = world.manifests(APP);
        assert!(
            digests(&[&old, &new])
                .iter()
                .all(|digest| left.contains(digest)),
            "{why}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_plan_is_refused_for_another_target_and_when_it_is_old() -> Result {
    let (world, old, _) = World::with_two_images().await?;
    let plan = world.written();
    let digest = &old.root.digest;
    for (key, value, why) in [
        (
            "account",
            json!("210987654321"),
            "it is a plan for the account 210987654321",
        ),
        (
            "region",
            json!("eu-west-1"),
            "it is a plan for the region eu-west-1",
        ),
        (
            "project",
            json!("idf-x"),
            "it is a plan for the project idf-x",
        ),
        (
            "prefix",
            json!("other-"),
            "is not a repository below its prefix",
        ),
        (
            "madeAt",
            json!("2020-01-01T00:00:00Z"),
            "it was made at 2020-01-01T00:00:00Z",
        ),
        (
            "madeAt",
            json!("2099-01-01T00:00:00Z"),
            "which is in the future",
        ),
        ("pruneVersion", json!(2), "version 2"),
        ("repositories", json!("x"), "it is not a complete plan"),
    ] {
        let mut other = plan.clone();
        other[key] = value;
        fs::write(world.dir.path().join(PLAN), other.to_string())?;
        world.apply().await.ended(2).said(&[why]);
    }
    fs::write(world.dir.path().join(PLAN), "x".repeat(1000))?;
    world
        .apply()
        .await
        .ended(2)
        .said(&["it is not a plan of `replicator prune`"]);
    fs::remove_file(world.dir.path().join(PLAN))?;
    world.apply().await.ended(2).said(&[PLAN]);
    assert_eq!(world.aws.count("BatchDeleteImage"), 0);
    assert!(world.manifests(APP).contains(digest));
    Ok(())
}

#[tokio::test]
async fn a_plan_that_was_written_by_hand_deletes_nothing_that_is_needed_or_not_ours() -> Result {
    let (world, _, new) = World::with_two_images().await?;
    world.repository("idf-x-app", "idf-x");
    let foreign = world.push("idf-x-app", "1", &image(1))?;
    let mut plan = world.written();
    let entry = |name: &str, pushed: &Pushed| {
        let images: Vec<Value> = digests(&[pushed])
            .into_iter()
            .map(|digest| json!({"digest": digest}))
            .collect();
        json!({"name": name, "deleteRepository": true, "bytes": 0, "isExact": true, "images": images})
    };
    plan["repositories"] = json!([entry(APP, &new), entry("idf-x-app", &foreign)]);
    fs::write(world.dir.path().join(PLAN), plan.to_string())?;
    let done = world.apply().await.ended(1);
    assert!(done.stdout.contains("needed by s3://"), "{}", done.stdout);
    assert!(
        done.stdout
            .contains("do not say any more that it is the project's")
    );
    assert_eq!(world.aws.count("BatchDeleteImage"), 0);
    assert_eq!(world.aws.count("DeleteRepository"), 0);
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
async fn what_ecr_refuses_to_delete_is_reported() -> Result {
    let (world, old, _) = World::with_two_images().await?;
    // While the deletion is on its way, another writer makes an index of a platform.
    world.aws.stall("BatchDeleteImage", Duration::from_secs(1));
    let run = world.prune(&["--apply", PLAN]).start();
    run.until("the index is gone", || {
        !world.manifests(APP).contains(&old.root.digest)
    })
    .await;
    let platform = &old.manifests[0];
    let index = json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": [platform]});
    world
        .aws
        .registry()
        .put_manifest(APP, "new", media::INDEX, index.to_string());
    let done = run.finish().await.ended(1);
    assert!(
        done.stdout.contains("ImageReferencedByManifestList"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains("deleted: 2 manifests"),
        "{}",
        done.stdout
    );
    assert!(world.manifests(APP).contains(&platform.digest));
    assert_eq!(world.aws.registry().check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_repository_that_is_pushed_to_after_the_plan_is_not_deleted() -> Result {
    let (world, _, _) = World::with_two_images().await?;
    let other = "idf-quay.io/team/other";
    world.repository(other, "idf");
    let old = world.push(other, "1", &image(1))?;
    world.plan(&[]).await;
    let new = image(5).push(world.aws.registry(), other, "2")?;
    let done = world.apply().await.ended(1);
    assert!(
        done.stdout.contains("it has other images"),
        "{}",
        done.stdout
    );
    assert_eq!(world.manifests(other), digests(&[&new]));
    assert!(!world.manifests(other).contains(&old.root.digest));
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
