//! Charts that are artifacts of a registry already.

use anyhow::{Context, ensure};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;

use helm_chart::archive;

use crate::inventory::ChartSpec;
use crate::oci::{Refers, media_type};
use crate::problem::Problem;
use crate::reference::Location;
use crate::store::{Stores, Verified, Which};

use super::{Download, place};

/// The layer type of Helm's first experiments, which Helm still pulls.
const LEGACY_CHART: &str = "application/tar+gzip";

/// Reads a chart's archive out of a registry; the artifact itself is what will be copied.
pub(super) async fn fetch(
    repository: &str,
    spec: &ChartSpec,
    stores: &Stores,
) -> Result<Download, Problem> {
    let outside = |error: anyhow::Error| {
        let what = format!("it cannot be read from {}: {error:#}", spec.repository_text);
        let problem = Problem {
            what,
            ..Problem::outside(place(spec), &error)
        };
        match error
            .chain()
            .find_map(|cause| cause.downcast_ref::<crate::http::Error>()?.remedy())
        {
            Some(remedy) => problem.remedy(remedy),
            None => problem,
        }
    };
    let bare = spec.version.strip_prefix('v').unwrap_or(&spec.version);
    // The exact version first, then with or without the `v`, as in a classic repository.
    for version in [spec.version.clone(), bare.to_owned(), format!("v{bare}")] {
        // A tag cannot hold `+`; Helm writes `_`.
        let tag = version.replace('+', "_");
        let location: Location = format!("{repository}/{}:{tag}", spec.name)
            .parse()
            .map_err(|error: crate::reference::InvalidName| {
                Problem::input(place(spec), error.to_string())
            })?;
        if let Some(archive) = read(&location, stores).await.map_err(outside)? {
            return Ok(Download {
                archive,
                provenance: None,
                artifact: Some(location),
            });
        }
    }
    let location: Location = format!("{repository}/{}", spec.name).parse().map_err(
        |error: crate::reference::InvalidName| Problem::input(place(spec), error.to_string()),
    )?;
    let tags = stores.tags(&location).await.unwrap_or_default();
    let asked = spec.version.replace('+', "_");
    if tags.contains(&asked) {
        let what = format!(
            "the registry {} lists this version and said that it does not have it",
            spec.repository_text
        );
        return Err(Problem::outside(place(spec), &anyhow::anyhow!(what)).remedy("run again later"));
    }
    let closest = helm_chart::index::closest(&spec.version, tags.iter().map(String::as_str));
    let what = format!(
        "the registry {} does not have this version",
        spec.repository_text
    );
    let problem = Problem::input(place(spec), what);
    Err(match closest.remedy() {
        Some(remedy) => problem.remedy(remedy),
        None => problem,
    })
}

async fn read(location: &Location, stores: &Stores) -> anyhow::Result<Option<Bytes>> {
    let source = stores.source(location)?;
    let tag = location.tag().context("a chart's location has a tag")?;
    let Some(manifest) = source.manifest(&Which::Tag(tag.to_owned())).await? else {
        return Ok(None);
    };
    let Refers::Blobs { layers, .. } = &manifest.refers else {
        anyhow::bail!("{location} is an index and no chart");
    };
    let layer = layers
        .iter()
        .find(|layer| layer.media_type == media_type::HELM_CHART)
        .or_else(|| layers.iter().find(|layer| layer.media_type == LEGACY_CHART))
        .with_context(|| {
            format!(
                "{location} is an image and no chart: it has no layer of the type {}",
                media_type::HELM_CHART
            )
        })?;
    ensure!(
        layer.size <= archive::MAX_ARCHIVE,
        "its archive has {} bytes, more than {} are not taken",
        layer.size,
        archive::MAX_ARCHIVE
    );
    let stream = Verified::new(source.blob(layer, 0).await?, layer);
    let archive: BytesMut = stream
        .try_fold(BytesMut::new(), |mut archive, piece| async move {
            archive.extend_from_slice(&piece);
            Ok(archive)
        })
        .await?;
    Ok(Some(archive.freeze()))
}
