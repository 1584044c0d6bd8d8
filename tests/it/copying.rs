//! What a deployment brings to a registry: the same bytes, in an order that is safe, once.

use lab::faults::{Fault, Rule};
use lab::image::{Image, Pushed, media};
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::content::{assert_same, mirrored, put_of, writes};
use super::data::Data;

fn index() -> Image {
    Image::new()
        .platform("linux/amd64")
        .platform("linux/arm64")
        .base(3000, 1)
        .layer(2000, 2)
        .attestations()
}

/// One artifact of each kind, all of them with one layer in common.
fn seed(source: &Registry) -> anyhow::Result<Vec<Pushed>> {
    let two = || {
        Image::new()
            .platform("linux/amd64")
            .platform("linux/arm/v7")
            .base(3000, 1)
            .layer(1000, 3)
    };
    Ok(vec![
        index().push(source, "team/index", "1")?,
        two().nested().push(source, "team/nested", "1")?,
        two().docker().push(source, "team/docker", "1")?,
        two().without_media_type().push(source, "team/bare", "1")?,
        Image::new()
            .base(3000, 1)
            .push(source, "team/single", "1")?,
        Image::artifact("application/x").push(source, "team/artifact", "1")?,
        Image::new()
            .layer_as("application/vnd.oci.image.layer.v1.tar+zstd", 70_000, 4)
            .layer(0, 5)
            .push(source, "team/zstd", "1")?,
    ])
}

#[tokio::test]
async fn every_kind_of_artifact_arrives_unchanged_and_a_second_run_writes_nothing() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let all = seed(&source)?;
    let images: Vec<String> = all
        .iter()
        .map(|pushed| format!("quay.io/{}:1", pushed.repository))
        .collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let data = Data::images(&images);
    let run = || data.deploy(&target).endpoint("quay.io", &source.url());

    let first = run().run().await.ended(0);
    for pushed in &all {
        assert_same(&source, pushed, &target, "1");
        let report = first.report_of(&format!("{}:1", pushed.repository));
        assert_eq!(report["done"], "copied");
        assert_eq!(report["digest"], pushed.root.digest);
    }
    let platforms = &first.report_of("team/docker:1")["platforms"];
    assert_eq!(*platforms, json!(["linux/amd64", "linux/arm/v7"]));
    let uploads: usize = all.iter().map(|pushed| pushed.blobs.len()).sum();
    assert_eq!(target.wire().count("POST", "/blobs/uploads/"), uploads);
    // What several have in common was sent once.
    let blobs = all.iter().flat_map(|pushed| &pushed.blobs);
    let distinct: std::collections::BTreeMap<_, _> =
        blobs.map(|blob| (&blob.digest, blob.size)).collect();
    let totals = &first.json("replication_report.json")["totals"];
    assert_eq!(totals["bytes"], distinct.values().sum::<u64>());
    assert_eq!(
        target.wire().count("PUT", "/blobs/uploads/"),
        distinct.len()
    );
    assert_eq!(
        (&totals["copied"], &totals["failed"]),
        (&json!(7), &json!(0))
    );
    let digests = &first.result()["digests"];
    for pushed in &all {
        let name = format!("{}/{}:1", target.host(), mirrored(&pushed.repository));
        assert_eq!(digests[name], pushed.root.digest);
    }

    target.wire().clear();
    let second = run().run().await.ended(0);
    assert_eq!(writes(target.wire()), Vec::<String>::new());
    assert!(
        second
            .done()
            .iter()
            .all(|(_, done)| done == "already there")
    );
    assert_eq!(second.done().len(), 7);
    assert_eq!(second.result(), first.result());
    Ok(())
}

#[tokio::test]
async fn nothing_is_written_before_what_it_refers_to() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let nested = index().nested().push(&source, "team/app", "1")?;
    let run = Data::images(&["quay.io/team/app:1"]).deploy(&target);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);

    let requests = target.wire().requests();
    let tag_put = requests
        .iter()
        .find(|request| request.method == "PUT" && request.path.ends_with("/manifests/1"));
    let tagged = tag_put.expect("the tag is put").started;
    for manifest in &nested.manifests {
        let (_, bytes, _) = target
            .manifest(&mirrored("team/app"), &manifest.digest)
            .expect("it is there");
        let value: Value = serde_json::from_slice(&bytes)?;
        let started = if manifest.digest == nested.root.digest {
            tagged
        } else {
            put_of(&requests, &manifest.digest).0
        };
        let parts = ["layers", "manifests"].map(|key| value[key].as_array().cloned());
        let mut parts: Vec<Value> = parts.into_iter().flatten().flatten().collect();
        parts.extend(value.get("config").cloned());
        assert!(!parts.is_empty());
        for part in parts {
            let digest = part["digest"].as_str().expect("a digest");
            assert!(put_of(&requests, digest).1 <= started, "{digest} came late");
        }
    }
    let last = requests.iter().rfind(|request| request.method == "PUT");
    assert!(last.is_some_and(|last| last.path.ends_with("/manifests/1")));
    Ok(())
}

