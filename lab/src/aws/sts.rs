//! STS, which speaks the query protocol: a form in, XML out.

use super::account::Account;
use super::error::{Failure, xml_answer};
use crate::server::body::Body;
use crate::server::header;
use crate::text::{pair, xml_escape};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

/// Whether a request speaks the query protocol.
pub(super) fn is_query(head: &Parts) -> bool {
    let content_type = header(&head.headers, "content-type").unwrap_or_default();
    content_type.starts_with("application/x-www-form-urlencoded")
}

pub(super) fn action(body: &[u8]) -> String {
    pair(&String::from_utf8_lossy(body), "Action").unwrap_or_default()
}

pub(super) fn handle(account: &Account, action: &str) -> Result<Response<Body>, Failure> {
    if action != "GetCallerIdentity" {
        return Err(Failure::new(
            400,
            "InvalidAction",
            format!("the lab has no {action}"),
        ));
    }
    let result = format!(
        "<GetCallerIdentityResult><Arn>{}</Arn><UserId>AIDALAB</UserId><Account>{}</Account></GetCallerIdentityResult>",
        xml_escape(&account.arn),
        account.number,
    );
    let metadata = "<ResponseMetadata><RequestId>lab</RequestId></ResponseMetadata>";
    let namespace = "https://sts.amazonaws.com/doc/2011-06-15/";
    let response = format!(
        "<GetCallerIdentityResponse xmlns=\"{namespace}\">{result}{metadata}</GetCallerIdentityResponse>"
    );
    Ok(xml_answer(StatusCode::OK, &response))
}
