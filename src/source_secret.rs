//! The secret with logins for sources, `HelmRepoSecretName`: its three shapes, and which hosts it is for.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use oci_copy::http::{Basic, GivenLogins, HostlessLogin, Secret, canonical_host};

/// The parameter that names the secret.
const NAME: &str = "HelmRepoSecretName";

/// Where an inventory reads from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceHosts {
    /// The hosts that `docker_mappings` name.
    pub named: BTreeSet<String>,
    /// The hosts of chart repositories.
    pub charts: BTreeSet<String>,
}

impl SourceHosts {
    /// All of them.
    #[must_use]
    pub fn all(self) -> BTreeSet<String> {
        self.named.into_iter().chain(self.charts).collect()
    }
}

/// Hosts that everybody reads without a login. A secret that names no host is never for them.
const PUBLIC: [&str; 24] = [
    "aws.github.io",
    "charts.external-secrets.io",
    "charts.jetstack.io",
    "cr.fluentbit.io",
    "docker.io",
    "docs.projectcalico.org",
    "fluent.github.io",
    "gcr.io",
    "ghcr.io",
    "grafana.github.io",
    "kubereboot.github.io",
    "kubernetes-sigs.github.io",
    "kubernetes.github.io",
    "kyverno.github.io",
    "mcr.microsoft.com",
    "nvcr.io",
    "nvidia.github.io",
    "oci.external-secrets.io",
    "prometheus-community.github.io",
    "public.ecr.aws",
    "quay.io",
    "reg.kyverno.io",
    "registry-1.docker.io",
    "registry.k8s.io",
];

/// Reads the secret: `{"username", "password"}`, the same nested under a key, or nested by host where
/// no key is given. `hosts` are those that a secret without hosts can be for.
///
/// # Errors
/// What is wrong with the secret, without any of its content but the names of its entries.
pub fn read(
    secret: &Secret,
    key: Option<&str>,
    hosts: &SourceHosts,
) -> Result<GivenLogins, String> {
    let value: Value =
        serde_json::from_str(secret.expose()).map_err(|_| "it is not JSON".to_owned())?;
    let Value::Object(entries) = value else {
        return Err("it is not a JSON object".to_owned());
    };
    if let Some(key) = key {
        let names: Vec<&str> = entries.keys().map(String::as_str).collect();
        let Some(Value::Object(entry)) = entries.get(key) else {
            return Err(format!(
                "it has no entry `{key}` (HelmRepoSecretKey); its entries: {}",
                names.join(", ")
            ));
        };
        let basic = basic(entry)
            .ok_or_else(|| format!("its entry `{key}` lacks `username` or `password`"))?;
        return Ok(flat(basic, hosts));
    }
    if let Some(basic) = basic(&entries) {
        return Ok(flat(basic, hosts));
    }
    let by_host: BTreeMap<String, Basic> = entries
        .iter()
        .filter(|(host, _)| oci_copy::reference::is_registry_host(host))
        .filter_map(|(host, entry)| Some((canonical_host(host), basic(entry.as_object()?)?)))
        .collect();
    if by_host.is_empty() {
        return Err(
            "it holds neither `username` and `password` nor entries named by a host; \
                    HelmRepoSecretKey chooses an entry of another name"
                .to_owned(),
        );
    }
    Ok(GivenLogins {
        name: NAME.to_owned(),
        by_host,
        hostless: None,
    })
}

fn basic(entry: &Map<String, Value>) -> Option<Basic> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Basic {
        username: text("username")?,
        password: Secret::new(text("password")?),
    })
}

fn flat(basic: Basic, hosts: &SourceHosts) -> GivenLogins {
    let private = |hosts: &BTreeSet<String>| {
        let hosts = hosts.iter().map(|host| canonical_host(host));
        let private = hosts.filter(|host| !PUBLIC.contains(&host.as_str()));
        private.collect::<BTreeSet<String>>()
    };
    GivenLogins {
        name: NAME.to_owned(),
        by_host: BTreeMap::new(),
        hostless: Some(HostlessLogin {
            basic,
            named: private(&hosts.named),
            on_challenge: private(&hosts.charts),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(secret: &str, key: Option<&str>) -> Result<Vec<String>, String> {
        let set = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
        let hosts = SourceHosts {
            named: set(&["mirror.corp:8443", "quay.io"]),
            charts: set(&["Charts.corp", "grafana.github.io"]),
        };
        let secret = read(&Secret::new(secret.to_owned()), key, &hosts)?;
        let by_host = secret.by_host.keys().cloned();
        let flat = secret.hostless.iter().flat_map(|flat| {
            let asked = flat
                .on_challenge
                .iter()
                .map(|host| format!("{host} if asked"));
            flat.named.iter().cloned().chain(asked)
        });
        Ok(by_host.chain(flat).collect())
    }

    #[test]
    fn a_secret_is_only_for_the_hosts_it_is_meant_for() {
        let flat = r#"{"username": "u", "password": "p"}"#;
        let nested = r#"{"artefactory": {"username": "u", "password": "p"}}"#;
        let by_host = r#"{"charts.corp": {"username": "u", "password": "p"}, "quay.io": {"username": "u", "password": "p"}}"#;
        let meant = ["mirror.corp:8443", "charts.corp if asked"];
        assert_eq!(hosts(flat, None).unwrap(), meant);
        assert_eq!(hosts(nested, Some("artefactory")).unwrap(), meant);
        assert_eq!(hosts(by_host, None).unwrap(), ["charts.corp", "quay.io"]);
    }

    #[test]
    fn a_broken_secret_is_an_error_that_shows_nothing_of_it() {
        for (secret, key) in [
            ("hunter2", None),
            (r#"["hunter2"]"#, None),
            (r#"{"username": "hunter2"}"#, None),
            (r#"{"a": {"username": "hunter2"}}"#, Some("a")),
            (r#"{"a": "hunter2"}"#, Some("b")),
            (r#"{"a": {"username": "u", "password": "hunter2"}}"#, None),
        ] {
            let error = hosts(secret, key).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
