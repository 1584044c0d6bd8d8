//! What goes wrong with an AWS call.

use std::fmt;

use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};

/// An AWS call that failed.
#[derive(Debug)]
pub struct Error {
    action: &'static str,
    resource: String,
    code: Option<String>,
    message: String,
}

impl Error {
    pub(super) fn new<E, R>(action: &'static str, resource: &str, error: &SdkError<E, R>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
        R: fmt::Debug + Send + Sync + 'static,
    {
        let metadata = error.as_service_error().map(ProvideErrorMetadata::meta);
        let code = metadata.and_then(|metadata| metadata.code().map(str::to_owned));
        let message = metadata.and_then(|metadata| metadata.message().map(str::to_owned));
        let message = message.unwrap_or_else(|| chain(error));
        Self {
            action,
            resource: resource.to_owned(),
            code,
            message,
        }
    }

    /// An answer that lacks what it must have.
    pub(super) fn answer(action: &'static str, resource: &str, message: impl Into<String>) -> Self {
        Self {
            action,
            resource: resource.to_owned(),
            code: None,
            message: message.into(),
        }
    }

    pub(super) fn region(region: &str, why: String) -> Self {
        Self {
            action: "region",
            resource: region.to_owned(),
            code: None,
            message: why,
        }
    }

    /// AWS's word for what is wrong, such as `AccessDeniedException`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
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
            None if self.message.contains("credential") => Some(
                "no AWS credentials were found: set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ),
            _ => None,
        }
    }
}

/// The whole chain in one line, each thing once.
fn chain(error: &dyn std::error::Error) -> String {
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
