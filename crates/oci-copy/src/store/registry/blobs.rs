//! Blobs of a registry. An upload is one POST and one PUT with all bytes: registries differ in how they
//! handle PATCH and in the sizes of parts, and a monolithic PUT works with all of them. The POST asks for
//! a mount wherever that can save the PUT.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt, TryStreamExt, future, stream};
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE,
};
use reqwest::{Body, Method, Response, StatusCode};
use url::Url;

use crate::http::{self, Http, Pieces};
use crate::manifest::Descriptor;
use crate::store::Action;
use crate::store::{Blob, Error, UploadSession, UploadStart};

use super::auth::{Access, Scope};
use super::manifests::Absent;
use super::{Repository, found};

/// How many times longer than for another answer is waited for a registry that has all bytes of a blob:
/// it hashes a whole layer before it answers.
const TO_HASH: u32 = 5;

/// The largest blob that is decoded when a proxy compressed it on the way, in bytes: configs, which are JSON.
/// Larger ones are compressed already.
const MAX_DECODED: u64 = 16 * 1024 * 1024;

impl Repository {
    pub(super) async fn read_blob(
        &self,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<Blob, Error> {
        if let Some(content) = descriptor.embedded() {
            let start = usize::try_from(from).map_or(content.len(), |from| from.min(content.len()));
            let rest = Some(content.slice(start..)).filter(|rest| !rest.is_empty());
            return Ok(stream::iter(rest.map(Ok)).boxed());
        }
        let url = self.url(&format!("blobs/{}", descriptor.digest)).await?;
        let get = |client: &reqwest::Client| {
            let get = client.get(url.clone());
            if from > 0 {
                get.header(RANGE, format!("bytes={from}-"))
            } else {
                get
            }
        };
        let response = self.send(Action::GetBlob, Access::Pull, get).await?;
        if from == 0 && descriptor.size <= MAX_DECODED && Http::is_encoded(&response) {
            let content = self
                .registry
                .http
                .content(response, descriptor.size)
                .await?;
            return Ok(stream::once(future::ready(Ok(content))).boxed());
        }
        let skipped = if starts_at(&response, from) { 0 } else { from };
        let wanted = descriptor.size.saturating_sub(from - skipped);
        if let Some(found) = response.content_length().filter(|found| *found != wanted) {
            return Err(Error::Length {
                digest: descriptor.digest.clone(),
                wanted: descriptor.size,
                found: found.saturating_add(from - skipped),
            });
        }
        let pieces = Pieces::new(&self.registry.http, Method::GET, response);
        let pieces = stream::try_unfold(pieces, |mut pieces| async move {
            let piece = pieces.next().await?;
            Ok::<_, Error>(piece.map(|piece| (piece, pieces)))
        });
        if skipped == 0 {
            return Ok(pieces.boxed());
        }
        // A source that does not know ranges begins at the beginning.
        let mut left = skipped;
        let rest = pieces.map_ok(move |mut piece| {
            let dropped = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
            left -= dropped as u64;
            piece.split_off(dropped)
        });
        Ok(rest
            .try_filter(|piece| future::ready(!piece.is_empty()))
            .boxed())
    }

    /// Whether a blob is there; where HEAD is no use, GET decides.
    pub(super) async fn find_blob(
        &self,
        descriptor: &Descriptor,
        absent: Absent,
    ) -> Result<bool, Error> {
        let heads = &self.registry.blob_heads;
        if heads.are_useless() {
            return self.gives_blob(descriptor).await;
        }
        let url = self.url(&format!("blobs/{}", descriptor.digest)).await?;
        let head = |client: &reqwest::Client| client.head(url.clone());
        match self.head(Action::CheckBlob, Access::Push, head).await {
            Ok(_) => Ok(true),
            Err(error) if error.status_code() == Some(404) => {
                let is_there = absent == Absent::Confirmed && self.gives_blob(descriptor).await?;
                if is_there {
                    heads.use_get_instead();
                }
                Ok(is_there)
            }
            Err(error) if heads.failed(&error) => self.gives_blob(descriptor).await,
            Err(error) => Err(error),
        }
    }

    /// Whether GET gives a blob. One byte is asked for, and no more is read than comes with the headers.
    async fn gives_blob(&self, descriptor: &Descriptor) -> Result<bool, Error> {
        let url = self.url(&format!("blobs/{}", descriptor.digest)).await?;
        let get = |client: &reqwest::Client| {
            let get = client.get(url.clone());
            if descriptor.size > 0 {
                get.header(RANGE, "bytes=0-0")
            } else {
                get
            }
        };
        let answer = self.send(Action::CheckBlob, Access::Push, get).await;
        Ok(found(answer)?.is_some())
    }

    /// Whether a blob is there that a manifest was to find there. Where it is not, no mount that seemed
    /// to succeed is believed any more.
    pub(super) async fn has(&self, descriptor: &Descriptor) -> Result<bool, Error> {
        let is_there = self.find_blob(descriptor, Absent::Confirmed).await?;
        if !is_there {
            self.registry.lacks_mounting.store(true, Ordering::Relaxed);
        }
        Ok(is_there)
    }

    /// Opens a session, unless the blob is there or another repository gives it. Without a repository
    /// to mount from, the blob is mounted from the repository itself: a registry that has it says so in
    /// the same answer that would open the session, so no request is needed before.
    pub(super) async fn begin_upload(
        &self,
        descriptor: &Descriptor,
        mount_from: Option<&str>,
    ) -> Result<UploadStart, Error> {
        let registry = &self.registry;
        let owner =
            mount_from.and_then(|namespace| namespace.strip_prefix(&format!("{}/", registry.host)));
        let asks = !registry.provider.capabilities().known_blobs;
        let from = owner.or(asks.then_some(self.name.as_str()));
        let lacks = &registry.lacks_mounting;
        if let Some(from) = from.filter(|_| !lacks.load(Ordering::Relaxed)) {
            let scope = Scope {
                mount_from: owner.map(str::to_owned),
                ..self.scope(Access::Push)
            };
            match self.post(descriptor, Some(from), &scope).await {
                // What else could be wrong with it than the mount, the next request will tell.
                Err(Error::Http(error))
                    if error.is_refusal() || error.is_server_error() || error.is_unanswered() =>
                {
                    tracing::debug!(error = %error, "no mounting from {from}: {error}");
                    // One repository may be closed to us; a server that breaks has no mounting.
                    if owner.is_none() || !error.is_refusal() {
                        lacks.store(true, Ordering::Relaxed);
                    }
                }
                answer => return answer,
            }
        }
        if asks && self.find_blob(descriptor, Absent::Likely).await? {
            return Ok(UploadStart::Exists);
        }
        self.post(descriptor, None, &self.scope(Access::Push)).await
    }

    async fn post(
        &self,
        descriptor: &Descriptor,
        from: Option<&str>,
        scope: &Scope,
    ) -> Result<UploadStart, Error> {
        let mut start = self.url("blobs/uploads/").await?;
        if let Some(from) = from {
            let digest = descriptor.digest.to_string();
            start
                .query_pairs_mut()
                .extend_pairs([("mount", digest.as_str()), ("from", from)]);
        }
        let post = |client: &reqwest::Client| client.post(start.clone()).header(CONTENT_LENGTH, 0);
        let response = self.send_for(Action::StartUpload, scope, post).await?;
        if response.status() == StatusCode::CREATED && from.is_some() {
            return Ok(UploadStart::Exists);
        }
        let registry_http = &self.registry.http;
        let refused = |why: &str| http::Error::refused(&Method::POST, &start, why);
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| refused("the answer names no upload location"))?;
        let session = response
            .url()
            .join(location)
            .map_err(|_| refused("the upload location is not a URL"))?;
        let session = http::protected(response.url(), registry_http.rewrite(&session))
            .map_err(|why| refused(&format!("the upload location is not usable: {why}")))?;
        Ok(UploadStart::Session(UploadSession(Some(session))))
    }

