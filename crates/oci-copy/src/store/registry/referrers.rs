//! What refers to manifests of a registry: its own list, the tag that is the list where it has none, and
//! tags whose names say what they are about.

mod listing;
mod pages;

use std::collections::HashSet;
use std::sync::PoisonError;

use reqwest::header::{ACCEPT, CONTENT_TYPE};

use crate::manifest::{Descriptor, MAX_MANIFEST, MAX_PARTS, Refers, media_type, referrers_tag};
use crate::reference::Digest;
use crate::store::Action;
use crate::store::Partial;

use super::auth::Access;
use super::{Error, Repository, TagOrDigest, found};

use listing::Listing;
pub(super) use pages::Next;

/// The most pages of a list of referrers. ECR gives 50 on one, others choose as they like.
const MAX_PAGES: usize = 1_000;

/// Tags that are asked for at once. ECR refuses to list more.
const TAGS: usize = 1000;

/// How often a list of referrers is written again because something else overwrote it.
const WRITES: usize = 6;

impl Repository {
    /// What the registry lists about a manifest, and what the tag holds that is the list where the
    /// registry has none
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>).
    pub(super) async fn list_referrers(
        &self,
        subject: &Digest,
    ) -> Result<Partial<Descriptor>, Error> {
        let policy = self.registry.http.policy();
        // Each request has retries already; only a corrupt list is read again.
        let listed = match self.read_referrers(subject).await {
            Err(Error::Listing(_)) if policy.tries > 1 => self.read_referrers(subject).await,
            answer => answer,
        };
        let Some(mut listed) = listed? else {
            return self.tagged_referrers(subject).await;
        };
        // A registry that learnt to list referrers may not list those from before.
        if self.lists_tag(&referrers_tag(subject)).await == Some(true) {
            let tagged = self.tagged_referrers(subject).await?;
            listed.notes.extend(tagged.notes);
            let known: HashSet<Digest> =
                listed.found.iter().map(|one| one.digest.clone()).collect();
            let new = tagged.found.into_iter();
            listed
                .found
                .extend(new.filter(|one| !known.contains(&one.digest)));
        }
        Ok(listed)
    }

    /// The same from one place: the registry's own list, or else the tag. It asks for no list of tags, which needs
    /// another permission in some registries.
    pub(in crate::store) async fn attached(
        &self,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, Error> {
        let listed = match self.read_referrers(subject).await? {
            Some(listed) => listed,
            None => self.tagged_referrers(subject).await?,
        };
        Ok(listed.found)
    }

    /// The registry's own list, page by page; `None` where it has none. What it says of one repository
    /// says nothing of others: it may be a proxy of several registries.
    async fn read_referrers(&self, subject: &Digest) -> Result<Option<Partial<Descriptor>>, Error> {
        let mut page = self.url(&format!("referrers/{subject}")).await?;
        let (mut all, mut read) = (Listing::default(), HashSet::new());
        for number in 0..MAX_PAGES {
            let get = |client: &reqwest::Client| {
                client
                    .get(page.clone())
                    .header(ACCEPT, media_type::OCI_INDEX)
            };
            let response = match self.send(Action::GetManifest, Access::Pull, get).await {
                Ok(response) => response,
                // Registries without the list say so in many ways; 404 is the specified one.
                Err(error) if error.is_refusal() && number == 0 => return Ok(None),
                Err(error) if error.is_refusal() => {
                    return Ok(Some(all.cut_short(subject, &error.to_string())));
                }
                Err(error) => return Err(error),
            };
            read.insert(page.clone());
            let next = Next::of(&self.registry.base().await?, &page, response.headers());
            let is_index = response.headers().get(CONTENT_TYPE).is_some_and(|kind| {
                kind.as_bytes()
                    .starts_with(media_type::OCI_INDEX.as_bytes())
            });
            let body = self.registry.http.body(response, MAX_MANIFEST).await?;
            match all.add(&body) {
                Ok(()) => {}
                // A page for people, with status 200.
                Err(_) if !is_index && number == 0 => return Ok(None),
                // A list that came damaged is no missing list.
                Err(source) => return Err(Error::Listing(source)),
            }
            page = match next {
                Next::None => return Ok(Some(all.into_partial())),
                Next::Page(url) if read.contains(&url) => {
                    return Ok(Some(all.cut_short(subject, "its pages go in a circle")));
                }
                Next::Page(_) if all.len() > MAX_PARTS => break,
                Next::Page(url) => url,
                Next::Unusable(why) => return Ok(Some(all.cut_short(subject, &why))),
            };
        }
        Ok(Some(all.cut_short(subject, "it has no end")))
    }

    async fn tagged_referrers(&self, subject: &Digest) -> Result<Partial<Descriptor>, Error> {
        let tag = referrers_tag(subject);
        if self.lists_tag(&tag).await == Some(false) {
            return Ok(Vec::new().into());
        }
        let which = TagOrDigest::Tag(tag.clone());
        let mut listing = Listing::default();
        match self.read_manifest(&which, Access::Pull).await {
            Ok(Some(manifest)) if matches!(manifest.refers, Refers::Manifests(_)) => {
                // Some registries answer any tag of this form with the image itself.
                if !manifest.has_digest(subject) {
                    listing.add(&manifest.bytes).map_err(Error::Listing)?;
                }
            }
            Ok(_) => {}
            Err(error) if is_absence(&error) => {}
            Err(error) if error.is_refusal() => {
                return Ok(listing.cut_short(subject, &error.to_string()));
            }
            Err(error) => return Err(error),
        }
        Ok(listing.into_partial())
    }

    /// Adds referrers to the tag that is the list of a subject, and keeps what it holds. Registries
    /// have no conditional writes: what is there is read just before the write, and after it once more,
    /// until it holds everything.
    pub(super) async fn list_under_tag(
        &self,
        subject: &Digest,
        referrers: &[Descriptor],
    ) -> Result<(), Error> {
        let _one_at_a_time = self.known.lists().writing.lock().await;
        let tag = referrers_tag(subject);
        let which = TagOrDigest::Tag(tag.clone());
        for write in 0..WRITES {
            let before = match self.read_manifest(&which, Access::Push).await? {
                Some(manifest) if matches!(manifest.refers, Refers::Manifests(_)) => Some(manifest),
                Some(_) => return Err(Error::NoListing { tag }),
                None => None,
            };
            let index = listing::with_referrers(before.as_ref(), referrers);
            let Some(index) = index.map_err(Error::Listing)? else {
                return Ok(());
            };
            if write > 0 {
                let pause = std::time::Duration::from_millis(fastrand::u64(10..200));
                tokio::time::sleep(pause).await;
            }
            self.write_manifest(&which, &index).await?;
        }
        Err(Error::Contended { tag })
    }

    /// Which of some tags exist. Where the registry lists all tags at once, no request is sent for those
    /// that are not among them.
    pub(super) async fn find_some_tags(
        &self,
        tags: &[String],
    ) -> Result<Partial<(String, Digest)>, Error> {
        let mut named = Partial::from(Vec::new());
        for tag in tags {
            if self.lists_tag(tag).await == Some(false) {
                continue;
            }
            // By GET: a HEAD that says no would have to be confirmed, and most say no.
            match self
                .read_manifest(&TagOrDigest::Tag(tag.clone()), Access::Pull)
                .await
            {
                Ok(found) => named
                    .found
                    .extend(found.map(|found| (tag.clone(), found.digest))),
                Err(Error::Manifest { digest, .. }) => named.found.push((tag.clone(), digest)),
                Err(error) if is_absence(&error) => {}
                Err(error) if error.is_refusal() => {
                    named.notes.push(format!(
                        "the tag {tag} cannot be read, which may hold a signature: {error}"
                    ));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(named)
    }

    /// Whether a tag is in the list of all tags; `None` where the list is not to be trusted: proxies list
    /// only what was pulled through them, so a list has to name what this run has read there.
    async fn lists_tag(&self, tag: &str) -> Option<bool> {
        let all = self.all_tags().await?;
        let seen = self
            .known
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_trusted = !seen.is_empty() && seen.iter().all(|seen| all.contains(seen));
        let is_listed = all.contains(tag);
        (is_trusted || is_listed).then_some(is_listed)
    }

    /// All tags of the repository, asked for once in a run; `None` where one answer does not hold
    /// them all, or there is none.
    async fn all_tags(&self) -> Option<&HashSet<Box<str>>> {
        let list = || async {
            let (tags, is_all) = self.list_tags(None).await.ok()?;
            (is_all && !tags.is_empty())
                .then(|| tags.into_iter().map(String::into_boxed_str).collect())
        };
        self.known.lists().tags.get_or_init(list).await.as_ref()
    }

    /// The repository's tags, at most a hundred thousand of them.
    pub(in crate::store) async fn tags(&self) -> Result<Vec<String>, Error> {
        const MAX_PAGES: usize = 100;
        let (mut tags, mut is_all) = self.list_tags(None).await?;
        for _ in 1..MAX_PAGES {
            let Some(last) = tags.last().filter(|_| !is_all).cloned() else {
                break;
            };
            let page;
            (page, is_all) = self.list_tags(Some(&last)).await?;
            // A registry that ignores `last` gives the same page for ever.
            if page.is_empty() || page.last() == Some(&last) {
                break;
            }
            tags.extend(page);
        }
        Ok(tags)
    }

    /// A page of tags, the first or the one after a tag, and whether it is the last page.
    async fn list_tags(&self, after: Option<&str>) -> Result<(Vec<String>, bool), Error> {
        #[derive(serde::Deserialize)]
        struct List {
            tags: Option<Vec<String>>,
        }
        let after = after.map(|tag| format!("&last={tag}")).unwrap_or_default();
        let url = self.url(&format!("tags/list?n={TAGS}{after}")).await?;
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

/// Whether a registry says that there is no such tag, or that no tag is called so.
fn is_absence(error: &Error) -> bool {
    matches!(error.status_code(), Some(400 | 404))
}
