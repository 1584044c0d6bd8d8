//! The token bucket of a direction.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The most bytes that go at once: so large a piece is what a connection gets per turn.
pub(super) const PIECE: usize = 16 << 10;
/// What may go without delay after a pause.
const BURST: u64 = 64 << 10;
/// Timers are not finer than a millisecond: a fast link makes up for late ones with a larger burst.
const LEAST_BURST: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct TokenBucket {
    bytes_per_second: u64,
    burst: Duration,
    carried: AtomicU64,
    /// When all that was let through so far would have gone at exactly the link's speed. Who waits
    /// for its turn waits for this lock, which is fair.
    due: Mutex<Option<Instant>>,
}

impl TokenBucket {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        let bytes_per_second = bytes_per_second.max(1);
        Self {
            bytes_per_second,
            burst: time_of(BURST, bytes_per_second).max(LEAST_BURST),
            carried: AtomicU64::new(0),
            due: Mutex::new(None),
        }
    }

    /// Waits until a piece may go, and counts it.
    pub(super) async fn carry(&self, piece: usize) {
        let size = piece as u64;
        let mut due = self.due.lock().await;
        let now = Instant::now();
        let full = now.checked_sub(self.burst).unwrap_or(now);
        let at = due.map_or(full, |due| due.max(full)) + time_of(size, self.bytes_per_second);
        *due = Some(at);
        if at > now {
            tokio::time::sleep_until(at).await;
        }
        drop(due);
        self.carried.fetch_add(size, Ordering::Relaxed);
    }

    pub(super) fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

/// How long so many bytes take.
fn time_of(bytes: u64, bytes_per_second: u64) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_second);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
