//! Authentication: none, Basic, Bearer tokens from the registry's token endpoint, or ECR's passwords.

use super::Core;
use super::answer::Refusal;
use super::route::{Noun, Route};
use crate::server::body::{Body, collect};
use crate::server::{header, with_body};
use crate::text;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How a registry wants to know its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    Anonymous,
    /// `Authorization: Basic` at every request.
    Basic {
        /// The one user.
        username: String,
        /// Their password.
        password: String,
    },
    /// Tokens of one or more scopes, from `/token` on the same server.
    Bearer {
        /// The one user.
        username: String,
        /// Their password, which is accepted as a refresh token as well.
        password: String,
        /// Whether those without a password get tokens to pull.
        anonymous: bool,
        /// How long a token lasts.
        lifetime: Duration,
    },
}

impl Auth {
    /// [`Auth::Basic`].
    #[must_use]
    pub fn basic(username: &str, password: &str) -> Self {
        Self::Basic {
            username: username.to_owned(),
            password: password.to_owned(),
        }
    }

    /// [`Auth::Bearer`] for one user only, with tokens that last five minutes.
    #[must_use]
    pub fn bearer(username: &str, password: &str) -> Self {
        let lifetime = Duration::from_mins(5);
        Self::Bearer {
            username: username.to_owned(),
            password: password.to_owned(),
            anonymous: false,
            lifetime,
        }
    }

    /// [`Auth::Bearer`] as public registries have it: pulling is open to all, pushing is forbidden.
    #[must_use]
    pub fn public(lifetime: Duration) -> Self {
        Self::Bearer {
            username: String::new(),
            password: String::new(),
            anonymous: true,
            lifetime,
        }
    }
}

/// What a request may do.
#[derive(Debug)]
pub(super) enum Access {
    All,
    /// `repository:<name>:<actions>`, as granted by a token.
    Scopes(Vec<String>),
}

impl Access {
    pub(super) fn allows(&self, repository: &str, action: &str) -> bool {
        match self {
            Self::All => true,
            Self::Scopes(scopes) => scopes.iter().any(|scope| {
                let (name, actions) = scope.rsplit_once(':').unwrap_or_default();
                name.strip_prefix("repository:") == Some(repository)
                    && actions.split(',').any(|granted| granted == action)
            }),
        }
    }
}

/// The tokens and passwords in circulation.
#[derive(Debug)]
pub(crate) struct Gate {
    auth: Auth,
    issued: Mutex<HashMap<String, Grant>>,
}

#[derive(Debug)]
struct Grant {
    expires: Instant,
    scopes: Vec<String>,
}

impl Gate {
    pub(super) fn new(auth: Auth) -> Self {
        Self {
            auth,
            issued: Mutex::default(),
        }
    }

    pub(crate) fn issue_password(&self, lifetime: Duration) -> String {
        self.issue("password", lifetime, Vec::new())
    }

    pub(super) fn expire(&self) {
        self.issued()
            .values_mut()
            .for_each(|grant| grant.expires = Instant::now());
    }

    fn issue(&self, kind: &str, lifetime: Duration, scopes: Vec<String>) -> String {
        let mut issued = self.issued();
        let token = format!("lab-{kind}-{}", issued.len() + 1);
        issued.insert(
            token.clone(),
            Grant {
                expires: Instant::now() + lifetime,
                scopes,
            },
        );
        token
    }

    fn issued(&self) -> MutexGuard<'_, HashMap<String, Grant>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Lets a request in or says how to log in.
    pub(super) fn admit(&self, request: &Request<Body>, route: &Route) -> Result<Access, Refusal> {
        let credentials = credentials(request.headers());
        if self.ecr().token_login {
            return self.admit_ecr(credentials);
        }
        match &self.gate.auth {
            Auth::Anonymous => Ok(Access::All),
            Auth::Basic { username, password } => match credentials {
                Some((user, given)) if user == *username && given == *password => Ok(Access::All),
                _ => Err(unauthorized("Basic realm=\"lab\"".to_owned())),
            },
            Auth::Bearer { .. } => self.admit_token(request, route),
        }
    }

