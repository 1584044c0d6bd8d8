//! The two homes of content, a registry and an image layout folder, behind one small interface. A
//! chart that exists only as an archive is a third place to read from.

mod action;
mod error;
mod layout;
mod registry;
mod resumed;
mod unreachable;
mod verified;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use futures_util::future::{self, BoxFuture};
use futures_util::stream::BoxStream;
use url::Url;

use crate::http::{Http, Network, Policy, Window};
use crate::oci::{Descriptor, Manifest};
use crate::reference::{Digest, Location};

pub use crate::reference::Which;
pub use action::Action;
pub use error::Error;
pub use layout::Layout;
pub(crate) use layout::write_whole;
pub use registry::{Capabilities, Limits, Plain, Provider, Providers, Registry};
pub use resumed::resumed;
pub use unreachable::Unreachable;
pub use verified::{Verified, verified};

/// A blob's bytes on their way.
pub type Blob = BoxStream<'static, Result<Bytes, Error>>;

/// An answer to wait for.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// From this size on, in bytes, a blob counts as a big one: what a connection moves matters more than
/// how long an answer takes.
const BIG: u64 = 1024 * 1024;

/// How many places a big blob takes in a window of transfers; a small one takes one.
const BIG_PLACES: usize = 4;

/// How many places a blob takes in a window of transfers.
#[must_use]
pub fn places(size: u64) -> usize {
    if size < BIG { 1 } else { BIG_PLACES }
}

/// A repository that content is read from.
pub trait Source: Send + Sync {
    /// The digest of what a tag or digest names, without reading it; `None` when there is no such
    /// thing.
    fn resolve<'a>(&'a self, which: &'a Which) -> Answer<'a, Option<Digest>>;

    /// A manifest; `None` when there is no such thing.
    fn manifest<'a>(&'a self, which: &'a Which) -> Answer<'a, Option<Manifest>>;

    /// What refers to a manifest: signatures, attestations, bills of materials. None is normal. What is
    /// listed may still turn out to be about something else.
    fn referrers<'a>(&'a self, subject: &'a Digest) -> Answer<'a, Partial<Descriptor>>;

    /// Which of some tags exist, with what they name. They are likely not to.
    fn find_tags<'a>(&'a self, tags: &'a [String]) -> Answer<'a, Partial<(String, Digest)>>;

    /// A blob's bytes from an offset on, unchecked: see [`Verified`]; a source that cannot start in the
    /// middle starts at the beginning and drops what comes before.
    fn blob<'a>(&'a self, descriptor: &'a Descriptor, from: u64) -> Answer<'a, Blob>;

    /// Which home it is.
    fn home(&self) -> String;

    /// How many blobs may be read at once.
    fn reads(&self) -> Arc<Window>;
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

/// How a manifest was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// As a manifest.
    Plain,
    /// As a manifest about its subject: it will be listed among that one's referrers.
    Linked,
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
pub enum Begun {
    /// It need not go on: the blob is there.
    There,
    /// It goes on with [`Target::finish`].
    Session(Session),
}

/// An upload that has begun.
#[derive(Debug)]
pub struct Session(Option<Url>);

/// A repository that content is written to.
pub trait Target: Send + Sync {
    /// Which blobs it sees: two targets of one pool share all blobs.
    fn pool(&self) -> String;

    /// The pools that may give each other blobs have one realm.
    fn realm(&self) -> String;

    /// Whether and when the pools of its realm give each other blobs.
    fn mounting(&self) -> Answer<'_, Mounting>;

    /// Makes the repository exist. Asked once something is about to be written, never before.
    fn prepare(&self) -> Answer<'_, ()>;

    /// The digest of what a tag or digest names; `None` when there is no such thing.
    fn resolve<'a>(&'a self, which: &'a Which) -> Answer<'a, Option<Digest>>;

    /// The digests of many names at once; `None` where a home has no such question.
    fn resolve_all<'a>(&'a self, names: &'a [Which]) -> Option<Answer<'a, HashMap<Which, Digest>>>;

    /// Whether a tag cannot move.
    fn is_immutable<'a>(&'a self, tag: &'a str) -> Answer<'a, bool>;

