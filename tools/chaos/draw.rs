//! What a seed says: the corpus, the two registries and their habits, the faults, and whether the
//! process is killed.

use std::time::Duration;

use fastrand::Rng;
use lab::faults::{Fault, Faults, Rule};
use lab::image::{Image, media};

/// What is run, and where the content goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A Seed-Farmer build: ECR, and a result in a bucket.
    DeployEcr,
    DeployPlain,
    DeployFolder,
    CopyEcr,
    CopyPlain,
}

impl Shape {
    pub(crate) fn is_ecr(self) -> bool {
        matches!(self, Self::DeployEcr | Self::CopyEcr)
    }

    pub(crate) fn is_copy(self) -> bool {
        matches!(self, Self::CopyEcr | Self::CopyPlain)
    }
}

/// How a registry knows its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    None,
    Basic,
    Bearer,
    /// Tokens that everybody gets, to read.
    Public,
}

/// How a run is brought to an early end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    ByItself,
    Killed(Duration),
    Terminated(Duration),
}

/// All that is drawn.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch"
)]
pub(crate) struct Drawn {
    pub(crate) seed: u64,
    pub(crate) shape: Shape,
    pub(crate) images: Vec<DrawnImage>,
    /// Charts of a classic repository, and of the source registry.
    pub(crate) charts: (usize, usize),
    pub(crate) source_login: Login,
    pub(crate) target_login: Login,
    pub(crate) ranges: bool,
    pub(crate) referrers: bool,
    /// The list of referrers comes in pages of one, whose links name another host.
    pub(crate) paged: bool,
    /// HEAD is answered with 405, at the source and at the target.
    pub(crate) refused_heads: (bool, bool),
    /// Every request to mount a blob is answered with 500.
    pub(crate) broken_mounts: bool,
    /// An AWS call is not answered, so often.
    pub(crate) unanswered: u64,
    pub(crate) absolute_locations: bool,
    pub(crate) mounting: bool,
    /// How long tokens and passwords last.
    pub(crate) lifetime: Duration,
    pub(crate) validator_lag: Duration,
    pub(crate) creation_delay: Duration,
    pub(crate) quotas: bool,
    pub(crate) published_before: bool,
    pub(crate) end: End,
    pub(crate) faults: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct DrawnImage {
    pub(crate) image: Image,
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) attached: bool,
    pub(crate) signed: bool,
}

/// The layers that images share: size and seed.
const LAYERS: [(u64, u64); 8] = [
    (300, 1),
    (1_000, 2),
    (5_000, 3),
    (20_000, 4),
    (60_000, 5),
    (150_000, 6),
    (400_000, 7),
    (40, 8),
];

fn chance(rng: &mut Rng, percent: u32) -> bool {
    rng.u32(0..100) < percent
}

fn millis(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}

pub(crate) fn draw(seed: u64) -> Drawn {
    let rng = &mut Rng::with_seed(seed);
    let shape = match rng.u32(0..100) {
        0..40 => Shape::DeployEcr,
        40..65 => Shape::DeployPlain,
        65..75 => Shape::DeployFolder,
        75..87 => Shape::CopyEcr,
        _ => Shape::CopyPlain,
    };
    let images = (0..rng.usize(1..6))
        .map(|number| image(rng, number))
        .collect();
    let login = |rng: &mut Rng| match rng.u32(0..10) {
        0..4 => Login::None,
        4..6 => Login::Basic,
        _ => Login::Bearer,
    };
    let source_login = if chance(rng, 30) {
        Login::Public
    } else {
        login(rng)
    };
    let short = chance(rng, 25);
    let end = match rng.u32(0..100) {
        0..15 => End::Killed(millis(rng, 5..900)),
        15..25 => End::Terminated(millis(rng, 5..900)),
        _ => End::ByItself,
    };
    let charts = if shape.is_copy() {
        (0, 0)
    } else {
        (rng.usize(0..3), rng.usize(0..2))
    };
    Drawn {
        seed,
        shape,
        images,
        charts,
        source_login,
        target_login: login(rng),
        ranges: chance(rng, 70),
        referrers: chance(rng, 70),
        paged: chance(rng, 25),
        refused_heads: (chance(rng, 10), chance(rng, 10)),
        broken_mounts: chance(rng, 6),
        unanswered: if chance(rng, 8) { rng.u64(1..3) } else { 0 },
        absolute_locations: chance(rng, 30),
        mounting: chance(rng, 50),
        lifetime: if short {
            millis(rng, 500..2000)
        } else {
            Duration::from_mins(10)
        },
        validator_lag: if chance(rng, 25) {
            millis(rng, 50..900)
        } else {
            Duration::ZERO
        },
        creation_delay: if chance(rng, 15) {
            millis(rng, 50..900)
        } else {
            Duration::ZERO
        },
        quotas: chance(rng, 20),
        published_before: chance(rng, 50),
        end,
        faults: chance(rng, 88),
    }
}

