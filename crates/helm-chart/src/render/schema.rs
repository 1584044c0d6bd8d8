//! values.schema.json: checks coalesced values as Helm does, in the words of the library that Helm uses
//! (github.com/santhosh-tekuri/jsonschema v6, whose author also wrote `boon`).
//!
//! Nothing is loaded from outside: a `$ref` to another place is an error, one to a `urn:` that nothing
//! resolves accepts everything, as in Helm.

mod budget;

use std::error::Error;
use std::fmt::Write as _;

use boon::{Compiler, ErrorKind, InstanceToken, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

use crate::strconv::number::format_float;

/// The address under which Helm compiles a chart's schema.
const ADDRESS: &str = "file:///values.schema.json";

/// Checks values against one schema. Without an error they fit.
pub(super) fn check(schema: &[u8], values: &Value) -> Result<(), String> {
    let schema: Value =
        serde_json::from_slice(strip_bom(schema)).map_err(|error| error.to_string())?;
    budget::bound(&schema)?;
    let mut compiler = Compiler::new();
    compiler.use_loader(Box::new(NoLoader));
    let compiling = |error: boon::CompileError| match &error {
        boon::CompileError::LoadUrlError { url, src } => format!("failing loading {url:?}: {src}"),
        other => other.to_string(),
    };
    compiler.add_resource(ADDRESS, schema).map_err(compiling)?;
    let mut schemas = Schemas::new();
    let index = compiler.compile(ADDRESS, &mut schemas).map_err(compiling)?;
    schemas.validate(values, index).map_err(|error| {
        let mut text = String::new();
        describe(&error, 0, &mut text);
        let headline = format!("jsonschema validation failed with '{ADDRESS}#'\n");
        let text = text.strip_prefix(&headline).unwrap_or(&text);
        format!("{text}\n")
    })
}

fn strip_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        if url.starts_with("urn:") {
            return Ok(Value::Bool(true));
        }
        Err("schemas are not loaded from outside the chart".into())
    }
}

/// An error and its causes, a line each, indented by their depth.
fn describe(error: &ValidationError<'_, '_>, mut indent: usize, into: &mut String) {
    let is_passed_over =
        error.causes.len() == 1 && matches!(error.kind, ErrorKind::Reference { .. });
    if !is_passed_over {
        if indent > 0 {
            into.push('\n');
            into.push_str(&"  ".repeat(indent - 1));
            into.push_str("- ");
        }
        indent += 1;
        if !matches!(error.kind, ErrorKind::Schema { .. }) {
            let mut pointer = String::new();
            for token in &error.instance_location.tokens {
                pointer.push('/');
                match token {
                    InstanceToken::Prop(name) => {
                        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    }
                    InstanceToken::Item(index) => pointer.push_str(&index.to_string()),
                }
            }
            write!(into, "at {}: ", quote(&pointer)).expect("a String takes all text");
        }
        into.push_str(&message(&error.kind));
    }
    for cause in &error.causes {
        describe(cause, indent, into);
    }
}

