//! What an earlier bundle has brought to a target already.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, future, stream};

use crate::document::{Lock, LockedImage};
use oci_copy::manifest::{Budget, Descriptor, Manifest, Visitor, walk};
use oci_copy::reference::{Digest, Location};
use oci_copy::store::archive::Contents;
use oci_copy::store::{Error, Source, Stores, TagOrDigest};

use super::{Bundle, unusable};

/// How many images of a lock are looked up at once. The hosts' own limits are lower.
const AT_ONCE: usize = 16;

/// The blobs that repositories of a target have once a bundle was loaded into it. Whether registries share
/// blobs among repositories is not known, so each repository counts for itself.
#[derive(Debug, Default)]
pub struct Since {
    known: HashMap<String, HashSet<Digest>>,
    /// Which repositories need which blobs now.
    needed: HashMap<Digest, BTreeSet<String>>,
    /// What is never left out.
    carried: HashSet<Digest>,
}

/// A walk through everything below a manifest, or through some children of the first one.
struct Everything {
    source: Arc<dyn Source>,
    only: Option<HashSet<Digest>>,
}

impl Visitor for Everything {
    type Error = Error;

    fn select<'a>(
        &'a self,
        _: &'a Manifest,
        mut children: Vec<&'a Descriptor>,
    ) -> BoxFuture<'a, Result<Vec<&'a Descriptor>, Error>> {
        if let Some(only) = &self.only {
            children.retain(|child| only.contains(&child.digest));
        }
        future::ready(Ok(children)).boxed()
    }

    fn read<'a>(&'a self, child: &'a Descriptor) -> BoxFuture<'a, Result<Option<Manifest>, Error>> {
        async move {
            self.source
                .manifest(&TagOrDigest::Digest(child.digest.clone()))
                .await
        }
        .boxed()
    }

    fn out_of_bounds(&self) -> Result<(), Error> {
        // What is not known is saved again.
        Ok(())
    }
}

impl Since {
    /// What a bundle has brought, together with those that it was saved since.
    ///
    /// # Errors
    /// When a manifest in it is damaged.
    pub async fn of(bundle: &Bundle) -> anyhow::Result<Self> {
        let mut since = Self::default();
        let shown = bundle.archive().shown();
        for artifact in &bundle.info.artifacts {
            let all = Everything {
                source: Arc::new(bundle.archive().names_as_they_are()),
                only: None,
            };
            let name = TagOrDigest::Tag(artifact.name.clone());
            let read = since.add(all, name, &artifact.repository).await;
            read.map_err(|error| unusable(&shown, error))?;
        }
        Ok(since)
    }

    /// What the bundle of a lock has brought: its images are looked up at their sources, without layers. What
    /// is not there any more is saved again.
    pub async fn of_lock(lock: &Lock, stores: &Stores) -> Self {
        let looks = lock.images.iter().map(|image| async move {
            let mut since = Self::default();
            let read = since.add_locked(image, stores).await;
            (image, since, read)
        });
        let looks: Vec<_> = stream::iter(looks).buffered(AT_ONCE).collect().await;
        let mut all = Self::default();
        for (image, since, read) in looks {
            if let Err(error) = read {
                tracing::warn!(
                    "{}: what the lock has of it cannot be read, so all of it is saved: {error:#}",
                    image.source
                );
            }
            for (repository, blobs) in since.known {
                all.known.entry(repository).or_default().extend(blobs);
            }
        }
        all
    }

    async fn add_locked(&mut self, image: &LockedImage, stores: &Stores) -> anyhow::Result<()> {
        let location: Location = image.source.parse()?;
        let digest = image.source_digest.as_ref().unwrap_or(&image.digest);
        let platforms = image.platforms.iter();
        let platforms = platforms.map(|platform| platform.digest.clone());
        let all = Everything {
            source: stores.source(&location)?,
            only: image.source_digest.as_ref().map(|_| platforms.collect()),
        };
        let name = TagOrDigest::Digest(digest.clone());
        self.add(all, name, repository_of(&image.target)).await?;
        Ok(())
    }

    async fn add(
        &mut self,
        all: Everything,
        name: TagOrDigest,
        repository: &str,
    ) -> Result<(), Error> {
        let Some(root) = all.source.manifest(&name).await? else {
            return Ok(());
        };
        let node = walk(&all, root, &Budget::default()).await?;
        let known = self.known.entry(repository.to_owned()).or_default();
        known.extend(node.blobs().into_iter().map(|blob| blob.digest.clone()));
        Ok(())
    }

    /// Takes note of what a repository needs now.
    pub fn need<'a>(&mut self, repository: &str, blobs: impl IntoIterator<Item = &'a Descriptor>) {
        for blob in blobs {
            let needed = self.needed.entry(blob.digest.clone()).or_default();
            needed.insert(repository.to_owned());
        }
    }

    /// Takes note of what has to be in the bundle, whatever the target has.
    pub fn carry<'a>(&mut self, blobs: impl IntoIterator<Item = &'a Descriptor>) {
        self.carried
            .extend(blobs.into_iter().map(|blob| blob.digest.clone()));
    }

    /// Leaves out what every repository that needs it has.
    pub fn leave_out(&self, contents: &mut Contents) {
        contents.leave_out(|digest| {
            let repositories = self.needed.get(digest).into_iter().flatten();
            let mut has_it = repositories.map(|repository| {
                self.known
                    .get(repository)
                    .is_some_and(|known| known.contains(digest))
            });
            let is_needed = self.needed.contains_key(digest) && !self.carried.contains(digest);
            is_needed && has_it.all(|has_it| has_it)
        });
    }
}

/// The repository of a name.
#[must_use]
pub fn repository_of(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or_default();
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[start..].find(':') {
        Some(colon) => &name[..start + colon],
        None => name,
    }
}
