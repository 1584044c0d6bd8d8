//! A target that has nothing, and takes nothing.

use std::collections::{HashMap, HashSet};

use futures_util::{FutureExt, future};

use crate::http::AimdLimit;
use crate::manifest::{Descriptor, Manifest};
use crate::reference::{Digest, TagOrDigest};

use super::on_disk::ready;
use super::{
    Answer, Blob, Capabilities, Error, Lookup, Mounting, SubjectSupport, Target, TargetInfo,
    UploadSession, UploadStart,
};

/// A target that has nothing: everything is missing there, so a look at an artifact reads all of it.
pub(crate) struct Nowhere;

fn refuse<'a, T: Send + 'a>() -> Answer<'a, T> {
    let error = Error::Provider {
        message: "nothing can be written here (please report this)".to_owned(),
        remedy: None,
    };
    future::ready(Err(error)).boxed()
}

impl Lookup for Nowhere {
    fn find<'a>(&'a self, _: &'a [TagOrDigest]) -> Answer<'a, HashMap<TagOrDigest, Digest>> {
        ready(HashMap::new())
    }

    fn known_manifests<'a>(
        &'a self,
        _: &'a [Digest],
        _: Option<&'a Digest>,
    ) -> Answer<'a, HashSet<Digest>> {
        ready(HashSet::new())
    }

    fn known_blobs<'a>(&'a self, _: &'a [Digest]) -> Answer<'a, Option<HashSet<Digest>>> {
        ready(None)
    }

    fn has_blob<'a>(&'a self, _: &'a Descriptor) -> Answer<'a, bool> {
        ready(false)
    }

    fn is_immutable<'a>(&'a self, _: &'a str) -> Answer<'a, bool> {
        ready(false)
    }

    fn mounting(&self) -> Answer<'_, Mounting> {
        ready(Mounting::Never)
    }
}

impl Target for Nowhere {
    fn info(&self) -> TargetInfo {
        TargetInfo {
            namespace: "nowhere".to_owned(),
            mount_scope: "nowhere".to_owned(),
            capabilities: Capabilities::default(),
            writes: AimdLimit::new(1, 1),
        }
    }

    fn prepare(&self) -> Answer<'_, ()> {
        refuse()
    }

    fn begin<'a>(&'a self, _: &'a Descriptor, _: Option<&'a str>) -> Answer<'a, UploadStart> {
        refuse()
    }

    fn finish<'a>(&'a self, _: UploadSession, _: &'a Descriptor, _: Blob) -> Answer<'a, ()> {
        refuse()
    }

    fn put_manifest<'a>(
        &'a self,
        _: &'a TagOrDigest,
        _: &'a Manifest,
    ) -> Answer<'a, SubjectSupport> {
        refuse()
    }

    fn add_referrers<'a>(&'a self, _: &'a Digest, _: &'a [Descriptor]) -> Answer<'a, ()> {
        refuse()
    }
}