    pub(super) async fn finish_upload(
        &self,
        session: UploadSession,
        descriptor: &Descriptor,
        blob: Blob,
    ) -> Result<(), Error> {
        let registry = &self.registry;
        let UploadSession(Some(session)) = session else {
            unreachable!("sessions of a registry have a URL")
        };
        let own = Url::parse(&registry.base().await?).ok();
        let mut session = session;
        session
            .query_pairs_mut()
            .append_pair("digest", &descriptor.digest.to_string());
        // Some registries hand uploads to a storage host; our credentials are not for that one.
        let is_own = own.is_some_and(|own| http::same_origin(&session, &own));
        let answer = self.put(&session, is_own, descriptor, blob).await;
        let answer = registry.limits.record(Action::FinishUpload, answer);
        answer.map_err(|error| match error {
            // The session is gone, or was begun by an attempt that broke: a new one helps.
            Error::Http(http)
                if http.has_code("BLOB_UPLOAD_UNKNOWN") || http.has_code("BLOB_UPLOAD_INVALID") =>
            {
                Error::NotYetVisible(registry.explained(http))
            }
            Error::Http(http) => registry.explained(http).into(),
            error => error,
        })
    }

    async fn put(
        &self,
        session: &Url,
        is_own: bool,
        descriptor: &Descriptor,
        blob: Blob,
    ) -> Result<(), Error> {
        let http = &self.registry.http;
        let (auth, scope) = (&self.registry.auth, self.scope(Access::Push));
        let header = if is_own {
            auth.header(http, &scope).await?
        } else {
            None
        };
        self.registry.limits.admit(Action::FinishUpload).await;
        let sent = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&sent);
        let blob = blob.inspect(move |piece| {
            let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
            counted.fetch_add(length, Ordering::Relaxed);
        });
        let put = http
            .client()
            .put(session.clone())
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, descriptor.size)
            .body(Body::wrap_stream(blob));
        let put = header
            .iter()
            .fold(put, |put, header| put.header(AUTHORIZATION, header));
        match self.watch(put, &sent, descriptor.size).await {
            // The bytes are gone: the next try reads them again, with a new token.
            Err(Error::Http(error)) if header.is_some() && auth.is_refusal(&error) => {
                let challenges = error.headers().cloned().unwrap_or_default();
                let renewed = auth
                    .renew(http, &scope, &challenges, header.as_ref())
                    .await?;
                Err(match renewed {
                    Some(_) => Error::Expired(error),
                    None => error.into(),
                })
            }
            result => result,
        }
    }

    /// Waits for the answer as long as bytes move.
    async fn watch(
        &self,
        put: reqwest::RequestBuilder,
        sent: &AtomicU64,
        size: u64,
    ) -> Result<(), Error> {
        let http = &self.registry.http;
        let request = put.build().map_err(http::Error::unbuilt)?;
        let url = request.url().clone();
        let answer = http.client().execute(request);
        tokio::pin!(answer);
        let mut before = 0;
        let response = loop {
            let is_sent = sent.load(Ordering::Relaxed) >= size;
            let period = http.read_timeout() * if is_sent { TO_HASH } else { 2 };
            if let Ok(response) = tokio::time::timeout(period, &mut answer).await {
                break response
                    .map_err(|error| http::Error::transport(&Method::PUT, &url, error))?;
            }
            let now = sent.load(Ordering::Relaxed);
            if now == before {
                return Err(http::Error::timeout(&Method::PUT, &url, period).into());
            }
            let min_bytes = http.min_throughput().saturating_mul(period.as_secs());
            if now < size && now - before < min_bytes {
                return Err(http::Error::slow(&Method::PUT, &url, http.min_throughput()).into());
            }
            before = now;
        };
        http::log_answer(&Method::PUT, &url, response.status());
        if response.status().is_success() {
            return Ok(());
        }
        Err(http::Error::status(&Method::PUT, response).await.into())
    }
}

/// Whether an answer holds what was asked for: the bytes from an offset on.
fn starts_at(response: &Response, from: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE);
    let range = range.and_then(|range| range.to_str().ok()?.strip_prefix("bytes "));
    let start = range.and_then(|range| range.split('-').next()?.trim().parse::<u64>().ok());
    response.status() == StatusCode::PARTIAL_CONTENT && start == Some(from) || from == 0
}
