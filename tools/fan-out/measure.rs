//! The measurement: the real program, CodeBuild as the lab has it, and a separate link for each build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lab::aws::Aws;
use lab::image::{Image, Pushed};
use lab::link::Link;
use lab::registry::{EcrBehaviour, Registry};
use oci_copy::copy::Missing;
use oci_copy::manifest::Descriptor;
use replication::fan_out::forecast::Speeds;
use replication::fan_out::shard::pack;
use replication::settings::Quotas;

use crate::simulate::simulate_shards;

/// What has to be shown.
const LEAST_SPEED_UP: f64 = 3.2;
const MOST_ERROR: f64 = 0.15;
const MOST_LOSS: f64 = 0.10;

#[derive(clap::Args)]
pub(crate) struct Measure {
    /// The program [default: the `replicator` of the same build]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Builds, including the coordinator: four workers
    #[arg(long, default_value_t = 5)]
    builds: usize,
    /// Images; four of them share a base layer
    #[arg(long, default_value_t = 160)]
    images: u64,
    /// Megabytes of distinct content in all
    #[arg(long, default_value_t = 2000)]
    megabytes: u64,
    /// What each build's link carries each way, in megabytes a second
    #[arg(long, default_value_t = 20)]
    rate: u64,
    /// Milliseconds until an ordered build has its machine
    #[arg(long, default_value_t = 1500)]
    start_delay: u64,
    /// Shows who did what when
    #[arg(long)]
    show: bool,
}

/// So many images share a base layer.
const FAMILY: u64 = 4;

/// What one run was like.
struct Run {
    /// Wall time of the whole program.
    took: Duration,
    /// Of that, until the first blob was asked for.
    before: Duration,
    /// From the first `StartBuild` to the first shard that a worker claimed.
    start_up: Option<Duration>,
    /// The most often that a blob was read at the source.
    most_reads: usize,
    blobs: usize,
    /// Requests that the quotas refused.
    refused: usize,
    /// Workers that were busy at once.
    workers: usize,
    /// The most `PutImage` in any second, of all builds.
    busiest: usize,
}

