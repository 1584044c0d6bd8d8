//! Manifests of a registry: found, read, written.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use tokio::sync::OnceCell;

use crate::http::{Class, Retryable};
use crate::manifest::{MAX_MANIFEST, Manifest, media_type};
use crate::reference::Digest;
use crate::store::Action;

use super::auth::Access;
use super::{Answer, Error, Repository, SubjectSupport, TagOrDigest, found};
use crate::store::Probe;

/// The header with a manifest's digest.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// The header by which a registry says that it will list a manifest among its subject's referrers.
const SUBJECT: &str = "oci-subject";

/// What is known of a registry's answers to HEAD.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// It does not serve HEAD, or answers 404 to what is there: GET is sent at once.
    are_useless: AtomicBool,
    /// Whether a 404 to HEAD was confirmed by GET, once one was asked about.
    are_honest: OnceCell<bool>,
}

/// How much a 404 to HEAD is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// GET decides.
    Confirmed,
    /// GET decides the first one of a registry, and all where that one was wrong. What was read or
    /// written before in this run is confirmed always.
    Likely,
}

/// A HEAD that failed. It is retried only where the host throttles; otherwise GET is sent, which has
/// retries.
struct HeadError(Error);

impl std::fmt::Display for HeadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Retryable for HeadError {
    fn class(&self) -> Class {
        match self.0.class() {
            class @ Class::Throttled(_) => class,
            _ if self.0.status_code().is_some() => Class::Permanent,
            class => class,
        }
    }
}

impl Heads {
    /// Takes in that a HEAD failed; whether GET has to decide. It cannot where the host asks for fewer
    /// requests. A 401 may be the answer to HEAD alone, as 403 may be.
    pub(super) fn failed(&self, error: &Error) -> bool {
        if matches!(error.status_code(), Some(405 | 501)) {
            self.use_get_instead();
        }
        let is_limit = matches!(error, Error::Http(error) if error.is_pull_limit());
        let is_throttled = matches!(error.class(), Class::Throttled(_)) || is_limit;
        error
            .status_code()
            .is_some_and(|status| status != 429 && !is_throttled)
    }

    pub(super) fn use_get_instead(&self) {
        self.are_useless.store(true, Ordering::Relaxed);
    }

    pub(super) fn are_useless(&self) -> bool {
        self.are_useless.load(Ordering::Relaxed)
    }
}

