//! The one door to HTTP: which URL a host means, how long to wait, how often to try, and whose
//! credentials go where.

mod credentials;
mod error;
mod pace;
mod retry;
pub mod source_secret;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use tokio::sync::Semaphore;
use url::Url;

use crate::settings::Network;

pub use credentials::{Basic, Credentials, IDENTITY_TOKEN, Secret};
pub use error::{Class, Error};
pub use pace::{Bucket, Place, Window};
pub use retry::{Classed, Course, Policy};

/// How many small files are asked of one host at once. Simple servers hold five connections that wait
/// to be accepted and drop the sixth, which then costs a second.
const AT_ONE_HOST: usize = 4;

/// Requests to the outside.
#[derive(Debug)]
pub struct Http {
    client: Client,
    /// Hosts without TLS, besides loopback.
    plain: BTreeSet<String>,
    endpoints: BTreeMap<String, Url>,
    /// The hosts of endpoints that were used.
    used: Mutex<BTreeSet<String>>,
    credentials: Credentials,
    policy: Policy,
    /// Longest wait for an answer's beginning, and between two pieces of it.
    answer: Duration,
    /// The slowest transfer that is borne, in bytes a second.
    slowest: u64,
    /// Places for whole small files, by host.
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Http {
    /// Opens the door.
    ///
    /// # Errors
    /// When the machine has no usable TLS set-up.
    pub fn new(network: &Network, credentials: Credentials) -> Result<Self, reqwest::Error> {
        let mut headers = HeaderMap::new();
        // A blob's digest is that of the bytes as they are stored; nothing may unpack them on the way.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let client = Client::builder()
            .user_agent(concat!("replicator/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(network.connect)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self {
            client,
            plain: network.plain_http.clone(),
            endpoints: network.endpoints.clone(),
            used: Mutex::default(),
            credentials,
            policy: Policy {
                tries: network.tries,
                patience: network.patience,
                ..Policy::default()
            },
            answer: network.answer,
            slowest: network.slowest,
            places: Mutex::default(),
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
        let host = if matches!(host, "docker.io" | "index.docker.io") {
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
                .is_ok_and(|ip| ip.is_loopback());
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

    /// Reads a whole small body, `limit` bytes at most. The credentials for the URL's own host go
    /// along; a redirect to another host loses them.
    ///
    /// # Errors
    /// When it cannot be had, after the tries that the error is worth.
    pub async fn get(&self, url: &Url, limit: u64) -> Result<Bytes, Error> {
        let basic = match authority(url) {
            Some(host) => self.credentials.get(&host).await,
            None => None,
        };
        self.get_with(url, basic, limit).await
    }

    /// The same without credentials.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub async fn get_anonymous(&self, url: &Url, limit: u64) -> Result<Bytes, Error> {
        self.get_with(url, None, limit).await
    }

    async fn get_with(&self, url: &Url, basic: Option<Basic>, limit: u64) -> Result<Bytes, Error> {
        let asked = self.rewrite(url);
        let places = self.places(&asked);
        self.policy
            .run(|| async {
                let _place = places.acquire().await;
                let mut request = self.client.get(asked.clone());
                if let Some(Basic { username, password }) = &basic {
                    request = request.basic_auth(username, Some(password.expose()));
                }
                let response = self.send(request).await?;
                self.body(response, limit).await
            })
            .await
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

    /// The credentials that the user gave.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The policy for tries.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The client itself, to build requests for [`Http::send`].
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request without or with a small body, once; an answer that is no success is an error.
    ///
    /// # Errors
    /// When there is no answer in time, or it is no success.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let request = request.build().map_err(Error::unbuilt)?;
        let (method, url) = (request.method().clone(), request.url().clone());
        let answer = tokio::time::timeout(self.answer, self.client.execute(request)).await;
        let response = answer
            .map_err(|_| Error::quiet(&method, &url, self.answer))?
            .map_err(|error| Error::transport(&method, &url, error))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            let is_elsewhere = authority(response.url()) != authority(&url);
            let error = Error::status(&method, response).await;
            // A challenge of the host that we were redirected to is not one of the host that we asked.
            Err(if is_elsewhere {
                error.without_challenge()
            } else {
                error
            })
        }
    }

    /// Reads a body to its end, `limit` bytes at most.
    ///
    /// # Errors
    /// When it breaks off, stands still or is too long.
    pub async fn body(&self, response: Response, limit: u64) -> Result<Bytes, Error> {
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
    pub fn answer(&self) -> Duration {
        self.answer
    }

    /// The slowest transfer that is borne, in bytes a second.
    #[must_use]
    pub fn slowest(&self) -> u64 {
        self.slowest
    }
}

/// The pieces of an answer's body, none of them waited for too long.
pub struct Pieces {
    response: Response,
    request: (reqwest::Method, Url),
    answer: Duration,
    floor: Floor,
}

impl Pieces {
    /// The body of an answer.
    #[must_use]
    pub fn new(http: &Http, method: reqwest::Method, response: Response) -> Self {
        Self {
            request: (method, response.url().clone()),
            response,
            answer: http.answer,
            floor: Floor::new(http.slowest, http.answer),
        }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the body breaks off, stands still, or trickles.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let (method, url) = &self.request;
        let before = Instant::now();
        let piece = tokio::time::timeout(self.answer, self.response.chunk()).await;
        let piece = piece
            .map_err(|_| Error::quiet(method, url, self.answer))?
            .map_err(|error| Error::transport(method, url, error))?;
        let moved = piece.as_ref().map_or(0, Bytes::len);
        if piece.is_some() && !self.floor.bears(before.elapsed(), moved as u64) {
            return Err(Error::slow(method, url, self.slowest()));
        }
        Ok(piece)
    }

    fn slowest(&self) -> u64 {
        self.floor.slowest
    }
}

/// A floor of progress: within each period of waiting so many bytes must have come. A body that gives a
/// byte a minute is never silent, and never ends either.
#[derive(Debug)]
pub struct Floor {
    /// Bytes a second.
    slowest: u64,
    period: Duration,
    waited: Duration,
    moved: u64,
}

impl Floor {
    /// `slowest` is in bytes a second.
    #[must_use]
    pub fn new(slowest: u64, period: Duration) -> Self {
        Self {
            slowest,
            period,
            waited: Duration::ZERO,
            moved: 0,
        }
    }

    /// Takes in that somebody waited for some bytes; whether that goes on being borne.
    pub fn bears(&mut self, waited: Duration, moved: u64) -> bool {
        self.waited += waited;
        self.moved += moved;
        if self.waited < self.period {
            return true;
        }
        let is_enough =
            u128::from(self.moved) * 1000 >= u128::from(self.slowest) * self.waited.as_millis();
        (self.waited, self.moved) = (Duration::ZERO, 0);
        is_enough
    }
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
mod tests {
    use super::*;

    fn http() -> Http {
        let network = Network {
            plain_http: BTreeSet::from(["plain.corp".to_owned()]),
            endpoints: BTreeMap::from([(
                "quay.io".to_owned(),
                Url::parse("http://127.0.0.1:1/quay.io/").unwrap(),
            )]),
            ..Network::default()
        };
        Http::new(&network, Credentials::default()).unwrap()
    }

    #[test]
    fn a_host_is_reached_where_the_user_says_and_else_by_https_unless_it_is_loopback() {
        let http = http();
        for (host, base) in [
            ("quay.io", "http://127.0.0.1:1/quay.io"),
            ("ghcr.io", "https://ghcr.io"),
            ("docker.io", "https://registry-1.docker.io"),
            ("localhost:5000", "http://localhost:5000"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("127.evil.com", "https://127.evil.com"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("plain.corp:8080", "http://plain.corp:8080"),
        ] {
            assert_eq!(http.base(host), base);
        }
    }

    #[test]
    fn a_trickle_is_cut_and_a_slow_reader_is_not() {
        let mut floor = Floor::new(1000, Duration::from_secs(10));
        let second = Duration::from_secs(1);
        assert!((0..9).all(|_| floor.bears(second, 1)));
        assert!(!floor.bears(second, 1));
        // What is waited for elsewhere does not count.
        assert!((0..1000).all(|_| floor.bears(Duration::from_millis(1), 1)));
        assert!((0..30).all(|_| floor.bears(second, 1000)));
    }

    #[test]
    fn a_url_keeps_path_and_query_at_its_endpoint() {
        let url = Url::parse("https://quay.io/charts/index.yaml?x=1").unwrap();
        assert_eq!(
            http().rewrite(&url).as_str(),
            "http://127.0.0.1:1/quay.io/charts/index.yaml?x=1"
        );
        let other = Url::parse("https://quay.io:8443/x").unwrap();
        assert_eq!(http().rewrite(&other), other);
    }
}
