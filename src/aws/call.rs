//! Calls to AWS: every attempt has a time limit, transient failures get `Tries` attempts, and throttled calls are
//! retried for `Patience`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_ecr::config::http::HttpResponse;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use tokio::time::Instant;

use crate::settings::{self, Network};
use oci_copy::http::{Class, Policy, RetryState};

use super::Error;

/// The minimum throughput of an upload, in bytes per second.
const SLOWEST_UPLOAD: u64 = 64 * 1024;

/// What calls go to.
#[derive(Debug, Default)]
struct CallTarget {
    /// An endpoint, or the DNS suffix of the region.
    endpoint: String,
    region: String,
    profile: Option<String>,
}

impl CallTarget {
    fn of(&self, service: &str) -> String {
        let (endpoint, region) = (&self.endpoint, &self.region);
        let host = if endpoint.contains("://") {
            endpoint.clone()
        } else {
            let label = if service == "ecr" { "api.ecr" } else { service };
            format!("{label}.{region}.{endpoint}")
        };
        match &self.profile {
            Some(profile) => format!("{host}, region {region}, profile {profile}"),
            None => format!("{host}, region {region}"),
        }
    }
}

/// The limits of all calls to AWS.
#[derive(Debug)]
pub(super) struct Calls {
    policy: Policy,
    connect: Duration,
    /// The time limit of an attempt.
    read_timeout: Duration,
    /// What the calls go to: the end of hosts, the region and the profile.
    place: Mutex<CallTarget>,
    /// Since when a service has done nothing but throttle.
    throttled: Mutex<HashMap<&'static str, Instant>>,
}

impl Calls {
    pub(super) fn new(network: &Network) -> Self {
        Self {
            policy: Policy {
                tries: network.tries,
                patience: network.patience,
                ..Policy::default()
            },
            connect: network.connect,
            read_timeout: network.read_timeout,
            place: Mutex::default(),
            throttled: Mutex::default(),
        }
    }

    /// How often and for how long something is repeated.
    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Remembers what the next calls go to, for their errors.
    pub(super) async fn reach(&self, region: &str, settings: &settings::Aws) {
        let endpoint = match &settings.endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => super::dns_suffix(region).await.ok(),
        };
        let place = CallTarget {
            endpoint: endpoint.unwrap_or_default(),
            region: region.to_owned(),
            profile: settings
                .profile
                .as_ref()
                .map(|profile| profile.name.clone()),
        };
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    fn place(&self, action: &'static str) -> String {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        place.of(service(action))
    }

    /// The time limit of an attempt.
    pub(super) fn read_timeout(&self) -> Duration {
        self.read_timeout
    }

    /// The time limits of an attempt that sends a number of bytes.
    pub(super) fn timeouts(&self, bytes: u64) -> TimeoutConfig {
        let attempt = self.read_timeout + Duration::from_secs(bytes / SLOWEST_UPLOAD);
        TimeoutConfig::builder()
            .connect_timeout(self.connect)
            .read_timeout(attempt)
            .operation_attempt_timeout(attempt)
            .build()
    }

    /// Sends a request of the SDK.
    ///
    /// # Errors
    /// The last attempt's.
    pub(super) async fn send<T, E, F>(
        &self,
        action: &'static str,
        resource: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        self.run(action, || {
            // The SDK's futures are large.
            let sent = Box::pin(attempt());
            async move {
                let answer = sent.await;
                answer.map_err(|error| Error::new(action, resource, &error).at(&self.place(action)))
            }
        })
        .await
    }

    /// Repeats an action until it succeeds, fails permanently, or has used all attempts.
    ///
    /// # Errors
    /// The last attempt's.
    pub(super) async fn run<T, F: Future<Output = Result<T, Error>>>(
        &self,
        action: &'static str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Error> {
        let mut course = RetryState::start();
        loop {
            let error = match attempt().await {
                Ok(value) => {
                    tracing::debug!("{action}: ok");
                    self.throttled().remove(service(action));
                    return Ok(value);
                }
                Err(error) => error,
            };
            let class = error.class();
            let is_given_up = self.is_given_up(action, class);
            let wait = course.failed(&self.policy, class, fastrand::f64());
            let Some(wait) = wait.filter(|_| !is_given_up) else {
                return Err(error);
            };
            tracing::debug!(error = %error, wait_seconds = wait.as_secs_f64(), "retrying: {error}");
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether a service has only throttled for longer than `Patience`: it is given up once, not for each call
    /// again.
    fn is_given_up(&self, action: &'static str, class: Class) -> bool {
        if !matches!(class, Class::Throttled(_)) {
            return false;
        }
        let mut throttled = self.throttled();
        let since = throttled
            .entry(service(action))
            .or_insert_with(Instant::now);
        since.elapsed() > self.policy.patience
    }

    fn throttled(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, Instant>> {
        let throttled = self.throttled.lock();
        throttled.unwrap_or_else(PoisonError::into_inner)
    }
}

/// `ecr` of `ecr:CreateRepository`.
pub(super) fn service(action: &'static str) -> &'static str {
    action.split(':').next().unwrap_or(action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn calls() -> Calls {
        let ms = Duration::from_millis;
        Calls {
            policy: Policy {
                tries: 4,
                first_wait: ms(1),
                longest_wait: ms(5),
                patience: ms(500),
            },
            ..Calls::new(&Network::default())
        }
    }

    /// The attempts of an action that fails a number of times in one way.
    async fn attempts(calls: &Calls, failures: u32, code: &str, status: u16) -> (u32, bool) {
        let made = Cell::new(0);
        let done = calls.run("ecr:CreateRepository", || {
            made.set(made.get() + 1);
            let fails = made.get() <= failures;
            let error = Error::service("ecr:CreateRepository", "a", code, status);
            async move { if fails { Err(error) } else { Ok(()) } }
        });
        let is_done = done.await.is_ok();
        (made.get(), is_done)
    }

    #[tokio::test]
    async fn a_service_that_throttles_uses_up_patience_and_no_tries() {
        let (calls, code) = (calls(), "ThrottlingException");
        assert_eq!(attempts(&calls, 20, code, 400).await, (21, true));
        let started = Instant::now();
        let (_, is_done) = attempts(&calls, u32::MAX, code, 400).await;
        assert!(!is_done && started.elapsed() > Duration::from_millis(400));
        // It is given up once: the next call does not wait again.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(attempts(&calls, u32::MAX, code, 400).await, (1, false));
        assert_eq!(attempts(&calls, 0, code, 400).await, (1, true));
        assert_eq!(attempts(&calls, 3, code, 400).await, (4, true));
    }

    #[tokio::test]
    async fn transient_errors_are_retried_and_refusals_are_not() {
        let calls = calls();
        for (code, status) in [
            ("InternalError", 500),
            ("ServerException", 500),
            ("RequestTimeout", 400),
            ("OperationAborted", 409),
            ("", 502),
        ] {
            assert_eq!(attempts(&calls, 3, code, status).await, (4, true), "{code}");
            assert_eq!(attempts(&calls, 9, code, status).await, (4, false));
        }
        for (code, status) in [
            ("AccessDeniedException", 400),
            ("InvalidParameterException", 400),
            ("NotImplemented", 501),
            // A quota of ECR, not a rate.
            ("LimitExceededException", 400),
            ("AccountLimitExceededException", 400),
        ] {
            assert_eq!(attempts(&calls, 1, code, status).await, (1, false));
        }
    }
}