impl Repository {
    /// Sends a HEAD: another try follows only where there was no answer, or one that asks for patience.
    pub(super) async fn head(
        &self,
        action: Action,
        access: Access,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, Error> {
        let scope = self.scope(access);
        let send = || async {
            self.try_send(action, &scope, &request)
                .await
                .map_err(HeadError)
        };
        let policy = self.registry.http.policy();
        policy.run(send).await.map_err(|HeadError(error)| error)
    }

    /// The digest of what a name names: of a tag always its SHA-256, of a digest that one.
    pub(super) async fn find_manifest(
        &self,
        which: &TagOrDigest,
        access: Access,
        absent: Absent,
    ) -> Result<Option<Digest>, Error> {
        let heads = &self.registry.manifest_heads;
        if heads.are_useless() {
            return self.digest(which, access).await;
        }
        let url = self.url(&format!("manifests/{which}")).await?;
        let head =
            |client: &reqwest::Client| client.head(url.clone()).header(ACCEPT, media_type::ACCEPT);
        match self.head(Action::GetManifest, access, head).await {
            Ok(response) => match (digest_header(response.headers()), which) {
                (Some(digest), TagOrDigest::Tag(_)) if digest.is_sha256() => Ok(Some(digest)),
                (Some(found), TagOrDigest::Digest(asked))
                    if found.algorithm() == asked.algorithm() =>
                {
                    Ok(Some(found))
                }
                (_, TagOrDigest::Digest(asked)) => Ok(Some(asked.clone())),
                // An old registry, or a digest of another kind: the content itself has to say.
                (_, TagOrDigest::Tag(_)) => self.digest(which, access).await,
            },
            Err(error) if error.status_code() == Some(404) => {
                self.confirm_absence(which, access, absent).await
            }
            Err(error) if heads.failed(&error) => {
                tracing::debug!(error = %error, "GET instead of HEAD: {error}");
                self.digest(which, access).await
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a name exists, and how many pulls are left; a HEAD is none.
    pub(in crate::store) async fn probe(&self, which: &TagOrDigest) -> Result<Probe, Error> {
        let url = self.url(&format!("manifests/{which}")).await?;
        let head =
            |client: &reqwest::Client| client.head(url.clone()).header(ACCEPT, media_type::ACCEPT);
        match self.head(Action::GetManifest, Access::Pull, head).await {
            Ok(response) => Ok(Probe {
                exists: true,
                pulls_left: pulls_left(response.headers()),
            }),
            Err(error) if error.status_code() == Some(404) => Ok(Probe {
                exists: false,
                pulls_left: None,
            }),
            Err(error) => Err(error),
        }
    }

    /// Proxies and old registries answer 404 to HEAD where GET gives the manifest.
    async fn confirm_absence(
        &self,
        which: &TagOrDigest,
        access: Access,
        absent: Absent,
    ) -> Result<Option<Digest>, Error> {
        let heads = &self.registry.manifest_heads;
        if absent == Absent::Confirmed || self.known.has_seen(which) {
            let found = self.digest(which, access).await?;
            if found.is_some() {
                heads.use_get_instead();
            }
            return Ok(found);
        }
        let mut found = None;
        let ask = async {
            found = self.digest(which, access).await?;
            Ok::<_, Error>(found.is_none())
        };
        if *heads.are_honest.get_or_try_init(|| ask).await? {
            return Ok(None);
        }
        heads.use_get_instead();
        match found {
            Some(found) => Ok(Some(found)),
            None => self.digest(which, access).await,
        }
    }

    /// The digest of what GET gives.
    fn digest<'a>(&'a self, which: &'a TagOrDigest, access: Access) -> Answer<'a, Option<Digest>> {
        async move {
            match self.read_manifest(which, access).await {
                Ok(found) => Ok(found.map(|manifest| manifest.digest)),
                // Something is there, whatever it is.
                Err(Error::Manifest { digest, .. }) => Ok(Some(digest)),
                Err(error) => Err(error),
            }
        }
        .boxed()
    }

    pub(super) async fn read_manifest(
        &self,
        which: &TagOrDigest,
        access: Access,
    ) -> Result<Option<Manifest>, Error> {
        let http = &self.registry.http;
        let url = self.url(&format!("manifests/{which}")).await?;
        let get =
            |client: &reqwest::Client| client.get(url.clone()).header(ACCEPT, media_type::ACCEPT);
        let Some(response) = found(self.send(Action::GetManifest, access, get).await)? else {
            return Ok(None);
        };
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|text| text.to_str().ok())
            .map(str::to_owned);
        let promised = match which {
            TagOrDigest::Digest(digest) => Some(digest.clone()),
            TagOrDigest::Tag(_) => digest_header(response.headers()),
        };
        let bytes = http.body(response, MAX_MANIFEST).await?;
        if let Some(wanted) = promised {
            let found = wanted.of_same_kind(&bytes);
            if found != wanted {
                return Err(Error::Digest { wanted, found });
            }
        }
        self.known.see(which);
        let digest = match which {
            TagOrDigest::Digest(digest) => digest.clone(),
            TagOrDigest::Tag(_) => Digest::of(&bytes),
        };
        let manifest = Manifest::parse(content_type.as_deref(), bytes);
        manifest
            .map(|manifest| {
                Some(Manifest {
                    digest: digest.clone(),
                    ..manifest
                })
            })
            .map_err(|source| Error::Manifest { digest, source })
    }

    pub(super) async fn write_manifest(
        &self,
        which: &TagOrDigest,
        manifest: &Manifest,
    ) -> Result<SubjectSupport, Error> {
        let url = self.url(&format!("manifests/{which}")).await?;
        let put = |client: &reqwest::Client| {
            client
                .put(url.clone())
                .header(CONTENT_TYPE, &manifest.media_type)
                .body(manifest.bytes.clone())
        };
        // No look at Location: ECR sends none.
        match (
            self.send(Action::PutManifest, Access::Push, put).await,
            which,
        ) {
            (Ok(response), _) => {
                self.known.see(which);
                Ok(if response.headers().contains_key(SUBJECT) {
                    SubjectSupport::Listed
                } else {
                    SubjectSupport::Ignored
                })
            }
            // ECR refuses to write a tag that cannot move even with the content it has, so a write whose
            // answer was lost looks like a conflict. Only another digest is one.
            (Err(Error::Http(error)), TagOrDigest::Tag(_)) if error.has_code("TAG_INVALID") => {
                match self
                    .find_manifest(which, Access::Push, Absent::Confirmed)
                    .await?
                {
                    Some(digest) if manifest.has_digest(&digest) => Ok(SubjectSupport::Ignored),
                    _ => Err(error.into()),
                }
            }
            (Err(error), _) => Err(error),
        }
    }
}

/// `ratelimit-remaining: 76;w=21600` (<https://docs.docker.com/docker-hub/usage/pulls/>).
fn pulls_left(headers: &HeaderMap) -> Option<u64> {
    let left = headers.get("ratelimit-remaining")?.to_str().ok()?;
    left.split(';').next()?.trim().parse().ok()
}

fn digest_header(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}
