//! One artifact to copy.

use std::sync::Arc;

use oci_copy::copy::{Origin, Request};
use oci_copy::reference::{Digest, Location};

use crate::charts::{Artifact, ChartSource};
use crate::document::Kind;

/// One artifact to copy.
#[derive(Debug, Clone)]
pub struct Copy {
    /// What it is.
    pub kind: Kind,
    /// Where it is read from.
    pub source: CopySource,
    /// The source as it is shown and reported.
    pub source_text: String,
    /// Where it is written to.
    pub target: Location,
    /// The target as values and reports name it.
    pub target_text: String,
    /// The keys of the charts and additional images that need it.
    pub used_by: Vec<String>,
    /// The digest that it must have at the target: that of a lock.
    pub expected: Option<Digest>,
}

impl From<&Copy> for Request {
    fn from(copy: &Copy) -> Self {
        let origin = match &copy.source {
            CopySource::At(location) => Origin::Location(location.clone()),
            CopySource::Chart(artifact) => Origin::Source {
                digest: artifact.manifest.digest.clone(),
                source: Arc::new(ChartSource::new(artifact.as_ref().clone())),
            },
        };
        Self {
            origin,
            source_text: copy.source_text.clone(),
            target: copy.target.clone(),
            target_text: copy.target_text.clone(),
            expected: copy.expected.clone(),
        }
    }
}

/// Where an artifact is read from.
#[derive(Debug, Clone)]
pub enum CopySource {
    /// A registry or folder.
    At(Location),
    /// Memory: a chart's archive that was fetched from elsewhere.
    Chart(Box<Artifact>),
}

impl Copy {
    /// The hosts that it is read from and written to.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        let source = match &self.source {
            CopySource::At(location) => location.host(),
            CopySource::Chart(_) => None,
        };
        source.into_iter().chain(self.target.host())
    }

    /// Whether another copy would bring the same content.
    pub(super) fn is_same_source(&self, other: &Self) -> bool {
        match (&self.source, &other.source) {
            (CopySource::At(a), CopySource::At(b)) => a == b,
            (CopySource::Chart(a), CopySource::Chart(b)) => a.manifest.digest == b.manifest.digest,
            _ => false,
        }
    }
}
