//! How often to try, and how long to wait in between.

use std::time::Duration;

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
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            tries: crate::settings::DEFAULT_TRIES,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
        }
    }
}

impl Policy {
    /// The wait before the next try, `None` where there shall be none. `failures` counts from 1,
    /// `jitter` is 0 to 1.
    #[must_use]
    pub fn wait(&self, failures: u32, class: Class, jitter: f64) -> Option<Duration> {
        let Class::Transient(at_least) = class else {
            return None;
        };
        if failures >= self.tries {
            return None;
        }
        let doubled = self.first_wait.saturating_mul(1 << (failures - 1).min(16));
        // Half of it fixed, half of it at random, so that many waiters do not come back together.
        let wait = doubled
            .mul_f64(0.5 + 0.5 * jitter)
            .max(at_least.unwrap_or_default());
        Some(wait.min(self.longest_wait))
    }

    /// Does something until it succeeds, fails for good, or was tried often enough.
    ///
    /// # Errors
    /// The last try's.
    pub async fn run<T, E: Classed, F: Future<Output = Result<T, E>>>(
        &self,
        mut action: impl FnMut() -> F,
    ) -> Result<T, E> {
        let mut failures = 0;
        loop {
            let error = match action().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            failures += 1;
            let Some(wait) = self.wait(failures, error.class(), fastrand::f64()) else {
                return Err(error);
            };
            tracing::debug!(error = %error, wait_seconds = wait.as_secs_f64(), "try {failures} failed: {error}");
            tokio::time::sleep(wait).await;
        }
    }
}

/// An error that knows whether another try is worth it.
pub trait Classed: std::fmt::Display {
    /// Its class.
    fn class(&self) -> Class;
}

impl Classed for Error {
    fn class(&self) -> Class {
        Error::class(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_honour_the_host_s_wish() {
        let policy = Policy {
            tries: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(5),
        };
        let wait = |failures, class| policy.wait(failures, class, 1.0).map(|wait| wait.as_secs());
        let transient = Class::Transient(None);
        assert_eq!(
            [1, 2, 3, 4, 5].map(|n| wait(n, transient)),
            [Some(1), Some(2), Some(4), Some(5), None]
        );
        assert_eq!(
            wait(1, Class::Transient(Some(Duration::from_secs(3)))),
            Some(3)
        );
        assert_eq!(
            wait(1, Class::Transient(Some(Duration::from_mins(15)))),
            Some(5)
        );
        assert_eq!(wait(1, Class::Permanent), None);
    }
}
