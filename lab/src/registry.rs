//! An OCI distribution 1.1 registry in the test process.
//!
//! Plain and anonymous by default; with [`Builder::auth`] behind a login, with [`Builder::ecr`] with
//! the habits of ECR. Content can be seeded and read back without HTTP.

mod answer;
mod auth;
mod blobs;
mod core;
mod ecr;
mod integrity;
mod manifests;
mod referrers;
mod route;
mod store;
mod uploads;

pub use auth::Auth;
pub(crate) use core::Core;
pub use ecr::EcrBehaviour;
pub(crate) use manifests::References;
pub(crate) use route::valid_name;
pub(crate) use store::{Manifest, Repository};
pub use store::{Mutability, Repo};

use crate::content::{Descriptor, Synthetic};
use crate::faults::Faults;
use crate::server::{Door, Server};
use crate::wire::Wire;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A running registry. It stops when dropped.
#[derive(Debug)]
pub struct Registry {
    server: Server,
    core: Arc<Core>,
}

/// A registry's configuration; see [`Registry::builder`].
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch"
)]
pub struct Builder {
    auth: Auth,
    ecr: EcrBehaviour,
    referrers: bool,
    referrers_per_page: usize,
    ranges: bool,
    absolute_locations: bool,
    trusting: bool,
    discard_over: Option<u64>,
}

impl Builder {
    /// Who may come in. A registry with [`EcrBehaviour::token_login`] has ECR's login instead.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// The habits of ECR: [`EcrBehaviour::default`] has all that are known.
    #[must_use]
    pub fn ecr(mut self, behaviour: EcrBehaviour) -> Self {
        self.ecr = behaviour;
        self
    }

    /// A registry from before distribution 1.1: no referrers API, clients fall back to tags.
    #[must_use]
    pub fn without_referrers(mut self) -> Self {
        self.referrers = false;
        self
    }

    /// Lists so many referrers on a page, and names the next one with the host that the registry believes
    /// to have: `registry.example`.
    #[must_use]
    pub fn referrers_per_page(mut self, count: usize) -> Self {
        self.referrers_per_page = count;
        self
    }

    /// A registry that answers a `Range` with the whole blob.
    #[must_use]
    pub fn without_ranges(mut self) -> Self {
        self.ranges = false;
        self
    }

    /// `Location` headers with scheme and host; they are relative otherwise.
    #[must_use]
    pub fn absolute_locations(mut self) -> Self {
        self.absolute_locations = true;
        self
    }

    /// Takes the digests of uploads on trust: for benchmarks of the client, where the registry's
    /// own hashing would use up the same processors.
    #[must_use]
    pub fn trusting(mut self) -> Self {
        self.trusting = true;
        self
    }

    /// Uploads over so many bytes are hashed and count as existing, but their bytes are not kept.
    #[must_use]
    pub fn discard_over(mut self, bytes: u64) -> Self {
        self.discard_over = Some(bytes);
        self
    }

    /// Starts the registry.
    ///
    /// # Errors
    /// When there is no free port or no temporary folder.
    pub async fn start(self) -> io::Result<Registry> {
        let door = Door::open().await?;
        let core = Arc::new(Core::new(self, door.host())?);
        let server = door.serve({
            let core = core.clone();
            move |request| answer::respond(core.clone(), request)
        });
        Ok(Registry { server, core })
    }
}

