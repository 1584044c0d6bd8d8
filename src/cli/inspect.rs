//! `replicator inspect`

use anyhow::Context;

use crate::inspect::{Inspection, inspect};
use crate::printable::{printable, shortened};
use crate::problem::{Problem, Problems};
use crate::progress::{self, Progress};
use crate::session::Session;
use crate::settings::Settings;
use oci_copy::reference::Location;

use super::columns::{self, Column, Fit, Line};
use super::flags::{NetworkFlags, OF_COPYING, hidden};
use super::output::Output;
use super::{Exit, Invocation, print};

/// The most characters of an annotation that the table shows.
const MAX_TEXT: usize = 100;
/// The most characters of a platform and of a date.
const MAX_WORD: usize = 24;
/// The most characters of an artifact's type.
const MAX_KIND: usize = 60;

/// Show what an image or chart consists of
///
/// Prints its digest, media types, platforms, sizes, annotations, referrers (signatures, attestations, SBOMs) and
/// cosign's tags. Reads manifests and configs, but no layers.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  replicator inspect quay.io/prometheus/prometheus:v3.5.0
  replicator inspect oci:mirror:quay.io/prometheus/prometheus:v3.5.0
  replicator inspect 123456789012.dkr.ecr.eu-west-1.amazonaws.com/idf-charts/app:1.0.0 -o json",
    mut_args(hidden(&OF_COPYING))
)]
pub(super) struct Inspect {
    /// The reference: host[:port]/repository[:tag][@digest], or oci:DIR:NAME in an image layout folder
    #[arg(value_name = "REF")]
    reference: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    network: NetworkFlags,
}

impl Inspect {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        let settings = Settings::without_target(&self.network.flags(), with.environment);
        let location = self.reference.parse::<Location>();
        let location =
            location.map_err(|error| Problems::from(Problem::input("REF", error.to_string())));
        let (settings, location) = Problems::both(settings, location)?;
        let session = Session::open(settings, with.stop)?;
        progress.steps("reading manifests", 0);
        let found = inspect(&session.stores, &location, &self.reference).await;
        let found = found.with_context(|| format!("cannot read {}", self.reference))?;
        let found = found.with_context(|| {
            format!("there is no {}: check name and tag; some registries also say this when credentials are missing", self.reference)
        })?;
        drop(progress);
        let text = self
            .output
            .text(with.environment, &found, |width| table(&found, width))?;
        print(text).await?;
        Ok(Exit::Done)
    }
}

const IMAGES: [Column; 5] = [
    Column::new("PLATFORM", Fit::Stay),
    Column::new("SIZE", Fit::Stay),
    Column::new("LAYERS", Fit::Drop(2, 20)),
    Column::new("CREATED", Fit::Drop(1, 20)),
    Column::new("DIGEST", Fit::Shorten),
];

const REFERRERS: [Column; 2] = [
    Column::new("REFERRED TO BY", Fit::Stay),
    Column::new("DIGEST", Fit::Shorten),
];

fn table(found: &Inspection, width: Option<usize>) -> String {
    let mut text = String::new();
    let mut say = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    let kind = found
        .artifact_type
        .as_deref()
        .map(|kind| ("artifact", kind.to_owned()));
    let head = [
        ("reference", found.reference.clone()),
        ("digest", found.digest.to_string()),
        ("media type", found.media_type.clone()),
        ("size", progress::bytes(found.size)),
    ];
    for (name, value) in head.into_iter().chain(kind) {
        say(&format!("{name:<12}{}", printable(&value)));
    }
    if !found.annotations.is_empty() {
        say("\nANNOTATIONS");
        for (key, value) in &found.annotations {
            say(&format!(
                "  {}: {}",
                printable(key),
                shortened(value, MAX_TEXT)
            ));
        }
    }
    let images = found.images.iter().map(|image| {
        let created = image.created.as_deref().unwrap_or_default();
        let day = created.split('T').next().unwrap_or_default();
        Line::Row([
            shortened(image.platform.as_deref().unwrap_or("-"), MAX_WORD),
            progress::bytes(image.size),
            image.layers.len().to_string(),
            shortened(day, MAX_WORD),
            image.digest.to_string(),
        ])
    });
    let images: Vec<Line<5>> = images.collect();
    say(&format!(
        "\n{}",
        columns::fit(IMAGES, &images, width).text.trim_end()
    ));
    let listed = found.referrers.iter().map(|one| {
        let kind = one.artifact_type.as_deref().unwrap_or("unknown");
        (kind.to_owned(), &one.digest)
    });
    let tagged = found
        .signatures
        .iter()
        .map(|one| (format!("cosign {}", one.kind), &one.digest));
    let all: Vec<Line<2>> = listed
        .chain(tagged)
        .map(|(kind, digest)| Line::Row([shortened(&kind, MAX_KIND), digest.to_string()]))
        .collect();
    if !all.is_empty() {
        say(&format!(
            "\n{}",
            columns::fit(REFERRERS, &all, width).text.trim_end()
        ));
    } else if found.notes.is_empty() {
        say("\nno signatures, attestations or SBOMs");
    }
    for note in &found.notes {
        say(&format!("note: {}", printable(note)));
    }
    text
}
