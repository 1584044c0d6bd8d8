//! Rendered files as the manifests that Helm installs: split, sorted by kind, hooks apart.
//!
//! As helm v3.22 does it in `pkg/releaseutil`.

mod head;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::text::to_text;
pub(super) use head::Head;
use head::head;

/// One document of a rendered file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The template that it comes from: `chart/templates/deployment.yaml`.
    pub source: String,
    /// Its `apiVersion`, empty where there is none.
    pub api_version: String,
    /// Its `kind`, empty where there is none.
    pub kind: String,
    /// Its `metadata.name`, empty where there is none.
    pub name: String,
    /// The text, without white space around it.
    pub content: String,
}

/// A manifest that Helm installs at a certain moment only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The manifest.
    pub manifest: Manifest,
    /// When, as `helm.sh/hook` says: `pre-install`, `test`.
    pub events: Vec<String>,
}

impl Hook {
    /// Whether only `helm test` starts it.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.events.iter().any(|event| event == "test")
    }
}

/// The order in which Helm installs kinds (`releaseutil.InstallOrder`); others follow by name.
const INSTALL_ORDER: [&str; 36] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
];

/// The moments that Helm knows; `test-success` is Helm 2's name of `test`.
const EVENTS: [&str; 10] = [
    "pre-install",
    "post-install",
    "pre-delete",
    "post-delete",
    "pre-upgrade",
    "post-upgrade",
    "pre-rollback",
    "post-rollback",
    "test",
    "test-success",
];

/// The most documents of all rendered files together; the largest charts known have some hundreds.
const MAX_DOCUMENTS: usize = 50_000;

/// Splits rendered files into manifests and hooks, each in the order in which Helm installs them.
///
/// # Errors
/// A document that is not YAML, or whose head is not one of a Kubernetes object, in Helm's words.
pub(super) fn sort(files: &BTreeMap<String, String>) -> Result<(Vec<Manifest>, Vec<Hook>), String> {
    let (mut manifests, mut hooks) = (Vec::new(), Vec::new());
    for (path, text) in files {
        let base = path.rsplit('/').next().unwrap_or(path);
        if base.starts_with('_') || text.trim().is_empty() {
            continue;
        }
        for content in split(text) {
            if manifests.len() + hooks.len() == MAX_DOCUMENTS {
                return Err(format!(
                    "{path}: the rendered files have more than {MAX_DOCUMENTS} documents"
                ));
            }
            let content = to_text(content);
            let head = head(content.as_deref())
                .map_err(|error| format!("YAML parse error on {path}: {error}"))?;
            let manifest = Manifest {
                source: path.clone(),
                api_version: head.api_version,
                kind: head.kind,
                name: head.name,
                content: content.unwrap_or_default().into_owned(),
            };
            match head.hook {
                None => manifests.push(manifest),
                Some(text) => {
                    // Helm passes over a hook whose moment it does not know.
                    if let Some(events) = events(&text) {
                        hooks.push(Hook { manifest, events });
                    }
                }
            }
        }
    }
    manifests.sort_by(|a, b| order(&a.kind).cmp(&order(&b.kind)));
    hooks.sort_by(|a, b| order(&a.manifest.kind).cmp(&order(&b.manifest.kind)));
    Ok((manifests, hooks))
}

/// Where a kind stands in the order: known ones first, the others by name.
fn order(kind: &str) -> (usize, &str) {
    match INSTALL_ORDER.iter().position(|known| *known == kind) {
        Some(place) => (place, ""),
        None => (INSTALL_ORDER.len(), kind),
    }
}

fn events(text: &str) -> Option<Vec<String>> {
    text.split(',')
        .map(|event| {
            let event = event.trim().to_lowercase();
            let known = EVENTS.contains(&event.as_str());
            known.then(|| {
                if event == "test-success" {
                    "test".to_owned()
                } else {
                    event
                }
            })
        })
        .collect()
}

