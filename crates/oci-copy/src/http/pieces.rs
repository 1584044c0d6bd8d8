//! The body of a response, piece by piece, with a timeout and a minimum throughput.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Response;
use url::Url;

use super::{Error, Http};

/// The pieces of a response's body, with a timeout and a minimum throughput.
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
    /// When the body is interrupted, stalls, or is too slow.
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
        self.throughput.rate
    }
}

/// The minimum throughput of a body, measured over periods of waiting. A body of one byte a minute never
/// times out, and never ends either.
#[derive(Debug)]
pub struct MinThroughput {
    /// Bytes per second.
    rate: u64,
    period: Duration,
    waited: Duration,
    moved: u64,
}

impl MinThroughput {
    /// `min_throughput` is in bytes a second.
    #[must_use]
    pub fn new(min_throughput: u64, period: Duration) -> Self {
        Self {
            rate: min_throughput,
            period,
            waited: Duration::ZERO,
            moved: 0,
        }
    }

    /// Records a wait for some bytes; whether the throughput is still sufficient.
    pub fn record(&mut self, waited: Duration, moved: u64) -> bool {
        self.waited += waited;
        self.moved += moved;
        if self.waited < self.period {
            return true;
        }
        let is_enough =
            u128::from(self.moved) * 1000 >= u128::from(self.rate) * self.waited.as_millis();
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