#[tokio::test]
async fn what_many_tags_of_one_repository_share_is_sent_once() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let mut names = Vec::new();
    let mut distinct = std::collections::BTreeSet::new();
    for tag in 0..6 {
        let image = Image::new()
            .base(50_000, 1)
            .base(60_000, 2)
            .layer(10, 10 + tag);
        let pushed = image.push(&source, "team/app", &tag.to_string())?;
        distinct.extend(pushed.blobs.into_iter().map(|blob| blob.digest));
        names.push(format!("quay.io/team/app:{tag}"));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let run = Data::images(&names).deploy(&target);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    assert_eq!(
        target.wire().count("POST", "/blobs/uploads/"),
        distinct.len()
    );
    assert_eq!(source.wire().count("GET", "/blobs/"), distinct.len());
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    assert_eq!(target.tags(&mirrored("team/app")).len(), 6);
    Ok(())
}

#[tokio::test]
async fn a_blob_or_child_that_the_target_has_is_not_sent_again() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let image = index();
    let pushed = image.push(&source, "team/app", "1")?;
    let to = mirrored("team/app");
    // An interrupted run left one layer, and one platform as a whole.
    let layer = target.seed_synthetic(&to, 3000, 1);
    assert!(pushed.blobs.iter().any(|blob| blob.digest == layer.digest));
    let run = || Data::images(&["quay.io/team/app:1"]).deploy(&target);
    run()
        .endpoint("quay.io", &source.url())
        .run()
        .await
        .ended(0);
    assert_same(&source, &pushed, &target, "1");
    assert_eq!(
        target.wire().count("PUT", "/blobs/uploads/"),
        pushed.blobs.len() - 1
    );

    target.remove_manifest(&to, &pushed.root.digest);
    target.wire().clear();
    run()
        .endpoint("quay.io", &source.url())
        .run()
        .await
        .ended(0);
    assert_eq!(target.wire().count("PUT", "/blobs/uploads/"), 0);
    assert_eq!(
        source.wire().count("GET", "/blobs/"),
        pushed.blobs.len() - 1
    );
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn only_the_chosen_platforms_arrive_with_their_attestations() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = index()
        .annotation("kept", "yes")
        .push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = || {
        let run = data.deploy(&target).args(["--platforms", "linux/arm64"]);
        run.endpoint("quay.io", &source.url())
    };
    let first = run().run().await.ended(0);

    let to = mirrored("team/app");
    let (_, original, _) = source.manifest("team/app", "1").expect("the source");
    let original: Value = serde_json::from_slice(&original)?;
    let (media_type, bytes, digest) = target.manifest(&to, "1").expect("the target");
    let selected: Value = serde_json::from_slice(&bytes)?;
    let children = original["manifests"].as_array().expect("children");
    let arm = children
        .iter()
        .find(|child| child["platform"]["architecture"] == "arm64")
        .expect("the platform");
    let wanted: Vec<&Value> = children
        .iter()
        .filter(|child| {
            child["digest"] == arm["digest"]
                || child["annotations"]["vnd.docker.reference.digest"] == arm["digest"]
        })
        .collect();
    assert_eq!(wanted.len(), 2);
    assert_eq!(selected["manifests"], json!(wanted));
    assert_eq!(selected["annotations"]["kept"], "yes");
    assert_eq!(selected["mediaType"], media_type);
    assert_ne!(digest, pushed.root.digest);
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    assert_eq!(target.manifests(&to).len(), 3);

    let report = first.report_of("team/app:1");
    assert_eq!(report["digest"], digest);
    assert_eq!(report["platforms"], json!(["linux/arm64"]));
    let notes = report["notes"].to_string();
    assert!(
        notes.contains(&digest) && notes.contains(&pushed.root.digest),
        "{notes}"
    );
    target.wire().clear();
    let second = run().run().await.ended(0);
    assert_eq!(writes(target.wire()), Vec::<String>::new());
    assert!(
        second
            .done()
            .iter()
            .all(|(_, done)| done == "already there")
    );
    Ok(())
}

