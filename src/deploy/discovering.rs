//! `images: auto` of data files: the images of these charts are found by rendering.

use std::borrow::Cow;

use anyhow::Context;
use futures_util::{StreamExt, stream};

use helm_chart::archive::Keep;
use helm_chart::chart::Chart;

use crate::charts::Charts;
use crate::closure::has_templates;
use crate::discovery::{self, Search};
use crate::inventory::{ChartSpec, Inventory};
use crate::problem::{Problem, Problems};
use crate::reference::Prefix;
use crate::session::Session;

/// The inventory with the images of all charts that say `images: auto`, in the order of the charts.
///
/// # Errors
/// Every chart that does not render as it is installed.
pub(super) async fn discovered<'i>(
    session: &Session,
    inventory: &'i Inventory,
    charts: &Charts,
    prefix: &Prefix,
) -> anyhow::Result<Cow<'i, Inventory>> {
    let is_auto = |spec: &ChartSpec| spec.discovery.is_some();
    if !inventory.charts.iter().any(is_auto) {
        return Ok(Cow::Borrowed(inventory));
    }
    let closure = &session.settings.closure;
    let capabilities = closure.capabilities(&inventory.eks_version, &inventory.api_versions);
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let works = inventory.charts.iter().map(|spec| {
        let archive = charts.get(&spec.key).map(|fetched| fetched.archive.clone());
        let (spec, prefix, capabilities) = (spec.clone(), prefix.clone(), capabilities.clone());
        async move {
            let (Some(discovery), Some(archive)) = (spec.discovery, archive) else {
                return Ok(Ok(spec));
            };
            let search = Search {
                installation: spec.installation.under(&spec.overrides),
                capabilities,
                switches: discovery.switches,
                allow: spec.allow.clone(),
            };
            let find = move || find(&spec, &archive, &search, &prefix);
            let found = tokio::task::spawn_blocking(find).await;
            found.context("looking for the images of a chart broke off")
        }
    });
    let found: Vec<anyhow::Result<Result<ChartSpec, Problem>>> =
        stream::iter(works).buffered(at_once).collect().await;
    let (mut charts, mut problems) = (Vec::new(), Vec::new());
    for spec in found {
        match spec? {
            Ok(spec) => charts.push(spec),
            Err(problem) => problems.push(problem),
        }
    }
    Problems::check(problems)?;
    Ok(Cow::Owned(Inventory {
        charts,
        ..inventory.clone()
    }))
}

/// One chart with its images.
fn find(
    spec: &ChartSpec,
    archive: &[u8],
    search: &Search,
    prefix: &Prefix,
) -> Result<ChartSpec, Problem> {
    let problem = |what: String| Problem::input(spec.place.as_str(), what);
    let chart = Chart::read(archive, Keep::Everything)
        .map_err(|error| problem(format!("its archive cannot be read: {error:#}")))?;
    if !has_templates(&chart) {
        return Ok(spec.clone());
    }
    let found = discovery::find(&chart, search, Some(prefix)).map_err(|error| {
        let what = format!("its images cannot be found, because it does not render: {error}");
        problem(what)
            .remedy("give what it demands under `values`, and `namespace` where it looks at that")
    })?;
    // The closure tells which references are left.
    for warning in found.incomplete() {
        tracing::warn!("{}: {warning}", spec.place);
    }
    tracing::debug!(
        "charts.{}: {} images were found with {} renders",
        spec.key,
        found.images.len(),
        found.discovery.renders
    );
    Ok(found.beside(spec))
}
