//! What artifacts consist of at their sources, whatever a target has.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::manifest::{Descriptor, Node};
use crate::reference::Digest;
use crate::store::{Nowhere, Target};

use super::artifact::ArtifactCopy;
use super::graph::MountScope;
use super::outcome::{CopyError, Side, step};
use super::referrers::Referrers;
use super::resolve::{Resolved, Tree};
use super::{Endpoints, Engine, Origin, Request, Run};

/// How many artifacts are described at once. The hosts' own limits are lower.
const AT_ONCE: usize = 16;

/// What an artifact consists of at its source, with only the wanted platforms and referrers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The digest that its name at the target will have.
    pub digest: Digest,
    /// The digest of what the source has: another one where platforms are selected.
    pub source_digest: Digest,
    /// The bytes of all its distinct content, without its referrers.
    pub bytes: u64,
    /// The platforms of an index, in its order; none for a single image or a chart.
    pub platforms: Vec<Part>,
    /// What refers to it or to a part of it, its subject first.
    pub referrers: Vec<ReferrerPart>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// One platform of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Such as `linux/arm64`.
    pub platform: String,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The bytes of all its distinct content.
    pub bytes: u64,
}

/// One referrer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferrerPart {
    /// The digest of its manifest.
    pub digest: Digest,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// The digest that it is about.
    pub subject: Digest,
    /// The tag that it is known by, if it has one: cosign's.
    pub tag: Option<String>,
    /// The bytes of all its distinct content.
    pub bytes: u64,
}

impl Engine {
    /// Reads what artifacts consist of at their sources; asks no target. The answers are in the order of the
    /// requests.
    pub async fn describe(
        self: &Arc<Self>,
        copies: &[Request],
    ) -> Vec<Result<Description, CopyError>> {
        let opened = copies.iter().map(|copy| {
            let source = match &copy.origin {
                Origin::Source { source, .. } => Ok(Arc::clone(source)),
                Origin::Location(location) => {
                    let source = self.stores.source(location);
                    source.map_err(step(Side::Source, "open the home", &copy.source_text))
                }
            };
            source.map(|source| (source, Arc::new(Nowhere) as Arc<dyn Target>))
        });
        let opened: Vec<_> = opened.collect();
        let run = &Run::new(copies, &opened);
        stream::iter(copies.iter().zip(opened))
            .map(|(copy, opened)| async move {
                let (source, target) = opened?;
                let mount_scope = MountScope::new(0);
                let opened = Endpoints {
                    source,
                    target,
                    mount_scope,
                };
                ArtifactCopy::new(self, run, copy, opened)
                    .description()
                    .await
            })
            .buffered(AT_ONCE)
            .collect()
            .await
    }
}

impl ArtifactCopy<'_> {
    async fn description(&self) -> Result<Description, CopyError> {
        let host = self.copy.origin.host();
        let name = self.copy.origin.name();
        let read = self.run.unreachable.ask(host, self.source.manifest(&name));
        let read = read.await.map_err(self.source_error("read the manifest"))?;
        let selected = self.selected(read.ok_or_else(|| self.no_source())?).await?;
        let source_digest = selected.read.clone();
        match self.compare(selected, None).await? {
            Resolved::Bring(tree) => Ok(describe(*tree, source_digest)),
            // Nothing is at a target that has nothing.
            Resolved::There { .. } => Err(self.no_source()),
        }
    }
}

fn describe(tree: Tree, source_digest: Digest) -> Description {
    let Tree {
        root,
        named,
        referrers,
        notes,
        present: _,
        source: _,
    } = tree;
    let mut parts = Vec::new();
    add_referrers(&root.manifest.digest, &referrers, &mut parts);
    Description {
        digest: named,
        source_digest,
        bytes: root.bytes(),
        platforms: platforms(&root),
        referrers: parts,
        notes,
    }
}

fn platforms(index: &Node) -> Vec<Part> {
    let children = index.manifest.children().into_iter();
    let described = children.filter_map(
        |Descriptor {
             digest, platform, ..
         }| {
            let platform = platform.as_ref().filter(|platform| platform.is_known())?;
            let mut nodes = index.children.iter();
            let node = nodes.find(|node| node.manifest.digest == *digest)?;
            Some(Part {
                platform: platform.to_string(),
                digest: digest.clone(),
                bytes: node.bytes(),
            })
        },
    );
    described.collect()
}

fn add_referrers(subject: &Digest, referrers: &Referrers, parts: &mut Vec<ReferrerPart>) {
    let part = |node: &Node, tag: Option<&String>| ReferrerPart {
        digest: node.manifest.digest.clone(),
        artifact_type: node.manifest.as_referrer().artifact_type,
        subject: subject.clone(),
        tag: tag.cloned(),
        bytes: node.bytes(),
    };
    for referrer in &referrers.listed {
        parts.push(part(&referrer.node, None));
        add_referrers(&referrer.node.manifest.digest, &referrer.next, parts);
    }
    for (tag, node) in &referrers.tagged {
        parts.push(part(node, Some(tag)));
    }
    for (platform, of) in &referrers.platforms {
        add_referrers(platform, of, parts);
    }
}
