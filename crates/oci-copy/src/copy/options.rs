//! What is copied of an artifact, and how it is checked.

use crate::manifest::Platform;

/// What is copied of each artifact, and how digests are checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The platforms to copy; empty means all, the index untouched.
    pub platforms: Vec<Platform>,
    /// Which referrers are copied with an image.
    pub referrers: ReferrerPolicy,
    /// Where the digests of blobs are checked.
    pub hash: HashPolicy,
}

/// Which referrers (signatures, attestations, SBOMs) are copied with an image.
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

/// Where the digests of blobs are checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HashPolicy {
    /// Here, while the blob streams; on a machine without instructions for SHA-256, by a target that is
    /// known to check.
    #[default]
    Auto,
    /// Here, always.
    Always,
    /// By the target where it is a registry: the distribution specification requires it.
    Target,
}
