//! Registries that are not quite what the specification says, and content that is legal and rare.

use lab::content::{digest_like, digest_of};
use lab::faults::{Fault, Rule};
use lab::image::{Image, media};
use lab::registry::Registry;
use serde_json::{Value, json};

use super::Result;
use super::content::writes;
use super::run::{Finished, Run};

const INDEX: &str = media::INDEX;

fn copy(from: &Registry, to: &Registry) -> Run {
    let names = [
        format!("{}/team/app:1", from.host()),
        format!("{}/app:1", to.host()),
    ];
    Run::new().arg("copy").args(names).out()
}

fn done(finished: &Finished) -> Vec<String> {
    finished.done().into_iter().map(|(_, done)| done).collect()
}

#[tokio::test]
async fn a_registry_that_refuses_head_is_asked_by_get() -> Result {
    for status in [400, 401, 403, 404, 405, 406, 500, 501] {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        for registry in [&source, &target] {
            let rule = Rule::new(Fault::status(status)).on("HEAD", "");
            registry.faults().add(rule);
        }
        Image::new().layer(900, 1).push(&source, "team/app", "1")?;
        let first = copy(&source, &target).run().await.ended(0);
        assert_eq!(done(&first), ["copied"], "{status}");
        let second = copy(&source, &target).run().await.ended(0);
        assert_eq!(done(&second), ["already there"], "{status}");
        let moved = Image::new().layer(900, 2).push(&source, "team/app", "1")?;
        let third = copy(&source, &target).run().await.ended(0);
        assert_eq!(done(&third), ["copied"], "{status}");
        let found = target.manifest("app", "1").map(|found| found.2);
        assert_eq!(found, Some(moved.root.digest), "{status}");
        // What is refused as such is not asked for again and again.
        let heads = target.wire().count("HEAD", "/manifests/");
        assert!(heads <= 9, "{heads} HEADs in spite of {status}");
    }
    Ok(())
}

