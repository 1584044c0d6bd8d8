//! What is needed, and so stays.

use serde_json::json;

use crate::Result;
use crate::pruning_world::{APP, BUCKET, World, digests, image, lock, planned};
use crate::run::Finished;

#[tokio::test]
async fn platforms_that_another_index_or_tag_needs_stay() -> Result {
    let world = World::start().await?;
    // The same platforms in another index.
    let one = world.push(APP, "1", &image(1))?;
    let other = world.push(APP, "1-again", &image(1).annotation("a", "b"))?;
    // Each platform has a tag, one of which a result names.
    let amd64 = &one.manifests[0].digest;
    let (media_type, bytes, _) = world.aws.registry().manifest(APP, amd64).unwrap();
    world
        .aws
        .registry()
        .put_manifest(APP, "1-amd64", &media_type, bytes);
    world.times(APP, amd64, 200, None);
    world.publish("dev", &[(APP, "1-again")]);
    assert_eq!(
        planned(&world.plan(&[]).await, APP),
        *std::slice::from_ref(&one.root.digest)
    );
    world.publish("dev", &[(APP, "1-amd64")]);
    let mut rest = digests(&[&one, &other]);
    rest.retain(|digest| digest != amd64);
    assert_eq!(planned(&world.plan(&[]).await, APP), rest);
    Ok(())
}

#[tokio::test]
async fn the_results_of_all_deployments_count() -> Result {
    let world = World::start().await?;
    for tag in ["1", "2", "3"] {
        world.push(APP, tag, &image(tag.parse()?))?;
    }
    world.publish("dev", &[(APP, "2")]);
    world.publish("prod", &[(APP, "1")]);
    let plan = world.plan(&[]).await;
    assert_eq!(planned(&plan, APP).len(), 3);
    assert_eq!(plan["documents"].as_array().unwrap().len(), 2);
    assert_eq!(
        plan["repositories"][0]["images"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|image| image["tags"] == json!(["3"]))
            .count(),
        1
    );
    Ok(())
}

#[tokio::test]
async fn a_digest_that_a_result_names_stays_where_its_tag_moved_and_so_does_what_the_tag_names()
-> Result {
    let world = World::start().await?;
    world.push(APP, "1", &image(1))?;
    world.publish("dev", &[(APP, "1")]);
    world.push(APP, "1", &image(2))?;
    let third = world.push(APP, "", &image(3))?;
    assert_eq!(planned(&world.plan(&[]).await, APP), digests(&[&third]));
    Ok(())
}

#[tokio::test]
async fn a_result_without_digests_keeps_every_repository_that_it_may_name() -> Result {
    let world = World::start().await?;
    world.push(APP, "1", &image(1))?;
    world.repository("idf-docker.io/old", "idf");
    let old = world.push("idf-docker.io/old", "1", &image(1))?;
    let host = world.aws.ecr_host();
    // An operator is given a registry, and no image of it is named.
    let values = json!({"installation": {"registry": format!("{host}/idf-quay.io")}});
    let chart = json!({"helm": {"repository": format!("oci://{host}/idf-charts/a"), "version": "1"}, "values": values});
    let document = json!({"charts": {"a": chart}});
    world
        .aws
        .put_object(BUCKET, "prod-x-metadata.json", document.to_string());
    let done = world.prune(&[]).run().await.ended(0);
    let plan = world.written();
    assert_eq!(planned(&plan, APP), Vec::<String>::new());
    assert_eq!(planned(&plan, "idf-docker.io/old"), digests(&[&old]));
    assert!(
        done.stdout.contains("records no digests"),
        "{}",
        done.stdout
    );
    Ok(())
}