/// Splits a file where Helm does, at `(?:^|\s*\n)---\s*`: at `---` at the start of a line, whatever
/// follows. Pieces are trimmed; those that are empty before that are left out.
pub(super) fn split(text: &str) -> Vec<&str> {
    let text = text.trim();
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut from = 0;
    while let Some(found) = text[from..].find("---") {
        let at = from + found;
        if at != 0 && text.as_bytes()[at - 1] != b'\n' {
            from = at + 1;
            continue;
        }
        // Nothing of a separator belongs to two of them.
        let piece = if at == 0 {
            ""
        } else {
            go_trim_end(&text[start..at - 1])
        };
        let after = at + 3;
        pieces.push(piece);
        start = after + (text[after..].len() - go_trim_start(&text[after..]).len());
        from = start;
        // `\s*\n` in front of the next separator needs a line feed that is not taken yet.
        while text[from..].starts_with("---") {
            from += 1;
        }
    }
    pieces.push(text.get(start..).unwrap_or_default());
    pieces.retain(|piece| !piece.is_empty());
    pieces.into_iter().map(str::trim).collect()
}

/// What Go's regular expressions call white space.
fn is_go_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0c' | '\r')
}

fn go_trim_end(text: &str) -> &str {
    text.trim_end_matches(is_go_space)
}

fn go_trim_start(text: &str) -> &str {
    text.trim_start_matches(is_go_space)
}

/// Writes a document as Helm prints it.
pub(super) fn print(source: &str, content: &str, into: &mut String) {
    writeln!(into, "---\n# Source: {source}\n{content}").expect("a String takes all text");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("c/templates/a.yaml".to_owned(), text.to_owned())])
    }

    #[test]
    fn files_are_split_where_helm_splits_them() {
        for (text, pieces) in [
            ("a: 1\n---\nb: 2\n", vec!["a: 1", "b: 2"]),
            // The line feed behind the first separator is not there for the second.
            (
                "---\na: 1\n---\n---\nb: 2\n---\n",
                vec!["a: 1", "---\nb: 2"],
            ),
            ("a: 1\n--- # comment\nb: 2", vec!["a: 1", "# comment\nb: 2"]),
            ("a: x---y\n", vec!["a: x---y"]),
            ("a: |\n  ---\n  b\n", vec!["a: |\n  ---\n  b"]),
            ("a: 1\n\n \n---b: 2", vec!["a: 1", "b: 2"]),
            ("# only\n", vec!["# only"]),
            ("a\n-----\nb", vec!["a", "--\nb"]),
            ("", vec![]),
        ] {
            assert_eq!(split(text), pieces, "{text:?}");
        }
    }

    #[test]
    fn manifests_come_in_the_order_of_kinds_and_hooks_apart() {
        let text = "kind: Zebra\n---\nkind: Deployment\n---\nkind: ServiceAccount\n---\nkind: Apple\n\
                    ---\nkind: Job\nmetadata:\n  name: t\n  annotations:\n    helm.sh/hook: test-success, pre-install\n\
                    ---\nkind: Job\nmetadata:\n  annotations:\n    helm.sh/hook: never\n";
        let (manifests, hooks) = sort(&files(text)).unwrap();
        let kinds: Vec<&str> = manifests.iter().map(|m| m.kind.as_str()).collect();
        assert_eq!(kinds, ["ServiceAccount", "Deployment", "Apple", "Zebra"]);
        assert_eq!(hooks.len(), 1);
        assert_eq!(hooks[0].events, ["test", "pre-install"]);
        assert_eq!(hooks[0].manifest.name, "t");
        assert!(hooks[0].is_test());
    }

    #[test]
    fn a_document_that_helm_cannot_read_is_an_error_with_its_template() {
        for (text, words) in [
            (
                "- a",
                "cannot unmarshal array into Go value of type releaseutil.SimpleHead",
            ),
            (
                "kind: {a: 1}",
                "cannot unmarshal object into Go struct field SimpleHead.kind of type string",
            ),
            (
                "metadata: {annotations: {a: [1]}}",
                "cannot unmarshal array into",
            ),
            (
                "a: {{ .x }}",
                "yaml: invalid map key: map[interface {}]interface {}{\".x\":interface {}(nil)}",
            ),
            // A byte that is not UTF-8, as `b64dec` gives it.
            ("a: \u{10FEFF}", "yaml: invalid leading UTF-8 octet"),
            ("a: b: c", "error converting YAML to JSON: yaml: line 1"),
        ] {
            let error = sort(&files(text)).unwrap_err();
            assert!(
                error.starts_with("YAML parse error on c/templates/a.yaml: "),
                "{error}"
            );
            assert!(error.contains(words), "{error}");
        }
        assert!(
            sort(&files(
                "apiVersion: 1\nkind: true\nmetadata: {name: 7, annotations: {x: 1}}"
            ))
            .is_ok()
        );
    }
}
