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
        for builds in [1, 4, 16, 64] {
            let shards = pack(&needs, builds);
            let schedule = simulate_shards(&shards, &speeds, builds);
            let (bound, limit) = lower_bound(&load, &speeds, builds);
            let read: u64 = shards.iter().map(|shard| shard.load.bytes).sum();
            println!(
                "\n{builds} builds: {} (at least {}: {limit}), {} shards, {:.2} % read twice",
                clock(schedule.end),
                clock(bound),
                shards.len(),
                (tera(read) / tera(load.bytes) - 1.0) * 100.0
            );
            show(&schedule, &shards);
        }
        println!("\nFanOut auto: {} builds", worthwhile(&load, &speeds));
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
