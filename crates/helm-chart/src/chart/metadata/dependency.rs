//! What Chart.yaml says of one dependency.

use anyhow::ensure;
use serde::Serialize;
use serde_json::Value;

use super::{field, flag, sanitize, text, texts};
use crate::yaml::Node;

/// A chart on which another one depends.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dependency {
    /// Its own name; after [`crate::dependencies::process`] the alias, where there is one.
    pub name: String,
    /// A constraint on its version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Where it comes from. Always in the JSON, as Helm has it.
    pub repository: String,
    /// Paths of values, between commas: the first that is a boolean decides whether it is enabled.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Tags that enable or disable it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whether it is enabled; meaningless before it was processed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub enabled: bool,
    /// Values of it that the parent imports: texts, or mappings of `child` and `parent`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub import_values: Vec<Value>,
    /// Another name, under which the parent knows it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alias: String,
}

impl Dependency {
    pub(super) fn read(node: &Node) -> Self {
        let mut dependency = Self::default();
        text(node, "name", &mut dependency.name);
        text(node, "version", &mut dependency.version);
        text(node, "repository", &mut dependency.repository);
        text(node, "condition", &mut dependency.condition);
        texts(node, "tags", &mut dependency.tags);
        flag(node, "enabled", &mut dependency.enabled);
        if let Some(imports) = field(node, "import-values") {
            let json = imports.items().iter().map(Node::to_helm_json);
            dependency.import_values = json.filter_map(Result::ok).collect();
        }
        text(node, "alias", &mut dependency.alias);
        dependency
    }

    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        for text in [
            &mut self.name,
            &mut self.version,
            &mut self.repository,
            &mut self.condition,
        ]
        .into_iter()
        .chain(&mut self.tags)
        {
            sanitize(text);
        }
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        ensure!(
            self.alias.chars().all(is_plain),
            "its Chart.yaml gives the dependency {} the alias `{}`; Helm allows letters, digits, `_` and `-`",
            self.name,
            self.alias
        );
        Ok(())
    }

    /// The key under which the parent's values hold its values.
    #[must_use]
    pub fn key(&self) -> &str {
        if self.alias.is_empty() {
            &self.name
        } else {
            &self.alias
        }
    }
}
