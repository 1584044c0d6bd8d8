//! How the network is used: how much at once, how long to wait, how often to try.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use url::Url;

use super::{Certificates, Proxies};

/// The default of [`Network::jobs`]. ECR takes about 25 MB/s per stream (measured by others, see
/// `docs/`), so that a dozen and more are needed to fill a link.
pub const DEFAULT_JOBS: usize = 16;

/// The default of [`Network::tries`].
pub const DEFAULT_TRIES: u32 = 4;

/// The default of [`Network::patience`].
pub const DEFAULT_PATIENCE: Duration = Duration::from_mins(10);

/// How the network is used.
#[derive(Debug, Clone)]
pub struct Network {
    /// Large blobs in transfer at once, at least 1; of small requests, four times as many.
    pub jobs: usize,
    /// How often a request is tried in all, at least 1.
    pub tries: u32,
    /// How long a throttled host is retried.
    pub patience: Duration,
    /// Longest wait for a connection.
    pub connect: Duration,
    /// Longest wait for the beginning of an answer, and between two pieces of it.
    pub read_timeout: Duration,
    /// The minimum throughput of a transfer, in bytes per second.
    pub min_throughput: u64,
    /// Hosts that speak plain HTTP, besides loopback.
    pub plain_http: BTreeSet<String>,
    /// The URLs to use instead of some hosts.
    pub endpoints: BTreeMap<String, Url>,
    /// What the program calls itself, with its version.
    pub user_agent: String,
    /// Which requests go through a proxy.
    pub proxies: Proxies,
    /// Certificates that are trusted besides the machine's.
    pub certificates: Certificates,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            jobs: DEFAULT_JOBS,
            tries: DEFAULT_TRIES,
            patience: DEFAULT_PATIENCE,
            connect: Duration::from_secs(10),
            read_timeout: Duration::from_mins(1),
            min_throughput: 1024,
            plain_http: BTreeSet::new(),
            endpoints: BTreeMap::new(),
            user_agent: concat!("oci-copy/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxies: Proxies::default(),
            certificates: Certificates::default(),
        }
    }
}
