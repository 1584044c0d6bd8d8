//! Keys that a map of Go cannot have.

use crate::render::format::quote;
use crate::yaml::{Kind, Node};

/// What goyaml says of a document with such a key.
pub(crate) fn problem(root: &Node) -> Option<String> {
    let key = unhashable_key(root)?;
    Some(format!("yaml: invalid map key: {}", go_syntax(key)))
}

/// The first key that is a list or a mapping, which a Go map cannot have: mostly `{{ }}` of a template
/// within a template.
fn unhashable_key(node: &Node) -> Option<&Node> {
    match &node.kind {
        Kind::Scalar(_) => None,
        Kind::Sequence(items) => items.iter().find_map(unhashable_key),
        Kind::Mapping(pairs) => pairs.iter().find_map(|(key, value)| match key.kind {
            Kind::Scalar(_) => unhashable_key(value),
            _ => Some(key),
        }),
    }
}

/// What Go's `%#v` prints of a value that goyaml has read.
fn go_syntax(node: &Node) -> String {
    match &node.kind {
        Kind::Sequence(items) => {
            let items: Vec<String> = items.iter().map(go_element).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Kind::Mapping(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(key, value)| format!("{}:{}", go_element(key), go_element(value)));
            let pairs: Vec<String> = pairs.collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", pairs.join(", "))
        }
        Kind::Scalar(_) => match node.to_helm_json() {
            Ok(serde_json::Value::String(text)) => quote(&text, false),
            Ok(other) => other.to_string(),
            Err(_) => String::new(),
        },
    }
}

fn go_element(node: &Node) -> String {
    if node.is_null() {
        "interface {}(nil)".to_owned()
    } else {
        go_syntax(node)
    }
}