impl Registry {
    /// Starts a plain, anonymous registry.
    ///
    /// # Errors
    /// When there is no free port or no temporary folder.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// A registry to be configured first.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            auth: Auth::Anonymous,
            ecr: EcrBehaviour::OFF,
            referrers: true,
            referrers_per_page: usize::MAX,
            ranges: true,
            absolute_locations: false,
            trusting: false,
            discard_over: None,
        }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The log of requests.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.server.wire
    }

    /// The switchboard of faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// Changes the ECR habits while the registry runs.
    pub fn change_ecr(&self, change: impl FnOnce(&mut EcrBehaviour)) {
        self.core.change_ecr(change);
    }

    /// A password for the user `AWS` that lasts so long: for [`EcrBehaviour::token_login`].
    #[must_use]
    pub fn issue_password(&self, lifetime: Duration) -> String {
        self.core.gate.issue_password(lifetime)
    }

    /// Lets all tokens and passwords issued so far expire now.
    pub fn expire_tokens(&self) {
        self.core.gate.expire();
    }

    /// Creates an empty repository, as ECR needs it.
    pub fn create_repository(&self, name: &str) {
        self.core.store.state().repository(name);
    }

    /// Stores a blob without HTTP.
    ///
    /// # Errors
    /// When the temporary folder cannot be written.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> io::Result<Descriptor> {
        self.core.store.put_blob(repository, bytes)
    }

    /// Stores a blob under any digest, right or wrong, without HTTP.
    ///
    /// # Errors
    /// When the temporary folder cannot be written.
    pub fn put_blob_as(&self, repository: &str, digest: &str, bytes: &[u8]) -> io::Result<()> {
        self.core.store.put_blob_as(repository, digest, bytes)
    }

    /// Stores a manifest under a digest of another algorithm too.
    pub fn put_manifest_as(
        &self,
        repository: &str,
        digest: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) {
        let mut state = self.core.store.state();
        let repository = state.repository(repository);
        repository.add_manifest(digest, "", media_type, bytes.into());
    }

    /// Registers a blob whose bytes are generated whenever it is read.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn seed_synthetic(&self, repository: &str, size: u64, seed: u64) -> Descriptor {
        self.core
            .store
            .put_synthetic(repository, Synthetic { seed, size })
    }

    /// Stores a manifest without HTTP and without any check, under its digest and, unless `tag` is
    /// empty, under a tag.
    pub fn put_manifest(
        &self,
        repository: &str,
        tag: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Descriptor {
        self.core
            .store
            .put_manifest(repository, tag, media_type, bytes.into())
    }

    /// A manifest by tag or digest: its media type, its bytes, its digest.
    #[must_use]
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<(String, Bytes, String)> {
        let state = self.core.store.state();
        let (digest, manifest) = state.repositories.get(repository)?.manifest(reference)?;
        Some((
            manifest.media_type.clone(),
            manifest.bytes.clone(),
            digest.to_owned(),
        ))
    }

    /// The bytes of a blob; none for one that was counted but not kept.
    #[must_use]
    pub fn blob(&self, repository: &str, digest: &str) -> Option<Bytes> {
        self.core.store.read_blob(repository, digest)
    }

    /// Whether the repository has a blob.
    #[must_use]
    pub fn has_blob(&self, repository: &str, digest: &str) -> bool {
        let state = self.core.store.state();
        state
            .repositories
            .get(repository)
            .is_some_and(|repo| repo.blobs.contains_key(digest))
    }

    /// Removes a blob, even one that manifests refer to.
    pub fn remove_blob(&self, repository: &str, digest: &str) {
        self.core
            .store
            .state()
            .repository(repository)
            .blobs
            .remove(digest);
    }

    /// Takes a tag, or a manifest with all its tags, away.
    pub fn remove_manifest(&self, repository: &str, reference: &str) {
        self.core
            .store
            .state()
            .repository(repository)
            .remove_manifest(reference);
    }

    /// The names of all repositories, sorted.
    #[must_use]
    pub fn repositories(&self) -> Vec<String> {
        self.core
            .store
            .state()
            .repositories
            .keys()
            .cloned()
            .collect()
    }

    /// The tags of a repository, sorted.
    #[must_use]
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let state = self.core.store.state();
        state
            .repositories
            .get(repository)
            .map(|repo| repo.tags.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// The digests of all manifests of a repository, sorted.
    #[must_use]
    pub fn manifests(&self, repository: &str) -> Vec<String> {
        let state = self.core.store.state();
        let repo = state.repositories.get(repository);
        let mut digests: Vec<String> = repo
            .map(|repo| repo.manifests.keys().cloned().collect())
            .unwrap_or_default();
        digests.sort();
        digests
    }

    /// What is wrong with the content: tags without manifest, references to blobs or children that
    /// are not in the same repository with the right size, bytes that do not have their digest.
    /// Empty if all is well.
    #[must_use]
    pub fn check_integrity(&self) -> Vec<String> {
        integrity::violations(&self.core.store)
    }

    /// Whether the referrers API is there.
    pub(crate) fn has_referrers(&self) -> bool {
        self.core.referrers
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}
