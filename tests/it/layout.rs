//! An OCI image layout folder as target and as source: no AWS, no server.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lab::chart::{Chart, ChartRepository};
use lab::content::digest_of;
use lab::image::Image;
use lab::registry::Registry;
use serde_json::Value;

use super::Result;
use super::data::{Data, chart_entry};
use super::run::Run;

const NAME: &str = "org.opencontainers.image.ref.name";

fn image(seed: u64) -> Image {
    let image = Image::new().platform("linux/amd64").platform("linux/arm64");
    image.base(5000, 1).layer(3000, seed).attestations()
}

fn deploy(data: &Data, source: &Registry, dir: &Path) -> Run {
    let run = data.run("deploy").endpoint("quay.io", &source.url());
    run.arg("--registry-prefix")
        .arg(format!("oci:{}", dir.display()))
}

/// The names of a layout with their digests; everything that they refer to must be there and whole.
fn read(dir: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mark: Value = serde_json::from_slice(&fs::read(dir.join("oci-layout"))?)?;
    assert_eq!(mark["imageLayoutVersion"], "1.0.0");
    let index: Value = serde_json::from_slice(&fs::read(dir.join("index.json"))?)?;
    assert_eq!(index["schemaVersion"], 2);
    let (mut names, mut open) = (Vec::new(), Vec::new());
    for entry in index["manifests"].as_array().expect("a list") {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        names.push((text(&entry["annotations"][NAME]), text(&entry["digest"])));
        open.push((entry.clone(), true));
    }
    while let Some((descriptor, is_manifest)) = open.pop() {
        let digest = descriptor["digest"].as_str().expect("a digest");
        let path = dir.join("blobs").join(digest.replace(':', "/"));
        let bytes = fs::read(&path).map_err(|error| anyhow::anyhow!("{digest}: {error}"))?;
        assert_eq!(digest_of(&bytes), digest);
        assert_eq!(descriptor["size"], bytes.len());
        if is_manifest {
            let manifest: Value = serde_json::from_slice(&bytes)?;
            let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
            open.extend(list("manifests").into_iter().map(|child| (child, true)));
            open.extend(list("layers").into_iter().map(|layer| (layer, false)));
            open.extend(manifest.get("config").map(|config| (config.clone(), false)));
        }
    }
    names.sort();
    Ok(names)
}

/// Every file of a folder with its bytes.
fn files(dir: &Path) -> anyhow::Result<BTreeSet<(String, Vec<u8>)>> {
    let (mut found, mut open) = (BTreeSet::new(), vec![dir.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert((path.display().to_string(), fs::read(&path)?));
            }
        }
    }
    Ok(found)
}

#[tokio::test]
async fn a_folder_needs_no_cloud_and_becomes_a_valid_layout() -> Result {
    let source = Registry::start().await?;
    let pushed = image(2).push(&source, "team/app", "1")?;
    let docker = image(3).docker().push(&source, "team/docker", "1")?;
    let charts = ChartRepository::start(vec![Chart::new("app", "1.0.0")]).await?;
    let default = chart_entry("app", &charts.url(), "")
        + "additional_images: {a: 'quay.io/team/app:1', b: 'quay.io/team/docker:1'}\n";
    let data = Data::new(&default, "ami: {}\n");
    let parent = tempfile::tempdir()?;
    let dir = parent.path().join("deep/mirror");

    let first = deploy(&data, &source, &dir).run().await.ended(0);
    let names = read(&dir)?;
    let found: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    let chart = format!("{}/app:1.0.0", charts.host().replace(':', "-"));
    assert_eq!(
        found,
        [&chart, "quay.io/team/app:1", "quay.io/team/docker:1"]
    );
    assert_eq!(names[1].1, pushed.root.digest);
    assert_eq!(names[2].1, docker.root.digest);
    let result = first.result();
    let name = format!("oci:{}:quay.io/team/app:1", dir.display());
    assert_eq!(result["additional_images"]["a"], name);

    let before = files(&dir)?;
    source.wire().clear();
    let second = deploy(&data, &source, &dir).run().await.ended(0);
    assert!(
        second
            .done()
            .iter()
            .all(|(_, done)| done == "already there")
    );
    assert_eq!(source.wire().count("GET", "/blobs/"), 0);
    assert!(files(&dir)? == before, "a second run changed the folder");
    Ok(())
}

