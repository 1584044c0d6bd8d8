//! What an artifact consists of: found at the source, as far as the target does not have it.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};

use crate::oci::{Descriptor, Manifest, Refers};
use crate::reference::{Digest, Location};
use crate::store::{self, Refusal, Which};

use super::ReferrerPolicy;
use super::artifact::Way;
use super::outcome::CopyError;
use super::referrers::Attached;
use super::target_name;

/// The deepest nesting of indexes. Real ones have two levels.
pub(super) const MAX_DEPTH: usize = 8;

/// The most manifests of one artifact. Real ones have a few dozen, and each costs requests: what needs
/// more was made to keep somebody busy.
pub(super) const MAX_MANIFESTS: usize = 10_000;

/// A manifest that is to be brought, with those of its children that are.
pub(super) struct Node {
    pub(super) manifest: Manifest,
    pub(super) children: Vec<Node>,
}

/// What became of the question what to bring.
pub(super) enum Resolved {
    /// Nothing: the target has it.
    There {
        digest: Digest,
        platforms: Vec<String>,
        notes: Vec<String>,
    },
    /// This.
    Bring(Box<Tree>),
}

/// An artifact as far as it is to be brought, with what refers to it.
pub(super) struct Tree {
    pub(super) root: Node,
    /// The digest that the artifact's name at the target will have.
    pub(super) named: Digest,
    pub(super) attached: Attached,
    pub(super) notes: Vec<String>,
}

impl Tree {
    /// Manifests to write, those of what refers to the artifact included.
    pub(super) fn manifests(&self) -> usize {
        let attached = self.attached.nodes().into_iter().map(Node::manifests);
        self.root.manifests() + attached.sum::<usize>()
    }
}

/// All distinct blobs of an artifact and of what refers to it.
pub(super) fn all_blobs(root: &Node, attached: &Attached) -> Vec<Descriptor> {
    let mut seen = HashSet::new();
    let nodes = std::iter::once(root).chain(attached.nodes());
    let mut blobs: Vec<Descriptor> = nodes.flat_map(Node::blobs).collect();
    blobs.retain(|blob| seen.insert(blob.digest.clone()));
    blobs
}

impl Node {
    fn manifests(&self) -> usize {
        1 + self.children.iter().map(Self::manifests).sum::<usize>()
    }

    /// All distinct blobs below, config first in no manifest: layers are what takes long.
    pub(super) fn blobs(&self) -> Vec<Descriptor> {
        let (mut blobs, mut seen) = (Vec::new(), HashSet::new());
        self.collect(&mut blobs, &mut seen);
        blobs
    }

    fn collect(&self, blobs: &mut Vec<Descriptor>, seen: &mut HashSet<Digest>) {
        for blob in own_blobs(&self.manifest) {
            if seen.insert(blob.digest.clone()) {
                blobs.push(blob.clone());
            }
        }
        for child in &self.children {
            child.collect(blobs, seen);
        }
    }
}

/// The blobs of a manifest that travel with it.
pub(super) fn own_blobs(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    let blobs = match &manifest.refers {
        Refers::Blobs { config, layers } => Some((layers, config.as_ref())),
        Refers::Manifests(_) => None,
    };
    blobs
        .into_iter()
        .flat_map(|(layers, config)| layers.iter().chain([config]))
        .filter(|blob| !blob.is_foreign())
}

/// The layers of a manifest that stay behind.
fn foreign(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    let layers = match &manifest.refers {
        Refers::Blobs { layers, .. } => layers.as_slice(),
        Refers::Manifests(_) => &[],
    };
    layers.iter().filter(|layer| layer.is_foreign())
}

/// Why a source that cannot be asked is no failure where the target has the artifact.
fn is_out_of_reach(error: &store::Error) -> bool {
    use crate::http::Class;
    let is_limit = matches!(error, store::Error::Http(error) if error.is_pull_limit());
    let is_passing = matches!(error.class(), Class::Transient(_) | Class::Throttled(_));
    error.is_unreachable() || is_limit || is_passing
}

