//! YAML into values: goyaml v2, then JSON, as sigs.k8s.io/yaml does it.

use crate::render::format::convert::from_json_value;
use crate::render::format::json::{GoType, type_error};
use crate::render::format::yaml::map_keys;
use crate::render::text::to_text;
use crate::render::value::{Map, Value};
use crate::yaml::{Limits, first_document};

/// Helm's `fromYaml`: the first document as a map, in which `Error` tells what is wrong with the
/// text. Numbers become 64-bit floats.
#[must_use]
pub fn from_yaml(text: &str) -> Value {
    match read(text, GoType::Map) {
        // sigs.k8s.io/yaml leaves its target alone when it reads null.
        Ok(Value::Nil) => Value::Map(Map::new()),
        Ok(value) => value,
        Err(error) => Value::Map(Map::from_iter([("Error", Value::from(error))])),
    }
}

/// Helm's `fromYamlArray`: the first document as a list, whose only element tells what is wrong with
/// the text.
#[must_use]
pub fn from_yaml_array(text: &str) -> Value {
    match read(text, GoType::List) {
        Ok(Value::Nil) => Value::list(Vec::new()),
        Ok(value) => value,
        Err(error) => Value::list(vec![Value::from(error)]),
    }
}

fn read(text: &str, target: GoType) -> Result<Value, String> {
    let not_converted = |error: crate::yaml::Error| {
        format!("error converting YAML to JSON: {}", goyaml_message(&error))
    };
    let Some(text) = to_text(text) else {
        return Err("error converting YAML to JSON: yaml: invalid leading UTF-8 octet".to_owned());
    };
    let root = first_document(&text, &Limits::default()).map_err(not_converted)?;
    if let Some(problem) = root.as_ref().and_then(map_keys::problem) {
        return Err(format!("error converting YAML to JSON: {problem}"));
    }
    let json = root.map_or(Ok(serde_json::Value::Null), |root| root.to_helm_json());
    let value = from_json_value(&json.map_err(not_converted)?);
    match type_error(&value, target) {
        Some(error) => Err(format!(
            "error unmarshaling JSON: while decoding JSON: {error}"
        )),
        None => Ok(value),
    }
}

/// An error in the words of goyaml, where both parsers have a word for it. goyaml leaves out the
/// first line.
fn goyaml_message(error: &crate::yaml::Error) -> String {
    // The context comes first: `while parsing a quoted scalar, found unknown escape character`.
    let message = error.message.as_str();
    let message = match message.split_once(", ") {
        Some((context, message)) if context.starts_with("while ") => message,
        _ => message,
    };
    let message = match message {
        "unclosed quote" => "found unexpected end of stream",
        "unclosed bracket '{'" => "did not find expected ',' or '}'",
        "unclosed bracket '['" => "did not find expected ',' or ']'",
        "misplaced bracket" => "did not find expected node content",
        "simple key expected ':'" => "could not find expected ':'",
        "did not find expected hexadecimal number" => "did not find expected hexdecimal number",
        "Helm cannot read .inf, which JSON does not have" => {
            return "json: unsupported value: +Inf".to_owned();
        }
        "Helm cannot read -.inf, which JSON does not have" => {
            return "json: unsupported value: -Inf".to_owned();
        }
        "Helm cannot read .nan, which JSON does not have" => {
            return "json: unsupported value: NaN".to_owned();
        }
        "a merge key needs a mapping, or a list of mappings" => {
            return "yaml: map merge requires map or sequence of maps as the value".to_owned();
        }
        message if message.starts_with("the control character") => {
            return "yaml: control characters are not allowed".to_owned();
        }
        message if message.starts_with("unexpected character") => {
            "found character that cannot start any token"
        }
        message => message,
    };
    match error.line {
        1 => format!("yaml: {message}"),
        line => format!("yaml: line {line}: {message}"),
    }
}
