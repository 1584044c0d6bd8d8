//! A registry, as the OCI distribution specification has it; what differs, its [`Provider`] knows.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

mod auth;
mod blobs;
mod catalog;
mod limits;
mod manifests;
mod provider;
mod referrers;
mod repository;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use reqwest::Response;
use tokio::sync::OnceCell;

use crate::http::{self, Http, Network};

use super::{Answer, Error, SubjectSupport, TagOrDigest};

use auth::Auth;
use limits::HostLimits;
use manifests::Heads;
pub use provider::{Capabilities, Limits, Plain, Provider, Providers};
pub(super) use repository::Repository;

/// A registry's host.
pub struct Registry {
    http: Arc<Http>,
    host: String,
    provider: Arc<dyn Provider>,
    auth: Auth,
    limits: HostLimits,
    /// It does not support mounting, so no more mounts are tried.
    lacks_mounting: AtomicBool,
    manifest_heads: Heads,
    blob_heads: Heads,
    /// By the names of repositories.
    known: Mutex<HashMap<String, Arc<Known>>>,
}

/// What a run has learnt of a repository. There is one for each until the run's end, so it is small.
#[derive(Default)]
struct Known {
    /// Tags that were read or written.
    seen: Mutex<HashSet<Box<str>>>,
    /// Only where referrers were looked for.
    lists: OnceLock<Box<Lists>>,
}

/// What the referrers of a repository's manifests need.
#[derive(Default)]
struct Lists {
    /// All tags, once they are asked for and if one answer holds them.
    tags: OnceCell<Option<HashSet<Box<str>>>>,
    /// One list of referrers is written at a time.
    writing: tokio::sync::Mutex<()>,
}

impl Known {
    /// A name was read or written.
    fn see(&self, which: &TagOrDigest) {
        if let TagOrDigest::Tag(tag) = which {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if !seen.contains(tag.as_str()) {
                seen.insert(tag.as_str().into());
            }
        }
    }

    fn has_seen(&self, which: &TagOrDigest) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(which, TagOrDigest::Tag(tag) if seen.contains(tag.as_str()))
    }

    fn lists(&self) -> &Lists {
        self.lists.get_or_init(Box::default)
    }
}

impl Registry {
    pub(super) fn new(
        http: Arc<Http>,
        network: &Network,
        host: &str,
        provider: Arc<dyn Provider>,
    ) -> Self {
        Self {
            auth: Auth::new(host, Arc::clone(&provider)),
            limits: HostLimits::new(network, provider.limits()),
            http,
            host: host.to_owned(),
            provider,
            lacks_mounting: AtomicBool::new(false),
            manifest_heads: Heads::default(),
            blob_heads: Heads::default(),
            known: Mutex::default(),
        }
    }

    pub(super) fn repository(self: Arc<Self>, name: &str) -> Repository {
        let known = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(name.to_owned()).or_default())
        };
        Repository {
            registry: self,
            name: name.to_owned(),
            known,
        }
    }

    /// The URL of the registry: as the user says, or else as its provider does.
    async fn base(&self) -> Result<String, Error> {
        let own = if self.http.has_endpoint(&self.host) {
            None
        } else {
            self.provider.endpoint().await?
        };
        Ok(own.unwrap_or_else(|| self.http.base(&self.host)))
    }

    /// An error with what else is known about it.
    fn explained(&self, error: http::Error) -> http::Error {
        let remedy = self.provider.explain(&error);
        self.auth.explained(&self.http, error).with_remedy(remedy)
    }
}

/// "Not found" as a value.
fn found(answer: Result<Response, Error>) -> Result<Option<Response>, Error> {
    match answer {
        Ok(response) => Ok(Some(response)),
        Err(Error::Http(error)) if error.status_code() == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}
