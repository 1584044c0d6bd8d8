//! The only place that sends HTTP requests: which URL a host means, how long to wait, how often to try, and whose
//! credentials go where.

mod challenge;
mod credentials;
mod encoding;
mod error;
mod follow;
mod network;
mod pace;
mod pieces;
mod proxy;
mod retry;
mod small_file;
mod tls;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::redirect;
use reqwest::{Client, Proxy, RequestBuilder, Response};
use tokio::sync::Semaphore;
use url::Url;

use crate::reference::is_docker_hub;
use crate::remedy::Remedy;

pub use challenge::Challenge;
pub use credentials::{
    Asked, Basic, Credentials, DockerConfig, Found, GivenLogins, HostlessLogin, Login, Secret,
    canonical_host,
};
pub use error::retry_after;
pub use error::{Class, Error};
pub use follow::{protected, same_origin};
pub use network::{DEFAULT_JOBS, DEFAULT_PATIENCE, DEFAULT_TRIES, Network};
pub use pace::{AimdLimit, Permit, RateLimit, Share};
pub use pieces::{MinThroughput, Pieces};
pub use proxy::Proxies;
pub use retry::{Policy, RetryState, Retryable};
pub use small_file::File;
pub use tls::Certificates;

/// Requests to the outside.
#[derive(Debug)]
pub struct Http {
    client: Client,
    proxies: Proxies,
    user_agent: String,
    /// Hosts without TLS, besides loopback.
    plain: BTreeSet<String>,
    endpoints: BTreeMap<String, Url>,
    /// The hosts of endpoints that were used.
    used: Mutex<BTreeSet<String>>,
    credentials: Credentials,
    policy: Policy,
    /// Longest wait for an answer's beginning, and between two pieces of it.
    read_timeout: Duration,
    /// The minimum throughput of a transfer, in bytes per second.
    min_throughput: u64,
    /// Permits for small files, by host.
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// Hosts of small files that answered 401.
    asking: Mutex<HashSet<String>>,
}

/// Logs a request with the status of its answer; queries, which can hold tokens, are left out.
pub(crate) fn log_answer(method: &reqwest::Method, url: &Url, status: reqwest::StatusCode) {
    tracing::debug!("{}: {status}", error::shown(method, url));
}