impl Way<'_> {
    /// Compares source and target, and reads what is missing there.
    pub(super) async fn resolve(&self) -> Result<Resolved, CopyError> {
        let missing = || CopyError::Missing {
            reference: self.copy.source_text.clone(),
        };
        let present = self.present().await?;
        let wanted = self.copy.origin.name();
        let selects = !self.engine.options.platforms.is_empty();
        let there = |digest, notes| Resolved::There {
            digest,
            platforms: Vec::new(),
            notes,
        };
        // Where the target has nothing, the manifest is needed whatever a HEAD would say.
        let mut name = wanted.clone();
        if let Some(present) = present.clone().filter(|_| !selects) {
            let found = match &wanted {
                Which::Digest(digest) => Ok(Some(digest.clone())),
                Which::Tag(_) => self.source.resolve(&wanted).await,
            };
            match found {
                Ok(Some(found)) if found == present => return Ok(there(found, Vec::new())),
                // By digest, so that a tag that moves in this moment cannot mix two contents.
                Ok(Some(found)) => name = Which::Digest(found),
                Ok(None) => return Err(missing()),
                Err(error) if is_out_of_reach(&error) => {
                    return Ok(there(present, vec![unasked(&error)]));
                }
                Err(error) => return Err(self.source_error("find the manifest")(error)),
            }
        }
        let mut read = self.source.manifest(&name).await;
        if matches!(read, Ok(None)) && name != wanted {
            // The digest was wrong, or is out of date by now.
            read = self.source.manifest(&wanted).await;
        }
        let root = match read {
            Ok(root) => root.ok_or_else(missing)?,
            Err(error) => match present {
                Some(present) if is_out_of_reach(&error) => {
                    return Ok(there(present, vec![unasked(&error)]));
                }
                _ => return Err(self.source_error("read the manifest")(error)),
            },
        };
        let mut notes = Vec::new();
        let read = root.digest.clone();
        let root = self.select(root, &mut notes).await?;
        let is_new = root.digest != read;
        let root = match self.copy.target.digest() {
            None => root,
            Some(pinned) => root.named(&pinned).map_err(|found| CopyError::Pinned {
                reference: self.copy.target_text.clone(),
                found,
            })?,
        };
        let named = self.name_at_target(&root);
        if present.as_ref() == Some(&named) {
            return Ok(Resolved::There {
                platforms: root.platforms(),
                digest: named,
                notes,
            });
        }
        if let Some(present) = &present {
            self.check_movable(present, &named).await?;
        }
        // Nothing at the source can refer to an index that was made here.
        let wanted = if self.copy.origin.can_have_referrers() {
            self.engine.options.referrers
        } else {
            ReferrerPolicy::None
        };
        let digest = read;
        let attached = async {
            if wanted == ReferrerPolicy::None || is_new {
                Ok(Attached::default())
            } else {
                self.attached(&digest, 0).await
            }
        };
        let root = self.node(root, present.as_ref(), MAX_DEPTH);
        let (root, mut attached) = tokio::try_join!(root, attached)?;
        if wanted == ReferrerPolicy::All || !attached.is_empty() {
            self.attach_to_platforms(&root, &mut attached).await?;
        }
        notes.append(&mut attached.notes);
        notes.extend(left_behind(&root));
        Ok(Resolved::Bring(Box::new(Tree {
            root,
            named,
            attached,
            notes,
        })))
    }

    /// What the artifact's name names at the target now.
    async fn present(&self) -> Result<Option<Digest>, CopyError> {
        let (name, failed) = (
            target_name(self.copy),
            self.target_error("look for the manifest"),
        );
        let Some(pool) = self.run.pools.get(&self.target.pool()) else {
            return self.target.resolve(&name).await.map_err(failed);
        };
        let Some(all) = self.target.resolve_all(&pool.names) else {
            return self.target.resolve(&name).await.map_err(failed);
        };
        let all = pool.present.get_or_try_init(|| all).await.map_err(failed)?;
        Ok(all.get(&name).cloned())
    }

    /// The digest that a manifest's name at the target has: a registry names what a tag stands for by
    /// SHA-256.
    fn name_at_target(&self, root: &Manifest) -> Digest {
        match (&self.copy.target, target_name(self.copy)) {
            (Location::Registry(_), Which::Tag(_)) => Digest::of(&root.bytes),
            _ => root.digest.clone(),
        }
    }

    /// A tag that cannot move is a conflict before anything is sent.
    async fn check_movable(&self, present: &Digest, wanted: &Digest) -> Result<(), CopyError> {
        let Which::Tag(tag) = target_name(self.copy) else {
            return Ok(());
        };
        let is_fixed = self.target.is_immutable(&tag).await;
        if is_fixed.map_err(self.target_error("look at the repository"))? {
            return Err(CopyError::Conflict {
                reference: self.copy.target_text.clone(),
                present: present.clone(),
                wanted: wanted.clone(),
            });
        }
        Ok(())
    }

    /// A manifest with those children that the target lacks.
    pub(super) fn node<'w>(
        &'w self,
        manifest: Manifest,
        present: Option<&'w Digest>,
        depth: usize,
    ) -> BoxFuture<'w, Result<Node, CopyError>> {
        async move {
            let reference = || self.copy.source_text.clone();
            match self.target.refuses(&manifest) {
                None => {}
                Some(Refusal::EmptyBlob) => {
                    return Err(CopyError::EmptyBlob {
                        reference: reference(),
                        manifest: manifest.digest,
                    });
                }
                Some(Refusal::Algorithm(algorithm)) => {
                    return Err(CopyError::Algorithm {
                        reference: reference(),
                        algorithm,
                    });
                }
            }
            let Refers::Manifests(children) = &manifest.refers else {
                return Ok(Node {
                    manifest,
                    children: Vec::new(),
                });
            };
            let endless = || CopyError::Depth {
                reference: self.copy.source_text.clone(),
            };
            let mut seen = HashSet::new();
            let children: Vec<Digest> = children
                .iter()
                .map(|child| child.digest.clone())
                .filter(|child| seen.insert(child.clone()))
                .collect();
            // A child that is there is whole: whatever accepted it had accepted its parts before.
            let known = self.target.known_manifests(&children, present).await;
            let known = known.map_err(self.target_error("look for child manifests"))?;
            let lacking = children.into_iter().filter(|child| !known.contains(child));
            let lacking: Vec<Digest> = lacking.collect();
            let before = self.manifests.fetch_add(lacking.len(), Ordering::Relaxed);
            if depth == 0 || before + lacking.len() > MAX_MANIFESTS {
                return Err(endless());
            }
            let lacking = lacking.into_iter();
            let nodes = lacking.map(|child| async move {
                let child = self.read_child(child).await?;
                self.node(child, None, depth - 1).await
            });
            let children = try_join_all(nodes).await?;
            Ok(Node { manifest, children })
        }
        .boxed()
    }

    pub(super) async fn read_child(&self, digest: Digest) -> Result<Manifest, CopyError> {
        let reference = format!("{} (child {digest})", self.copy.source_text);
        let child = self.source.manifest(&Which::Digest(digest)).await;
        let child = child.map_err(self.source_error("read a child manifest"))?;
        child.ok_or(CopyError::Missing { reference })
    }
}

/// The words for a source that could not be asked.
fn unasked(error: &store::Error) -> String {
    let mut said = format!(
        "the source cannot be asked whether there is something newer; what is there stays: {error}"
    );
    let first: &dyn std::error::Error = error;
    let root = std::iter::successors(Some(first), |error| error.source()).last();
    let root = root.map(ToString::to_string).unwrap_or_default();
    if !said.ends_with(&root) {
        said = format!("{said}: {root}");
    }
    said
}

/// The words for foreign layers.
fn left_behind(node: &Node) -> Vec<String> {
    let own = foreign(&node.manifest).map(|layer| {
        format!(
            "the layer {} is a foreign one and stays behind: clients fetch it from where its \
             publisher keeps it, which an isolated cluster cannot reach",
            layer.digest
        )
    });
    own.chain(node.children.iter().flat_map(left_behind))
        .collect()
}
