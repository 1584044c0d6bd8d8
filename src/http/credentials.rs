//! User names and passwords, by host, that nothing can print.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

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

/// Credentials by host (with its port).
#[derive(Debug, Default)]
pub struct Credentials {
    known: BTreeMap<String, Basic>,
    /// Programs that know the credentials of a host: `docker-credential-<name>`.
    helpers: BTreeMap<String, String>,
    /// The program for all other hosts.
    store: Option<String>,
    /// What programs said, so that each is asked once for a host.
    asked: tokio::sync::Mutex<BTreeMap<String, Option<Basic>>>,
}

/// The user name that marks a password as an identity token, as Docker's helpers have it.
pub const IDENTITY_TOKEN: &str = "<token>";

/// Longest wait for a credential helper.
const HELPER: std::time::Duration = std::time::Duration::from_secs(30);

/// The part of Docker's configuration that is read here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerAuth>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct DockerAuth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Credentials {
    /// Reads the `auths` of Docker's configuration file, which Seed-Farmer fills by `docker login`
    /// before the module runs. A file that does not exist holds none.
    ///
    /// # Errors
    /// When the file cannot be read, or an entry is not what `docker login` writes.
    pub fn from_docker_config(path: &Path) -> anyhow::Result<Self> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(error).context("it cannot be read");
            }
        };
        // Not the parser's own words: they can quote what they stumbled over.
        let config: DockerConfig = serde_json::from_slice(&text)
            .ok()
            .context("it is no Docker configuration file")?;
        let mut known = BTreeMap::new();
        for (key, auth) in config.auths {
            let host = host_of(&key).to_owned();
            let basic = auth
                .basic()
                .with_context(|| format!("the entry `{host}` is broken"))?;
            if let Some(basic) = basic {
                known.insert(host, basic);
            }
        }
        let helpers = config
            .cred_helpers
            .iter()
            .map(|(key, name)| (host_of(key).to_owned(), name.clone()));
        Ok(Self {
            known,
            helpers: helpers.collect(),
            store: config.creds_store.filter(|store| !store.is_empty()),
            ..Self::default()
        })
    }

    /// Adds what the user says for this run; it wins over Docker's file.
    pub fn extend(&mut self, further: BTreeMap<String, Basic>) {
        self.known.extend(
            further
                .into_iter()
                .map(|(host, basic)| (host_of(&host).to_owned(), basic)),
        );
    }

    /// Whether credentials for a host are at hand, without asking a program.
    #[must_use]
    pub fn knows(&self, host: &str) -> bool {
        self.known.contains_key(host_of(host))
    }

    /// The credentials for a host. A program that is named for it is asked once; one that fails has
    /// none, and a warning says so.
    pub async fn get(&self, host: &str) -> Option<Basic> {
        let host = host_of(host);
        if let Some(basic) = self.known.get(host) {
            return Some(basic.clone());
        }
        let helper = self.helpers.get(host).or(self.store.as_ref())?;
        let mut asked = self.asked.lock().await;
        if let Some(answer) = asked.get(host) {
            return answer.clone();
        }
        let answer = match ask(helper, host).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(
                    host,
                    "docker-credential-{helper} gives no credentials for {host}: {error:#}"
                );
                None
            }
        };
        asked.insert(host.to_owned(), answer.clone());
        answer
    }
}

/// Asks a credential helper (<https://github.com/docker/docker-credential-helpers>). What it writes is
/// never shown: it can hold the secret.
async fn ask(helper: &str, host: &str) -> anyhow::Result<Option<Basic>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    use std::process::Stdio;
    use tokio::io::AsyncWriteExt;
    let is_name = helper
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    anyhow::ensure!(is_name, "its name is not one of a program");
    // Docker stores its Hub under this key.
    let key = if host == "docker.io" {
        "https://index.docker.io/v1/"
    } else {
        host
    };
    let mut child = tokio::process::Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("it cannot be started")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(key.as_bytes())
            .await
            .context("it does not listen")?;
    }
    let output = tokio::time::timeout(HELPER, child.wait_with_output()).await;
    let output = output
        .context("it does not answer")?
        .context("it broke off")?;
    if !output.status.success() {
        // "Not found" is an error to the helpers, and no news to us.
        return Ok(None);
    }
    let answer: Option<Answer> = serde_json::from_slice(&output.stdout).ok();
    let answer = answer.context("its answer is not what the protocol asks for")?;
    Ok(Some(Basic {
        username: answer.username,
        password: Secret(answer.secret),
    }))
}

/// The host of a key in Docker's file, which can be a URL with a path. All of Docker Hub's names
/// are one.
fn host_of(key: &str) -> &str {
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    if matches!(host, "index.docker.io" | "registry-1.docker.io") {
        "docker.io"
    } else {
        host
    }
}

impl DockerAuth {
    fn basic(self) -> anyhow::Result<Option<Basic>> {
        if let Some(token) = self.identitytoken.filter(|token| !token.is_empty()) {
            return Ok(Some(Basic {
                username: IDENTITY_TOKEN.to_owned(),
                password: Secret(token),
            }));
        }
        let (username, password) = match (self.auth, self.username, self.password) {
            (Some(auth), _, _) if !auth.is_empty() => {
                let text = STANDARD
                    .decode(auth)
                    .ok()
                    .and_then(|text| String::from_utf8(text).ok());
                let text = text.context("its `auth` is not Base64")?;
                let (username, password) = text
                    .split_once(':')
                    .context("its `auth` holds no `user:password`")?;
                (
                    username.to_owned(),
                    password.trim_end_matches('\0').to_owned(),
                )
            }
            (_, Some(username), Some(password)) => (username, password),
            // A credential helper keeps it.
            _ => return Ok(None),
        };
        Ok(Some(Basic {
            username,
            password: Secret(password),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn docker_s_file_is_read_by_host() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        let auth = STANDARD.encode("me:pass:word");
        std::fs::write(&file, format!(r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{auth}"}},"reg.corp:8443":{{"username":"u","password":"p"}},"helper.io":{{}}}}}}"#)).unwrap();
        let credentials = Credentials::from_docker_config(&file).unwrap();
        let hub = credentials.get("docker.io").await.unwrap();
        assert_eq!(
            (hub.username.as_str(), hub.password.expose()),
            ("me", "pass:word")
        );
        assert_eq!(credentials.get("registry-1.docker.io").await, Some(hub));
        assert!(credentials.knows("reg.corp:8443"));
        assert!(!credentials.knows("reg.corp") && credentials.get("helper.io").await.is_none());
        assert!(!format!("{credentials:?}").contains("pass:word"));
    }

    #[test]
    fn a_broken_file_is_an_error_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        std::fs::write(&file, r#"{"auths":{"a.io":{"auth":"hunter2!"}}}"#).unwrap();
        let error = format!("{:#}", Credentials::from_docker_config(&file).unwrap_err());
        assert!(
            error.contains("a.io") && !error.contains("hunter2"),
            "{error}"
        );
        assert!(Credentials::from_docker_config(&dir.path().join("none")).is_ok());
    }
}
