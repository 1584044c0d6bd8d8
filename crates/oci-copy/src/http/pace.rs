//! Limits of requests to a host: a limit of requests in parallel that grows with successes and halves when
//! the host throttles, and a rate limit where a quota is known. Decisions are pure;
//! only [`AimdLimit::enter`] and [`RateLimit::take`] wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::network::DEFAULT_PATIENCE;

/// The first pause after throttling without `Retry-After`; it doubles with each further one in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause, whatever `Retry-After` says.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Throttled answers within this time count as one event: the limit halves once for them.
const ONE_EVENT: Duration = Duration::from_secs(1);

/// The limit of requests in parallel to one host: additive increase, multiplicative decrease (as RFC 5681),
/// with a pause of all new requests after a throttled answer.
#[derive(Debug)]
pub struct AimdLimit {
    most: usize,
    /// A host that only throttles for this long gets no more pauses and retries: the requests that still
    /// wait, one after the other, would take hours.
    patience: Duration,
    state: Mutex<State>,
    room: Notify,
}

#[derive(Debug)]
struct State {
    limit: f64,
    used: usize,
    /// Before the first throttled answer the limit doubles each round.
    is_new: bool,
    throttles: u32,
    /// The first throttled answer since the last success.
    first_throttle: Option<Instant>,
    last_throttle: Option<Instant>,
    closed_until: Option<Instant>,
}

/// Permission for some requests; given back when dropped.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    limit: Arc<AimdLimit>,
    count: usize,
}

impl AimdLimit {
    /// A limit that starts with `first` requests in parallel and grows to `most`, both at least 1.
    #[must_use]
    pub fn new(first: usize, most: usize) -> Arc<Self> {
        Self::patient(first, most, DEFAULT_PATIENCE)
    }

    /// Like `new`, with its own limit on how long a throttling host is tolerated.
    #[must_use]
    pub fn patient(first: usize, most: usize, patience: Duration) -> Arc<Self> {
        let most = most.max(1);
        Arc::new(Self {
            most,
            patience,
            state: Mutex::new(State {
                limit: as_limit(first.clamp(1, most)),
                used: 0,
                is_new: true,
                throttles: 0,
                first_throttle: None,
                last_throttle: None,
                closed_until: None,
            }),
            room: Notify::new(),
        })
    }

    /// Waits for permission for `count` requests. More than the limit are permitted when no other request
    /// is running.
    pub async fn acquire(self: &Arc<Self>, count: usize) -> Permit {
        let count = count.clamp(1, self.most);
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            let admitted = self.lock().admit(count, Instant::now());
            match admitted {
                Ok(()) => {
                    // The next waiter may find room too.
                    self.room.notify_one();
                    return Permit {
                        limit: Arc::clone(self),
                        count,
                    };
                }
                Err(Some(opens)) => tokio::time::sleep_until(opens).await,
                Err(None) => room.await,
            }
        }
    }

    /// Whether a request could be sent now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.lock().has_room(1, Instant::now()).is_ok()
    }

    /// A request succeeded: there may be more in parallel.
    pub fn on_success(&self) {
        let mut state = self.lock();
        state.throttles = 0;
        state.first_throttle = None;
        // One more for each success doubles the limit in a round; later, one more in a round.
        let more = if state.is_new { 1.0 } else { 1.0 / state.limit };
        state.limit = (state.limit + more).min(as_limit(self.most));
        drop(state);
        self.room.notify_one();
    }

    /// The host throttled; it may have said when to retry. Whether it has only throttled for longer than is
    /// tolerated, so that retries are pointless.
    pub fn on_throttle(&self, wait: Option<Duration>) -> bool {
        let is_over = self.lock().throttle(wait, Instant::now(), self.patience);
        self.room.notify_one();
        is_over
    }

    fn leave(&self, count: usize) {
        self.lock().used -= count;
        self.room.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes permission, or says when to ask again: at a time, or when another request ends.
    fn admit(&mut self, count: usize, now: Instant) -> Result<(), Option<Instant>> {
        self.has_room(count, now)?;
        self.used += count;
        Ok(())
    }

    fn has_room(&self, count: usize, now: Instant) -> Result<(), Option<Instant>> {
        if let Some(opens) = self.closed_until.filter(|opens| *opens > now) {
            return Err(Some(opens));
        }
        if self.used == 0 || as_limit(self.used + count) <= self.limit {
            Ok(())
        } else {
            Err(None)
        }
    }

    fn throttle(&mut self, wait: Option<Duration>, now: Instant, patience: Duration) -> bool {
        let ago = self.last_throttle.map(|last| now.duration_since(last));
        // A busy run sends requests more often than that.
        if ago.is_none_or(|ago| ago > LONGEST_PAUSE * 3) {
            self.first_throttle = None;
        }
        let first = *self.first_throttle.get_or_insert(now);
        let is_over = now.duration_since(first) >= patience;
        let is_same_event = ago.is_some_and(|ago| ago < ONE_EVENT);
        if !is_same_event {
            self.limit = (self.limit / 2.0).max(1.0);
            self.throttles += 1;
            self.last_throttle = Some(now);
        }
        self.is_new = false;
        let pause = FIRST_PAUSE.saturating_mul(1 << self.throttles.saturating_sub(1).min(10));
        let pause = wait
            .map_or(pause, |wait| wait.max(FIRST_PAUSE))
            .min(LONGEST_PAUSE);
        self.closed_until = if is_over {
            None
        } else {
            self.closed_until.max(Some(now + pause))
        };
        is_over
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limit.leave(self.count);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "limits are a few hundred at most"
)]
fn as_limit(count: usize) -> f64 {
    count as f64
}

