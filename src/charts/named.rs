//! A chart that a command line names: an archive, a folder, `oci://…`, or a name in a repository.

use std::path::{Path, PathBuf};

use helm_chart::archive::{self, Keep};
use helm_chart::chart::Chart;
use serde_json::Map;

use crate::inventory::{ChartRepository, ChartSpec, Installation, remote_repository};
use crate::problem::Problem;
use oci_copy::reference::without_secrets;
use oci_copy::store::Stores;

use super::repository::Repositories;
use super::{download, oci, place};

/// Where a chart is.
#[derive(Debug, Clone)]
pub enum Named {
    /// A folder or an archive on the local disk.
    Local(PathBuf),
    /// A chart in a repository or a registry. The version is exact, a constraint such as `^1.2`, or
    /// empty for the newest that is not a prerelease.
    Remote(Box<ChartSpec>),
}

impl Named {
    /// Parses an argument of the command line. As in Helm, a local chart wins over one of a repository.
    ///
    /// # Errors
    /// When it cannot be a chart, or `repository` is not a URL.
    pub fn parse(
        chart: &str,
        repository: Option<&str>,
        version: Option<&str>,
    ) -> Result<Self, Problem> {
        let path = Path::new(chart);
        if path.exists() {
            return Ok(Self::Local(path.to_owned()));
        }
        let version = version.map(str::trim).unwrap_or_default();
        if let Some(repository) = repository {
            return remote(chart, repository, version, &format!("--repo {repository}"));
        }
        let Some(reference) = chart.strip_prefix("oci://") else {
            let remedy =
                "give a folder, an archive, oci://HOST/PATH/CHART, or a name with --repo URL";
            return Err(Problem::input(chart, "there is no such chart").remedy(remedy));
        };
        let (folder, name) = reference.rsplit_once('/').unwrap_or((reference, ""));
        if name.contains('@') {
            let remedy = "give its version with --version";
            return Err(Problem::input(chart, "a chart cannot be named by a digest").remedy(remedy));
        }
        let (name, tag) = name.split_once(':').unwrap_or((name, ""));
        if !tag.is_empty() && !version.is_empty() && tag != version {
            let what = format!("the tag {tag} and --version {version} differ");
            return Err(Problem::input(chart, what).remedy("give only one of them"));
        }
        let version = if version.is_empty() { tag } else { version };
        remote(name, &format!("oci://{folder}"), version, chart)
    }

    /// The host that it is fetched from, with its port.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        match self {
            Self::Local(_) => None,
            Self::Remote(spec) => spec.repository.host(),
        }
    }
}

fn remote(name: &str, repository: &str, version: &str, place: &str) -> Result<Named, Problem> {
    let place = without_secrets(place);
    let parsed = remote_repository(repository).unwrap_or_else(|| {
        let what = format!("`{repository}` is not a URL");
        Err((what, "https://…, http://… or oci://…"))
    });
    let parsed = parsed.map_err(|(what, remedy)| Problem::input(&place, what).remedy(remedy))?;
    if name.is_empty() {
        return Err(Problem::input(place, "the name of the chart is missing"));
    }
    Ok(Named::Remote(Box::new(ChartSpec {
        key: name.to_owned(),
        name: name.to_owned(),
        repository: parsed,
        repository_text: without_secrets(repository),
        version: version.to_owned(),
        subcharts: Vec::new(),
        images: Vec::new(),
        found: Vec::new(),
        discovery: None,
        operator_images: Vec::new(),
        allow: Vec::new(),
        overrides: Map::new(),
        installation: Installation::default(),
        place,
    })))
}

/// Reads a chart from the local disk, whole.
///
/// # Errors
/// When Helm would not accept it as a chart.
pub fn read_local(path: &Path) -> anyhow::Result<Chart> {
    if path.is_dir() {
        return Chart::read_folder(path);
    }
    Chart::read(
        &archive::read_file(path, archive::MAX_ARCHIVE)?,
        Keep::Everything,
    )
}

/// Fetches a chart whole, after its version was found.
///
/// # Errors
/// When the chart cannot be fetched, with what was tried.
pub async fn fetch_remote(mut spec: ChartSpec, stores: &Stores) -> Result<Chart, Problem> {
    let repositories = Repositories::new([&spec]);
    let found = match &spec.repository {
        ChartRepository::Http(url) => repositories.matching(url, &spec, stores.http()).await?,
        ChartRepository::Oci(repository) => oci::matching(repository, &spec, stores).await?,
        ChartRepository::Path(_) | ChartRepository::Bundle(_) => None,
    };
    spec.version = found.unwrap_or(spec.version);
    let download = download(&spec, &repositories, stores).await?;
    let read = move || Chart::read(&download.archive, Keep::Everything);
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(chart)) => Ok(chart),
        Ok(Err(error)) => {
            let what = format!(
                "its archive from {} is not usable: {error:#}",
                spec.repository_text
            );
            Err(Problem::input(place(&spec), what))
        }
        Err(panic) => {
            let error = anyhow::Error::new(panic).context("reading the archive broke off");
            Err(Problem::outside(place(&spec), &error))
        }
    }
}
