//! Runs over several builds of CodeBuild: what they copy, and what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use lab::aws::Aws;
use lab::faults::{Fault, Rule};
use lab::image::{Image, Pushed};
use lab::registry::Registry;
use tempfile::TempDir;

use super::data::Data;
use super::ecr::build_with;
use super::run::{Finished, Run, Running};

pub(crate) const PROJECT: &str = "codeseeder-idf";
pub(crate) const BUCKET: &str = "idf-dkr-img-rep-md-us-east-1-123456789012";
pub(crate) const OBJECT: &str = "dev-replication-images-metadata.json";

/// Images without a layer in common, in as many repositories.
pub(crate) struct Corpus {
    pub(crate) names: Vec<String>,
    pub(crate) pushed: Vec<Pushed>,
}

impl Corpus {
    pub(crate) fn new(source: &Registry, images: u64) -> std::io::Result<Self> {
        let (mut names, mut pushed) = (Vec::new(), Vec::new());
        for number in 0..images {
            let image = Image::new().platform("linux/amd64").platform("linux/arm64");
            // Configs differ with their layers.
            let image = image
                .layer(40_000 + number, 100 + number)
                .layer(2_000, 900 + number);
            pushed.push(image.push(source, &format!("team/app{number}"), "1")?);
            names.push(format!("quay.io/team/app{number}:1"));
        }
        Ok(Self { names, pushed })
    }

    pub(crate) fn data(&self) -> Data {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        Data::images(&names)
    }

    pub(crate) fn distinct(&self) -> BTreeSet<&str> {
        let blobs = self.pushed.iter().flat_map(|pushed| &pushed.blobs);
        blobs.map(|blob| blob.digest.as_str()).collect()
    }

    /// Everything is in the project's repositories, byte for byte.
    pub(crate) fn assert_arrived(&self, source: &Registry, aws: &Aws) {
        for (number, pushed) in self.pushed.iter().enumerate() {
            let (from, to) = (
                format!("team/app{number}"),
                format!("idf-quay.io/team/app{number}"),
            );
            for manifest in pushed.manifests.iter().chain([&pushed.root]) {
                let there = aws.registry().manifest(&to, &manifest.digest);
                assert_eq!(source.manifest(&from, &manifest.digest), there, "{to}");
            }
            let tagged = aws
                .registry()
                .manifest(&to, "1")
                .map(|(_, _, digest)| digest);
            assert_eq!(tagged.as_ref(), Some(&pushed.root.digest), "{to}");
        }
        assert_eq!(aws.registry().check_integrity(), Vec::<String>::new());
    }
}

/// How often each blob was read at the source.
pub(crate) fn reads(source: &Registry) -> BTreeMap<String, usize> {
    counts(source, "/blobs/")
}

/// How often each manifest was read there: Docker Hub counts these requests.
pub(crate) fn manifest_reads(source: &Registry) -> BTreeMap<String, usize> {
    counts(source, "/manifests/")
}

/// How often each thing of a kind was read, by repository and name.
fn counts(source: &Registry, kind: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in source.wire().requests() {
        if request.path.contains(kind) && request.method == "GET" {
            *counts.entry(request.path).or_default() += 1;
        }
    }
    counts
}

/// The program without what only a debugger needs: each build fetches it, and it is three times as small.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let whole = Path::new(env!("CARGO_BIN_EXE_replicator"));
        let small = dir.path().join("replicator");
        let strip = Command::new("strip")
            .arg("-o")
            .arg(&small)
            .arg(whole)
            .status();
        if strip.is_ok_and(|status| status.success()) {
            (dir, small)
        } else {
            (dir, whole.to_owned())
        }
    });
    &PROGRAM.1
}

/// The coordinator of a run over so many builds.
pub(crate) fn first(aws: &Aws, data: &Data, source: &Registry, builds: &str) -> Run {
    build_with(Run::of(program()), aws, data, source)
        .envs(aws.begin_build(PROJECT))
        .env("SEEDFARMER_PARAMETER_FAN_OUT", builds)
        // What ECR grants by default would take longer than everything else.
        .env("SEEDFARMER_PARAMETER_QUOTAS", "PutImage=400")
}

/// Keeps the source slow until something has happened, so that however busy the machine is the run is not over before, and
/// nothing waits longer than that.
pub(crate) async fn slow_until(
    source: &Registry,
    run: Run,
    what: &str,
    happened: impl Fn(&Running) -> bool,
) -> Finished {
    let run = run.start();
    run.until(what, || happened(&run)).await;
    source.faults().clear();
    run.finish().await
}

/// What runs have left in the bucket.
pub(crate) fn left(aws: &Aws) -> Vec<String> {
    let bucket = aws.bucket(BUCKET).expect("the module's bucket");
    let keys = bucket.objects.into_keys();
    keys.filter(|key| key.contains("-runs/")).collect()
}

pub(crate) fn is_published(aws: &Aws) -> bool {
    aws.object(BUCKET, OBJECT).is_some()
}

pub(crate) fn totals(run: &Finished) -> (u64, u64) {
    let report = run.json("replication_report.json");
    let total = |name: &str| report["totals"][name].as_u64().expect("a number");
    (total("copied"), total("failed"))
}

/// The logs of all builds that were started.
pub(crate) fn logs(aws: &Aws) -> String {
    let builds = aws.builds().list();
    let logs = builds.iter().map(|build| {
        format!(
            "--- {} {:?}\n{}",
            build.id,
            build.status,
            aws.builds().log(&build.id)
        )
    });
    logs.collect()
}

/// Slow enough that builds which start late find something to do.
pub(crate) async fn slow(milliseconds: u64) -> std::io::Result<(Aws, Registry)> {
    let (aws, source) = (Aws::start().await?, Registry::start().await?);
    let pause = Duration::from_millis(milliseconds);
    source
        .faults()
        .add(Rule::new(Fault::Stall(pause)).on("GET", "/blobs/"));
    Ok((aws, source))
}