impl Http {
    /// A client for the given network.
    ///
    /// # Errors
    /// When the client cannot be built.
    pub fn new(network: &Network, credentials: Credentials) -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        // A blob's digest is that of the bytes as they are stored; nothing may unpack them on the way.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let tls = tls::config(&network.certificates)?;
        let proxies = network.proxies.clone();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            // `send` follows them: it removes what another host must not get.
            .redirect(redirect::Policy::none())
            .proxy(Proxy::custom(move |url| proxies.of(url)))
            .user_agent(&network.user_agent)
            .default_headers(headers)
            .connect_timeout(network.connect)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self {
            client,
            proxies: network.proxies.clone(),
            user_agent: network.user_agent.clone(),
            plain: network.plain_http.clone(),
            endpoints: network.endpoints.clone(),
            used: Mutex::default(),
            credentials,
            policy: Policy {
                tries: network.tries,
                patience: network.patience,
                ..Policy::default()
            },
            read_timeout: network.read_timeout,
            min_throughput: network.min_throughput,
            places: Mutex::default(),
            asking: Mutex::default(),
        })
    }

    /// Where a registry's host is reached, without a slash at the end.
    #[must_use]
    pub fn base(&self, host: &str) -> String {
        if let Some(endpoint) = self.endpoint(host) {
            return endpoint.as_str().trim_end_matches('/').to_owned();
        }
        let scheme = if self.is_plain(host) { "http" } else { "https" };
        // Docker Hub's registry is at another host than its name says; docker.io itself only redirects
        // to a web page.
        let host = if is_docker_hub(host) {
            "registry-1.docker.io"
        } else {
            host
        };
        format!("{scheme}://{host}")
    }

    fn endpoint(&self, host: &str) -> Option<&Url> {
        let endpoint = self.endpoints.get(host)?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if !used.contains(host) {
            used.insert(host.to_owned());
        }
        Some(endpoint)
    }

    /// The hosts that were reached by an endpoint so far.
    #[must_use]
    pub fn used_endpoints(&self) -> BTreeSet<String> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.clone()
    }

    /// Whether `--endpoint` says where a host is reached.
    #[must_use]
    pub fn has_endpoint(&self, host: &str) -> bool {
        self.endpoints.contains_key(host)
    }

    fn is_plain(&self, host: &str) -> bool {
        let name = host
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let name = name.map_or(host, |(name, _)| name);
        let is_loopback = name == "localhost"
            || name
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.to_canonical().is_loopback());
        is_loopback || self.plain.contains(host) || self.plain.contains(name)
    }

    /// A URL as it is really asked for: at its host's endpoint, where there is one.
    #[must_use]
    pub fn rewrite(&self, url: &Url) -> Url {
        let endpoint = authority(url).and_then(|host| self.endpoint(&host));
        let Some(endpoint) = endpoint else {
            return url.clone();
        };
        let base = endpoint.as_str().trim_end_matches('/');
        let query = url
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        Url::parse(&format!("{base}{}{query}", url.path())).unwrap_or_else(|_| url.clone())
    }

    /// The credentials that the user gave.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// What the program calls itself, without its version.
    #[must_use]
    pub fn program(&self) -> &str {
        let (name, _) = self
            .user_agent
            .split_once('/')
            .unwrap_or((&self.user_agent, ""));
        name
    }

    /// The retry policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The client itself, to build requests for [`Http::send`].
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request without or with a small body, once, and follows redirects; an answer that is no
    /// success is an error. Authorization goes to no other host, and content neither.
    ///
    /// # Errors
    /// When no answer arrives in time, the answer is not a success, or a redirect leads out of TLS.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let mut request = request.build().map_err(Error::unbuilt)?;
        let (method, first) = (request.method().clone(), request.url().clone());
        for _ in 0..=follow::MOST {
            let (url, again) = (request.url().clone(), request.try_clone());
            let sent = async {
                let sent = self.client.execute(request).await;
                sent.map_err(|error| Error::transport(&method, &url, error))
            };
            let answer = tokio::time::timeout(self.read_timeout, sent).await;
            let answer = answer.unwrap_or_else(|_| {
                let timeout = Error::timeout(&method, &url, self.read_timeout);
                Err(timeout)
            });
            let response = match answer {
                Ok(response) => response,
                Err(error) => {
                    tracing::debug!("{error}");
                    return Err(self.explained(&url, error).await);
                }
            };
            log_answer(&method, &url, response.status());
            if response.status().is_success() {
                return Ok(response);
            }
            let next = follow::redirected(&response, again);
            if let Some(next) = next.map_err(|why| Error::refused(&method, &url, why))? {
                request = next;
                continue;
            }
            let is_elsewhere = authority(&url) != authority(&first);
            let error = Error::status(&method, response).await;
            let error = match self.proxies.of(&url) {
                Some(proxy) if url.scheme() == "http" => error.noted(Some(format!(
                    "the answer may be that of the proxy {}",
                    proxy::shown(&proxy)
                ))),
                _ => error,
            };
            // A challenge of the host that we were redirected to is not one of the host that we asked.
            return Err(if is_elsewhere {
                error.elsewhere()
            } else {
                error
            });
        }
        let why = format!("it redirects more than {} times", follow::MOST);
        Err(Error::refused(&method, &first, why))
    }

    /// The error with the proxy that the request went through, and what that answers.
    async fn explained(&self, url: &Url, error: Error) -> Error {
        let Some(proxy) = self.proxies.of(url).filter(|_| error.is_unreachable()) else {
            return error;
        };
        let shown = proxy::shown(&proxy);
        match proxy::ask(&proxy, url).await {
            Some(answer) => error
                .noted(Some(format!("the proxy {shown} answers: {answer}")))
                .with_remedy(Some(Remedy::Proxy.text())),
            None => error.noted(Some(format!("through the proxy {shown}"))),
        }
    }

    /// Reads a body to its end, `limit` bytes at most, as it was before a compression for the transfer.
    ///
    /// # Errors
    /// When it is interrupted, stalls, is too long or cannot be decoded.
    pub async fn body(&self, response: Response, limit: u64) -> Result<Bytes, Error> {
        let (url, headers) = (response.url().clone(), response.headers().clone());
        let body = self.whole(response, limit).await?;
        decode(&url, &headers, body, limit)
    }

    /// Whether an answer says that its body is encoded for the transfer. Its length is that of the encoded
    /// body, and content that is stored as gzip is often labelled so as well.
    #[must_use]
    pub fn is_encoded(response: &Response) -> bool {
        encoding::is_encoded(response.headers())
    }

    /// Reads content of a known size: as it came where it has that size, or else decoded.
    ///
    /// # Errors
    /// As [`Http::body`].
    pub async fn content(&self, response: Response, size: u64) -> Result<Bytes, Error> {
        /// What gzip adds at most to what cannot be compressed, in bytes.
        const OVERHEAD: u64 = 64 * 1024;
        let (url, headers) = (response.url().clone(), response.headers().clone());
        let body = self.whole(response, size.saturating_add(OVERHEAD)).await?;
        if body.len() as u64 == size {
            return Ok(body);
        }
        decode(&url, &headers, body, size.saturating_add(1))
    }

    async fn whole(&self, response: Response, limit: u64) -> Result<Bytes, Error> {
        let (method, url) = (reqwest::Method::GET, response.url().clone());
        let too_large = || Error::too_large(&method, &url, limit);
        if response
            .content_length()
            .is_some_and(|length| length > limit)
        {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        let mut pieces = Pieces::new(self, method.clone(), response);
        while let Some(piece) = pieces.next().await? {
            if body.len() as u64 + piece.len() as u64 > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// Longest wait for an answer's beginning, and between two pieces of it.
    #[must_use]
    pub fn read_timeout(&self) -> Duration {
        self.read_timeout
    }

    /// The minimum throughput of a transfer, in bytes per second.
    #[must_use]
    pub fn min_throughput(&self) -> u64 {
        self.min_throughput
    }
}

fn decode(url: &Url, headers: &HeaderMap, body: Bytes, limit: u64) -> Result<Bytes, Error> {
    let method = reqwest::Method::GET;
    encoding::decoded(headers, body, limit).map_err(|undecoded| match undecoded {
        encoding::Undecoded::TooLarge => Error::too_large(&method, url, limit),
        encoding::Undecoded::Because(why) => Error::refused(&method, url, why),
    })
}

/// `host[:port]` of a URL.
fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(
        url.port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
    )
}

#[cfg(test)]
mod tests;
