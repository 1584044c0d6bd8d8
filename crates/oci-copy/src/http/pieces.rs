//! An answer's body, piece by piece, none of them waited for too long.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Response;
use url::Url;

use super::{Error, Http};

/// The pieces of an answer's body, none of them waited for too long.
pub struct Pieces {
    response: Response,
    request: (reqwest::Method, Url),
    read_timeout: Duration,
    throughput: MinThroughput,
}

impl Pieces {
    /// The body of an answer.
    #[must_use]
    pub fn new(http: &Http, method: reqwest::Method, response: Response) -> Self {
        Self {
            request: (method, response.url().clone()),
            response,
            read_timeout: http.read_timeout,
            throughput: MinThroughput::new(http.min_throughput, http.read_timeout),
        }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the body breaks off, stands still, or trickles.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let (method, url) = &self.request;
        let before = Instant::now();
        let piece = tokio::time::timeout(self.read_timeout, self.response.chunk()).await;
        let piece = piece
            .map_err(|_| Error::timeout(method, url, self.read_timeout))?
            .map_err(|error| Error::transport(method, url, error))?;
        let moved = piece.as_ref().map_or(0, Bytes::len);
        if piece.is_some() && !self.throughput.record(before.elapsed(), moved as u64) {
            return Err(Error::slow(method, url, self.min_throughput()));
        }
        Ok(piece)
    }

    fn min_throughput(&self) -> u64 {
        self.throughput.min_throughput
    }
}

/// A throughput of progress: within each period of waiting so many bytes must have come. A body that gives a
/// byte a minute is never silent, and never ends either.
#[derive(Debug)]
pub struct MinThroughput {
    /// Bytes a second.
    min_throughput: u64,
    period: Duration,
    waited: Duration,
    moved: u64,
}

impl MinThroughput {
    /// `min_throughput` is in bytes a second.
    #[must_use]
    pub fn new(min_throughput: u64, period: Duration) -> Self {
        Self {
            min_throughput,
            period,
            waited: Duration::ZERO,
            moved: 0,
        }
    }

    /// Takes in that somebody waited for some bytes; whether that goes on being borne.
    pub fn record(&mut self, waited: Duration, moved: u64) -> bool {
        self.waited += waited;
        self.moved += moved;
        if self.waited < self.period {
            return true;
        }
        let is_enough = u128::from(self.moved) * 1000
            >= u128::from(self.min_throughput) * self.waited.as_millis();
        (self.waited, self.moved) = (Duration::ZERO, 0);
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_is_cut_and_a_slow_reader_is_not() {
        let mut throughput = MinThroughput::new(1000, Duration::from_secs(10));
        let second = Duration::from_secs(1);
        assert!((0..9).all(|_| throughput.record(second, 1)));
        assert!(!throughput.record(second, 1));
        // What is waited for elsewhere does not count.
        assert!((0..1000).all(|_| throughput.record(Duration::from_millis(1), 1)));
        assert!((0..30).all(|_| throughput.record(second, 1000)));
    }
}
