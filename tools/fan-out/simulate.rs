//! The simulator: shards as the program packs them, a schedule as its builds keep it.

use std::time::Duration;

use oci_copy::copy::Missing;
use oci_copy::manifest::Descriptor;
use oci_copy::reference::Digest;
use replication::fan_out::forecast::{Schedule, Speeds, lower_bound, simulate, worthwhile};
use replication::fan_out::shard::{Load, Shard, pack};
use replication::settings::Quotas;

#[derive(clap::Args)]
pub(crate) struct Simulate {
    /// Artifacts
    #[arg(long, default_value_t = 10_000)]
    artifacts: u64,
    /// Their distinct bytes, in 10^12
    #[arg(long, default_value_t = 5.0)]
    terabytes: f64,
    /// So many artifacts share a base layer
    #[arg(long, default_value_t = 10)]
    family: u64,
    /// What one build moves, in 10^6 bytes a second
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// What one blob is moved with at most, in 10^6 bytes a second
    #[arg(long, default_value_t = 25.0)]
    stream: f64,
    /// Seconds from the order for a build to its first byte
    #[arg(long, default_value_t = 60)]
    start_up: u64,
    /// How the sizes are drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Numbers of builds
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8, 16, 32, 64])]
    builds: Vec<usize>,
    /// Builds that the account runs at once
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    /// Artifacts in one repository
    #[arg(long, default_value_t = 10)]
    tags: u64,
    /// Requests that are in flight before the first byte is copied
    #[arg(long, default_value_t = 64)]
    requests: u32,
    /// Milliseconds until a source answers one of them
    #[arg(long, default_value_t = 40)]
    answer: u32,
    /// Repositories that ECR creates in a second; AWS publishes no rate
    #[arg(long, default_value_t = 10)]
    repositories: u32,
    /// Shows the schedule of each build
    #[arg(long)]
    show: bool,
}

/// The longest time that CodeBuild lets a build run, in seconds: 36 hours.
const LONGEST_BUILD: f64 = 36.0 * 3600.0;

/// Requests that S3 takes in a second below one prefix: writes, reads.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>
const S3: (f64, f64) = (3_500.0, 5_500.0);

/// What a run cannot be faster than, whatever the schedule.
struct Bound {
    what: &'static str,
    seconds: f64,
}

impl Simulate {
    pub(crate) fn run(&self) {
        let needs = self.corpus();
        let needs: Vec<(usize, &Missing)> = needs.iter().enumerate().collect();
        let load = Load::of(needs.iter().map(|(_, need)| *need));
        let speeds = Speeds {
            build: self.rate * 1e6,
            stream: self.stream * 1e6,
            start_up: Duration::from_secs(self.start_up),
            quotas: Quotas::default(),
        };
        println!(
            "{} artifacts, {} manifests, {} distinct blobs, {:.2} TB, the largest blob {:.2} GB",
            needs.len(),
            load.manifests,
            load.blobs,
            tera(load.bytes),
            tera(load.largest) * 1e3
        );
        println!(
            "| builds | time | at least | bound by | then by | largest shard | before the first byte | S3 writes + reads/s |"
        );
        println!("|---:|---:|---:|---|---|---:|---:|---:|");
        for builds in &self.builds {
            self.row(&needs, &load, &speeds, *builds);
        }
        println!("\nFanOut auto: {} builds", worthwhile(&load, &speeds));
    }

    /// Plays a number of builds through, and says what bounds it.
    fn row(&self, needs: &[(usize, &Missing)], load: &Load, speeds: &Speeds, builds: usize) {
        let shards = pack(needs, builds);
        let at_once = builds.min(self.concurrency).max(1);
        let schedule = simulate_shards(&shards, speeds, at_once);
        let serial = self.serial(load);
        let end = schedule.end.as_secs_f64() + serial;
        let (bounds, largest) = bounds(load, &shards, speeds, at_once);
        let queue = if at_once < builds {
            ", with builds that wait for CodeBuild's concurrency"
        } else {
            ""
        };
        let longest = schedule.builds.iter().flatten().map(|(_, _, end)| *end);
        let is_cut = longest.fold(0.0, f64::max) > LONGEST_BUILD;
        let cut = if is_cut {
            " (more than a build's 36 hours)"
        } else {
            ""
        };
        // A worker reports every two seconds and reads the control object as often; the coordinator reads the
        // report of each twice a second.
        let workers = whole_f64(at_once as u64) - 1.0;
        let (writes, reads) = (0.5 + workers * 0.5, workers * 2.5);
        let share = (writes / S3.0).max(reads / S3.1) * 100.0;
        println!(
            "| {builds} | {}{cut} | {} | {}{queue} | {} ({}) | {} | {} | {writes:.0} + {reads:.0} ({share:.1} %) |",
            clock(Duration::from_secs_f64(end)),
            clock(Duration::from_secs_f64(bounds[0].seconds + serial)),
            bounds[0].what,
            bounds[1].what,
            clock(Duration::from_secs_f64(bounds[1].seconds)),
            clock(Duration::from_secs_f64(largest)),
            clock(Duration::from_secs_f64(serial)),
        );
        if self.show {
            show(&schedule, &shards);
        }
    }

