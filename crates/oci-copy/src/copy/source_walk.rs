//! The walk through an artifact at its source.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::manifest::{Budget, Descriptor, Manifest, Node, Seen, Visitor, walk};
use crate::reference::{Digest, TagOrDigest};

use super::artifact::ArtifactCopy;
use super::outcome::CopyError;

/// Which children of an index the walk goes into.
pub(super) enum Children<'a> {
    /// All, each once.
    All(Seen),
    /// Those that the target does not have, as far as it says so at little cost.
    Lacking {
        /// The digest of the artifact's manifest.
        root: Digest,
        /// What the artifact's name at the target names now.
        present: Option<&'a Digest>,
    },
    /// Those that the target does not find, asked for one by one.
    NotFound,
}

struct SourceWalk<'a> {
    copy: &'a ArtifactCopy<'a>,
    children: Children<'a>,
}

impl ArtifactCopy<'_> {
    /// Reads what is below a manifest.
    pub(super) async fn walk(
        &self,
        root: Manifest,
        children: Children<'_>,
        budget: &Budget,
    ) -> Result<Node, CopyError> {
        let visitor = SourceWalk {
            copy: self,
            children,
        };
        walk(&visitor, root, budget).await
    }

    /// A child manifest; what one walk has read, another one does not read again.
    async fn read_child(&self, digest: &Digest) -> Result<Manifest, CopyError> {
        let read = || async {
            let name = TagOrDigest::Digest(digest.clone());
            let child = self.source.manifest(&name).await;
            let child = child.map_err(self.source_error("read a child manifest"))?;
            child.ok_or_else(|| CopyError::Missing {
                reference: format!("{} (child {digest})", self.copy.source_text),
            })
        };
        let children = &self.children;
        children.get_or_try_init(digest.clone(), read).await
    }
}

impl SourceWalk<'_> {
    async fn lacking<'a>(
        &self,
        mut children: Vec<&'a Descriptor>,
        present: Option<&Digest>,
    ) -> Result<Vec<&'a Descriptor>, CopyError> {
        let digests: Vec<Digest> = children.iter().map(|child| child.digest.clone()).collect();
        // A child that is there is complete: the target took it after its parts.
        let known = self.copy.target.known_manifests(&digests, present).await;
        let known = known.map_err(self.copy.target_error("look for child manifests"))?;
        children.retain(|child| !known.contains(&child.digest));
        Ok(children)
    }

    async fn not_found<'a>(
        &self,
        children: Vec<&'a Descriptor>,
    ) -> Result<Vec<&'a Descriptor>, CopyError> {
        let mut lacking = Vec::new();
        for child in children {
            let name = TagOrDigest::Digest(child.digest.clone());
            let present = self.copy.target.resolve(&name).await;
            let present = present.map_err(self.copy.target_error("look for a child manifest"))?;
            if present.is_none() {
                lacking.push(child);
            }
        }
        Ok(lacking)
    }
}

impl Visitor for SourceWalk<'_> {
    type Error = CopyError;

    fn select<'a>(
        &'a self,
        index: &'a Manifest,
        children: Vec<&'a Descriptor>,
    ) -> BoxFuture<'a, Result<Vec<&'a Descriptor>, CopyError>> {
        async move {
            match &self.children {
                Children::All(seen) => Ok(seen.first_met(children)),
                Children::Lacking { root, present } => {
                    let present = present.filter(|_| *root == index.digest);
                    self.lacking(children, present).await
                }
                Children::NotFound => self.not_found(children).await,
            }
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        child: &'a Descriptor,
    ) -> BoxFuture<'a, Result<Option<Manifest>, CopyError>> {
        async move { self.copy.read_child(&child.digest).await.map(Some) }.boxed()
    }

    fn out_of_bounds(&self) -> Result<(), CopyError> {
        Err(CopyError::Depth {
            reference: self.copy.copy.source_text.clone(),
        })
    }
}
