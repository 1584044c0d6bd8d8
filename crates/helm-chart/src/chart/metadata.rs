//! Chart.yaml as Helm holds it.

mod dependency;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use serde::Serialize;
use serde_json::Value;

use crate::version;
use crate::yaml::{Kind, Node, Scalar};

pub use dependency::Dependency;

/// What Chart.yaml says: the fields that Helm knows. As JSON it is what `helm push` writes, in the
/// same order (helm: `pkg/chart/metadata.go`).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The chart's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// URL of a page about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub home: String,
    /// URLs of its sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The version as a Go string field receives it: an unquoted `7.0` is `7`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// One sentence about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Keywords.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Who maintains it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maintainers: Vec<Maintainer>,
    /// URL of an icon.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub icon: String,
    /// `v1` or `v2`; `v1` where it was absent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// A condition of the chart itself, which Helm does not use.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Tags of the chart itself, which Helm does not use.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tags: String,
    /// The version of the application.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_version: String,
    /// Whether it is deprecated.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// A constraint on the version of Kubernetes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kube_version: String,
    /// The charts it depends on. An empty list is not the same as none: Helm looks for dependencies
    /// of subcharts only below a chart that has a list.
    #[serde(skip_serializing_if = "is_none_or_empty")]
    pub dependencies: Option<Vec<Dependency>>,
    /// `application` or `library`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
}

/// Who maintains a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Maintainer {
    /// A person or an organization.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// An address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub email: String,
    /// A page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
}

#[expect(
    clippy::ref_option,
    reason = "serde calls it with a reference to the field"
)]
fn is_none_or_empty(list: &Option<Vec<Dependency>>) -> bool {
    list.as_ref().is_none_or(Vec::is_empty)
}

impl Metadata {
    /// Reads what a file says over what is known already, as Go does when it decodes two files into
    /// one struct: Chart.yaml, then requirements.yaml.
    pub(super) fn update(&mut self, node: &Node) -> anyhow::Result<()> {
        text(node, "name", &mut self.name);
        text(node, "home", &mut self.home);
        texts(node, "sources", &mut self.sources);
        text(node, "version", &mut self.version);
        text(node, "description", &mut self.description);
        texts(node, "keywords", &mut self.keywords);
        if let Some(list) = field(node, "maintainers") {
            self.maintainers = items(list, "maintainers", |item| {
                let mut maintainer = Maintainer::default();
                text(item, "name", &mut maintainer.name);
                text(item, "email", &mut maintainer.email);
                text(item, "url", &mut maintainer.url);
                maintainer
            })?;
        }
        text(node, "icon", &mut self.icon);
        text(node, "apiVersion", &mut self.api_version);
        text(node, "condition", &mut self.condition);
        text(node, "tags", &mut self.tags);
        text(node, "appVersion", &mut self.app_version);
        flag(node, "deprecated", &mut self.deprecated);
        if let Some(map) = field(node, "annotations") {
            let scalar = |node: &Node| node.as_scalar().and_then(Scalar::go_string);
            self.annotations
                .extend(map.entries().iter().filter_map(|(key, value)| {
                    Some((scalar(key)?, scalar(value).unwrap_or_default()))
                }));
        }
        text(node, "kubeVersion", &mut self.kube_version);
        if let Some(list) = field(node, "dependencies") {
            self.dependencies = match &list.kind {
                Kind::Sequence(_) => Some(items(list, "dependencies", Dependency::read)?),
                _ => None,
            };
        }
        text(node, "type", &mut self.kind);
        Ok(())
    }

    /// Refuses what Helm refuses, and replaces blanks and control characters as Helm does (helm:
    /// `Metadata.Validate`).
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        for text in [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ]
        .into_iter()
        .chain(&mut self.sources)
        .chain(&mut self.keywords)
        {
            sanitize(text);
        }
        for maintainer in &mut self.maintainers {
            sanitize(&mut maintainer.name);
            sanitize(&mut maintainer.email);
            sanitize(&mut maintainer.url);
        }
        if self.api_version.is_empty() {
            "v1".clone_into(&mut self.api_version);
        }
        ensure!(!self.name.is_empty(), "its Chart.yaml has no `name`");
        ensure!(
            !self.name.contains(['/', '\\']) && !matches!(self.name.as_str(), "." | ".."),
            "its Chart.yaml has the name `{}`",
            self.name
        );
        ensure!(!self.version.is_empty(), "its Chart.yaml has no `version`");
        ensure!(
            version::parse(&self.version).is_some(),
            "its Chart.yaml has the version `{}`, which is not a semantic version",
            self.version
        );
        ensure!(
            matches!(self.kind.as_str(), "" | "application" | "library"),
            "its Chart.yaml has the type `{}`, which is neither application nor library",
            self.kind
        );
        let mut keys = BTreeSet::new();
        for dependency in self.dependencies.iter_mut().flatten() {
            dependency.check()?;
            let key = dependency.key();
            ensure!(
                keys.insert(key.to_owned()),
                "its Chart.yaml has two dependencies with the name or alias `{key}`"
            );
        }
        Ok(())
    }

    /// As the JSON that `helm push` writes.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The value of a field. Go takes keys of any case; where there are several, the last in alphabetical
