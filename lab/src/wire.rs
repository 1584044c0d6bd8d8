//! What went over the wire: every server writes each request here, in the order of arrival.

use hyper::HeaderMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One request as a server saw it.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// Path as sent, without the query.
    pub path: String,
    /// Query as sent, without the question mark.
    pub query: String,
    /// Status of the answer; 0 while there is none, or when the connection was cut before it.
    pub status: u16,
    /// Bytes of the request's body that were read.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were really handed to the connection.
    pub bytes_out: u64,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// All request headers.
    pub headers: HeaderMap,
    /// What the server understood: `manifest.put`, `blob.mount`, `ecr:CreateRepository`, ...; empty
    /// if it understood nothing or a fault answered in its place.
    pub action: String,
    /// When the head of the request arrived.
    pub started: Instant,
    /// When the last byte of the answer was handed over, or the exchange was given up.
    pub ended: Option<Instant>,
}

impl Request {
    fn matches(&self, method: &str, path_contains: &str) -> bool {
        (method.is_empty() || self.method == method) && self.path.contains(path_contains)
    }
}

/// The log of a server's requests. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Wire(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    requests: Vec<Request>,
    /// How many requests were cleared away: entries are numbered over the server's whole life.
    cleared: usize,
    /// Connections that are open, and the most that ever were.
    connections: (usize, usize),
}

impl Wire {
    /// All requests since the start or the last [`Wire::clear`], those under way included.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.log().requests.clone()
    }

    /// Forgets what was logged.
    pub fn clear(&self) {
        let mut log = self.log();
        log.cleared += log.requests.len();
        log.requests.clear();
    }

    /// How many requests had this method (empty: any) and this text in their path.
    #[must_use]
    pub fn count(&self, method: &str, path_contains: &str) -> usize {
        self.log()
            .requests
            .iter()
            .filter(|request| request.matches(method, path_contains))
            .count()
    }

    /// How many requests the server understood as this action.
    #[must_use]
    pub fn count_action(&self, action: &str) -> usize {
        self.log()
            .requests
            .iter()
            .filter(|request| request.action == action)
            .count()
    }

    /// Bytes of all request bodies.
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.log()
            .requests
            .iter()
            .map(|request| request.bytes_in)
            .sum()
    }

    /// Bytes of all answers.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.log()
            .requests
            .iter()
            .map(|request| request.bytes_out)
            .sum()
    }

    /// The high-water mark: how many logged requests were open at one moment.
    #[must_use]
    pub fn most_open(&self) -> usize {
        self.most_open_of("", "")
    }

    /// The high-water mark among requests with this method (empty: any) and this text in their path.
    #[must_use]
    pub fn most_open_of(&self, method: &str, path_contains: &str) -> usize {
        let log = self.log();
        let mut moments: Vec<(Instant, bool)> = Vec::new();
        for request in log
            .requests
            .iter()
            .filter(|request| request.matches(method, path_contains))
        {
            moments.push((request.started, true));
            moments.extend(request.ended.map(|ended| (ended, false)));
        }
        // At the same instant an end counts before a start.
        moments.sort_unstable();
        let (mut open, mut most) = (0_usize, 0);
        for (_, starts) in moments {
            open = if starts { open + 1 } else { open - 1 };
            most = most.max(open);
        }
        most
    }

    /// The most connections that were open at one moment of the server's life.
    #[must_use]
    pub fn most_connections(&self) -> usize {
        self.log().connections.1
    }

    /// Counts a connection until the returned guard is dropped.
    pub(crate) fn connect(&self) -> Connected {
        let (open, most) = &mut self.log().connections;
        *open += 1;
        *most = (*most).max(*open);
        Connected(self.clone())
    }

    /// Opens an entry; it is closed when the returned guard is dropped.
    pub(crate) fn open(&self, request: Request) -> Entry {
        let mut log = self.log();
        log.requests.push(request);
        Entry {
            wire: self.clone(),
            number: log.cleared + log.requests.len() - 1,
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is open.
pub(crate) struct Connected(Wire);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.log().connections.0 -= 1;
    }
}

/// The entry of a request under way.
pub(crate) struct Entry {
    wire: Wire,
    number: usize,
}

impl Entry {
    /// Changes the entry, unless the log was cleared meanwhile.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Request)) {
        let mut log = self.wire.log();
        let index = self.number.checked_sub(log.cleared);
        if let Some(request) = index.and_then(|index| log.requests.get_mut(index)) {
            change(request);
        }
    }

    /// A copy of the entry, unless the log was cleared meanwhile.
    pub(crate) fn request(&self) -> Option<Request> {
        let log = self.wire.log();
        log.requests
            .get(self.number.checked_sub(log.cleared)?)
            .cloned()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.update(|request| request.ended = Some(Instant::now()));
    }
}
