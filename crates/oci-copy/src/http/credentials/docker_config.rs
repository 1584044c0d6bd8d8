//! Docker's configuration file, read as docker, podman and skopeo read it
//! (<https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::{Basic, Login, Secret, canonical_host};

/// The key under which `docker login` keeps Docker Hub's login.
pub(super) const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// What Docker's configuration file says about logins.
#[derive(Debug, Default)]
pub struct DockerConfig {
    /// By host, or host and path below it; the rank tells which spelling of a host wins, 0 first.
    logins: BTreeMap<String, (u8, Login)>,
    /// Credential helpers (`docker-credential-<name>`) by host.
    helpers: BTreeMap<String, String>,
    /// The credential helper for all other hosts.
    store: Option<String>,
}

impl DockerConfig {
    /// Reads the file, which Seed-Farmer fills by `docker login` before the module runs. A file that
    /// does not exist or is empty holds none.
    ///
    /// # Errors
    /// When the file cannot be read, or an entry is not what `docker login` writes.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read(path) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).context("it cannot be read"),
        }
    }

    fn parse(text: &[u8]) -> anyhow::Result<Self> {
        const WRONG: &str = "it is not a Docker configuration file";
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        // Not the parser's own words: they can quote what they stumbled over.
        let config: Value = serde_json::from_slice(text).ok().context(WRONG)?;
        let config = match config {
            Value::Null => Map::new(),
            Value::Object(config) => config,
            _ => anyhow::bail!(WRONG),
        };
        let mut logins: BTreeMap<String, (u8, Login)> = BTreeMap::new();
        for (key, entry) in section(&config, "auths").context(WRONG)? {
            let Some((scope, rank)) = scope_of(key) else {
                continue;
            };
            let login = login(entry).with_context(|| format!("the entry `{scope}` is broken"))?;
            let wins = logins.get(&scope).is_none_or(|(other, _)| rank < *other);
            if let Some(login) = login.filter(|_| wins) {
                logins.insert(scope, (rank, login));
            }
        }
        let helpers = section(&config, "credHelpers").context(WRONG)?;
        let helpers = helpers.filter_map(|(key, name)| {
            let name = name.as_str().filter(|name| !name.is_empty())?;
            Some((scope_of(key)?.0, name.to_owned()))
        });
        Ok(Self {
            logins,
            helpers: helpers.collect(),
            store: text_of(&config, "credsStore"),
        })
    }

    /// Whether an entry holds a login for the host or something below it.
    pub(super) fn knows(&self, host: &str) -> bool {
        let is_of = |scope: &String| scope.split('/').next() == Some(host);
        self.logins.keys().any(is_of)
    }

    pub(super) fn login(&self, scope: &str) -> Option<&Login> {
        self.logins.get(scope).map(|(_, login)| login)
    }

    pub(super) fn helper(&self, scope: &str) -> Option<&str> {
        self.helpers.get(scope).map(String::as_str)
    }

    pub(super) fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }
}

/// The scopes that cover a repository, the longest first, the host last.
pub(super) fn scopes(host: &str, repository: &str) -> Vec<String> {
    let whole = format!("{host}/{repository}");
    let mut scope = whole.trim_end_matches('/');
    let mut scopes = vec![scope.to_owned()];
    while let Some((shorter, _)) = scope.rsplit_once('/') {
        scopes.push(shorter.to_owned());
        scope = shorter;
    }
    scopes
}

/// What a key of the file covers, a host or a host with a path, and how good a name for it the key is.
/// A URL with a path (`https://reg.io/v2/`) is an old spelling of the host.
fn scope_of(key: &str) -> Option<(String, u8)> {
    let key = key.trim();
    let (is_url, rest) = match key.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, key),
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (is_hub, path) = (
        crate::reference::is_docker_hub(host),
        path.trim_matches('/'),
    );
    let host = canonical_host(host);
    if host.is_empty() || is_hub && path.ends_with("-token") {
        // Docker's web login keeps `…/v1/access-token` and `…/v1/refresh-token` beside its own key.
        return None;
    }
    Some(match path {
        _ if key == DOCKER_HUB_KEY => (host, 0),
        "" if !is_url => (host, u8::from(is_hub)),
        "" | "v1" | "v2" => (host, 2),
        path if !is_url => (format!("{host}/{path}"), 0),
        _ => (host, 3),
    })
}

/// A section of the file; null is an empty one.
fn section<'a>(
    config: &'a Map<String, Value>,
    name: &str,
) -> Option<impl Iterator<Item = (&'a String, &'a Value)> + use<'a>> {
    let found = match field(config, name) {
        None | Some(Value::Null) => None,
        Some(Value::Object(section)) => Some(section),
        Some(_) => return None,
    };
    Some(found.into_iter().flatten())
}

/// A field as Go reads it: the exact name, or else the name in other letters.
fn field<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let alike = || map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    map.get(name).or_else(|| alike().map(|(_, value)| value))
}

/// A text that is there and not empty.
fn text_of(map: &Map<String, Value>, name: &str) -> Option<String> {
    let text = field(map, name)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The login of an entry; `None` where there is none, or a credential helper keeps it.
fn login(entry: &Value) -> anyhow::Result<Option<Login>> {
    let entry = match entry {
        Value::Null => return Ok(None),
        Value::Object(entry) => entry,
        _ => anyhow::bail!("it is not an object"),
    };
    if let Some(token) = text_of(entry, "registrytoken") {
        return Ok(Some(Login::RegistryToken(Secret(token))));
    }
    if let Some(token) = text_of(entry, "identitytoken") {
        return Ok(Some(Login::IdentityToken(Secret(token))));
    }
    let (username, password) = match text_of(entry, "auth") {
        Some(auth) => decoded(&auth)?,
        None => match (text_of(entry, "username"), text_of(entry, "password")) {
            (Some(username), Some(password)) => (username, password),
            _ => return Ok(None),
        },
    };
    let is_empty = username.is_empty() && password.is_empty();
    let basic = Basic {
        username,
        password: Secret(password),
    };
    Ok((!is_empty).then_some(Login::Password(basic)))
}

/// User name and password of an `auth`, which `base64` without `-w0` wraps into lines.
fn decoded(auth: &str) -> anyhow::Result<(String, String)> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let auth: String = auth.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let text = ENGINE.decode(auth).ok();
    let text = text.and_then(|text| String::from_utf8(text).ok());
    let text = text.context("its `auth` is not Base64")?;
    let (username, password) = text
        .split_once(':')
        .context("its `auth` holds no `user:password`")?;
    ensure!(
        !username.is_empty() || password.is_empty(),
        "its `auth` holds no user name"
    );
    let password = password.trim_end_matches(['\0', '\r', '\n']);
    Ok((username.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests;
