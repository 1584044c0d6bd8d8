//! What is in a bundle.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::Registry;
use tempfile::TempDir;

use crate::Result;
use crate::data::Data;
use crate::run::Run;

use super::{Sources, content, image, load, names};

#[tokio::test]
async fn the_same_content_gives_the_same_bytes() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let at = |name: &str| parent.path().join(name);
    sources.save(&at("a.tar")).await.ended(0);
    sources.registry.faults().latency(3);
    sources
        .run("save")
        .args(["--jobs", "1"])
        .arg(at("b.tar"))
        .run()
        .await
        .ended(0);
    sources
        .run("save")
        .args(["--split", "64KiB"])
        .arg(at("c.tar"))
        .run()
        .await
        .ended(0);
    let whole = fs::read(at("a.tar"))?;
    assert!(whole == fs::read(at("b.tar"))?);
    let mut parts = Vec::new();
    for number in 1..=whole.len().div_ceil(64 << 10) {
        parts.extend(fs::read(at(&format!("c.tar.{number:03}")))?);
    }
    assert!(whole == parts);
    assert!(!at("c.tar").exists());
    load(&at("c.tar"), &format!("oci:{}", at("loaded").display()))
        .run()
        .await
        .ended(0);
    Ok(())
}

#[tokio::test]
async fn an_unpacked_bundle_is_a_layout_with_the_names_of_the_sources() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let bundle = parent.path().join("bundle.tar");
    sources.save(&bundle).await.ended(0);
    let dir = parent.path().join("layout");
    fs::create_dir(&dir)?;
    let tar = Command::new("tar")
        .arg("xf")
        .arg(&bundle)
        .arg("-C")
        .arg(&dir)
        .output()?;
    assert!(tar.status.success() && tar.stderr.is_empty(), "{tar:?}");
    let check = Command::new("sha256sum")
        .args(["-c", "bundle.json.sha256"])
        .current_dir(&dir)
        .output()?;
    assert!(check.status.success(), "{check:?}");
    let host = sources.charts.host().replace(':', "-");
    let names: BTreeSet<String> = names(&dir)?
        .into_iter()
        .filter_map(|(name, _)| name)
        .collect();
    for name in [
        &format!("{host}/first:1.0.0"),
        "quay.io/charts/second:2.0.0_b",
        "quay.io/team/app:1",
        "quay.io/team/docker:1",
    ] {
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
    let target = Registry::start().await?;
    let from = format!("oci:{}:quay.io/team/app:1", dir.display());
    let to = format!("{}/app:1", target.host());
    Run::new().args(["copy", &from, &to]).run().await.ended(0);
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_save_that_was_killed_goes_on_where_it_was() -> Result {
    let registry = Registry::start().await?;
    for number in 0..6 {
        let image = Image::new()
            .layer(1 << 20, number)
            .layer(3000, 100 + number);
        image.push(&registry, "team/app", &number.to_string())?;
    }
    let images: Vec<String> = (0..6)
        .map(|number| format!("quay.io/team/app:{number}"))
        .collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let data = Data::images(&images);
    let parent = tempfile::tempdir()?;
    let at = |name: &str| parent.path().join(name);
    let save = |name: &str| {
        data.run("save")
            .endpoint("quay.io", &registry.url())
            .arg(at(name))
    };
    save("whole.tar").run().await.ended(0);
    // One blob comes slowly; the others are complete when the run is killed.
    let slow = Rule::new(Fault::Stall(std::time::Duration::from_secs(50)))
        .on("GET", "/blobs/")
        .nth(7);
    registry.wire().clear();
    registry.faults().add(slow);
    let run = save("killed.tar").args(["--jobs", "2"]).start();
    run.until("some blobs have come", || {
        registry.wire().count("GET", "/blobs/") >= 10
    })
    .await;
    run.signal("KILL");
    drop(run);
    assert!(!at("killed.tar").exists() && at("killed.tar.partial").exists());
    registry.faults().clear();
    registry.wire().clear();
    save("killed.tar").run().await.ended(0);
    assert!(fs::read(at("killed.tar"))? == fs::read(at("whole.tar"))?);
    assert!(!at("killed.tar.partial").exists());
    let again = registry.wire().count("GET", "/blobs/");
    assert!(again <= 15, "{again} of 18 blobs were read again");
    Ok(())
}

#[tokio::test]
async fn what_is_locked_is_saved_whatever_tags_name_by_now() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let at = |name: &str| parent.path().join(name);
    sources.run("lock").run().await.ended(0);
    sources.save(&at("before.tar")).await.ended(0);
    let moved = image(9).push(&sources.registry, "team/docker", "1")?;
    moved.sign(&sources.registry)?;
    let (_, _, app) = sources
        .registry
        .manifest("team/app", "1")
        .expect("an image");
    let subject = lab::content::Descriptor {
        digest: app,
        ..moved.root.clone()
    };
    let late = lab::image::Pushed {
        repository: "team/app".to_owned(),
        root: subject,
        ..moved
    };
    late.attach(&sources.registry, "application/vnd.late")?;
    sources
        .save(&at("after.tar"))
        .await
        .ended(0)
        .said(&["1 referrer of it came after it was locked"]);
    assert!(fs::read(at("before.tar"))? == fs::read(at("after.tar"))?);
    // Since the lock there is nothing new.
    let lock = sources.data.file_path("1.34.lock.json");
    let since = sources
        .run("save")
        .arg("--since")
        .arg(&lock)
        .arg(at("since.tar"));
    since.run().await.ended(0).said(&["are left out"]);
    assert!(fs::metadata(at("since.tar"))?.len() < fs::metadata(at("after.tar"))?.len());
    // Data files that do not match it any more are no input for it.
    let changed = fs::read_to_string(sources.data.file_path("default.yaml"))?
        .replace("team/same:1", "team/docker:1");
    fs::write(sources.data.file_path("default.yaml"), changed)?;
    sources
        .save(&at("changed.tar"))
        .await
        .ended(2)
        .said(&["additional_images.same", "replicator lock"]);
    assert!(!at("changed.tar").exists());
    Ok(())
}