/// The part of a rate limit that this process may use, from 0 to 1. Clones share it, and it can
/// change while requests wait.
#[derive(Debug, Clone)]
pub struct Share(Arc<AtomicU64>);

impl Default for Share {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(1.0_f64.to_bits())))
    }
}

impl Share {
    /// The part.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// From now on.
    pub fn set(&self, part: f64) {
        self.0
            .store(part.clamp(0.001, 1.0).to_bits(), Ordering::Relaxed);
    }
}

/// A quota: so many requests a second, evenly, with a small burst.
#[derive(Debug)]
pub struct RateLimit {
    /// The time between two requests, if the whole quota is ours.
    interval: Duration,
    share: Share,
    /// How far ahead of the even pace requests may be.
    burst: Duration,
    /// When the next request is due by the even pace.
    next: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// A limit of `rate` requests a second, more than 0, of which a share is ours. The burst is a quarter
    /// of a second's worth: others use the same quota.
    #[must_use]
    pub fn new(rate: f64, share: Share) -> Self {
        Self {
            interval: Duration::from_secs_f64(1.0 / rate),
            share,
            burst: Duration::from_millis(250),
            next: Mutex::default(),
        }
    }

    /// Waits for a request's turn.
    pub async fn take(&self) {
        if let Some(turn) = self.turn(Instant::now()) {
            tokio::time::sleep_until(turn).await;
        }
    }

    /// When the next request may be sent; `None` for now. Each call is a request.
    fn turn(&self, now: Instant) -> Option<Instant> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.map_or(now, |next| next.max(now));
        *next = Some(due + self.interval.div_f64(self.share.get()));
        let turn = due.checked_sub(self.burst).unwrap_or(now);
        (turn > now).then_some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_doubles_until_the_first_throttle_and_then_halves_and_grows_slowly() {
        let window = AimdLimit::new(2, 64);
        let limit = || window.lock().limit;
        window.on_success();
        window.on_success();
        assert!((limit() - 4.0).abs() < 0.01);
        window.on_throttle(None);
        // Requests that were already running are throttled too: that is no new event.
        window.on_throttle(None);
        assert!((limit() - 2.0).abs() < 0.01);
        window.on_success();
        assert!((limit() - 2.5).abs() < 0.01);
        for _ in 0..10_000 {
            window.on_success();
        }
        assert!((limit() - 64.0).abs() < 0.01);
    }

    #[test]
    fn throttling_pauses_requests_for_as_long_as_the_host_says() {
        let window = AimdLimit::new(4, 4);
        let opens_after = |wait: Option<u64>| {
            let now = Instant::now();
            let mut state = window.lock();
            state.closed_until = None;
            state.throttle(wait.map(Duration::from_secs), now, Duration::from_mins(10));
            let opens = state.has_room(1, now).unwrap_err().unwrap();
            opens.duration_since(now)
        };
        assert_eq!(opens_after(Some(7)), Duration::from_secs(7));
        assert_eq!(opens_after(Some(0)), FIRST_PAUSE);
        assert_eq!(opens_after(Some(6 * 3600)), LONGEST_PAUSE);
        assert_eq!(opens_after(None), FIRST_PAUSE);
    }

    #[test]
    fn a_host_that_only_throttles_for_longer_than_is_tolerated_is_not_retried() {
        let (window, start) = (AimdLimit::new(4, 4), Instant::now());
        let mut state = window.lock();
        let patience = Duration::from_secs(8);
        let at = |seconds| start + Duration::from_secs(seconds);
        let wait = Some(Duration::from_secs(20));
        assert!(!state.throttle(wait, at(0), patience));
        assert!(state.has_room(1, at(7)).is_err());
        assert!(state.throttle(wait, at(9), patience));
        assert!(state.has_room(1, at(9)).is_ok());
        drop(state);
        // A success resets the time.
        window.on_success();
        assert!(!window.lock().throttle(wait, at(10), patience));
        assert!(window.lock().has_room(1, at(11)).is_err());
        // And so does a long silence.
        assert!(!window.lock().throttle(wait, at(200), patience));
    }

    #[tokio::test]
    async fn permits_are_waited_for_and_given_back() {
        let window = AimdLimit::new(2, 2);
        let (first, second) = (window.acquire(1).await, window.acquire(1).await);
        let waiting = tokio::spawn({
            let window = Arc::clone(&window);
            async move { drop(window.acquire(2).await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
        // More than there can ever be is all that there is.
        drop(window.acquire(100).await);
    }

    #[test]
    fn a_rate_limit_keeps_its_rate_with_many_waiters() {
        let share = Share::default();
        let (bucket, start) = (RateLimit::new(10.0, share.clone()), Instant::now());
        let turns: Vec<f64> = (0..50)
            .map(|_| {
                bucket
                    .turn(start)
                    .map_or(0.0, |turn| (turn - start).as_secs_f64())
            })
            .collect();
        // The burst goes at once, then one each tenth of a second.
        assert_eq!(turns.iter().filter(|turn| **turn == 0.0).count(), 3);
        assert!(
            turns[3..]
                .windows(2)
                .all(|two| (two[1] - two[0] - 0.1).abs() < 1e-6)
        );
        assert!((turns[49] - 4.65).abs() < 1e-6, "{turns:?}");
        // Others get their part: what is asked from now on goes at half the pace.
        share.set(0.5);
        let turn = |_| (bucket.turn(start).unwrap() - start).as_secs_f64();
        let turns: Vec<f64> = (0..3).map(turn).collect();
        assert!((turns[2] - turns[1] - 0.2).abs() < 1e-6, "{turns:?}");
    }
}
