//! A registry, as the OCI distribution specification and ECR's deviations from it have it.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

mod auth;
mod upload;

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, stream};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder, Response};
use url::Url;

use crate::aws::Ecr;
use crate::http::{self, Http, QUIET};
use crate::oci::{Descriptor, MAX_MANIFEST, Manifest, Refers, media_type, referrers_tag};
use crate::reference::Digest;

use super::{Answer, Blob, Error, Source, Stored, Target, Which};

use auth::{Access, Auth, Scope};

/// The header with a manifest's digest.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// The header by which a registry says that it will list a manifest among its subject's referrers.
const SUBJECT: &str = "oci-subject";

/// The most pages of a list of referrers. ECR gives 50 on one.
const MAX_PAGES: usize = 20;

/// A registry's host.
pub struct Registry {
    http: Arc<Http>,
    host: String,
    ecr: Option<Arc<Ecr>>,
    auth: Auth,
}

/// One repository of a registry.
pub(super) struct Repository {
    registry: Arc<Registry>,
    name: String,
}

impl Registry {
    /// `ecr` are the credentials of a private ECR registry.
    pub(super) fn new(http: Arc<Http>, host: &str, ecr: Option<Arc<Ecr>>) -> Self {
        let auth = Auth::new(host, ecr.clone());
        Self {
            http,
            host: host.to_owned(),
            ecr,
            auth,
        }
    }

    pub(super) fn repository(self: Arc<Self>, name: &str) -> Repository {
        Repository {
            registry: self,
            name: name.to_owned(),
        }
    }

    /// Where the registry is reached: ECR says so itself, unless the user does.
    async fn base(&self) -> Result<String, Error> {
        match &self.ecr {
            Some(ecr) if !self.http.has_endpoint(&self.host) => Ok(ecr.token().await?.endpoint),
            _ => Ok(self.http.base(&self.host)),
        }
    }
}

impl Repository {
    async fn url(&self, path: &str) -> Result<Url, Error> {
        let text = format!("{}/v2/{}/{path}", self.registry.base().await?, self.name);
        Url::parse(&text).map_err(|error| {
            let nowhere = Url::parse("http://invalid/").expect("a valid URL");
            http::Error::refused(&Method::GET, &nowhere, format!("{text} is no URL: {error}"))
                .into()
        })
    }

    fn scope(&self, access: Access) -> Scope {
        Scope {
            repository: self.name.clone(),
            access,
        }
    }

    /// Sends a request that can be sent again, with authorization, as often as the policy allows.
    async fn send(
        &self,
        access: Access,
        request: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let policy = self.registry.http.policy();
        policy.run(|| self.send_once(access, &request)).await
    }

    async fn send_once(
        &self,
        access: Access,
        request: &impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let (http, auth, scope) = (&self.registry.http, &self.registry.auth, self.scope(access));
        let header = auth.header(http, &scope).await?;
        let authorized = |header: &Option<reqwest::header::HeaderValue>| {
            let request = request(http.client());
            header.iter().fold(request, |request, header| {
                request.header(AUTHORIZATION, header)
            })
        };
        match http.send(authorized(&header)).await {
            Err(error) if auth.is_refusal(&error) => {
                // Once: the challenge is answered, or a token that expired on the way is renewed.
                let challenges = error.headers().cloned().unwrap_or_default();
                match auth
                    .renew(http, &scope, &challenges, header.as_ref())
                    .await?
                {
                    Some(renewed) => Ok(http.send(authorized(&Some(renewed))).await?),
                    None => Err(error.into()),
                }
            }
            answer => Ok(answer?),
        }
    }

    async fn find_manifest(&self, which: &Which, access: Access) -> Result<Option<Digest>, Error> {
        let url = self.url(&format!("manifests/{which}")).await?;
        let head =
            |client: &reqwest::Client| client.head(url.clone()).header(ACCEPT, media_type::ACCEPT);
        let Some(response) = found(self.send(access, head).await)? else {
            return Ok(None);
        };
        match (digest_header(response.headers()), which) {
            (Some(digest), _) => Ok(Some(digest)),
            (None, Which::Digest(digest)) => Ok(Some(digest.clone())),
            // An old registry: the content itself has to say.
            (None, Which::Tag(_)) => Ok(self
                .read_manifest(which, access)
                .await?
                .map(|manifest| manifest.digest)),
        }
    }

