//! Logins by host and repository, which nothing can print.

mod docker_config;
mod helper;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

pub use docker_config::DockerConfig;
use docker_config::scopes;

/// A text that does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the request that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A user name and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basic {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// What opens a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// A user name and a password.
    Password(Basic),
    /// A refresh token that the token service exchanges for an access token.
    IdentityToken(Secret),
    /// A token that the registry itself takes as `Bearer`.
    RegistryToken(Secret),
}

/// Whether a host asked for a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It answered 401.
    Yes,
    /// Not so far.
    No,
}

/// What is known about a host's login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The login.
    pub login: Option<Login>,
    /// Why there is none although one is configured: part of the error, should the host refuse.
    pub note: Option<String>,
}

impl Found {
    fn login(login: Login) -> Self {
        Self {
            login: Some(login),
            note: None,
        }
    }
}

/// Logins that the caller gives. They win over Docker's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenLogins {
    /// What messages call them: the name of the option that holds them.
    pub name: String,
    /// Those that name their host.
    pub by_host: BTreeMap<String, Basic>,
    /// The one that names no host.
    pub hostless: Option<HostlessLogin>,
}

/// A login that names no host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostlessLogin {
    /// The login.
    pub basic: Basic,
    /// The hosts that the user named; they may get it unasked.
    pub named: BTreeSet<String>,
    /// The hosts that get it once they answer 401.
    pub on_challenge: BTreeSet<String>,
}

impl GivenLogins {
    /// The hosts that may get a login.
    #[must_use]
    pub fn hosts(&self) -> BTreeSet<&str> {
        let hostless = self.hostless.iter();
        let hostless = hostless.flat_map(|one| one.named.iter().chain(&one.on_challenge));
        let hosts = self.by_host.keys().chain(hostless);
        hosts.map(String::as_str).collect()
    }
}

/// All logins of a run.
#[derive(Debug, Default)]
pub struct Credentials {
    docker: DockerConfig,
    given: GivenLogins,
    /// The hosts that the login without a host was sent to.
    sent_to: Mutex<BTreeSet<String>>,
    /// What was logged about whose logins are used.
    logged: Mutex<BTreeSet<String>>,
    /// The answers of credential helpers, by helper and key: each is asked once.
    asked: tokio::sync::Mutex<BTreeMap<(String, String), Found>>,
}

impl Credentials {
    /// The given ones win over Docker's file.
    #[must_use]
    pub fn new(docker: DockerConfig, given: GivenLogins) -> Self {
        Self {
            docker,
            given,
            ..Self::default()
        }
    }

    /// Whether there is a login that names the host, without running a credential helper.
    #[must_use]
    pub fn knows(&self, host: &str) -> bool {
        let host = canonical_host(host);
        self.given.by_host.contains_key(&host) || self.docker.knows(&host)
    }

    /// Whether only this machine has the login for a host: other builds cannot read Docker's file.
    #[must_use]
    pub fn is_only_here(&self, host: &str) -> bool {
        let host = canonical_host(host);
        self.docker.knows(&host) && !self.given.by_host.contains_key(&host)
    }

    /// The login for a repository of a host: that of the secret's entry for the host, of the longest
    /// matching entry of Docker's file or its credential helper, or the secret that names no host.
    pub async fn get(&self, host: &str, repository: &str, asked: Asked) -> Found {
        let host = canonical_host(host);
        let (found, from) = self.find(&host, repository, asked).await;
        if let Some(login) = &found.login {
            self.log_use(&host, login, &from);
        }
        found
    }

    /// Logs whose login a host gets, once, and never the secret.
    fn log_use(&self, host: &str, login: &Login, from: &str) {
        let whose = match login {
            Login::Password(basic) => format!("login of `{}`", basic.username),
            Login::RegistryToken(_) | Login::IdentityToken(_) => "token".to_owned(),
        };
        let text = format!("{host}: {whose} from {from}");
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.insert(text.clone()) {
            tracing::debug!("{text}");
        }
    }

    /// The login, and where it is from.
    async fn find(&self, host: &str, repository: &str, asked: Asked) -> (Found, String) {
        if let Some(basic) = self.given.by_host.get(host) {
            let found = Found::login(Login::Password(basic.clone()));
            return (found, self.given.name.clone());
        }
        let mut note = None;
        for scope in scopes(host, repository) {
            if let Some(helper) = self.docker.helper(&scope) {
                let found = self.ask(helper, &scope).await;
                if found.login.is_some() {
                    return (found, format!("docker-credential-{helper}"));
                }
                note = note.or(found.note);
            }
            if let Some(login) = self.docker.login(&scope) {
                let from = "Docker's configuration file".to_owned();
                return (Found::login(login.clone()), from);
            }
        }
        if let Some(basic) = self.flat(host, asked) {
            let found = Found::login(Login::Password(basic));
            return (found, self.given.name.clone());
        }
        if let Some(store) = self.docker.store() {
            let found = self.ask(store, host).await;
            if found.login.is_some() {
                return (found, format!("docker-credential-{store}"));
            }
            note = note.or(found.note);
        }
        (Found { login: None, note }, String::new())
    }

