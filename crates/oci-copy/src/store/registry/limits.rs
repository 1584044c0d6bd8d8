//! The limits of requests to one registry.

use std::sync::Arc;

use crate::http::{AimdLimit, Class, Network, Permit, RateLimit};
use crate::store::{Action, Error, LARGE_WEIGHT};

use super::provider::Limits;

/// How many small requests of one kind are sent at once at first. Growth is quick.
const FIRST_SMALL: usize = 8;

/// The limit of blobs in transfer at first, by their weight.
const FIRST_BLOBS: usize = 32;

/// The limits of one registry by action: requests in parallel, and requests per second where known.
#[derive(Debug)]
pub(super) struct HostLimits {
    windows: [Arc<AimdLimit>; Action::ALL.len()],
    buckets: Option<[RateLimit; Action::ALL.len()]>,
}

impl HostLimits {
    pub(super) fn new(network: &Network, limits: Option<Limits>) -> Self {
        let most = network.jobs * LARGE_WEIGHT;
        Self {
            windows: Action::ALL.map(|action| match action {
                Action::GetBlob | Action::FinishUpload => {
                    AimdLimit::patient(FIRST_BLOBS, most, network.patience)
                }
                _ => AimdLimit::patient(FIRST_SMALL, most, network.patience),
            }),
            buckets: limits.map(|Limits { rates, share }| {
                rates.map(|rate| RateLimit::new(rate, share.clone()))
            }),
        }
    }

    pub(super) fn aimd_limit(&self, action: Action) -> &Arc<AimdLimit> {
        &self.windows[action as usize]
    }

    /// Waits for a request's turn. Permits for blobs are held by their transfers.
    pub(super) async fn admit(&self, action: Action) -> Option<Permit> {
        let place = match action {
            Action::GetBlob | Action::FinishUpload => None,
            _ => Some(self.aimd_limit(action).acquire(1).await),
        };
        if let Some(buckets) = &self.buckets {
            buckets[action as usize].take().await;
        }
        place
    }

    /// Learns from an answer. Where the registry only throttles, and has for longer than its patience, the
    /// error comes back as one that no further try is worth.
    pub(super) fn record<T>(&self, action: Action, answer: Result<T, Error>) -> Result<T, Error> {
        let window = self.aimd_limit(action);
        let error = match answer {
            Ok(answer) => {
                window.on_success();
                return Ok(answer);
            }
            Err(error) => error,
        };
        let is_over = match error.class() {
            Class::Throttled(wait) => window.on_throttle(wait),
            // An overloaded server says 503; the others are its usual answers.
            Class::Transient(wait) if error.status_code() == Some(503) => {
                window.on_throttle(wait);
                false
            }
            Class::Permanent if error.status_code().is_some() => {
                window.on_success();
                false
            }
            _ => false,
        };
        match error {
            Error::Http(error) if is_over => Err(error.given_up().into()),
            error => Err(error),
        }
    }
}
