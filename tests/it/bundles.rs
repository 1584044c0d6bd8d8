//! `save` and `load`: everything of a deployment in one file, as its only source.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab::aws::Aws;
use lab::chart::{Chart, ChartRepository};
use lab::faults::{Fault, Rule};
use lab::image::Image;
use lab::registry::Registry;
use serde_json::Value;
use tempfile::TempDir;

use super::Result;
use super::data::Data;
use super::ecr::seed_farmer;
use super::run::{Finished, Run};

/// Where no source is.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Sources of every kind: images of several forms with what refers to them, and charts of a repository and of a
/// registry.
pub(crate) struct Sources {
    registry: Registry,
    charts: ChartRepository,
    pub(crate) data: Data,
}

fn image(seed: u64) -> Image {
    let image = Image::new().platform("linux/amd64").platform("linux/arm64");
    image.base(5000, 1).layer(3000, seed)
}

impl Sources {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let registry = Registry::start().await?;
        let app = image(2).attestations().push(&registry, "team/app", "1")?;
        app.sign(&registry)?;
        let bill = app.attach(&registry, "application/spdx+json")?;
        bill.attach(&registry, "application/vnd.signature")?;
        image(3).docker().push(&registry, "team/docker", "1")?;
        // The same image elsewhere, without what refers to it.
        image(2).attestations().push(&registry, "team/same", "1")?;
        let pinned = image(4).push(&registry, "team/pinned", "1")?;
        let of_registry = Chart::new("second", "2.0.0+b")
            .values("image: {repository: quay.io/team/app, tag: \"1\"}\n");
        of_registry.push_oci(&registry, "charts/second")?;
        let first = Chart::new("first", "1.0.0")
            .values("image: {repository: quay.io/team/docker, tag: \"1\"}\n")
            .file("templates/pod.yaml", "kind: Pod\napiVersion: v1\nspec:\n  containers:\n  - image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"\n")
            .provenance("-----BEGIN PGP SIGNED MESSAGE-----\nname: first\n");
        let charts = ChartRepository::start(vec![first]).await?;
        let image = "    images:\n      main:\n        repository: {location: values, path: image.repository}\n        tag: {location: values, path: image.tag}\n";
        let default = format!(
            "charts:\n  one:\n    name: first\n    repository: {}\n    version: 1.0.0\n{image}  two:\n    name: second\n    repository: oci://quay.io/charts\n    version: 2.0.0+b\n{image}additional_images:\n  same: quay.io/team/same:1\n  pinned: quay.io/team/pinned:1@{}\n",
            charts.url(),
            pinned.root.digest
        );
        Ok(Self {
            registry,
            charts,
            data: Data::new(&default, "ami: {version: 1.34.0}\n"),
        })
    }

    pub(crate) fn run(&self, command: &str) -> Run {
        self.data
            .run(command)
            .endpoint("quay.io", &self.registry.url())
    }

    pub(crate) async fn save(&self, bundle: &Path) -> Finished {
        self.run("save").arg(bundle).run().await
    }
}

pub(crate) fn load(bundle: &Path, prefix: &str) -> Run {
    let run = Run::new()
        .arg("load")
        .arg(bundle)
        .args(["--registry-prefix", prefix]);
    run.endpoint("quay.io", NOWHERE).out()
}

