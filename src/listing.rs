//! What exists below a prefix: repositories with their tags, at ECR, at another registry, or in a folder.

mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde::Serialize;

use crate::aws::{self, Ecr};
use crate::closure::{self, Deployed, Outcome, Proof};
use crate::document::ExpectedArtifacts;
use oci_copy::manifest::{Manifest, Refers};
use oci_copy::reference::{Digest, Location};
use oci_copy::store::{Error, Source, Stores, TagOrDigest, tag_or_digest};

pub use search::{Query, list};

/// The most children of an index whose sizes are read.
const MAX_CHILDREN: usize = 200;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// What was listed.
    pub prefix: String,
    /// The tagged artifacts, by repository and tag.
    pub artifacts: Vec<Listed>,
    /// The manifests without a tag: platforms of images, signatures, and what a tag has moved away from.
    pub untagged: usize,
    /// How many artifacts the limit left out.
    pub left_out: usize,
    /// What a result document names below the prefix that is not there.
    pub missing: Vec<String>,
    /// What could not be listed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The whole reference.
    pub reference: String,
    /// The repository, or the name in a folder without its tag.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The digest that the tag names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The bytes of its blobs, each once. ECR gives the largest platform's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it was pushed, where the registry says (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed: Option<String>,
    /// Whether a result document names it, and with this digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Recorded>,
    /// What a deployment proved of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closure: Option<ListedClosure>,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a deployment proved of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", untagged)]
pub enum ListedClosure {
    /// Of a chart.
    Chart {
        /// What came of it.
        outcome: Outcome,
        /// How many images it names.
        references: usize,
        /// How many of them are not at the target.
        missing: usize,
    },
    /// Of an image.
    Image {
        /// The charts that start it, by their keys.
        started_by: Vec<String>,
    },
}

/// What a result document says of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Recorded {
    /// It names it with this digest, or without one.
    Recorded,
    /// It names it with another digest.
    Moved,
    /// It does not name it.
    Unknown,
}

/// How much is listed.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most artifacts.
    pub limit: usize,
    /// How many requests are sent in parallel.
    pub jobs: usize,
}

/// The repositories of an ECR registry whose names begin with a path.
///
/// # Errors
/// When ECR does not list them.
pub async fn ecr(ecr: &Ecr, host: &str, path: &str, bounds: Bounds) -> Result<Listing, aws::Error> {
    let mut names: Vec<&String> = ecr
        .repositories()
        .await?
        .keys()
        .filter(|name| name.starts_with(path))
        .collect();
    names.sort();
    let listed = names
        .into_iter()
        .map(|name| async move { (name, ecr.images(name).await) });
    let mut listed = stream::iter(listed).buffered(bounds.jobs.min(8));
    let mut listing = Listing::default();
    while let Some((name, images)) = listed.next().await {
        for image in images? {
            if image.tags.is_empty() {
                listing.untagged += 1;
            }
            for tag in image.tags {
                if listing.artifacts.len() >= bounds.limit {
                    listing.left_out += 1;
                    continue;
                }
                listing.artifacts.push(Listed {
                    reference: format!("{host}/{name}:{tag}"),
                    repository: name.clone(),
                    tag,
                    digest: image.digest.clone(),
                    size: image.size,
                    pushed: image.pushed.map(|time| time.to_string()),
                    result: None,
                    closure: None,
                    error: None,
                });
            }
        }
    }
    Ok(listing)
}

/// Some repositories of a registry.
pub async fn registry(stores: &Stores, host: &str, names: &[String], bounds: Bounds) -> Listing {
    let mut listing = Listing::default();
    let mut found: Vec<(String, String)> = Vec::new();
    let tags = names.iter().map(|name| async move {
        let location = format!("{host}/{name}")
            .parse::<Location>()
            .map_err(|error| error.to_string());
        let tags = match location {
            Ok(location) => stores
                .tags(&location)
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error),
        };
        (name, tags)
    });
    let mut tags = stream::iter(tags).buffered(bounds.jobs);
    while let Some((name, tags)) = tags.next().await {
        match tags {
            Ok(tags) => found.extend(tags.into_iter().map(|tag| (name.clone(), tag))),
            Err(error) => listing.notes.push(format!("{host}/{name}: {error}")),
        }
    }
    drop(tags);
    listing.left_out = found.len().saturating_sub(bounds.limit);
    found.truncate(bounds.limit);
    let read = found.into_iter().map(|(repository, tag)| async move {
        let reference = format!("{host}/{repository}:{tag}");
        let read = match reference.parse::<Location>() {
            Ok(location) => content(stores, &location)
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        listed(reference, repository, tag, read)
    });
    listing.artifacts = stream::iter(read).buffered(bounds.jobs).collect().await;
    listing
}

