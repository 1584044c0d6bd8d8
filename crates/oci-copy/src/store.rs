//! Stores of content, registries, image layout folders and archives of them, behind one small interface.

mod action;
pub mod archive;
mod error;
mod layout;
mod nowhere;
mod on_disk;
mod registry;
mod resumed;
mod stores;
mod unreachable;
mod verified;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use futures_util::future::{self, BoxFuture};
use futures_util::stream::BoxStream;
use url::Url;

use crate::http::{AimdLimit, Policy};
use crate::manifest::{Descriptor, Manifest};
use crate::reference::{Digest, Location};

pub use crate::reference::TagOrDigest;
pub use action::Action;
pub use error::Error;
pub use layout::Layout;
pub use layout::write_whole;
pub(crate) use nowhere::Nowhere;
pub use registry::{Capabilities, Limits, Plain, Provider, Providers, Registry};
pub use resumed::resumed;
pub use stores::Stores;
pub use unreachable::Unreachable;
pub use verified::{Verified, verified};

/// The stream of a blob's bytes.
pub type Blob = BoxStream<'static, Result<Bytes, Error>>;

/// An answer to wait for.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// From this size on, in bytes, a blob counts as a big one: what a connection moves matters more than
/// how long an answer takes.
const BIG: u64 = 1024 * 1024;

/// The weight of a large blob in a limit of transfers; a small one has the weight 1.
const LARGE_WEIGHT: usize = 4;

/// The weight of a blob in a limit of transfers.
#[must_use]
pub fn weight(size: u64) -> usize {
    if size < BIG { 1 } else { LARGE_WEIGHT }
}

/// A repository that content is read from.
pub trait Source: Send + Sync {
    /// The digest of what a tag or digest names, without reading it; `None` where it does not
    /// exist.
    fn resolve<'a>(&'a self, which: &'a TagOrDigest) -> Answer<'a, Option<Digest>>;

    /// A manifest; `None` where it does not exist.
    fn manifest<'a>(&'a self, which: &'a TagOrDigest) -> Answer<'a, Option<Manifest>>;

    /// What refers to a manifest: signatures, attestations, bills of materials. None is normal. What is
    /// listed may still turn out to be about something else.
    fn referrers<'a>(&'a self, subject: &'a Digest) -> Answer<'a, Partial<Descriptor>>;

    /// Which of some tags exist, with what they name. Most do not.
    fn find_tags<'a>(&'a self, tags: &'a [String]) -> Answer<'a, Partial<(String, Digest)>>;

    /// A blob's bytes from an offset on, unchecked: see [`Verified`]; a source that cannot start in the
    /// middle starts at the beginning and drops what comes before.
    fn blob<'a>(&'a self, descriptor: &'a Descriptor, from: u64) -> Answer<'a, Blob>;

    /// Identifies the source: two with the same identity have the same content.
    fn identity(&self) -> String;

    /// How many blobs may be read at once.
    fn reads(&self) -> Arc<AimdLimit>;
}

/// What a registry says about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Whether it exists.
    pub exists: bool,
    /// How many pulls the registry says are left; `None` where it has no limit.
    pub pulls_left: Option<u64>,
}

/// What was found, and in words what could not be.
#[derive(Debug)]
pub struct Partial<T> {
    /// What was found.
    pub found: Vec<T>,
    /// What is known to be missing, for a warning.
    pub notes: Vec<String>,
}

impl<T> From<Vec<T>> for Partial<T> {
    fn from(found: Vec<T>) -> Self {
        Self {
            found,
            notes: Vec::new(),
        }
    }
}

/// Whether a store lists a manifest among its subject's referrers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectSupport {
    /// It does not.
    Ignored,
    /// It does.
    Listed,
}

/// Whether and when the repositories of one registry give each other blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounting {
    /// They do not.
    Never,
    /// As soon as a blob is uploaded.
    AfterUpload,
    /// Once a manifest that refers to the blob is there.
    AfterCommit,
}

/// How an upload began.
#[derive(Debug)]
pub enum UploadStart {
    /// The blob exists, nothing has to be sent.
    Exists,
    /// [`Target::finish`] sends the bytes.
    Session(UploadSession),
}

/// An upload that has begun.
#[derive(Debug)]
pub struct UploadSession(Option<Url>);

/// What a target has. Each look-up costs as few requests as the store allows.
pub trait Lookup: Send + Sync {
    /// The digests of some tags or digests; those that do not exist are left out. Many names at once are
    /// cheap where [`Capabilities::batch_lookups`] says so.
    fn find<'a>(&'a self, names: &'a [TagOrDigest]) -> Answer<'a, HashMap<TagOrDigest, Digest>>;