#[tokio::test]
async fn since_an_earlier_bundle_only_new_layers_are_saved_and_both_together_are_the_deployment()
-> Result {
    let (registry, parent) = (Registry::start().await?, tempfile::tempdir()?);
    let at = |name: &str| parent.path().join(name);
    let images = |number: u64| -> anyhow::Result<()> {
        let version = (30 + number).to_string();
        Image::new()
            .layer(1 << 20, 1)
            .layer(9000, 10 + number)
            .push(&registry, "team/app", &version)?;
        // A layer that another repository has is saved: this one may not get it from there.
        let moved = Image::new().layer(1 << 19, 2).layer(5000, 20 + number);
        moved.push(
            &registry,
            if number == 1 { "team/old" } else { "team/new" },
            &version,
        )?;
        Ok(())
    };
    images(1)?;
    images(2)?;
    let first = Data::images(&["quay.io/team/app:31", "quay.io/team/old:31"]);
    let second = Data::images(&["quay.io/team/app:32", "quay.io/team/new:32"]);
    let save = |data: &Data, name: &str| {
        data.run("save")
            .endpoint("quay.io", &registry.url())
            .arg(at(name))
    };
    save(&first, "31.tar").run().await.ended(0);
    save(&second, "32.tar").run().await.ended(0);
    let since = save(&second, "since.tar").arg("--since").arg(at("31.tar"));
    since.run().await.ended(0).said(&["are left out"]);
    let size = |name: &str| fs::metadata(at(name)).map(|file| file.len());
    assert!(
        size("since.tar")? + (1 << 20) <= size("32.tar")? + 4096 && size("since.tar")? > 1 << 19
    );
    let target = Registry::start().await?;
    let prefix = format!("{}/mirror/", target.host());
    // Alone it is refused before anything is written.
    let alone = load(&at("since.tar"), &prefix).run().await.ended(2);
    alone
        .said(&["lacks 1 layer of", "load the bundle first"])
        .left_nothing();
    assert_eq!(target.repositories(), Vec::<String>::new());
    load(&at("31.tar"), &prefix).run().await.ended(0);
    load(&at("since.tar"), &prefix).run().await.ended(0);
    let direct = Registry::start().await?;
    for data in [&first, &second] {
        data.deploy(&direct)
            .endpoint("quay.io", &registry.url())
            .run()
            .await
            .ended(0);
    }
    assert_eq!(content(&target), content(&direct));
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_image_that_is_missing_at_its_source_leaves_no_bundle() -> Result {
    let registry = Registry::start().await?;
    image(1).push(&registry, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1", "quay.io/team/gone:1"]);
    let parent: TempDir = tempfile::tempdir()?;
    let run = data
        .run("save")
        .endpoint("quay.io", &registry.url())
        .arg(parent.path().join("b.tar"));
    run.run()
        .await
        .ended(1)
        .said(&["there is no quay.io/team/gone:1", "nothing was written"]);
    assert_eq!(fs::read_dir(parent.path())?.count(), 0);
    Ok(())
}

#[tokio::test]
async fn charts_are_in_every_bundle_although_an_earlier_one_has_them() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let at = |name: &str| parent.path().join(name);
    sources.save(&at("first.tar")).await.ended(0);
    sources.run("lock").run().await.ended(0);
    let lock = sources.data.file_path("1.34.lock.json");
    let target = Registry::start().await?;
    let registry = format!("{}/mirror/", target.host());
    let folder = format!("oci:{}", at("mirror").display());
    for prefix in [&registry, &folder] {
        load(&at("first.tar"), prefix).run().await.ended(0);
    }
    for (name, since) in [("bundle.tar", at("first.tar")), ("lock.tar", lock)] {
        let save = sources.run("save").arg("--since").arg(&since).arg(at(name));
        save.run().await.ended(0).said(&["are left out"]);
        assert!(fs::metadata(at(name))?.len() < fs::metadata(at("first.tar"))?.len());
        for prefix in [&registry, &folder] {
            let dry = load(&at(name), prefix).arg("--dry-run");
            dry.run().await.ended(0);
            let locked = load(&at(name), prefix).arg("--locked").run().await.ended(0);
            assert!(
                locked
                    .done()
                    .iter()
                    .all(|(_, done)| done == "already there")
            );
            load(&at(name), prefix).run().await.ended(0);
        }
    }
    // A layer that is gone from the folder is missed before anything is written.
    let blobs = at("mirror/blobs/sha256");
    let largest = fs::read_dir(&blobs)?
        .map(|entry| {
            anyhow::Ok((
                entry
                    .as_ref()
                    .map_or(0, |e| e.metadata().map_or(0, |m| m.len())),
                entry?.path(),
            ))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let (_, largest) = largest.into_iter().max().expect("a layer");
    fs::remove_file(largest)?;
    let alone = load(&at("bundle.tar"), &folder).run().await.ended(2);
    alone.said(&["load the bundle first"]);
    load(&at("first.tar"), &folder).run().await.ended(0);
    load(&at("bundle.tar"), &folder).run().await.ended(0);
    // A result document is neither a bundle nor a lock.
    let planned = sources.run("plan").args(["--registry-prefix", &folder]);
    let planned = planned.run().await.ended(0);
    sources.registry.wire().clear();
    for name in ["replication_result.json", "none.json"] {
        let save = sources.run("save").arg("--since");
        let save = save.arg(planned.out().join(name)).arg(at("no.tar"));
        save.run().await.ended(2).said(&[name]);
    }
    assert_eq!(sources.registry.wire().requests().len(), 0);
    Ok(())
}
