//! What Helm reads of a document before it installs it.

use crate::render::format::yaml::map_keys;
use crate::render::session;
use crate::yaml::{self, Limits, Node, Scalar};

/// The keys of what Helm reads of each document.
const HEAD: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// What Helm reads of each document.
#[derive(Debug, Default, Clone)]
pub(in crate::render) struct Head {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) hook: Option<String>,
}

/// The head of a document; what one render has read, another one does not read again.
pub(super) fn head(content: Option<&str>) -> Result<Head, String> {
    let read = || Head::read(content);
    content.map_or_else(read, |content| session::head(content, read))
}

impl Head {
    /// How many bytes its texts have.
    pub(in crate::render) fn size(&self) -> usize {
        let hook = self.hook.as_ref().map_or(0, String::len);
        self.api_version.len() + self.kind.len() + self.name.len() + hook
    }

    fn read(content: Option<&str>) -> Result<Self, String> {
        let converting = |error: &yaml::Error| {
            format!(
                "error converting YAML to JSON: yaml: line {}: {}",
                error.line, error.message
            )
        };
        let Some(content) = content else {
            let message = "error converting YAML to JSON: yaml: invalid leading UTF-8 octet";
            return Err(message.to_owned());
        };
        if let Some(root) = yaml::entries(content, &Limits::default(), &HEAD) {
            return Self::of(&root);
        }
        let Some(root) =
            yaml::first_document(content, &Limits::default()).map_err(|e| converting(&e))?
        else {
            return Ok(Self::default());
        };
        if let Some(problem) = map_keys::problem(&root) {
            return Err(format!("error converting YAML to JSON: {problem}"));
        }
        // What Helm converts to JSON it converts as a whole.
        root.to_helm_json().map_err(|e| converting(&e))?;
        if root.is_null() {
            return Ok(Self::default());
        }
        Self::of(&root)
    }

    fn of(root: &Node) -> Result<Self, String> {
        if root.pairs().is_none() {
            return Err(wrong_type(root, "Go value of type releaseutil.SimpleHead"));
        }
        let field = |node: &Node, key: &str, path: &str| -> Result<String, String> {
            match node.get(key) {
                None => Ok(String::new()),
                Some(value) => text(value, &format!("Go struct field {path} of type string")),
            }
        };
        let mut head = Self {
            api_version: field(root, "apiVersion", "SimpleHead.apiVersion")?,
            kind: field(root, "kind", "SimpleHead.kind")?,
            ..Self::default()
        };
        let Some(metadata) = root.get("metadata").filter(|node| !node.is_null()) else {
            return Ok(head);
        };
        if metadata.pairs().is_none() {
            return Err(wrong_type(
                metadata,
                "Go struct field SimpleHead.metadata of type struct { Name string \"json:\\\"name\\\"\"; \
                 Annotations map[string]string \"json:\\\"annotations\\\"\" }",
            ));
        }
        head.name = field(metadata, "name", ".metadata.name")?;
        let Some(annotations) = metadata.get("annotations").filter(|node| !node.is_null()) else {
            return Ok(head);
        };
        if annotations.pairs().is_none() {
            return Err(wrong_type(
                annotations,
                "Go struct field .metadata.annotations of type map[string]string",
            ));
        }
        for (key, value) in annotations.entries() {
            let target = "Go struct field .metadata.annotations of type string";
            let text = text(value, target)?;
            if key.as_text() == Some("helm.sh/hook") {
                head.hook = Some(text);
            }
        }
        Ok(head)
    }
}

/// A value where Go wants a string: sigs.k8s.io/yaml makes texts of numbers and booleans there.
fn text(node: &Node, target: &str) -> Result<String, String> {
    match node.as_scalar() {
        Some(scalar) => Ok(Scalar::go_string(scalar).unwrap_or_default()),
        None => Err(wrong_type(node, target)),
    }
}

fn wrong_type(node: &Node, target: &str) -> String {
    let kind = match node.kind_name() {
        "mapping" => "object",
        "list" => "array",
        _ => match node.to_helm_json() {
            Ok(serde_json::Value::Bool(_)) => "bool",
            Ok(serde_json::Value::Number(_)) => "number",
            _ => "string",
        },
    };
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into {target}"
    )
}