#[tokio::test]
async fn without_knowing_what_is_needed_nothing_is_planned() -> Result {
    let world = World::start().await?;
    world.push(APP, "1", &image(1))?;
    let no_plan = |done: Finished| {
        assert!(!world.dir.path().join("prune-plan.json").exists());
        done
    };
    let done = no_plan(world.prune(&[]).run().await.ended(2));
    done.said(&["no published result", "--lock"]);
    world.publish("dev", &[]);
    for text in [
        "{broken",
        "[]",
        r#"{"charts": {}, "digests": {"x": "sha256:1"}}"#,
    ] {
        world.aws.put_object(BUCKET, "prod-x-metadata.json", text);
        let done = no_plan(world.prune(&[]).run().await.ended(1));
        done.said(&[
            "cannot read the result s3://",
            "prod-x-metadata.json",
            "nothing was deleted",
        ]);
    }
    world.publish("prod-x", &[]);
    world.aws.put_object(BUCKET, "prod-x-metadata.json", "{}");
    world.aws.fail("GetObject", "AccessDenied", 403, 9);
    no_plan(world.prune(&[]).run().await.ended(1)).said(&["AccessDenied"]);
    let world = World::start().await?;
    world.publish("dev", &[]);
    world.aws.deny("s3:ListObjectsV2");
    let done = world.prune(&[]).run().await.ended(1);
    done.said(&["cannot list the published results"]);
    Ok(())
}

#[tokio::test]
async fn what_was_pulled_or_pushed_lately_stays() -> Result {
    let world = World::start().await?;
    let pulled = world.push(APP, "pulled", &image(1))?;
    world.times(APP, &pulled.root.digest, 200, Some(89));
    let pushed = world.push(APP, "pushed", &image(2))?;
    for manifest in &pushed.manifests {
        world.times(APP, &manifest.digest, 89, None);
    }
    // A node that has the index pulls a platform only.
    let platform = world.push(APP, "platform", &image(3))?;
    world.times(APP, &platform.manifests[1].digest, 200, Some(1));
    let unused = world.push(APP, "unused", &image(4))?;
    world.times(APP, &unused.root.digest, 200, Some(91));
    world.publish("dev", &[]);
    assert_eq!(planned(&world.plan(&[]).await, APP), digests(&[&unused]));
    let plan = world.plan(&["--unused-for", "60"]).await;
    assert_eq!(planned(&plan, APP), digests(&[&pulled, &pushed, &unused]));
    let plan = world.plan(&["--unused-for", "0"]).await;
    assert_eq!(plan["totals"]["manifests"], 12);
    Ok(())
}

#[tokio::test]
async fn what_a_lock_names_stays() -> Result {
    let world = World::start().await?;
    let old = world.push(APP, "1", &image(1))?;
    let other = world.push(APP, "2", &image(2))?;
    std::fs::write(
        world.dir.path().join("approved.json"),
        lock("1", &old.root.digest),
    )?;
    // Without any result, it is the only document.
    let plan = world.plan(&["--lock", "approved.json"]).await;
    assert_eq!(planned(&plan, APP), digests(&[&other]));
    std::fs::write(world.dir.path().join("broken.json"), "{}")?;
    let refused = world.prune(&["--lock", "approved.json", "--lock", "broken.json"]);
    refused
        .run()
        .await
        .ended(2)
        .said(&["broken.json: it is not a lock"]);
    Ok(())
}

#[tokio::test]
async fn signatures_and_sboms_stay_and_go_with_their_image() -> Result {
    let world = World::start().await?;
    let mut all = Vec::new();
    for (tag, seed) in [("1", 1), ("2", 2)] {
        let pushed = world.push(APP, tag, &image(seed))?;
        let registry = world.aws.registry();
        let sbom = pushed.attach(registry, "application/spdx+json")?;
        let signature = pushed.sign(registry)?;
        let of_sbom = sbom.attach(registry, "application/x-signature")?;
        let referrers = digests(&[&sbom, &signature, &of_sbom]);
        for digest in &referrers {
            world.times(APP, digest, 200, None);
        }
        let mut of_image = digests(&[&pushed]);
        of_image.extend(referrers);
        of_image.sort();
        all.push(of_image);
    }
    world.publish("dev", &[(APP, "2")]);
    let plan = world.plan(&[]).await;
    assert_eq!(planned(&plan, APP), all[0]);
    world.publish("dev", &[(APP, "1")]);
    let plan = world.plan(&[]).await;
    assert_eq!(planned(&plan, APP), all[1]);
    Ok(())
}
