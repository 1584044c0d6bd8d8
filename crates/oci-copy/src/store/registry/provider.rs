//! What differs between registries beyond the distribution specification.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{FutureExt, future};

use crate::http::{self, Secret, Share};
use crate::reference::Digest;
use crate::store::{Action, Answer, DigestCheck, Mounting, TagOrDigest};

/// Chooses the provider of a registry.
pub trait Providers: Send + Sync {
    /// The provider of a host. `has_login` says whether the user has configured a login for it.
    fn provider(&self, host: &str, has_login: bool) -> Arc<dyn Provider>;
}

/// What a registry can do, and what it needs, beyond the distribution specification. The defaults are
/// those of [`Plain`].
pub trait Provider: Send + Sync {
    /// What the registry can do.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// The URL of the registry, without a slash at the end; `None` where its host says it.
    fn endpoint(&self) -> Answer<'_, Option<String>> {
        ready(None)
    }

    /// The value of the header `Authorization`; `None` where the registry's challenge decides.
    fn authorization(&self) -> Answer<'_, Option<Secret>> {
        ready(None)
    }

    /// Another value than the refused one, if there is one.
    fn renew<'a>(&'a self, _refused: &'a [u8]) -> Answer<'a, Option<Secret>> {
        ready(None)
    }

    /// Makes a repository exist.
    fn prepare<'a>(&'a self, _repository: &'a str) -> Answer<'a, ()> {
        ready(())
    }

    /// Waits until a write that was refused can succeed; `false` where waiting does not help.
    fn settle<'a>(&'a self, _repository: &'a str, _refused: &'a http::Error) -> Answer<'a, bool> {
        ready(false)
    }

    /// Whether and when repositories give each other blobs.
    fn mounting(&self) -> Answer<'_, Mounting> {
        ready(Mounting::AfterUpload)
    }

    /// Whether a tag of a repository cannot move.
    fn is_immutable<'a>(&'a self, _repository: &'a str, _tag: &'a str) -> Answer<'a, bool> {
        ready(false)
    }

    /// The digests of many names with few requests, where [`Capabilities::batch_lookups`] says so.
    fn find_manifests<'a>(
        &'a self,
        _repository: &'a str,
        _names: &'a [TagOrDigest],
    ) -> Answer<'a, HashMap<TagOrDigest, Digest>> {
        ready(HashMap::new())
    }

    /// Which of some manifests a repository had before the run; `None` where the registry has no such
    /// look-up.
    fn known_manifests<'a>(
        &'a self,
        _repository: &'a str,
        _wanted: &'a [Digest],
    ) -> Option<Answer<'a, HashSet<Digest>>> {
        None
    }

    /// Which of some blobs a repository has; `None` where each is looked for when its upload begins.
    fn known_blobs<'a>(
        &'a self,
        _repository: &'a str,
        _wanted: &'a [Digest],
    ) -> Option<Answer<'a, HashSet<Digest>>> {
        None
    }

    /// How many requests per second the registry allows, where that is known beforehand.
    fn limits(&self) -> Option<Limits> {
        None
    }

    /// What a user can do about an error of this registry in particular.
    fn explain(&self, _error: &http::Error) -> Option<&'static str> {
        None
    }
}

/// What a store can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent fact about a store"
)]
pub struct Capabilities {
    /// The provider gives the authorization: challenges are not answered, and the status 403 can mean
    /// that it has expired.
    pub own_authorization: bool,
    /// [`Provider::known_blobs`] answers, so that an upload begins without another look.
    pub known_blobs: bool,
    /// [`Provider::find_manifests`] answers for many names at once.
    pub batch_lookups: bool,
    /// It takes blobs of zero bytes.
    pub empty_blobs: bool,
    /// It knows digests of other algorithms than SHA-256.
    pub other_digests: bool,
    /// Whether it checks the digests of blobs.
    pub digest_check: DigestCheck,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            own_authorization: false,
            known_blobs: false,
            batch_lookups: false,
            empty_blobs: true,
            other_digests: true,
            digest_check: DigestCheck::Asked,
        }
    }
}

/// How many requests per second a registry grants.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests per second, in the order of [`Action::ALL`].
    pub rates: [f64; Action::ALL.len()],
    /// How much of them this process may use.
    pub share: Share,
}

/// A registry that has nothing beyond the distribution specification.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Provider for Plain {}

impl Providers for Plain {
    fn provider(&self, _: &str, _: bool) -> Arc<dyn Provider> {
        Arc::new(Self)
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> Answer<'a, T> {
    future::ready(Ok(value)).boxed()
}
