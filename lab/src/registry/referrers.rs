//! The referrers API: what refers to a manifest as its subject.

use super::Core;
use super::answer::Refusal;
use super::manifests::References;
use super::route::Route;
use crate::content::Descriptor;
use crate::server::body::Body;
use crate::server::{set, with_body};
use crate::text;
use hyper::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};

impl Core {
    pub(super) fn list_referrers(
        &self,
        route: &Route,
        request: &Request<Body>,
    ) -> Result<Response<Body>, Refusal> {
        if !self.referrers {
            return Err(Refusal::missing(
                "NOT_FOUND",
                "this registry has no referrers API",
            ));
        }
        let wanted = text::pair(request.uri().query().unwrap_or_default(), "artifactType");
        let state = self.store.state();
        let manifests = state
            .repositories
            .get(&route.name)
            .map(|repository| &repository.manifests);
        let mut referrers: Vec<Descriptor> = manifests
            .into_iter()
            .flatten()
            .filter_map(|(digest, manifest)| {
                let references = References::parse(&manifest.bytes).ok()?;
                (references.subject.as_ref()?.digest == route.reference).then(|| {
                    describe(
                        digest,
                        manifest.bytes.len() as u64,
                        &manifest.media_type,
                        references,
                    )
                })
            })
            .filter(|referrer| {
                wanted
                    .as_ref()
                    .is_none_or(|wanted| referrer.more.get("artifactType") == Some(&json!(wanted)))
            })
            .collect();
        referrers.sort_by(|a, b| a.digest.cmp(&b.digest));
        let start = text::pair(request.uri().query().unwrap_or_default(), "start");
        let start = start.and_then(|start| start.parse().ok()).unwrap_or(0);
        let rest = referrers.split_off(referrers.len().min(start));
        let (page, more) = rest.split_at(rest.len().min(self.referrers_per_page));
        let referrers = page;
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": referrers});
        let response = with_body(StatusCode::OK, media_type, index.to_string());
        let response = if more.is_empty() {
            response
        } else {
            let (path, start) = (request.uri().path(), start + page.len());
            let link = format!("<https://registry.example{path}?start={start}>; rel=\"next\"");
            set(response, "link", &link)
        };
        Ok(if wanted.is_some() {
            set(response, "oci-filters-applied", "artifactType")
        } else {
            response
        })
    }
}

/// A referrer as the index of referrers lists it.
fn describe(digest: &str, size: u64, media_type: &str, references: References) -> Descriptor {
    let artifact_type = references
        .artifact_type
        .or_else(|| references.config.map(|config| config.media_type));
    let mut more = Map::new();
    more.extend(
        artifact_type.map(|artifact_type| ("artifactType".to_owned(), Value::from(artifact_type))),
    );
    if !references.annotations.is_null() {
        more.insert("annotations".to_owned(), references.annotations);
    }
    Descriptor {
        media_type: media_type.to_owned(),
        digest: digest.to_owned(),
        size,
        more,
    }
}
