//! The two homes of content, a registry and an image layout folder, behind one small interface. A
//! chart that exists only as an archive is a third place to read from.

mod chart;
mod error;
mod layout;
mod registry;
mod verified;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::aws::Aws;
use crate::http::Http;
use crate::oci::{Descriptor, Manifest};
use crate::reference::{Digest, EcrHost, Location};

pub use crate::reference::Which;
pub use chart::ChartSource;
pub use error::Error;
pub use layout::Layout;
pub(crate) use layout::write_whole;
pub use registry::Registry;
pub use verified::Verified;

/// A blob's bytes on their way.
pub type Blob = BoxStream<'static, Result<Bytes, Error>>;

/// An answer to wait for.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// A repository that content is read from.
pub trait Source: Send + Sync {
    /// The digest of what a tag or digest names, without reading it; `None` when there is no such
    /// thing.
    fn resolve<'a>(&'a self, which: &'a Which) -> Answer<'a, Option<Digest>>;

    /// A manifest; `None` when there is no such thing.
    fn manifest<'a>(&'a self, which: &'a Which) -> Answer<'a, Option<Manifest>>;

    /// What refers to a manifest: signatures, attestations, bills of materials. None is normal. What is
    /// listed may still turn out to be about something else.
    fn referrers<'a>(&'a self, subject: &'a Digest) -> Answer<'a, Vec<Descriptor>>;

    /// A blob's bytes, unchecked: see [`Verified`].
    fn blob<'a>(&'a self, descriptor: &'a Descriptor) -> Answer<'a, Blob>;
}

/// How a manifest was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// As a manifest.
    Plain,
    /// As a manifest about its subject: it will be listed among that one's referrers.
    Linked,
}

/// A repository that content is written to.
pub trait Target: Send + Sync {
    /// Which blobs it sees: two targets of one pool share all blobs.
    fn pool(&self) -> String;

    /// Makes the repository exist. Asked once something is about to be written, never before.
    fn prepare(&self) -> Answer<'_, ()>;

    /// The digest of what a tag or digest names; `None` when there is no such thing.
    fn resolve<'a>(&'a self, which: &'a Which) -> Answer<'a, Option<Digest>>;

    /// Whether a blob is there already.
    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor) -> Answer<'a, bool>;

    /// Writes a blob; the stream gives exactly the descriptor's bytes, or an error.
    fn put_blob<'a>(&'a self, descriptor: &'a Descriptor, blob: Blob) -> Answer<'a, ()>;

    /// Writes a manifest under its digest or a tag. Everything it refers to is there already.
    fn put_manifest<'a>(&'a self, which: &'a Which, manifest: &'a Manifest) -> Answer<'a, Stored>;
}

/// All homes that a run talks to, each opened once.
pub struct Stores {
    http: Arc<Http>,
    aws: Arc<Aws>,
    registries: Mutex<HashMap<String, Arc<Registry>>>,
    layouts: Mutex<HashMap<PathBuf, Arc<Layout>>>,
}

impl Stores {
    /// No home is opened yet.
    #[must_use]
    pub fn new(http: Arc<Http>, aws: Arc<Aws>) -> Self {
        Self {
            http,
            aws,
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
            let ecr = EcrHost::parse(host).filter(|_| !self.http.credentials().knows(host));
            let ecr = ecr.map(|host| self.aws.ecr(&host));
            Arc::new(Registry::new(Arc::clone(&self.http), host, ecr))
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
