//! A repository's part of an archive, as a place to read from.

use std::sync::Arc;

use futures_util::{FutureExt, future};

use crate::http::AimdLimit;
use crate::manifest::{Descriptor, Manifest};
use crate::reference::Digest;
use crate::store::{Answer, Blob, Partial, Source, TagOrDigest};

use super::reader::Archive;

/// A repository's part of an archive: what its tags named when the archive was written.
pub struct Repository {
    archive: Arc<Archive>,
    /// Host and repository; none where names are complete already.
    scope: Option<String>,
}

impl Repository {
    pub(super) fn new(archive: Arc<Archive>, scope: Option<String>) -> Self {
        Self { archive, scope }
    }

    fn find(&self, which: &TagOrDigest) -> Option<(Digest, Option<&str>)> {
        match which {
            TagOrDigest::Tag(tag) => {
                let found = match &self.scope {
                    Some(scope) => self.archive.find(&format!("{scope}:{tag}")),
                    None => self.archive.find(tag),
                };
                found.map(|found| (found.digest.clone(), Some(found.media_type.as_str())))
            }
            TagOrDigest::Digest(digest) => {
                let member = self.archive.member(digest);
                member.map(|_| (digest.clone(), None))
            }
        }
    }
}

impl Source for Repository {
    fn resolve<'a>(&'a self, which: &'a TagOrDigest) -> Answer<'a, Option<Digest>> {
        let found = self.find(which).map(|(digest, _)| digest);
        future::ready(Ok(found)).boxed()
    }

    fn manifest<'a>(&'a self, which: &'a TagOrDigest) -> Answer<'a, Option<Manifest>> {
        async move {
            match self.find(which) {
                Some((digest, media_type)) => self.archive.manifest(&digest, media_type).await,
                None => Ok(None),
            }
        }
        .boxed()
    }

    fn referrers<'a>(&'a self, subject: &'a Digest) -> Answer<'a, Partial<Descriptor>> {
        async move {
            let scope = self.scope.as_deref().unwrap_or_default();
            Ok(self.archive.referrers(scope, subject).await?.into())
        }
        .boxed()
    }

    fn find_tags<'a>(&'a self, tags: &'a [String]) -> Answer<'a, Partial<(String, Digest)>> {
        let named = tags.iter().filter_map(|tag| {
            let (digest, _) = self.find(&TagOrDigest::Tag(tag.clone()))?;
            Some((tag.clone(), digest))
        });
        let named: Vec<(String, Digest)> = named.collect();
        future::ready(Ok(named.into())).boxed()
    }

    fn blob<'a>(&'a self, descriptor: &'a Descriptor, from: u64) -> Answer<'a, Blob> {
        let digest = &descriptor.digest;
        let Some(member) = self.archive.member(digest) else {
            let why = if self.archive.is_absent(digest) {
                "an earlier bundle has it, and it was left out of this one"
            } else {
                "it is not in it"
            };
            let error = self.archive.failed(format!("{digest}: {why}"));
            return future::ready(Err(error)).boxed();
        };
        let from = from.min(member.size);
        let ranges = &self.archive.ranges;
        ranges.read(member.offset + from, member.size - from)
    }

    fn identity(&self) -> String {
        self.archive.shown()
    }

    fn reads(&self) -> Arc<AimdLimit> {
        Arc::clone(&self.archive.reads)
    }
}
