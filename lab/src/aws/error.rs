//! Errors, in the shapes that the SDKs parse.

use super::service::Service;
use crate::server::body::Body;
use crate::server::{set, with_body};
use crate::text::xml_escape;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// Why a call is refused.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    status: u16,
    code: String,
    message: String,
    retry_after: Option<u64>,
}

const JSON: &str = "application/x-amz-json-1.1";

impl Failure {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            retry_after: None,
        }
    }

    /// The same with a `Retry-After` of so many seconds.
    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(super) fn respond(&self, service: Service) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let (code, message) = (xml_escape(&self.code), xml_escape(&self.message));
        let fields = format!("<Code>{code}</Code><Message>{message}</Message>");
        let answer = match service {
            Service::Ecr
            | Service::Secrets
            | Service::CodeBuild
            | Service::Kms
            | Service::Quotas => {
                let body = json!({"__type": self.code, "message": self.message}).to_string();
                set(
                    with_body(status, JSON, body),
                    "x-amzn-errortype",
                    &self.code,
                )
            }
            Service::Ec2 => {
                let error = format!("<Errors><Error>{fields}</Error></Errors>");
                xml_answer(status, &format!("<Response>{error}</Response>"))
            }
            Service::Sts | Service::Iam => {
                let error = format!("<Error><Type>Sender</Type>{fields}</Error>");
                xml_answer(
                    status,
                    &format!("<ErrorResponse>{error}<RequestId>lab</RequestId></ErrorResponse>"),
                )
            }
            Service::S3 => xml_answer(
                status,
                &format!("<Error>{fields}<RequestId>lab</RequestId></Error>"),
            ),
        };
        match self.retry_after {
            Some(seconds) => set(answer, "retry-after", &seconds.to_string()),
            None => answer,
        }
    }
}

pub(super) fn json_answer(output: &Value) -> Response<Body> {
    with_body(StatusCode::OK, JSON, output.to_string())
}

pub(super) fn xml_answer(status: StatusCode, xml: &str) -> Response<Body> {
    with_body(
        status,
        "application/xml",
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{xml}"),
    )
}
