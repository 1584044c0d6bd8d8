//! What a path of the distribution API means; repository names may contain slashes.

use crate::text;
use hyper::Method;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noun {
    Ping,
    Catalog,
    Token,
    Tags,
    Manifest,
    Blob,
    Uploads,
    Upload,
    Referrers,
}

/// A parsed path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) noun: Noun,
    /// The repository; empty for the ping and the token endpoint.
    pub(super) name: String,
    /// The tag, digest or upload session.
    pub(super) reference: String,
}

impl Route {
    pub(super) fn parse(path: &str) -> Option<Self> {
        let route = |noun, name: &str, reference: &str| {
            Some(Self {
                noun,
                name: name.to_owned(),
                reference: reference.to_owned(),
            })
        };
        let path = text::percent_decode(path);
        if path == "/token" {
            return route(Noun::Token, "", "");
        }
        let rest = path.strip_prefix("/v2")?;
        if rest.is_empty() || rest == "/" {
            return route(Noun::Ping, "", "");
        }
        let rest = rest.strip_prefix('/')?;
        if rest == "_catalog" {
            return route(Noun::Catalog, "", "");
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return route(Noun::Tags, name, "");
        }
        if let Some(name) = rest
            .strip_suffix("/blobs/uploads/")
            .or_else(|| rest.strip_suffix("/blobs/uploads"))
        {
            return route(Noun::Uploads, name, "");
        }
        let (start, reference) = rest.rsplit_once('/')?;
        [
            ("/blobs/uploads", Noun::Upload),
            ("/manifests", Noun::Manifest),
            ("/blobs", Noun::Blob),
            ("/referrers", Noun::Referrers),
        ]
        .into_iter()
        .find_map(|(suffix, noun)| route(noun, start.strip_suffix(suffix)?, reference))
    }

    /// The name of the request in the log.
    pub(super) fn action(&self, method: &Method, query: &str) -> String {
        let verb = method.as_str().to_ascii_lowercase();
        match self.noun {
            Noun::Ping => "ping".to_owned(),
            Noun::Token => "token".to_owned(),
            Noun::Catalog => "catalog.list".to_owned(),
            Noun::Tags => "tags.list".to_owned(),
            Noun::Manifest => format!("manifest.{verb}"),
            Noun::Blob => format!("blob.{verb}"),
            Noun::Uploads if text::pair(query, "mount").is_some() => "blob.mount".to_owned(),
            Noun::Uploads => "upload.start".to_owned(),
            Noun::Upload => format!("upload.{verb}"),
            Noun::Referrers => "referrers.list".to_owned(),
        }
    }
}

/// Whether a repository name follows the grammar of the distribution specification.
pub(crate) fn valid_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let component = |text: &str| {
        let separators_fit = text.split(plain).all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.chars().all(|c| c == '-')
        });
        text.starts_with(plain) && text.ends_with(plain) && separators_fit
    };
    name.len() <= 255 && name.split('/').all(component)
}

/// Whether a tag follows the grammar of the distribution specification.
pub(super) fn valid_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128
        && tag.starts_with(word)
        && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

/// Whether this is a digest that the lab can check.
pub(super) fn valid_digest(digest: &str) -> bool {
    let is_hex = |hex: &str| {
        hex.chars()
            .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
    };
    match digest.split_once(':') {
        Some(("sha256", hex)) => hex.len() == 64 && is_hex(hex),
        Some(("sha512", hex)) => hex.len() == 128 && is_hex(hex),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_contain_slashes_and_even_the_words_of_the_api() {
        let route = Route::parse("/v2/a/blobs/b/manifests/1.0").unwrap();
        assert_eq!(
            (route.noun, route.name.as_str(), route.reference.as_str()),
            (Noun::Manifest, "a/blobs/b", "1.0")
        );
        assert_eq!(
            Route::parse("/v2/a/b/blobs/uploads/").unwrap().noun,
            Noun::Uploads
        );
        assert_eq!(
            Route::parse("/v2/a/b/blobs/uploads/7").unwrap().noun,
            Noun::Upload
        );
        assert_eq!(
            Route::parse("/v2/a/blobs/sha256%3Aab").unwrap().reference,
            "sha256:ab"
        );
        assert_eq!(Route::parse("/v3/"), None);
    }

    #[test]
    fn names_follow_the_grammar() {
        for good in ["a", "library/app", "a__b/c.d/e---f", "1/2"] {
            assert!(valid_name(good), "{good}");
        }
        for bad in ["", "A", "a//b", "a___b", "-a", "a.", "a:b", "a..b"] {
            assert!(!valid_name(bad), "{bad}");
        }
    }
}
