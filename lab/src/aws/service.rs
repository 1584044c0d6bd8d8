//! Which service a request is for, and its answer.

use super::account::Account;
use super::error::{self, Failure};
use super::query::{self, Form};
use super::{Call, codebuild, ecr, kms, quotas, s3, secrets};
use crate::server::body::{Body, collect};
use crate::server::{header, named};
use hyper::{Request, Response};
use serde_json::Value;
use std::sync::Arc;

/// Which protocol a request speaks; errors have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Ecr,
    Secrets,
    CodeBuild,
    Kms,
    Quotas,
    Sts,
    Iam,
    Ec2,
    S3,
}

impl Service {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ecr => "ecr",
            Self::Secrets => "secretsmanager",
            Self::CodeBuild => "codebuild",
            Self::Kms => "kms",
            Self::Quotas => "servicequotas",
            Self::Sts => "sts",
            Self::Iam => "iam",
            Self::Ec2 => "ec2",
            Self::S3 => "s3",
        }
    }
}

/// Answers an action of the services that speak JSON.
type Handle = fn(&Account, &str, &Value) -> Result<Value, Failure>;
/// What such an action is about.
type Resource = fn(&Value) -> String;

/// The service behind the prefix of an `X-Amz-Target`.
fn json_service(prefix: &str) -> (Service, Handle, Resource) {
    match prefix {
        "AmazonEC2ContainerRegistry_V20150921" => (Service::Ecr, ecr::handle, ecr::resource),
        "TrentService" => (Service::Kms, kms::handle, kms::resource),
        "ServiceQuotasV20190624" => (Service::Quotas, quotas::handle, quotas::resource),
        "CodeBuild_20161006" => (Service::CodeBuild, codebuild::handle, codebuild::resource),
        _ => (Service::Secrets, secrets::handle, secrets::resource),
    }
}

/// Answers a request and records the call.
pub(super) async fn respond(account: Arc<Account>, request: Request<Body>) -> Response<Body> {
    if let Some(response) = account.download_layer(&request) {
        return named(response, "ecr:download");
    }
    let (head, body) = request.into_parts();
    let Ok(body) = collect(body).await else {
        return Failure::new(400, "IncompleteBody", "the body ended early").respond(Service::S3);
    };
    let target = header(&head.headers, "x-amz-target").unwrap_or_default();
    let (service, action, resource, result) = if let Some((prefix, action)) = target.split_once('.')
    {
        let input = serde_json::from_slice(&body).unwrap_or_default();
        let (service, handle, resource) = json_service(prefix);
        tokio::time::sleep(account.pause(action)).await;
        let result = account
            .admitted(service, action)
            .and_then(|()| handle(&account, action, &input));
        (
            service,
            action.to_owned(),
            resource(&input),
            result
                .as_ref()
                .map(error::json_answer)
                .map_err(Clone::clone),
        )
    } else if query::is_query(&head) {
        let form = Form::read(&body);
        let (service, action) = (form.service(), form.get("Action").to_owned());
        tokio::time::sleep(account.pause(&action)).await;
        let result = account
            .admitted(service, &action)
            .and_then(|()| form.respond(&account));
        (service, action, form.resource(), result)
    } else {
        let question = s3::Question::read(&head);
        let action = question.action();
        tokio::time::sleep(account.pause(&action)).await;
        let result = account
            .admitted(Service::S3, &action)
            .and_then(|()| question.respond(&account, &body));
        (Service::S3, action, question.resource(), result)
    };
    let response = result.unwrap_or_else(|failure| failure.respond(service));
    let response = account.dated(response);
    let status = response.status().as_u16();
    let name = format!("{}:{action}", service.name());
    account.state().calls.push(Call {
        service: service.name(),
        action,
        resource,
        status,
    });
    named(response, name)
}
