//! YAML as Helm writes and reads it, byte for byte: `toYaml` is sigs.k8s.io/yaml over goyaml v2,
//! `toYamlPretty` goyaml v3 with an indentation of two.
//!
//! Facts are from helm v3.22.0 (`pkg/engine/funcs.go`), sigs.k8s.io/yaml v1.6.0, go.yaml.in/yaml/v2
//! v2.4.4 and go.yaml.in/yaml/v3 v3.0.5; the output was compared with theirs on random values.

use std::borrow::Cow;
use std::rc::Rc;

use self::emitter::{Emitter, INDENT};
use self::scalar::Scalar;
use super::output::{Limits, Output};
use super::view::{Path, View, view};
use crate::render::func::Failure;
use crate::render::value::{ElementType, Encoded, IntType, List, Str, Value};
use crate::strconv::number::format_float;

mod emitter;
mod json_text;
mod keys;
pub(crate) mod map_keys;
mod read;
mod scalar;

pub use read::{from_yaml, from_yaml_array};

/// The version of goyaml that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V2,
    V3,
}

/// Helm's `toYaml`, without the last line feed.
///
/// # Errors
/// [`Failure::Error`] for what JSON does not have and what goyaml does not read back: Helm's function
/// is empty then. [`Failure::Limit`] when a limit is exceeded.
pub fn to_yaml(value: &Value, limits: &Limits) -> Result<String, Failure> {
    write(value, limits, Version::V2)
}

/// Helm's `toYamlPretty`, without the last line feed: goyaml v3 without a detour over JSON.
///
/// # Errors
/// [`Failure::Limit`] when a limit is exceeded, which is what becomes of a map that contains itself.
pub fn to_yaml_pretty(value: &Value, limits: &Limits) -> Result<String, Failure> {
    write(value, limits, Version::V3)
}

