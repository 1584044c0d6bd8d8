//! Everything below a manifest: its children, their children, and all their blobs.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, future};

use crate::manifest::{Budget, Descriptor, Manifest, Seen, Visitor, walk};
use crate::reference::{Digest, Location};
use crate::store::{Error, Source, TagOrDigest, Target};

use super::{Checker, Fault, Finding};

/// A walk through everything that is at the target, which collects what is not.
struct Everything<'a> {
    checker: &'a Checker<'a>,
    source: &'a dyn Source,
    home: &'a dyn Target,
    seen: Seen,
    faults: Mutex<Vec<Fault>>,
}

impl Everything<'_> {
    fn fault(&self, fault: Fault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push(fault);
    }

    async fn read_manifest(
        &self,
        digest: &Digest,
        platform: Option<String>,
    ) -> Result<Option<Manifest>, Error> {
        let digest = digest.clone();
        match self.checker.manifest(self.source, self.home, &digest).await {
            Ok(Some(manifest)) => return Ok(Some(manifest)),
            Ok(None) => self.fault(Fault::Manifest { digest, platform }),
            Err(Error::Digest { .. }) => self.fault(Fault::Damaged { digest }),
            Err(error) => return Err(error),
        }
        Ok(None)
    }
}

impl Visitor for Everything<'_> {
    type Error = Error;

    fn select<'a>(
        &'a self,
        _: &'a Manifest,
        children: Vec<&'a Descriptor>,
    ) -> BoxFuture<'a, Result<Vec<&'a Descriptor>, Error>> {
        future::ready(Ok(self.seen.first_met(children))).boxed()
    }

    fn read<'a>(&'a self, child: &'a Descriptor) -> BoxFuture<'a, Result<Option<Manifest>, Error>> {
        let platform = child.platform.as_ref().map(ToString::to_string);
        self.read_manifest(&child.digest, platform).boxed()
    }

    fn out_of_bounds(&self) -> Result<(), Error> {
        self.fault(Fault::Depth);
        Ok(())
    }
}

impl Checker<'_> {
    /// Looks at everything below a manifest; what cannot be asked ends the search.
    pub(super) async fn content(&self, target: &Location, root: Digest) -> Result<Finding, Error> {
        let (source, home) = (self.stores.source(target)?, self.stores.existing(target)?);
        let everything = Everything {
            checker: self,
            source: source.as_ref(),
            home: home.as_ref(),
            seen: Seen::new(root.clone()),
            faults: Mutex::default(),
        };
        let mut finding = Finding::new(Some(root.clone()));
        if let Some(manifest) = everything.read_manifest(&root, None).await? {
            finding.platforms = manifest.platforms();
            let node = walk(&everything, manifest, &Budget::default()).await?;
            finding.manifests = node.manifests().len();
            let mut seen = HashSet::new();
            for manifest in node.manifests() {
                let blobs = manifest.blobs();
                let new: Vec<_> = blobs.filter(|blob| seen.insert(&blob.digest)).collect();
                self.check_blobs(home.as_ref(), manifest, &new, &mut finding)
                    .await?;
            }
        }
        let mut faults = everything
            .faults
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        faults.append(&mut finding.faults);
        faults.sort();
        faults.dedup();
        finding.faults = faults;
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
        let ask = || async {
            let _place = self.places.acquire().await;
            home.has_blob(blob).await
        };
        let key = (home.namespace(), blob.digest.clone());
        self.blobs.get_or_try_init(key, ask).await
    }

    async fn manifest(
        &self,
        source: &dyn Source,
        home: &dyn Target,
        digest: &Digest,
    ) -> Result<Option<Manifest>, Error> {
        let ask = || async {
            let _place = self.places.acquire().await;
            source.manifest(&TagOrDigest::Digest(digest.clone())).await
        };
        let key = (home.namespace(), digest.clone());
        self.manifests.get_or_try_init(key, ask).await
    }
}
