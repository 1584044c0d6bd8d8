//! What nothing needs any more in ECR: the plan.

mod needs;

use lab::image::Image;
use serde_json::{Value, json};

use super::Result;
use super::pruning_world::{APP, BUCKET, World, ago, digests, image, planned};

#[tokio::test]
async fn the_plan_has_what_no_result_names_and_deletes_nothing() -> Result {
    let world = World::start().await?;
    let old = world.push(APP, "1", &image(1))?;
    world.push(APP, "2", &image(2))?;
    world.publish("dev", &[(APP, "2")]);
    let done = world.prune(&[]).run().await.ended(0);
    let plan = world.written();
    assert_eq!(planned(&plan, APP), digests(&[&old]));
    assert_eq!(plan["account"], "123456789012");
    assert_eq!(plan["totals"]["manifests"], 3);
    assert_eq!(plan["totals"]["tags"], 1);
    assert!(
        plan["repositories"][0]["images"]
            .as_array()
            .unwrap()
            .iter()
            .any(|image| image["tags"] == json!(["1"]))
    );
    assert_eq!(world.aws.count("BatchDeleteImage"), 0);
    for words in [
        APP,
        "≤ ",
        "to delete: 3 manifests with 1 tag, at most",
        "price: $0.10 for a GB and month (https://aws.amazon.com/ecr/pricing/",
        "kept: 1 manifest named in 1 document, 0 pulled or pushed in the last 90 days, 2 that belong",
        "replicator prune --apply prune-plan.json",
    ] {
        assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
    }
    let json = world.prune(&["-o", "json"]).run().await.ended(0);
    let json: Value = serde_json::from_str(&json.stdout)?;
    assert_eq!(json["repositories"], plan["repositories"]);
    world.prune(&["--exit-code"]).run().await.ended(3);
    Ok(())
}

#[tokio::test]
async fn shared_layers_count_only_where_nothing_else_has_them() -> Result {
    let world = World::start().await?;
    world.push(APP, "1", &image(1))?;
    world.push(APP, "2", &image(2))?;
    world.publish("dev", &[(APP, "2")]);
    let plan = world.plan(&[]).await;
    let most = plan["totals"]["bytes"].as_u64().unwrap();
    assert!(
        most > 1_000_000 && plan["totals"]["isExact"] == false,
        "{most}"
    );
    let plan = world.plan(&["--exact-sizes", "--price", "2"]).await;
    let exact = plan["totals"]["bytes"].as_u64().unwrap();
    // Two layers, and the configs.
    assert!(
        (6000..8000).contains(&exact) && plan["totals"]["isExact"] == true,
        "{exact}"
    );
    assert_eq!(plan["totals"]["pricePerGb"], 2.0);
    Ok(())
}

#[tokio::test]
async fn the_same_manifest_counts_for_each_repository() -> Result {
    let world = World::start().await?;
    let other = "idf-quay.io/team/other";
    world.repository(other, "idf");
    let pushed = world.push(APP, "1", &image(1))?;
    world.push(other, "1", &image(1))?;
    world.publish("dev", &[(APP, "1")]);
    let plan = world.plan(&[]).await;
    assert_eq!(planned(&plan, APP), Vec::<String>::new());
    assert_eq!(planned(&plan, other), digests(&[&pushed]));
    assert_eq!(plan["repositories"][0]["deleteRepository"], true);
    Ok(())
}

