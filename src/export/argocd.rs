//! Argo CD: <https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/>

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Release, label};

/// An `Application` for each release, and before them a `Secret` for each repository: without it Argo CD takes a
/// repository for one of HTTP.
pub(super) fn manifests(releases: &[Release<'_>]) -> Vec<Value> {
    let repositories: BTreeSet<&str> = releases.iter().map(|one| one.repository).collect();
    let secrets = repositories.into_iter().map(|url| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": format!("repository-{}", label(url, 200)),
                "namespace": "argocd",
                "labels": {"argocd.argoproj.io/secret-type": "repository"},
            },
            "stringData": {"type": "helm", "enableOCI": "true", "name": label(url, 200), "url": url},
        })
    });
    let applications = releases.iter().map(|release| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": release.name, "namespace": "argocd"},
            "spec": {
                "project": "default",
                "source": {
                    "repoURL": release.repository,
                    "chart": release.chart,
                    "targetRevision": release.version,
                    "helm": {"releaseName": release.name, "valuesObject": release.values},
                },
                "destination": {"server": "https://kubernetes.default.svc", "namespace": release.namespace},
                "syncPolicy": {"syncOptions": ["CreateNamespace=true"]},
            },
        })
    });
    secrets.chain(applications).collect()
}
