//! What a run costs, counted at the wire: each promise of `docs/internals/copy-engine.md`.

use std::collections::{BTreeMap, BTreeSet};

use lab::aws::Aws;
use lab::image::{Image, Pushed};
use lab::registry::{EcrBehaviour, Registry};

use super::Result;
use super::content::{assert_same, mirrored};
use super::data::Data;
use super::ecr::build;

/// Images of two platforms each that share base layers, in as many repositories.
struct Corpus {
    names: Vec<String>,
    pushed: Vec<Pushed>,
}

const IMAGES: u64 = 12;

impl Corpus {
    fn new(source: &Registry) -> std::io::Result<Self> {
        let (mut names, mut pushed) = (Vec::new(), Vec::new());
        for number in 0..IMAGES {
            let image = Image::new().platform("linux/amd64").platform("linux/arm64");
            // Three bases among all; a layer that some share; one that only it has.
            let image = image
                .base(60_000 + number % 3, number % 3)
                .base(9_000, 50 + number % 4)
                .layer(5_000, 100 + number);
            pushed.push(image.push(source, &format!("team/app{number}"), "1")?);
            names.push(format!("quay.io/team/app{number}:1"));
        }
        Ok(Self { names, pushed })
    }

    fn data(&self) -> Data {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        Data::images(&names)
    }

    fn distinct(&self) -> BTreeMap<&str, u64> {
        let blobs = self.pushed.iter().flat_map(|pushed| &pushed.blobs);
        blobs
            .map(|blob| (blob.digest.as_str(), blob.size))
            .collect()
    }

    /// How often a blob stands in a repository.
    fn placed(&self) -> usize {
        let digests = |pushed: &Pushed| {
            let digests = pushed.blobs.iter().map(|blob| blob.digest.clone());
            digests.collect::<BTreeSet<_>>().len()
        };
        self.pushed.iter().map(digests).sum()
    }

    /// Index and two platforms each.
    fn manifests(&self) -> usize {
        self.pushed.len() * 3
    }

    /// Each distinct blob was read once at the source.
    #[track_caller]
    fn assert_read_once(&self, source: &Registry) {
        for digest in self.distinct().keys() {
            let reads = source.wire().count("GET", &format!("/blobs/{digest}"));
            assert_eq!(reads, 1, "{digest} was read {reads} times");
        }
    }
}

/// So many blobs were sent in all.
#[track_caller]
fn assert_sent(target: &Registry, uploads: usize) {
    assert_eq!(target.wire().count_action("upload.put"), uploads);
}

#[tokio::test]
async fn a_cold_run_moves_each_blob_once_and_asks_nothing_twice() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let corpus = Corpus::new(&source)?;
    let run = corpus.data().deploy(&target).args(["--no-referrers"]);
    let done = run.endpoint("quay.io", &source.url()).run().await.ended(0);
    for pushed in &corpus.pushed {
        assert_same(&source, pushed, &target, "1");
    }
    corpus.assert_read_once(&source);
    assert_sent(&target, corpus.distinct().len());
    let bytes = &done.json("replication_report.json")["totals"]["bytes"];
    assert_eq!(*bytes, corpus.distinct().values().sum::<u64>());

    let (artifacts, manifests) = (corpus.names.len(), corpus.manifests());
    let mounts = corpus.placed() - corpus.distinct().len();
    // One more: the first HEAD that says no is confirmed by GET.
    let budget = 2 * manifests + 3 * corpus.distinct().len() + mounts + 2 * artifacts + 1;
    let all = source.wire().requests().len() + target.wire().requests().len();
    assert!(all <= budget, "{all} requests, {budget} allowed");
    // And where they went: each question that could be left out, was.
    assert_eq!(source.wire().count("HEAD", ""), 0);
    assert_eq!(source.wire().count_action("manifest.get"), manifests);
    assert_eq!(target.wire().count("HEAD", "/blobs/"), 0);
    // Before, and once more before the result is published.
    assert_eq!(target.wire().count_action("manifest.head"), 2 * artifacts);
    assert_eq!(target.wire().count("POST", ""), corpus.placed());
    assert_eq!(target.wire().count_action("manifest.put"), manifests);
    Ok(())
}