fn write(value: &Value, limits: &Limits, version: Version) -> Result<String, Failure> {
    let mut writer = Writer {
        emitter: Emitter::new(Output::new(limits)),
        version,
        path: Path::default(),
    };
    if let Err(failure) = writer.node(value, None, false) {
        writer.emitter.output.fail(failure);
    }
    writer.emitter.indent(0);
    let mut text = writer.emitter.output.finish()?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// What is written next.
enum Node {
    Plain(String),
    Text(Str),
    List(Rc<List>),
    Map(Vec<(Str, Value)>),
}

struct Writer {
    emitter: Emitter,
    version: Version,
    path: Path,
}

impl Writer {
    /// Writes a value below a level of this indentation. `of_mapping`: it belongs to a key.
    fn node(
        &mut self,
        value: &Value,
        indent: Option<usize>,
        of_mapping: bool,
    ) -> Result<(), Failure> {
        if self.emitter.output.failed() {
            return Ok(());
        }
        let mut entered = false;
        if self.version == Version::V2
            && let Value::Map(map) = value
        {
            self.path.descend(map)?;
            entered = true;
        }
        match self.see(value)? {
            Node::Plain(text) => self.emitter.scalar(&Scalar::plain(&text), 0, false),
            Node::Text(text) => self.text(&text, indent)?,
            Node::List(list) if list.items.is_empty() => self.flow("[", "]"),
            Node::Map(entries) if entries.is_empty() => self.flow("{", "}"),
            Node::List(list) => self.list(&list.items, indent, of_mapping)?,
            Node::Map(entries) => self.map(&entries, indent)?,
        }
        if entered {
            self.path.leave();
        }
        Ok(())
    }

    fn flow(&mut self, open: &str, close: &str) {
        self.emitter.indicator(open, true, false);
        self.emitter.indicator(close, false, false);
    }

    fn text(&mut self, text: &str, indent: Option<usize>) -> Result<(), Failure> {
        let text = match self.version {
            Version::V2 => Scalar::of_v2(json_text::read_back(text).ok_or_else(unreadable)?),
            Version::V3 => Scalar::of_v3(text),
        };
        let indent = indent.map_or(INDENT, |indent| indent + INDENT);
        self.emitter
            .scalar(&text, indent, self.version == Version::V2);
        Ok(())
    }

    fn list(
        &mut self,
        items: &[Value],
        indent: Option<usize>,
        of_mapping: bool,
    ) -> Result<(), Failure> {
        let indent = match indent {
            None => 0,
            // goyaml v2 does not indent a list below its key.
            Some(indent)
                if self.version == Version::V2 && of_mapping && !self.emitter.indention =>
            {
                indent
            }
            Some(indent) => indent + INDENT,
        };
        if !self.emitter.output.open() {
            return Ok(());
        }
        for item in items {
            self.emitter.indent(indent);
            self.emitter.indicator("-", true, true);
            self.node(item, Some(indent), false)?;
        }
        self.emitter.output.close();
        Ok(())
    }

    fn map(&mut self, entries: &[(Str, Value)], indent: Option<usize>) -> Result<(), Failure> {
        let indent = indent.map_or(0, |indent| indent + INDENT);
        if !self.emitter.output.open() {
            return Ok(());
        }
        for (key, value) in entries {
            self.emitter.indent(indent);
            self.key(key, indent);
            self.node(value, Some(indent), true)?;
        }
        self.emitter.output.close();
        Ok(())
    }

    fn key(&mut self, key: &str, indent: usize) {
        let key = match self.version {
            Version::V2 => Scalar::of_v2(key.into()),
            Version::V3 => Scalar::of_v3(key),
        };
        if key.is_simple_key() {
            self.emitter.scalar(&key, indent + INDENT, false);
            self.emitter.indicator(":", false, false);
        } else {
            self.emitter.indicator("?", true, true);
            let folds = self.version == Version::V2;
            self.emitter.scalar(&key, indent + INDENT, folds);
            self.emitter.indent(indent);
            self.emitter.indicator(":", true, true);
        }
    }

    fn see(&self, value: &Value) -> Result<Node, Failure> {
        match self.version {
            Version::V2 => see_as_v2(value),
            Version::V3 => Ok(see_as_v3(value)),
        }
    }
}

fn unreadable() -> Failure {
    Failure::Error("yaml: the JSON of this value cannot be read as YAML".to_owned())
}

fn see_as_v2(value: &Value) -> Result<Node, Failure> {
    let map = |entries: Vec<(Str, Value)>| {
        let entries = entries.into_iter().map(|(key, value)| {
            match json_text::read_back_key(&key).ok_or_else(unreadable)? {
                Cow::Borrowed(_) => Ok((key, value)),
                Cow::Owned(key) => Ok((key.into(), value)),
            }
        });
        let entries = entries.collect::<Result<_, Failure>>()?;
        Ok(Node::Map(keys::sort(entries, Version::V2)))
    };
    match view(value)? {
        View::Null => Ok(Node::Plain("null".to_owned())),
        View::Bool(bool) => Ok(Node::Plain(bool.to_string())),
        View::Number(text) => Ok(Node::Plain(json_number(text))),
        View::Text(text) => Ok(Node::Text(text)),
        View::List(list) => Ok(Node::List(list)),
        View::Struct(fields) => map(fields),
        View::Map(cell) => map(cell.snapshot()),
    }
}

/// A number of JSON as goyaml writes it after it has read it: whole numbers of 64 bits keep their
/// digits.
fn json_number(text: String) -> String {
    if let Ok(int) = text.parse::<i64>() {
        // Without the sign of `-0`.
        int.to_string()
    } else if text.parse::<u64>().is_ok() {
        text
    } else {
        text.parse()
            .map_or(text, |float| format_float(float, 'g', None))
    }
}

fn see_as_v3(value: &Value) -> Node {
    let map = |entries| Node::Map(keys::sort(entries, Version::V3));
    match value {
        Value::Nil => Node::Plain("null".to_owned()),
        Value::Bool(bool) => Node::Plain(bool.to_string()),
        Value::Int(_, IntType::Duration) => {
            Node::Text(super::fmt::string_method(value).unwrap_or_default().into())
        }
        Value::Int(int, IntType::Uint64) => Node::Plain(int.cast_unsigned().to_string()),
        Value::Int(int, _) => Node::Plain(int.to_string()),
        Value::Float(float) => Node::Plain(match format_float(*float, 'g', None).as_str() {
            "+Inf" => ".inf".to_owned(),
            "-Inf" => "-.inf".to_owned(),
            "NaN" => ".nan".to_owned(),
            number => number.to_owned(),
        }),
        Value::String(text) => Node::Text(text.clone()),
        Value::Bytes(bytes) => {
            let byte = |byte: &u8| Value::Int(i64::from(*byte), IntType::Uint8);
            let bytes = bytes.iter().map(byte).collect();
            Node::List(Rc::new(List::new(ElementType::Any, bytes)))
        }
        Value::List(list) => Node::List(Rc::clone(list)),
        Value::Map(cell) => map(cell.snapshot()),
        Value::Object(object) => match (object.encoded(), object.fields()) {
            (Encoded::Time(time), _) => Node::Plain(time.text),
            (Encoded::Value(value), _) => see_as_v3(&value),
            (_, Some(fields)) if object.kind() == "map" => map(fields),
            // Fields without a tag of goyaml's own have the name of the field in small letters.
            (Encoded::Struct(fields), None) | (Encoded::Struct(_), Some(fields)) => Node::Map(
                fields
                    .into_iter()
                    .map(|(name, value)| (name.to_lowercase().into(), value))
                    .collect(),
            ),
        },
    }
}
