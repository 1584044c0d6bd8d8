//! Copies one artifact from its name at the source to its name at the target.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};

use crate::manifest::{Budget, Manifest, Node};
use crate::once_map::OnceMap;
use crate::reference::Digest;
use crate::store::{self, Error, SubjectSupport, TagOrDigest, Target};

use super::graph::{BlobHandle, Failure, MountScope, Needs, Sent};
use super::outcome::{CopyError, Done, Outcome, Side};
use super::preflight::Preflight;
use super::referrers::Referrers;
use super::resolve::{Resolved, Tree, all_blobs};
use super::{Endpoints, Engine, Request, Run, target_name};

/// The copy of one artifact.
pub(super) struct ArtifactCopy<'a> {
    pub(super) engine: &'a Engine,
    pub(super) run: &'a Run,
    pub(super) copy: &'a Request,
    pub(super) source: Arc<dyn store::Source>,
    pub(super) target: Arc<dyn Target>,
    mount_scope: Arc<MountScope>,
    is_registered: AtomicBool,
    /// What was read of it and of its referrers.
    pub(super) budget: Budget,
    /// Child manifests of the source.
    pub(super) children: OnceMap<Digest, Manifest>,
    /// When its first manifest was ready to be written.
    put: OnceLock<Instant>,
    /// The blobs that it waits for, once they are registered.
    handles: OnceLock<HashMap<Digest, BlobHandle>>,
}

/// What is known of an artifact that is at the target.
struct Finished {
    digest: Digest,
    platforms: Vec<String>,
    notes: Vec<String>,
    /// What its name named before.
    replaced: Option<Digest>,
    done: Done,
}