#[tokio::test]
async fn the_look_for_signatures_costs_one_request_an_artifact_and_one_a_repository() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let corpus = Corpus::new(&source)?;
    let run = corpus.data().deploy(&target);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    let wire = source.wire();
    assert_eq!(wire.count("GET", "/referrers/"), corpus.names.len());
    assert_eq!(wire.count("GET", "/tags/list"), corpus.names.len());
    assert_eq!(wire.count("HEAD", ""), 0);

    // A source without the list is asked for it once an artifact: what it says of one repository says
    // nothing of another one.
    let source = Registry::builder().without_referrers().start().await?;
    let target = Registry::start().await?;
    let corpus = Corpus::new(&source)?;
    let run = corpus.data().deploy(&target).args(["--jobs", "1"]);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    assert_eq!(
        source.wire().count("GET", "/referrers/"),
        corpus.names.len()
    );
    assert_eq!(source.wire().count("GET", "/manifests/sha256-"), 0);
    Ok(())
}

#[tokio::test]
async fn a_run_with_nothing_to_do_asks_once_at_each_side() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let corpus = Corpus::new(&source)?;
    let run = || {
        corpus
            .data()
            .deploy(&target)
            .endpoint("quay.io", &source.url())
    };
    run().run().await.ended(0);
    source.wire().clear();
    target.wire().clear();
    run().run().await.ended(0);
    assert_eq!(source.wire().requests().len(), corpus.names.len());
    assert_eq!(
        source.wire().count("HEAD", "/manifests/1"),
        corpus.names.len()
    );
    assert_eq!(target.wire().requests().len(), corpus.names.len());
    Ok(())
}

