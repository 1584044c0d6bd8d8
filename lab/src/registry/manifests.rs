//! Manifests and tags.

use super::Core;
use super::answer::Refusal;
use super::route::{Route, valid_digest, valid_name, valid_tag};
use super::store::Repository;
use crate::content::{Descriptor, digest_like, digest_of};
use crate::server::body::{Body, collect};
use crate::server::{bare, header, set, with_body};
use crate::text;
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a manifest or an index refers to.
#[derive(Debug)]
pub(crate) struct References {
    pub(crate) media_type: Option<String>,
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: Value,
    pub(crate) config: Option<Descriptor>,
    /// The config and the layers.
    pub(crate) blobs: Vec<Descriptor>,
    /// The manifests of an index.
    pub(crate) children: Vec<Descriptor>,
    pub(crate) subject: Option<Descriptor>,
    layerless_image: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parsed {
    media_type: Option<String>,
    artifact_type: Option<String>,
    #[serde(default)]
    annotations: Value,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
}

/// The most repositories on a page of the catalog: few, so that there are several pages.
const CATALOG_PAGE: usize = 3;

impl References {
    pub(crate) fn parse(manifest: &[u8]) -> serde_json::Result<Self> {
        let parsed: Parsed = serde_json::from_slice(manifest)?;
        let layers = parsed.layers.unwrap_or_default();
        Ok(Self {
            media_type: parsed.media_type,
            artifact_type: parsed.artifact_type,
            annotations: parsed.annotations,
            layerless_image: parsed.manifests.is_none() && layers.is_empty(),
            blobs: parsed.config.iter().cloned().chain(layers).collect(),
            config: parsed.config,
            children: parsed.manifests.unwrap_or_default(),
            subject: parsed.subject,
        })
    }

    /// The blobs that must be in the repository: layers that may not be distributed need not.
    pub(super) fn required_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let foreign = |media_type: &str| {
            media_type.contains("nondistributable") || media_type.contains("foreign")
        };
        self.blobs
            .iter()
            .filter(move |blob| !foreign(&blob.media_type))
    }
}

impl Core {
    pub(super) fn get_manifest(
        &self,
        route: &Route,
        with_bytes: bool,
    ) -> Result<Response<Body>, Refusal> {
        let mut state = self.store.state();
        let unknown = || {
            Refusal::missing(
                "NAME_UNKNOWN",
                format!("repository {} is not known", route.name),
            )
        };
        let repository = state.repositories.get_mut(&route.name);
        let repository = repository.ok_or_else(unknown)?;
        let found = repository.manifest(&route.reference);
        let found = found.map(|(digest, _)| digest.to_owned());
        if let Some(digest) = found {
            repository.pull(&digest);
        }
        let unknown = || {
            Refusal::missing(
                "MANIFEST_UNKNOWN",
                format!("manifest {} is not known", route.reference),
            )
        };
        let (digest, manifest) = repository.manifest(&route.reference).ok_or_else(unknown)?;
        let response = if with_bytes {
            with_body(StatusCode::OK, &manifest.media_type, manifest.bytes.clone())
        } else {
            let response = set(bare(StatusCode::OK), "content-type", &manifest.media_type);
            set(
                response,
                "content-length",
                &manifest.bytes.len().to_string(),
            )
        };
        Ok(set(response, "docker-content-digest", digest))
    }

    pub(super) async fn put_manifest(
        &self,
        route: &Route,
        request: Request<Body>,
    ) -> Result<Response<Body>, Refusal> {
        let (name, reference) = (&route.name, &route.reference);
        if !valid_name(name) {
            return Err(Refusal::bad(
                "NAME_INVALID",
                format!("{name} is not a repository name"),
            ));
        }
        if !valid_tag(reference) && !valid_digest(reference) {
            return Err(Refusal::bad(
                "TAG_INVALID",
                format!("{reference} is neither a tag nor a digest"),
            ));
        }
        let content_type = header(request.headers(), "content-type").unwrap_or_default();
        let bytes = collect(request.into_body()).await?;
        self.limits.take("PutImage", self.ecr().put_image_rate)?;
        self.check_repository(name)?;
        let invalid = |why: String| Refusal::bad("MANIFEST_INVALID", why);
        let references = References::parse(&bytes).map_err(|error| invalid(error.to_string()))?;
        if references
            .media_type
            .as_ref()
            .is_some_and(|media_type| *media_type != content_type)
        {
            return Err(invalid(format!(
                "the manifest's mediaType differs from Content-Type {content_type}"
            )));
        }
        let digest = digest_like(reference, &bytes);
        if valid_digest(reference) && digest != *reference {
            let message = format!("the manifest has the digest {digest}, not {reference}");
            return Err(Refusal::bad("DIGEST_INVALID", message));
        }
        let mut state = self.store.state();
        let repository = state.repository(name);
        self.check_ecr_manifest(route, repository, &bytes, &references)?;
        self.check_references(name, repository, &references)?;
        let tag = if valid_digest(reference) {
            ""
        } else {
            reference
        };
        repository.add_manifest(&digest, tag, &content_type, bytes);
        let mut response = set(bare(StatusCode::CREATED), "docker-content-digest", &digest);
        if !self.ecr().no_manifest_location {
            response = self.located(response, &format!("/v2/{name}/manifests/{digest}"));
        }
        if let Some(subject) = references.subject.filter(|_| self.referrers) {
            response = set(response, "oci-subject", &subject.digest);
        }
        Ok(response)
    }