#[tokio::test]
async fn from_the_folder_into_a_registry_the_digests_stay() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = image(2).push(&source, "team/app", "1")?;
    let dir = tempfile::tempdir()?;
    deploy(&Data::images(&["quay.io/team/app:1"]), &source, dir.path())
        .run()
        .await
        .ended(0);
    drop(source);
    let from = format!("oci:{}:quay.io/team/app:1", dir.path().display());
    let to = format!("{}/copied/app:2", target.host());
    Run::new().args(["copy", &from, &to]).run().await.ended(0);
    let copied = target
        .manifest("copied/app", "2")
        .map(|(_, _, digest)| digest);
    assert_eq!(copied, Some(pushed.root.digest));
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn two_runs_at_once_lose_no_name() -> Result {
    let source = Registry::start().await?;
    for number in 0..9 {
        image(number).push(&source, "team/app", &number.to_string())?;
    }
    let names = |range: std::ops::Range<u64>| -> Vec<String> {
        range
            .map(|number| format!("quay.io/team/app:{number}"))
            .collect()
    };
    let data = [names(0..6), names(3..9)].map(|names| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Data::images(&names)
    });
    let dir = tempfile::tempdir()?;
    let runs = data
        .each_ref()
        .map(|data| deploy(data, &source, dir.path()).start());
    for run in runs {
        run.finish().await.ended(0);
    }
    let found: Vec<String> = read(dir.path())?
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(found, names(0..9));
    Ok(())
}

#[tokio::test]
async fn a_failed_image_leaves_no_name_and_no_half_of_a_blob() -> Result {
    let source = Registry::start().await?;
    image(2).push(&source, "team/bad", "1")?;
    image(3).push(&source, "team/good", "1")?;
    let rule = lab::faults::Rule::new(lab::faults::Fault::Truncate { after: 1000 });
    source.faults().add(rule.on("GET", "/team/bad/blobs/"));
    let dir = tempfile::tempdir()?;
    let data = Data::images(&["quay.io/team/bad:1", "quay.io/team/good:1"]);
    let run = deploy(&data, &source, dir.path()).args(["--tries", "1"]);
    run.run().await.ended(1).said(&["source", "team/bad:1"]);
    let names = read(dir.path())?;
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].0, "quay.io/team/good:1");
    for (path, bytes) in files(dir.path())? {
        assert!(!path.contains(".partial"), "{path} was left behind");
        if let Some((_, hex)) = path.rsplit_once("/sha256/") {
            assert_eq!(digest_of(&bytes), format!("sha256:{hex}"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_folder_that_another_tool_wrote_keeps_its_names() -> Result {
    let source = Registry::start().await?;
    let pushed = image(2).push(&source, "team/app", "1")?;
    let dir = tempfile::tempdir()?;
    let theirs = serde_json::json!({
        "mediaType": lab::image::media::INDEX,
        "digest": pushed.root.digest,
        "size": pushed.root.size,
        "annotations": {NAME: "theirs", "x": "y"},
    });
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [theirs]});
    fs::write(dir.path().join("index.json"), index.to_string())?;
    fs::write(
        dir.path().join("oci-layout"),
        r#"{"imageLayoutVersion": "1.0.0"}"#,
    )?;
    let data = Data::images(&["quay.io/team/app:1"]);
    deploy(&data, &source, dir.path()).run().await.ended(0);
    let names = read(dir.path())?;
    let found: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(found, ["quay.io/team/app:1", "theirs"]);
    let index: Value = serde_json::from_slice(&fs::read(dir.path().join("index.json"))?)?;
    assert_eq!(index["manifests"][0], theirs);
    Ok(())
}

#[tokio::test]
async fn a_layer_that_must_not_be_copied_is_a_warning() -> Result {
    let source = Registry::start().await?;
    let config = source.put_blob("team/win", b"{}")?;
    let foreign = format!("sha256:{}", "a".repeat(64));
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": config.digest, "size": 2},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                    "digest": foreign, "size": 9, "urls": ["https://publisher.example/layer"]}],
    });
    let media_type = "application/vnd.docker.distribution.manifest.v2+json";
    source.put_manifest("team/win", "1", media_type, manifest.to_string());
    let folder = tempfile::tempdir()?;
    let layout = format!("oci:{}:win", folder.path().join("mirror").display());
    let copy = Run::new().args(["copy", &format!("{}/team/win:1", source.host()), &layout]);
    let done = copy.run().await.ended(0);
    done.said(&["warning:", &foreign, "is a foreign one and stays behind"]);
    Ok(())
}