#[tokio::test]
async fn ecr_is_asked_in_batches_and_nothing_about_what_is_new() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    aws.registry().change_ecr(|ecr| ecr.blob_mounting = true);
    let corpus = Corpus::new(&source)?;
    build(&aws, &corpus.data(), &source).run().await.ended(0);
    let wire = aws.registry().wire();
    corpus.assert_read_once(&source);
    assert_sent(aws.registry(), corpus.distinct().len());
    let mounts = corpus.placed() - corpus.distinct().len();
    assert_eq!(wire.count_action("blob.mount"), mounts);
    assert_eq!(wire.count("HEAD", ""), 0);
    assert_eq!(wire.count("GET", ""), 0);
    // Nothing is asked about what is new, and one last look before the result is published.
    assert_eq!(aws.count("BatchCheckLayerAvailability"), 0);
    assert_eq!(aws.count("BatchGetImage"), corpus.names.len());
    // With the look for signatures, and with all defaults.
    let (artifacts, manifests) = (corpus.names.len(), corpus.manifests());
    // One more: the first HEAD that says no is confirmed by GET.
    let budget = 2 * manifests + 3 * corpus.distinct().len() + mounts + 2 * artifacts + 1;
    let all = source.wire().requests().len() + wire.requests().len();
    assert!(all <= budget, "{all} requests, {budget} allowed");

    aws.clear_calls();
    wire.clear();
    source.wire().clear();
    build(&aws, &corpus.data(), &source).run().await.ended(0);
    assert_eq!(aws.count("BatchGetImage"), corpus.names.len());
    assert_eq!(wire.requests().len(), 0);
    assert_eq!(source.wire().requests().len(), corpus.names.len());

    // Something new in repositories that exist: what they have is known after one call each.
    let again = Image::new().platform("linux/amd64").platform("linux/arm64");
    let again = again.base(60_000, 0).base(9_000, 50).layer(5_000, 100);
    again.layer(70, 7).push(&source, "team/app0", "1")?;
    wire.clear();
    aws.clear_calls();
    build(&aws, &corpus.data(), &source).run().await.ended(0);
    assert_eq!(aws.count("BatchCheckLayerAvailability"), 1);
    assert_eq!(wire.count("HEAD", ""), 0);
    // Two configs and the new layer of each platform.
    assert!(wire.count_action("upload.put") <= 4);
    assert_eq!(aws.registry().check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn many_tags_of_one_repository_are_one_question_to_ecr() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let names: Vec<String> = (0..120)
        .map(|tag| format!("quay.io/team/app:{tag}"))
        .collect();
    for tag in 0..120 {
        let image = Image::new().layer(10, tag);
        image.push(&source, "team/app", &tag.to_string())?;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let data = Data::images(&names);
    let run = || build(&aws, &data, &source).env("SEEDFARMER_PARAMETER_QUOTAS", "PutImage=1000");
    run().run().await.ended(0);
    aws.clear_calls();
    run().run().await.ended(0);
    assert_eq!(aws.count("BatchGetImage"), 2);
    assert_eq!(aws.registry().tags("idf-quay.io/team/app").len(), 120);
    Ok(())
}

#[tokio::test]
async fn where_nothing_can_be_mounted_one_read_feeds_all() -> Result {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let corpus = Corpus::new(&source)?;
    build(&aws, &corpus.data(), &source).run().await.ended(0);
    corpus.assert_read_once(&source);
    assert_sent(aws.registry(), corpus.placed());
    assert_eq!(aws.registry().wire().count_action("blob.mount"), 0);
    for pushed in &corpus.pushed {
        let to = format!("idf-quay.io/{}", pushed.repository);
        let there = aws.registry().manifest(&to, "1");
        assert_eq!(
            there.map(|(_, _, digest)| digest),
            Some(pushed.root.digest.clone())
        );
    }
    assert_eq!(aws.registry().check_integrity(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_registry_that_refuses_to_mount_is_noticed_and_its_sessions_are_used() -> Result {
    let refusing = EcrBehaviour {
        blob_mounting: false,
        ..EcrBehaviour::OFF
    };
    let target = Registry::builder().ecr(refusing).start().await?;
    let source = Registry::start().await?;
    let corpus = Corpus::new(&source)?;
    let run = corpus.data().deploy(&target);
    run.endpoint("quay.io", &source.url()).run().await.ended(0);
    for pushed in &corpus.pushed {
        assert_same(&source, pushed, &target, "1");
    }
    assert_sent(&target, corpus.placed());
    // Each POST became an upload.
    assert_eq!(target.wire().count("POST", ""), corpus.placed());
    Ok(())
}

#[tokio::test]
async fn a_folder_gets_each_blob_once() -> Result {
    let source = Registry::start().await?;
    let corpus = Corpus::new(&source)?;
    let folder = tempfile::tempdir()?;
    let prefix = format!("oci:{}", folder.path().display());
    let run = corpus
        .data()
        .run("deploy")
        .args(["--registry-prefix", &prefix]);
    let run = run.endpoint("quay.io", &source.url());
    run.args(["--hash", "target"]).run().await.ended(0);
    corpus.assert_read_once(&source);
    let blobs = std::fs::read_dir(folder.path().join("blobs/sha256"))?.count();
    assert_eq!(blobs, corpus.distinct().len() + corpus.manifests());
    Ok(())
}

#[tokio::test]
async fn a_source_out_of_reach_is_a_warning_where_the_target_has_the_artifact() -> Result {
    let (source, target) = (Registry::start().await?, Registry::start().await?);
    let pushed = Image::new().layer(10, 1).push(&source, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let run = data.deploy(&target).endpoint("quay.io", &source.url());
    run.run().await.ended(0);
    // Nothing listens at port 9 of loopback.
    let run = |names: &[&str]| {
        let run = Data::images(names).deploy(&target).args(["--tries", "1"]);
        run.endpoint("quay.io", "http://127.0.0.1:9")
    };
    let again = run(&["quay.io/team/app:1"]).run().await.ended(0);
    let report = again.report_of("team/app:1");
    assert_eq!(report["done"], "already there");
    assert_eq!(report["digest"], pushed.root.digest);
    again.said(&["warning: ", "what is there stays", "Connection refused"]);
    let failed = run(&["quay.io/team/app:1", "quay.io/team/new:1"]);
    failed.run().await.ended(1).said(&["source", "team/new:1"]);
    assert_eq!(target.tags(&mirrored("team/app")), ["1"]);
    Ok(())
}

#[tokio::test]
async fn memory_does_not_grow_with_layers() -> Result {
    let source = Registry::builder().discard_over(1024).start().await?;
    let target = Registry::builder().discard_over(1024).start().await?;
    let layer = source.seed_synthetic("team/big", 2 * 1024 * 1024 * 1024, 1);
    let config = source.put_blob("team/big", b"{}")?;
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config.digest, "size": config.size},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": layer.digest, "size": layer.size}],
    });
    source.put_manifest(
        "team/big",
        "1",
        "application/vnd.oci.image.manifest.v1+json",
        manifest.to_string(),
    );
    let data = Data::images(&["quay.io/team/big:1"]);
    let run = data.deploy(&target).endpoint("quay.io", &source.url());
    let done = run.run().await.ended(0);
    assert_eq!(done.report_of("team/big:1")["bytes"], 2_147_483_650_u64);
    let peak = done.peak;
    assert!(peak < 64 * 1024 * 1024, "{peak} bytes");
    if cfg!(target_os = "linux") {
        assert!(peak > 1024 * 1024, "it was not measured");
    }
    Ok(())
}