fn image(rng: &mut Rng, number: usize) -> DrawnImage {
    let mut image = Image::new();
    let all = ["linux/amd64", "linux/arm64", "linux/arm/v7"];
    for platform in all.iter().take(rng.usize(0..4)) {
        image = image.platform(platform);
    }
    for _ in 0..rng.usize(1..4) {
        let (size, seed) = LAYERS[rng.usize(0..LAYERS.len())];
        image = if chance(rng, 50) {
            image.base(size, seed)
        } else {
            image.layer(size, seed + 100 * rng.u64(0..3))
        };
    }
    match rng.u32(0..10) {
        0..2 => image = image.docker(),
        2..4 => image = image.attestations(),
        _ => {}
    }
    if chance(rng, 8) {
        image = image.nested();
    }
    if chance(rng, 5) {
        image = image.layer_as(media::LAYER_FOREIGN, 777, 9);
    }
    // Two names in one repository, now and then.
    let repository = format!("team/app{}", if chance(rng, 20) { 0 } else { number });
    DrawnImage {
        image,
        repository,
        tag: format!("{number}"),
        attached: chance(rng, 15),
        signed: chance(rng, 10),
    }
}

/// The requests at which faults are aimed: method and a part of the path.
const REGISTRY: [(&str, &str); 13] = [
    ("", ""),
    ("GET", ""),
    ("HEAD", ""),
    ("GET", "/manifests/"),
    ("HEAD", "/manifests/"),
    ("GET", "/blobs/"),
    ("HEAD", "/blobs/"),
    ("POST", "/blobs/uploads/"),
    ("PATCH", "/blobs/uploads/"),
    ("PUT", "/blobs/uploads/"),
    ("PUT", "/manifests/"),
    ("", "/token"),
    ("GET", "/referrers/"),
];

/// Puts a few rules onto a registry's switchboard; says how many.
pub(crate) fn registry_faults(rng: &mut Rng, faults: &Faults) {
    faults.seed(rng.u64(..));
    for _ in 0..rng.usize(0..5) {
        let (method, path) = REGISTRY[rng.usize(0..REGISTRY.len())];
        let rule = Rule::new(fault(rng)).on(method, path);
        faults.add(aimed(rng, rule));
    }
    // A slow start.
    if chance(rng, 10) {
        let fault = Fault::Stall(millis(rng, 500..2500));
        faults.add(Rule::new(fault).times(rng.u64(1..4)));
    }
}

/// The same for the stand-in of AWS, or a repository of charts.
pub(crate) fn other_faults(rng: &mut Rng, faults: &Faults) {
    faults.seed(rng.u64(..));
    for _ in 0..rng.usize(0..3) {
        let rule = Rule::new(fault(rng));
        faults.add(aimed(rng, rule));
    }
}

/// When a rule hits.
fn aimed(rng: &mut Rng, rule: Rule) -> Rule {
    match rng.u32(0..100) {
        0..35 => rule.nth(rng.u64(1..8)),
        35..60 => rule.times(rng.u64(1..4)),
        60..75 => rule.chance(0.02 + 0.2 * rng.f64()),
        75..90 => rule.chance(0.1 + 0.4 * rng.f64()).times(rng.u64(2..9)),
        90..95 => rule.every(rng.u64(2..7)),
        // For ever.
        _ => rule,
    }
}

fn fault(rng: &mut Rng) -> Fault {
    let after = [0, 1, 100, 900, 4_000, 30_000][rng.usize(0..6)];
    match rng.u32(0..100) {
        0..12 => Fault::Reset,
        12..24 => Fault::LoseAnswer,
        24..30 => Fault::Stall(millis(rng, 100..2500)),
        30..36 => Fault::StallWithin {
            after,
            pause: millis(rng, 100..2500),
        },
        36..48 => Fault::Truncate { after },
        48..56 => Fault::Corrupt { at: after },
        56..60 => Fault::Slow {
            bytes_per_second: rng.u64(100_000..2_000_000),
        },
        60..68 => Fault::DropUpload { after },
        68..76 => Fault::status(429).header("Retry-After", if chance(rng, 50) { "1" } else { "0" }),
        76..80 => Fault::status(429),
        80..86 => Fault::status(500),
        86..91 => Fault::status(503),
        91..93 => Fault::status(502).body("<html>bad gateway</html>"),
        93..96 => Fault::status(401),
        // Each byte takes longer than a read waits for one; or all together longer than anybody should.
        96..97 => Fault::Drip {
            status: [404, 429, 500, 503][rng.usize(0..4)],
            pause: millis(rng, 50..700),
        },
        97..98 => Fault::status(403),
        98..99 => Fault::status(404),
        _ => Fault::status(408),
    }
}
