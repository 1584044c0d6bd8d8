//! A gate: what decides whether an artifact may be copied, before any of its blobs is.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::http::Policy;
use crate::manifest::{Descriptor, Manifest, Refers, cosign_tag};
use crate::reference::Digest;
use crate::store::{self, Source, TagOrDigest, read_whole};

use super::Request;
use super::artifact::ArtifactCopy;
use super::outcome::{CopyError, Side, step};
use super::referrers::Referrers;

/// The most manifests that are read to find signatures of one artifact.
const MAX_READ: usize = 64;

/// Decides whether artifacts may be copied.
pub trait Gate: Send + Sync {
    /// Decides it of one artifact. Called once its manifests are read, before a blob or manifest is written, and
    /// also where the target has it already.
    ///
    /// # Errors
    /// Why it may not be copied.
    fn check<'a>(&'a self, candidate: &'a Candidate<'a>) -> BoxFuture<'a, Result<(), Refused>>;
}

/// Why a gate lets an artifact not pass.
#[derive(Debug)]
pub enum Refused {
    /// It does not satisfy a rule: which, what was found, and what would satisfy it.
    Untrusted(String),
    /// What decides about it cannot be read.
    Unreadable(store::Error),
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// An artifact that a gate decides about.
pub struct Candidate<'a> {
    /// The copy.
    pub request: &'a Request,
    /// The digest that its name at the source names: of the index, where it is one.
    pub digest: &'a Digest,
    source: &'a Arc<dyn Source>,
    policy: Policy,
    /// What the copy has read of its referrers.
    referrers: Option<&'a Referrers>,
}

impl Candidate<'_> {
    /// Its manifest.
    ///
    /// # Errors
    /// When the source does not give it.
    pub async fn manifest(&self) -> Result<Option<Manifest>, store::Error> {
        let name = TagOrDigest::Digest(self.digest.clone());
        self.source.manifest(&name).await
    }

    /// The manifests that refer to it and are, or may be, of an artifact type that begins with a text.
    ///
    /// # Errors
    /// When the source does not give them.
    pub async fn referrers(&self, artifact_type: &str) -> Result<Vec<Manifest>, store::Error> {
        if let Some(read) = self.referrers {
            let listed = read.listed.iter().map(|referrer| &referrer.node.manifest);
            return Ok(listed.cloned().collect());
        }
        let listed = self.source.referrers(self.digest).await?;
        // A list need not name types.
        let may_be = |one: &Descriptor| {
            let named = one.artifact_type.as_deref();
            named.is_none_or(|named| named.is_empty() || named.starts_with(artifact_type))
        };
        let mut manifests = Vec::new();
        for one in listed.found.iter().filter(|one| may_be(one)).take(MAX_READ) {
            let name = TagOrDigest::Digest(one.digest.clone());
            // A list can be out of date, and some registries list what is about another manifest.
            let found = match self.source.manifest(&name).await {
                Err(error) if error.is_refusal() => None,
                found => found?,
            };
            let is_about = |manifest: &Manifest| manifest.subject.as_ref() == Some(self.digest);
            manifests.extend(found.filter(is_about));
        }
        Ok(manifests)
    }

    /// The manifest under cosign's tag of a kind: `sig`, `att` or `sbom`.
    ///
    /// # Errors
    /// When the source does not give it.
    pub async fn cosign_tag(&self, kind: &str) -> Result<Option<Manifest>, store::Error> {
        let Some(tag) = cosign_tag(self.digest, kind) else {
            return Ok(None);
        };
        if let Some(read) = self.referrers {
            let mut tagged = read.tagged.iter();
            let found = tagged.find(|(name, _)| *name == tag);
            return Ok(found.map(|(_, node)| node.manifest.clone()));
        }
        match self.source.manifest(&TagOrDigest::Tag(tag)).await {
            // Some registries answer any tag of this form with the image itself.
            Ok(found) => Ok(found.filter(|manifest| !manifest.has_digest(self.digest))),
            Err(error) if error.is_refusal() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A small blob of one of these manifests, checked.
    ///
    /// # Errors
    /// When the source does not give it, or it is not what its descriptor says.
    pub async fn blob(&self, descriptor: &Descriptor) -> Result<Bytes, store::Error> {
        read_whole(Arc::clone(self.source), descriptor, self.policy.clone()).await
    }
}

impl Manifest {
    /// Its layers; none for an index.
    #[must_use]
    pub fn layers(&self) -> &[Descriptor] {
        match &self.refers {
            Refers::Blobs { layers, .. } => layers,
            Refers::Manifests(_) => &[],
        }
    }
}

impl ArtifactCopy<'_> {
    /// Asks the gate, if there is one.
    pub(super) async fn admit(
        &self,
        digest: &Digest,
        referrers: Option<&Referrers>,
    ) -> Result<(), CopyError> {
        let Some(gate) = &self.engine.gate else {
            return Ok(());
        };
        let candidate = Candidate {
            request: self.copy,
            digest,
            source: &self.source,
            policy: self.engine.stores.http().policy().clone(),
            referrers,
        };
        gate.check(&candidate).await.map_err(|refused| {
            let reference = &self.copy.source_text;
            match refused {
                Refused::Untrusted(why) => CopyError::Untrusted {
                    reference: reference.clone(),
                    why,
                },
                Refused::Unreadable(error) => {
                    step(Side::Source, "read the signatures", reference)(error)
                }
            }
        })
    }
}