/// order wins, because the keys of its JSON are sorted.
fn field<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let entries = node.entries().into_iter();
    entries
        .filter_map(|(key, value)| Some((&key.as_scalar()?.text, value)))
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .max_by_key(|(key, _)| *key)
        .map(|(_, value)| value)
}

/// A null leaves a text as it is.
fn text(node: &Node, name: &str, into: &mut String) {
    let scalar = field(node, name).and_then(Node::as_scalar);
    if let Some(text) = scalar.and_then(Scalar::go_string) {
        *into = text;
    }
}

fn texts(node: &Node, name: &str, into: &mut Vec<String>) {
    if let Some(list) = field(node, name) {
        let text = |node: &Node| {
            node.as_scalar()
                .map(|scalar| scalar.go_string().unwrap_or_default())
        };
        *into = list.items().iter().filter_map(text).collect();
    }
}

fn flag(node: &Node, name: &str, into: &mut bool) {
    if let Some(Ok(Value::Bool(flag))) = field(node, name).map(Node::to_helm_json) {
        *into = flag;
    }
}

fn items<T>(list: &Node, what: &str, read: impl Fn(&Node) -> T) -> anyhow::Result<Vec<T>> {
    let items = list.items().iter();
    items
        .map(|item| {
            ensure!(
                !item.is_null(),
                "its Chart.yaml has an empty item in `{what}`"
            );
            Ok(read(item))
        })
        .collect()
}

/// Makes every kind of blank a space and drops what cannot be printed (helm: `sanitizeString`).
fn sanitize(text: &mut String) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return;
    }
    let printable = |letter: char| {
        // A letter in front, because a combining mark that comes first is escaped too.
        !format!("a{letter}")
            .escape_debug()
            .skip(1)
            .any(|escaped| escaped == '\\')
            || matches!(letter, '\\' | '"' | '\'')
    };
    *text = text
        .chars()
        .filter_map(|letter| {
            if letter.is_whitespace() {
                Some(' ')
            } else {
                printable(letter).then_some(letter)
            }
        })
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Limits, first_document};

    fn read(texts: &[&str]) -> anyhow::Result<Metadata> {
        let mut metadata = Metadata::default();
        for text in texts {
            metadata.update(&first_document(text, &Limits::default())?.expect("a document"))?;
        }
        metadata.check()?;
        Ok(metadata)
    }

    #[test]
    fn metadata_is_written_as_helm_writes_it() {
        let chart = "Name: app\nversion: 7.0\nAPPVERSION: 1.10\nhome: ''\ndescription: \"a\\tb\\u200Bc\"\nannotations: {b: 2, a: x}\nunknown: 1\n";
        let requirements = "dependencies: [{name: sub}, {name: s2, alias: x, tags: [t], import-values: [d, {child: a, parent: b}]}]\n";
        let metadata = read(&[chart, requirements]).unwrap();
        assert_eq!(
            metadata.to_json().to_string(),
            "{\"name\":\"app\",\"version\":\"7\",\"description\":\"a bc\",\"apiVersion\":\"v1\",\
             \"appVersion\":\"1.1\",\"annotations\":{\"a\":\"x\",\"b\":\"2\"},\
             \"dependencies\":[{\"name\":\"sub\",\"repository\":\"\"},\
             {\"name\":\"s2\",\"repository\":\"\",\"tags\":[\"t\"],\
             \"import-values\":[\"d\",{\"child\":\"a\",\"parent\":\"b\"}],\"alias\":\"x\"}]}"
        );
    }

    #[test]
    fn metadata_that_helm_refuses_is_refused() {
        for (text, part) in [
            ("version: 1.0.0", "no `name`"),
            ("name: a", "no `version`"),
            ("{name: a/b, version: 1.0.0}", "the name `a/b`"),
            ("{name: .., version: 1.0.0}", "the name `..`"),
            ("{name: a, version: '1.x'}", "not a semantic version"),
            (
                "{name: a, version: 1.0.0, type: other}",
                "neither application nor library",
            ),
            (
                "{name: a, version: 1.0.0, dependencies: [null]}",
                "an empty item",
            ),
            (
                "{name: a, version: 1.0.0, maintainers: [~]}",
                "an empty item",
            ),
            (
                "{name: a, version: 1.0.0, dependencies: [{name: b, alias: a.b}]}",
                "alias `a.b`",
            ),
            (
                "{name: a, version: 1.0.0, dependencies: [{name: b}, {name: c, alias: b}]}",
                "two dependencies",
            ),
        ] {
            let error = read(&[text]).unwrap_err();
            assert!(error.to_string().contains(part), "{text}: {error:#}");
        }
    }
}
