//! `replicator values`

use std::path::PathBuf;

use crate::document::ResultDocument;
use crate::document_location;
use crate::export::{self, Format};
use crate::problem::{Problem, Problems};
use crate::session::Session;
use crate::settings::Flags;

use super::{Exit, Invocation, print};

/// Print what another tool needs to install charts from the target
///
/// Reads a result document and prints the Helm values that make a chart use the copies, or the whole configuration
/// of a tool: the chart's repository at the target, its version and its values. Without CHART it prints all charts.
///
/// Without --result it reads the module's own document from its bucket in a Seed-Farmer build, and otherwise
/// `replication_result.json` in the output folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  replicator values metrics_server > values.yaml
  replicator values metrics_server --format argocd --namespace kube-system | kubectl apply -f -
  replicator values --format terraform > charts.tf
  replicator values --result s3://idf-dkr-img-rep-md-eu-west-1-123456789012/dev-replication-images-metadata.json")]
pub(super) struct Values {
    /// The chart's key in the data files, or its name [default: all charts]
    #[arg(value_name = "CHART")]
    chart: Option<String>,
    /// A result document: a file, `s3://BUCKET/KEY`, or a kept result of `replicator publish --list`
    #[arg(long, value_name = "RESULT")]
    result: Option<String>,
    /// The output folder of the deployment [default: .]
    #[arg(long, value_name = "DIR", conflicts_with = "result")]
    out: Option<PathBuf>,
    /// The namespace to install into
    #[arg(long, short, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// What to print: Helm values, or the manifests of Argo CD or Flux, Terraform resources, or a Helmfile
    #[arg(long, value_enum, default_value_t = Format::Helm, help_heading = "Output")]
    format: Format,
}

impl Values {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let (result, out) = (self.result.as_deref(), self.out.as_deref());
        let (settings, place) =
            document_location::find(result, out, &Flags::default(), with.environment)?;
        let session = Session::open(settings, with.stop)?;
        let (shown, text) = place.read(&session).await?;
        let document: ResultDocument = serde_json::from_slice(&text).map_err(|error| {
            let problem = Problem::input(
                shown.as_str(),
                format!("it is not a result document: {error}"),
            );
            Problems::from(problem.remedy("give the replication_result.json of a deployment"))
        })?;
        if document.plan {
            tracing::warn!(
                "{shown} is the document of a plan: its artifacts are not at the target yet"
            );
        }
        let chart = self.chart.as_deref();
        let releases = export::releases(&document, chart, &self.namespace, self.format)?;
        if releases.is_empty() {
            tracing::warn!("{shown} names no charts");
        }
        if releases.iter().any(|release| release.folder.is_some()) {
            tracing::warn!(
                "{shown}: the target is {}: deploy to a registry, and use the values of that",
                export::NO_REGISTRY
            );
        }
        print(export::print(&releases, self.format)).await?;
        Ok(Exit::Done)
    }
}
