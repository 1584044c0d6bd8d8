//! Sources are verified in every kind of run: with workers, with locks, for a bundle and out of one. What it costs.

use std::fs;
use std::path::Path;

use lab::aws::{Aws, KeySpec};
use lab::chart::Chart;
use lab::image::{Image, Pushed};
use lab::registry::Registry;
use serde_json::Value;

use super::Result;
use super::builds::{Corpus, first, is_published, logs, slow, slow_until, totals};
use super::bundles::load;
use super::data::{Data, chart_entry};
use super::ecr::build;
use super::run::{Run, Running};
use super::signer::Signer;
use super::trust::{APP, app, data, deploy, image};

const ATTESTS: &str = "SEEDFARMER_PARAMETER_ATTESTATION_KMS_KEY_ARN";

/// Signs each image, every other one with a bundle.
fn sign_all(signer: &Signer, source: &Registry, images: &[Pushed]) -> Result {
    for (number, pushed) in images.iter().enumerate() {
        if number % 2 == 0 {
            signer.sign_tag(source, &pushed.repository, &pushed.root.digest)?;
        } else {
            signer.sign_bundle(source, &pushed.repository, &pushed.root)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_coordinator_verifies_what_workers_copy() -> Result {
    let (aws, source) = slow(300).await?;
    let (signer, corpus) = (Signer::new(), Corpus::new(&source, 24)?);
    sign_all(&signer, &source, &corpus.pushed)?;
    let names: Vec<&str> = corpus.names.iter().map(String::as_str).collect();
    let data = data(&names, &signer.rule("quay.io/team/*"));
    let run = || {
        let run = first(&aws, &data, &source, "3").env("SEEDFARMER_PARAMETER_JOBS", "1");
        run.env("SEEDFARMER_PARAMETER_TRUST", "require")
    };
    let at_work = |_: &Running| logs(&aws).contains("copied ");
    let done = slow_until(&source, run(), "a worker has copied", at_work).await;
    let done = done.ended(0);
    assert_eq!(totals(&done), (24, 0), "{}", logs(&aws));
    corpus.assert_arrived(&source, &aws);
    assert!(logs(&aws).contains("shard "), "{}", logs(&aws));
    let report = done.json("replication_report.json");
    for artifact in report["artifacts"].as_array().expect("a list") {
        assert_eq!(artifact["trust"]["state"], "signed", "{artifact}");
    }

    // One more that is not signed: no layer of it is read, and nothing is published.
    let (aws, source) = slow(300).await?;
    let corpus = Corpus::new(&source, 12)?;
    sign_all(&signer, &source, &corpus.pushed[1..])?;
    let run = first(&aws, &data_of(&corpus, &signer), &source, "3");
    let run = run.env("SEEDFARMER_PARAMETER_JOBS", "1");
    let run = run.env("SEEDFARMER_PARAMETER_TRUST", "require");
    let failed = run.run().await.ended(1);
    assert_eq!(totals(&failed), (11, 1), "{}", logs(&aws));
    failed.said(&["quay.io/team/app0:1 is not trusted"]);
    for blob in &corpus.pushed[0].blobs {
        if blob.size >= 40_000 {
            assert_eq!(source.wire().count("GET", &blob.digest), 0);
        }
    }
    assert!(aws.registry().manifests("idf-quay.io/team/app0").is_empty());
    assert!(!is_published(&aws));
    Ok(())
}

fn data_of(corpus: &Corpus, signer: &Signer) -> Data {
    let names: Vec<&str> = corpus.names.iter().map(String::as_str).collect();
    data(&names, &signer.rule("quay.io/team/*"))
}

fn lock(data: &Data, source: &Registry, mode: &str) -> Run {
    let run = Run::new().args(["lock", "--eks-version", "1.34", "--trust", mode]);
    data.given_to(run).endpoint("quay.io", &source.url())
}

fn lock_of(data: &Data) -> Value {
    let text = fs::read(data.file_path("1.34.lock.json")).expect("a lock");
    serde_json::from_slice(&text).expect("JSON")
}

#[tokio::test]
async fn a_lock_records_who_signed_what_and_is_not_believed() -> Result {
    let signer = Signer::new();
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = image(&source)?;
    let data = app(&signer.rule("quay.io/*"));
    lock(&data, &source, "require")
        .run()
        .await
        .ended(1)
        .said(&["found: no signature", "cannot be locked"]);
    assert!(!data.file_path("1.34.lock.json").exists());
    lock(&data, &source, "warn").run().await.ended(0);
    let untrusted = lock_of(&data)["images"][0]["trust"].clone();
    assert_eq!(untrusted["state"], "untrusted", "{untrusted}");

    signer.sign_tag(&source, "team/app", &pushed.root.digest)?;
    lock(&data, &source, "require").run().await.ended(0);
    let trust = lock_of(&data)["images"][0]["trust"].clone();
    assert_eq!(trust["state"], "signed");
    assert_eq!(trust["digest"], pushed.root.digest);
    let by = trust["signedBy"].as_str().unwrap_or_default().to_owned();
    assert!(by.starts_with("key sha256:"), "{by}");
    let run = || deploy(&data, &source, &target, "require").arg("--locked");
    let done = run().run().await.ended(0);
    assert_eq!(done.report_of("team/app:1")["trust"]["signedBy"], by);

    // What the lock says of signatures is a record: it is verified again, also where the target has the image.
    let tag = lab::image::cosign_tag(&pushed.root.digest, "sig");
    source.remove_manifest("team/app", &tag);
    run().run().await.ended(1).said(&["found: no signature"]);
    let other = Registry::start().await?;
    let run = deploy(&data, &source, &other, "require").arg("--locked");
    run.run().await.ended(1).said(&["found: no signature"]);
    assert_eq!(other.repositories(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_locked_run_of_selected_platforms_verifies_the_index_of_the_source() -> Result {
    let (signer, aws) = (Signer::new(), Aws::start().await?);
    let source = Registry::start().await?;
    let pushed = image(&source)?;
    signer.sign_bundle(&source, "team/app", &pushed.root)?;
    let data = app(&signer.rule("quay.io/*"));
    let one = ["--platforms", "linux/arm64"];
    lock(&data, &source, "require")
        .args(one)
        .run()
        .await
        .ended(0);
    let key = aws.put_key(KeySpec::P256);
    for _ in 0..2 {
        let run = build(&aws, &data, &source).args(one).arg("--locked");
        let run = run.env("SEEDFARMER_PARAMETER_TRUST", "require");
        let run = run.env(ATTESTS, &key).run().await.ended(0);
        let trust = run.report_of("team/app:1")["trust"].clone();
        assert_eq!(trust["digest"], pushed.root.digest, "{trust}");
    }
    // The attestation names the same source each time.
    assert_eq!(aws.count("Sign"), 1);
    Ok(())
}

#[tokio::test]
async fn a_lock_pins_and_signatures_of_locked_charts_are_read_at_their_source() -> Result {
    let (signer, source) = (Signer::new(), Registry::start().await?);
    image(&source)?;
    let chart = Chart::new("app", "1.0.0").push_oci(&source, "charts/app")?;
    signer.sign_bundle(&source, "charts/app", &chart.root)?;
    let entry = chart_entry("app", "oci://quay.io/charts", "");
    let rules = signer.rule("oci://quay.io/charts") + "  - {match: quay.io/team/*, digest: true}\n";
    let default =
        format!("{entry}additional_images: {{app: \"quay.io/team/app:1\"}}\ntrust:\n{rules}");
    let data = Data::new(&default, "ami: {}\n");
    lock(&data, &source, "warn")
        .arg("--no-referrers")
        .run()
        .await
        .ended(0);
    let target = Registry::start().await?;
    for _ in 0..2 {
        // Nothing that refers to the chart is at the target.
        let run = deploy(&data, &source, &target, "require").args(["--locked", "--no-referrers"]);
        let run = run.run().await.ended(0);
        assert_eq!(run.report_of("app:1.0.0")["trust"]["state"], "signed");
        assert_eq!(run.report_of("team/app:1")["trust"]["state"], "pinned");
    }
    Ok(())
}

#[tokio::test]
async fn a_bundle_is_saved_of_what_is_trusted_and_verified_again_when_it_is_loaded() -> Result {
    let (signer, source) = (Signer::new(), Registry::start().await?);
    let pushed = image(&source)?;
    let data = app(&signer.rule("quay.io/*"));
    let folder = tempfile::tempdir()?;
    let save = |name: &str, mode: &str| {
        let run = Run::new().args(["save", "--eks-version", "1.34", "--trust", mode]);
        let run = data.given_to(run).arg(folder.path().join(name));
        run.endpoint("quay.io", &source.url())
    };
    let load = |name: &str, mode: &str, to: &Path| {
        let prefix = format!("oci:{}", to.display());
        load(&folder.path().join(name), &prefix).args(["--trust", mode])
    };
    let refused = ["quay.io/team/app:1 is not trusted", "found: no signature"];
    save("a.tar", "require").run().await.ended(1).said(&refused);
    save("a.tar", "off").run().await.ended(0);
    let mirror = folder.path().join("mirror");
    let run = load("a.tar", "require", &mirror);
    let failed = run.run().await.ended(1).said(&refused);
    assert_eq!(totals(&failed), (0, 1));
    load("a.tar", "off", &mirror).run().await.ended(0);

    // With a lock that is there already, too.
    lock(&data, &source, "off").run().await.ended(0);
    save("b.tar", "require").run().await.ended(1).said(&refused);
    signer.sign_bundle(&source, "team/app", &pushed.root)?;
    lock(&data, &source, "require").run().await.ended(0);
    save("b.tar", "require").run().await.ended(0);
    let mirror = folder.path().join("other");
    let run = load("b.tar", "require", &mirror).run().await.ended(0);
    assert_eq!(run.report_of("team/app:1")["trust"]["state"], "signed");
    Ok(())
}

#[tokio::test]
async fn off_sends_no_request_more_and_require_two_for_an_image_at_most() -> Result {
    const IMAGES: usize = 24;
    let (signer, source) = (Signer::new(), Registry::start().await?);
    let (mut pushed, mut names) = (Vec::new(), Vec::new());
    for number in 0..IMAGES {
        let image = Image::new().platform("linux/amd64").platform("linux/arm64");
        let name = format!("team/app{number}");
        let seed = 10 + number as u64;
        pushed.push(image.layer(3000, seed).push(&source, &name, "1")?);
        names.push(format!("quay.io/{name}:1"));
    }
    sign_all(&signer, &source, &pushed)?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let with_rules = data(&names, &signer.rule("quay.io/*"));
    let without = Data::images(&names);
    let (mut new, mut again) = (Vec::new(), Vec::new());
    for (data, mode) in [
        (&without, "off"),
        (&with_rules, "off"),
        (&with_rules, "require"),
    ] {
        let target = Registry::start().await?;
        for counts in [&mut new, &mut again] {
            source.wire().clear();
            deploy(data, &source, &target, mode).run().await.ended(0);
            counts.push(source.wire().requests().len());
        }
        assert!(target.manifest(&APP.replace("app", "app1"), "1").is_some());
    }
    // A copy reads the referrers anyway: of each signature only the content is read besides.
    assert_eq!(new, [new[0], new[0], new[0] + IMAGES]);
    // Where the target has the image, its referrers would not be looked for. Under a tag these are the tag and one
    // content; of a bundle that there is no such tag, the list, one manifest and one content.
    let (tags, bundles) = (IMAGES / 2, IMAGES / 2);
    assert_eq!(
        again,
        [again[0], again[0], again[0] + 2 * tags + 5 * bundles]
    );
    Ok(())
}
