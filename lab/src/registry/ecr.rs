//! The habits in which ECR differs from a plain registry, each a switch.

use super::answer::Refusal;
use hyper::StatusCode;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What ECR does differently. The default is what is known of the real one, except for the numbers that
/// would slow every test down: quotas and the validator's lag are off until asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch"
)]
pub struct EcrBehaviour {
    /// Only `Basic AWS:<password>` with a password from `GetAuthorizationToken`; an expired one is 403.
    pub token_login: bool,
    /// Pushing never creates a repository: 404 `NAME_UNKNOWN`.
    pub repositories_must_exist: bool,
    /// PATCH answers 201, and its `Range` stays at the first part's end.
    pub patch_answers_created: bool,
    /// Parts under so many bytes, other than the last, fail the final PUT. 0: no minimum.
    pub smallest_part: u64,
    /// An interrupted upload cannot be started again from its first byte: 416.
    pub refuses_restart: bool,
    /// A blob of no bytes is an error (500).
    pub refuses_empty_blobs: bool,
    /// The answer to a manifest PUT has no `Location`.
    pub no_manifest_location: bool,
    /// The account setting `BLOB_MOUNTING`.
    pub blob_mounting: bool,
    /// Only blobs that a manifest of the source repository refers to can be mounted.
    pub mount_needs_manifest: bool,
    /// An image manifest without layers is 405.
    pub refuses_layerless: bool,
    /// Tags per page above which `tags/list` is an error. 0: no limit.
    pub largest_page: usize,
    /// Longest manifest in bytes. 0: no limit.
    pub largest_manifest: usize,
    /// Manifests that a repository can hold; one more is 403. 0: no limit.
    pub images_per_repository: usize,
    /// How long after its upload a blob is still unknown to the manifest check.
    pub validator_lag: Duration,
    /// Manifest PUTs per second. 0: no limit.
    pub put_image_rate: u32,
    /// Uploads started per second, mount attempts included. 0: no limit.
    pub initiate_rate: u32,
    /// Uploads completed per second. 0: no limit.
    pub complete_rate: u32,
}

impl EcrBehaviour {
    /// A plain registry: to switch on single habits with `..EcrBehaviour::OFF`.
    pub const OFF: Self = Self {
        token_login: false,
        repositories_must_exist: false,
        patch_answers_created: false,
        smallest_part: 0,
        refuses_restart: false,
        refuses_empty_blobs: false,
        no_manifest_location: false,
        blob_mounting: true,
        mount_needs_manifest: false,
        refuses_layerless: false,
        largest_page: 0,
        largest_manifest: 0,
        images_per_repository: 0,
        validator_lag: Duration::ZERO,
        put_image_rate: 0,
        initiate_rate: 0,
        complete_rate: 0,
    };

    /// With the default quotas of an account: 10 manifests, 100 starts and 100 completions a second.
    #[must_use]
    pub fn with_quotas(self) -> Self {
        Self {
            put_image_rate: 10,
            initiate_rate: 100,
            complete_rate: 100,
            ..self
        }
    }
}

impl Default for EcrBehaviour {
    fn default() -> Self {
        Self {
            token_login: true,
            repositories_must_exist: true,
            patch_answers_created: true,
            smallest_part: 5 * 1024 * 1024,
            refuses_restart: true,
            refuses_empty_blobs: true,
            no_manifest_location: true,
            blob_mounting: false,
            mount_needs_manifest: true,
            refuses_layerless: true,
            largest_page: 1000,
            largest_manifest: 4_194_304,
            ..Self::OFF
        }
    }
}

/// Token buckets, one per API action, each holding one second's worth.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<HashMap<&'static str, (f64, Instant)>>);

impl Limits {
    /// Takes a token, or refuses as ECR does.
    pub(super) fn take(&self, action: &'static str, per_second: u32) -> Result<(), Refusal> {
        if per_second == 0 {
            return Ok(());
        }
        let rate = f64::from(per_second);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, at) = buckets.entry(action).or_insert((rate, Instant::now()));
        *tokens = (*tokens + at.elapsed().as_secs_f64() * rate).min(rate);
        *at = Instant::now();
        if *tokens < 1.0 {
            return Err(Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                "TOOMANYREQUESTS",
                "Rate exceeded",
            ));
        }
        *tokens -= 1.0;
        Ok(())
    }
}
