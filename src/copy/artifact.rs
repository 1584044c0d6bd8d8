//! One artifact's way: from its name at the source to its name at the target.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use crate::oci::{Descriptor, Manifest, Refers};
use crate::plan::{Copy, Source};
use crate::reference::Digest;
use crate::store::{self, ChartSource, Stored, Target, Which, which};

use super::Engine;
use super::outcome::{CopyError, Done, Outcome, Side};

/// How many children of one index are in work at once.
const CHILDREN: usize = 4;

/// The deepest nesting of indexes. Real ones have two levels.
pub(super) const MAX_DEPTH: usize = 8;

/// One artifact on its way.
pub(super) struct Way<'a> {
    pub(super) engine: &'a Engine,
    pub(super) copy: &'a Copy,
    pub(super) source: Arc<dyn store::Source>,
    pub(super) target: Arc<dyn Target>,
    /// Bytes sent so far.
    pub(super) sent: AtomicU64,
    /// Layers that stay behind, by their digests.
    pub(super) left: Mutex<BTreeSet<Digest>>,
}

/// What is known of an artifact that is at the target.
struct Arrived {
    digest: Digest,
    platforms: Vec<String>,
    notes: Vec<String>,
    copied: bool,
}

impl Engine {
    /// Copies one artifact.
    pub(super) async fn copy(&self, copy: &Copy) -> Outcome {
        let started = Instant::now();
        let opened = self.open(copy);
        let (result, sent) = match opened {
            Ok(way) => {
                let result = way.go().await;
                (result, way.sent.load(Ordering::Relaxed))
            }
            Err(error) => (Err(error), 0),
        };
        let took = started.elapsed();
        match result {
            Ok(Arrived {
                digest,
                platforms,
                notes,
                copied,
            }) => {
                let done = if copied {
                    Done::Copied
                } else {
                    Done::AlreadyThere
                };
                Outcome {
                    digest: Some(digest),
                    platforms,
                    bytes: sent,
                    took,
                    notes,
                    done,
                }
            }
            Err(error) => Outcome {
                bytes: sent,
                took,
                done: Done::Failed(error),
                ..Outcome::stopped()
            },
        }
    }

    fn open<'a>(&'a self, copy: &'a Copy) -> Result<Way<'a>, CopyError> {
        let source: Arc<dyn store::Source> = match &copy.source {
            Source::Chart(artifact) => Arc::new(ChartSource::new(artifact.as_ref().clone())),
            Source::At(location) => self.stores.source(location).map_err(step(
                Side::Source,
                "open the home",
                &copy.source_text,
            ))?,
        };
        let target = self.stores.target(&copy.target).map_err(step(
            Side::Target,
            "open the home",
            &copy.target_text,
        ))?;
        Ok(Way {
            engine: self,
            copy,
            source,
            target,
            sent: AtomicU64::new(0),
            left: Mutex::default(),
        })
    }
}

/// Makes a store's error one of a step.
pub(super) fn step<'a>(
    side: Side,
    step: &'static str,
    reference: &'a str,
) -> impl Fn(store::Error) -> CopyError + 'a {
    move |source| CopyError::Step {
        side,
        step,
        reference: reference.to_owned(),
        source: Box::new(source),
    }
}