impl<'a> ArtifactCopy<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        run: &'a Run,
        copy: &'a Request,
        opened: Endpoints,
    ) -> Self {
        Self {
            engine,
            run,
            copy,
            source: opened.source,
            target: opened.target,
            mount_scope: opened.mount_scope,
            is_registered: AtomicBool::new(false),
            budget: Budget::default(),
            children: OnceMap::default(),
            put: OnceLock::new(),
            handles: OnceLock::new(),
        }
    }

    /// Copies the artifact; what a preflight has read is not read again.
    pub(super) async fn outcome(&self, preflight: Option<Preflight>) -> Outcome {
        let started = Instant::now();
        let result = self.go(preflight.and_then(Preflight::into_resolved)).await;
        self.registered();
        let finished = match result {
            Ok(finished) => {
                self.mount_scope.release(self.handles());
                Outcome {
                    digest: Some(finished.digest),
                    platforms: finished.platforms,
                    notes: finished.notes,
                    replaced: finished.replaced,
                    ..Outcome::ended(finished.done)
                }
            }
            Err(error) => {
                // Wake pending mounts: this artifact's manifest will never be pushed.
                self.handles().for_each(|handle| handle.pending.abandon());
                Outcome::ended(Done::Failed(error))
            }
        };
        Outcome {
            bytes: self.handles().map(BlobHandle::bytes).sum(),
            content_bytes: self
                .handles()
                .map(|handle| handle.pending.descriptor.size)
                .fold(0, u64::saturating_add),
            took: self.begun().unwrap_or(started).elapsed(),
            ..finished
        }
    }

    async fn go(&self, resolved: Option<Resolved>) -> Result<Finished, CopyError> {
        let resolved = match resolved {
            Some(resolved) => resolved,
            None => self.resolve().await?,
        };
        match resolved {
            Resolved::There {
                digest,
                platforms,
                notes,
                source: _,
            } => Ok(Finished {
                digest,
                platforms,
                notes,
                replaced: None,
                done: Done::AlreadyThere,
            }),
            Resolved::Bring(tree) => {
                let Tree {
                    root,
                    named,
                    referrers,
                    mut notes,
                    present,
                    source: _,
                } = *tree;
                self.register(&root, &referrers).await?;
                notes.extend(self.commit_all(&root, &referrers).await?);
                Ok(Finished {
                    platforms: root.manifest.platforms(),
                    replaced: present.filter(|present| *present != named),
                    digest: named,
                    notes,
                    done: Done::Copied,
                })
            }
        }
    }

    /// Registers all blobs in the run's graph, in one step.
    async fn register(&self, root: &Node, referrers: &Referrers) -> Result<(), CopyError> {
        let target = &self.target;
        let prepared = target.prepare().await;
        prepared.map_err(self.target_error("create the repository"))?;
        let blobs = all_blobs(root, referrers);
        let digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest.clone()).collect();
        let look = self.target_error("look for blobs");
        let known = target.known_blobs(&digests).await.map_err(&look)?;
        self.mount_scope
            .mounting(target.as_ref())
            .await
            .map_err(&look)?;
        let needs = Needs {
            source: &self.source,
            target,
            known: known.as_ref(),
        };
        let handles = self.mount_scope.register(&needs, &blobs);
        self.registered();
        let handles = digests.into_iter().zip(handles).collect();
        let is_first = self.handles.set(handles).is_ok();
        debug_assert!(is_first, "an artifact is registered once");
        Ok(())
    }

    /// Other artifacts need not wait for this one any more.
    fn registered(&self) {
        if !self.is_registered.swap(true, Ordering::Relaxed) {
            self.mount_scope.resolved();
            self.engine.events.resolved();
        }
    }

    /// When work on it began that is not another artifact's: its first transfer, or else its first manifest. Artifacts
    /// wait for each other's transfers before that.
    fn begun(&self) -> Option<Instant> {
        let own = self.handles().filter(|handle| handle.is_first);
        let transfers = own.filter_map(|handle| handle.pending.begun.get());
        transfers.chain(self.put.get()).min().copied()
    }

    fn handles(&self) -> impl Iterator<Item = &BlobHandle> {
        self.handles.get().into_iter().flat_map(HashMap::values)
    }

    /// Writes the artifact's manifests and referrers; its own tag comes last.
    async fn commit_all(
        &self,
        root: &Node,
        referrers: &Referrers,
    ) -> Result<Vec<String>, CopyError> {
        let place = target_name(self.copy);
        if referrers.is_empty() {
            self.commit(root, &place).await?;
            return Ok(Vec::new());
        }
        let digest = &root.manifest.digest;
        self.commit(root, &TagOrDigest::Digest(digest.clone()))
            .await?;
        let notes = self.commit_referrers(digest, referrers).await?;
        self.put(&place, &root.manifest).await?;
        Ok(notes)
    }

    /// Writes a manifest as soon as all that it refers to is there.
    pub(super) fn commit<'w>(
        &'w self,
        node: &'w Node,
        name: &'w TagOrDigest,
    ) -> BoxFuture<'w, Result<SubjectSupport, CopyError>> {
        async move {
            let children = node.children.iter().map(|child| async {
                let name = TagOrDigest::Digest(child.manifest.digest.clone());
                self.commit(child, &name).await
            });
            let blobs = node
                .manifest
                .blobs()
                .map(|blob| self.wait_for(&blob.digest));
            tokio::try_join!(try_join_all(children), try_join_all(blobs))?;
            let stored = self.put(name, &node.manifest).await?;
            for blob in node.manifest.blobs() {
                if let Some(handle) = self.handle(&blob.digest) {
                    handle.pending.commit();
                }
            }
            Ok(stored)
        }
        .boxed()
    }

    fn handle(&self, digest: &Digest) -> Option<&BlobHandle> {
        self.handles.get()?.get(digest)
    }

    async fn wait_for(&self, digest: &Digest) -> Result<(), CopyError> {
        let Some(handle) = self.handle(digest) else {
            return Ok(());
        };
        let finished = handle.pending.finished().await;
        finished
            .map(drop)
            .map_err(|failure| self.blob_error(failure))
    }

    /// Writes a manifest. What the target then reports as missing is sent, once.
    async fn put(
        &self,
        name: &TagOrDigest,
        manifest: &Manifest,
    ) -> Result<SubjectSupport, CopyError> {
        self.put.get_or_init(Instant::now);
        let failed = self.target_error("write the manifest");
        match self.target.put_manifest(name, manifest).await {
            Err(Error::NotYetVisible(error)) => {
                tracing::debug!(error = %error, "looking for what is missing of {name}: {error}");
                if !self.repair(manifest).await? {
                    return Err(failed(Error::NotYetVisible(error)));
                }
                let again = self.target.put_manifest(name, manifest).await;
                again.map_err(failed)
            }
            answer => answer.map_err(failed),
        }
    }

    pub(super) fn blob_error(&self, Failure { side, error }: Failure) -> CopyError {
        let (step, reference) = match side {
            Side::Source => ("read a blob", &self.copy.source_text),
            Side::Target => ("write a blob", &self.copy.target_text),
        };
        CopyError::Step {
            side,
            step,
            reference: reference.clone(),
            source: error,
        }
    }

    pub(super) fn source_error(
        &self,
        what: &'static str,
    ) -> impl Fn(store::Error) -> CopyError + '_ {
        super::step(Side::Source, what, &self.copy.source_text)
    }

    pub(super) fn target_error(
        &self,
        what: &'static str,
    ) -> impl Fn(store::Error) -> CopyError + '_ {
        super::step(Side::Target, what, &self.copy.target_text)
    }
}

impl BlobHandle {
    /// The bytes that were sent for it, to be counted once.
    fn bytes(&self) -> u64 {
        let was_sent = matches!(self.pending.ended(), Some(Ok(Sent::Yes)));
        if self.is_first && was_sent {
            self.pending.descriptor.size
        } else {
            0
        }
    }
}
