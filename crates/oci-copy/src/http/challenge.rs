//! `WWW-Authenticate` (RFC 9110, section 11.6.1), as far as registries use it. Pure.

use url::Url;

/// How many scopes of a challenge are asked for.
const MAX_SCOPES: usize = 20;

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User name and password with each request.
    Basic,
    /// A token of a service.
    Bearer {
        /// The URL of the token service.
        realm: Url,
        /// The name by which the token service knows the registry.
        service: Option<String>,
        /// What a token must be for, as the registry's own token service calls it.
        scopes: Vec<String>,
    },
}

impl Challenge {
    /// The challenge to answer, of all that the headers hold: a token where one is offered.
    #[must_use]
    pub fn choose<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut challenges: Vec<Self> = headers.into_iter().flat_map(parse).collect();
        let bearer = challenges
            .iter()
            .position(|challenge| matches!(challenge, Self::Bearer { .. }));
        (!challenges.is_empty()).then(|| challenges.swap_remove(bearer.unwrap_or(0)))
    }
}

/// All challenges of one header. What is not understood is passed over.
fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for item in items(header) {
        // A scheme stands before its first parameter, with a blank between them.
        let (scheme, parameter) = match item.split_once('=') {
            Some((before, value)) => match before.trim().rsplit_once(' ') {
                Some((scheme, key)) => (Some(scheme.trim()), Some((key, value))),
                None => (None, Some((before.trim(), value))),
            },
            None => (Some(item.trim()), None),
        };
        if let Some(scheme) = scheme.filter(|scheme| !scheme.is_empty()) {
            challenges.push((scheme.to_lowercase(), Vec::new()));
        }
        if let (Some((_, parameters)), Some((key, value))) = (challenges.last_mut(), parameter) {
            parameters.push((key.to_lowercase(), unquoted(value.trim())));
        }
    }
    challenges
        .into_iter()
        .filter_map(|(scheme, parameters)| {
            let get = |wanted: &str| {
                parameters
                    .iter()
                    .find(|(key, _)| key == wanted)
                    .map(|(_, value)| value.clone())
            };
            match scheme.as_str() {
                "basic" => Some(Challenge::Basic),
                "bearer" => {
                    let realm = Url::parse(&get("realm")?).ok()?;
                    matches!(realm.scheme(), "http" | "https").then(|| Challenge::Bearer {
                        realm,
                        service: get("service"),
                        scopes: get("scope")
                            .iter()
                            .flat_map(|scope| scope.split_whitespace())
                            .take(MAX_SCOPES)
                            .map(str::to_owned)
                            .collect(),
                    })
                }
                _ => None,
            }
        })
        .collect()
}

/// The header's parts between commas that do not stand in quotes.
fn items(header: &str) -> Vec<&str> {
    let (mut items, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, letter) in header.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                items.push(&header[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&header[start..]);
    items
}

fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"') else {
        return text.to_owned();
    };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut plain = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        plain.extend(if letter == '\\' {
            letters.next()
        } else {
            Some(letter)
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scopes: &[&str]) -> Challenge {
        Challenge::Bearer {
            realm: Url::parse(realm).unwrap(),
            service: service.map(str::to_owned),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        }
    }

    #[test]
    fn a_challenge_is_read_as_registries_write_it() {
        let choose = |header: &str| Challenge::choose([header]);
        assert_eq!(choose(r#"Basic realm="x""#), Some(Challenge::Basic));
        assert_eq!(choose("Basic"), Some(Challenge::Basic));
        assert_eq!(
            choose(
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#
            ),
            Some(bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                &["repository:a/b:pull,push"]
            ))
        );
        assert_eq!(
            choose(r#"bearer REALM=https://a.io/t , Service = "s""#),
            Some(bearer("https://a.io/t", Some("s"), &[]))
        );
        assert_eq!(
            choose(r#"Basic realm="x", Bearer realm="https://a.io/t""#),
            Some(bearer("https://a.io/t", None, &[]))
        );
        assert_eq!(
            choose(r#"Bearer realm="https://a.io/t",scope="repository:a:pull  repository:b:pull""#),
            Some(bearer(
                "https://a.io/t",
                None,
                &["repository:a:pull", "repository:b:pull"]
            ))
        );
        for junk in [
            "",
            "Negotiate",
            "Bearer",
            r#"Bearer realm="ftp://a""#,
            r#"Bearer realm="/relative""#,
            "=,=,\"",
            "Bearer realm",
        ] {
            assert_eq!(choose(junk), None, "{junk}");
        }
    }
}