    /// Which manifests are known to be there, at little cost. `present` is what the artifact's name
    /// names there now.
    fn known_manifests<'a>(
        &'a self,
        wanted: &'a [Digest],
        present: Option<&'a Digest>,
    ) -> Answer<'a, HashSet<Digest>>;

    /// Which blobs are there; `None` where each is looked for when its upload begins.
    fn known_blobs<'a>(&'a self, wanted: &'a [Digest]) -> Answer<'a, Option<HashSet<Digest>>>;

    /// Whether a blob is there.
    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor) -> Answer<'a, bool>;

    /// Whether a tag is immutable.
    fn is_immutable<'a>(&'a self, tag: &'a str) -> Answer<'a, bool>;

    /// Whether and when the namespaces of its mount scope give each other blobs.
    fn mounting(&self) -> Answer<'_, Mounting>;
}

/// What is known of a target without a request.
#[derive(Debug, Clone)]
pub struct TargetInfo {
    /// Which blobs it sees: two targets of one namespace share all blobs.
    pub namespace: String,
    /// The namespaces that may give each other blobs have one mount scope.
    pub mount_scope: String,
    /// What the store can do.
    pub capabilities: Capabilities,
    /// How many blobs may be written at once.
    pub writes: Arc<AimdLimit>,
}

/// A repository that content is written to.
pub trait Target: Lookup {
    /// What is known without a request.
    fn info(&self) -> TargetInfo;

    /// Creates the repository where it does not exist. Called before the first write only.
    fn prepare(&self) -> Answer<'_, ()>;

    /// Begins an upload. `mount_from` is the namespace to take the blob from, if it gives it.
    fn begin<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        mount_from: Option<&'a str>,
    ) -> Answer<'a, UploadStart>;

    /// Writes a blob; the stream gives exactly the descriptor's bytes, or an error.
    fn finish<'a>(
        &'a self,
        session: UploadSession,
        descriptor: &'a Descriptor,
        blob: Blob,
    ) -> Answer<'a, ()>;

    /// Writes a manifest under its digest or a tag. Everything it refers to is there already.
    fn put_manifest<'a>(
        &'a self,
        which: &'a TagOrDigest,
        manifest: &'a Manifest,
    ) -> Answer<'a, SubjectSupport>;

    /// Adds referrers to the list of a subject where the store does not list them itself
    /// ([`SubjectSupport::Ignored`]).
    fn add_referrers<'a>(
        &'a self,
        subject: &'a Digest,
        referrers: &'a [Descriptor],
    ) -> Answer<'a, ()>;
}

impl dyn Target + '_ {
    /// The digest of what a tag or digest names; `None` where it does not exist.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn resolve(&self, name: &TagOrDigest) -> Result<Option<Digest>, Error> {
        let found = self.find(std::slice::from_ref(name)).await?;
        Ok(found.into_values().next())
    }

    /// See [`TargetInfo::namespace`].
    #[must_use]
    pub fn namespace(&self) -> String {
        self.info().namespace
    }

    /// See [`TargetInfo::mount_scope`].
    #[must_use]
    pub fn mount_scope(&self) -> String {
        self.info().mount_scope
    }

    /// See [`TargetInfo::writes`].
    #[must_use]
    pub fn writes(&self) -> Arc<AimdLimit> {
        self.info().writes
    }
}

/// Whether a store checks the digest of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestCheck {
    /// It does not.
    No,
    /// The specification requires it.
    Asked,
    /// It is known to.
    Known,
}

/// A small blob, complete and checked.
///
/// # Errors
/// When it cannot be read, or is not what its descriptor says.
pub async fn read_whole(
    source: Arc<dyn Source>,
    descriptor: &Descriptor,
    policy: Policy,
) -> Result<Bytes, Error> {
    let blob = resumed(source, descriptor.clone(), policy);
    let whole = Verified::new(blob, descriptor).try_fold(BytesMut::new(), |mut whole, piece| {
        whole.extend_from_slice(&piece);
        future::ready(Ok(whole))
    });
    Ok(whole.await?.freeze())
}

/// The tag or digest of a location.
#[must_use]
pub fn tag_or_digest(location: &Location) -> TagOrDigest {
    match (location.digest(), location) {
        (Some(digest), Location::Registry(_)) => TagOrDigest::Digest(digest),
        (_, Location::Registry(reference)) => TagOrDigest::Tag(
            reference
                .tag()
                .unwrap_or(crate::reference::DEFAULT_TAG)
                .to_owned(),
        ),
        (_, Location::Layout { name, .. }) => TagOrDigest::Tag(name.clone()),
    }
}
