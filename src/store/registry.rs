//! A registry, as the OCI distribution specification and ECR's deviations from it have it.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

mod auth;
mod blobs;
mod manifests;
mod pace;
mod referrers;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use reqwest::header::AUTHORIZATION;
use reqwest::{Method, RequestBuilder, Response};
use tokio::sync::OnceCell;
use url::Url;

use crate::aws::Ecr;
use crate::http::{self, Http, Window};
use crate::oci::{Descriptor, Manifest, Refers};
use crate::reference::Digest;
use crate::settings::{Action, Network};

use super::{
    Answer, Begun, Blob, Checks, Error, Mounting, Partial, Refusal, Session, Source, Stored,
    Target, Which,
};

use auth::{Access, Auth, Scope};
use manifests::{Absent, Heads};
use pace::Pace;

/// A registry's host.
pub struct Registry {
    http: Arc<Http>,
    host: String,
    ecr: Option<Arc<Ecr>>,
    auth: Auth,
    pace: Pace,
    /// It does not understand mounting: nobody tries twice.
    lacks_mounting: AtomicBool,
    manifest_heads: Heads,
    blob_heads: Heads,
    /// By the names of repositories.
    known: Mutex<HashMap<String, Arc<Known>>>,
}

/// What a run has learnt of a repository.
#[derive(Default)]
struct Known {
    /// All tags, once they are asked for and if one answer holds them.
    tags: OnceCell<Option<HashSet<String>>>,
    /// Tags that were read or written.
    seen: Mutex<HashSet<String>>,
    /// One list of referrers is written at a time.
    listing: tokio::sync::Mutex<()>,
}

impl Known {
    /// A name was read or written.
    fn see(&self, which: &Which) {
        if let Which::Tag(tag) = which {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(tag.clone());
        }
    }

    fn has_seen(&self, which: &Which) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(which, Which::Tag(tag) if seen.contains(tag))
    }
}

/// One repository of a registry.
pub(super) struct Repository {
    registry: Arc<Registry>,
    name: String,
    known: Arc<Known>,
}

impl Registry {
    /// `ecr` are the credentials of a private ECR registry.
    pub(super) fn new(
        http: Arc<Http>,
        network: &Network,
        host: &str,
        ecr: Option<Arc<Ecr>>,
    ) -> Self {
        Self {
            auth: Auth::new(host, ecr.clone()),
            pace: Pace::new(network, ecr.is_some()),
            http,
            host: host.to_owned(),
            ecr,
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
            mount_from: None,
        }
    }

    /// Sends a request that can be sent again, with authorization, as often as the policy allows.
    async fn send(
        &self,
        action: Action,
        access: Access,
        request: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Error> {
        self.send_for(action, &self.scope(access), request).await
    }

    async fn send_for(
        &self,
        action: Action,
        scope: &Scope,
        request: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let policy = self.registry.http.policy();
        policy.run(|| self.try_send(action, scope, &request)).await
    }

    async fn try_send(
        &self,
        action: Action,
        scope: &Scope,
        request: &impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let pace = &self.registry.pace;
        let _place = pace.admit(action).await;
        let answer = self.send_once(scope, request).await;
        match pace.note(action, answer) {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.lagging(action, error).await),
        }
    }

    /// What a registry denies although it was given it a moment ago is worth waiting for: ECR checks
    /// manifests against blobs that it has not noted yet, and creates repositories in its own time.
    async fn lagging(&self, action: Action, error: Error) -> Error {
        let Error::Http(http) = error else {
            return error;
        };
        let is_write = matches!(action, Action::PutManifest | Action::StartUpload);
        let ecr = self.registry.ecr.as_ref();
        let ecr = ecr.filter(|ecr| http.has_code("NAME_UNKNOWN") && ecr.has_created(&self.name));
        if let Some(ecr) = ecr.filter(|_| is_write) {
            return match ecr.seen(&self.name).await {
                Ok(()) => Error::Lagging(http),
                Err(error) => error.into(),
            };
        }
        let unknown = [
            "BLOB_UNKNOWN",
            "MANIFEST_BLOB_UNKNOWN",
            "MANIFEST_UNKNOWN",
            // ECR's word for layers that a manifest names and it does not know.
            "BLOB_UPLOAD_UNKNOWN",
        ];
        let is_unknown = unknown.iter().any(|code| http.has_code(code));
        if is_unknown && action == Action::PutManifest {
            Error::Lagging(http)
        } else {
            Error::Http(http)
        }
    }