    /// What to say where a host hides content and was not given the secret that names no host, because it
    /// did not ask.
    #[must_use]
    pub fn withheld(&self, host: &str) -> Option<String> {
        let host = canonical_host(host);
        let flat = self.given.hostless.as_ref()?;
        let given = self.sent_to.lock().unwrap_or_else(PoisonError::into_inner);
        (flat.on_challenge.contains(&host) && !given.contains(&host)).then(|| {
            format!(
                "{} was not sent: it names no host, and this one did not ask for a login (401); to send it all the \
                 same, name the host in it: {}",
                self.given.name,
                by_host(&host)
            )
        })
    }

    /// The secret that names no host, where it may be sent to this one.
    fn flat(&self, host: &str, asked: Asked) -> Option<Basic> {
        let flat = self.given.hostless.as_ref()?;
        let may =
            flat.named.contains(host) || asked == Asked::Yes && flat.on_challenge.contains(host);
        if !may {
            return None;
        }
        let mut given = self.sent_to.lock().unwrap_or_else(PoisonError::into_inner);
        if given.insert(host.to_owned()) && given.len() == 2 {
            let hosts: Vec<&str> = given.iter().map(String::as_str).collect();
            tracing::warn!(
                "{} holds one login without a host, and it was sent to {}: name the host of each login in it, such as {}",
                self.given.name,
                hosts.join(" and "),
                by_host(host)
            );
        }
        Some(flat.basic.clone())
    }

    async fn ask(&self, helper: &str, scope: &str) -> Found {
        let mut asked = self.asked.lock().await;
        let key = (helper.to_owned(), scope.to_owned());
        if let Some(found) = asked.get(&key) {
            return found.clone();
        }
        let found = match Box::pin(helper::ask(helper, scope)).await {
            Ok(login) => Found { login, note: None },
            Err(error) => {
                let note =
                    format!("docker-credential-{helper} gives no login for {scope}: {error:#}");
                tracing::warn!(host = scope, "{note}");
                Found {
                    login: None,
                    note: Some(note),
                }
            }
        };
        asked.insert(key, found.clone());
        found
    }
}

/// A login that names its host, as it is written.
fn by_host(host: &str) -> String {
    format!(r#"{{"{host}": {{"username": "…", "password": "…"}}}}"#)
}

/// A host as logins are looked up: in lower case, and Docker Hub by one name.
#[must_use]
pub fn canonical_host(host: &str) -> String {
    let host = host.trim().to_lowercase();
    if crate::reference::is_docker_hub(&host) {
        crate::reference::DOCKER_HUB.to_owned()
    } else {
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(username: &str) -> Basic {
        Basic {
            username: username.to_owned(),
            password: Secret::new("p".to_owned()),
        }
    }

    async fn user(credentials: &Credentials, host: &str, repository: &str, asked: Asked) -> String {
        match credentials.get(host, repository, asked).await.login {
            Some(Login::Password(basic)) => basic.username,
            Some(other) => format!("{other:?}"),
            None => String::new(),
        }
    }

    #[tokio::test]
    async fn a_secret_without_hosts_goes_to_named_hosts_and_to_others_only_when_they_ask() {
        let set = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
        let given = GivenLogins {
            name: "the secret".to_owned(),
            by_host: BTreeMap::from([("own.corp".to_owned(), basic("own"))]),
            hostless: Some(HostlessLogin {
                basic: basic("flat"),
                named: set(&["mirror.corp"]),
                on_challenge: set(&["charts.corp"]),
            }),
        };
        let credentials = Credentials::new(DockerConfig::default(), given);
        assert_eq!(
            user(&credentials, "mirror.corp", "a", Asked::No).await,
            "flat"
        );
        assert_eq!(user(&credentials, "charts.corp", "", Asked::No).await, "");
        assert!(credentials.withheld("charts.corp").is_some());
        assert_eq!(
            user(&credentials, "charts.corp", "", Asked::Yes).await,
            "flat"
        );
        assert_eq!(credentials.withheld("charts.corp"), None);
        assert_eq!(user(&credentials, "other.corp", "", Asked::Yes).await, "");
        assert_eq!(user(&credentials, "Own.Corp", "", Asked::No).await, "own");
        assert!(credentials.knows("own.corp") && !credentials.knows("mirror.corp"));
    }
}
