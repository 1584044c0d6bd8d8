//! The pages of a list: what `Link` says about the next one (RFC 8288).

use reqwest::header::HeaderMap;
use url::Url;

/// What follows a page.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store::registry) enum Next {
    /// Nothing.
    None,
    /// A page.
    Page(Url),
    /// A page that cannot be asked for, and why.
    Unusable(String),
}

impl Next {
    /// What a page's headers say. A registry can write its own name or the name behind a proxy into the
    /// link; the page is asked for where the list was begun, so that nothing is sent to other hosts.
    /// `base` is where the registry is reached.
    pub(in crate::store::registry) fn of(base: &str, page: &Url, headers: &HeaderMap) -> Self {
        let links = headers.get_all("link").into_iter();
        let texts = links.filter_map(|text| text.to_str().ok());
        let Some(target) = texts.flat_map(links_of).find_map(next_of) else {
            return Self::None;
        };
        let unusable = || Self::Unusable(format!("it names `{target}` as its next page"));
        let Ok(named) = page.join(target) else {
            return unusable();
        };
        let prefix = Url::parse(base).map(|base| base.path().trim_end_matches('/').to_owned());
        let prefix = prefix.unwrap_or_default();
        let path = if named.path().starts_with(&format!("{prefix}/v2/")) {
            named.path().to_owned()
        } else if named.path().starts_with("/v2/") {
            format!("{prefix}{}", named.path())
        } else {
            return unusable();
        };
        let mut next = page.clone();
        next.set_path(&path);
        next.set_query(named.query());
        next.set_fragment(None);
        Self::Page(next)
    }
}

/// The links of one header: commas part them, but not those within `<>` or quotes.
fn links_of(header: &str) -> impl Iterator<Item = &str> {
    let (mut is_within, mut is_quoted) = (false, false);
    header.split(move |c| {
        match c {
            '<' if !is_quoted => is_within = true,
            '>' if !is_quoted => is_within = false,
            '"' if !is_within => is_quoted = !is_quoted,
            _ => {}
        }
        c == ',' && !is_within && !is_quoted
    })
}

/// The target of a link whose relation is `next`.
fn next_of(link: &str) -> Option<&str> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = parameters.split(';').any(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
        name.trim().eq_ignore_ascii_case("rel")
            && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
    });
    is_next.then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(base: &str, links: &[&str]) -> Next {
        let mut headers = HeaderMap::new();
        for link in links {
            headers.append("link", link.parse().unwrap());
        }
        let page = Url::parse(&format!("{base}/v2/a/referrers/sha256:0")).unwrap();
        Next::of(base, &page, &headers)
    }

    fn page(text: &str) -> Next {
        Next::Page(Url::parse(text).unwrap())
    }

    #[test]
    fn the_next_page_is_asked_for_at_the_same_place_whatever_host_the_link_names() {
        for link in [
            "</v2/a/referrers/x?n=2>; rel=\"next\"",
            "<x?n=2>; rel=next",
            "<https://quay.io/v2/a/referrers/x?n=2>; rel=\"next\"",
            "<http://registry:5000/v2/a/referrers/x?n=2>;REL=\"last next\"",
            "<//evil.example/v2/a/referrers/x?n=2>; rel=\"next\"",
        ] {
            let next = next("http://127.0.0.1:1", &[link]);
            assert_eq!(
                next,
                page("http://127.0.0.1:1/v2/a/referrers/x?n=2"),
                "{link}"
            );
        }
    }

    #[test]
    fn an_endpoint_s_path_is_kept() {
        let base = "https://mirror.corp/quay";
        let wanted = page("https://mirror.corp/quay/v2/a/referrers/x?n=2");
        for link in [
            "</v2/a/referrers/x?n=2>; rel=next",
            "</quay/v2/a/referrers/x?n=2>; rel=next",
            "<x?n=2>; rel=next",
        ] {
            assert_eq!(next(base, &[link]), wanted, "{link}");
        }
    }

    #[test]
    fn the_right_one_of_several_links_is_found() {
        let wanted = page("http://r/v2/b?x=1,2");
        let one = "<http://r/v2/a>; rel=\"prev\"; title=\"a, b\", </v2/b?x=1,2>; rel=\"next\"";
        assert_eq!(next("http://r", &[one]), wanted);
        let two = ["</v2/a>; rel=prev", "</v2/b?x=1,2>; title=x; rel=next"];
        assert_eq!(next("http://r", &two), wanted);
    }

    #[test]
    fn no_link_is_the_end_and_a_link_elsewhere_is_reported() {
        assert_eq!(next("http://r", &[]), Next::None);
        for link in ["</v2/a>; rel=prev", "/v2/a; rel=next", "</v2/a>", ""] {
            assert_eq!(next("http://r", &[link]), Next::None, "{link}");
        }
        let elsewhere = next("http://r", &["</admin>; rel=next"]);
        assert!(matches!(elsewhere, Next::Unusable(_)), "{elsewhere:?}");
    }
}