/// The names in an image layout folder.
///
/// # Errors
/// When it is not one.
pub async fn folder(
    stores: &Stores,
    dir: &std::path::Path,
    bounds: Bounds,
) -> Result<Listing, Error> {
    let mut found = stores.names(dir)?;
    // The index has them in the order in which their copies ended.
    found.sort();
    let mut listing = Listing {
        left_out: found.len().saturating_sub(bounds.limit),
        ..Listing::default()
    };
    found.truncate(bounds.limit);
    let read = found.into_iter().map(|name| async move {
        let reference = format!("oci:{}:{name}", dir.display());
        let location = Location::Layout {
            dir: dir.to_owned(),
            name: name.clone(),
        };
        let read = content(stores, &location)
            .await
            .map_err(|error| error.to_string());
        let colon = name
            .rfind(':')
            .filter(|colon| !name[*colon..].contains('/'));
        let (repository, tag) = colon.map_or((name.as_str(), ""), |colon| {
            (&name[..colon], &name[colon + 1..])
        });
        listed(reference, repository.to_owned(), tag.to_owned(), read)
    });
    listing.artifacts = stream::iter(read).buffered(bounds.jobs).collect().await;
    Ok(listing)
}

fn listed(
    reference: String,
    repository: String,
    tag: String,
    read: Result<Option<(Digest, u64)>, String>,
) -> Listed {
    let (found, error) = match read {
        Ok(Some((digest, size))) => (Some((digest.to_string(), size)), None),
        Ok(None) => (None, Some("it is listed, but not there".to_owned())),
        Err(error) => (None, Some(error)),
    };
    let (digest, size) = found.unzip();
    Listed {
        reference,
        repository,
        tag,
        digest,
        size,
        pushed: None,
        result: None,
        closure: None,
        error,
    }
}

/// An artifact's digest and the bytes of its blobs.
async fn content(stores: &Stores, location: &Location) -> Result<Option<(Digest, u64)>, Error> {
    let source = stores.source(location)?;
    let Some(manifest) = source.manifest(&tag_or_digest(location)).await? else {
        return Ok(None);
    };
    let size = size(&source, &manifest).await?;
    Ok(Some((manifest.digest, size)))
}

async fn size(source: &Arc<dyn Source>, manifest: &Manifest) -> Result<u64, Error> {
    let mut blobs: BTreeMap<Digest, u64> = BTreeMap::new();
    match &manifest.refers {
        Refers::Blobs { .. } => blobs.extend(
            manifest
                .references()
                .map(|blob| (blob.digest.clone(), blob.size)),
        ),
        Refers::Manifests(_) => {
            for child in manifest.children().into_iter().take(MAX_CHILDREN) {
                let child = source
                    .manifest(&TagOrDigest::Digest(child.digest.clone()))
                    .await?;
                let blobs_of = child.iter().flat_map(Manifest::references);
                blobs.extend(blobs_of.map(|blob| (blob.digest.clone(), blob.size)));
            }
        }
    }
    Ok(blobs
        .values()
        .fold(0, |sum, size| sum.saturating_add(*size)))
}

impl Listing {
    /// Takes in what a deployment proved of the artifacts.
    pub fn add_proof(&mut self, deployed: &Deployed, proof: &Proof) {
        let mut found: BTreeMap<String, ListedClosure> = BTreeMap::new();
        for (key, chart) in &proof.charts {
            let copied = chart.references.iter();
            let copied = copied.filter(|one| one.state == closure::State::Copied);
            for reference in copied {
                // With `PinDigests` a digest follows the tag.
                let name = reference.image.split('@').next().unwrap_or_default();
                let image = found.entry(name.to_owned());
                let image = image.or_insert_with(|| ListedClosure::Image { started_by: vec![] });
                if let ListedClosure::Image { started_by } = image {
                    started_by.push(key.clone());
                }
            }
            if let Some((name, _)) = deployed.location(key) {
                let of_chart = ListedClosure::Chart {
                    outcome: chart.outcome,
                    references: chart.references.len(),
                    missing: chart.gaps().count(),
                };
                found.insert(name, of_chart);
            }
        }
        for artifact in &mut self.artifacts {
            artifact.closure = found.get(&artifact.reference).cloned();
        }
    }

    /// Takes in what a result document says of the artifacts below the prefix.
    pub fn compare(&mut self, expected: &ExpectedArtifacts) {
        let named: BTreeMap<&str, Option<String>> = expected
            .artifacts
            .iter()
            .map(|one| {
                (
                    one.text.as_str(),
                    one.digest.as_ref().map(ToString::to_string),
                )
            })
            .collect();
        for artifact in &mut self.artifacts {
            artifact.result = Some(match named.get(artifact.reference.as_str()) {
                None => Recorded::Unknown,
                Some(Some(digest)) if Some(digest) != artifact.digest.as_ref() => Recorded::Moved,
                Some(_) => Recorded::Recorded,
            });
        }
        if self.left_out == 0 {
            let there: BTreeSet<&str> = self
                .artifacts
                .iter()
                .map(|one| one.reference.as_str())
                .collect();
            let below = named.keys().filter(|name| name.starts_with(&self.prefix));
            let missing = below.filter(|name| !there.contains(**name));
            self.missing = missing.map(|name| (*name).to_owned()).collect();
        }
    }
}
