//! What an artifact consists of: found at the source, as far as the target does not have it.

use std::collections::HashSet;

use crate::manifest::{Descriptor, Manifest, Node};
use crate::reference::{Digest, Location};
use crate::store::{self, TagOrDigest};

use super::ReferrerPolicy;
use super::artifact::ArtifactCopy;
use super::outcome::CopyError;
use super::referrers::Referrers;
use super::source_walk::Children;
use super::target_name;

/// What has to be copied.
pub(super) enum Resolved {
    /// Nothing: the target has it.
    There {
        /// The digest that its name at the source names.
        source: Digest,
        digest: Digest,
        platforms: Vec<String>,
        notes: Vec<String>,
    },
    /// This.
    Bring(Box<Tree>),
}

/// What the source has.
enum Found {
    /// What the target has, or the source cannot be reached.
    Same { digest: Digest, notes: Vec<String> },
    /// This.
    Manifest(Manifest),
}

/// An artifact of the source with only the wanted platforms.
pub(super) struct Selected {
    pub(super) manifest: Manifest,
    /// The digest of what the source has.
    pub(super) read: Digest,
    /// It is another index than the one at the source.
    is_new: bool,
    notes: Vec<String>,
}

/// What is missing of an artifact, with its referrers.
pub(super) struct Tree {
    pub(super) root: Node,
    /// The digest that its name at the source names, where it was read there.
    pub(super) source: Option<Digest>,
    /// The digest that the artifact's name at the target will have.
    pub(super) named: Digest,
    /// What that name names now.
    pub(super) present: Option<Digest>,
    pub(super) referrers: Referrers,
    pub(super) notes: Vec<String>,
}

impl Tree {
    /// Manifests to write, those of what refers to the artifact included.
    pub(super) fn manifests(&self) -> usize {
        let nodes = std::iter::once(&self.root).chain(self.referrers.nodes());
        nodes.map(|node| node.manifests().len()).sum()
    }
}

/// All distinct blobs of an artifact and of what refers to it.
pub(super) fn all_blobs(root: &Node, referrers: &Referrers) -> Vec<Descriptor> {
    let mut seen = HashSet::new();
    let nodes = std::iter::once(root).chain(referrers.nodes());
    let blobs = nodes.flat_map(Node::blobs);
    let blobs = blobs.filter(|blob| seen.insert(&blob.digest));
    blobs.cloned().collect()
}

/// Whether the target's artifact is kept although the source did not answer.
fn is_out_of_reach(error: &store::Error) -> bool {
    use crate::http::Class;
    let is_limit = matches!(error, store::Error::Http(error) if error.is_pull_limit());
    let is_passing = matches!(error.class(), Class::Transient(_) | Class::Throttled(_));
    error.is_unreachable() || is_limit || is_passing
}