#[tokio::test]
async fn repositories_of_others_are_never_in_a_plan() -> Result {
    let world = World::start().await?;
    world.push(APP, "1", &image(1))?;
    world.publish("dev", &[(APP, "1")]);
    world.repository("idf-x-quay.io/team/app", "idf-x");
    world.push("idf-x-quay.io/team/app", "1", &image(1))?;
    world.push("idf-untagged", "1", &image(1))?;
    world.repository("other-app", "idf");
    world.push("other-app", "1", &image(1))?;
    let done = world.prune(&[]).run().await.ended(0);
    assert_eq!(world.written()["repositories"], json!([]));
    assert!(
        done.stdout.contains("nothing to delete below idf-"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout
            .contains("not the project's: idf-untagged, idf-x-quay.io/team/app")
    );
    let described = world.aws.calls();
    let described = described
        .iter()
        .filter(|call| call.action == "DescribeImages");
    assert!(described.map(|call| &call.resource).all(|name| name == APP));
    world.prune(&["--exit-code"]).run().await.ended(0);
    Ok(())
}

#[tokio::test]
async fn reading_manifests_does_not_make_a_plan_forget_what_is_unused() -> Result {
    let world = World::start().await?;
    let old = world.push(APP, "1", &image(1))?;
    world.push(APP, "2", &image(2))?;
    let recent = world.push(APP, "3", &image(3))?;
    world.times(APP, &recent.root.digest, 200, Some(3));
    world.publish("dev", &[(APP, "2")]);
    for _ in 0..3 {
        let plan = world.plan(&["--exact-sizes"]).await;
        assert_eq!(planned(&plan, APP), digests(&[&old]));
    }
    // Each manifest was read once: nine in one call.
    assert_eq!(world.aws.count("BatchGetImage"), 1);
    Ok(())
}

#[tokio::test]
async fn without_the_earlier_plan_an_index_that_was_read_for_it_counts_as_pulled() -> Result {
    let world = World::start().await?;
    let old = world.push(APP, "1", &image(1))?;
    world.publish("dev", &[]);
    assert_eq!(planned(&world.plan(&[]).await, APP), digests(&[&old]));
    std::fs::remove_file(world.dir.path().join("prune-plan.json"))?;
    assert_eq!(planned(&world.plan(&[]).await, APP), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn where_nothing_is_old_no_manifest_is_read() -> Result {
    let world = World::start().await?;
    let pushed = world.push(APP, "1", &image(1))?;
    for manifest in &pushed.manifests {
        world.times(APP, &manifest.digest, 3, None);
    }
    world.publish("dev", &[]);
    world.plan(&[]).await;
    assert_eq!(world.aws.count("BatchGetImage"), 0);
    Ok(())
}

#[tokio::test]
async fn a_repository_without_images_goes_unless_it_is_new_or_named() -> Result {
    let world = World::start().await?;
    for name in ["idf-empty", "idf-new", "idf-named"] {
        world.repository(name, "idf");
    }
    world
        .aws
        .put_repository("idf-new", |repository| repository.created = ago(1));
    let host = world.aws.ecr_host();
    let digest = format!("sha256:{}", "a".repeat(64));
    let document = json!({"charts": {}, "digests": {
        format!("{host}/idf-named:1"): digest, format!("{host}/{APP}:1"): digest}});
    world
        .aws
        .put_object(BUCKET, "dev-x-metadata.json", document.to_string());
    let plan = world.plan(&[]).await;
    let names: Vec<&Value> = plan["repositories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["idf-empty"]);
    Ok(())
}

#[tokio::test]
async fn other_targets_than_ecr_are_refused() -> Result {
    let world = World::start().await?;
    for target in ["registry.corp:5000/mirror/", "oci:mirror"] {
        let refused = world
            .prune(&["--registry-prefix", target])
            .run()
            .await
            .ended(2);
        refused.said(&["the target is not ECR"]);
    }
    assert_eq!(world.aws.calls().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_no_plan_of_this_target_is_not_replaced() -> Result {
    let world = World::start().await?;
    world.publish("dev", &[]);
    let file = world.dir.path().join("prune-plan.json");
    std::fs::write(&file, "{}")?;
    let refused = world.prune(&[]).run().await.ended(2);
    refused.said(&["a new plan does not replace it"]);
    assert_eq!(std::fs::read(&file)?, b"{}");
    std::fs::remove_file(&file)?;
    world.plan(&[]).await;
    let other = format!("{}/idf-x-", world.aws.ecr_host());
    let refused = world
        .prune(&["--registry-prefix", &other])
        .run()
        .await
        .ended(2);
    refused.said(&["it is a plan for the prefix idf-, and this is idf-x-"]);
    Ok(())
}

#[tokio::test]
async fn thousands_of_images_and_throttled_calls_are_no_obstacle() -> Result {
    let world = World::start().await?;
    for seed in 0..1100 {
        let image = Image::new().layer(10, seed);
        world.push(APP, &format!("t{seed}"), &image)?;
    }
    world.publish("dev", &[(APP, "t0")]);
    world.aws.throttle("DescribeImages", 2);
    world.aws.throttle("ListTagsForResource", 1);
    let plan = world.plan(&["--exact-sizes"]).await;
    assert_eq!(plan["totals"]["manifests"], 1099);
    assert_eq!(world.aws.count("BatchGetImage"), 11);
    Ok(())
}
