//! What --apply does not delete.

use std::fs;
use std::time::Duration;

use lab::image::{Pushed, media};
use serde_json::{Value, json};

use crate::Result;
use crate::pruning_world::{APP, World, ago, digests, image};

use super::PLAN;

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