#[tokio::test]
async fn what_a_killed_run_left_is_removed_and_nothing_else() -> Result {
    let source = Registry::start().await?;
    image(2).push(&source, "team/app", "1")?;
    Image::new()
        .layer(400, 9)
        .push(&source, "team/other", "1")?;
    let dir = tempfile::tempdir()?;
    let partials = || -> anyhow::Result<Vec<String>> {
        let names = files(dir.path())?.into_iter().map(|(path, _)| path);
        Ok(names.filter(|path| path.contains("/.partial-")).collect())
    };
    let slow = lab::faults::Fault::StallWithin {
        after: 1000,
        pause: std::time::Duration::from_secs(30),
    };
    let rule = lab::faults::Rule::new(slow).on("GET", "/team/app/blobs/");
    source.faults().add(rule);
    let app = Data::images(&["quay.io/team/app:1"]);
    let run = deploy(&app, &source, dir.path()).start();
    run.until("a file is begun", || {
        partials().is_ok_and(|found| !found.is_empty())
    })
    .await;
    // Files of others, one of which has a name much like ours.
    let theirs = [
        "blobs/sha256/upload.partial",
        "blobs/sha256/.partial-of-another-tool",
        "notes",
    ];
    for name in theirs {
        fs::write(dir.path().join(name), "theirs")?;
    }
    // Another process leaves alone what is in use.
    let other = Data::images(&["quay.io/team/other:1"]);
    deploy(&other, &source, dir.path()).run().await.ended(0);
    assert!(partials()?.len() > 1, "{:?}", partials()?);

    drop(run);
    source.faults().clear();
    deploy(&other, &source, dir.path()).run().await.ended(0);
    assert_eq!(partials()?.len(), 1, "{:?}", partials()?);
    for name in theirs {
        assert_eq!(fs::read_to_string(dir.path().join(name))?, "theirs");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_deleted_from_a_folder_is_copied_again() -> Result {
    let source = Registry::start().await?;
    let pushed = image(2).push(&source, "team/app", "1")?;
    Image::new()
        .layer(400, 9)
        .push(&source, "team/other", "1")?;
    let data = Data::images(&["quay.io/team/app:1", "quay.io/team/other:1"]);
    let dir = tempfile::tempdir()?;
    let prefix = format!("oci:{}", dir.path().display());
    let first = deploy(&data, &source, dir.path()).run().await.ended(0);
    let result = first.out().join("replication_result.json");
    let path = |digest: &str| dir.path().join("blobs").join(digest.replace(':', "/"));
    let index: Value = serde_json::from_slice(&fs::read(path(&pushed.root.digest))?)?;
    let child = index["manifests"][0]["digest"].as_str().expect("a digest");
    let blobs: Value = serde_json::from_slice(&fs::read(path(child))?)?;
    let layer = blobs["layers"][1]["digest"].as_str().expect("a digest");
    let config = blobs["config"]["digest"].as_str().expect("a digest");
    let whole = files(dir.path())?;
    for lost in [layer, config, child, &pushed.root.digest] {
        for is_cut in [false, true] {
            if is_cut {
                fs::write(path(lost), "cut")?;
            } else {
                fs::remove_file(path(lost))?;
            }
            let verify = Run::new().arg("verify").arg(&result);
            let verify = verify.run().await.ended(1);
            verify.said(&[
                "hint: incomplete: run `replicator deploy` again: it brings what is missing",
            ]);
            let plan = data.run("plan").endpoint("quay.io", &source.url());
            let plan = plan.args(["--registry-prefix", &prefix, "--exit-code"]);
            plan.run().await.ended(3);
            let again = deploy(&data, &source, dir.path()).run().await.ended(0);
            let done: Vec<_> = again.done().into_iter().map(|(_, done)| done).collect();
            assert_eq!(done, ["copied", "already there"], "{lost}");
            let verify = Run::new().arg("verify").arg(&result);
            verify.run().await.ended(0);
            let names = |files: &BTreeSet<(String, Vec<u8>)>| -> Vec<_> {
                let blobs = files.iter().filter(|(path, _)| path.contains("/blobs/"));
                blobs.cloned().collect()
            };
            assert!(names(&files(dir.path())?) == names(&whole), "{lost}");
        }
    }
    Ok(())
}