impl Measure {
    pub(crate) async fn run(&self) -> anyhow::Result<ExitCode> {
        let builds = self.builds.to_string();
        let one = self.play("off", None).await.context("one build")?;
        self.show("one build", &one);
        let many = self.play(&builds, None).await.context("several builds")?;
        self.show(&format!("{builds} builds"), &many);
        let queued = self.play(&builds, Some(1)).await.context("queued builds")?;
        self.show(
            &format!("{builds} builds, of which the account runs one"),
            &queued,
        );

        let speed_up = one.took.as_secs_f64() / many.took.as_secs_f64();
        let loss = queued.took.as_secs_f64() / one.took.as_secs_f64() - 1.0;
        let mut is_well = true;
        let mut judge = |what: String, holds: bool| {
            println!("{} {what}", if holds { "ok   " } else { "FAIL " });
            is_well &= holds;
        };
        judge(
            format!(
                "{builds} builds have {speed_up:.2} times the throughput of one (at least {LEAST_SPEED_UP})"
            ),
            speed_up >= LEAST_SPEED_UP,
        );
        judge(
            format!("queued builds cost {:.1} % (at most 10)", loss * 100.0),
            loss <= MOST_LOSS,
        );
        let runs = [
            ("one build", &one, 1),
            ("several", &many, self.builds),
            ("queued", &queued, 1),
        ];
        for (name, run, builds) in runs {
            let most = run.most_reads;
            judge(
                format!("{name}: no blob was read more than once ({most})"),
                most == 1,
            );
            judge(
                format!("{name}: no request was refused ({})", run.refused),
                run.refused == 0,
            );
            let predicted = self.predict(run, builds).as_secs_f64();
            let error = run.took.as_secs_f64() / predicted - 1.0;
            let shown = error * 100.0;
            judge(
                format!(
                    "{name}: the simulator says {predicted:.1} s, which is {shown:+.1} % off (at most 15)"
                ),
                error.abs() <= MOST_ERROR,
            );
        }
        Ok(if is_well {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn show(&self, name: &str, run: &Run) {
        let seconds = run.took.as_secs_f64();
        println!(
            "{name}: {seconds:.1} s, {:.1} MB/s; {} blobs; {:.1} s before the first byte; PutImage at most {} in a second{}",
            mega(self.megabytes * 1_000_000) / seconds,
            run.blobs,
            run.before.as_secs_f64(),
            run.busiest,
            run.start_up.map_or_else(String::new, |time| format!(
                "; workers began {:.1} s after they were started, {} at once",
                time.as_secs_f64(),
                run.workers
            )),
        );
    }

    /// What the simulator says of such a run: the links' rate is given, how long builds take to start was
    /// measured.
    fn predict(&self, run: &Run, builds: usize) -> Duration {
        let rate = mega(self.rate * 1_000_000) * 1e6;
        let speeds = Speeds {
            build: rate,
            stream: rate,
            start_up: run.start_up.unwrap_or_default(),
            quotas: Quotas::default(),
        };
        let needs = self.needs();
        let needs: Vec<(usize, &Missing)> = needs.iter().enumerate().collect();
        let shards = pack(&needs, builds);
        run.before + simulate_shards(&shards, &speeds, builds).end
    }

    /// An image's layers: one of its family, two that only it has.
    fn sizes(&self, number: u64) -> [u64; 3] {
        // A fifth of all bytes is in the bases; own layers differ by a factor of three.
        let all = self.megabytes * 1_000_000;
        let base = all / 5 / self.images.div_ceil(FAMILY);
        let own = all * 4 / 5 / self.images;
        let own = own / 2 + own * (number % 11) / 10;
        [base, own * 2 / 3, own / 3]
    }

    fn needs(&self) -> Vec<Missing> {
        let blob = crate::simulate::blob;
        let images = (0..self.images).map(|number| {
            let [base, large, small] = self.sizes(number);
            let blobs: Vec<Descriptor> = vec![
                blob(u64::MAX, number / FAMILY, base),
                blob(number, 1, large),
                blob(number, 2, small),
            ];
            Missing {
                blobs,
                manifests: 1,
            }
        });
        images.collect()
    }

    fn push(&self, source: &Registry) -> anyhow::Result<Vec<Pushed>> {
        let images = (0..self.images).map(|number| {
            let [base, large, small] = self.sizes(number);
            // Each its own seeds: otherwise they would share.
            let image = Image::new()
                .base(base, 1_000_000 + number / FAMILY)
                .layer(large, 2 * number + 1)
                .layer(small, 2 * number + 2);
            Ok(image.push(source, &format!("team/app{number}"), "1")?)
        });
        images.collect()
    }

    async fn play(&self, fan_out: &str, limit: Option<usize>) -> anyhow::Result<Run> {
        // Mounting, so that what a family shares is sent once.
        let behaviour = EcrBehaviour {
            blob_mounting: true,
            ..EcrBehaviour::default().with_quotas()
        };
        let aws = Aws::builder().ecr(behaviour).start().await?;
        let source = Registry::start().await?;
        let pushed = self.push(&source)?;
        source.wire().clear();
        aws.builds().set_limit(limit);
        aws.builds()
            .set_start_delay(Duration::from_millis(self.start_delay));
        let rate = self.rate * 1_000_000;
        let links: Arc<Mutex<Vec<Link>>> = Arc::default();
        aws.builds().set_variables({
            let links = Arc::clone(&links);
            move |_| {
                let link = Link::start(rate).expect("a free port");
                let variables = proxy(&link);
                let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
                links.push(link);
                variables
            }
        });
        let own = Link::start(rate)?;
        let dir = tempfile::tempdir()?;
        let started = Instant::now();
        let mut program = tokio::process::Command::new(self.program()?);
        program
            .args(["deploy", "--eks-version", "1.34", "--fan-out", fan_out])
            .arg("--data-dir")
            .arg(self.data(dir.path())?)
            .arg("--endpoint")
            .arg(format!("quay.io={}", source.url()))
            .current_dir(dir.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", dir.path())
            .envs(proxy(&own))
            .envs(aws.env())
            .envs(aws.begin_build("codeseeder-idf"))
            .envs(MODULE)
            .stderr(std::fs::File::create(dir.path().join("log"))?)
            .kill_on_drop(true);
        let status = program.status().await?;
        let took = started.elapsed();
        let log = std::fs::read_to_string(dir.path().join("log"))?;
        ensure!(status.success(), "it failed:\n{log}");
        ensure!(
            aws.registry().check_integrity().is_empty(),
            "the target is not whole"
        );
        for image in &pushed {
            let there = format!("idf-quay.io/{}", image.repository);
            let there = aws
                .registry()
                .manifest(&there, "1")
                .map(|(_, _, digest)| digest);
            ensure!(
                there.as_ref() == Some(&image.root.digest),
                "{} is not there",
                image.repository
            );
        }
        if self.show {
            show_all(&aws, started);
            println!("--- first\n{log}");
        }
        Ok(observe(&aws, &source, started, took))
    }

    /// A folder of data files that name all images.
    fn data(&self, dir: &Path) -> anyhow::Result<PathBuf> {
        let data = dir.join("data");
        std::fs::create_dir_all(&data)?;
        let images: Vec<String> = (0..self.images)
            .map(|number| format!("  image{number}: quay.io/team/app{number}:1\n"))
            .collect();
        let default = format!("additional_images:\n{}", images.concat());
        std::fs::write(data.join("default.yaml"), default)?;
        std::fs::write(data.join("1.34.yaml"), "ami: {version: 1.34.0}\n")?;
        Ok(data)
    }

    fn program(&self) -> anyhow::Result<PathBuf> {
        if let Some(binary) = &self.binary {
            return Ok(binary.clone());
        }
        let program = std::env::current_exe()?.with_file_name("replicator");
        ensure!(
            program.exists(),
            "{} is not there: cargo build --bin replicator",
            program.display()
        );
        Ok(program)
    }
}

const MODULE: [(&str, &str); 3] = [
    ("SEEDFARMER_PROJECT_NAME", "idf"),
    ("SEEDFARMER_DEPLOYMENT_NAME", "dev"),
    ("SEEDFARMER_MODULE_NAME", "replication-images"),
];

/// Through this link and no other way.
fn proxy(link: &Link) -> Vec<(String, String)> {
    let names = ["HTTP_PROXY", "http_proxy"];
    names.map(|name| (name.to_owned(), link.url())).to_vec()
}

/// The run store, and the builds' logs.
fn show_all(aws: &Aws, started: Instant) {
    for request in aws.wire().requests() {
        let key = request.path.split_once("-runs/").map(|(_, key)| key);
        if let (Some(key), "PUT") = (key, request.method.as_str()) {
            let at = (request.started - started).as_secs_f64();
            println!("{at:6.1} s  {key} {}", request.status);
        }
    }
    for build in aws.builds().list() {
        println!(
            "--- {} {:?}\n{}",
            build.id,
            build.status,
            aws.builds().log(&build.id)
        );
    }
}

/// What the servers saw.
fn observe(aws: &Aws, source: &Registry, started: Instant, took: Duration) -> Run {
    let mut reads: BTreeMap<String, usize> = BTreeMap::new();
    let mut first = None;
    for request in source.wire().requests() {
        if let (Some((_, digest)), "GET") =
            (request.path.split_once("/blobs/"), request.method.as_str())
        {
            *reads.entry(digest.to_owned()).or_default() += 1;
            first.get_or_insert(request.started);
        }
    }
    let calls = aws.wire().requests();
    let ordered = calls
        .iter()
        .find(|call| call.action == "codebuild:StartBuild");
    let claims = calls
        .iter()
        .filter(|call| call.method == "PUT" && call.path.contains("/claims/"));
    // The coordinator has its own connection to S3; workers claim after the first report of one of them.
    let report = calls
        .iter()
        .find(|call| call.method == "PUT" && call.path.contains("/builds/"));
    let begun = report.and_then(|report| {
        claims
            .map(|claim| claim.started)
            .find(|at| *at > report.started)
    });
    let start_up = ordered
        .zip(begun)
        .map(|(order, begun)| begun - order.started);
    let requests = aws.registry().wire().requests();
    let refused = requests
        .iter()
        .filter(|request| request.status == 429)
        .count();
    let puts = requests
        .iter()
        .filter(|request| request.action == "manifest.put");
    let puts: Vec<Instant> = puts.map(|request| request.started).collect();
    let second = Duration::from_secs(1);
    let in_second = |from: &Instant| {
        puts.iter()
            .filter(|at| **at >= *from && **at - *from < second)
            .count()
    };
    Run {
        took,
        before: first.map_or(Duration::ZERO, |first| first - started),
        start_up,
        most_reads: reads.values().copied().max().unwrap_or_default(),
        blobs: reads.len(),
        refused,
        workers: aws.builds().most_running(),
        busiest: puts.iter().map(in_second).max().unwrap_or_default(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
