//! The secret with credentials for sources, `HelmRepoSecretName`: its three shapes, and which hosts it
//! is for. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::credentials::{Basic, Secret};

/// Hosts that everybody reads without credentials. A secret that names no host is never for them.
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
/// no key is given. `private` are the hosts that a secret without hosts is for.
///
/// # Errors
/// What is wrong with the secret, without any of its content but the names of its entries.
pub fn read(
    secret: &Secret,
    key: Option<&str>,
    private: &BTreeSet<String>,
) -> Result<BTreeMap<String, Basic>, String> {
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
        return Ok(for_private(&basic, private));
    }
    if let Some(basic) = basic(&entries) {
        return Ok(for_private(&basic, private));
    }
    let by_host: BTreeMap<String, Basic> = entries
        .iter()
        .filter(|(host, _)| crate::reference::is_registry_host(host))
        .filter_map(|(host, entry)| Some((host.clone(), basic(entry.as_object()?)?)))
        .collect();
    if by_host.is_empty() {
        return Err(
            "it holds neither `username` and `password` nor entries named by a host; \
                    HelmRepoSecretKey chooses an entry of another name"
                .to_owned(),
        );
    }
    Ok(by_host)
}

fn basic(entry: &Map<String, Value>) -> Option<Basic> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Basic {
        username: text("username")?,
        password: Secret::new(text("password")?),
    })
}

fn for_private(basic: &Basic, private: &BTreeSet<String>) -> BTreeMap<String, Basic> {
    let hosts = private
        .iter()
        .filter(|host| !PUBLIC.contains(&host.as_str()));
    hosts.map(|host| (host.clone(), basic.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(secret: &str, key: Option<&str>) -> Result<Vec<String>, String> {
        let private = BTreeSet::from(["mirror.corp:8443".to_owned(), "quay.io".to_owned()]);
        Ok(read(&Secret::new(secret.to_owned()), key, &private)?
            .into_keys()
            .collect())
    }

    #[test]
    fn a_secret_is_only_for_the_hosts_it_is_meant_for() {
        let flat = r#"{"username": "u", "password": "p"}"#;
        let nested = r#"{"artefactory": {"username": "u", "password": "p"}}"#;
        let by_host = r#"{"charts.corp": {"username": "u", "password": "p"}, "quay.io": {"username": "u", "password": "p"}}"#;
        assert_eq!(hosts(flat, None).unwrap(), ["mirror.corp:8443"]);
        assert_eq!(
            hosts(nested, Some("artefactory")).unwrap(),
            ["mirror.corp:8443"]
        );
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
