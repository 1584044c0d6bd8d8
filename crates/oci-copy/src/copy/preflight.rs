//! What a run will have to move, found out before anything is moved.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::manifest::{Budget, Descriptor, Seen};
use crate::reference::Digest;
use crate::store::{self, archive};

use super::artifact::ArtifactCopy;
use super::outcome::{CopyError, Side, step};
use super::resolve::{Resolved, Tree, all_blobs};
use super::source_walk::Children;
use super::{Access, Endpoints, Engine, Request, Run};

/// How many artifacts are looked at at once. The hosts' own limits are lower.
const AT_ONCE: usize = 256;

/// The same where everything is described, so that an unreachable host gets few requests.
const DESCRIBED_AT_ONCE: usize = 16;

/// How much a preflight finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What a run needs to know: what is missing at the target.
    Missing,
    /// That, and what each artifact consists of, whether the target has it or not.
    Everything,
}

/// What is known of an artifact before it is copied. [`Engine::run_after`] does not read again what was
/// read to find it out.
#[derive(Default)]
pub struct Preflight {
    pub(super) resolved: Option<Resolved>,
    /// The digest that the target will have, where it is known.
    pub digest: Option<Digest>,
    /// The platforms that the target will have; empty for a single image or a chart.
    pub platforms: Vec<String>,
    /// The bytes of all distinct content, where it was described.
    pub bytes: Option<u64>,
    /// How it is at the target.
    pub presence: Presence,
    /// What its name names at the target now, where it has the name.
    pub present: Option<Digest>,
    /// What has to be moved, where all of it is known.
    pub missing: Option<Missing>,
    /// What went wrong at one side, or at both.
    pub errors: Vec<CopyError>,
}

/// How an artifact is at the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Presence {
    /// A side did not answer.
    #[default]
    Unknown,
    /// Its name is not there.
    Missing,
    /// Its name is there with other content.
    Differs,
    /// It is there.
    Present,
}

/// What has to be moved for one artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Blobs that its repository lacks, as far as the target answers for many at once; each once. Other
    /// artifacts may need them too.
    pub blobs: Vec<Descriptor>,
    /// Manifests to write.
    pub manifests: usize,
}

impl Missing {
    /// The bytes of its blobs.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }
}

impl Preflight {
    fn failed(error: CopyError) -> Self {
        Self {
            errors: vec![error],
            ..Self::default()
        }
    }

    /// Everything that belongs to the artifact, where nothing of it is at the target.
    #[must_use]
    pub fn content(&self) -> Option<archive::Artifact<'_>> {
        let Some(Resolved::Bring(tree)) = &self.resolved else {
            return None;
        };
        Some(archive::Artifact {
            root: &tree.root.manifest,
            manifests: tree.root.manifests(),
            blobs: tree.root.blobs(),
            referrers: tree.referrers.all(),
        })
    }

    /// What is worth knowing about it.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        match &self.resolved {
            Some(Resolved::Bring(tree)) => &tree.notes,
            Some(Resolved::There { notes, .. }) => notes,
            None => &[],
        }
    }

    pub(super) fn into_resolved(self) -> Option<Resolved> {
        self.resolved
    }

    /// The digest that the artifact's name at the source names, where it is known.
    #[must_use]
    pub fn source_digest(&self) -> Option<&Digest> {
        match self.resolved.as_ref()? {
            Resolved::There { source, .. } => Some(source),
            Resolved::Bring(tree) => tree.source.as_ref(),
        }
    }

    /// The source has no such artifact, or not all of it.
    #[must_use]
    pub fn has_no_source(&self) -> bool {
        let is_missing = |error| matches!(error, &CopyError::Missing { .. });
        self.errors.iter().any(is_missing)
    }

    /// The source has it for none of the wanted platforms.
    #[must_use]
    pub fn has_no_platform(&self) -> bool {
        let is_platform = |error| matches!(error, &CopyError::Platforms { .. });
        self.errors.iter().any(is_platform)
    }
}

impl Engine {
    /// Looks at every artifact, at source and target; writes nothing. The answers are in the order of the
    /// copies.
    pub async fn preflight(self: &Arc<Self>, copies: &[Request], detail: Detail) -> Vec<Preflight> {
        let open = |copy| self.open(copy, Access::Read);
        let opened: Vec<_> = copies.iter().map(open).collect();
        let run = &Run::new(copies, &opened);
        let at_once = match detail {
            Detail::Missing => AT_ONCE,
            Detail::Everything => DESCRIBED_AT_ONCE,
        };
        stream::iter(copies.iter().zip(opened))
            .map(|(copy, opened)| async move {
                let (source, target) = match opened {
                    Ok(opened) => opened,
                    Err(error) => return Preflight::failed(error),
                };
                let mount_scope = Arc::clone(&run.mount_scopes[&target.mount_scope()]);
                let opened = Endpoints {
                    source,
                    target,
                    mount_scope,
                };
                let artifact = ArtifactCopy::new(self, run, copy, opened);
                match detail {
                    Detail::Missing => artifact.preflight().await,
                    Detail::Everything => artifact.describe().await,
                }
            })
            .buffered(at_once)
            .collect()
            .await
    }
}