    async fn send_once(
        &self,
        scope: &Scope,
        request: &impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let (http, auth) = (&self.registry.http, &self.registry.auth);
        let header = auth.header(http, scope).await?;
        let authorized = |header: &Option<reqwest::header::HeaderValue>| {
            let request = request(http.client());
            header.iter().fold(request, |request, header| {
                request.header(AUTHORIZATION, header)
            })
        };
        let answer = match http.send(authorized(&header)).await {
            Err(error) if auth.is_refusal(&error) => {
                // Once: the challenge is answered, or a token that expired on the way is renewed.
                let challenges = error.headers().cloned().unwrap_or_default();
                match auth
                    .renew(http, scope, &challenges, header.as_ref())
                    .await?
                {
                    Some(renewed) => http.send(authorized(&Some(renewed))).await,
                    None => Err(error),
                }
            }
            answer => answer,
        };
        Ok(answer.map_err(|error| auth.explained(http, error))?)
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

impl Source for Repository {
    fn resolve<'a>(&'a self, which: &'a Which) -> Answer<'a, Option<Digest>> {
        self.find_manifest(which, Access::Pull, Absent::Confirmed)
            .boxed()
    }

    fn manifest<'a>(&'a self, which: &'a Which) -> Answer<'a, Option<Manifest>> {
        self.read_manifest(which, Access::Pull).boxed()
    }

    fn referrers<'a>(&'a self, subject: &'a Digest) -> Answer<'a, Partial<Descriptor>> {
        self.list_referrers(subject).boxed()
    }

    fn find_tags<'a>(&'a self, tags: &'a [String]) -> Answer<'a, Partial<(String, Digest)>> {
        self.find_some_tags(tags).boxed()
    }

    fn blob<'a>(&'a self, descriptor: &'a Descriptor, from: u64) -> Answer<'a, Blob> {
        self.read_blob(descriptor, from).boxed()
    }

    fn home(&self) -> String {
        self.pool()
    }

    fn reads(&self) -> Arc<Window> {
        Arc::clone(self.registry.pace.window(Action::GetBlob))
    }
}

impl Target for Repository {
    fn pool(&self) -> String {
        format!("{}/{}", self.registry.host, self.name)
    }

    fn realm(&self) -> String {
        self.registry.host.clone()
    }

    fn mounting(&self) -> Answer<'_, Mounting> {
        async move {
            Ok(match &self.registry.ecr {
                Some(ecr) if ecr.mounts_blobs().await => Mounting::AfterCommit,
                Some(_) => Mounting::Never,
                None => Mounting::AfterUpload,
            })
        }
        .boxed()
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
        self.find_manifest(which, Access::Push, Absent::Likely)
            .boxed()
    }

    fn resolve_all<'a>(&'a self, names: &'a [Which]) -> Option<Answer<'a, HashMap<Which, Digest>>> {
        let ecr = self.registry.ecr.as_ref()?;
        Some(async move { Ok(ecr.find_images(&self.name, names).await?) }.boxed())
    }

    fn is_fixed<'a>(&'a self, tag: &'a str) -> Answer<'a, bool> {
        async move {
            match &self.registry.ecr {
                Some(ecr) => Ok(ecr.is_fixed(&self.name, tag).await?),
                None => Ok(false),
            }
        }
        .boxed()
    }

    fn known_manifests<'a>(
        &'a self,
        wanted: &'a [Digest],
        present: Option<&'a Digest>,
    ) -> Answer<'a, HashSet<Digest>> {
        async move {
            if let Some(ecr) = &self.registry.ecr {
                if !ecr.existed(&self.name).await? {
                    return Ok(HashSet::new());
                }
                let names: Vec<Which> = wanted.iter().cloned().map(Which::Digest).collect();
                let found = ecr.find_images(&self.name, &names).await?;
                return Ok(found.into_values().collect());
            }
            // One question for all: the index that the name names now likely has most of them.
            let Some(present) = present else {
                return Ok(HashSet::new());
            };
            let which = Which::Digest(present.clone());
            let index = self.read_manifest(&which, Access::Push).await?;
            let Some(Refers::Manifests(children)) = index.map(|index| index.refers) else {
                return Ok(HashSet::new());
            };
            let children = children.into_iter().map(|child| child.digest);
            Ok(children.filter(|child| wanted.contains(child)).collect())
        }
        .boxed()
    }

    fn known_blobs<'a>(&'a self, wanted: &'a [Digest]) -> Answer<'a, Option<HashSet<Digest>>> {
        async move {
            match &self.registry.ecr {
                Some(ecr) => Ok(Some(ecr.find_layers(&self.name, wanted).await?)),
                None => Ok(None),
            }
        }
        .boxed()
    }

    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor) -> Answer<'a, bool> {
        self.has(descriptor).boxed()
    }

    fn refuses(&self, manifest: &Manifest) -> Option<Refusal> {
        // What the API of ECR calls the digest of a layer or an image is a SHA-256.
        self.registry.ecr.as_ref()?;
        let parts: Vec<&Descriptor> = match &manifest.refers {
            Refers::Blobs { config, layers } => layers.iter().chain([&**config]).collect(),
            Refers::Manifests(children) => children.iter().collect(),
        };
        let digests = parts.iter().map(|part| &part.digest);
        let other = digests
            .chain([&manifest.digest])
            .find(|digest| !digest.is_sha256());
        if let Some(other) = other {
            return Some(Refusal::Algorithm(other.algorithm()));
        }
        // ECR: EmptyUploadException, which clients see as status 500.
        let is_blob = matches!(manifest.refers, Refers::Blobs { .. });
        let is_empty = is_blob && parts.iter().any(|blob| blob.size == 0);
        is_empty.then_some(Refusal::EmptyBlob)
    }

    fn begin<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        mount_from: Option<&'a str>,
    ) -> Answer<'a, Begun> {
        self.begin_upload(descriptor, mount_from).boxed()
    }

    fn finish<'a>(
        &'a self,
        session: Session,
        descriptor: &'a Descriptor,
        blob: Blob,
    ) -> Answer<'a, ()> {
        self.finish_upload(session, descriptor, blob).boxed()
    }

    fn put_manifest<'a>(&'a self, which: &'a Which, manifest: &'a Manifest) -> Answer<'a, Stored> {
        self.write_manifest(which, manifest).boxed()
    }

    fn add_referrers<'a>(
        &'a self,
        subject: &'a Digest,
        referrers: &'a [Descriptor],
    ) -> Answer<'a, ()> {
        self.list_under_tag(subject, referrers).boxed()
    }

    fn writes(&self) -> Arc<Window> {
        Arc::clone(self.registry.pace.window(Action::FinishUpload))
    }

    fn checks_digests(&self) -> Checks {
        if self.registry.ecr.is_some() {
            Checks::Known
        } else {
            Checks::Asked
        }
    }
}
