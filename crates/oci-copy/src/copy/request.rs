//! What the engine is asked to copy.

use std::sync::Arc;

use crate::reference::{Digest, Location};
use crate::store::{Source, TagOrDigest, tag_or_digest};

/// One artifact to copy.
#[derive(Clone)]
pub struct Request {
    /// Where it is read from.
    pub origin: Origin,
    /// The source as messages name it.
    pub source_text: String,
    /// Where it is written to.
    pub target: Location,
    /// The target as messages name it.
    pub target_text: String,
    /// The digest that it must have at the target, where that is known beforehand: a target that has it needs no
    /// look at the source.
    pub expected: Option<Digest>,
}

impl Request {
    /// A copy from one location to another.
    #[must_use]
    pub fn new(source: Location, target: Location) -> Self {
        Self {
            source_text: source.to_string(),
            origin: Origin::Location(source),
            target_text: target.to_string(),
            target,
            expected: None,
        }
    }
}

impl From<&Request> for Request {
    fn from(request: &Request) -> Self {
        request.clone()
    }
}

/// Where an artifact is read from.
#[derive(Clone)]
pub enum Origin {
    /// A registry or a layout.
    Location(Location),
    /// Something that the caller has opened: an artifact without referrers.
    Source {
        /// What to read from.
        source: Arc<dyn Source>,
        /// The digest of the artifact's manifest.
        digest: Digest,
    },
}

impl Origin {
    /// What the artifact is called at its source.
    pub(super) fn name(&self) -> TagOrDigest {
        match self {
            Self::Location(location) => tag_or_digest(location),
            Self::Source { digest, .. } => TagOrDigest::Digest(digest.clone()),
        }
    }

    /// The host of a registry.
    pub(super) fn host(&self) -> Option<&str> {
        match self {
            Self::Location(location) => location.host(),
            Self::Source { .. } => None,
        }
    }

    /// Whether other artifacts at the source can refer to it.
    pub(super) fn can_have_referrers(&self) -> bool {
        matches!(self, Self::Location(_))
    }
}
