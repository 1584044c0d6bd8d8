//! Small files of a host: indexes of charts, archives, lists.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Semaphore;
use url::Url;

use super::{Asked, Basic, Error, Http, Login, authority, encoding};

/// How many small files are asked of one host at once. Simple servers hold five connections that wait
/// to be accepted and drop the sixth, which then costs a second.
const AT_ONE_HOST: usize = 4;

/// What a small file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// Text, whose compression is one of the transfer.
    Text,
    /// An archive, whose compression is its own.
    Archive,
}

impl Http {
    /// Reads a whole small file, `limit` bytes at most. The login for the URL's own host is sent where it
    /// names that host, or the host asks for it; it does not follow a redirect to another host.
    ///
    /// # Errors
    /// When it cannot be read, after retries where they can help.
    pub async fn get(&self, url: &Url, file: File, limit: u64) -> Result<Bytes, Error> {
        let asked = self.rewrite(url);
        let host = authority(url).unwrap_or_default();
        let get = || async {
            let asks = self.has_asked(&host);
            let found = self.credentials.get(&host, "", asks).await;
            let answer = self
                .get_once(&asked, found.login.as_ref(), file, limit)
                .await;
            let error = match answer {
                Err(error) if error.asks_for_login() && asks == Asked::No => error,
                Err(error) if matches!(error.status_code(), Some(401 | 403)) => {
                    return Err(error.noted(found.note));
                }
                answer => return answer,
            };
            self.asking().insert(host.clone());
            let now = self.credentials.get(&host, "", Asked::Yes).await;
            if now.login.is_none() || now.login == found.login {
                return Err(error.noted(now.note));
            }
            self.get_once(&asked, now.login.as_ref(), file, limit).await
        };
        let answer = self.policy.run(get).await;
        answer.map_err(|error| {
            if matches!(error.status_code(), Some(403 | 404)) {
                error.noted(self.credentials.withheld(&host))
            } else {
                error
            }
        })
    }

    /// The same without a login.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub async fn get_anonymous(&self, url: &Url, file: File, limit: u64) -> Result<Bytes, Error> {
        let asked = self.rewrite(url);
        self.policy
            .run(|| self.get_once(&asked, None, file, limit))
            .await
    }

    async fn get_once(
        &self,
        url: &Url,
        login: Option<&Login>,
        file: File,
        limit: u64,
    ) -> Result<Bytes, Error> {
        let places = self.places(url);
        let _place = places.acquire().await;
        let request = self.client.get(url.clone());
        let request = match login {
            Some(Login::Password(Basic { username, password })) => {
                request.basic_auth(username, Some(password.expose()))
            }
            Some(Login::RegistryToken(token)) => request.bearer_auth(token.expose()),
            // Only token services take it.
            Some(Login::IdentityToken(_)) | None => request,
        };
        let response = self.send(request).await?;
        match file {
            File::Text => self.body(response, limit).await,
            File::Archive => {
                let headers = response.headers().clone();
                let body = self.whole(response, limit).await?;
                Ok(encoding::archive(&headers, body, limit))
            }
        }
    }

    fn asking(&self) -> MutexGuard<'_, HashSet<String>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_asked(&self, host: &str) -> Asked {
        if self.asking().contains(host) {
            Asked::Yes
        } else {
            Asked::No
        }
    }

    fn places(&self, url: &Url) -> Arc<Semaphore> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let host = authority(url).unwrap_or_default();
        Arc::clone(
            places
                .entry(host)
                .or_insert_with(|| Arc::new(Semaphore::new(AT_ONE_HOST))),
        )
    }
}
