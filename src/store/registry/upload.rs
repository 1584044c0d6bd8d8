//! A blob's way into a registry: one POST, one PUT with all bytes. ECR answers a second PATCH as if
//! the first had been the last, and large registries' limits for parts differ; a monolithic PUT works
//! with all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Method};
use url::Url;

use crate::http;
use crate::oci::Descriptor;
use crate::store::{Blob, Error};

use super::Repository;
use super::auth::Access;

/// Longest time without a byte sent, or without the answer after the last one: the registry hashes a
/// whole layer before it answers.
const STALL: Duration = Duration::from_mins(5);

impl Repository {
    pub(super) async fn upload(&self, descriptor: &Descriptor, blob: Blob) -> Result<(), Error> {
        let http = &self.registry.http;
        let start = self.url("blobs/uploads/").await?;
        let post = |client: &reqwest::Client| client.post(start.clone()).header(CONTENT_LENGTH, 0);
        let response = self.send(Access::Push, post).await?;
        let refused = |why: &str| http::Error::refused(&Method::POST, &start, why);
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| refused("the answer names no upload location"))?;
        let session = response
            .url()
            .join(location)
            .map_err(|_| refused("the upload location is no URL"))?;
        let mut session = http.rewrite(&session);
        session
            .query_pairs_mut()
            .append_pair("digest", &descriptor.digest.to_string());

        let sent = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&sent);
        let blob = blob.inspect(move |piece| {
            let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
            counted.fetch_add(length, Ordering::Relaxed);
        });
        let mut put = http
            .client()
            .put(session.clone())
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, descriptor.size)
            .body(Body::wrap_stream(blob));
        let (auth, scope) = (&self.registry.auth, self.scope(Access::Push));
        // Some registries hand uploads to a storage host; our credentials are not for that one.
        let header = if same_origin(&session, response.url()) {
            auth.header(http, &scope).await?
        } else {
            None
        };
        put = header
            .iter()
            .fold(put, |put, header| put.header(AUTHORIZATION, header));
        match self.watch(put, &sent).await {
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
    async fn watch(&self, put: reqwest::RequestBuilder, sent: &AtomicU64) -> Result<(), Error> {
        let request = put.build().map_err(http::Error::unbuilt)?;
        let url = request.url().clone();
        let answer = self.registry.http.client().execute(request);
        tokio::pin!(answer);
        let mut before = 0;
        let response = loop {
            if let Ok(response) = tokio::time::timeout(STALL, &mut answer).await {
                break response
                    .map_err(|error| http::Error::transport(&Method::PUT, &url, error))?;
            }
            let now = sent.load(Ordering::Relaxed);
            if now == before {
                return Err(http::Error::quiet(&Method::PUT, &url, STALL).into());
            }
            before = now;
        };
        if response.status().is_success() {
            return Ok(());
        }
        Err(http::Error::status(&Method::PUT, response).await.into())
    }
}

fn same_origin(a: &Url, b: &Url) -> bool {
    (a.scheme(), a.host_str(), a.port_or_known_default())
        == (b.scheme(), b.host_str(), b.port_or_known_default())
}