impl ArtifactCopy<'_> {
    /// Compares source and target, and reads what is missing there.
    pub(super) async fn resolve(&self) -> Result<Resolved, CopyError> {
        let present = self.present().await;
        let present = present.map_err(self.target_error("look for the manifest"))?;
        match self.query(present.as_ref()).await? {
            Found::Same { digest, notes } => {
                // Where platforms are selected, the source has another index.
                let source = match self.copy.origin.name() {
                    TagOrDigest::Digest(pinned) => pinned,
                    TagOrDigest::Tag(_) => digest.clone(),
                };
                self.admit(&source, None).await?;
                Ok(Resolved::There {
                    source,
                    digest,
                    platforms: Vec::new(),
                    notes,
                })
            }
            Found::Manifest(root) => {
                let root = self.selected(root).await?;
                self.compare(root, present).await
            }
        }
    }

    /// What the source has, read only where the target does not have it already.
    async fn query(&self, present: Option<&Digest>) -> Result<Found, CopyError> {
        let same = |digest: &Digest, notes| {
            Ok(Found::Same {
                digest: digest.clone(),
                notes,
            })
        };
        if let Some(present) =
            present.filter(|present| self.copy.expected.as_ref() == Some(present))
        {
            return same(present, Vec::new());
        }
        let wanted = self.copy.origin.name();
        let selects = !self.engine.options.platforms.is_empty();
        // Where the target has nothing, the manifest is needed whatever a HEAD would say.
        let mut name = wanted.clone();
        if let Some(present) = present.filter(|_| !selects) {
            let found = match &wanted {
                TagOrDigest::Digest(digest) => Ok(Some(digest.clone())),
                TagOrDigest::Tag(_) => self.source.resolve(&wanted).await,
            };
            match found {
                Ok(Some(found)) if found == *present => return same(present, Vec::new()),
                // By digest, so that a tag that moves in this moment cannot mix two contents.
                Ok(Some(found)) => name = TagOrDigest::Digest(found),
                Ok(None) => return Err(self.no_source()),
                Err(error) if is_out_of_reach(&error) => {
                    return same(present, vec![unasked(&error)]);
                }
                Err(error) => return Err(self.source_error("find the manifest")(error)),
            }
        }
        let mut read = self.source.manifest(&name).await;
        if matches!(read, Ok(None)) && name != wanted {
            // The digest was wrong, or is out of date by now.
            read = self.source.manifest(&wanted).await;
        }
        match read {
            Ok(root) => root.map(Found::Manifest).ok_or_else(|| self.no_source()),
            Err(error) => match present {
                Some(present) if is_out_of_reach(&error) => same(present, vec![unasked(&error)]),
                _ => Err(self.source_error("read the manifest")(error)),
            },
        }
    }

    /// The artifact with only the wanted platforms, under the digest that its name at the target pins.
    pub(super) async fn selected(&self, root: Manifest) -> Result<Selected, CopyError> {
        let (mut notes, read) = (Vec::new(), root.digest.clone());
        let manifest = self.select(root, &mut notes).await?;
        let is_new = manifest.digest != read;
        let manifest = match self.copy.target.digest() {
            None => manifest,
            Some(pinned) => manifest.named(&pinned).map_err(|found| CopyError::Pinned {
                reference: self.copy.target_text.clone(),
                found,
            })?,
        };
        Ok(Selected {
            manifest,
            read,
            is_new,
            notes,
        })
    }

    /// Compares the source's artifact with what its name at the target names, and reads what is missing.
    pub(super) async fn compare(
        &self,
        root: Selected,
        present: Option<Digest>,
    ) -> Result<Resolved, CopyError> {
        let Selected {
            manifest: root,
            read,
            is_new,
            mut notes,
        } = root;
        let named = self.name_at_target(&root);
        if present.as_ref() == Some(&named) {
            self.admit(&read, None).await?;
            return Ok(Resolved::There {
                source: read,
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
        let is_read = wanted != ReferrerPolicy::None && !is_new;
        let referrers = async {
            if is_read {
                self.referrers_of(&read, 0).await
            } else {
                Ok(Referrers::default())
            }
        };
        let root = self.lacking(root, present.as_ref());
        let (root, mut referrers) = tokio::try_join!(root, referrers)?;
        self.admit(&read, is_read.then_some(&referrers)).await?;
        if wanted == ReferrerPolicy::All || !referrers.is_empty() {
            self.add_platform_referrers(&root, &mut referrers).await?;
        }
        notes.append(&mut referrers.notes);
        notes.extend(left_behind(&root));
        Ok(Resolved::Bring(Box::new(Tree {
            root,
            source: Some(read),
            named,
            present,
            referrers,
            notes,
        })))
    }

    /// What the artifact's name names at the target now.
    pub(super) async fn present(&self) -> Result<Option<Digest>, store::Error> {
        let name = target_name(self.copy);
        let info = self.target.info();
        let all = self.run.namespaces.get(&info.namespace);
        let Some(all) = all.filter(|_| info.capabilities.batch_lookups) else {
            return self.target.resolve(&name).await;
        };
        let find = || self.target.find(&all.names);
        let found = all.present.get_or_try_init(find).await?;
        Ok(found.get(&name).cloned())
    }

    /// The digest that a manifest's name at the target has: registries name tagged content by
    /// its SHA-256.
    pub(super) fn name_at_target(&self, root: &Manifest) -> Digest {
        match (&self.copy.target, target_name(self.copy)) {
            (Location::Registry(_), TagOrDigest::Tag(_)) => Digest::of(&root.bytes),
            _ => root.digest.clone(),
        }
    }

    /// An immutable tag is a conflict before anything is sent.
    async fn check_movable(&self, present: &Digest, wanted: &Digest) -> Result<(), CopyError> {
        let TagOrDigest::Tag(tag) = target_name(self.copy) else {
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

    /// A manifest with everything below it that is missing at the target.
    pub(super) async fn lacking(
        &self,
        manifest: Manifest,
        present: Option<&Digest>,
    ) -> Result<Node, CopyError> {
        let lacking = Children::Lacking {
            root: manifest.digest.clone(),
            present,
        };
        let node = self.walk(manifest, lacking, &self.budget).await?;
        node.manifests()
            .into_iter()
            .try_for_each(|manifest| self.check_refusal(manifest))?;
        Ok(node)
    }

    /// What the target does not take, whatever is tried.
    fn check_refusal(&self, manifest: &Manifest) -> Result<(), CopyError> {
        let reference = || self.copy.source_text.clone();
        let capabilities = self.target.info().capabilities;
        if !capabilities.other_digests {
            let digests = manifest.references().map(|part| &part.digest);
            let mut digests = digests.chain([&manifest.digest]);
            if let Some(other) = digests.find(|digest| !digest.is_sha256()) {
                return Err(CopyError::Algorithm {
                    reference: reference(),
                    algorithm: other.algorithm(),
                });
            }
        }
        let is_empty = |blob: &Descriptor| blob.size == 0;
        let mut blobs = manifest.blobs().chain(manifest.foreign_layers());
        if !capabilities.empty_blobs && blobs.any(is_empty) {
            return Err(CopyError::EmptyBlob {
                reference: reference(),
                manifest: manifest.digest.clone(),
            });
        }
        Ok(())
    }

    /// The source does not have it.
    pub(super) fn no_source(&self) -> CopyError {
        CopyError::Missing {
            reference: self.copy.source_text.clone(),
        }
    }
}

/// The note for a source that could not be queried.
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

/// The notes for foreign layers.
fn left_behind(node: &Node) -> Vec<String> {
    let own = node.manifest.foreign_layers().map(|layer| {
        format!(
            "the layer {} is a foreign one and stays behind: clients fetch it from where its \
             publisher keeps it, which an isolated cluster cannot reach",
            layer.digest
        )
    });
    own.chain(node.children.iter().flat_map(left_behind))
        .collect()
}
