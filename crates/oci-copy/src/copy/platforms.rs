//! Only the wanted platforms of an artifact.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::http::Policy;
use crate::manifest::{
    DescribedPlatform, Descriptor, MAX_MANIFEST, Manifest, Platform, Refers, media_type,
};
use crate::reference::Digest;
use crate::store::{self, Source, TagOrDigest, read_whole};

use super::artifact::ArtifactCopy;
use super::outcome::CopyError;

/// The most children whose own configs are asked for their platform. Indexes whose entries name no
/// platform are rare, and then short.
const MAX_ASKED: usize = 64;

/// How many of them are asked at once.
const AT_ONCE: usize = 8;

/// What a selection reads, and by which rules.
struct Selection<'a> {
    /// Where the artifact is read.
    source: &'a Arc<dyn Source>,
    /// How often something is tried.
    policy: &'a Policy,
    /// The wanted platforms; none means all.
    wanted: &'a [Platform],
}

/// Why there is nothing to select.
enum Unselectable {
    /// It has only these platforms.
    Only(Vec<String>),
    /// Its config cannot be read.
    Unread(store::Error),
}

impl From<store::Error> for Unselectable {
    fn from(error: store::Error) -> Self {
        Self::Unread(error)
    }
}

impl ArtifactCopy<'_> {
    /// The artifact with only the wanted platforms.
    pub(super) async fn select(
        &self,
        root: Manifest,
        notes: &mut Vec<String>,
    ) -> Result<Manifest, CopyError> {
        let selection = Selection {
            source: &self.source,
            policy: &self.engine.rules.policy,
            wanted: &self.engine.options.platforms,
        };
        let selected = selection.of(root, notes).await;
        selected.map_err(|error| match error {
            Unselectable::Only(available) => CopyError::Platforms {
                reference: self.copy.source_text.clone(),
                available,
            },
            Unselectable::Unread(error) => self.source_error("find the platform")(error),
        })
    }
}

impl Selection<'_> {
    /// The artifact with only the wanted platforms, and notes of what that means.
    async fn of(&self, root: Manifest, notes: &mut Vec<String>) -> Result<Manifest, Unselectable> {
        let wanted = self.wanted;
        if wanted.is_empty() {
            return Ok(root);
        }
        if let Refers::Blobs { .. } = &root.refers {
            return match self.platform_of(&root).await? {
                Some(own) if !wanted.iter().any(|one| one.matches(&own)) => {
                    Err(Unselectable::Only(vec![own.to_string()]))
                }
                _ => Ok(root),
            };
        }
        let root = self.with_platforms(root).await?;
        let selected = root.select(wanted).map_err(Unselectable::Only)?;
        let Refers::Manifests(children) = &root.refers else {
            return Ok(root);
        };
        let known = children
            .iter()
            .filter_map(|child| child.platform.as_ref())
            .filter(|platform| platform.is_known());
        let known: Vec<&DescribedPlatform> = known.collect();
        if !known.is_empty() {
            let absent = wanted
                .iter()
                .filter(|wanted| !known.iter().any(|platform| wanted.matches(platform)));
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

    /// The index with the platforms of children that name none, from their configs.
    async fn with_platforms(&self, root: Manifest) -> Result<Manifest, store::Error> {
        let Refers::Manifests(children) = &root.refers else {
            return Ok(root);
        };
        let is_asked = |child: &&Descriptor| {
            let media_type = child.media_type.as_str();
            let is_image = matches!(
                media_type,
                media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST | ""
            );
            child.platform.is_none() && child.artifact_type.is_none() && is_image
        };
        let asked = children.iter().filter(is_asked).take(MAX_ASKED);
        let asked: Vec<Digest> = asked.map(|child| child.digest.clone()).collect();
        let found: Vec<_> = stream::iter(asked)
            .map(|digest| async move {
                let child = self
                    .source
                    .manifest(&TagOrDigest::Digest(digest.clone()))
                    .await?;
                let platform = match child {
                    Some(child) => self.platform_of(&child).await?,
                    None => None,
                };
                Ok::<_, store::Error>(platform.map(|platform| (digest, platform)))
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut platforms = HashMap::new();
        for one in found {
            platforms.extend(one?);
        }
        Ok(root.with_platforms(&platforms))
    }

    /// The platform that an image's config names; `None` for charts and other artifacts, and for configs
    /// that name none.
    async fn platform_of(
        &self,
        manifest: &Manifest,
    ) -> Result<Option<DescribedPlatform>, store::Error> {
        let Refers::Blobs { config, .. } = &manifest.refers else {
            return Ok(None);
        };
        let is_image = matches!(
            config.media_type.as_str(),
            media_type::OCI_CONFIG | media_type::DOCKER_CONFIG
        );
        if !is_image || config.size > MAX_MANIFEST {
            return Ok(None);
        }
        let config = read_whole(Arc::clone(self.source), config, self.policy.clone()).await?;
        let platform = serde_json::from_slice::<DescribedPlatform>(&config).ok();
        Ok(platform.filter(|platform| platform.is_known() && !platform.architecture.is_empty()))
    }
}
