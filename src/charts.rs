//! Inventory -> [`Charts`]: every chart's archive, byte for byte, with what Chart.yaml and
//! values.yaml say. No helm program.

mod artifact;
mod named;
mod oci;
mod path;
mod repository;
mod source;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;

use helm_chart::archive::Keep;
use helm_chart::version::is_equal;

use crate::inventory::{ChartRepository, ChartSpec, Inventory};
use crate::problem::{self, Problem, Problems, SharedCause};
use oci_copy::reference::Location;
use oci_copy::store::Stores;

pub use artifact::Artifact;
pub(crate) use artifact::{HELM_CHART, HELM_PROVENANCE};
pub use helm_chart::chart::Chart;
pub use named::{Named, fetch_remote, read_local};
pub use source::ChartSource;

/// How many charts are fetched at once; of one host fewer are.
const AT_ONCE: usize = 16;

/// The fetched charts by their key in the data files.
pub type Charts = BTreeMap<String, Arc<Fetched>>;

/// A chart as it was published, and what it says of itself.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// What it says of itself, as far as planning needs it.
    pub chart: Chart,
    /// Its archive, with all its files.
    pub archive: Bytes,
    /// Where its bytes come from when it is copied.
    pub content: Content,
}

/// Where a chart's bytes come from when it is copied.
#[derive(Debug, Clone)]
pub enum Content {
    /// Its archive, which becomes an artifact.
    Archive {
        /// The provenance file that was published beside it.
        provenance: Option<Bytes>,
    },
    /// It is an artifact of a registry already, and is copied as it is.
    Artifact(Location),
}

/// Fetches all charts of an inventory, side by side, each once.
///
/// # Errors
/// Every chart that cannot be had, with what was tried.
pub async fn fetch(inventory: &Inventory, stores: &Stores) -> Result<Charts, Problems> {
    fetch_each(inventory, stores, |_, _| {}).await
}