/// What the library says of each kind of error (its `kind/kind.go`).
#[expect(clippy::too_many_lines, reason = "one arm for each kind of error")]
fn message(kind: &ErrorKind<'_, '_>) -> String {
    let bounds = |name: &str, got: &usize, want: &usize| {
        format!("{name}: got {}, want {}", count(*got), count(*want))
    };
    let compared = |name: &str, got: &serde_json::Number, want: &serde_json::Number| {
        format!("{name}: got {}, want {}", number(got), number(want))
    };
    match kind {
        ErrorKind::Group | ErrorKind::Reference { .. } => "validation failed".to_owned(),
        ErrorKind::Schema { url } => {
            let anchor = if url.contains('#') { "" } else { "#" };
            format!(
                "jsonschema validation failed with {}",
                quote(&format!("{url}{anchor}"))
            )
        }
        ErrorKind::ContentSchema => "'contentSchema' failed".to_owned(),
        ErrorKind::PropertyName { prop } => format!("invalid propertyName {}", quote(prop)),
        ErrorKind::RefCycle {
            url,
            kw_loc1,
            kw_loc2,
        } => {
            format!("both {kw_loc1} and {kw_loc2} resolve to {url:?} causing reference cycle")
        }
        ErrorKind::FalseSchema => "false schema".to_owned(),
        ErrorKind::Type { got, want } => {
            let want: Vec<String> = want.iter().map(|kind| kind.to_string()).collect();
            format!("got {got}, want {}", want.join(" or "))
        }
        ErrorKind::Enum { want } => match want.as_slice() {
            all if all.iter().any(|item| item.is_array() || item.is_object()) => {
                "'enum' failed".to_owned()
            }
            [one] => format!("value must be {}", display(one)),
            all => {
                let all: Vec<String> = all.iter().map(display).collect();
                format!("value must be one of {}", all.join(", "))
            }
        },
        ErrorKind::Const { want } if want.is_array() || want.is_object() => {
            "'const' failed".to_owned()
        }
        ErrorKind::Const { want } => format!("value must be {}", display(want)),
        ErrorKind::Format { got, want, err } => {
            format!("{} is not valid {want}: {err}", display(got))
        }
        ErrorKind::MinProperties { got, want } => bounds("minProperties", got, want),
        ErrorKind::MaxProperties { got, want } => bounds("maxProperties", got, want),
        ErrorKind::MinItems { got, want } => bounds("minItems", got, want),
        ErrorKind::MaxItems { got, want } => bounds("maxItems", got, want),
        ErrorKind::MinLength { got, want } => bounds("minLength", got, want),
        ErrorKind::MaxLength { got, want } => bounds("maxLength", got, want),
        ErrorKind::AdditionalProperties { got } => {
            let names: Vec<String> = got.iter().map(|name| quote(name)).collect();
            format!("additional properties {} not allowed", names.join(", "))
        }
        ErrorKind::Required { want } => {
            let names: Vec<String> = want.iter().map(|name| quote(name)).collect();
            let noun = if names.len() == 1 {
                "property"
            } else {
                "properties"
            };
            format!("missing {noun} {}", names.join(", "))
        }
        ErrorKind::Dependency { prop, missing }
        | ErrorKind::DependentRequired { prop, missing } => {
            let missing: Vec<String> = missing.iter().map(|name| quote(name)).collect();
            format!(
                "properties {} required, if {} exists",
                missing.join(", "),
                quote(prop)
            )
        }
        ErrorKind::Contains => "no items match contains schema".to_owned(),
        ErrorKind::MinContains { got, want } if got.is_empty() => format!(
            "min {} items required to match contains schema, but none matched",
            count(*want)
        ),
        ErrorKind::MinContains { got, want } => contained("min", got, *want),
        ErrorKind::MaxContains { got, want } => contained("max", got, *want),
        ErrorKind::UniqueItems { got: [a, b] } => {
            format!("items at {} and {} are equal", count(*a), count(*b))
        }
        ErrorKind::AdditionalItems { got } => {
            format!("last {} additionalItem(s) not allowed", count(*got))
        }
        ErrorKind::Pattern { got, want } => {
            format!("{} does not match pattern {}", quote(got), quote(want))
        }
        ErrorKind::ContentEncoding { want, err } => {
            format!("value is not {} encoded: {err}", quote(want))
        }
        ErrorKind::ContentMediaType { want, err, .. } => {
            format!("value is not of mediatype {}: {err}", quote(want))
        }
        ErrorKind::Minimum { got, want } => compared("minimum", got, want),
        ErrorKind::Maximum { got, want } => compared("maximum", got, want),
        ErrorKind::ExclusiveMinimum { got, want } => compared("exclusiveMinimum", got, want),
        ErrorKind::ExclusiveMaximum { got, want } => compared("exclusiveMaximum", got, want),
        ErrorKind::MultipleOf { got, want } => compared("multipleOf", got, want),
        ErrorKind::Not => "'not' failed".to_owned(),
        ErrorKind::AllOf => "'allOf' failed".to_owned(),
        ErrorKind::AnyOf => "'anyOf' failed".to_owned(),
        ErrorKind::OneOf(None) => "'oneOf' failed, none matched".to_owned(),
        ErrorKind::OneOf(Some((a, b))) => {
            format!(
                "'oneOf' failed, subschemas {}, {} matched",
                count(*a),
                count(*b)
            )
        }
    }
}