    /// What only ECR minds.
    fn check_ecr_manifest(
        &self,
        route: &Route,
        repository: &Repository,
        bytes: &[u8],
        references: &References,
    ) -> Result<(), Refusal> {
        let ecr = self.ecr();
        if ecr.largest_manifest > 0 && bytes.len() > ecr.largest_manifest {
            return Err(Refusal::bad("MANIFEST_INVALID", "the manifest is too long"));
        }
        if ecr.refuses_layerless && references.layerless_image {
            return Err(Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "UNSUPPORTED",
                "Method Not Allowed",
            ));
        }
        if repository.is_pinned(&route.reference) {
            let message = format!(
                "The image tag '{}' already exists in the '{}' repository and cannot be overwritten \
                 because the repository is immutable.",
                route.reference, route.name
            );
            return Err(Refusal::bad("TAG_INVALID", message));
        }
        let full = ecr.images_per_repository > 0
            && repository.manifests.len() >= ecr.images_per_repository;
        if full && !repository.manifests.contains_key(&digest_of(bytes)) {
            let message = "The repository has reached its limit of images";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "DENIED", message));
        }
        Ok(())
    }

    /// Refuses a manifest whose content has not arrived.
    fn check_references(
        &self,
        name: &str,
        repository: &Repository,
        references: &References,
    ) -> Result<(), Refusal> {
        let ecr = self.ecr();
        let known = |blob: &&Descriptor| {
            let kept = repository.blobs.get(&blob.digest);
            kept.is_some_and(|kept| {
                kept.size == blob.size && kept.since.elapsed() >= ecr.validator_lag
            })
        };
        let missing: Vec<&str> = references
            .required_blobs()
            .filter(|blob| !known(blob))
            .map(|blob| &*blob.digest)
            .collect();
        if !missing.is_empty() {
            let list = missing.join(", ");
            return Err(if ecr.token_login {
                let message = format!(
                    "Layers with digests '[{list}]' required for pushing image into repository with name \
                     '{name}' in the registry do not exist"
                );
                Refusal::bad("BLOB_UPLOAD_UNKNOWN", message)
            } else {
                Refusal::bad(
                    "MANIFEST_BLOB_UNKNOWN",
                    format!("no such blobs of that size: {list}"),
                )
            });
        }
        let known = |child: &&Descriptor| {
            let kept = repository.manifests.get(&child.digest);
            kept.is_some_and(|kept| kept.bytes.len() as u64 == child.size)
        };
        let missing: Vec<&str> = references
            .children
            .iter()
            .filter(|child| !known(child))
            .map(|child| &*child.digest)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!(
            "Images with digests '[{}]' required for this index do not exist",
            missing.join(", ")
        );
        Err(Refusal::bad("MANIFEST_UNKNOWN", message))
    }

    pub(super) fn delete_manifest(&self, route: &Route) -> Result<Response<Body>, Refusal> {
        if self
            .store
            .state()
            .repository(&route.name)
            .remove_manifest(&route.reference)
        {
            return Ok(bare(StatusCode::ACCEPTED));
        }
        Err(Refusal::missing(
            "MANIFEST_UNKNOWN",
            format!("manifest {} is not known", route.reference),
        ))
    }

    /// The names of all repositories, page by page.
    pub(super) fn list_repositories(&self, request: &Request<Body>) -> Response<Body> {
        let query = request.uri().query().unwrap_or_default();
        let n: Option<usize> = text::pair(query, "n").and_then(|n| n.parse().ok());
        let last = text::pair(query, "last").unwrap_or_default();
        let state = self.store.state();
        let names = state.repositories.keys();
        let mut after: Vec<&String> = names
            .filter(|name| last.is_empty() || **name > last)
            .collect();
        after.sort();
        let most = n.unwrap_or(CATALOG_PAGE).min(CATALOG_PAGE);
        let page = &after[..most.min(after.len())];
        let body = json!({"repositories": page}).to_string();
        let response = with_body(StatusCode::OK, "application/json", body);
        match page.last() {
            Some(last) if page.len() < after.len() => set(
                response,
                "link",
                &format!("</v2/_catalog?n={}&last={last}>; rel=\"next\"", page.len()),
            ),
            _ => response,
        }
    }

    pub(super) fn list_tags(
        &self,
        route: &Route,
        request: &Request<Body>,
    ) -> Result<Response<Body>, Refusal> {
        let query = request.uri().query().unwrap_or_default();
        let largest = self.ecr().largest_page;
        let n: Option<usize> = text::pair(query, "n").and_then(|n| n.parse().ok());
        if largest > 0 && n.is_some_and(|n| n > largest) {
            return Err(Refusal::bad(
                "UNSUPPORTED",
                format!("n is at most {largest}"),
            ));
        }
        let last = text::pair(query, "last").unwrap_or_default();
        let state = self.store.state();
        let unknown = || {
            Refusal::missing(
                "NAME_UNKNOWN",
                format!("repository {} is not known", route.name),
            )
        };
        let repository = state.repositories.get(&route.name).ok_or_else(unknown)?;
        let after: Vec<&String> = repository
            .tags
            .keys()
            .filter(|tag| last.is_empty() || **tag > last)
            .collect();
        let page = &after[..n.unwrap_or(after.len()).min(after.len())];
        let body = json!({"name": route.name, "tags": page}).to_string();
        let response = with_body(StatusCode::OK, "application/json", body);
        Ok(match (page.last(), n) {
            (Some(last), Some(n)) if page.len() < after.len() => set(
                response,
                "link",
                &format!(
                    "</v2/{}/tags/list?n={n}&last={last}>; rel=\"next\"",
                    route.name
                ),
            ),
            _ => response,
        })
    }
}
