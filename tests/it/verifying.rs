//! `replicator verify`: what a result document names is at the target, whole, or what is not is named.

mod documents;

use std::fs;
use std::path::Path;
use std::time::Duration;

use lab::aws::Aws;
use lab::chart::{Chart, ChartRepository};
use lab::faults::{Fault, Rule};
use lab::image::{Image, Pushed};
use lab::registry::{Auth, Registry};
use serde_json::{Value, json};

use super::Result;
use super::content::{mirrored, writes};
use super::data::{Data, chart_entry};
use super::ecr::{build, seed_farmer};
use super::run::{Finished, Run};

const AMD: &str = "linux/amd64";
const ARM: &str = "linux/arm64";

fn image(seed: u64) -> Image {
    let image = Image::new().platform(AMD).platform(ARM);
    image.base(5000, 1).layer(3000, seed).attestations()
}

/// A deployment of two images and a chart, as it was recorded.
struct Deployed {
    target: Registry,
    app: Pushed,
    tool: Pushed,
    done: Finished,
    chart: String,
}

impl Deployed {
    async fn to(target: Registry) -> anyhow::Result<Self> {
        let source = Registry::start().await?;
        let app = image(2).push(&source, "team/app", "1")?;
        let tool = Image::new()
            .layer(2000, 3)
            .push(&source, "team/tool", "1")?;
        let charts = ChartRepository::start(vec![Chart::new("app", "1.0.0+b")]).await?;
        let default = chart_entry("app", &charts.url(), "").replace("1.0.0", "1.0.0+b")
            + "additional_images: {a: 'quay.io/team/app:1', b: 'quay.io/team/tool:1'}\n";
        let data = Data::new(&default, "ami: {}\n");
        let run = data.deploy(&target).endpoint("quay.io", &source.url());
        let run = run.login(&target.host(), "me", "secret");
        let done = run.run().await.ended(0);
        target.wire().clear();
        let chart = format!("mirror/{}/app", charts.host().replace(':', "-"));
        Ok(Self {
            target,
            app,
            tool,
            done,
            chart,
        })
    }

    async fn start() -> anyhow::Result<Self> {
        Self::to(Registry::start().await?).await
    }

    /// The digest of the image's manifest for a platform.
    fn child(&self, platform: &str) -> String {
        let to = mirrored("team/app");
        let (_, index, _) = self.target.manifest(&to, "1").expect("the index");
        let index: Value = serde_json::from_slice(&index).expect("JSON");
        let children = index["manifests"].as_array().expect("a list").iter();
        let mut named = children.filter(|child| {
            let of = &child["platform"];
            platform == format!("{}/{}", of["os"], of["architecture"]).replace('"', "")
        });
        named.next().expect("a child")["digest"]
            .as_str()
            .expect("a digest")
            .to_owned()
    }

    /// Checks what the deployment recorded.
    fn verify(&self) -> Run {
        verify(&self.done.out().join("replication_result.json"))
    }
}

fn verify(document: &Path) -> Run {
    let run = Run::new().arg("verify").arg(document);
    run.args(["--json", "--tries", "2"])
}

/// The JSON on standard output.
fn found(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).expect("JSON")
}

/// What was found of the artifact whose name ends with a text.
#[track_caller]
fn finding(finished: &Finished, name: &str) -> Value {
    let found = found(finished);
    let artifacts = found["artifacts"].as_array().expect("a list").iter();
    let mut named = artifacts.filter(|artifact| {
        let target = artifact["target"].as_str();
        target.is_some_and(|target| target.ends_with(name))
    });
    named.next().expect("an artifact").clone()
}

