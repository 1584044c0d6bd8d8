//! Errors of AWS calls.

use std::fmt;
use std::time::Duration;

use aws_sdk_ecr::config::http::HttpResponse;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use reqwest::header::{DATE, HeaderValue, RETRY_AFTER};

use oci_copy::http::{self, Class};
use oci_copy::remedy::Remedy;

use super::call::service;

/// AWS's error codes for "too many requests". ECR's `LimitExceededException` and CodeBuild's
/// `AccountLimitExceededException` are quotas, for which waiting does not help. The list is that of the AWS SDKs'
/// standard retry mode
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>).
const THROTTLING: [&str; 14] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

/// Transient errors, with any status: besides those of the standard retry mode, S3's code for "another operation
/// on this bucket is in progress".
const TRANSIENT: [&str; 9] = [
    "IDPCommunicationError",
    "InternalError",
    "InternalFailure",
    "InternalServiceError",
    "OperationAborted",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServerException",
    "ServiceUnavailable",
];

/// An AWS call that failed.
#[derive(Debug)]
pub struct Error {
    action: &'static str,
    resource: String,
    code: Option<String>,
    status: Option<u16>,
    message: String,
    class: Class,
}

impl Error {
    pub(super) fn new<E>(
        action: &'static str,
        resource: &str,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let metadata = error.as_service_error().map(ProvideErrorMetadata::meta);
        let code = metadata.and_then(|metadata| metadata.code().map(str::to_owned));
        let message = metadata.and_then(|metadata| metadata.message().map(str::to_owned));
        let message = message.unwrap_or_else(|| explained(chain(error)));
        let response = error.raw_response();
        let status = response.map(|response| response.status().as_u16());
        let class = match error {
            SdkError::ServiceError(_) => {
                let wait = response.and_then(retry_after);
                classify(action, code.as_deref(), status.unwrap_or_default(), wait)
            }
            // The response broke off, or is invalid.
            SdkError::TimeoutError(_) | SdkError::ResponseError(_) => Class::Transient(None),
            SdkError::DispatchFailure(_) if is_untrusted(&message) => Class::Permanent,
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
                Class::Transient(None)
            }
            _ => Class::Permanent,
        };
        Self {
            action,
            resource: resource.to_owned(),
            code,
            status,
            message,
            class,
        }
    }

    /// The same with what the call went to, which a response of the service makes clear by itself: host, region and
    /// profile.
    pub(super) fn at(mut self, place: &str) -> Self {
        if self.status.is_none() {
            self.message = format!("{} ({place})", self.message);
        }
        self
    }

    /// An error that a service returned.
    #[cfg(test)]
    pub(super) fn service(action: &'static str, resource: &str, code: &str, status: u16) -> Self {
        let code = Some(code.to_owned()).filter(|code| !code.is_empty());
        Self {
            class: classify(action, code.as_deref(), status, None),
            code,
            status: Some(status),
            ..Self::incomplete(action, resource, "")
        }
    }

    /// An error that a service returned to a signed call.
    pub(super) fn of_service(
        action: &'static str,
        resource: &str,
        (code, status): (Option<String>, u16),
        message: String,
        wait: Option<Duration>,
    ) -> Self {
        Self {
            class: classify(action, code.as_deref(), status, wait),
            code,
            status: Some(status),
            ..Self::incomplete(action, resource, message)
        }
    }

    /// An incomplete response.
    pub(super) fn broken(action: &'static str, resource: &str, message: impl Into<String>) -> Self {
        Self {
            class: Class::Transient(None),
            ..Self::incomplete(action, resource, message)
        }
    }

    /// A response that lacks a required field.
    pub(super) fn incomplete(
        action: &'static str,
        resource: &str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            action,
            resource: resource.to_owned(),
            code: None,
            status: None,
            message: message.into(),
            class: Class::Permanent,
        }
    }

    /// A refusal that only the status shows, with our message.
    pub(super) fn refused(
        action: &'static str,
        resource: &str,
        message: &str,
        status: u16,
    ) -> Self {
        Self {
            status: Some(status),
            ..Self::incomplete(action, resource, message)
        }
    }

    pub(super) fn region(region: &str, why: String) -> Self {
        Self {
            action: "region",
            resource: region.to_owned(),
            code: None,
            status: None,
            message: why,
            class: Class::Permanent,
        }
    }

    /// AWS's error code, such as `AccessDeniedException`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The status of the response, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Whether a retry can help.
    pub(super) fn class(&self) -> Class {
        self.class
    }

    /// Whether AWS understood the request and refuses it, so that a retry does not help.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let is_refused = |status| matches!(status, 400..=499 | 501);
        self.status.is_some_and(is_refused) && self.class == Class::Permanent
    }

    /// What a user can do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self.code() {
            Some(code) if code.starts_with("AccessDenied") || code == "UnauthorizedOperation" => {
                Some(
                    "the role lacks this permission on this resource; modulestack.yaml lists what the module needs",
                )
            }
            Some(
                "ExpiredTokenException"
                | "ExpiredToken"
                | "UnrecognizedClientException"
                | "InvalidClientTokenId",
            ) => Some("the AWS credentials are not valid (any more); renew them"),
            None if self.message.contains(SSO) => Some(
                "let the AWS CLI get its credentials: eval \"$(aws configure export-credentials --profile NAME --format \
                 env)\", or give another profile `credential_process = aws configure export-credentials --profile NAME`",
            ),
            None if is_untrusted(&self.message) => Some(crate::hint::text(Remedy::Untrusted)),
            None if self.message.contains("tunnel error") => Some(crate::hint::text(Remedy::Proxy)),
            None if self.message.contains("credential") => Some(
                "no AWS credentials were found: set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ),
            _ => None,
        }
    }
}