    /// Which manifests are known to be there, at little cost. `present` is what the artifact's name
    /// names there now.
    fn known_manifests<'a>(
        &'a self,
        wanted: &'a [Digest],
        present: Option<&'a Digest>,
    ) -> Answer<'a, HashSet<Digest>>;

    /// Which blobs are there; `None` where each is asked about when its upload begins.
    fn known_blobs<'a>(&'a self, wanted: &'a [Digest]) -> Answer<'a, Option<HashSet<Digest>>>;

    /// Whether a blob is there.
    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor) -> Answer<'a, bool>;

    /// Whether it refuses content because of what it is.
    fn refuses(&self, manifest: &Manifest) -> Option<Refusal>;

    /// Begins an upload. `mount_from` is the pool to take the blob from, if it gives it.
    fn begin<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        mount_from: Option<&'a str>,
    ) -> Answer<'a, Begun>;

    /// Writes a blob; the stream gives exactly the descriptor's bytes, or an error.
    fn finish<'a>(
        &'a self,
        session: Session,
        descriptor: &'a Descriptor,
        blob: Blob,
    ) -> Answer<'a, ()>;

    /// Writes a manifest under its digest or a tag. Everything it refers to is there already.
    fn put_manifest<'a>(&'a self, which: &'a Which, manifest: &'a Manifest) -> Answer<'a, Stored>;

    /// Adds referrers to the list of a subject where they were taken as [`Stored::Plain`].
    fn add_referrers<'a>(
        &'a self,
        subject: &'a Digest,
        referrers: &'a [Descriptor],
    ) -> Answer<'a, ()>;

    /// How many blobs may be written at once.
    fn writes(&self) -> Arc<Window>;

    /// Whether it checks a blob's digest itself.
    fn checks_digests(&self) -> Checks;
}

/// Why a home refuses content whatever is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It takes no blob without bytes.
    EmptyBlob,
    /// It knows no other digests than SHA-256.
    Algorithm(&'static str),
}

/// Whether a home checks the digest of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// It does not.
    No,
    /// The specification asks it to.
    Asked,
    /// It is known to.
    Known,
}

/// All homes that a run talks to, each opened once.
pub struct Stores {
    http: Arc<Http>,
    providers: Box<dyn Providers>,
    network: Network,
    registries: Mutex<HashMap<String, Arc<Registry>>>,
    layouts: Mutex<HashMap<PathBuf, Arc<Layout>>>,
}

impl Stores {
    /// No home is opened yet.
    #[must_use]
    pub fn new(http: Arc<Http>, providers: impl Providers + 'static, network: &Network) -> Self {
        Self {
            http,
            providers: Box::new(providers),
            network: network.clone(),
            registries: Mutex::default(),
            layouts: Mutex::default(),
        }
    }

    /// The door to HTTP.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// Where to read an artifact from.
    ///
    /// # Errors
    /// When a layout folder is none.
    pub fn source(&self, location: &Location) -> Result<Arc<dyn Source>, Error> {
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
                let layout = self.layout(dir);
                layout.create()?;
                layout
            }
        })
    }

    /// The same for a place that exists and that nothing is written to.
    ///
    /// # Errors
    /// As [`Stores::target`], which makes a folder.
    pub fn existing(&self, location: &Location) -> Result<Arc<dyn Target>, Error> {
        match location {
            Location::Registry(_) => self.target(location),
            Location::Layout { dir, .. } => Ok(self.layout(dir)),
        }
    }

    /// The tags of a location's repository; none for a folder.
    ///
    /// # Errors
    /// When the registry does not say.
    pub async fn tags(&self, location: &Location) -> Result<Vec<String>, Error> {
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

/// The whole of a small blob, checked.
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

/// What a location names in its home.
#[must_use]
pub fn which(location: &Location) -> Which {
    match (location.digest(), location) {
        (Some(digest), Location::Registry(_)) => Which::Digest(digest),
        (_, Location::Registry(reference)) => Which::Tag(
            reference
                .tag()
                .unwrap_or(crate::reference::DEFAULT_TAG)
                .to_owned(),
        ),
        (_, Location::Layout { name, .. }) => Which::Tag(name.clone()),
    }
}
