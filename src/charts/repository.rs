//! Charts from classic repositories: an `index.yaml` and archives behind URLs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

use helm_chart::archive;
use helm_chart::index::{self, Entry, Index};

use crate::inventory::{ChartRepository, ChartSpec};
use crate::problem::Problem;
use oci_copy::http::{File, Http, same_origin};
use oci_copy::reference::{Digest, Location};
use oci_copy::store::Stores;

use super::{Download, oci, outside, place};

/// The largest provenance file, in bytes: a signed copy of Chart.yaml.
const MAX_PROVENANCE: u64 = 1024 * 1024;

/// The repositories of an inventory; each one's index is fetched once.
pub(super) struct Repositories(BTreeMap<Url, Repository>);

struct Repository {
    /// The charts that are fetched from it.
    charts: BTreeSet<String>,
    index: OnceCell<Result<Index, Arc<anyhow::Error>>>,
}

impl Repositories {
    pub(super) fn new<'a>(charts: impl IntoIterator<Item = &'a ChartSpec>) -> Self {
        let mut repositories: BTreeMap<Url, Repository> = BTreeMap::new();
        for spec in charts {
            if let ChartRepository::Http(url) = &spec.repository {
                let repository = repositories
                    .entry(url.clone())
                    .or_insert_with(|| Repository {
                        charts: BTreeSet::new(),
                        index: OnceCell::new(),
                    });
                repository.charts.insert(spec.name.clone());
            }
        }
        Self(repositories)
    }

    /// The version that the spec's version means where that is a constraint or empty.
    pub(super) async fn matching(
        &self,
        url: &Url,
        spec: &ChartSpec,
        http: &Http,
    ) -> Result<Option<String>, Problem> {
        let index = self.index(url, spec, http).await?;
        let Some(entries) = index.entries.get(&spec.name) else {
            return Ok(None);
        };
        let known: Vec<&str> = entries.iter().map(|entry| entry.version.as_str()).collect();
        super::matching(spec, &known)
    }

    async fn index(&self, url: &Url, spec: &ChartSpec, http: &Http) -> Result<&Index, Problem> {
        let repository = &self.0[url];
        let index = repository.index.get_or_init(|| async {
            read_index(url, &repository.charts, http)
                .await
                .map_err(Arc::new)
        });
        index.await.as_ref().map_err(|error| {
            let what = format!(
                "the chart repository {} cannot be used: {error:#}",
                spec.repository_text
            );
            outside(spec, what, error)
        })
    }

    /// Fetches a chart's archive and checks it against the index.
    pub(super) async fn fetch(
        &self,
        url: &Url,
        spec: &ChartSpec,
        stores: &Stores,
    ) -> Result<Download, Problem> {
        let index = self.index(url, spec, stores.http()).await?;
        let entry = index.find(&spec.name, &spec.version).map_err(|missing| {
            let what = format!(
                "the chart repository {} does not have it: {missing}",
                spec.repository_text
            );
            let problem = Problem::input(place(spec), what);
            match missing.remedy() {
                Some(remedy) => problem.remedy(remedy),
                None => problem,
            }
        })?;
        fetch_entry(url, entry, stores).await.map_err(|error| {
            let what = format!(
                "its archive cannot be fetched from {}: {error:#}",
                spec.repository_text
            );
            outside(spec, what, &error)
        })
    }
}

async fn read_index(url: &Url, charts: &BTreeSet<String>, http: &Http) -> anyhow::Result<Index> {
    /// Parsing an index can take several times its size in memory; one per processor is not slower.
    static AT_ONCE: Semaphore = Semaphore::const_new(2);
    let bytes = http
        .get(
            &below(url, "index.yaml"),
            File::Text,
            index::MAX_BYTES as u64,
        )
        .await?;
    let charts = charts.clone();
    let _place = AT_ONCE.acquire().await;
    let read = tokio::task::spawn_blocking(move || {
        index::read(&bytes, &charts).context("its index.yaml cannot be used")
    });
    read.await.context("reading its index.yaml broke off")?
}

/// Fetches what an entry of the index names, as Helm does: from a URL, or from a registry.
async fn fetch_entry(repository: &Url, entry: &Entry, stores: &Stores) -> anyhow::Result<Download> {
    let url = entry
        .urls
        .first()
        .context("its entry in the index names no URL")?;
    if let Some(reference) = url.strip_prefix("oci://") {
        return fetch_artifact(reference, entry, stores).await;
    }
    let url = resolve(repository, url)
        .with_context(|| format!("its entry in the index names `{url}`, which is not a URL"))?;
    anyhow::ensure!(
        matches!(url.scheme(), "http" | "https"),
        "its entry in the index names {url}, which can be neither https://, http:// nor oci://"
    );
    fetch_archive(repository, &url, entry, stores.http()).await
}

