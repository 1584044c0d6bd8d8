//! What goes wrong with a request, and whether another try is worth it.

mod answer;
mod words;

use std::time::Duration;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::encoding;

pub use answer::retry_after;
use answer::{Code, codes};

/// How much of an error answer is read: some registries answer with whole web pages.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// How long an error answer's body is read at most; what came by then is used.
const LONGEST_ERROR_BODY: Duration = Duration::from_secs(5);

/// A request that failed.
#[derive(Debug)]
pub struct Error {
    request: String,
    /// Whatever it is, no further try is worth it.
    is_final: bool,
    /// The answer is one of a host that a redirect led to.
    is_elsewhere: bool,
    /// What else a reader has to know.
    note: Option<Box<str>>,
    /// What a user can do about it, where the registry is of a known kind.
    remedy: Option<&'static str>,
    /// Boxed: results are moved around far more often than requests fail.
    reason: Box<Reason>,
}

#[derive(Debug)]
enum Reason {
    Status {
        status: StatusCode,
        codes: Vec<Code>,
        headers: HeaderMap,
    },
    Transport(reqwest::Error),
    Timeout(Duration),
    Slow(u64),
    TooLarge(u64),
    Unbuilt(reqwest::Error),
    Refused(String),
}

/// Whether the same request can succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It cannot.
    Permanent,
    /// It can, not before the given time if there is one.
    Transient(Option<Duration>),
    /// The host asks for fewer requests; it may say when to come back.
    Throttled(Option<Duration>),
    /// The content is corrupt, maybe only on the way: worth one retry.
    Corrupt,
}

impl Error {
    fn new(request: String, reason: Reason) -> Self {
        Self {
            request,
            is_final: false,
            is_elsewhere: false,
            note: None,
            remedy: None,
            reason: Box::new(reason),
        }
    }

    /// The same, which no further try is worth.
    #[must_use]
    pub(crate) fn given_up(mut self) -> Self {
        self.is_final = true;
        self
    }

    pub(crate) fn timeout(method: &Method, url: &Url, waited: Duration) -> Self {
        Self::new(shown(method, url), Reason::Timeout(waited))
    }

    pub(crate) fn slow(method: &Method, url: &Url, min_throughput: u64) -> Self {
        Self::new(shown(method, url), Reason::Slow(min_throughput))
    }

    pub(crate) fn transport(method: &Method, url: &Url, error: reqwest::Error) -> Self {
        Self::new(shown(method, url), Reason::Transport(error.without_url()))
    }

    pub(super) fn too_large(method: &Method, url: &Url, limit: u64) -> Self {
        Self::new(shown(method, url), Reason::TooLarge(limit))
    }

    pub(crate) fn unbuilt(error: reqwest::Error) -> Self {
        Self::new("request".to_owned(), Reason::Unbuilt(error.without_url()))
    }

    /// An answer of success that breaks the protocol.
    pub(crate) fn refused(method: &Method, url: &Url, why: impl Into<String>) -> Self {
        Self::new(shown(method, url), Reason::Refused(why.into()))
    }

    /// Reads the error list of an answer that is no success.
    pub(crate) async fn status(method: &Method, mut response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let request = shown(method, response.url());
        let mut body = Vec::new();
        let read = async {
            while body.len() < MAX_ERROR_BODY {
                let Ok(Some(piece)) = response.chunk().await else {
                    break;
                };
                body.extend_from_slice(&piece);
            }
        };
        // A slow body is not worth waiting for.
        tokio::time::timeout(LONGEST_ERROR_BODY, read).await.ok();
        let body = encoding::decoded(&headers, body.into(), MAX_ERROR_BODY as u64);
        let codes = codes(&body.unwrap_or_default());
        Self::new(
            request,
            Reason::Status {
                status,
                codes,
                headers,
            },
        )
    }

