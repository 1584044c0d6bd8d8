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
#[derive(Debug, Clone, Default)]
pub struct Credentials(BTreeMap<String, Basic>);

/// The part of Docker's configuration that is read here.
#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerAuth>,
}

#[derive(Deserialize)]
struct DockerAuth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
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
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let broken = || format!("{} is not a Docker configuration file", path.display());
        // Not the parser's own words: they can quote what they stumbled over.
        let config: DockerConfig = serde_json::from_slice(&text).ok().with_context(broken)?;
        let mut credentials = BTreeMap::new();
        for (key, auth) in config.auths {
            let host = host_of(&key).to_owned();
            let basic = auth
                .basic()
                .with_context(|| format!("the entry `{host}` in {} is broken", path.display()))?;
            if let Some(basic) = basic {
                credentials.insert(host, basic);
            }
        }
        Ok(Self(credentials))
    }

    /// The credentials for a host.
    #[must_use]
    pub fn get(&self, host: &str) -> Option<&Basic> {
        self.0.get(host_of(host))
    }
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

    #[test]
    fn docker_s_file_is_read_by_host() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        let auth = STANDARD.encode("me:pass:word");
        std::fs::write(&file, format!(r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{auth}"}},"reg.corp:8443":{{"username":"u","password":"p"}},"helper.io":{{}}}}}}"#)).unwrap();
        let credentials = Credentials::from_docker_config(&file).unwrap();
        let hub = credentials.get("docker.io").unwrap();
        assert_eq!(
            (hub.username.as_str(), hub.password.expose()),
            ("me", "pass:word")
        );
        assert_eq!(credentials.get("registry-1.docker.io"), Some(hub));
        assert!(credentials.get("reg.corp:8443").is_some());
        assert!(credentials.get("reg.corp").is_none() && credentials.get("helper.io").is_none());
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