/// Every file of a folder with its bytes, but for the index of a layout, whose entries stand in another order.
fn files(dir: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with("index.json") {
                found.insert(path.strip_prefix(dir)?.to_owned(), fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

/// The names of a layout with their digests, and the digests that have no name.
fn names(dir: &Path) -> anyhow::Result<BTreeSet<(Option<String>, String)>> {
    let index: Value = serde_json::from_slice(&fs::read(dir.join("index.json"))?)?;
    let entries = index["manifests"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(entries
        .map(|entry| {
            let name = text(&entry["annotations"]["org.opencontainers.image.ref.name"]);
            (name, text(&entry["digest"]).expect("a digest"))
        })
        .collect())
}

/// Everything of a registry below a prefix: repository, tag or digest, and the manifest.
fn content(registry: &Registry) -> BTreeSet<(String, String, String)> {
    let mut found = BTreeSet::new();
    for repository in registry.repositories() {
        let names = registry
            .tags(&repository)
            .into_iter()
            .chain(registry.manifests(&repository));
        for name in names {
            let (media_type, _, digest) = registry
                .manifest(&repository, &name)
                .expect("what is listed");
            found.insert((repository.clone(), name, format!("{media_type} {digest}")));
        }
    }
    found
}

/// A document without the names of a target, and without the digest of the proof, which has them too.
fn without(document: &Value, prefix: &str) -> String {
    let mut document = document.clone();
    if let Some(closure) = document["closure"].as_object_mut() {
        closure.shift_remove("proof");
    }
    document.to_string().replace(prefix, "PREFIX/")
}

#[tokio::test]
async fn what_is_loaded_into_a_folder_is_what_a_deployment_copies() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let at = |name: &str| parent.path().join(name);
    let prefix = |name: &str| format!("oci:{}", at(name).display());
    let direct = sources
        .run("deploy")
        .args(["--registry-prefix", &prefix("direct")]);
    let direct = direct.run().await.ended(0);
    sources.save(&at("bundle.tar")).await.ended(0);
    drop(sources);
    let loaded = load(&at("bundle.tar"), &prefix("loaded"))
        .run()
        .await
        .ended(0);
    assert_eq!(names(&at("loaded"))?, names(&at("direct"))?);
    assert_eq!(files(&at("loaded"))?, files(&at("direct"))?);
    assert_eq!(
        without(&loaded.result(), &format!("{}:", prefix("loaded"))),
        without(&direct.result(), &format!("{}:", prefix("direct")))
    );
    Ok(())
}

#[tokio::test]
async fn what_is_loaded_into_a_registry_is_what_a_deployment_copies() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let (direct, target) = (Registry::start().await?, Registry::start().await?);
    let bundle = parent.path().join("bundle.tar");
    let prefix = |registry: &Registry| format!("{}/mirror/", registry.host());
    let deployed = sources
        .data
        .deploy(&direct)
        .endpoint("quay.io", &sources.registry.url());
    let deployed = deployed.run().await.ended(0);
    sources.save(&bundle).await.ended(0);
    drop(sources);
    let loaded = load(&bundle, &prefix(&target)).run().await.ended(0);
    assert_eq!(content(&target), content(&direct));
    assert_eq!(target.check_integrity(), Vec::<String>::new());
    assert_eq!(
        without(&loaded.result(), &prefix(&target)),
        without(&deployed.result(), &prefix(&direct))
    );
    assert_eq!(
        loaded.json("replication_closure.json")["totals"],
        deployed.json("replication_closure.json")["totals"]
    );
    let again = load(&bundle, &prefix(&target)).run().await.ended(0);
    assert!(again.done().iter().all(|(_, done)| done == "already there"));
    Ok(())
}

#[tokio::test]
async fn what_is_loaded_into_ecr_is_what_a_deployment_copies_and_is_published() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let (direct, target) = (Aws::start().await?, Aws::start().await?);
    let bundle = parent.path().join("bundle.tar");
    let module = |run: Run, aws: &Aws| seed_farmer(run.envs(aws.env())).out();
    let deployed = module(sources.data.given_to(Run::new().arg("deploy")), &direct);
    let deployed = deployed
        .endpoint("quay.io", &sources.registry.url())
        .run()
        .await
        .ended(0);
    sources.save(&bundle).await.ended(0);
    drop(sources);
    // In a build, with nothing but variables.
    let build =
        module(Run::new().arg("deploy"), &target).env("SEEDFARMER_PARAMETER_BUNDLE", &bundle);
    let loaded = build.run().await.ended(0);
    assert_eq!(content(target.registry()), content(direct.registry()));
    assert_eq!(loaded.result(), deployed.result());
    let object = |aws: &Aws| {
        aws.object(
            "idf-dkr-img-rep-md-us-east-1-123456789012",
            "dev-replication-images-metadata.json",
        )
    };
    assert!(object(&target).is_some());
    assert_eq!(object(&target), object(&direct));
    assert!(loaded.work_file("SEEDFARMER_MODULE_METADATA").is_some());
    Ok(())
}

/// A build whose parameters name a bundle in a bucket.
fn from_bucket(aws: &Aws) -> Run {
    let run = seed_farmer(Run::new().arg("deploy").envs(aws.env())).out();
    run.env(
        "SEEDFARMER_PARAMETER_BUNDLE",
        "s3://carried/2026/bundle.tar",
    )
}

#[tokio::test]
async fn a_bundle_in_a_bucket_is_read_by_ranges_and_once() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let (direct, target) = (Aws::start().await?, Aws::start().await?);
    let bundle = parent.path().join("bundle.tar");
    let deployed = sources
        .data
        .given_to(Run::new().arg("deploy"))
        .envs(direct.env());
    let deployed = seed_farmer(deployed)
        .out()
        .endpoint("quay.io", &sources.registry.url());
    let deployed = deployed.run().await.ended(0);
    sources.save(&bundle).await.ended(0);
    drop(sources);
    let size = fs::metadata(&bundle)?.len();
    target.put_bucket("carried");
    target.put_object("carried", "2026/bundle.tar", fs::read(&bundle)?);
    let run = from_bucket(&target).env("SEEDFARMER_PARAMETER_BUNDLE_BUCKET_OWNER", "210987654321");
    let loaded = run.run().await.ended(0);
    assert_eq!(content(target.registry()), content(direct.registry()));
    assert_eq!(loaded.result(), deployed.result());
    let read = target
        .wire()
        .requests()
        .into_iter()
        .filter(|request| request.path.contains("bundle.tar"));
    let sent: u64 = read.map(|request| request.bytes_out).sum();
    assert!(
        sent < 2 * size,
        "{sent} bytes were read of a bundle of {size}"
    );
    assert_eq!(
        loaded
            .files()
            .iter()
            .filter(|name| name.contains("bundle"))
            .count(),
        0
    );
    Ok(())
}