    /// The status of the answer, where there was one.
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        match &*self.reason {
            Reason::Status { status, .. } => Some(status.as_u16()),
            _ => None,
        }
    }

    /// Whether the host understood the request and refuses it for good, for another reason than that
    /// it is asked too often.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let is_about_rate = matches!(self.class(), Class::Throttled(_)) || self.is_pull_limit();
        match &*self.reason {
            Reason::Status { status, .. } => {
                matches!(status.as_u16(), 400..=407 | 409..=424 | 426..=499 | 501) && !is_about_rate
            }
            Reason::TooLarge(_) => true,
            _ => false,
        }
    }

    /// Whether the host says that it is broken, and not that it is overloaded.
    #[must_use]
    pub fn is_server_error(&self) -> bool {
        let is_about_rate = matches!(self.class(), Class::Throttled(_));
        matches!(self.status_code(), Some(500..=599)) && !is_about_rate
    }

    /// Whether the error list holds a code.
    #[must_use]
    pub fn has_code(&self, wanted: &str) -> bool {
        matches!(&*self.reason, Reason::Status { codes, .. } if codes.iter().any(|code| code.code == wanted))
    }

    /// The headers of the answer, where there was one.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        match &*self.reason {
            Reason::Status { headers, .. } => Some(headers),
            _ => None,
        }
    }

    /// The same with a further remark, such as why there was no login.
    #[must_use]
    pub(crate) fn noted(mut self, note: Option<String>) -> Self {
        self.note = note.map(String::into_boxed_str).or(self.note);
        self
    }

    /// The same with what a user can do about it, where something is known.
    #[must_use]
    pub(crate) fn with_remedy(mut self, remedy: Option<&'static str>) -> Self {
        self.remedy = remedy.or(self.remedy);
        self
    }

    /// Whether the host asks for fewer requests.
    #[must_use]
    pub fn is_about_rate(&self) -> bool {
        self.status_code() == Some(429) || self.is_throttled()
    }

    /// Whether the host that was asked wants a login.
    #[must_use]
    pub fn asks_for_login(&self) -> bool {
        self.status_code() == Some(401) && !self.is_elsewhere
    }

    /// The same for a host that a redirect led to: it must not get the login that it asks for.
    pub(super) fn elsewhere(mut self) -> Self {
        self.is_elsewhere = true;
        if let Reason::Status { headers, .. } = &mut *self.reason {
            headers.remove(WWW_AUTHENTICATE);
        }
        self
    }

    /// The host that answered, with its port.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let (_, place) = self.request.split_once("://")?;
        place.split('/').next()
    }

    /// Whether there was no connection.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(&*self.reason, Reason::Transport(error) if error.is_connect())
    }

    /// Whether the host took the request and gave no answer to it.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        match &*self.reason {
            Reason::Transport(error) => error.is_request() && !error.is_connect(),
            Reason::Timeout(_) => true,
            _ => false,
        }
    }

    /// Whether another try is worth it.
    #[must_use]
    pub fn class(&self) -> Class {
        match &*self.reason {
            _ if self.is_final => Class::Permanent,
            Reason::Status {
                status, headers, ..
            } => {
                let wait = retry_after(headers);
                match status.as_u16() {
                    // Hours, not seconds.
                    _ if self.is_pull_limit() => Class::Permanent,
                    429 => Class::Throttled(wait),
                    400 | 403 | 503 if self.is_throttled() => Class::Throttled(wait),
                    408 | 425 | 500..=599 => Class::Transient(wait),
                    // The target hashed something else than was promised.
                    400 if self.has_code("DIGEST_INVALID") => Class::Corrupt,
                    _ => Class::Permanent,
                }
            }
            Reason::Transport(error) if error.is_builder() || error.is_redirect() => {
                Class::Permanent
            }
            Reason::Transport(_) | Reason::Timeout(_) | Reason::Slow(_) => Class::Transient(None),
            Reason::TooLarge(_) | Reason::Unbuilt(_) | Reason::Refused(_) => Class::Permanent,
        }
    }

    /// Throttling in any clothes but the status 429.
    fn is_throttled(&self) -> bool {
        match &*self.reason {
            Reason::Status { codes, .. } => codes.iter().any(|code| {
                let words = ["Throttl", "TOOMANYREQUESTS", "TooManyRequests", "SlowDown"];
                words.iter().any(|word| code.code.contains(word))
                    || code.message.contains("Rate exceeded")
            }),
            _ => false,
        }
    }

    /// Docker Hub's limit of pulls in six hours
    /// (<https://docs.docker.com/docker-hub/usage/pulls/>), which no patience within a build lifts.
    #[must_use]
    pub fn is_pull_limit(&self) -> bool {
        match &*self.reason {
            Reason::Status {
                status,
                codes,
                headers,
            } => {
                let says_so = codes
                    .iter()
                    .any(|code| code.message.contains("pull rate limit"));
                let is_used_up = headers
                    .get("ratelimit-remaining")
                    .and_then(|left| left.to_str().ok())
                    .is_some_and(|left| left.split(';').next() == Some("0"));
                *status == StatusCode::TOO_MANY_REQUESTS && (says_so || is_used_up)
            }
            _ => false,
        }
    }
}

/// A request in words. The query is left out: it can hold a signature, an upload's state or a token.
pub(super) fn shown(method: &Method, url: &Url) -> String {
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!(
        "{method} {}://{}{port}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.path()
    )
}

#[cfg(test)]
mod tests;
