//! Helmfile: <https://helmfile.readthedocs.io/en/latest/#oci-registries>

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Release, label};

/// A whole `helmfile.yaml`.
pub(super) fn file(releases: &[Release<'_>]) -> Value {
    let repositories: BTreeSet<&str> = releases.iter().map(|one| one.repository).collect();
    let repositories: Vec<Value> = repositories
        .into_iter()
        .map(|url| json!({"name": label(url, 200), "url": url, "oci": true}))
        .collect();
    let releases: Vec<Value> = releases
        .iter()
        .map(|release| {
            json!({
                "name": release.name,
                "namespace": release.namespace,
                "chart": format!("{}/{}", label(release.repository, 200), release.chart),
                "version": release.version,
                "values": [release.values],
            })
        })
        .collect();
    json!({"repositories": repositories, "releases": releases})
}
