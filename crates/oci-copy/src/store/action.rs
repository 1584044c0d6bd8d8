//! What requests want of a registry.

/// What a request wants of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// HEAD or GET of a manifest.
    GetManifest,
    /// HEAD of a blob.
    CheckBlob,
    /// GET of a blob.
    GetBlob,
    /// POST of an upload or a mount.
    StartUpload,
    /// PUT of a blob.
    FinishUpload,
    /// PUT of a manifest.
    PutManifest,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::GetManifest,
        Self::CheckBlob,
        Self::GetBlob,
        Self::StartUpload,
        Self::FinishUpload,
        Self::PutManifest,
    ];
}