    fn admit_ecr(&self, credentials: Option<(String, String)>) -> Result<Access, Refusal> {
        let denied = || {
            unauthorized(format!(
                "Basic realm=\"https://{}/\",service=\"ecr.amazonaws.com\"",
                self.host()
            ))
        };
        let (user, password) = credentials.ok_or_else(denied)?;
        let issued = self.gate.issued();
        let grant = issued
            .get(&password)
            .filter(|_| user == "AWS")
            .ok_or_else(denied)?;
        if grant.expires <= Instant::now() {
            let message = "Your authorization token has expired. Reauthenticate and try again.";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "DENIED", message));
        }
        Ok(Access::All)
    }

    fn admit_token(&self, request: &Request<Body>, route: &Route) -> Result<Access, Refusal> {
        let needed: &[&str] = match *request.method() {
            Method::GET | Method::HEAD if route.noun != Noun::Upload => &["pull"],
            Method::DELETE if route.noun != Noun::Upload => &["delete"],
            _ => &["pull", "push"],
        };
        let challenge = |error: &str| {
            let mut challenge = format!(
                "Bearer realm=\"http://{}/token\",service=\"lab\"",
                self.host()
            );
            if route.noun != Noun::Ping {
                challenge += &[
                    ",scope=\"repository:",
                    &route.name,
                    ":",
                    &needed.join(","),
                    "\"",
                ]
                .concat();
            }
            unauthorized(challenge + error)
        };
        let authorization = header(request.headers(), "authorization");
        let token = authorization
            .as_deref()
            .and_then(|value| value.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| challenge(""))?;
        let issued = self.gate.issued();
        let grant = issued
            .get(token)
            .filter(|grant| grant.expires > Instant::now());
        let grant = grant.ok_or_else(|| challenge(",error=\"invalid_token\""))?;
        let access = Access::Scopes(grant.scopes.clone());
        let enough = route.noun == Noun::Ping
            || needed
                .iter()
                .all(|action| access.allows(&route.name, action));
        if enough {
            Ok(access)
        } else {
            Err(challenge(",error=\"insufficient_scope\""))
        }
    }

    /// The token endpoint: GET with Basic credentials or none, POST with a form.
    pub(super) async fn token(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let Auth::Bearer {
            username,
            password,
            anonymous,
            lifetime,
        } = &self.gate.auth
        else {
            return Err(Refusal::missing("NOT_FOUND", "this registry has no tokens"));
        };
        let basic = credentials(request.headers());
        let query = request.uri().query().unwrap_or_default().to_owned();
        let form = String::from_utf8_lossy(&collect(request.into_body()).await?).into_owned();
        let field = |key| text::pair(&form, key);
        let refresh = field("refresh_token").map(|token| (username.clone(), token));
        let given = basic
            .or(refresh)
            .or_else(|| field("username").zip(field("password")));
        let known = given
            .as_ref()
            .is_some_and(|(user, given)| user == username && given == password);
        if !known && (given.is_some() || !anonymous) {
            return Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "UNAUTHORIZED",
                "incorrect username or password",
            ));
        }
        let scopes = [query, form]
            .iter()
            .flat_map(|source| text::pairs(source))
            .filter(|(key, _)| key == "scope")
            .flat_map(|(_, value)| value.split(' ').map(str::to_owned).collect::<Vec<_>>())
            .filter_map(|scope| {
                if known {
                    Some(scope)
                } else {
                    pull_only(&scope)
                }
            })
            .collect();
        let token = self.gate.issue("token", *lifetime, scopes);
        let body = json!({"token": token, "access_token": token, "expires_in": lifetime.as_secs()});
        Ok(with_body(
            StatusCode::OK,
            "application/json",
            body.to_string(),
        ))
    }
}

/// The scope without all that is more than pulling.
fn pull_only(scope: &str) -> Option<String> {
    let (name, actions) = scope.rsplit_once(':')?;
    actions
        .split(',')
        .any(|action| action == "pull")
        .then(|| format!("{name}:pull"))
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    text::basic_credentials(&header(headers, "authorization")?)
}

fn unauthorized(challenge: String) -> Refusal {
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        "UNAUTHORIZED",
        "authentication required",
    )
    .header("www-authenticate", challenge)
}