impl Way<'_> {
    pub(super) fn source_error(
        &self,
        what: &'static str,
    ) -> impl Fn(store::Error) -> CopyError + '_ {
        step(Side::Source, what, &self.copy.source_text)
    }

    pub(super) fn target_error(
        &self,
        what: &'static str,
    ) -> impl Fn(store::Error) -> CopyError + '_ {
        step(Side::Target, what, &self.copy.target_text)
    }

    async fn go(&self) -> Result<Arrived, CopyError> {
        let missing = || CopyError::Missing {
            reference: self.copy.source_text.clone(),
        };
        let wanted = match &self.copy.source {
            Source::At(location) => which(location),
            Source::Chart(artifact) => Which::Digest(artifact.manifest.digest.clone()),
        };
        let place = self.target_name();
        let (found, present) =
            tokio::join!(self.source.resolve(&wanted), self.target.resolve(&place));
        let found = found
            .map_err(self.source_error("find the manifest"))?
            .ok_or_else(missing)?;
        let present = present.map_err(self.target_error("look for the manifest"))?;
        if present.as_ref() == Some(&found) && self.engine.platforms.is_empty() {
            return Ok(Arrived {
                digest: found,
                platforms: Vec::new(),
                notes: Vec::new(),
                copied: false,
            });
        }
        // By digest, so that a tag that moves in this moment cannot mix two contents.
        let root = self.source.manifest(&Which::Digest(found)).await;
        let root = root
            .map_err(self.source_error("read the manifest"))?
            .ok_or_else(missing)?;
        let mut notes = Vec::new();
        let root = self.select(root, &mut notes)?;
        let platforms = root.platforms();
        if let Some(pinned) = self
            .copy
            .target
            .digest()
            .filter(|pinned| *pinned != root.digest)
        {
            tracing::debug!(%pinned, "a pinned digest differs");
            return Err(CopyError::Pinned {
                reference: self.copy.target_text.clone(),
                found: root.digest,
            });
        }
        if present.as_ref() == Some(&root.digest) {
            return Ok(Arrived {
                digest: root.digest,
                platforms,
                notes,
                copied: false,
            });
        }
        self.target
            .prepare()
            .await
            .map_err(self.target_error("create the repository"))?;
        notes.extend(self.bring_all(&root, &place).await?);
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        notes.extend(left.iter().map(|digest| {
            format!(
                "the layer {digest} is a foreign one and stays behind: clients fetch it from where its \
                 publisher keeps it, which an isolated cluster cannot reach"
            )
        }));
        Ok(Arrived {
            digest: root.digest.clone(),
            platforms,
            notes,
            copied: true,
        })
    }

    /// Brings an artifact with what refers to it; its own tag comes last.
    async fn bring_all(&self, root: &Manifest, place: &Which) -> Result<Vec<String>, CopyError> {
        let is_image = matches!(self.copy.source, Source::At(_));
        if self.engine.referrers && is_image {
            let referrers = self.referrers(&root.digest).await?;
            if !referrers.is_empty() {
                let untagged = Which::Digest(root.digest.clone());
                self.bring(root, &untagged, MAX_DEPTH).await?;
                let notes = self.bring_referrers(&root.digest, &referrers, 1).await?;
                let put = self.target.put_manifest(place, root).await;
                put.map_err(self.target_error("write the manifest"))?;
                return Ok(notes);
            }
        }
        self.bring(root, place, MAX_DEPTH).await.map(|_| Vec::new())
    }

    /// What the artifact is called at the target: its tag where it has one, or else its digest.
    fn target_name(&self) -> Which {
        match self.copy.target.tag() {
            Some(tag) => Which::Tag(tag.to_owned()),
            None => which(&self.copy.target),
        }
    }

    /// Only the wanted platforms of an index.
    fn select(&self, root: Manifest, notes: &mut Vec<String>) -> Result<Manifest, CopyError> {
        let wanted = &self.engine.platforms;
        let selected = root
            .select(wanted)
            .map_err(|available| CopyError::Platforms {
                reference: self.copy.source_text.clone(),
                available,
            })?;
        let there = root.platforms();
        if !wanted.is_empty() && !there.is_empty() {
            let absent = wanted.iter().filter(|platform| {
                !there.iter().any(|text| {
                    let mut parts = text.split('/');
                    let (os, architecture) = (
                        parts.next().unwrap_or_default(),
                        parts.next().unwrap_or_default(),
                    );
                    platform.matches(os, architecture, parts.next())
                })
            });
            notes.extend(absent.map(|platform| format!("it has no {platform}")));
        }
        Ok(match selected {
            None => root,
            Some(selected) => {
                notes.push(format!(
                    "platforms selected: the index has the digest {} instead of {}, signatures of the whole index do not apply",
                    selected.digest, root.digest
                ));
                selected
            }
        })
    }

    /// Brings a manifest to the target, everything that it refers to first.
    pub(super) fn bring<'w>(
        &'w self,
        manifest: &'w Manifest,
        name: &'w Which,
        depth: usize,
    ) -> BoxFuture<'w, Result<Stored, CopyError>> {
        async move {
            match &manifest.refers {
                Refers::Blobs { config, layers } => {
                    let distinct = layers.iter().enumerate().filter(|(index, layer)| {
                        !layers[..*index]
                            .iter()
                            .any(|earlier| earlier.digest == layer.digest)
                    });
                    let mut layers: FuturesUnordered<_> =
                        distinct.map(|(_, layer)| self.blob(layer)).collect();
                    while let Some(done) = layers.next().await {
                        done?;
                    }
                    self.blob(config).await?;
                }
                Refers::Manifests(children) => {
                    if depth == 0 {
                        return Err(CopyError::Depth {
                            reference: self.copy.source_text.clone(),
                        });
                    }
                    stream::iter(children.iter().map(Ok))
                        .try_for_each_concurrent(CHILDREN, |child| self.child(child, depth - 1))
                        .await?;
                }
            }
            self.target
                .put_manifest(name, manifest)
                .await
                .map_err(self.target_error("write the manifest"))
        }
        .boxed()
    }

    /// Brings a child of an index; one that is there is whole, because whatever accepted it had
    /// accepted its parts before.
    async fn child(&self, child: &Descriptor, depth: usize) -> Result<(), CopyError> {
        let name = Which::Digest(child.digest.clone());
        let present = self
            .target
            .resolve(&name)
            .await
            .map_err(self.target_error("look for a child manifest"))?;
        if present.is_some() {
            return Ok(());
        }
        let manifest = self
            .source
            .manifest(&name)
            .await
            .map_err(self.source_error("read a child manifest"))?;
        let missing = || CopyError::Missing {
            reference: format!("{} (child {})", self.copy.source_text, child.digest),
        };
        let manifest = manifest.ok_or_else(missing)?;
        self.bring(&manifest, &name, depth).await.map(drop)
    }
}
