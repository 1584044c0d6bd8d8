//! Where answers lead: redirects, upload locations, next pages. A server decides where, and TLS and
//! secrets must not get lost on the way. Pure.

use reqwest::header::{AUTHORIZATION, COOKIE, LOCATION, PROXY_AUTHORIZATION};
use reqwest::{Method, Request, Response, StatusCode};
use url::Url;

/// How many redirects a request follows.
pub(super) const MOST: usize = 10;

/// A URL that an answer names, without leaving TLS: `http://` for the host itself, as registries behind a
/// TLS proxy write it, becomes `https://`.
///
/// # Errors
/// Why the URL is not followed.
pub fn protected(from: &Url, mut to: Url) -> Result<Url, String> {
    let host = |url: &Url| url.host_str().unwrap_or_default().to_owned();
    if !matches!(to.scheme(), "http" | "https") || !to.has_host() {
        return Err(format!("it leads to a URL of the kind {}:", to.scheme()));
    }
    if from.scheme() != "https" || to.scheme() == "https" {
        return Ok(to);
    }
    let port = match to.port() {
        None => from.port(),
        Some(port) if Some(port) == from.port_or_known_default() => from.port(),
        Some(port) => {
            return Err(left_tls(&format!("{}:{port}", host(&to))));
        }
    };
    if host(from) != host(&to) || to.set_scheme("https").is_err() || to.set_port(port).is_err() {
        return Err(left_tls(&host(&to)));
    }
    Ok(to)
}

fn left_tls(host: &str) -> String {
    format!("it leads out of TLS to http://{host} and is not followed")
}

/// The request that follows a redirect; `None` where the answer is none, or must not be followed: content
/// goes only to where it was meant to go.
///
/// # Errors
/// Why the redirect is not followed.
pub(super) fn redirected(
    response: &Response,
    request: Option<Request>,
) -> Result<Option<Request>, String> {
    let status = response.status();
    let is_redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION);
    let (true, Some(location)) = (is_redirect, location) else {
        return Ok(None);
    };
    let from = response.url();
    let to = location.to_str().ok().and_then(|text| from.join(text).ok());
    let to = to.ok_or("it leads to something that is not a URL")?;
    let to = protected(from, to)?;
    let Some(mut request) = request else {
        return Ok(None);
    };
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let keeps_method = matches!(
        status,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
    );
    let is_own = same_origin(from, &to);
    let may_follow = is_read || keeps_method && is_own;
    if !may_follow {
        return Ok(None);
    }
    if !is_own {
        for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
            request.headers_mut().remove(name);
        }
    }
    *request.url_mut() = to;
    Ok(Some(request))
}

/// Whether two URLs have the same scheme, host and port.
#[must_use]
pub fn same_origin(a: &Url, b: &Url) -> bool {
    (a.scheme(), a.host_str(), a.port_or_known_default())
        == (b.scheme(), b.host_str(), b.port_or_known_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(from: &str, to: &str) -> Result<String, String> {
        let from = Url::parse(from).unwrap();
        protected(&from, from.join(to).unwrap()).map(|url| url.to_string())
    }

    #[test]
    fn what_tls_began_stays_in_tls() {
        for (from, to, wanted) in [
            (
                "https://r.io/v2/",
                "http://r.io/v2/u/1?a=b",
                "https://r.io/v2/u/1?a=b",
            ),
            ("https://r.io/v2/", "http://r.io:443/u", "https://r.io/u"),
            ("https://r.io/v2/", "/u", "https://r.io/u"),
            (
                "https://r.io:8443/v2/",
                "http://r.io:8443/u",
                "https://r.io:8443/u",
            ),
            (
                "https://r.io:8443/v2/",
                "http://r.io/u",
                "https://r.io:8443/u",
            ),
            (
                "https://[fd00::1]:5000/",
                "http://[fd00::1]:5000/u",
                "https://[fd00::1]:5000/u",
            ),
            ("https://r.io/v2/", "https://s3.io/u", "https://s3.io/u"),
            ("http://r.io/v2/", "http://s3.io/u", "http://s3.io/u"),
            ("http://r.io/v2/", "https://r.io/u", "https://r.io/u"),
        ] {
            assert_eq!(leads(from, to).as_deref(), Ok(wanted), "{from} {to}");
        }
        for (from, to) in [
            ("https://r.io/v2/", "http://s3.io/u"),
            ("https://r.io/v2/", "http://r.io:8080/u"),
            ("https://r.io/v2/", "http://r.io.evil.io/u"),
            ("https://r.io/v2/", "ftp://r.io/u"),
            ("https://r.io/v2/", "file:///etc/passwd"),
        ] {
            assert!(leads(from, to).is_err(), "{from} {to}");
        }
    }
}