#[tokio::test]
async fn platforms_that_an_image_has_not_are_said_and_none_at_all_is_a_failure() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    index().push(&source, "team/both", "1")?;
    let amd = Image::new().platform("linux/amd64").layer(10, 1);
    amd.push(&source, "team/amd", "1")?;
    let data = Data::images(&["quay.io/team/both:1", "quay.io/team/amd:1"]);
    let run = data.deploy(&target).endpoint("quay.io", &source.url());
    let run = run.args(["--platforms", "linux/arm64,linux/s390x"]);
    let failed = run.run().await.ended(1);
    let notes = failed.report_of("team/both:1")["notes"].to_string();
    assert!(notes.contains("no linux/s390x"), "{notes}");
    assert_eq!(failed.report_of("team/amd:1")["done"], "failed");
    assert_eq!(target.tags(&mirrored("team/amd")), Vec::<String>::new());
    failed.said(&["team/amd:1", "linux/amd64", "Platforms"]);
    Ok(())
}

#[tokio::test]
async fn a_reference_with_a_digest_is_copied_under_it() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = index().push(&source, "team/app", "1")?;
    let (digest, to) = (&pushed.root.digest, mirrored("team/app"));
    let only = format!("quay.io/team/app@{digest}");
    let run = Data::images(&[&only]).deploy(&target);
    let run = run.endpoint("quay.io", &source.url()).run().await.ended(0);
    assert_eq!(target.tags(&to), Vec::<String>::new());
    assert!(target.manifest(&to, digest).is_some());
    let name = format!("{}/{to}@{digest}", target.host());
    assert_eq!(run.result()["additional_images"]["image0"], name);

    // The tag may have moved meanwhile: the digest counts.
    index().layer(5, 5).push(&source, "team/app", "1")?;
    let both = format!("quay.io/team/app:1@{digest}");
    let run = Data::images(&[&both]).deploy(&target);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    let tagged = target.manifest(&to, "1").map(|(_, _, digest)| digest);
    assert_eq!(tagged.as_ref(), Some(digest));
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_digest_that_a_selection_would_change_is_a_failure() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let digest = index().push(&source, "team/app", "1")?.root.digest;
    let pinned = format!("quay.io/team/app:1@{digest}");
    let run = Data::images(&[&pinned]).deploy(&target);
    let run = run.args(["--platforms", "linux/arm64"]);
    let failed = run.endpoint("quay.io", &source.url()).run().await.ended(1);
    failed.said(&["pins a digest", &digest, "leave Platforms out"]);
    assert_eq!(target.repositories(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_tag_that_moved_at_the_source_moves_at_the_target() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let data = Data::images(&["quay.io/team/app:latest"]);
    for seed in [1, 2] {
        let image = Image::new().base(100, 9).layer(100, seed);
        let pushed = image.push(&source, "team/app", "latest")?;
        let run = data.deploy(&target).endpoint("quay.io", &source.url());
        let run = run.run().await.ended(0);
        assert_same(&source, &pushed, &target, "latest");
        assert_eq!(run.report_of("team/app:latest")["done"], "copied");
    }
    assert_eq!(target.wire().count("PUT", "/blobs/uploads/"), 5);
    Ok(())
}

#[tokio::test]
async fn uploads_go_where_the_registry_says() -> Result {
    // Relative locations, with a query that must come back, are the lab's habit in all other tests.
    let source = Registry::start().await?;
    let target = Registry::builder().absolute_locations().start().await?;
    let pushed = index().push(&source, "team/app", "1")?;
    let run = Data::images(&["quay.io/team/app:1"]).deploy(&target);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    assert_same(&source, &pushed, &target, "1");
    Ok(())
}

#[tokio::test]
async fn a_layer_that_registries_do_not_keep_is_left_out() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let image = Image::new()
        .layer(100, 1)
        .layer_as(media::LAYER_FOREIGN, 100, 2);
    let pushed = image.push(&source, "team/app", "1")?;
    let run = Data::images(&["quay.io/team/app:1"]).deploy(&target);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    assert_same(&source, &pushed, &target, "1");
    Ok(())
}

#[tokio::test]
async fn registries_that_say_less_than_others_are_understood() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = index().push(&source, "team/app", "1")?;
    // No digest in the answer to HEAD, and a content type that says nothing.
    for registry in [&source, &target] {
        let rule = Rule::new(Fault::status(200)).on("HEAD", "/manifests/1");
        registry.faults().add(rule);
    }
    for manifest in &pushed.manifests {
        let (_, bytes, _) = source
            .manifest("team/app", &manifest.digest)
            .expect("it is there");
        source.put_manifest("team/app", "", "application/json", bytes);
    }
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = || data.deploy(&target).endpoint("quay.io", &source.url());
    run().run().await.ended(0);
    let to = mirrored("team/app");
    let (media_type, _, digest) = target.manifest(&to, "1").expect("it is there");
    assert_eq!(
        (media_type.as_str(), &digest),
        (media::INDEX, &pushed.root.digest)
    );
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    target.wire().clear();
    run().run().await.ended(0);
    assert_eq!(writes(target.wire()), Vec::<String>::new());
    Ok(())
}
