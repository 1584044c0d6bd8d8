//! Who we are to a registry: nothing at first; then what its challenge asks for. One token for all
//! that wait, renewed once when it runs out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;
use url::Url;

use crate::aws::Ecr;
use crate::http::{self, Basic, Http, IDENTITY_TOKEN};
use crate::store::Error;

mod challenge;

use challenge::Challenge;

/// The life of a token that does not say (docker's token specification).
const DEFAULT_LIFE: u64 = 60;

/// The largest answer of a token service, in bytes.
const MAX_TOKEN: u64 = 1024 * 1024;

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) repository: String,
    pub(super) access: Access,
    /// The repository that a blob is mounted from.
    pub(super) mount_from: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Access {
    Pull,
    Push,
}

impl Scope {
    /// As token services want it, one text per repository.
    fn texts(&self) -> Vec<String> {
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let own = format!("repository:{}:{actions}", self.repository);
        let other = self
            .mount_from
            .as_ref()
            .map(|from| format!("repository:{from}:pull"));
        std::iter::once(own).chain(other).collect()
    }
}

/// What one registry wants to see.
pub(super) struct Auth {
    host: String,
    ecr: Option<Arc<Ecr>>,
    /// What the registry asked for last.
    challenge: RwLock<Option<Challenge>>,
    tokens: Mutex<HashMap<Scope, Arc<tokio::sync::Mutex<Option<Token>>>>>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    expires: Instant,
}

impl Auth {
    pub(super) fn new(host: &str, ecr: Option<Arc<Ecr>>) -> Self {
        Self {
            host: host.to_owned(),
            ecr,
            challenge: RwLock::default(),
            tokens: Mutex::default(),
        }
    }

    /// Whether an answer means that authorization is missing or has run out.
    pub(super) fn is_refusal(&self, error: &http::Error) -> bool {
        match error.status_code() {
            Some(401) => true,
            // ECR says so to a token that has expired.
            Some(403) => self.ecr.is_some(),
            _ => false,
        }
    }

