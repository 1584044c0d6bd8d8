//! What ECR has: the repositories that are ours, and their images.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use oci_copy::manifest::{Manifest, Refers, media_type};
use oci_copy::reference::Digest;

use super::contents::{Contents, Image};
use super::needs::RepositoryNeeds;
use super::select::{Selection, select};
use crate::aws::{DescribedImage, Ecr, Error};
use crate::document::ReadManifest;
use crate::ownership::is_owned;
use crate::timestamp::Timestamp;

/// How many repositories are queried in parallel.
pub(super) const AT_ONCE: usize = 4;

/// The manifests of a repository that this command read, now or for an earlier plan.
pub(super) type Reads = BTreeMap<Digest, ReadManifest>;

/// The repositories below a prefix.
#[derive(Debug, Default)]
pub(super) struct Repositories {
    /// Those that this program created for the project.
    pub ours: BTreeSet<String>,
    /// The others.
    pub others: Vec<String>,
}

/// Finds the repositories below a prefix whose tags say that this program created them for the project.
///
/// # Errors
/// When a call fails.
pub(super) async fn repositories(
    ecr: &Ecr,
    project: &str,
    prefix: &str,
) -> Result<Repositories, Error> {
    let all = ecr.repositories().await?.keys();
    let names = all.filter(|name| name.starts_with(prefix));
    let tagged = stream::iter(names).map(|name| async move {
        let tags = ecr.tags(name).await?;
        // It was deleted meanwhile.
        Ok::<_, Error>(tags.map(|tags| (name.clone(), is_owned(&tags, project))))
    });
    let tagged: Vec<_> = tagged.buffer_unordered(AT_ONCE).try_collect().await?;
    let mut found = Repositories::default();
    for (name, is_ours) in tagged.into_iter().flatten() {
        if is_ours {
            found.ours.insert(name);
        } else {
            found.others.push(name);
        }
    }
    found.others.sort();
    Ok(found)
}

/// A repository that was observed.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// What it has.
    pub contents: Contents,
    /// The media types of its manifests.
    pub media_types: BTreeMap<Digest, String>,
    /// What stays in it and what does not.
    pub selection: Selection,
    /// The manifests that were read, now or before.
    pub reads: Reads,
    /// Why nothing is deleted in it, whatever is needed.
    pub unknown: Option<String>,
}

/// What decides about images, besides what is needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Criteria {
    /// What was pulled or pushed since then is in use.
    pub since: Timestamp,
    /// Whether the manifests of all images are read, to count shared layers once.
    pub exact_sizes: bool,
}

/// Observes a repository. ECR records a manifest that is read as pulled, so only those are read that matter for what
/// can be deleted: indexes, and untagged images that may be signatures; none of them twice.
///
/// # Errors
/// When a call fails.
pub(super) async fn observe(
    ecr: &Ecr,
    name: &str,
    needs: &RepositoryNeeds,
    mut reads: Reads,
    criteria: Criteria,
) -> Result<Observed, Error> {
    let described = ecr.images(name).await?;
    let mut observed = Observed::default();
    for image in &described {
        let digest = image.digest.as_deref().map(str::parse::<Digest>);
        let Some(Ok(digest)) = digest else {
            let what = "ECR gives an image of it no digest that this program knows";
            observed.unknown = Some(what.to_owned());
            continue;
        };
        let known = reads.get(&digest);
        let media_type = image.media_type.clone();
        observed
            .media_types
            .extend(media_type.map(|kind| (digest.clone(), kind)));
        observed.contents.0.insert(digest, describe(image, known));
    }
    let contents = &mut observed.contents;
    reads.retain(|digest, _| contents.0.contains_key(digest));
    let unread =
        |contents: &Contents, reads: &Reads, is_wanted: &dyn Fn(&Digest, &Image) -> bool| {
            let images = contents.0.iter();
            let images = images
                .filter(|(digest, image)| !reads.contains_key(*digest) && is_wanted(digest, image));
            images.map(|(digest, _)| digest.clone()).collect::<Vec<_>>()
        };
    observed.selection = select(contents, needs, criteria.since);
    if !observed.selection.remove.is_empty() {
        let indexes = unread(contents, &reads, &|_, image| {
            image.is_index || criteria.exact_sizes
        });
        read(ecr, name, &indexes, contents, &mut reads).await?;
        observed.selection = select(contents, needs, criteria.since);
        // ECR names the subjects of signatures; other registries that speak its API may not.
        let parts = contents.relations();
        let remove = &observed.selection.remove;
        let orphans = unread(contents, &reads, &|digest, image| {
            let is_known = image.subject.is_some() || parts.indexes(digest).next().is_some();
            remove.contains(digest) && image.tags.is_empty() && !is_known
        });
        drop(parts);
        read(ecr, name, &orphans, contents, &mut reads).await?;
        observed.selection = select(contents, needs, criteria.since);
    }
    let is_unreadable = |image: &&Image| image.is_index && image.unreadable;
    if contents.0.values().any(|image| is_unreadable(&image)) {
        let what = "an index in it cannot be read, and may refer to anything in it";
        observed.unknown = Some(what.to_owned());
    }
    observed.reads = reads;
    Ok(observed)
}

fn describe(image: &DescribedImage, known: Option<&ReadManifest>) -> Image {
    let kind = image.media_type.as_deref();
    let is_index = match kind {
        Some(kind) => kind == media_type::OCI_INDEX || kind == media_type::DOCKER_LIST,
        // It may be one.
        None => known.is_none_or(|known| known.is_index),
    };
    let subject = image.subject.as_deref();
    let subject = subject.and_then(|subject| subject.parse().ok());
    let mut described = Image {
        tags: image.tags.iter().cloned().collect(),
        pushed: image.pushed,
        pulled: image.pulled,
        size: image.size,
        is_index,
        subject,
        ..Image::default()
    };
    if let Some(known) = known {
        described.pulled = known.pulled_by_others(image.pulled);
        described.take_in(known);
    }
    described
}

impl Image {
    /// Takes in what its manifest says.
    fn take_in(&mut self, read: &ReadManifest) {
        self.is_index = read.is_index;
        self.children.clone_from(&read.children);
        if self.subject.is_none() {
            self.subject.clone_from(&read.subject);
        }
        self.blobs = (!read.is_index).then(|| read.blobs.clone());
    }
}

/// Reads manifests, and takes in what they say.
async fn read(
    ecr: &Ecr,
    name: &str,
    digests: &[Digest],
    contents: &mut Contents,
    reads: &mut Reads,
) -> Result<(), Error> {
    let manifests = ecr.manifests(name, digests).await?;
    let read_at = Timestamp::now();
    for digest in digests {
        let Some(image) = contents.0.get_mut(digest) else {
            continue;
        };
        let Some(manifest) = manifests.get(digest) else {
            image.unreadable = true;
            continue;
        };
        let read = record(manifest, read_at, image.pulled);
        image.take_in(&read);
        reads.insert(digest.clone(), read);
    }
    Ok(())
}

fn record(manifest: &Manifest, read_at: Timestamp, pulled: Option<Timestamp>) -> ReadManifest {
    let is_index = matches!(manifest.refers, Refers::Manifests(_));
    let children = manifest.children().into_iter();
    ReadManifest {
        read_at,
        pulled_before: pulled,
        is_index,
        children: children.map(|child| child.digest.clone()).collect(),
        subject: manifest.subject.clone(),
        blobs: manifest
            .blobs()
            .map(|blob| (blob.digest.clone(), blob.size))
            .collect(),
    }
}
