//! Referrers are copied with an image: OCI 1.1 referrers and cosign's tags.

use lab::faults::{Fault, Rule};
use lab::image::{Image, Pushed, cosign_tag};
use lab::registry::Registry;

use super::Result;
use super::run::Run;

const SBOM: &str = "application/spdx+json";
const SIGNATURE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// An image with a bill of materials, a signature of that, and a cosign signature.
fn signed(source: &Registry) -> anyhow::Result<(Pushed, [Pushed; 3])> {
    let image = Image::new().platform("linux/amd64").platform("linux/arm64");
    let image = image.layer(3000, 1).push(source, "team/app", "1")?;
    let sbom = image.attach(source, SBOM)?;
    let signature = sbom.attach(source, SIGNATURE)?;
    let cosign = image.sign(source)?;
    Ok((image, [sbom, signature, cosign]))
}

fn copy(from: &Registry, to: &str) -> Run {
    Run::new().args(["copy", &format!("{}/team/app:1", from.host()), to])
}

fn digests(parts: &[Pushed; 3]) -> [&str; 3] {
    [0, 1, 2].map(|index| parts[index].root.digest.as_str())
}

#[tokio::test]
async fn signatures_and_sboms_are_copied_too_and_the_tag_comes_last() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let (image, parts) = signed(&source)?;
    copy(&source, &format!("{}/app:1", target.host()))
        .run()
        .await
        .ended(0);
    for digest in digests(&parts) {
        assert!(
            target.manifest("app", digest).is_some(),
            "{digest} is not at the target"
        );
    }
    let tag = cosign_tag(&image.root.digest, "sig");
    assert_eq!(target.tags("app"), ["1".to_owned(), tag]);
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    let requests = target.wire().requests();
    let last = requests
        .iter()
        .rfind(|request| request.method == "PUT")
        .expect("a PUT");
    assert!(last.path.ends_with("/manifests/1"), "{}", last.path);

    // A second run asks for nothing but the two tags.
    source.wire().clear();
    copy(&source, &format!("{}/app:1", target.host()))
        .run()
        .await
        .ended(0);
    assert_eq!(source.wire().requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_registry_without_a_list_of_referrers_gives_and_gets_the_tag_that_stands_in() -> Result {
    let without = || async { Registry::builder().without_referrers().start().await };
    let (source, target) = (without().await?, without().await?);
    let (image, parts) = signed(&source)?;
    copy(&source, &format!("{}/app:1", target.host()))
        .run()
        .await
        .ended(0);
    for digest in digests(&parts) {
        assert!(
            target.manifest("app", digest).is_some(),
            "{digest} is not at the target"
        );
    }
    let tag = image.root.digest.replace(':', "-");
    let (_, index, _) = target
        .manifest("app", &tag)
        .expect("the tag that stands in");
    let index: serde_json::Value = serde_json::from_slice(&index)?;
    assert_eq!(index["manifests"][0]["digest"], parts[0].root.digest);
    assert_eq!(index["manifests"][0]["artifactType"], SBOM);
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn through_a_folder_nothing_is_lost() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let (_, parts) = signed(&source)?;
    let folder = tempfile::tempdir()?;
    let layout = format!("oci:{}:app", folder.path().join("mirror").display());
    copy(&source, &layout).run().await.ended(0);
    let back = Run::new().args(["copy", &layout, &format!("{}/app:1", target.host())]);
    back.run().await.ended(0);
    // Cosign's tags are names of a registry; what a folder lists are referrers.
    for digest in &digests(&parts)[..2] {
        assert!(
            target.manifest("app", digest).is_some(),
            "{digest} is not at the target"
        );
    }
    Ok(())
}

#[tokio::test]
async fn referrers_are_not_copied_where_the_policy_is_none() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let (_, parts) = signed(&source)?;
    let run = copy(&source, &format!("{}/app:1", target.host())).arg("--no-referrers");
    run.run().await.ended(0);
    for digest in digests(&parts) {
        assert!(
            target.manifest("app", digest).is_none(),
            "{digest} is at the target"
        );
    }
    assert_eq!(source.wire().count("", "referrers"), 0);
    assert_eq!(target.tags("app"), ["1"]);
    Ok(())
}

/// So many bills of materials of an image, and the image.
fn attached(source: &Registry, repository: &str, count: usize) -> anyhow::Result<Vec<String>> {
    let image = Image::new().layer(900, 1).push(source, repository, "1")?;
    let each = (0..count).map(|number| image.attach(source, &format!("application/x{number}")));
    let each: Vec<Pushed> = each.collect::<std::io::Result<_>>()?;
    Ok(each.into_iter().map(|pushed| pushed.root.digest).collect())
}

#[tokio::test]
async fn a_repository_without_a_list_says_nothing_of_the_others_at_its_host() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let rule = Rule::new(Fault::status(404).body("404 page not found"));
    source
        .faults()
        .add(rule.on("GET", "/v2/none/app/referrers/"));
    attached(&source, "none/app", 0)?;
    let some = attached(&source, "team/app", 1)?;
    let list = ["none", "team"].map(|name| {
        serde_json::json!({"src": format!("{}/{name}/app:1", source.host()), "target": format!("{}/{name}:1", target.host())})
    });
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("list.json");
    std::fs::write(&file, serde_json::json!(list).to_string())?;
    let run = Run::new().args(["copy", "--jobs", "1", "--list"]).arg(file);
    run.run().await.ended(0);
    assert!(target.manifest("team", &some[0]).is_some());
    Ok(())
}

