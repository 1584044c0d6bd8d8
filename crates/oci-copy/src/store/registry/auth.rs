//! Authorization at a registry: none at first, then what its challenge requires. Concurrent requests
//! share one token, which is renewed once when it expires.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde_json::Value;
use url::Url;

use crate::http::{self, Asked, Basic, Challenge, Http, Login};
use crate::store::Error;
use crate::store::registry::provider::Provider;

mod token;

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
    /// The list of all repositories.
    Catalog,
}

impl Scope {
    /// As token services want it, one text per repository; and what the registry itself asked for, which can
    /// know the repository by another name.
    fn texts(&self, asked: &[String]) -> Vec<String> {
        let own = match self.access {
            Access::Pull => format!("repository:{}:pull", self.repository),
            Access::Push => format!("repository:{}:pull,push", self.repository),
            Access::Catalog => "registry:catalog:*".to_owned(),
        };
        let other = self
            .mount_from
            .as_ref()
            .map(|from| format!("repository:{from}:pull"));
        let mut texts: Vec<String> = std::iter::once(own).chain(other).collect();
        for scope in asked {
            let is_covered = |text: &String| *text == *scope || covers(text, scope);
            if !texts.iter().any(is_covered) {
                texts.push(scope.clone());
            }
        }
        texts
    }
}

/// Whether one scope allows all that another does.
fn covers(wide: &str, narrow: &str) -> bool {
    let (Some((resource, wide)), Some((other, narrow))) =
        (wide.rsplit_once(':'), narrow.rsplit_once(':'))
    else {
        return false;
    };
    let has = |action: &str| wide.split(',').any(|own| own == action);
    resource == other && narrow.split(',').all(has)
}

/// What one registry wants to see.
pub(super) struct Auth {
    host: String,
    provider: Arc<dyn Provider>,
    /// What the registry asked for last.
    challenge: RwLock<Option<Challenge>>,
    tokens: Mutex<HashMap<Scope, Arc<tokio::sync::Mutex<Option<Token>>>>>,
    /// The scopes that the registry named when it refused.
    scopes: Mutex<HashMap<Scope, Vec<String>>>,
    /// Why there was no login although one is configured.
    note: Mutex<Option<String>>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    expires: Instant,
}

impl Auth {
    pub(super) fn new(host: &str, provider: Arc<dyn Provider>) -> Self {
        Self {
            host: host.to_owned(),
            provider,
            challenge: RwLock::default(),
            tokens: Mutex::default(),
            scopes: Mutex::default(),
            note: Mutex::default(),
        }
    }

    /// A refusal, with the reason why there was no login.
    pub(super) fn explained(&self, http: &Http, error: http::Error) -> http::Error {
        if !matches!(error.status_code(), Some(401 | 403)) {
            return error;
        }
        let note = self.note.lock().unwrap_or_else(PoisonError::into_inner);
        let withheld = || http.credentials().withheld(&self.host);
        error.noted(note.clone().or_else(withheld))
    }

    /// Whether an answer means that authorization is missing or has run out.
    pub(super) fn is_refusal(&self, error: &http::Error) -> bool {
        match error.status_code() {
            Some(401) => true,
            Some(403) => self.provider.capabilities().own_authorization,
            _ => false,
        }
    }