#[tokio::test]
async fn all_that_was_deployed_is_found_and_nothing_is_written_or_read() -> Result {
    let registry = Registry::builder().auth(Auth::bearer("me", "secret"));
    let deployed = Deployed::to(registry.start().await?).await?;
    let run = deployed
        .verify()
        .login(&deployed.target.host(), "me", "secret");
    let done = run.run().await.ended(0);
    let totals = &found(&done)["totals"];
    assert_eq!(
        (&totals["artifacts"], &totals["there"]),
        (&json!(3), &json!(3))
    );
    let app = finding(&done, "team/app:1");
    assert_eq!(app["state"], "there");
    assert_eq!(app["recorded"], deployed.app.root.digest);
    assert_eq!(app["platforms"], json!([AMD, ARM]));
    assert_eq!(app["manifests"], deployed.app.manifests.len());
    assert_eq!(app["blobs"], deployed.app.blobs.len());
    assert_eq!(finding(&done, "app:1.0.0_b")["state"], "there");
    let wire = deployed.target.wire();
    assert_eq!(writes(wire), Vec::<String>::new());
    assert_eq!(wire.count("GET", "/blobs/"), 0);
    assert_eq!(done.files(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn every_missing_part_is_named_and_the_others_are_checked_all_the_same() -> Result {
    let deployed = Deployed::start().await?;
    let (to, target) = (mirrored("team/app"), &deployed.target);
    let (arm, blob) = (deployed.child(ARM), &deployed.tool.blobs[0].digest);
    target.remove_manifest(&to, &arm);
    target.remove_blob(&mirrored("team/tool"), blob);
    target.remove_manifest(&deployed.chart, "1.0.0_b");
    let failed = deployed.verify().run().await.ended(1);
    let totals = &found(&failed)["totals"];
    assert_eq!(
        (&totals["incomplete"], &totals["missing"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        finding(&failed, "team/app:1")["problems"],
        json!([format!(
            "incomplete: the manifest {arm} for {ARM} is not there"
        )])
    );
    assert_eq!(
        finding(&failed, "team/tool:1")["problems"],
        json!([format!(
            "incomplete: the blob {blob} of {} is not there",
            deployed.tool.root.digest
        )])
    );
    assert_eq!(finding(&failed, "app:1.0.0_b")["state"], "missing");
    failed.said(&[
        &format!("{to}:1: incomplete: the manifest {arm}"),
        "app:1.0.0_b: missing",
        "hint: missing: run `replicator deploy` again",
        "hint: incomplete: delete these images",
        "1 missing, 2 incomplete of 3 artifacts",
    ]);
    Ok(())
}

#[tokio::test]
async fn a_tag_that_moved_is_reported_with_both_digests() -> Result {
    let deployed = Deployed::start().await?;
    let to = mirrored("team/app");
    let other = image(9).push(&deployed.target, &to, "1")?;
    let old = &deployed.app.root.digest;
    let failed = deployed.verify().run().await.ended(1);
    let app = finding(&failed, "team/app:1");
    assert_eq!(
        (&app["state"], &app["found"]),
        (&json!("differs"), &json!(other.root.digest))
    );
    let kept = format!(
        "tag moved: expected {old}, found {} (the expected content is still there under its digest)",
        other.root.digest
    );
    let failed = failed.said(&[&kept, "1 differs of 3 artifacts"]);
    assert_eq!(failed.lines_with("hint"), 1);

    deployed.target.remove_manifest(&to, old);
    let failed = deployed.verify().run().await.ended(1);
    failed.said(&[&format!("expected {old}"), "(the expected content is gone)"]);
    Ok(())
}

#[tokio::test]
async fn a_build_s_own_document_is_read_from_its_bucket() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let pushed = image(2).push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    build(&aws, &data, &source).run().await.ended(0);

    let module = || seed_farmer(Run::new().arg("verify").envs(aws.env()));
    let done = module().run().await.ended(0);
    let place =
        "s3://idf-dkr-img-rep-md-us-east-1-123456789012/dev-replication-images-metadata.json";
    done.said(&[&format!(
        "everything in {place} is at the target: 1 artifact,"
    )]);

    let blob = &pushed.blobs[0].digest;
    aws.registry().remove_blob("idf-quay.io/team/app", blob);
    module().run().await.ended(1).said(&[blob]);
    let named = Run::new().args(["verify", place]).envs(aws.env());
    named.run().await.ended(1).said(&[blob]);

    aws.put_object("other", "key.json", "{}");
    for (place, what) in [
        (
            "s3://other/key.json",
            "it is neither a result document nor a report",
        ),
        ("s3://other/nothing.json", "there is no such object"),
        ("s3://nothing/x", "there is no such object"),
        ("s3://other", "s3://BUCKET/KEY"),
    ] {
        let run = Run::new().args(["verify", place]).envs(aws.env());
        run.run().await.ended(2).said(&[place, what]);
    }
    aws.fail("GetObject", "AccessDenied", 403, 9);
    module().run().await.ended(1).said(&["AccessDenied"]);
    Ok(())
}

#[tokio::test]
async fn a_folder_is_checked_like_a_registry_and_never_made() -> Result {
    let source = Registry::start().await?;
    let pushed = image(2).push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let parent = tempfile::tempdir()?;
    let dir = parent.path().join("mirror");
    let run = data.run("deploy").endpoint("quay.io", &source.url());
    let run = run
        .arg("--registry-prefix")
        .arg(format!("oci:{}", dir.display()));
    let done = run.run().await.ended(0);
    let document = done.out().join("replication_result.json");
    verify(&document).run().await.ended(0);

    let blob = pushed.blobs.iter().find(|blob| blob.size == 5000);
    let blob = &blob.expect("the base").digest;
    let path = dir.join("blobs").join(blob.replace(':', "/"));
    fs::write(&path, "short")?;
    let failed = verify(&document).run().await.ended(1);
    failed.said(&[&format!("the blob {blob} of")]);

    let manifest = pushed.root.digest.replace(':', "/");
    fs::write(dir.join("blobs").join(manifest), "{}")?;
    let failed = verify(&document).run().await.ended(1);
    failed.said(&["has other bytes than its digest says"]);

    fs::remove_dir_all(&dir)?;
    let failed = verify(&document).run().await.ended(1);
    failed.said(&["could not be checked", "is no image layout folder"]);
    assert!(!dir.exists());
    Ok(())
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_neither_missing_nor_fine() -> Result {
    let deployed = Deployed::start().await?;
    let rule = Rule::new(Fault::status(403)).on("", &deployed.tool.blobs[0].digest);
    deployed.target.faults().add(rule);
    let failed = deployed.verify().run().await.ended(1);
    assert_eq!(finding(&failed, "team/tool:1")["state"], "unchecked");
    assert_eq!(finding(&failed, "team/app:1")["state"], "there");
    failed.said(&["team/tool:1: could not be checked", "403", "credentials"]);

    let Deployed { target, done, .. } = deployed;
    drop(target);
    let failed = verify(&done.out().join("replication_result.json"));
    let failed = failed.run().await.ended(1);
    let totals = &found(&failed)["totals"];
    assert_eq!(
        (&totals["unchecked"], &totals["missing"]),
        (&json!(3), &json!(0))
    );
    // However many artifacts it is about.
    assert_eq!(failed.lines_with("hint: check that this machine"), 1);
    failed.said(&["no connection", "--endpoint", "3 unchecked of 3 artifacts"]);
    Ok(())
}

#[tokio::test]
async fn a_tag_that_moves_while_it_is_deployed_is_not_published() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let name = "idf-quay.io/team/app";
    Image::new().layer(2000, 3).push(&source, "team/app", "1")?;
    Image::new()
        .layer(2000, 4)
        .push(&source, "team/fine", "1")?;
    // One is done, and another program moves its tag while the other is still being copied.
    let slow = Rule::new(Fault::Stall(Duration::from_secs(2)));
    source.faults().add(slow.on("GET", "team/fine/blobs/"));
    let data = Data::images(&["quay.io/team/app:1", "quay.io/team/fine:1"]);
    let run = build(&aws, &data, &source).start();
    let target = aws.registry();
    run.until("the first is written", || !target.tags(name).is_empty())
        .await;
    let other = Image::new()
        .layer(2000, 5)
        .push(&source, "team/other", "1")?;
    let (media_type, bytes, wrong) = source.manifest("team/other", "1").expect("it was pushed");
    target.put_manifest(name, "1", &media_type, bytes);
    assert_eq!(other.root.digest, wrong);
    let failed = run.finish().await.ended(1);
    assert_eq!(failed.report_of("team/app:1")["done"], "failed");
    assert_eq!(failed.report_of("team/fine:1")["done"], "copied");
    let error = failed.report_of("team/app:1")["error"].to_string();
    assert!(error.contains(&wrong), "{error}");
    assert_eq!(aws.count("PutObject"), 0);
    failed.said(&[
        "target",
        "another program writes it",
        "nothing was published",
    ]);
    Ok(())
}
