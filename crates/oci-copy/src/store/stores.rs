//! The stores of a run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::http::{Http, Network};
use crate::manifest::Descriptor;
use crate::reference::{Digest, Location};

use super::layout::Layout;
use super::registry::{Providers, Registry};
use super::{Error, Partial, Probe, Source, Target, archive, tag_or_digest};

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
    pub fn write_to(&self, dir: &Path, writer: Arc<archive::Writer>) {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.insert(dir.to_owned(), writer);
    }

    fn writer(&self, dir: &Path) -> Option<Arc<archive::Writer>> {
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
    pub fn names(&self, dir: &Path) -> Result<Vec<String>, Error> {
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

    fn layout(&self, dir: &Path) -> Arc<Layout> {
        let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            layouts
                .entry(dir.to_owned())
                .or_insert_with(|| Arc::new(Layout::new(dir))),
        )
    }
}
