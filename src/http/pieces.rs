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

#[cfg(test)]
mod tests {
    use super::*;

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
}
