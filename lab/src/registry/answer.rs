//! From a request to its answer: login, route, handler, and errors in the OCI shape.

use super::Core;
use super::route::{Noun, Route};
use crate::server::body::Body;
use crate::server::{bare, named, set, with_body};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use std::io;
use std::sync::Arc;

/// Why a request is not served.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    /// 400.
    pub(super) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 404.
    pub(super) fn missing(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "UNKNOWN",
            error.to_string(),
        )
    }
}

impl From<Refusal> for Response<Body> {
    fn from(refusal: Refusal) -> Self {
        let error = json!({"code": refusal.code, "message": refusal.message, "detail": null});
        let body = json!({ "errors": [error] }).to_string();
        let response = with_body(refusal.status, "application/json", body);
        refusal
            .headers
            .iter()
            .fold(response, |response, (name, value)| {
                set(response, name, value)
            })
    }
}

/// Answers one request.
pub(super) async fn respond(core: Arc<Core>, request: Request<Body>) -> Response<Body> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let Some(route) = Route::parse(&path) else {
        return Refusal::missing("NOT_FOUND", format!("no route for {path}")).into();
    };
    let action = route.action(&method, request.uri().query().unwrap_or_default());
    let response = handle(&core, &route, request)
        .await
        .unwrap_or_else(Response::from);
    named(response, action)
}

async fn handle(
    core: &Arc<Core>,
    route: &Route,
    request: Request<Body>,
) -> Result<Response<Body>, Refusal> {
    if route.noun == Noun::Token {
        return core.token(request).await;
    }
    let access = core.admit(&request, route)?;
    let method = request.method().clone();
    match (route.noun, method) {
        (Noun::Ping, _) => Ok(set(
            bare(StatusCode::OK),
            "docker-distribution-api-version",
            "registry/2.0",
        )),
        (Noun::Catalog, Method::GET) => Ok(core.list_repositories(&request)),
        (Noun::Tags, Method::GET) => core.list_tags(route, &request),
        (Noun::Manifest, Method::GET) => core.get_manifest(route, true),
        (Noun::Manifest, Method::HEAD) => core.get_manifest(route, false),
        (Noun::Manifest, Method::PUT) => core.put_manifest(route, request).await,
        (Noun::Manifest, Method::DELETE) => core.delete_manifest(route),
        (Noun::Blob, Method::GET) => core.get_blob(route, &request),
        (Noun::Blob, Method::HEAD) => core.head_blob(route),
        (Noun::Blob, Method::DELETE) => core.delete_blob(route),
        (Noun::Uploads, Method::POST) => core.start_upload(route, request, &access).await,
        (Noun::Upload, Method::PATCH) => core.append_upload(route, request).await,
        (Noun::Upload, Method::PUT) => core.finish_upload(route, request).await,
        (Noun::Upload, Method::GET) => core.upload_status(route).await,
        (Noun::Upload, Method::DELETE) => core.cancel_upload(route),
        (Noun::Referrers, Method::GET) => core.list_referrers(route, &request),
        (_, method) => {
            let message = format!("{method} is not possible here");
            Err(Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "UNSUPPORTED",
                message,
            ))
        }
    }
}