    /// What the coordinator does before the first byte: it reads all manifests, and the repositories are created.
    fn serial(&self, load: &Load) -> f64 {
        let reads = whole_f64(load.manifests as u64) * f64::from(self.answer)
            / 1000.0
            / f64::from(self.requests);
        let created = self.artifacts.div_ceil(self.tags.max(1));
        reads.max(whole_f64(created) / f64::from(self.repositories))
    }

    /// Families of artifacts with a base layer in common, and separate layers whose sizes differ by two
    /// orders of magnitude.
    fn corpus(&self) -> Vec<Missing> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let weights: Vec<f64> = (0..self.artifacts)
            .map(|_| 10_f64.powf(random.f64() * 2.0))
            .collect();
        let families = self.artifacts.div_ceil(self.family.max(1));
        // A tenth of the bytes is in the bases.
        let bytes = self.terabytes * 1e12;
        let base = whole(bytes * 0.1 / whole_f64(families));
        let all: f64 = weights.iter().sum();
        let artifacts = (0_u64..).zip(&weights).map(|(number, weight)| {
            let own = bytes * 0.9 * weight / all;
            let layers = [0.6, 0.3, 0.1].map(|part| whole(own * part));
            let layers = (0_u64..)
                .zip(layers)
                .map(|(layer, size)| blob(number, layer, size));
            let base = blob(u64::MAX, number / self.family.max(1), base);
            Missing {
                blobs: std::iter::once(base).chain(layers).collect(),
                // An index and two platforms.
                manifests: 3,
            }
        });
        artifacts.collect()
    }
}

/// What bounds a run after its first byte, the longest first; and the time of the largest shard.
fn bounds(load: &Load, shards: &[Shard], speeds: &Speeds, builds: usize) -> ([Bound; 5], f64) {
    let time = |load: &Load, builds| lower_bound(load, speeds, builds).0.as_secs_f64();
    // Each with all others absent.
    let none = Load::default();
    let of = |what, load: &Load| Bound {
        what,
        seconds: time(load, builds),
    };
    let largest = shards.iter().map(|shard| {
        let bytes = Load {
            bytes: shard.load.bytes,
            ..none
        };
        time(&bytes, 1)
    });
    let largest = largest.fold(0.0, f64::max);
    let mut bounds = [
        of(
            "the builds' links",
            &Load {
                bytes: load.bytes,
                ..none
            },
        ),
        of(
            "the largest layer, one stream",
            &Load {
                largest: load.largest,
                ..none
            },
        ),
        of(
            "`PutImage`",
            &Load {
                manifests: load.manifests,
                ..none
            },
        ),
        of(
            "`InitiateLayerUpload`",
            &Load {
                blobs: load.blobs,
                ..none
            },
        ),
        Bound {
            what: "the largest shard",
            seconds: largest,
        },
    ];
    bounds.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    (bounds, largest)
}

pub(crate) fn simulate_shards(shards: &[Shard], speeds: &Speeds, builds: usize) -> Schedule {
    let loads: Vec<Load> = shards.iter().map(|shard| shard.load).collect();
    simulate(&loads, speeds, builds)
}

/// Each build with its shards; of many only the first and the last ones.
fn show(schedule: &Schedule, shards: &[Shard]) {
    const SHOWN: usize = 4;
    let count = schedule.builds.len();
    for (number, taken) in schedule.builds.iter().enumerate() {
        if number == SHOWN && count > 2 * SHOWN {
            println!("  …");
        }
        if number >= SHOWN && number + SHOWN < count {
            continue;
        }
        let bytes: u64 = taken
            .iter()
            .map(|(shard, ..)| shards[*shard].load.bytes)
            .sum();
        let (first, last) = (taken.first(), taken.last());
        let from = first.map_or(0.0, |(_, start, _)| *start);
        let to = last.map_or(0.0, |(.., end)| *end);
        println!(
            "  build {:2}: {} to {}, {} shards, {:.2} TB",
            number + 1,
            clock(Duration::from_secs_f64(from)),
            clock(Duration::from_secs_f64(to)),
            taken.len(),
            tera(bytes)
        );
    }
}

pub(crate) fn blob(artifact: u64, layer: u64, size: u64) -> Descriptor {
    let name = [artifact.to_le_bytes(), layer.to_le_bytes()].concat();
    serde_json::from_value(serde_json::json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": Digest::of(&name).to_string(),
        "size": size,
    }))
    .expect("a descriptor")
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn tera(bytes: u64) -> f64 {
    bytes as f64 / 1e12
}

#[expect(clippy::cast_precision_loss, reason = "a number of artifacts")]
fn whole_f64(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive number of bytes"
)]
fn whole(bytes: f64) -> u64 {
    bytes as u64
}
