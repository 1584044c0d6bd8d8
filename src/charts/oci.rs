//! Charts that are artifacts of a registry already.

use std::collections::HashSet;

use anyhow::{Context, ensure};
use bytes::Bytes;

use helm_chart::archive;
use helm_chart::version::is_equal;

use crate::inventory::ChartSpec;
use crate::problem::Problem;
use oci_copy::manifest::{Descriptor, Manifest, Refers};
use oci_copy::reference::{Digest, Location};
use oci_copy::store::{self, Source, Stores, TagOrDigest, read_whole, tag_or_digest};

use super::artifact::{HELM_CHART, HELM_CONFIG};
use super::{Download, place};

/// The layer type of Helm's first experiments, which Helm still pulls.
const LEGACY_CHART: &str = "application/tar+gzip";

/// The version that the spec's version means where that is a constraint or empty. A registry that does
/// not list its tags is left to what [`fetch`] says, unless the version is not given at all.
pub(super) async fn matching(
    repository: &str,
    spec: &ChartSpec,
    stores: &Stores,
) -> Result<Option<String>, Problem> {
    if helm_chart::version::parse(&spec.version)
        .is_some_and(|_| spec.version.matches('.').count() >= 2)
    {
        return Ok(None);
    }
    let location: Location = format!("{repository}/{}", spec.name).parse().map_err(
        |error: oci_copy::reference::InvalidName| Problem::input(place(spec), error.to_string()),
    )?;
    let tags = stores.tags(&location).await.map_err(|error| {
        let error = anyhow::Error::new(error);
        Problem::outside(place(spec), &error.context("its versions cannot be listed"))
    })?;
    // A tag cannot hold `+`; Helm writes `_`.
    let versions: Vec<String> = tags.iter().map(|tag| tag.replace('_', "+")).collect();
    let known: Vec<&str> = versions.iter().map(String::as_str).collect();
    super::matching(spec, &known)
}

/// Reads a chart's archive out of a registry; the artifact itself is what will be copied.
pub(super) async fn fetch(
    repository: &str,
    spec: &ChartSpec,
    stores: &Stores,
) -> Result<Download, Problem> {
    let outside = |error: anyhow::Error| {
        let what = format!("it cannot be read from {}: {error:#}", spec.repository_text);
        super::outside(spec, what, &error)
    };
    let bare = spec.version.strip_prefix('v').unwrap_or(&spec.version);
    // The exact version first, then with or without the `v`, as in a classic repository.
    let versions = [spec.version.clone(), bare.to_owned(), format!("v{bare}")];
    let (mut tags, mut tried) = (Vec::new(), Vec::new());
    for chart in candidates(repository, &spec.name) {
        let located = |tag: &str| {
            // A tag cannot hold `+`; Helm writes `_`.
            let name = format!("{chart}:{}", tag.replace('+', "_"));
            name.parse::<Location>()
                .map_err(|error| Problem::input(place(spec), error.to_string()))
        };
        for version in &versions {
            let location = located(version)?;
            if let Some(found) = read(&location, stores).await.map_err(outside)? {
                return Ok(found.into());
            }
        }
        let listed = stores.tags(&located(bare)?).await.unwrap_or_default();
        // The same version in other words: `7` for 7.0.
        if let Some(tag) = listed.iter().find(|tag| is_equal(tag, &spec.version)) {
            let location = located(tag)?;
            if let Some(found) = read(&location, stores).await.map_err(outside)? {
                return Ok(found.into());
            }
        }
        tags.extend(listed);
        tried.push(format!("oci://{chart}"));
    }
    let asked = spec.version.replace('+', "_");
    if tags.contains(&asked) {
        let what = format!(
            "the registry {} lists this version and said that it does not have it",
            spec.repository_text
        );
        return Err(Problem::outside(place(spec), &anyhow::anyhow!(what)).remedy("run again later"));
    }
    let closest = helm_chart::index::closest(&spec.version, tags.iter().map(String::as_str));
    let host = repository.split('/').next().unwrap_or_default();
    let withheld = stores.http().credentials().withheld(host);
    let what = format!(
        "the registry {} does not have this version (asked for {}{})",
        spec.repository_text,
        tried.join(" and "),
        withheld.map(|note| format!("; {note}")).unwrap_or_default()
    );
    let problem = Problem::input(place(spec), what);
    Err(match closest.remedy() {
        Some(remedy) => problem.remedy(remedy),
        None => problem,
    })
}