#[tokio::test]
async fn a_head_without_a_usable_digest_is_followed_by_get() -> Result {
    for header in [None, Some("nonsense"), Some("md5:00")] {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        Image::new().layer(900, 1).push(&source, "team/app", "1")?;
        copy(&source, &target).run().await.ended(0);
        let fault = Fault::status(200);
        let fault = header.iter().fold(fault, |fault, header| {
            fault.header("Docker-Content-Digest", header)
        });
        source.faults().add(Rule::new(fault.clone()).on("HEAD", ""));
        target.faults().add(Rule::new(fault).on("HEAD", ""));
        let again = copy(&source, &target).run().await.ended(0);
        assert_eq!(done(&again), ["already there"], "{header:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_head_that_names_a_wrong_digest_does_not_hide_the_image() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = Image::new().layer(900, 1).push(&source, "team/app", "1")?;
    Image::new().layer(900, 2).push(&target, "app", "1")?;
    let wrong = Fault::status(200).header("Docker-Content-Digest", &digest_of(b"other"));
    source.faults().add(Rule::new(wrong).on("HEAD", ""));
    copy(&source, &target).run().await.ended(0);
    let found = target.manifest("app", "1").map(|found| found.2);
    assert_eq!(found, Some(pushed.root.digest));
    Ok(())
}

#[tokio::test]
async fn verify_asks_by_get_for_blobs_where_head_is_refused() -> Result {
    for status in [403, 404, 405, 500] {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        let pushed = Image::new().layer(900, 1).push(&source, "team/app", "1")?;
        let copied = copy(&source, &target).run().await.ended(0);
        let rule = Rule::new(Fault::status(status)).on("HEAD", "");
        target.faults().add(rule);
        let report = copied.out().join("replication_report.json");
        let verify = || Run::new().arg("verify").arg(&report);
        verify().run().await.ended(0);
        target.remove_blob("app", &pushed.blobs[0].digest);
        let failed = verify().run().await.ended(1);
        failed.said(&[&pushed.blobs[0].digest]);
    }
    Ok(())
}

#[tokio::test]
async fn a_mount_that_breaks_becomes_an_upload() -> Result {
    for fault in [
        Fault::status(400),
        Fault::status(403),
        Fault::status(404),
        Fault::status(405),
        Fault::status(500),
        Fault::status(501),
        Fault::status(502),
        Fault::Reset,
    ] {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        let image = Image::new().layer(900, 1);
        image.push(&source, "team/app", "1")?;
        image.layer(800, 2).push(&source, "team/other", "1")?;
        let rule = Rule::new(fault.clone()).on("POST", "mount=");
        target.faults().add(rule);
        let list = json!([
            {"src": format!("{}/team/app:1", source.host()), "target": format!("{}/app:1", target.host())},
            {"src": format!("{}/team/other:1", source.host()), "target": format!("{}/other:1", target.host())},
        ]);
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("list.json");
        std::fs::write(&file, list.to_string())?;
        let run = Run::new()
            .args(["copy", "--tries", "2", "--list"])
            .arg(file);
        run.run().await.ended(0);
        assert_eq!(target.check_integrity(), Vec::<String>::new(), "{fault:?}");
        assert_eq!(target.tags("other"), ["1"]);
        let mounts = target.wire().count("POST", "mount=");
        assert!(mounts <= 12, "{mounts} mounts in spite of {fault:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_mount_that_is_only_claimed_is_found_out() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    Image::new().layer(900, 1).push(&source, "team/app", "1")?;
    let lie = Fault::status(201).header("Location", "/v2/app/blobs/x");
    target.faults().add(Rule::new(lie).on("POST", "mount="));
    copy(&source, &target).run().await.ended(0);
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    Ok(())
}

/// An image whose parts are named by SHA-512, and whose manifest has one too.
fn by_sha512(source: &Registry) -> anyhow::Result<(String, String)> {
    let sha512 = |bytes: &[u8]| digest_like("sha512:", bytes);
    let (config, layer) = (br#"{"os":"linux","architecture":"amd64"}"#, b"a layer");
    for blob in [&config[..], &layer[..]] {
        source.put_blob_as("team/app", &sha512(blob), blob)?;
    }
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media::MANIFEST,
        "config": {"mediaType": media::CONFIG, "digest": sha512(config), "size": config.len()},
        "layers": [{"mediaType": media::LAYER, "digest": sha512(layer), "size": layer.len()}],
    })
    .to_string();
    let digest = sha512(manifest.as_bytes());
    source.put_manifest_as("team/app", &digest, media::MANIFEST, manifest.clone());
    let named = source.put_manifest("team/app", "1", media::MANIFEST, manifest);
    Ok((named.digest, digest))
}

#[tokio::test]
async fn sha512_is_kept_in_registries_and_folders() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let (sha256, sha512) = by_sha512(&source)?;
    let copied = copy(&source, &target).run().await.ended(0);
    assert_eq!(copied.report_of("app:1")["digest"], sha256);
    let report = copied.out().join("replication_report.json");
    Run::new().arg("verify").arg(report).run().await.ended(0);
    let second = copy(&source, &target).run().await.ended(0);
    assert_eq!(done(&second), ["already there"]);

    // By its digest: to a digest, to a tag, and through a folder.
    let folder = tempfile::tempdir()?;
    let layout = format!("oci:{}:app", folder.path().join("mirror").display());
    let from = format!("{}/team/app@{sha512}", source.host());
    let other = |name: &str| format!("{}/{name}", target.host());
    for (from, to) in [
        (from.clone(), other(&format!("digest@{sha512}"))),
        (from.clone(), other("tag:1")),
        (from.clone(), layout.clone()),
        (layout.clone(), other("back:1")),
    ] {
        for wanted in ["copied", "already there"] {
            let run = Run::new().args(["copy", &from, &to]).out();
            let run = run.run().await.ended(0);
            assert_eq!(done(&run), [wanted], "{from} to {to}");
            let report = run.out().join("replication_report.json");
            let verify = Run::new().arg("verify").arg(report);
            verify.run().await.ended(0);
        }
    }
    let found = target.manifest("digest", &sha512).map(|found| found.2);
    assert_eq!(found, Some(sha512));
    for name in ["tag", "back"] {
        let found = target.manifest(name, "1").map(|found| found.2);
        assert_eq!(found.as_ref(), Some(&sha256), "{name}");
    }
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn content_that_does_not_have_its_sha512_is_refused() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let (_, sha512) = by_sha512(&source)?;
    let body = Fault::status(200)
        .header("Content-Type", media::MANIFEST)
        .body("{\"config\": 1}");
    source.faults().add(Rule::new(body).on("GET", &sha512));
    let from = format!("{}/team/app@{sha512}", source.host());
    let run = Run::new().args(["copy", &from, &format!("{}/app:1", target.host())]);
    run.run().await.ended(1).said(&["damaged", &sha512]);
    assert_eq!(writes(target.wire()), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_single_image_of_another_platform_is_refused_as_an_index_is() -> Result {
    for docker in [false, true] {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        let image = Image::new().layer(900, 1);
        let image = if docker { image.docker() } else { image };
        image.push(&source, "team/app", "1")?;
        let run = |platforms: &str| copy(&source, &target).args(["--platforms", platforms]);
        let refused = run("linux/arm64,linux/s390x").run().await.ended(1);
        refused.said(&["none of the wanted platforms, only linux/amd64"]);
        assert_eq!(writes(target.wire()), Vec::<String>::new());
        run("linux/arm64,linux/x86_64").run().await.ended(0);
        // It is refused as well where it is there already.
        run("linux/arm64").run().await.ended(1);
    }
    Ok(())
}

#[tokio::test]
async fn what_has_no_platform_is_copied_whatever_platforms_are_wanted() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    Image::artifact("application/vnd.lab.thing").push(&source, "team/app", "1")?;
    let run = copy(&source, &target).args(["--platforms", "linux/arm64"]);
    run.run().await.ended(0);
    assert_eq!(target.tags("app"), ["1"]);
    Ok(())
}

/// An index of two images that the index gives these entries.
fn index_of(source: &Registry, entry: impl Fn(&str) -> Value) -> anyhow::Result<[String; 2]> {
    let both = Image::new().platform("linux/amd64").platform("linux/arm64");
    let pushed = both.layer(900, 1).push(source, "team/app", "both")?;
    let children: Vec<Value> = ["amd64", "arm64"]
        .into_iter()
        .zip(&pushed.manifests)
        .map(|(architecture, child)| {
            let mut entry = entry(architecture);
            entry["mediaType"] = json!(child.media_type);
            entry["digest"] = json!(child.digest);
            entry["size"] = json!(child.size);
            entry
        })
        .collect();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children});
    source.put_manifest("team/app", "1", INDEX, index.to_string());
    Ok([0, 1].map(|index| pushed.manifests[index].digest.clone()))
}

#[tokio::test]
async fn platforms_are_found_whatever_their_spelling_and_where_only_the_configs_name_them() -> Result
{
    let spelt = |architecture: &str| {
        let name = match architecture {
            "amd64" => "x86_64",
            _ => "aarch64",
        };
        json!({"platform": {"os": "linux", "architecture": name, "variant": "v8"}})
    };
    let entries: [&dyn Fn(&str) -> Value; 2] = [&spelt, &|_: &str| json!({})];
    for entry in entries {
        let (source, target) = (Registry::start().await?, Registry::start().await?);
        let [amd, arm] = index_of(&source, entry)?;
        let run = |platforms: &str| copy(&source, &target).args(["--platforms", platforms]);
        run("linux/s390x").run().await.ended(1);
        run("linux/arm64/v8").run().await.ended(0);
        assert!(target.manifest("app", &arm).is_some() && target.manifest("app", &amd).is_none());
        assert_eq!(target.check_integrity(), Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn one_manifest_for_two_platforms_stays_when_one_of_them_is_wanted() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let image = Image::new()
        .layer(900, 1)
        .push(&source, "team/app", "one")?;
    let other = Image::new()
        .layer(900, 2)
        .push(&source, "team/app", "two")?;
    let entry = |of: &lab::content::Descriptor, architecture: &str| {
        json!({"mediaType": of.media_type, "digest": of.digest, "size": of.size,
               "platform": {"os": "linux", "architecture": architecture}})
    };
    let children = [
        entry(&image.root, "amd64"),
        entry(&image.root, "arm64"),
        entry(&other.root, "s390x"),
    ];
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children});
    source.put_manifest("team/app", "1", INDEX, index.to_string());
    let run = copy(&source, &target).args(["--platforms", "linux/arm64"]);
    run.run().await.ended(0);
    assert!(target.manifest("app", &image.root.digest).is_some());
    assert!(target.manifest("app", &other.root.digest).is_none());
    Ok(())
}

#[tokio::test]
async fn rare_and_legal_content_arrives_as_it_is() -> Result {
    use base64::Engine as _;
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let config = source.put_blob("team/app", b"{}")?;
    let empty = source.put_blob("team/app", b"")?;
    let held = b"held by its descriptor";
    let data = base64::engine::general_purpose::STANDARD.encode(held);
    let long = "x".repeat(600_000);
    let manifest = json!({
        "schemaVersion": 2,
        "config": {"mediaType": "application/x", "digest": config.digest, "size": 2, "data": "e30="},
        "layers": [
            {"mediaType": "application/x", "digest": empty.digest, "size": 0},
            // The registry itself does not have it.
            {"mediaType": "application/x", "digest": digest_of(held), "size": held.len(), "data": data},
            // What the field holds is something else: the blob counts.
            {"mediaType": "application/x", "digest": config.digest, "size": 2, "data": "eHg="},
            {"mediaType": "application/x", "digest": config.digest, "size": 2, "urls": ["https://example.invalid/x"]},
            {"mediaType": media::LAYER_FOREIGN, "digest": digest_of(b"foreign"), "size": 7, "urls": ["https://example.invalid/x"]},
        ],
        "annotations": {"long": long},
    });
    let image = source.put_manifest("team/app", "", media::MANIFEST, manifest.to_string());
    let inner = json!({"schemaVersion": 2, "manifests": [
        {"mediaType": media::MANIFEST, "digest": image.digest, "size": image.size}
    ]});
    let inner = source.put_manifest("team/app", "", INDEX, inner.to_string());
    let outer = json!({"schemaVersion": 2, "manifests": [
        {"mediaType": INDEX, "digest": inner.digest, "size": inner.size},
        {"mediaType": media::MANIFEST, "digest": image.digest, "size": image.size},
    ]});
    let outer = outer.to_string();
    let outer_digest = digest_of(outer.as_bytes());
    source.put_manifest("team/app", "1", INDEX, outer);
    for type_of in [
        None,
        Some("text/plain"),
        Some("application/json; charset=utf-8"),
    ] {
        source.faults().clear();
        if let Some(kind) = type_of {
            let (_, bytes, digest) = source.manifest("team/app", "1").expect("the index");
            let answer = Fault::status(200)
                .header("Content-Type", kind)
                .header("Docker-Content-Digest", &digest)
                .body(std::str::from_utf8(&bytes)?);
            source
                .faults()
                .add(Rule::new(answer).on("GET", "/manifests/1"));
            target.remove_manifest("app", "1");
        }
        let done = copy(&source, &target).run().await.ended(0);
        done.said(&["is a foreign one and stays behind"]);
        let found = target.manifest("app", "1").map(|found| found.2);
        assert_eq!(found.as_ref(), Some(&outer_digest), "{type_of:?}");
    }
    assert_eq!(
        target.blob("app", &digest_of(held)).as_deref(),
        Some(&held[..])
    );
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    Ok(())
}
