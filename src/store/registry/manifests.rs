//! Manifests of a registry: found, read, written.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};

use crate::oci::{MAX_MANIFEST, Manifest, media_type};
use crate::reference::Digest;
use crate::settings::Action;

use super::auth::Access;
use super::{Error, Repository, Stored, Which, found};

/// The header with a manifest's digest.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// The header by which a registry says that it will list a manifest among its subject's referrers.
const SUBJECT: &str = "oci-subject";

impl Repository {
    pub(super) async fn find_manifest(
        &self,
        which: &Which,
        access: Access,
    ) -> Result<Option<Digest>, Error> {
        let url = self.url(&format!("manifests/{which}")).await?;
        let head =
            |client: &reqwest::Client| client.head(url.clone()).header(ACCEPT, media_type::ACCEPT);
        let Some(response) = found(self.send(Action::GetManifest, access, head).await)? else {
            return Ok(None);
        };
        match (digest_header(response.headers()), which) {
            (Some(digest), _) => Ok(Some(digest)),
            (None, Which::Digest(digest)) => Ok(Some(digest.clone())),
            // An old registry: the content itself has to say.
            (None, Which::Tag(_)) => Ok(self
                .read_manifest(which, access)
                .await?
                .map(|manifest| manifest.digest)),
        }
    }

    pub(super) async fn read_manifest(
        &self,
        which: &Which,
        access: Access,
    ) -> Result<Option<Manifest>, Error> {
        let http = &self.registry.http;
        let url = self.url(&format!("manifests/{which}")).await?;
        let get =
            |client: &reqwest::Client| client.get(url.clone()).header(ACCEPT, media_type::ACCEPT);
        let Some(response) = found(self.send(Action::GetManifest, access, get).await)? else {
            return Ok(None);
        };
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|text| text.to_str().ok())
            .map(str::to_owned);
        let promised = match which {
            Which::Digest(digest) => Some(digest.clone()),
            Which::Tag(_) => digest_header(response.headers()),
        };
        let bytes = http.body(response, MAX_MANIFEST).await?;
        if let Some(wanted) = promised {
            let mut hasher = wanted.hasher();
            hasher.update(&bytes);
            let found = hasher.finish();
            if found != wanted {
                return Err(Error::Digest { wanted, found });
            }
        }
        let digest = Digest::of(&bytes);
        let manifest = Manifest::parse(content_type.as_deref(), bytes);
        manifest
            .map(Some)
            .map_err(|source| Error::Manifest { digest, source })
    }

    pub(super) async fn write_manifest(
        &self,
        which: &Which,
        manifest: &Manifest,
    ) -> Result<Stored, Error> {
        let url = self.url(&format!("manifests/{which}")).await?;
        let put = |client: &reqwest::Client| {
            client
                .put(url.clone())
                .header(CONTENT_TYPE, &manifest.media_type)
                .body(manifest.bytes.clone())
        };
        // No look at Location: ECR sends none.
        match (
            self.send(Action::PutManifest, Access::Push, put).await,
            which,
        ) {
            (Ok(response), _) if response.headers().contains_key(SUBJECT) => Ok(Stored::Linked),
            (Ok(_), _) => Ok(Stored::Plain),
            // ECR refuses to write a tag that cannot move even with the content it has, so a write whose
            // answer was lost looks like a conflict. Only another digest is one.
            (Err(Error::Http(error)), Which::Tag(_)) if error.has_code("TAG_INVALID") => {
                match self.find_manifest(which, Access::Push).await? {
                    Some(digest) if digest == manifest.digest => Ok(Stored::Plain),
                    _ => Err(error.into()),
                }
            }
            (Err(error), _) => Err(error),
        }
    }
}

fn digest_header(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}