#[tokio::test]
async fn a_bundle_in_a_bucket_that_is_changed_cut_or_gone_is_refused() -> Result {
    let (sources, parent, aws) = (
        Sources::start().await?,
        tempfile::tempdir()?,
        Aws::start().await?,
    );
    let bundle = parent.path().join("bundle.tar");
    sources.save(&bundle).await.ended(0);
    let whole = fs::read(&bundle)?;
    let mut changed = whole.clone();
    let last = changed.len() - 1100;
    changed[last] ^= 1;
    aws.put_bucket("carried");
    from_bucket(&aws)
        .run()
        .await
        .ended(2)
        .said(&["s3://carried/2026/bundle.tar: there is no such object"]);
    for (bytes, said) in [
        (changed, "damaged, nothing was written"),
        (whole[..last].to_vec(), "it was cut"),
    ] {
        aws.put_object("carried", "2026/bundle.tar", bytes);
        from_bucket(&aws)
            .run()
            .await
            .ended(2)
            .said(&[said])
            .left_nothing();
    }
    assert_eq!(aws.registry().repositories(), Vec::<String>::new());
    aws.fail("HeadObject", "AccessDenied", 403, 1);
    from_bucket(&aws)
        .run()
        .await
        .ended(2)
        .said(&["BundleBucketOwner"]);
    Ok(())
}

