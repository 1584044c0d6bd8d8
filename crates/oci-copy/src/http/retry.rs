//! How often to try, and how long to wait in between.

use std::time::Duration;

use tokio::time::Instant;

use super::{Class, Error};

/// How often to try, and how long to wait in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Tries in all, at least 1.
    pub tries: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub first_wait: Duration,
    /// The longest wait, `Retry-After` included.
    pub longest_wait: Duration,
    /// How long a throttled host is retried, from the first try on. Throttled answers use up no tries.
    pub patience: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            tries: super::network::DEFAULT_TRIES,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            patience: super::network::DEFAULT_PATIENCE,
        }
    }
}

/// What one action has been through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryState {
    started: Instant,
    failures: u32,
    throttled: u32,
    doubts: u32,
}

impl RetryState {
    /// An action that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            failures: 0,
            throttled: 0,
            doubts: 0,
        }
    }

    /// Whether corrupt content came already.
    #[must_use]
    pub fn has_doubted(&self) -> bool {
        self.doubts > 0
    }

    /// A failure happened: the wait before the next try, `None` where none is worth it. `jitter` is
    /// 0 to 1.
    pub fn failed(&mut self, policy: &Policy, class: Class, jitter: f64) -> Option<Duration> {
        let (at_least, count) = match class {
            Class::Permanent => return None,
            Class::Corrupt => {
                self.doubts += 1;
                if self.doubts > 1 || policy.tries < 2 {
                    return None;
                }
                (None, 1)
            }
            Class::Transient(at_least) => {
                self.failures += 1;
                if self.failures >= policy.tries {
                    return None;
                }
                (at_least, self.failures)
            }
            Class::Throttled(at_least) => {
                self.throttled += 1;
                (at_least, self.throttled)
            }
        };
        let wait = policy.wait(count, at_least, jitter);
        let is_throttled = matches!(class, Class::Throttled(_));
        let is_out_of_time = self.started.elapsed() + wait > policy.patience;
        (!is_throttled || !is_out_of_time && policy.tries > 1).then_some(wait)
    }
}

impl Policy {
    /// The wait after the `count`th failure, from 1 on.
    fn wait(&self, count: u32, at_least: Option<Duration>, jitter: f64) -> Duration {
        let doubled = self.first_wait.saturating_mul(1 << (count - 1).min(16));
        // Half of it fixed, half of it at random, so that many waiters do not come back together.
        let wait = doubled
            .mul_f64(0.5 + 0.5 * jitter)
            .max(at_least.unwrap_or_default());
        wait.min(self.longest_wait)
    }

    /// Does something until it succeeds, fails for good, or was tried often enough.
    ///
    /// # Errors
    /// The last try's.
    pub async fn run<T, E: Retryable, F: Future<Output = Result<T, E>>>(
        &self,
        mut action: impl FnMut() -> F,
    ) -> Result<T, E> {
        let mut course = RetryState::start();
        loop {
            let error = match action().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(wait) = course.failed(self, error.class(), fastrand::f64()) else {
                return Err(error);
            };
            tracing::debug!(error = %error, wait_seconds = wait.as_secs_f64(), "trying again: {error}");
            tokio::time::sleep(wait).await;
        }
    }
}

/// An error that knows whether another try is worth it.
pub trait Retryable: std::fmt::Display {
    /// Its class.
    fn class(&self) -> Class;
}

impl Retryable for Error {
    fn class(&self) -> Class {
        Error::class(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            tries: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(5),
            patience: Duration::from_mins(1),
        }
    }

    /// The waits that an action gets that fails in the same way each time.
    fn waits(policy: &Policy, class: Class) -> Vec<u64> {
        let mut course = RetryState::start();
        std::iter::from_fn(|| course.failed(policy, class, 1.0))
            .map(|wait| wait.as_secs())
            .take(100)
            .collect()
    }

    #[test]
    fn waits_double_up_to_the_longest_and_honour_the_host_s_wish() {
        let policy = policy();
        assert_eq!(waits(&policy, Class::Transient(None)), [1, 2, 4, 5]);
        assert_eq!(
            waits(&policy, Class::Transient(Some(Duration::from_secs(3)))),
            [3, 3, 4, 5]
        );
        assert_eq!(
            waits(&policy, Class::Transient(Some(Duration::from_mins(15)))),
            [5; 4]
        );
        assert_eq!(waits(&policy, Class::Permanent), [0; 0]);
    }

    #[test]
    fn what_is_doubtful_gets_one_more_try() {
        assert_eq!(waits(&policy(), Class::Corrupt), [1]);
        let once = Policy {
            tries: 1,
            ..policy()
        };
        assert_eq!(waits(&once, Class::Corrupt), [0; 0]);
        assert_eq!(waits(&once, Class::Throttled(None)), [0; 0]);
    }

    #[test]
    fn a_host_that_throttles_gets_patience_instead_of_tries() {
        let policy = policy();
        let throttled = Class::Throttled(None);
        assert_eq!(waits(&policy, throttled).len(), 100);
        let mut late = RetryState {
            started: Instant::now() - Duration::from_secs(58),
            ..RetryState::start()
        };
        assert_eq!(
            late.failed(&policy, throttled, 1.0),
            Some(Duration::from_secs(1))
        );
        assert_eq!(late.failed(&policy, throttled, 1.0), None);
    }
}