    /// What to send, as far as it is known what the registry wants.
    pub(super) async fn header(
        &self,
        http: &Http,
        scope: &Scope,
    ) -> Result<Option<HeaderValue>, Error> {
        if let Some(authorization) = self.provider.authorization().await? {
            return Ok(token::header(authorization.expose()));
        }
        let challenge = self
            .challenge
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match challenge {
            None => Ok(None),
            Some(challenge) => self.authorize(http, scope, &challenge, None).await,
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
        if self.provider.capabilities().own_authorization {
            let Some(refused) = refused else {
                return self.header(http, scope).await;
            };
            let renewed = self.provider.renew(refused.as_bytes()).await?;
            return Ok(renewed.and_then(|renewed| token::header(renewed.expose())));
        }
        let texts = headers
            .get_all(WWW_AUTHENTICATE)
            .into_iter()
            .filter_map(|text| text.to_str().ok());
        let challenge = Challenge::choose(texts);
        if let Some(Challenge::Bearer { scopes, .. }) = &challenge {
            let mut known = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(scope.clone(), scopes.clone());
        }
        let challenge = match challenge {
            Some(challenge) => challenge,
            // Without a usable challenge, a registry token can still be accepted.
            None if matches!(self.login(http, scope).await, Some(Login::RegistryToken(_))) => {
                Challenge::Basic
            }
            None => return Ok(None),
        };
        *self
            .challenge
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(challenge.clone());
        let header = self.authorize(http, scope, &challenge, refused).await?;
        Ok(header.filter(|header| Some(header) != refused))
    }

    /// The answer to a challenge, other than what was refused.
    async fn authorize(
        &self,
        http: &Http,
        scope: &Scope,
        challenge: &Challenge,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Error> {
        match (challenge, self.login(http, scope).await) {
            (_, Some(Login::RegistryToken(token))) => {
                Ok(token::header(&format!("Bearer {}", token.expose())))
            }
            (Challenge::Basic, Some(Login::Password(basic))) => Ok(Some(basic_header(&basic))),
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { .. }, login) => {
                let token = self.token(http, scope, challenge, login, refused);
                token.await.map(Some)
            }
        }
    }

    /// A token for a scope, other than the refused one; all that need it wait for one request.
    async fn token(
        &self,
        http: &Http,
        scope: &Scope,
        challenge: &Challenge,
        login: Option<Login>,
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
        let token = Box::pin(self.request(http, scope, challenge, login)).await?;
        let header = token.header.clone();
        *slot = Some(token);
        Ok(header)
    }

    async fn request(
        &self,
        http: &Http,
        scope: &Scope,
        challenge: &Challenge,
        login: Option<Login>,
    ) -> Result<Token, Error> {
        let Challenge::Bearer { realm, service, .. } = challenge else {
            unreachable!("only a bearer challenge asks for tokens")
        };
        let named = {
            let known = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(scope).cloned().unwrap_or_default()
        };
        let scopes = scope.texts(&named);
        let asked = service.iter().map(|service| ("service", service.as_str()));
        let scopes_asked = scopes.iter().map(|scope| ("scope", scope.as_str()));
        let asked: Vec<(&str, &str)> = asked.chain(scopes_asked).collect();
        let plain = http.rewrite(realm);
        let mut url = realm.clone();
        url.query_pairs_mut().extend_pairs(&asked);
        let url = http.rewrite(&url);
        let login = login.filter(|_| self.may_send_to(http, &url));
        let request = || match &login {
            // An identity token is exchanged for an access token by OAuth 2
            // (<https://distribution.github.io/distribution/spec/auth/oauth/>). Several scopes are one text here.
            Some(Login::IdentityToken(identity)) => {
                let mut body = url::form_urlencoded::Serializer::new(String::new());
                body.extend_pairs([
                    ("grant_type", "refresh_token"),
                    ("client_id", http.program()),
                    ("refresh_token", identity.expose()),
                ]);
                body.extend_pairs(service.iter().map(|service| ("service", service)));
                body.append_pair("scope", &scopes.join(" "));
                let request = http.client().post(plain.clone());
                request
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(body.finish())
            }
            Some(Login::Password(Basic { username, password })) => http
                .client()
                .get(url.clone())
                .basic_auth(username, Some(password.expose())),
            Some(Login::RegistryToken(_)) | None => http.client().get(url.clone()),
        };
        let policy = http.policy();
        let body = policy
            .run(|| async { http.body(http.send(request()).await?, MAX_TOKEN).await })
            .await
            .map_err(|error| self.explained(http, error))?;
        let answer: Option<Value> = serde_json::from_slice(&body).ok();
        let token = answer.as_ref().and_then(|answer| {
            let header = token::header(&format!("Bearer {}", token::text(answer)?))?;
            Some((header, token::life(answer)))
        });
        let Some((header, life)) = token else {
            return Err(
                http::Error::refused(&Method::GET, &url, "the answer holds no token").into(),
            );
        };
        Ok(Token {
            header,
            // Renewed when a quarter of its life is left: a request takes its time, and clocks differ.
            expires: Instant::now() + life.mul_f64(0.75),
        })
    }

    /// The user's login for a repository of this registry, which has asked for one.
    async fn login(&self, http: &Http, scope: &Scope) -> Option<Login> {
        let found = http
            .credentials()
            .get(&self.host, &scope.repository, Asked::Yes)
            .await;
        if found.note.is_some() {
            self.set_note(found.note);
        }
        found.login
    }

    fn set_note(&self, note: Option<String>) {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = note;
    }

    /// Whether the login may go to the token service that the registry names. A registry could ask for the
    /// login itself, so its token service may have it, wherever it is, as with docker, skopeo and crane; but
    /// never without TLS where the registry has it.
    fn may_send_to(&self, http: &Http, realm: &Url) -> bool {
        let base = http.base(&self.host);
        let is_safe = realm.scheme() == "https" || !base.starts_with("https:");
        if !is_safe {
            let host = realm.host_str().unwrap_or_default();
            self.set_note(Some(format!(
                "the login was not sent: the registry has TLS, and its token service http://{host} has none"
            )));
        }
        is_safe
    }
}

fn basic_header(basic: &Basic) -> HeaderValue {
    let text = STANDARD.encode(format!("{}:{}", basic.username, basic.password.expose()));
    token::header(&format!("Basic {text}")).expect("Base64 stands in a header")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Credentials;
    use crate::http::Network;
    use crate::store::Plain;

    #[test]
    fn a_login_follows_a_challenge_to_any_token_service_but_not_out_of_tls() {
        let network = Network::default();
        let http = Http::new(&network, Credentials::default()).unwrap();
        let may = |host: &str, realm: &str| {
            Auth::new(host, Arc::new(Plain)).may_send_to(&http, &Url::parse(realm).unwrap())
        };
        assert!(may("docker.io", "https://auth.docker.io/token"));
        assert!(may("registry.corp.io", "https://gitlab.corp.io/jwt/auth"));
        assert!(may("127.0.0.1:5000", "http://127.0.0.1:5001/token"));
        assert!(!may("quay.io", "http://quay.io/token"));
        assert!(!may("quay.io", "http://127.0.0.1:5000/token"));
    }

    #[test]
    fn the_scope_of_the_challenge_is_asked_for_beside_our_own() {
        let scope = Scope {
            repository: "alias/app".to_owned(),
            access: Access::Push,
            mount_from: None,
        };
        let texts = |asked: &[&str]| {
            let asked: Vec<String> = asked.iter().map(|scope| (*scope).to_owned()).collect();
            scope.texts(&asked)
        };
        let own = "repository:alias/app:pull,push";
        assert_eq!(texts(&[]), [own]);
        assert_eq!(texts(&[own]), [own]);
        assert_eq!(texts(&["repository:alias/app:pull"]), [own]);
        assert_eq!(
            texts(&["repository:real/app:pull"]),
            [own, "repository:real/app:pull"]
        );
        assert_eq!(
            texts(&["repository:alias/app:delete", "aws"]),
            [own, "repository:alias/app:delete", "aws"]
        );
    }
}
