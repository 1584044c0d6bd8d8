//! What is copied of an artifact, and who checks it.

use crate::manifest::Platform;

/// What is copied of each artifact, and who checks its digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The platforms to copy; empty means all, the index untouched.
    pub platforms: Vec<Platform>,
    /// TagOrDigest referrers are copied with an image.
    pub referrers: ReferrerPolicy,
    /// Who checks the digests of blobs.
    pub hash: HashPolicy,
}

/// TagOrDigest referrers (signatures, attestations, SBOMs) are copied with an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReferrerPolicy {
    /// None.
    None,
    /// Those of the image; and where it has some, those of its platforms too.
    #[default]
    Image,
    /// Those of the image and of each of its platforms: one more request per platform.
    All,
}

/// Who checks that a blob has its digest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HashPolicy {
    /// We do, while it flows; only on a machine without instructions for SHA-256 is it left to a
    /// target that is known to check.
    #[default]
    Auto,
    /// We do, always.
    Always,
    /// The target does, where it is a registry: the distribution specification asks it to.
    Target,
}