impl ArtifactCopy<'_> {
    async fn preflight(&self) -> Preflight {
        match self.resolve().await {
            Ok(resolved) => self.found(resolved).await,
            Err(error) => Preflight::failed(error),
        }
    }

    async fn found(&self, resolved: Resolved) -> Preflight {
        let mut preflight = Preflight::default();
        match &resolved {
            Resolved::There {
                digest, platforms, ..
            } => {
                preflight.presence = Presence::Present;
                preflight.present = Some(digest.clone());
                preflight.digest = Some(digest.clone());
                preflight.platforms.clone_from(platforms);
                preflight.missing = Some(Missing::default());
            }
            Resolved::Bring(tree) => {
                preflight.presence = match tree.present {
                    Some(_) => Presence::Differs,
                    None => Presence::Missing,
                };
                preflight.present.clone_from(&tree.present);
                preflight.digest = Some(tree.named.clone());
                preflight.platforms = tree.root.manifest.platforms();
                match self.missing(tree).await {
                    Ok(missing) => preflight.missing = Some(missing),
                    Err(error) => {
                        preflight.errors.push(error);
                        return preflight;
                    }
                }
            }
        }
        preflight.resolved = Some(resolved);
        preflight
    }

    async fn missing(&self, tree: &Tree) -> Result<Missing, CopyError> {
        let mut blobs = all_blobs(&tree.root, &tree.referrers);
        let digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest.clone()).collect();
        let known = self.target.known_blobs(&digests).await;
        if let Some(known) = known.map_err(self.target_error("look for blobs"))? {
            blobs.retain(|blob| !known.contains(&blob.digest));
        }
        Ok(Missing {
            blobs,
            manifests: tree.manifests(),
        })
    }

    /// Asks both sides, whatever the other one answers.
    async fn describe(&self) -> Preflight {
        let root = async {
            let name = self.copy.origin.name();
            let read = self.source.manifest(&name);
            let read = self.ask(Side::Source, "read the manifest", read).await?;
            self.selected(read.ok_or_else(|| self.no_source())?).await
        };
        let present = self.ask(Side::Target, "look for the manifest", self.present());
        let (root, present) = tokio::join!(root, present);
        let mut errors = Vec::new();
        let root = root.map_err(|error| errors.push(error)).ok();
        let present = present.map_err(|error| errors.push(error)).ok();
        let Some(root) = root else {
            let presence = match present {
                Some(None) => Presence::Missing,
                _ => Presence::Unknown,
            };
            return Preflight {
                presence,
                errors,
                ..Preflight::default()
            };
        };
        let digest = self.name_at_target(&root.manifest);
        let platforms = root.manifest.platforms();
        let presence = match &present {
            None => Presence::Unknown,
            Some(None) => Presence::Missing,
            Some(Some(present)) if *present == digest => Presence::Present,
            Some(Some(_)) => Presence::Differs,
        };
        let named = present.clone().flatten();
        // What this walk reads, the comparison does not read again.
        let all = Children::All(Seen::default());
        let whole = self
            .walk(root.manifest.clone(), all, &Budget::default())
            .await;
        let bytes = whole
            .map(|node| node.bytes())
            .map_err(|error| errors.push(error))
            .ok();
        let mut preflight = Preflight::default();
        if let (Some(_), Some(present)) = (bytes, present) {
            match self.compare(root, present).await {
                Ok(resolved) => preflight = self.found(resolved).await,
                Err(error) => errors.push(error),
            }
        }
        errors.append(&mut preflight.errors);
        Preflight {
            digest: Some(digest),
            platforms,
            bytes,
            presence,
            present: named,
            errors,
            // Nothing is copied after a description: what was read need not be kept.
            resolved: None,
            ..preflight
        }
    }

    /// Asks one side, unless its host is known to be unreachable.
    async fn ask<T>(
        &self,
        side: Side,
        what: &'static str,
        question: impl Future<Output = Result<T, store::Error>>,
    ) -> Result<T, CopyError> {
        let (host, reference) = match side {
            Side::Source => (self.copy.origin.host(), &self.copy.source_text),
            Side::Target => (self.copy.target.host(), &self.copy.target_text),
        };
        let answer = self.run.unreachable.ask(host, question).await;
        answer.map_err(step(side, what, reference))
    }
}
