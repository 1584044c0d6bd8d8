//! What refers to manifests of a registry: its own list, the tag that stands in for one, and tags
//! whose names say what they are about.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use url::Url;

use crate::http;
use crate::oci::{Descriptor, MAX_MANIFEST, Manifest, Refers, media_type, referrers_tag};
use crate::reference::Digest;
use crate::settings::Action;

use super::auth::Access;
use super::{Error, Repository, Which, found};

/// The most pages of a list of referrers. ECR gives 50 on one.
const MAX_PAGES: usize = 20;

/// Tags that are asked for at once. ECR refuses to list more.
const TAGS: usize = 1000;

impl Repository {
    /// What the registry lists about a manifest; where it has no such list, what the tag that stands in
    /// for it holds
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>).
    pub(super) async fn list_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let policy = self.registry.http.policy();
        // Each request has its tries already; only what came damaged is asked for anew.
        match self.read_referrers(subject).await {
            Err(Error::Listing(_)) if policy.tries > 1 => self.read_referrers(subject).await,
            answer => answer,
        }
    }

    async fn read_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let lacks = &self.registry.lacks_referrers;
        if lacks.load(Ordering::Relaxed) {
            return self.tagged_referrers(subject).await;
        }
        let mut page = Some(self.url(&format!("referrers/{subject}")).await?);
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = page.take() else {
                return Ok(all);
            };
            let get = |client: &reqwest::Client| {
                client
                    .get(url.clone())
                    .header(ACCEPT, media_type::OCI_INDEX)
            };
            let response = match self.send(Action::GetManifest, Access::Pull, get).await {
                Ok(response) => response,
                // Registries without the list say so in many ways; 404 is the specified one.
                Err(Error::Http(error)) if is_refusal(&error) => {
                    if error.status_code() == Some(404) {
                        lacks.store(true, Ordering::Relaxed);
                    }
                    return self.tagged_referrers(subject).await;
                }
                Err(error) => return Err(error),
            };
            page = next_page(&response);
            let is_index = response.headers().get(CONTENT_TYPE).is_some_and(|kind| {
                kind.as_bytes()
                    .starts_with(media_type::OCI_INDEX.as_bytes())
            });
            let body = self.registry.http.body(response, MAX_MANIFEST).await?;
            match Manifest::parse(Some(media_type::OCI_INDEX), body) {
                Ok(Manifest {
                    refers: Refers::Manifests(listed),
                    ..
                }) => all.extend(listed),
                // A list that came damaged is no missing list.
                Err(source) if is_index => return Err(Error::Listing(source)),
                // A page for people, with status 200.
                _ => return self.tagged_referrers(subject).await,
            }
        }
        Ok(all)
    }

    async fn tagged_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let tag = referrers_tag(subject);
        if self.all_tags().await.is_some_and(|all| !all.contains(&tag)) {
            return Ok(Vec::new());
        }
        let found = match self.read_manifest(&Which::Tag(tag), Access::Pull).await {
            // Some registries answer any tag of this form with the image itself.
            Ok(found) => found.filter(|manifest| manifest.digest != *subject),
            Err(Error::Manifest { .. }) => None,
            Err(Error::Http(error)) if is_refusal(&error) => None,
            Err(error) => return Err(error),
        };
        Ok(match found {
            Some(Manifest {
                refers: Refers::Manifests(listed),
                ..
            }) => listed,
            _ => Vec::new(),
        })
    }

    /// Which of some tags there are. Where the registry lists all tags at once, nobody asks for those
    /// that are not among them.
    pub(super) async fn find_some_tags(
        &self,
        tags: &[String],
    ) -> Result<Vec<(String, Digest)>, Error> {
        let all = self.all_tags().await;
        let mut named = Vec::new();
        for tag in tags {
            if all.as_ref().is_some_and(|all| !all.contains(tag)) {
                continue;
            }
            let which = Which::Tag(tag.clone());
            let digest = self.find_manifest(&which, Access::Pull).await?;
            named.extend(digest.map(|digest| (tag.clone(), digest)));
        }
        Ok(named)
    }

    /// All tags of the repository, asked for once in a run; `None` where one answer does not hold
    /// them all, or there is none.
    async fn all_tags(&self) -> Option<HashSet<String>> {
        let cell = {
            let tags = self.registry.tags.lock();
            let mut tags = tags.unwrap_or_else(PoisonError::into_inner);
            Arc::clone(tags.entry(self.name.clone()).or_default())
        };
        let list = || async {
            let (tags, is_all) = self.list_tags().await.ok()?;
            (is_all && !tags.is_empty()).then(|| tags.into_iter().collect())
        };
        cell.get_or_init(list).await.clone()
    }

    /// The repository's tags, the first thousand of them.
    pub(in crate::store) async fn tags(&self) -> Result<Vec<String>, Error> {
        self.list_tags().await.map(|(tags, _)| tags)
    }

    /// The tags on the first page, and whether these are all.
    async fn list_tags(&self) -> Result<(Vec<String>, bool), Error> {
        #[derive(serde::Deserialize)]
        struct List {
            tags: Option<Vec<String>>,
        }
        let url = self.url(&format!("tags/list?n={TAGS}")).await?;
        let get = |client: &reqwest::Client| client.get(url.clone());
        let answer = self.send(Action::GetManifest, Access::Pull, get).await;
        let Some(response) = found(answer)? else {
            return Ok((Vec::new(), true));
        };
        let is_last = response.headers().get("link").is_none();
        let body = self.registry.http.body(response, MAX_MANIFEST).await?;
        let list = serde_json::from_slice::<List>(&body).ok();
        let tags = list.and_then(|list| list.tags).unwrap_or_default();
        // A full page without a word about the next one is no proof.
        let is_all = is_last && tags.len() != TAGS;
        Ok((tags, is_all))
    }
}

/// A refusal for good that is not about who asks too often.
fn is_refusal(error: &http::Error) -> bool {
    matches!(error.status_code(), Some(400..=499)) && error.class() == http::Class::Permanent
}

/// The `Link` to the next page of a list (RFC 5988), on the same host.
fn next_page(response: &Response) -> Option<Url> {
    let link = response.headers().get("link")?.to_str().ok()?;
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let next = response.url().join(target).ok()?;
    let is_next = parameters.replace('"', "").contains("rel=next");
    (is_next && next.host_str() == response.url().host_str()).then_some(next)
}
