//! Stores of content, registries, image layout folders and archives of them, behind one small interface.

mod action;
pub mod archive;
mod error;
mod layout;
mod nowhere;
mod registry;
mod resumed;
mod unreachable;
mod verified;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use futures_util::future::{self, BoxFuture};
use futures_util::stream::BoxStream;
use url::Url;

use crate::http::{AimdLimit, Http, Network, Policy};
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

/// All stores of a run, each opened once.
pub struct Stores {
    http: Arc<Http>,
    providers: Box<dyn Providers>,
    network: Network,
    registries: Mutex<HashMap<String, Arc<Registry>>>,
    layouts: Mutex<HashMap<PathBuf, Arc<Layout>>>,
    /// Archives that are written, by the folder that locations name.
    writers: Mutex<HashMap<PathBuf, Arc<archive::Writer>>>,
    /// The archive that is the only source.
    only_source: OnceLock<Arc<archive::Archive>>,
}

impl Stores {
    /// Opens no store yet.
    #[must_use]
    pub fn new(http: Arc<Http>, providers: impl Providers + 'static, network: &Network) -> Self {
        Self {
            http,
            providers: Box::new(providers),
            network: network.clone(),
            registries: Mutex::default(),
            layouts: Mutex::default(),
            writers: Mutex::default(),
            only_source: OnceLock::new(),
        }
    }

    /// Reads every source from an archive from now on, whatever its location.
    pub fn read_only_from(&self, archive: Arc<archive::Archive>) {
        let is_first = self.only_source.set(archive).is_ok();
        debug_assert!(is_first, "a run has one archive to read from");
    }

    /// Writes what goes to a layout folder into an archive from now on.
    pub fn write_to(&self, dir: &std::path::Path, writer: Arc<archive::Writer>) {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.insert(dir.to_owned(), writer);
    }

    fn writer(&self, dir: &std::path::Path) -> Option<Arc<archive::Writer>> {
        let writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.get(dir).map(Arc::clone)
    }

    /// The HTTP client.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// Where to read an artifact from.
    ///
    /// # Errors
    /// When a layout folder is none.
    pub fn source(&self, location: &Location) -> Result<Arc<dyn Source>, Error> {
        if let Some(archive) = self.only_source.get() {
            return Ok(Arc::new(archive.repository(location)));
        }
        Ok(match location {
            Location::Registry(reference) => Arc::new(
                self.registry(reference.registry())
                    .repository(reference.repository()),
            ),
            Location::Layout { dir, .. } => Arc::clone(&self.layout(dir)) as Arc<dyn Source>,
        })
    }

    /// Where to write an artifact to.
    ///
    /// # Errors
    /// When a layout folder cannot be made.
    pub fn target(&self, location: &Location) -> Result<Arc<dyn Target>, Error> {
        Ok(match location {
            Location::Registry(reference) => Arc::new(
                self.registry(reference.registry())
                    .repository(reference.repository()),
            ),
            Location::Layout { dir, .. } => {
                if let Some(writer) = self.writer(dir) {
                    return Ok(writer);
                }
                let layout = self.layout(dir);
                layout.create()?;
                layout
            }
        })
    }

    /// The same for look-ups: creates no folder.
    ///
    /// # Errors
    /// As [`Stores::target`], which makes a folder.
    pub fn existing(&self, location: &Location) -> Result<Arc<dyn Target>, Error> {
        match location {
            Location::Registry(_) => self.target(location),
            Location::Layout { dir, .. } => Ok(match self.writer(dir) {
                Some(writer) => writer,
                None => self.layout(dir),
            }),
        }
    }

    /// The tags of a location's repository; none for a folder.
    ///
    /// # Errors
    /// When the registry does not say.
    pub async fn tags(&self, location: &Location) -> Result<Vec<String>, Error> {
        if self.only_source.get().is_some() {
            return Ok(Vec::new());
        }
        match location {
            Location::Registry(reference) => {
                self.registry(reference.registry())
                    .repository(reference.repository())
                    .tags()
                    .await
            }
            Location::Layout { .. } => Ok(Vec::new()),
        }
    }

    /// What was attached to a manifest at a target, as its registry lists it now.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn attached(
        &self,
        location: &Location,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, Error> {
        match location {
            Location::Registry(reference) => {
                let registry = self.registry(reference.registry());
                let repository = registry.repository(reference.repository());
                repository.attached(subject).await
            }
            Location::Layout { .. } => Ok(self.source(location)?.referrers(subject).await?.found),
        }
    }

    /// Asks a registry about a name without reading it, with the login for its host; `None` for a folder.
    ///
    /// # Errors
    /// When the registry does not answer, or refuses the login.
    pub async fn probe(&self, location: &Location) -> Result<Option<Probe>, Error> {
        let Location::Registry(reference) = location else {
            return Ok(None);
        };
        let registry = self.registry(reference.registry());
        let repository = registry.repository(reference.repository());
        repository.probe(&tag_or_digest(location)).await.map(Some)
    }

    /// The names of the repositories that a registry lists for this login.
    ///
    /// # Errors
    /// When it does not list them: many registries do not.
    pub async fn repositories(&self, host: &str) -> Result<Partial<String>, Error> {
        self.registry(host).catalog().await
    }

    /// The names in a layout folder.
    ///
    /// # Errors
    /// When it is not one.
    pub fn names(&self, dir: &std::path::Path) -> Result<Vec<String>, Error> {
        self.layout(dir).names()
    }

    fn registry(&self, host: &str) -> Arc<Registry> {
        let mut registries = self
            .registries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let open = || {
            let has_login = self.http.credentials().knows(host);
            Arc::new(Registry::new(
                Arc::clone(&self.http),
                &self.network,
                host,
                self.providers.provider(host, has_login),
            ))
        };
        Arc::clone(registries.entry(host.to_owned()).or_insert_with(open))
    }

    fn layout(&self, dir: &std::path::Path) -> Arc<Layout> {
        let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            layouts
                .entry(dir.to_owned())
                .or_insert_with(|| Arc::new(Layout::new(dir))),
        )
    }
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