/// What a profile needs that is not built in: the SDK's clients for it take longer to compile than they are worth
/// (`docs/internals/surface.md`).
const SSO: &str =
    "logs in with IAM Identity Center (SSO), which this program does not do by itself";

/// The SDK's words about a profile that it cannot use, without those that only its developers understand.
pub(super) fn explained(message: String) -> String {
    let lacks = |feature: &str| message.contains(&format!("feature(s) enabled: {feature}"));
    if lacks("sso") || lacks("credentials-login") {
        return format!("the profile {SSO}");
    }
    message
}

/// Whether the TLS library refuses the certificate of a host: it says so in words only.
fn is_untrusted(message: &str) -> bool {
    message.contains("invalid peer certificate")
}

fn classify(
    action: &'static str,
    code: Option<&str>,
    status: u16,
    wait: Option<Duration>,
) -> Class {
    let code = code.unwrap_or_default();
    // For a response without a body, only the status shows S3's "slow down".
    let is_slow_down = status == 503 && service(action) == "s3";
    if status == 429 || is_slow_down || THROTTLING.contains(&code) {
        Class::Throttled(wait)
    } else if matches!(status, 408 | 425 | 500 | 502..=599) || TRANSIENT.contains(&code) {
        Class::Transient(wait)
    } else {
        Class::Permanent
    }
}

/// The wait that a response asks for.
fn retry_after(response: &HttpResponse) -> Option<Duration> {
    // With the response's date, for a `Retry-After` that is a date.
    let headers = [RETRY_AFTER, DATE].into_iter().filter_map(|name| {
        let text = response.headers().get(name.as_str())?;
        Some((name, HeaderValue::from_str(text).ok()?))
    });
    http::retry_after(&headers.collect())
}

/// The whole chain in one line, without repetitions.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let level = error.to_string();
        if !text.contains(&level) {
            text = format!("{text}: {level}");
        }
        cause = error.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action)?;
        if !self.resource.is_empty() {
            write!(f, " {}", self.resource)?;
        }
        if let Some(code) = &self.code {
            write!(f, ": {code}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Error {}
