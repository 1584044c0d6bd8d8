//! The repositories of a registry, as far as it lists them
//! (<https://distribution.github.io/distribution/spec/api/#catalog>).

use std::collections::HashSet;
use std::sync::Arc;

use reqwest::Method;
use url::Url;

use crate::http;
use crate::manifest::MAX_MANIFEST;
use crate::store::{Action, Partial};

use super::auth::{Access, Scope};
use super::referrers::Next;
use super::{Error, Registry};

/// The most pages that are read, of a thousand names each where the registry agrees.
const MAX_PAGES: usize = 1_000;
/// The most names that are taken.
const MAX_NAMES: usize = 100_000;

#[derive(serde::Deserialize)]
struct Page {
    repositories: Option<Vec<String>>,
}

impl Registry {
    /// The names of the repositories that the registry lists for this login.
    pub(in crate::store) async fn catalog(self: Arc<Self>) -> Result<Partial<String>, Error> {
        let base = self.base().await?;
        let text = format!("{base}/v2/_catalog?n=1000");
        let mut page = Url::parse(&text).map_err(|error| {
            let nowhere = Url::parse("http://invalid/").expect("a valid URL");
            http::Error::refused(
                &Method::GET,
                &nowhere,
                format!("{text} is not a URL: {error}"),
            )
        })?;
        let scope = Scope {
            repository: String::new(),
            access: Access::Catalog,
            mount_from: None,
        };
        let (mut names, mut read) = (Partial::from(Vec::new()), HashSet::new());
        let mut seen = HashSet::new();
        for _ in 0..MAX_PAGES {
            let get = |client: &reqwest::Client| client.get(page.clone());
            let all = Arc::clone(&self).repository("");
            let response = all.send_for(Action::GetManifest, &scope, get).await?;
            read.insert(page.clone());
            let next = Next::of(&base, &page, response.headers());
            let body = self.http.body(response, MAX_MANIFEST).await?;
            let listed = serde_json::from_slice::<Page>(&body)
                .ok()
                .and_then(|page| page.repositories);
            let Some(listed) = listed else {
                names
                    .notes
                    .push("its list of repositories cannot be read".to_owned());
                return Ok(names);
            };
            names
                .found
                .extend(listed.into_iter().filter(|name| seen.insert(name.clone())));
            page = match next {
                Next::None => return Ok(names),
                Next::Page(url) if !read.contains(&url) && names.found.len() < MAX_NAMES => url,
                Next::Page(_) => break,
                Next::Unusable(why) => {
                    names.notes.push(format!(
                        "its list of repositories could not be read to its end: {why}"
                    ));
                    return Ok(names);
                }
            };
        }
        names
            .notes
            .push("its list of repositories has no end; what came first is shown".to_owned());
        names.found.truncate(MAX_NAMES);
        Ok(names)
    }
}
