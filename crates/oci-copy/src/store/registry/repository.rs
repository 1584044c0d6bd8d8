//! A repository as source and target: its requests, with authorization and within the limits.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::FutureExt;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder, Response};
use url::Url;

use crate::http::{self, AimdLimit};
use crate::manifest::{Descriptor, Manifest};
use crate::reference::{Digest, TagOrDigest};
use crate::store::{
    Action, Answer, Blob, Error, Lookup, Mounting, Partial, Source, SubjectSupport, Target,
    TargetInfo, UploadSession, UploadStart,
};

use super::auth::{Access, Scope};
use super::manifests::Absent;
use super::{Known, Registry};

/// One repository of a registry.
pub(in crate::store) struct Repository {
    pub(super) registry: Arc<Registry>,
    pub(super) name: String,
    pub(super) known: Arc<Known>,
}

impl Repository {
    pub(super) async fn url(&self, path: &str) -> Result<Url, Error> {
        let text = format!("{}/v2/{}/{path}", self.registry.base().await?, self.name);
        Url::parse(&text).map_err(|error| {
            let nowhere = Url::parse("http://invalid/").expect("a valid URL");
            http::Error::refused(
                &Method::GET,
                &nowhere,
                format!("{text} is not a URL: {error}"),
            )
            .into()
        })
    }

    pub(super) fn scope(&self, access: Access) -> Scope {
        Scope {
            repository: self.name.clone(),
            access,
            mount_from: None,
        }
    }

    /// Sends a request that can be sent again, with authorization, as often as the policy allows.
    pub(super) async fn send(
        &self,
        action: Action,
        access: Access,
        request: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Error> {
        self.send_for(action, &self.scope(access), request).await
    }

    pub(super) async fn send_for(
        &self,
        action: Action,
        scope: &Scope,
        request: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let policy = self.registry.http.policy();
        policy.run(|| self.try_send(action, scope, &request)).await
    }

    pub(super) async fn try_send(
        &self,
        action: Action,
        scope: &Scope,
        request: &impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let limits = &self.registry.limits;
        let _place = limits.admit(action).await;
        let answer = self.send_once(scope, request).await;
        match limits.record(action, answer) {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.lagging(action, error).await),
        }
    }

    /// What a registry denies although it was given it a moment ago is worth waiting for: some check
    /// manifests against blobs that they have not noted yet, or take their time to create repositories.
    async fn lagging(&self, action: Action, error: Error) -> Error {
        let Error::Http(http) = error else {
            return error;
        };
        let is_write = matches!(action, Action::PutManifest | Action::StartUpload);
        if is_write {
            match self.registry.provider.settle(&self.name, &http).await {
                Ok(true) => return Error::NotYetVisible(http),
                Ok(false) => {}
                Err(error) => return error,
            }
        }
        let unknown = [
            "BLOB_UNKNOWN",
            "MANIFEST_BLOB_UNKNOWN",
            "MANIFEST_UNKNOWN",
            // Of layers that a manifest names: some registries say this.
            "BLOB_UPLOAD_UNKNOWN",
        ];
        let is_unknown = unknown.iter().any(|code| http.has_code(code));
        if is_unknown && action == Action::PutManifest {
            Error::NotYetVisible(http)
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
        let authorized = |header: &Option<HeaderValue>| {
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
        Ok(answer.map_err(|error| self.registry.explained(error))?)
    }
}

impl Source for Repository {
    fn resolve<'a>(&'a self, which: &'a TagOrDigest) -> Answer<'a, Option<Digest>> {
        self.find_manifest(which, Access::Pull, Absent::Confirmed)
            .boxed()
    }

    fn manifest<'a>(&'a self, which: &'a TagOrDigest) -> Answer<'a, Option<Manifest>> {
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

    fn identity(&self) -> String {
        format!("{}/{}", self.registry.host, self.name)
    }

    fn reads(&self) -> Arc<AimdLimit> {
        Arc::clone(self.registry.limits.aimd_limit(Action::GetBlob))
    }
}

impl Lookup for Repository {
    fn find<'a>(&'a self, names: &'a [TagOrDigest]) -> Answer<'a, HashMap<TagOrDigest, Digest>> {
        let provider = &self.registry.provider;
        if provider.capabilities().batch_lookups {
            return provider.find_manifests(&self.name, names);
        }
        async move {
            let mut found = HashMap::new();
            for name in names {
                let digest = self
                    .find_manifest(name, Access::Push, Absent::Likely)
                    .await?;
                found.extend(digest.map(|digest| (name.clone(), digest)));
            }
            Ok(found)
        }
        .boxed()
    }

    fn known_manifests<'a>(
        &'a self,
        wanted: &'a [Digest],
        present: Option<&'a Digest>,
    ) -> Answer<'a, HashSet<Digest>> {
        async move {
            if let Some(known) = self.registry.provider.known_manifests(&self.name, wanted) {
                return known.await;
            }
            // One request for all: the index that the name names now likely has most of them.
            let Some(present) = present else {
                return Ok(HashSet::new());
            };
            let which = TagOrDigest::Digest(present.clone());
            let index = self.read_manifest(&which, Access::Push).await?;
            let Some(index) = index else {
                return Ok(HashSet::new());
            };
            let children = index.children().into_iter().map(|child| &child.digest);
            let known = children.filter(|child| wanted.contains(child));
            Ok(known.cloned().collect())
        }
        .boxed()
    }

    fn known_blobs<'a>(&'a self, wanted: &'a [Digest]) -> Answer<'a, Option<HashSet<Digest>>> {
        async move {
            match self.registry.provider.known_blobs(&self.name, wanted) {
                Some(known) => known.await.map(Some),
                None => Ok(None),
            }
        }
        .boxed()
    }

    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor) -> Answer<'a, bool> {
        self.has(descriptor).boxed()
    }

    fn is_immutable<'a>(&'a self, tag: &'a str) -> Answer<'a, bool> {
        self.registry.provider.is_immutable(&self.name, tag)
    }

    fn mounting(&self) -> Answer<'_, Mounting> {
        self.registry.provider.mounting()
    }
}

impl Target for Repository {
    fn info(&self) -> TargetInfo {
        let registry = &self.registry;
        TargetInfo {
            namespace: format!("{}/{}", registry.host, self.name),
            mount_scope: registry.host.clone(),
            capabilities: registry.provider.capabilities(),
            writes: Arc::clone(registry.limits.aimd_limit(Action::FinishUpload)),
        }
    }

    fn prepare(&self) -> Answer<'_, ()> {
        self.registry.provider.prepare(&self.name)
    }

    fn begin<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        mount_from: Option<&'a str>,
    ) -> Answer<'a, UploadStart> {
        self.begin_upload(descriptor, mount_from).boxed()
    }

    fn finish<'a>(
        &'a self,
        session: UploadSession,
        descriptor: &'a Descriptor,
        blob: Blob,
    ) -> Answer<'a, ()> {
        self.finish_upload(session, descriptor, blob).boxed()
    }

    fn put_manifest<'a>(
        &'a self,
        which: &'a TagOrDigest,
        manifest: &'a Manifest,
    ) -> Answer<'a, SubjectSupport> {
        self.write_manifest(which, manifest).boxed()
    }

    fn add_referrers<'a>(
        &'a self,
        subject: &'a Digest,
        referrers: &'a [Descriptor],
    ) -> Answer<'a, ()> {
        self.list_under_tag(subject, referrers).boxed()
    }
}