    async fn read_manifest(
        &self,
        which: &Which,
        access: Access,
    ) -> Result<Option<Manifest>, Error> {
        let http = &self.registry.http;
        let url = self.url(&format!("manifests/{which}")).await?;
        let get =
            |client: &reqwest::Client| client.get(url.clone()).header(ACCEPT, media_type::ACCEPT);
        let Some(response) = found(self.send(access, get).await)? else {
            return Ok(None);
        };
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|text| text.to_str().ok())
            .map(str::to_owned);
        let promised = match which {
            Which::Digest(digest) => Some(digest.clone()),
            Which::Tag(_) => digest_header(response.headers()),
        };
        let bytes = http.body(response, MAX_MANIFEST).await?;
        if let Some(wanted) = promised {
            let mut hasher = wanted.hasher();
            hasher.update(&bytes);
            let found = hasher.finish();
            if found != wanted {
                return Err(Error::Digest { wanted, found });
            }
        }
        let digest = Digest::of(&bytes);
        let manifest = Manifest::parse(content_type.as_deref(), bytes);
        manifest
            .map(Some)
            .map_err(|source| Error::Manifest { digest, source })
    }

    /// What the registry lists about a manifest; where it has no such list, what the tag that stands in
    /// for it holds
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>).
    async fn list_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let mut page = Some(self.url(&format!("referrers/{subject}")).await?);
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = page.take() else {
                return Ok(all);
            };
            let get = |client: &reqwest::Client| {
                client
                    .get(url.clone())
                    .header(ACCEPT, media_type::OCI_INDEX)
            };
            let response = match self.send(Access::Pull, get).await {
                Ok(response) => response,
                // Registries without the list say so in many ways.
                Err(Error::Http(error))
                    if matches!(error.status_code(), Some(400..=499)) && !is_limit(&error) =>
                {
                    return self.tagged_referrers(subject).await;
                }
                Err(error) => return Err(error),
            };
            page = next_page(&response);
            let body = self.registry.http.body(response, MAX_MANIFEST).await?;
            match Manifest::parse(Some(media_type::OCI_INDEX), body) {
                Ok(Manifest {
                    refers: Refers::Manifests(listed),
                    ..
                }) => all.extend(listed),
                // A page for people, with status 200.
                _ => return self.tagged_referrers(subject).await,
            }
        }
        Ok(all)
    }

    async fn tagged_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let tag = Which::Tag(referrers_tag(subject));
        let found = match self.read_manifest(&tag, Access::Pull).await {
            // Some registries answer any tag of this form with the image itself.
            Ok(found) => found.filter(|manifest| manifest.digest != *subject),
            Err(Error::Manifest { .. }) => None,
            Err(Error::Http(error))
                if matches!(error.status_code(), Some(400..=499)) && !is_limit(&error) =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        Ok(match found {
            Some(Manifest {
                refers: Refers::Manifests(listed),
                ..
            }) => listed,
            _ => Vec::new(),
        })
    }

    /// The repository's tags, the first thousand of them.
    pub(super) async fn tags(&self) -> Result<Vec<String>, Error> {
        #[derive(serde::Deserialize)]
        struct List {
            tags: Option<Vec<String>>,
        }
        // ECR refuses to list more than 1,000 at once.
        let url = self.url("tags/list?n=1000").await?;
        let Some(response) = found(
            self.send(Access::Pull, |client| client.get(url.clone()))
                .await,
        )?
        else {
            return Ok(Vec::new());
        };
        let body = self.registry.http.body(response, MAX_MANIFEST).await?;
        let list = serde_json::from_slice::<List>(&body).ok();
        Ok(list.and_then(|list| list.tags).unwrap_or_default())
    }

    async fn read_blob(&self, descriptor: &Descriptor) -> Result<Blob, Error> {
        let url = self.url(&format!("blobs/{}", descriptor.digest)).await?;
        let response = self
            .send(Access::Pull, |client| client.get(url.clone()))
            .await?;
        let pieces = stream::try_unfold((response, url), |(mut response, url)| async move {
            let piece = tokio::time::timeout(QUIET, response.chunk()).await;
            let piece = piece
                .map_err(|_| http::Error::quiet(&Method::GET, &url, QUIET))?
                .map_err(|error| http::Error::transport(&Method::GET, &url, error))?;
            Ok::<_, Error>(piece.map(|piece| (piece, (response, url))))
        });
        Ok(pieces.boxed())
    }

    async fn write_manifest(&self, which: &Which, manifest: &Manifest) -> Result<Stored, Error> {
        let url = self.url(&format!("manifests/{which}")).await?;
        let put = |client: &reqwest::Client| {
            client
                .put(url.clone())
                .header(CONTENT_TYPE, &manifest.media_type)
                .body(manifest.bytes.clone())
        };
        // No look at Location: ECR sends none.
        match (self.send(Access::Push, put).await, which) {
            (Ok(response), _) if response.headers().contains_key(SUBJECT) => Ok(Stored::Linked),
            (Ok(_), _) => Ok(Stored::Plain),
            // ECR refuses to write a tag that cannot move even with the content it has, so a write whose
            // answer was lost looks like a conflict. Only another digest is one.
            (Err(Error::Http(error)), Which::Tag(_)) if error.has_code("TAG_INVALID") => {
                match self.find_manifest(which, Access::Push).await? {
                    Some(digest) if digest == manifest.digest => Ok(Stored::Plain),
                    _ => Err(error.into()),
                }
            }
            (Err(error), _) => Err(error),
        }
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

fn is_limit(error: &http::Error) -> bool {
    matches!(error.class(), http::Class::Transient(_))
}

/// The `Link` to the next page of a list (RFC 5988), on the same host.
fn next_page(response: &Response) -> Option<Url> {
    let link = response.headers().get("link")?.to_str().ok()?;
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let next = response.url().join(target).ok()?;
    let is_next = parameters.replace('"', "").contains("rel=next");
    (is_next && next.host_str() == response.url().host_str()).then_some(next)
}

fn digest_header(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}

impl Source for Repository {
    fn resolve<'a>(&'a self, which: &'a Which) -> Answer<'a, Option<Digest>> {
        self.find_manifest(which, Access::Pull).boxed()
    }

    fn manifest<'a>(&'a self, which: &'a Which) -> Answer<'a, Option<Manifest>> {
        self.read_manifest(which, Access::Pull).boxed()
    }

    fn referrers<'a>(&'a self, subject: &'a Digest) -> Answer<'a, Vec<Descriptor>> {
        self.list_referrers(subject).boxed()
    }

    fn blob<'a>(&'a self, descriptor: &'a Descriptor) -> Answer<'a, Blob> {
        self.read_blob(descriptor).boxed()
    }
}

impl Target for Repository {
    fn pool(&self) -> String {
        format!("{}/{}", self.registry.host, self.name)
    }

    fn prepare(&self) -> Answer<'_, ()> {
        async move {
            match &self.registry.ecr {
                Some(ecr) => Ok(ecr.ensure(&self.name).await?),
                // Other registries make a repository with the first push.
                None => Ok(()),
            }
        }
        .boxed()
    }

    fn resolve<'a>(&'a self, which: &'a Which) -> Answer<'a, Option<Digest>> {
        self.find_manifest(which, Access::Push).boxed()
    }

    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor) -> Answer<'a, bool> {
        async move {
            let url = self.url(&format!("blobs/{}", descriptor.digest)).await?;
            Ok(found(
                self.send(Access::Push, |client| client.head(url.clone()))
                    .await,
            )?
            .is_some())
        }
        .boxed()
    }

    fn put_blob<'a>(&'a self, descriptor: &'a Descriptor, blob: Blob) -> Answer<'a, ()> {
        self.upload(descriptor, blob).boxed()
    }

    fn put_manifest<'a>(&'a self, which: &'a Which, manifest: &'a Manifest) -> Answer<'a, Stored> {
        self.write_manifest(which, manifest).boxed()
    }
}