    /// What to send, as far as it is known what the registry wants.
    pub(super) async fn header(
        &self,
        http: &Http,
        scope: &Scope,
    ) -> Result<Option<HeaderValue>, Error> {
        if let Some(ecr) = &self.ecr {
            return Ok(Some(secret_header(&format!(
                "Basic {}",
                ecr.token().await?.basic.expose()
            ))));
        }
        let challenge = self
            .challenge
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match challenge {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.credentials(http).await.as_ref().map(basic_header)),
            Some(bearer @ Challenge::Bearer { .. }) => {
                self.token(http, scope, &bearer, None).await.map(Some)
            }
        }
    }

    /// What to send instead of what was refused; `None` when there is nothing else.
    pub(super) async fn renew(
        &self,
        http: &Http,
        scope: &Scope,
        headers: &HeaderMap,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Error> {
        if let Some(ecr) = &self.ecr {
            let Some(refused) = refused else {
                return self.header(http, scope).await;
            };
            let token = ecr.renew(refused.as_bytes()).await?;
            return Ok(token.map(|token| secret_header(&format!("Basic {}", token.basic.expose()))));
        }
        let texts = headers
            .get_all(WWW_AUTHENTICATE)
            .into_iter()
            .filter_map(|text| text.to_str().ok());
        let Some(challenge) = Challenge::choose(texts) else {
            return Ok(None);
        };
        *self
            .challenge
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(challenge.clone());
        match &challenge {
            Challenge::Basic => {
                let header = self.credentials(http).await.as_ref().map(basic_header);
                Ok(header.filter(|header| Some(header) != refused))
            }
            Challenge::Bearer { .. } => {
                self.token(http, scope, &challenge, refused).await.map(Some)
            }
        }
    }

    /// A token for a scope, other than the refused one; all that need it wait for one request.
    async fn token(
        &self,
        http: &Http,
        scope: &Scope,
        challenge: &Challenge,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, Error> {
        let slot = {
            let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(tokens.entry(scope.clone()).or_default())
        };
        let mut slot = slot.lock().await;
        let usable =
            |token: &&Token| Some(&token.header) != refused && token.expires > Instant::now();
        if let Some(token) = slot.as_ref().filter(usable) {
            return Ok(token.header.clone());
        }
        let token = self.request(http, scope, challenge).await?;
        let header = token.header.clone();
        *slot = Some(token);
        Ok(header)
    }

    async fn request(
        &self,
        http: &Http,
        scope: &Scope,
        challenge: &Challenge,
    ) -> Result<Token, Error> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            token: String,
            #[serde(default)]
            access_token: String,
            expires_in: Option<u64>,
        }
        let Challenge::Bearer { realm, service } = challenge else {
            unreachable!("only a bearer challenge asks for tokens")
        };
        let scopes = scope.texts();
        let asked = service.iter().map(|service| ("service", service.as_str()));
        let scopes_asked = scopes.iter().map(|scope| ("scope", scope.as_str()));
        let asked: Vec<(&str, &str)> = asked.chain(scopes_asked).collect();
        let plain = http.rewrite(realm);
        let mut url = realm.clone();
        url.query_pairs_mut().extend_pairs(&asked);
        let url = http.rewrite(&url);
        let credentials = self
            .credentials(http)
            .await
            .filter(|_| self.may_send_to(http, &url));
        let request = || match &credentials {
            None => http.client().get(url.clone()),
            // An identity token is changed for an access token by OAuth 2
            // (<https://distribution.github.io/distribution/spec/auth/oauth/>).
            Some(Basic { username, password }) if username == IDENTITY_TOKEN => {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", "replicator"),
                    ("refresh_token", password.expose()),
                ];
                let mut body = url::form_urlencoded::Serializer::new(String::new());
                body.extend_pairs(form).extend_pairs(&asked);
                let request = http.client().post(plain.clone());
                request
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(body.finish())
            }
            Some(Basic { username, password }) => http
                .client()
                .get(url.clone())
                .basic_auth(username, Some(password.expose())),
        };
        let policy = http.policy();
        let body = policy
            .run(|| async { http.body(http.send(request()).await?, MAX_TOKEN).await })
            .await?;
        let answer = serde_json::from_slice::<Answer>(&body).ok();
        let answer = answer.map(|answer| {
            let token = if answer.token.is_empty() {
                answer.access_token
            } else {
                answer.token
            };
            (token, answer.expires_in.unwrap_or(DEFAULT_LIFE))
        });
        let Some((token, life)) = answer.filter(|(token, _)| !token.is_empty()) else {
            return Err(
                http::Error::refused(&Method::GET, &url, "the answer holds no token").into(),
            );
        };
        // Renewed when a quarter of its life is left: a request takes its time, and clocks differ.
        let life = Duration::from_secs(life.clamp(4, 86_400)).mul_f64(0.75);
        Ok(Token {
            header: secret_header(&format!("Bearer {token}")),
            expires: Instant::now() + life,
        })
    }

    /// The user's credentials for this registry.
    async fn credentials(&self, http: &Http) -> Option<Basic> {
        http.credentials().get(&self.host).await
    }

    /// Whether our credentials are for a token service that the registry names: it must be the
    /// registry's own host, below that or below the host that the user named, or the domain that the
    /// registry is in; and must not be less protected. Others in the same domain may be anybody.
    fn may_send_to(&self, http: &Http, realm: &Url) -> bool {
        let Ok(base) = Url::parse(&http.base(&self.host)) else {
            return false;
        };
        if base.scheme() == "https" && realm.scheme() != "https" {
            return false;
        }
        let (Some(own), Some(other)) = (base.host_str(), realm.host_str()) else {
            return false;
        };
        let below = |domain: &str| {
            let is_name = domain.parse::<std::net::IpAddr>().is_err();
            is_name && domain.contains('.') && other.ends_with(&format!(".{domain}"))
        };
        let is_parent = own
            .split_once('.')
            .is_some_and(|(_, parent)| parent == other && parent.contains('.'));
        own == other || below(own) || below(&self.host) || is_parent
    }
}

fn basic_header(basic: &Basic) -> HeaderValue {
    secret_header(&format!(
        "Basic {}",
        STANDARD.encode(format!("{}:{}", basic.username, basic.password.expose()))
    ))
}

/// A header that is left out of every log.
fn secret_header(text: &str) -> HeaderValue {
    let mut header =
        HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    header.set_sensitive(true);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Credentials;
    use crate::settings::Network;

    #[test]
    fn credentials_follow_a_challenge_only_within_the_registry_s_own_domain() {
        let network = Network::default();
        let http = Http::new(&network, Credentials::default()).unwrap();
        let may = |host: &str, realm: &str| {
            Auth::new(host, None).may_send_to(&http, &Url::parse(realm).unwrap())
        };
        assert!(may("docker.io", "https://auth.docker.io/token"));
        assert!(may("registry.gitlab.com", "https://gitlab.com/jwt/auth"));
        assert!(may("quay.io", "https://quay.io/v2/auth"));
        assert!(may("127.0.0.1:5000", "http://127.0.0.1:5001/token"));
        assert!(!may("quay.io", "https://evil.io/token"));
        assert!(!may("quay.io", "https://evilquay.io/token"));
        assert!(!may("quay.io", "http://quay.io/token"));
        assert!(!may("127.0.0.1:5000", "http://9.0.0.1/token"));
        assert!(!may("registry.co.uk", "https://evil.co.uk/token"));
        assert!(!may("us.azurecr.io", "https://evil.azurecr.io/token"));
        assert!(may("corp.io", "https://auth.corp.io/token"));
    }
}
