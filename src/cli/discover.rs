//! `replicator discover`

use crate::discovery::{self, Found, Fragment, Search};
use crate::progress::Progress;

use super::rendering::RenderFlags;
use super::{Exit, Invocation, print};

/// Write a chart's entry of a data file
///
/// Renders the chart with markers in its values, and finds out which values hold registry, repository and tag of each
/// image and which digests would win over a tag. Prints the entry as YAML. Every path is checked: a last render with the
/// images at a target names exactly that target. What no value moves is named with the reason, in comments and on
/// standard error.
#[derive(Debug, clap::Args)]
#[command(
    args_override_self = true,
    override_usage = "replicator discover [OPTIONS] [NAME] CHART",
    after_help = "Examples:
  replicator discover kyverno --repo https://kyverno.github.io/kyverno --version 3.9.0
  replicator discover ./chart -f values.yaml --switches

Exit codes: 0 done; 1 the chart could not be fetched; 2 chart or values cannot be rendered."
)]
pub(super) struct Discover {
    #[command(flatten)]
    flags: RenderFlags,
    /// Also find the images that are added when values named enabled, create, install, force, deploy
    /// or use are changed from false to true
    #[arg(long, help_heading = "Output")]
    switches: bool,
    /// Print JSON with every place where an image is used
    #[arg(long, help_heading = "Output")]
    json: bool,
}

impl Discover {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        let prepared = self.flags.prepare(with, &progress).await?;
        let (name, version) = (
            prepared.chart.name().to_owned(),
            prepared.chart.version().to_owned(),
        );
        let api_versions = prepared.options.capabilities.api_versions.clone();
        let installation = prepared.installation();
        let search = Search {
            installation: installation.clone(),
            capabilities: prepared.options.capabilities.clone(),
            switches: self.switches,
            allow: Vec::new(),
        };
        let found = prepared.run_blocking(move |prepared| {
            discovery::find_with(&prepared.chart, &search, &prepared.options, None)
        });
        let found = found.await?;
        drop(progress);
        report(&found);
        let fragment = Fragment {
            name: &name,
            repository: &self.flags.repository(),
            version: &version,
            installation: &installation,
            api_versions: &api_versions,
            found: &found,
        };
        let text = if self.json {
            format!("{:#}\n", fragment.to_json())
        } else {
            fragment.to_yaml()
        };
        print(text).await?;
        Ok(Exit::Done)
    }
}

/// Says what is not moved, and how much was done.
fn report(found: &Found) {
    let discovery = &found.discovery;
    for warning in found.warnings() {
        tracing::warn!("{warning}");
    }
    let renders = if discovery.renders == 1 {
        "render"
    } else {
        "renders"
    };
    let images = if found.images.len() == 1 {
        "image"
    } else {
        "images"
    };
    tracing::info!(
        "found {} {images} with {} {renders}",
        found.images.len(),
        discovery.renders
    );
}