#[tokio::test]
async fn a_bundle_is_saved_into_a_bucket_as_it_would_be_into_a_file() -> Result {
    let (registry, parent, aws) = (
        Registry::start().await?,
        tempfile::tempdir()?,
        Aws::start().await?,
    );
    let app = Image::new()
        .layer(9 << 20, 1)
        .layer(9 << 20, 2)
        .layer(3000, 3)
        .layer(9 << 20, 4);
    app.push(&registry, "team/app", "1")?;
    let data = Data::images(&["quay.io/team/app:1"]);
    let file = parent.path().join("bundle.tar");
    let save = |place: &std::ffi::OsStr| {
        let run = data.run("save").endpoint("quay.io", &registry.url());
        run.envs(aws.env())
            .env("AWS_REGION", "us-east-1")
            .arg(place)
    };
    save(file.as_os_str()).run().await.ended(0);
    aws.put_bucket("carried");
    let place = std::ffi::OsStr::new("s3://carried/bundle.tar");
    // A part does not arrive; what was sent before is kept, and not sent again.
    let denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let refusal = Rule::new(Fault::status(403).body(denied));
    aws.faults()
        .add(refusal.on("PUT", "bundle.tar").nth(4).times(1));
    save(place)
        .run()
        .await
        .ended(1)
        .said(&["the same command goes on with it"]);
    assert!(aws.object("carried", "bundle.tar").is_none());
    aws.clear_calls();
    save(place).run().await.ended(0);
    let whole = fs::read(&file)?;
    assert!(
        aws.object("carried", "bundle.tar")
            .is_some_and(|object| object == whole)
    );
    assert_eq!(aws.count("CreateMultipartUpload"), 0);
    assert!(aws.count("UploadPart") < whole.len().div_ceil(8 << 20));
    // An interrupted upload of something else is given up.
    aws.fail("CompleteMultipartUpload", "AccessDenied", 403, 1);
    save(place).run().await.ended(1);
    let other = Image::new()
        .layer(9 << 20, 5)
        .push(&registry, "team/app", "1")?;
    save(place).run().await.ended(0);
    assert_eq!(aws.count("AbortMultipartUpload"), 1);
    let target = Registry::start().await?;
    let run = load(Path::new(place), &format!("{}/mirror/", target.host())).envs(aws.env());
    run.env("AWS_REGION", "us-east-1").run().await.ended(0);
    let loaded = target
        .manifest("mirror/quay.io/team/app", "1")
        .map(|(_, _, digest)| digest);
    assert_eq!(loaded, Some(other.root.digest));
    Ok(())
}

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

/// A bundle with something changed, which must be refused before anything is written.
async fn refused(bundle: &Path, said: &str) {
    let target = Registry::start().await.expect("a registry");
    let run = load(bundle, &format!("{}/mirror/", target.host()))
        .run()
        .await
        .ended(2);
    let run = run.said(&[said]).left_nothing();
    let writes = target.wire().requests().into_iter();
    let writes: Vec<_> = writes
        .filter(|request| !matches!(request.method.as_str(), "GET" | "HEAD"))
        .collect();
    assert!(writes.is_empty(), "{writes:?}\n{}", run.stderr);
}