#[tokio::test]
async fn all_pages_of_a_list_are_read_whatever_host_their_links_name() -> Result {
    let source = Registry::builder().referrers_per_page(1).start().await?;
    let target = Registry::start().await?;
    let all = attached(&source, "team/app", 25)?;
    let to = format!("{}/app:1", target.host());
    let run = Run::new().args(["copy", "quay.example/team/app:1", &to]);
    run.endpoint("quay.example", &source.url())
        .run()
        .await
        .ended(0);
    for digest in all {
        assert!(target.manifest("app", &digest).is_some(), "{digest}");
    }
    Ok(())
}

#[tokio::test]
async fn a_list_that_breaks_off_or_is_circular_is_a_warning() -> Result {
    let source = Registry::builder().referrers_per_page(1).start().await?;
    let circle = Fault::status(200)
        .header("Content-Type", "application/vnd.oci.image.index.v1+json")
        .header("Link", "</v2/team/app/referrers/x?start=7>; rel=\"next\"")
        .body("{\"schemaVersion\": 2, \"manifests\": []}");
    let faults = [(Fault::status(404), "404"), (circle, "in a circle")];
    for (fault, why) in faults {
        let target = Registry::start().await?;
        let all = attached(&source, "team/app", 2)?;
        source.faults().clear();
        source.faults().add(Rule::new(fault).on("GET", "start="));
        let run = copy(&source, &format!("{}/app:1", target.host())).out();
        let done = run.run().await.ended(0);
        let notes = done.report_of("app:1")["notes"].to_string();
        assert!(
            notes.contains("to its end") && notes.contains(why),
            "{notes}"
        );
        let arrived = |digest: &&String| target.manifest("app", digest).is_some();
        assert_eq!(all.iter().filter(arrived).count(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_list_of_tags_that_lacks_what_was_read_is_not_believed() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let (image, _) = signed(&source)?;
    let cached = Fault::status(200).body("{\"name\": \"team/app\", \"tags\": [\"0.9\"]}");
    source
        .faults()
        .add(Rule::new(cached).on("GET", "/tags/list"));
    let to = format!("{}/app:1", target.host());
    copy(&source, &to).run().await.ended(0);
    let tag = cosign_tag(&image.root.digest, "sig");
    assert_eq!(target.tags("app"), ["1".to_owned(), tag.clone()]);

    // By digest nothing was read that the list could lack.
    let target = Registry::start().await?;
    let from = format!("{}/team/app@{}", source.host(), image.root.digest);
    let to = format!("{}/app:1", target.host());
    Run::new().args(["copy", &from, &to]).run().await.ended(0);
    assert_eq!(target.tags("app"), ["1".to_owned(), tag]);
    Ok(())
}

#[tokio::test]
async fn the_list_under_a_tag_is_extended_and_says_what_the_specification_requires() -> Result {
    let source = Registry::start().await?;
    let target = Registry::builder().without_referrers().start().await?;
    let image = Image::new().layer(900, 1).push(&source, "team/app", "1")?;
    let there = Image::new().layer(900, 1).push(&target, "app", "0.9")?;
    let own = there.attach(&target, "application/own")?;
    let with_type = image.attach(&source, SBOM)?;
    // Its config says what it is.
    let config = source.put_blob("team/app", b"{}")?;
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": lab::image::media::MANIFEST,
        "config": {"mediaType": "application/config", "digest": config.digest, "size": 2},
        "layers": [], "subject": image.root, "annotations": {"a": "b"},
    });
    let by_config = source.put_manifest(
        "team/app",
        "",
        lab::image::media::MANIFEST,
        manifest.to_string(),
    );
    copy(&source, &format!("{}/app:1", target.host()))
        .run()
        .await
        .ended(0);
    let tag = image.root.digest.replace(':', "-");
    let (_, index, _) = target.manifest("app", &tag).expect("the list");
    let index: serde_json::Value = serde_json::from_slice(&index)?;
    let entry = |digest: &str| {
        let entries = index["manifests"].as_array().expect("a list");
        let found = entries.iter().find(|entry| entry["digest"] == digest);
        found
            .unwrap_or_else(|| panic!("{digest} is not in {index}"))
            .clone()
    };
    assert_eq!(entry(&own.root.digest)["artifactType"], "application/own");
    assert_eq!(entry(&with_type.root.digest)["artifactType"], SBOM);
    assert_eq!(
        entry(&by_config.digest),
        serde_json::json!({
            "mediaType": lab::image::media::MANIFEST, "digest": by_config.digest, "size": by_config.size,
            "artifactType": "application/config", "annotations": {"a": "b"},
        })
    );
    Ok(())
}

#[tokio::test]
async fn two_runs_at_once_lose_no_entry_of_a_list_under_a_tag() -> Result {
    let target = Registry::builder().without_referrers().start().await?;
    let sources = [Registry::start().await?, Registry::start().await?];
    let (mut runs, mut all, mut tag) = (Vec::new(), Vec::new(), String::new());
    for (number, source) in sources.iter().enumerate() {
        let image = Image::new().layer(900, 1).push(source, "team/app", "1")?;
        tag = image.root.digest.replace(':', "-");
        all.push(image.attach(source, &format!("application/x{number}"))?);
        let to = format!("{}/app:{number}", target.host());
        runs.push(copy(source, &to).start());
    }
    target.faults().latency(20);
    for run in runs {
        run.finish().await.ended(0);
    }
    let (_, index, _) = target.manifest("app", &tag).expect("the list");
    let index = String::from_utf8(index.to_vec())?;
    for one in all {
        assert!(index.contains(&one.root.digest), "{index}");
    }
    Ok(())
}

#[tokio::test]
async fn a_referrer_that_one_side_refuses_is_a_warning_and_the_others_arrive() -> Result {
    let artifact = "application/vnd.oci.artifact.manifest.v1+json";
    for case in [
        "a format of 2023",
        "a format of 2023 that is 404 unless accepted",
        "its blob is not there",
        "an unknown type",
        "the target refuses it",
        "the target refuses its blob",
    ] {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        let image = Image::new().layer(900, 1).push(&source, "team/app", "1")?;
        let good = image.attach(&source, SBOM)?;
        let old = serde_json::json!({
            "mediaType": artifact, "artifactType": "application/x", "blobs": [], "subject": image.root,
        });
        let bad = match case {
            "an unknown type" => source.put_manifest(
                "team/app",
                "",
                "application/vnd.lab.manifest.v9+json",
                old.to_string()
                    .replace(artifact, "application/vnd.lab.manifest.v9+json"),
            ),
            "a format of 2023" | "a format of 2023 that is 404 unless accepted" => {
                source.put_manifest("team/app", "", artifact, old.to_string())
            }
            _ => {
                let blob = source.put_blob("team/app", b"of the referrer")?;
                let manifest = serde_json::json!({
                    "schemaVersion": 2, "mediaType": lab::image::media::MANIFEST, "artifactType": "application/x",
                    "config": {"mediaType": "application/x", "digest": blob.digest, "size": blob.size},
                    "layers": [], "subject": image.root,
                });
                if case == "its blob is not there" {
                    source.remove_blob("team/app", &blob.digest);
                }
                if case == "the target refuses its blob" {
                    let rule = Rule::new(Fault::status(403));
                    let digest = blob.digest.replace(':', "%3A");
                    target.faults().add(rule.on("PUT", &digest));
                }
                let kind = lab::image::media::MANIFEST;
                source.put_manifest("team/app", "", kind, manifest.to_string())
            }
        };
        if case.ends_with("accepted") {
            let rule = Rule::new(Fault::status(404)).on("GET", &bad.digest);
            source.faults().add(rule);
        }
        if case == "the target refuses it" {
            let rule = Rule::new(Fault::status(400)).on("PUT", &bad.digest);
            target.faults().add(rule);
        }
        let run = copy(&source, &format!("{}/app:1", target.host())).out();
        let done = run.run().await.ended(0).said(&["warning:", &bad.digest]);
        let notes = done.report_of("app:1")["notes"].to_string();
        assert!(notes.contains("stays behind"), "{case}: {notes}");
        assert!(
            target.manifest("app", &good.root.digest).is_some(),
            "{case}"
        );
        assert!(target.manifest("app", &bad.digest).is_none(), "{case}");
        assert_eq!(target.check_integrity(), Vec::<String>::new(), "{case}");
    }
    Ok(())
}

#[tokio::test]
async fn a_referrer_that_only_cannot_be_read_now_is_a_failure() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let all = attached(&source, "team/app", 1)?;
    let rule = Rule::new(Fault::status(500)).on("GET", &all[0]);
    source.faults().add(rule);
    let run = copy(&source, &format!("{}/app:1", target.host())).args(["--tries", "1"]);
    run.run().await.ended(1).said(&["read a referrer", "500"]);
    assert_eq!(target.tags("app"), Vec::<String>::new());
    Ok(())
}

/// A registry that has not noted a blob yet may say so; the next run would not look for the referrer again.
#[tokio::test]
async fn a_referrer_that_the_target_cannot_take_yet_is_a_failure_and_the_next_run_brings_it()
-> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let all = attached(&source, "team/app", 1)?;
    let late =
        r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#;
    let rule = Rule::new(Fault::status(404).body(late)).on("PUT", &all[0]);
    target.faults().add(rule);
    let to = format!("{}/app:1", target.host());
    let run = copy(&source, &to).args(["--tries", "1"]);
    run.run()
        .await
        .ended(1)
        .said(&["write the manifest", "404"]);
    assert_eq!(target.tags("app"), Vec::<String>::new());

    target.faults().clear();
    copy(&source, &to).run().await.ended(0);
    assert!(target.manifest("app", &all[0]).is_some());
    assert_eq!(target.tags("app"), ["1"]);
    Ok(())
}
