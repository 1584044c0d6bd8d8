//! `replicator template`

use helm_chart::render::release::Print;
use helm_chart::render::show_only;

use crate::problem::{Problem, Problems};
use crate::progress::Progress;

use super::rendering::{RenderFlags, render};
use super::{Exit, Invocation, print};

/// Render a chart as `helm template` does, without Helm
///
/// Prints what Helm 3 prints, byte for byte. Needs no cluster, no helm program and, for a local chart, no network.
/// Random passwords, certificates and times are fixed, so that the same input always gives the same output.
#[derive(Debug, clap::Args)]
#[command(
    args_override_self = true,
    override_usage = "replicator template [OPTIONS] [NAME] CHART",
    after_help = "Examples:
  replicator template app ./chart -f values.yaml --set image.tag=1.2
  replicator template kube-prometheus-stack --repo https://prometheus-community.github.io/helm-charts --version ^88
  replicator template oci://ghcr.io/stefanprodan/charts/podinfo --kube-version 1.34

Exit codes: 0 done; 1 the chart could not be fetched; 2 chart or values cannot be rendered."
)]
pub(super) struct Template {
    #[command(flatten)]
    flags: RenderFlags,
    /// Also print the files in crds/
    #[arg(long, help_heading = "Output")]
    include_crds: bool,
    /// Leave out hooks
    #[arg(long, help_heading = "Output")]
    no_hooks: bool,
    /// Leave out tests
    #[arg(long, help_heading = "Output")]
    skip_tests: bool,
    /// Print only what comes from this template, such as templates/service.yaml; `*` matches within a
    /// folder (repeatable)
    #[arg(
        short,
        long,
        value_name = "FILE",
        value_delimiter = ',',
        help_heading = "Output"
    )]
    show_only: Vec<String>,
}

impl Template {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let progress = Progress::start(with.screen);
        let prepared = self.flags.prepare(with, &progress).await?;
        let rendered = prepared.run_blocking(render).await?;
        drop(progress);
        let mut text = rendered.to_text(Print {
            crds: self.include_crds,
            hooks: !self.no_hooks,
            tests: !self.skip_tests,
        });
        if !self.show_only.is_empty() {
            text = show_only(&text, &self.show_only)
                .map_err(|error| Problems::from(Problem::input("--show-only", error)))?;
        }
        print(text).await?;
        Ok(Exit::Done)
    }
}
