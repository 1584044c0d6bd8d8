//! What a layout folder and an archive have in common as targets: each is one namespace on this machine.

use std::sync::Arc;

use futures_util::{FutureExt, future};

use crate::http::AimdLimit;
use crate::manifest::Manifest;

use super::{
    Answer, Capabilities, DigestCheck, SubjectSupport, TargetInfo, UploadSession, UploadStart,
};

/// An answer that needs no waiting.
pub(super) fn ready<'a, T: Send + 'a>(value: T) -> Answer<'a, T> {
    future::ready(Ok(value)).boxed()
}

/// A namespace that gives blobs to no other one, and takes what it is given unchecked.
pub(super) fn info(namespace: String, writes: &Arc<AimdLimit>) -> TargetInfo {
    TargetInfo {
        mount_scope: namespace.clone(),
        namespace,
        capabilities: Capabilities {
            digest_check: DigestCheck::No,
            ..Capabilities::default()
        },
        writes: Arc::clone(writes),
    }
}

/// The begin of an upload, which needs no session.
pub(super) fn upload_start(exists: bool) -> UploadStart {
    if exists {
        UploadStart::Exists
    } else {
        UploadStart::Session(UploadSession(None))
    }
}

/// Whether the index lists a manifest as a referrer.
pub(super) fn subject_support(manifest: &Manifest) -> SubjectSupport {
    if manifest.subject.is_some() {
        SubjectSupport::Listed
    } else {
        SubjectSupport::Ignored
    }
}