/// The most manifests of an index that are searched for a chart.
const MAX_CHILDREN: usize = 64;

/// The repositories in which a chart can be: below `repository`, or that itself where it ends with the
/// chart's name already.
fn candidates(repository: &str, name: &str) -> Vec<String> {
    let below = format!("{repository}/{name}");
    let is_whole = repository
        .rsplit_once('/')
        .is_some_and(|(_, last)| last == name);
    std::iter::once(below)
        .chain(is_whole.then(|| repository.to_owned()))
        .collect()
}

/// A chart that was found in a registry.
pub(super) struct Found {
    pub(super) archive: Bytes,
    /// The digest that the name has.
    pub(super) manifest: Digest,
    /// The artifact that holds it: in an index, the manifest that is the chart.
    location: Location,
}

impl From<Found> for Download {
    fn from(found: Found) -> Self {
        Self {
            archive: found.archive,
            provenance: None,
            artifact: Some(found.location),
        }
    }
}

/// Reads a chart's archive; `None` where there is no such tag or digest.
pub(super) async fn read(location: &Location, stores: &Stores) -> anyhow::Result<Option<Found>> {
    let source = stores.source(location)?;
    let Some(root) = source.manifest(&tag_or_digest(location)).await? else {
        return Ok(None);
    };
    let asked = root.digest.clone();
    let (manifest, location) = match &root.refers {
        Refers::Blobs { .. } => (root, location.clone()),
        Refers::Manifests(children) => {
            let chart = within(children, source.as_ref(), location).await?;
            let pinned = format!("{}@{}", untagged(location), chart.digest).parse()?;
            (chart, pinned)
        }
    };
    let layer = chart_layer(&manifest).with_context(|| {
        format!("{location} is an image and no chart: it has no layer of the type {HELM_CHART}")
    })?;
    ensure!(
        layer.size <= archive::MAX_ARCHIVE,
        "its archive has {} bytes, more than {} are not taken",
        layer.size,
        archive::MAX_ARCHIVE
    );
    let policy = stores.http().policy().clone();
    let archive = read_whole(source, layer, policy).await?;
    Ok(Some(Found {
        archive,
        manifest: asked,
        location,
    }))
}

/// The chart in an index that holds images beside it: as Helm does it, the manifest with a chart's
/// config (helm: `pkg/registry/client.go`).
async fn within(
    children: &[Descriptor],
    source: &dyn Source,
    location: &Location,
) -> anyhow::Result<Manifest> {
    // An entry that says what it is makes it unnecessary to look into the others.
    let says_so = |child: &&Descriptor| child.artifact_type.as_deref() == Some(HELM_CONFIG);
    let named: Vec<&Descriptor> = children.iter().filter(says_so).collect();
    let asked = if named.is_empty() {
        children.iter().collect()
    } else {
        named
    };
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for child in asked
        .into_iter()
        .filter(|child| seen.insert(&child.digest))
        .take(MAX_CHILDREN)
    {
        let which = TagOrDigest::Digest(child.digest.clone());
        let manifest = match source.manifest(&which).await {
            Ok(manifest) => manifest,
            // Another kind of artifact is not a chart.
            Err(store::Error::Manifest { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        found.extend(manifest.filter(is_chart));
    }
    let count = found.len();
    ensure!(
        count < 2,
        "{location} is an index of {count} charts, and Helm does not say which one it takes"
    );
    found
        .pop()
        .with_context(|| format!("{location} is an index, and none of its manifests is a chart"))
}

fn is_chart(manifest: &Manifest) -> bool {
    let Refers::Blobs { config, .. } = &manifest.refers else {
        return false;
    };
    config.media_type == HELM_CONFIG && chart_layer(manifest).is_some()
}

fn chart_layer(manifest: &Manifest) -> Option<&Descriptor> {
    let Refers::Blobs { layers, .. } = &manifest.refers else {
        return None;
    };
    let of_type = |wanted: &str| layers.iter().find(|layer| layer.media_type == wanted);
    of_type(HELM_CHART).or_else(|| of_type(LEGACY_CHART))
}

/// Host and repository of a location.
fn untagged(location: &Location) -> String {
    let (host, repository) = (location.host(), location.repository());
    format!(
        "{}/{}",
        host.unwrap_or_default(),
        repository.unwrap_or_default()
    )
}
