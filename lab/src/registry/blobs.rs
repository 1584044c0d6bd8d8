//! Reading and removing blobs.

use super::Core;
use super::answer::Refusal;
use super::route::{Noun, Route, valid_digest};
use super::store::Blob;
use crate::server::body::{Body, streamed};
use crate::server::{bare, header, set};
use futures_util::stream;
use hyper::{Request, Response, StatusCode};
use std::ops::Range;

impl Core {
    pub(super) fn head_blob(&self, route: &Route) -> Result<Response<Body>, Refusal> {
        let blob = self.find_blob(route)?;
        Ok(described(bare(StatusCode::OK), route, blob.size))
    }

    pub(super) fn get_blob(
        &self,
        route: &Route,
        request: &Request<Body>,
    ) -> Result<Response<Body>, Refusal> {
        let blob = self.find_blob(route)?;
        let asked = header(request.headers(), "range").filter(|_| self.ranges);
        let range = match asked
            .as_deref()
            .and_then(|asked| parse_range(asked, blob.size))
        {
            Some(Ok(range)) => Some(range),
            Some(Err(())) => {
                return Err(Refusal::new(
                    StatusCode::RANGE_NOT_SATISFIABLE,
                    "RANGE_INVALID",
                    "out of range",
                )
                .header("content-range", format!("bytes */{}", blob.size)));
            }
            None => None,
        };
        let bytes = range.clone().unwrap_or(0..blob.size);
        let length = bytes.end - bytes.start;
        let Some(pieces) = self.store.pieces(&route.reference, &blob, bytes)? else {
            let message = "the lab counts this blob and does not keep it";
            return Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "UNKNOWN",
                message,
            ));
        };
        let response = described(Response::new(streamed(stream::iter(pieces))), route, length);
        Ok(match range {
            Some(Range { start, end }) => {
                let content_range = format!("bytes {start}-{}/{}", end - 1, blob.size);
                let mut response = set(response, "content-range", &content_range);
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                response
            }
            None => response,
        })
    }

    /// Serves a blob whose address was given away, as a presigned URL is.
    pub(crate) fn download(
        &self,
        repository: &str,
        digest: &str,
        request: &Request<Body>,
    ) -> Response<Body> {
        let (name, reference) = (repository.to_owned(), digest.to_owned());
        let route = Route {
            noun: Noun::Blob,
            name,
            reference,
        };
        self.get_blob(&route, request)
            .unwrap_or_else(Response::from)
    }

    pub(super) fn delete_blob(&self, route: &Route) -> Result<Response<Body>, Refusal> {
        self.find_blob(route)?;
        self.store
            .state()
            .repository(&route.name)
            .blobs
            .remove(&route.reference);
        Ok(bare(StatusCode::ACCEPTED))
    }

    fn find_blob(&self, route: &Route) -> Result<Blob, Refusal> {
        if !valid_digest(&route.reference) {
            return Err(Refusal::bad(
                "DIGEST_INVALID",
                format!("{} is not a digest", route.reference),
            ));
        }
        let state = self.store.state();
        let unknown = || {
            Refusal::missing(
                "NAME_UNKNOWN",
                format!("repository {} is not known", route.name),
            )
        };
        let repository = state.repositories.get(&route.name).ok_or_else(unknown)?;
        let unknown = || {
            Refusal::missing(
                "BLOB_UNKNOWN",
                format!("blob {} is not known", route.reference),
            )
        };
        repository
            .blobs
            .get(&route.reference)
            .cloned()
            .ok_or_else(unknown)
    }
}

fn described(response: Response<Body>, route: &Route, length: u64) -> Response<Body> {
    [
        ("content-type", "application/octet-stream"),
        ("content-length", length.to_string().as_str()),
        ("docker-content-digest", route.reference.as_str()),
        ("accept-ranges", "bytes"),
        ("etag", &format!("\"{}\"", route.reference)),
    ]
    .into_iter()
    .fold(response, |response, (name, value)| {
        set(response, name, value)
    })
}

/// The single byte range of a `Range` header: nothing if it is to be ignored, an error if there are
/// no such bytes.
fn parse_range(header: &str, size: u64) -> Option<Result<Range<u64>, ()>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let range = if first.is_empty() {
        size.saturating_sub(last.parse().ok()?)..size
    } else {
        let end = if last.is_empty() {
            size
        } else {
            last.parse::<u64>().ok()?.saturating_add(1).min(size)
        };
        first.parse().ok()?..end
    };
    Some(if range.start < range.end {
        Ok(range)
    } else {
        Err(())
    })
}

#[cfg(test)]
mod tests {
    use super::parse_range;

    #[test]
    fn ranges_are_read_as_http_means_them() {
        assert_eq!(parse_range("bytes=0-0", 10), Some(Ok(0..1)));
        assert_eq!(parse_range("bytes=4-", 10), Some(Ok(4..10)));
        assert_eq!(parse_range("bytes=-3", 10), Some(Ok(7..10)));
        assert_eq!(parse_range("bytes=5-99", 10), Some(Ok(5..10)));
        assert_eq!(parse_range("bytes=10-", 10), Some(Err(())));
        assert_eq!(parse_range("bytes=1-2,4-5", 10), None);
    }
}
