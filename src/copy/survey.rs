//! What a run will have to move, found out before anything is moved.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::oci::Descriptor;
use crate::reference::Digest;

use super::artifact::Way;
use super::resolve::{Resolved, Tree, all_blobs};
use super::{Engine, Opened, Request, Run};

/// How many artifacts are looked at at once. The hosts' own windows are narrower.
const AT_ONCE: usize = 256;

/// What an artifact needs, with all that was read to find it out: [`Engine::run_surveyed`] does not read
/// it again.
pub struct Surveyed {
    pub(super) resolved: Option<Resolved>,
    /// What has to be moved; `None` where that is not known: copying will tell why.
    pub need: Option<Need>,
}

/// What has to be moved for one artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    /// Blobs that its place at the target lacks, each once. Other artifacts may need them too.
    pub blobs: Vec<Descriptor>,
    /// Manifests to write.
    pub manifests: usize,
}

impl Need {
    /// The bytes of its blobs.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }
}

impl Surveyed {
    const UNKNOWN: Self = Self {
        resolved: None,
        need: None,
    };

    pub(super) fn into_resolved(self) -> Option<Resolved> {
        self.resolved
    }

    /// Whether the target has the artifact already.
    #[must_use]
    pub fn is_there(&self) -> bool {
        matches!(self.resolved, Some(Resolved::There { .. }))
    }
}

impl Engine {
    /// Looks at every artifact, at source and target; writes nothing. The answers are in the order of the
    /// copies.
    pub async fn survey(self: &Arc<Self>, copies: &[Request]) -> Vec<Surveyed> {
        let homes: Vec<_> = copies.iter().map(|copy| self.open(copy)).collect();
        let run = &Run::new(copies, &homes);
        stream::iter(copies.iter().zip(homes))
            .map(|(copy, homes)| async move {
                let Ok((source, target)) = homes else {
                    return Surveyed::UNKNOWN;
                };
                let realm = Arc::clone(&run.realms[&target.realm()]);
                let opened = Opened {
                    source,
                    target,
                    realm,
                };
                Way::new(self, run, copy, opened).survey().await
            })
            .buffered(AT_ONCE)
            .collect()
            .await
    }
}

impl Way<'_> {
    async fn survey(&self) -> Surveyed {
        let Ok(resolved) = self.resolve().await else {
            return Surveyed::UNKNOWN;
        };
        let need = match &resolved {
            Resolved::There { .. } => Need::default(),
            Resolved::Bring(tree) => match self.need(tree).await {
                Some(need) => need,
                None => return Surveyed::UNKNOWN,
            },
        };
        Surveyed {
            resolved: Some(resolved),
            need: Some(need),
        }
    }

    async fn need(&self, tree: &Tree) -> Option<Need> {
        let mut blobs = all_blobs(&tree.root, &tree.attached);
        let digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest.clone()).collect();
        if let Some(known) = self.target.known_blobs(&digests).await.ok()? {
            blobs.retain(|blob| !known.contains(&blob.digest));
        }
        Some(Need {
            blobs,
            manifests: tree.manifests(),
        })
    }
}