/// Reads a chart that an index has in a registry. Without a tag the entry's version is meant.
async fn fetch_artifact(
    reference: &str,
    entry: &Entry,
    stores: &Stores,
) -> anyhow::Result<Download> {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    let reference = if last.contains([':', '@']) {
        reference.to_owned()
    } else {
        format!("{reference}:{}", entry.version.replace('+', "_"))
    };
    let location: Location = reference
        .parse()
        .with_context(|| format!("its entry in the index names oci://{reference}"))?;
    let found = oci::read(&location, stores).await;
    let found = found
        .with_context(|| format!("its entry in the index names oci://{reference}"))?
        .with_context(|| {
            format!("its entry in the index names oci://{reference}, which is not there")
        })?;
    // Some indexes give the SHA-256 of the manifest.
    check_digest(entry, &[Digest::of(&found.archive), found.manifest.clone()])?;
    Ok(found.into())
}

/// Checks what was fetched against the digest in the index, if it has one: SHA-256 in hexadecimal of
/// any case, with or without the algorithm in front.
fn check_digest(entry: &Entry, found: &[Digest]) -> anyhow::Result<()> {
    let promised = entry
        .digest
        .as_deref()
        .unwrap_or_default()
        .trim()
        .to_lowercase();
    let promised = promised.strip_prefix("sha256:").unwrap_or(&promised);
    anyhow::ensure!(
        promised.is_empty() || found.iter().any(|found| promised == found.hex()),
        "the archive has the SHA-256 {}, the index promises {promised}: it was replaced or damaged",
        found[0].hex()
    );
    Ok(())
}

async fn fetch_archive(
    repository: &Url,
    url: &Url,
    entry: &Entry,
    http: &Http,
) -> anyhow::Result<Download> {
    // An index that came by TLS must not bring the repository's credentials out of it.
    let get = async |url: &Url, file: File, limit: u64| {
        if repository.scheme() == "https" && url.scheme() == "http" {
            http.get_anonymous(url, file, limit).await
        } else {
            http.get(url, file, limit).await
        }
    };
    let archive = get(url, File::Archive, archive::MAX_ARCHIVE).await?;
    check_digest(entry, &[Digest::of(&archive)])?;
    let mut beside = url.clone();
    beside.set_path(&format!("{}.prov", url.path()));
    let provenance = match get(&beside, File::Text, MAX_PROVENANCE).await {
        Ok(provenance) => Some(provenance),
        // Most charts have none; some hosts say so with 403 or a redirect to a page.
        Err(error)
            if error
                .status_code()
                .is_some_and(|status| (400..500).contains(&status) && status != 429) =>
        {
            None
        }
        Err(error) => {
            return Err(anyhow::Error::new(error)
                .context("cannot find out whether it has a provenance file"));
        }
    };
    let provenance =
        provenance.filter(|content| content.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----"));
    Ok(Download {
        archive,
        provenance,
        artifact: None,
    })
}

/// A file right below a repository's URL, whose query (a token, in some products) is kept.
fn below(repository: &Url, file: &str) -> Url {
    let mut url = repository.clone();
    url.set_path(&format!(
        "{}/{file}",
        repository.path().trim_end_matches('/')
    ));
    url
}

/// A URL of an index: absolute, or relative to the repository as to a folder.
fn resolve(repository: &Url, url: &str) -> Result<Url, url::ParseError> {
    let mut resolved = below(repository, "").join(url)?;
    // The query can hold a token, which is for this host alone; `//other.host/…` is relative too.
    let is_relative = Url::parse(url).is_err() && same_origin(repository, &resolved);
    if is_relative && resolved.query().is_none() {
        resolved.set_query(repository.query());
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_an_index_are_absolute_or_below_the_repository() {
        let resolved = |repository: &str, url: &str| {
            resolve(&Url::parse(repository).unwrap(), url)
                .unwrap()
                .to_string()
        };
        assert_eq!(
            resolved("https://h.io/charts", "a-1.tgz"),
            "https://h.io/charts/a-1.tgz"
        );
        assert_eq!(
            resolved("https://h.io/charts/", "sub/a-1.tgz"),
            "https://h.io/charts/sub/a-1.tgz"
        );
        assert_eq!(
            resolved("https://h.io/charts?token=x", "a-1.tgz"),
            "https://h.io/charts/a-1.tgz?token=x"
        );
        assert_eq!(
            resolved("https://h.io/charts?token=x", "https://o.io/a-1.tgz"),
            "https://o.io/a-1.tgz"
        );
        assert_eq!(
            resolved("https://h.io/charts?token=x", "//o.io/a-1.tgz"),
            "https://o.io/a-1.tgz"
        );
        assert_eq!(
            resolved("https://h.io/charts?token=x", "//h.io/a-1.tgz"),
            "https://h.io/a-1.tgz?token=x"
        );
        assert_eq!(
            below(&Url::parse("https://h.io").unwrap(), "index.yaml").as_str(),
            "https://h.io/index.yaml"
        );
    }
}