fn contained(which: &str, got: &[usize], want: usize) -> String {
    let places: Vec<String> = got.iter().map(usize::to_string).collect();
    format!(
        "{which} {} items required to match contains schema, but matched {} items at {}",
        count(want),
        count(got.len()),
        places.join(" ")
    )
}

/// Go's `%q` with single quotes instead of double ones.
fn quote(text: &str) -> String {
    let quoted = super::format::quote(text, false);
    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    format!("'{}'", inner.replace("\\\"", "\"").replace('\'', "\\'"))
}

fn display(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(_) | Value::Object(_) => "value".to_owned(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

/// An integer as the English printer of golang.org/x/text prints it: with commas.
fn count(number: usize) -> String {
    group(&number.to_string())
}

/// A number as that printer prints it: with commas and as many decimals as there are, or from a million
/// on and below a ten-thousandth as `1.5×10⁰⁶`.
fn number(number: &serde_json::Number) -> String {
    let Some(float) = number.as_f64() else {
        return number.to_string();
    };
    let text = format_float(float, 'g', None);
    if let Some((mantissa, exponent)) = text.split_once('e') {
        let superscript = |c: char| match c {
            '-' => Some('⁻'),
            digit => "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit.to_digit(10)? as usize),
        };
        let exponent: String = exponent.chars().filter_map(superscript).collect();
        return format!("{mantissa}×10{exponent}");
    }
    match text.split_once('.') {
        Some((whole, decimals)) => format!("{}.{decimals}", group(whole)),
        None => group(&text),
    }
}

fn group(digits: &str) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits),
    };
    let mut grouped = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_error_has_the_words_of_helms_library() {
        for (schema, values, words) in [
            (json!({"type": "object"}), json!({}), None),
            (
                json!({"properties": {"a": {"type": "integer"}}}),
                json!({"a": 1.0}),
                None,
            ),
            (
                json!({"properties": {"a": {"type": ["integer", "null"]}}}),
                json!({"a": "x"}),
                Some("- at '/a': got string, want null or integer\n"),
            ),
            (
                json!({"required": ["a"]}),
                json!({}),
                Some("- at '': missing property 'a'\n"),
            ),
            (
                json!({"required": ["a", "b"]}),
                json!({}),
                Some("- at '': missing properties 'a', 'b'\n"),
            ),
            (
                json!({"additionalProperties": false}),
                json!({"it's": 1}),
                Some("- at '': additional properties 'it\\'s' not allowed\n"),
            ),
            (
                json!({"properties": {"a": {"minimum": 70000}}}),
                json!({"a": 1.5}),
                Some("- at '/a': minimum: got 1.5, want 70,000\n"),
            ),
            (
                json!({"properties": {"a": {"maximum": -1e300}}}),
                json!({"a": 1_234_567}),
                Some("- at '/a': maximum: got 1.234567×10⁰⁶, want -1×10³⁰⁰\n"),
            ),
            (
                json!({"properties": {"a": {"minimum": 0.000_012_5}}}),
                json!({"a": -123_456.5}),
                Some("- at '/a': minimum: got -123,456.5, want 1.25×10⁻⁰⁵\n"),
            ),
            (
                json!({"properties": {"a": {"enum": ["x", 1, null]}}}),
                json!({"a": "y"}),
                Some("- at '/a': value must be one of 'x', 1, <nil>\n"),
            ),
            (
                json!({"properties": {"a": {"anyOf": [{"type": "string"}, {"minLength": 1, "type": "null"}]}}}),
                json!({"a": 1.0}),
                Some(
                    "- at '/a': 'anyOf' failed\n  - at '/a': got number, want string\n  - at '/a': got number, want null\n",
                ),
            ),
            (
                json!({"$ref": "https://example.com/x.json"}),
                json!({}),
                Some("not loaded from outside the chart"),
            ),
            (json!({"$ref": "urn:example:x"}), json!({}), None),
        ] {
            let schema = serde_json::to_vec(&schema).unwrap();
            match (check(&schema, &values), words) {
                (Ok(()), None) => {}
                (Err(error), Some(words)) => {
                    assert!(
                        error == words || error.contains(words),
                        "{error}\nwanted {words}"
                    );
                }
                (found, words) => panic!("{found:?}, wanted {words:?}"),
            }
        }
    }
}