#[tokio::test]
async fn a_bundle_that_was_cut_or_changed_is_refused_before_anything_is_written() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let at = |name: &str| parent.path().join(name);
    sources.save(&at("bundle.tar")).await.ended(0);
    sources
        .run("save")
        .args(["--split", "64KiB"])
        .arg(at("split.tar"))
        .run()
        .await
        .ended(0);
    let whole = fs::read(at("bundle.tar"))?;
    let index: Value = {
        let end = whole[1536..]
            .windows(3)
            .position(|three| three == b"}\0\0")
            .expect("the end of the index");
        serde_json::from_slice(&whole[1536..=1536 + end])?
    };
    let member = |path: &str| {
        let members = index["members"].as_array().expect("a list").iter();
        let mut found = members.filter(|member| {
            member["path"]
                .as_str()
                .is_some_and(|text| text.contains(path))
        });
        let offset = found.next().expect("a member")["offset"]
            .as_u64()
            .expect("a number");
        usize::try_from(offset).expect("a small number")
    };
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let last = index["members"]
        .as_array()
        .and_then(|members| members.last())
        .expect("a blob");
    let last = usize::try_from(last["offset"].as_u64().expect("a number"))?;
    for (bytes, said) in [
        (flipped(5), "not a bundle"),
        (flipped(560), "its front is damaged"),
        (
            flipped(600),
            "a part of it is damaged, nothing was written: bundle.json",
        ),
        (flipped(1540), "its front is damaged"),
        (flipped(member("index.json")), "index.json (at byte"),
        (
            flipped(member("replicator/data/default.yaml")),
            "default.yaml (at byte",
        ),
        (
            flipped(last - 512),
            "damaged, nothing was written: blobs/sha256/",
        ),
        (flipped(last), "damaged, nothing was written: blobs/sha256/"),
        (flipped(whole.len() - 1), "the end of the archive"),
        (whole[..whole.len() - 1].to_vec(), "it was cut"),
        (whole[..last].to_vec(), "it was cut"),
        (whole[..700].to_vec(), "not a bundle"),
        (Vec::new(), "not a bundle"),
        ([&whole[..], b"x"].concat(), "something was added"),
    ] {
        fs::write(at("changed.tar"), bytes)?;
        refused(&at("changed.tar"), said).await;
    }
    fs::rename(at("split.tar.001"), at("kept"))?;
    refused(&at("split.tar"), "split.tar.001 is missing").await;
    fs::rename(at("kept"), at("split.tar.001"))?;
    fs::remove_file(at("split.tar.002"))?;
    refused(&at("split.tar"), "parts are missing").await;
    refused(&at("none.tar"), "there is no such file").await;
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
async fn a_bundle_of_another_version_is_not_loaded() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let bundle = parent.path().join("bundle.tar");
    sources.save(&bundle).await.ended(0);
    let run = load(&bundle, "oci:mirror")
        .args(["--eks-version", "1.33"])
        .run()
        .await
        .ended(2);
    run.said(&["eks-version 1.33", "is of EKS 1.34"])
        .left_nothing();
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
async fn a_locked_load_keeps_to_the_lock_in_the_bundle() -> Result {
    for platforms in [&[][..], &["--platforms", "linux/arm64"]] {
        let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
        let (direct, target) = (Registry::start().await?, Registry::start().await?);
        let bundle = parent.path().join("bundle.tar");
        let prefix = |registry: &Registry| format!("{}/mirror/", registry.host());
        // A selection of platforms changes digests, which this image pins.
        let default = sources.data.file_path("default.yaml");
        let text = fs::read_to_string(&default)?;
        let unpinned = text.lines().filter(|line| !line.starts_with("  pinned:"));
        fs::write(&default, unpinned.collect::<Vec<_>>().join("\n"))?;
        let save = sources.run("save").args(platforms).arg(&bundle);
        save.run().await.ended(0);
        drop(sources);
        let plain = load(&bundle, &prefix(&direct)).args(platforms);
        let plain = plain.run().await.ended(0);
        // The second time everything is there.
        for done in ["copied", "already there"] {
            let run = load(&bundle, &prefix(&target)).args(platforms);
            let loaded = run.arg("--locked").run().await.ended(0);
            assert!(
                loaded.done().iter().all(|(_, one)| one == done),
                "{:?}",
                loaded.done()
            );
            assert_eq!(content(&target), content(&direct));
            assert_eq!(
                without(&loaded.result(), &prefix(&target)),
                without(&plain.result(), &prefix(&direct))
            );
            loaded.said(&["bundle.tar (replicator/1.34.lock.json) has is copied"]);
        }
        let planned = load(&bundle, &prefix(&target)).args(platforms);
        planned.args(["--locked", "--dry-run"]).run().await.ended(0);
    }
    Ok(())
}

#[tokio::test]
async fn a_bundle_of_another_lock_or_of_other_parameters_is_not_loaded() -> Result {
    let (sources, parent) = (Sources::start().await?, tempfile::tempdir()?);
    let (bundle, approved) = (
        parent.path().join("bundle.tar"),
        parent.path().join("approved.json"),
    );
    let lock = sources.run("lock").arg("--lock").arg(&approved);
    lock.run().await.ended(0);
    image(9).push(&sources.registry, "team/docker", "1")?;
    sources.save(&bundle).await.ended(0);
    let refused = load(&bundle, "oci:mirror").arg("--lock").arg(&approved);
    let refused = refused.run().await.ended(2).left_nothing();
    refused.said(&["bundle.tar", "it does not have quay.io/team/docker:1"]);
    let refused = load(&bundle, "oci:mirror").args(["--locked", "--platforms", "linux/arm64"]);
    let refused = refused.run().await.ended(2).left_nothing();
    refused.said(&[
        "Platforms was all when it was locked, and is linux/arm64 now",
        "load the bundle with the parameters that it was saved with",
    ]);
    Ok(())
}