/// Like [`fetch`]; `on_fetched` is called for each key as soon as its chart is there.
///
/// # Errors
/// As [`fetch`].
pub async fn fetch_each(
    inventory: &Inventory,
    stores: &Stores,
    on_fetched: impl Fn(&ChartSpec, &Arc<Fetched>),
) -> Result<Charts, Problems> {
    let repositories = repository::Repositories::new(&inventory.charts);
    // Two keys can name one chart.
    let mut wanted: Vec<Vec<&ChartSpec>> = Vec::new();
    for spec in &inventory.charts {
        let same = |group: &&mut Vec<&ChartSpec>| {
            let first = group[0];
            (&first.repository, &first.name, &first.version)
                == (&spec.repository, &spec.name, &spec.version)
        };
        match wanted.iter_mut().find(same) {
            Some(group) => group.push(spec),
            None => wanted.push(vec![spec]),
        }
    }
    let fetched: Vec<_> = stream::iter(wanted)
        .map(|group| async {
            let fetched = fetch_one(group[0], &repositories, stores).await;
            let fetched = fetched.map(Arc::new);
            if let Ok(fetched) = &fetched {
                for spec in &group {
                    on_fetched(spec, fetched);
                }
            }
            (group, fetched)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let (mut charts, mut problems) = (Charts::new(), Vec::new());
    for (group, fetched) in fetched {
        match fetched {
            Ok(fetched) => {
                charts.extend(
                    group
                        .iter()
                        .map(|spec| (spec.key.clone(), Arc::clone(&fetched))),
                );
            }
            Err(problem) => problems.push(problem),
        }
    }
    Problems::check(problem::group(problems))?;
    Ok(charts)
}

async fn fetch_one(
    spec: &ChartSpec,
    repositories: &repository::Repositories,
    stores: &Stores,
) -> Result<Fetched, Problem> {
    let download = download(spec, repositories, stores).await?;
    let read = {
        let archive = download.archive.clone();
        tokio::task::spawn_blocking(move || Chart::read(&archive, Keep::Description)).await
    };
    let chart = match read {
        Ok(Ok(chart)) => chart,
        Ok(Err(error)) => {
            let what = format!(
                "its archive from {} is not usable: {error:#}",
                spec.repository_text
            );
            return Err(Problem::input(place(spec), what));
        }
        Err(panic) => {
            let error = anyhow::Error::new(panic).context("reading the archive broke off");
            return Err(Problem::outside(place(spec), &error));
        }
    };
    // The EKS module unpacks the chart and looks for a folder with the name that the data file gives.
    if chart.name() != spec.name {
        let what = format!(
            "the archive from {} holds the chart `{}`",
            spec.repository_text,
            chart.name()
        );
        return Err(Problem::input(place(spec), what).remedy("`name` must be the chart's own name"));
    }
    // The plan tells Helm the chart's own version, and a reader of the data file expects the one there.
    if !is_equal(chart.version(), &spec.version) {
        let what = format!(
            "the archive from {} holds version `{}`",
            spec.repository_text,
            chart.version()
        );
        let remedy =
            "the repository's index is wrong: ask its publisher, or pin the version that it has";
        return Err(Problem::input(place(spec), what).remedy(remedy));
    }
    let missing = chart.missing_dependencies();
    if !missing.is_empty() {
        let what = format!(
            "its Chart.yaml names dependencies that its charts/ folder lacks: {}; Helm does not install such a chart",
            missing.join(", ")
        );
        // A local folder can be completed; a published chart is copied as it is.
        if matches!(&spec.repository, ChartRepository::Path(_)) {
            let remedy = "run `helm dependency build` in the chart's folder, and use that folder or its package";
            return Err(Problem::input(place(spec), what).remedy(remedy));
        }
        tracing::warn!("{}: {what}", place(spec));
    }
    let content = match download.artifact {
        Some(location) => Content::Artifact(location),
        None => Content::Archive {
            provenance: download.provenance,
        },
    };
    Ok(Fetched {
        chart,
        archive: download.archive,
        content,
    })
}

/// Reads the archive of a chart that is an artifact; `None` where there is no such name.
///
/// # Errors
/// When it cannot be read, or is no chart.
pub async fn fetch_archive(location: &Location, stores: &Stores) -> anyhow::Result<Option<Bytes>> {
    let found = oci::read(location, stores).await?;
    Ok(found.map(|found| found.archive))
}

async fn download(
    spec: &ChartSpec,
    repositories: &repository::Repositories,
    stores: &Stores,
) -> Result<Download, Problem> {
    match &spec.repository {
        ChartRepository::Http(url) => repositories.fetch(url, spec, stores).await,
        ChartRepository::Oci(repository) => oci::fetch(repository, spec, stores).await,
        ChartRepository::Path(path) => path::fetch(path, spec).await,
        ChartRepository::Bundle(location) => bundle(location, spec, stores).await,
    }
}

/// Reads a chart out of a bundle, whose artifact of it is copied as it is.
async fn bundle(
    location: &Location,
    spec: &ChartSpec,
    stores: &Stores,
) -> Result<Download, Problem> {
    let found = match oci::read(location, stores).await {
        Ok(found) => found.map(|found| found.archive),
        Err(error) => {
            let error = error.context("it cannot be read from the bundle");
            return Err(Problem::outside(place(spec), &error));
        }
    };
    let archive = found.ok_or_else(|| {
        Problem::input(place(spec), "the bundle does not have it").remedy("save the bundle again")
    })?;
    Ok(Download {
        archive,
        provenance: None,
        artifact: Some(location.clone()),
    })
}

/// A chart's bytes as they were published.
struct Download {
    archive: Bytes,
    provenance: Option<Bytes>,
    /// The artifact of a registry that the archive was read from.
    artifact: Option<Location>,
}

/// A chart that cannot be had because of a service, with what other charts can have in common with it.
fn outside(spec: &ChartSpec, what: String, error: &anyhow::Error) -> Problem {
    let problem = Problem {
        what,
        ..Problem::outside(place(spec), error)
    };
    let http = error.chain().find_map(http_error);
    let Some(http) = http else {
        return problem;
    };
    let host = match &spec.repository {
        ChartRepository::Http(url) => url.host_str(),
        ChartRepository::Oci(repository) => repository.split('/').next(),
        ChartRepository::Path(_) | ChartRepository::Bundle(_) => None,
    };
    let shared = host.map(|host| {
        Box::new(SharedCause {
            why: http.why(),
            host: host.to_owned(),
            item: spec.name.clone(),
            is_of_network: http.is_unreachable(),
        })
    });
    let problem = Problem { shared, ..problem };
    match http.remedy() {
        Some(remedy) => problem.remedy(crate::hint::text(remedy)),
        None => problem,
    }
}

fn http_error<'a>(
    cause: &'a (dyn std::error::Error + 'static),
) -> Option<&'a oci_copy::http::Error> {
    let of_store = || match cause.downcast_ref::<oci_copy::store::Error>()? {
        oci_copy::store::Error::Http(error) => Some(error),
        _ => None,
    };
    cause.downcast_ref().or_else(of_store)
}

/// What a message about a chart starts with.
fn place(spec: &ChartSpec) -> String {
    let text = format!("{}: chart {} {}", spec.place, spec.name, spec.version);
    text.trim_end().to_owned()
}

/// The version that a constraint means, or the newest that is stable where there is none; `None` where
/// the version is known as it is, and where nothing matches.
fn matching(spec: &ChartSpec, known: &[&str]) -> Result<Option<String>, Problem> {
    if known.iter().any(|known| same_version(known, &spec.version)) {
        return Ok(None);
    }
    let found = helm_chart::index::newest_matching(&spec.version, known.iter().copied())
        .map_err(|error| Problem::input(place(spec), format!("--version: {error}")))?;
    if found.is_none() && spec.version.is_empty() {
        let what = format!("{} has no stable version of it", spec.repository_text);
        let problem = Problem::input(place(spec), what);
        let closest = helm_chart::index::closest("", known.iter().copied());
        return Err(match closest.newest {
            Some(newest) => problem.remedy(format!("take a prerelease with --version {newest}")),
            None => problem,
        });
    }
    Ok(found.map(str::to_owned))
}

/// Whether two texts name one version with all their numbers, with or without a `v` in front, and with
/// `_` for `+`, as a tag has it. Unlike [`is_equal`], `7` is not `7.0.0`: as a constraint it means more.
fn same_version(a: &str, b: &str) -> bool {
    let bare = |text: &str| text.strip_prefix('v').unwrap_or(text).replace('+', "_");
    bare(a) == bare(b)
}
