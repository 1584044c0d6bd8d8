//! Everything below a manifest: its children, their children, and all their blobs.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, stream};
use tokio::sync::OnceCell;

use crate::oci::{Descriptor, Manifest, Refers};
use crate::reference::{Digest, Location};
use crate::store::{Error, Source, Target, Which};

use super::{Checker, Fault, Finding, Once};

/// How many manifests of one level are read at once; the requests of the whole run are limited apart.
const CHILDREN: usize = 4;

/// The deepest nesting of indexes: what the copy engine brings.
const MAX_DEPTH: usize = 8;

/// A manifest to look at.
struct Open {
    digest: Digest,
    platform: Option<String>,
    depth: usize,
}

impl Checker<'_> {
    /// Looks at everything below a manifest; what cannot be asked ends the search.
    pub(super) async fn parts(&self, target: &Location, root: Digest) -> Result<Finding, Error> {
        let (source, home) = (self.stores.source(target)?, self.stores.existing(target)?);
        let mut finding = Finding::new(Some(root.clone()));
        let mut seen = HashSet::from([root.clone()]);
        let mut open = vec![Open {
            digest: root.clone(),
            platform: None,
            depth: 0,
        }];
        while !open.is_empty() {
            let level = std::mem::take(&mut open);
            let (source, home) = (source.as_ref(), home.as_ref());
            let read = stream::iter(level)
                .map(|next| async move {
                    let manifest = self.manifest(source, home, &next.digest).await;
                    (next, manifest)
                })
                .buffered(CHILDREN);
            let read: Vec<_> = read.collect().await;
            for (next, manifest) in read {
                let manifest = match manifest {
                    Ok(Some(manifest)) => manifest,
                    Ok(None) => {
                        let Open {
                            digest, platform, ..
                        } = next;
                        finding.faults.push(Fault::Manifest { digest, platform });
                        continue;
                    }
                    Err(Error::Digest { .. }) => {
                        let digest = next.digest;
                        finding.faults.push(Fault::Damaged { digest });
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                finding.manifests += 1;
                if next.digest == root {
                    finding.platforms = manifest.platforms();
                }
                match &manifest.refers {
                    Refers::Blobs { config, layers } => {
                        let blobs = layers.iter().chain([config.as_ref()]);
                        let blobs = blobs.filter(|blob| !blob.is_foreign());
                        let blobs: Vec<_> = blobs
                            .filter(|blob| seen.insert(blob.digest.clone()))
                            .collect();
                        self.check_blobs(home, &manifest, &blobs, &mut finding)
                            .await?;
                    }
                    Refers::Manifests(_) if next.depth == MAX_DEPTH => {
                        finding.faults.push(Fault::Depth);
                    }
                    Refers::Manifests(children) => {
                        let new = children
                            .iter()
                            .filter(|child| seen.insert(child.digest.clone()));
                        open.extend(new.map(|child| Open {
                            digest: child.digest.clone(),
                            platform: child.platform.as_ref().map(ToString::to_string),
                            depth: next.depth + 1,
                        }));
                    }
                }
            }
        }
        Ok(finding)
    }

    async fn check_blobs(
        &self,
        home: &dyn Target,
        manifest: &Manifest,
        blobs: &[&Descriptor],
        finding: &mut Finding,
    ) -> Result<(), Error> {
        let mut asked: FuturesUnordered<_> = blobs
            .iter()
            .map(|blob| async move { (blob, self.has(home, blob).await) })
            .collect();
        while let Some((blob, there)) = asked.next().await {
            if there? {
                finding.blobs += 1;
            } else {
                finding.faults.push(Fault::Blob {
                    digest: blob.digest.clone(),
                    of: manifest.digest.clone(),
                });
            }
        }
        Ok(())
    }

    async fn has(&self, home: &dyn Target, blob: &Descriptor) -> Result<bool, Error> {
        let cell = once(&self.blobs, home, &blob.digest);
        let ask = || async {
            let _place = self.places.acquire().await;
            home.has_blob(blob).await
        };
        cell.get_or_try_init(ask).await.copied()
    }

    async fn manifest(
        &self,
        source: &dyn Source,
        home: &dyn Target,
        digest: &Digest,
    ) -> Result<Option<Manifest>, Error> {
        let cell = once(&self.manifests, home, digest);
        let ask = || async {
            let _place = self.places.acquire().await;
            source.manifest(&Which::Digest(digest.clone())).await
        };
        cell.get_or_try_init(ask).await.cloned()
    }
}

fn once<T>(cells: &Once<T>, home: &dyn Target, digest: &Digest) -> Arc<OnceCell<T>> {
    let mut cells = cells.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(cells.entry((home.pool(), digest.clone())).or_default())
}
