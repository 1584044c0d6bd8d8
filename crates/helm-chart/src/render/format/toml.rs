//! TOML as github.com/BurntSushi/toml v1.6.0 writes it, oddities included: tables are indented, and
//! an inline table whose last entry is nil ends with a comma.

use std::fmt::Write as _;

use super::fmt::string_method;
use super::output::{Limits, Output};
use crate::render::func::Failure;
use crate::render::value::{Encoded, IntType, Str, Value};
use crate::strconv::number::format_float;

/// Helm's `toToml`.
///
/// # Errors
/// [`Failure::Error`] in the words of the library, which Helm's function gives as its text; as Go does
/// a panic for nil; [`Failure::Limit`] when a limit is exceeded.
pub fn to_toml(value: &Value, limits: &Limits) -> Result<String, Failure> {
    if matches!(value, Value::Nil) {
        let panic = "reflect: call of reflect.Value.Type on zero Value";
        return Err(Failure::Panic(panic.to_owned()));
    }
    let mut writer = Writer {
        output: Output::new(limits),
        has_written: false,
        path: Vec::new(),
        limits: *limits,
        steps: 0,
    };
    if let Err(failure) = writer.document(value) {
        writer.output.fail(failure);
    }
    writer.output.finish()
}

/// What TOML sees of a value.
enum Shape {
    /// Nil of any kind.
    Nil,
    Map(Vec<(Str, Value)>),
    List(Vec<Value>),
    /// A scalar, written.
    Scalar(String),
}

struct Writer {
    output: Output,
    has_written: bool,
    /// The key of the current table, each part quoted where need be.
    path: Vec<String>,
    limits: Limits,
    /// Elements that were looked at, of which the limit is that of bytes.
    steps: usize,
}

impl Writer {
    fn document(&mut self, value: &Value) -> Result<(), Failure> {
        match self.shape(value, 0)? {
            Shape::Nil if matches!(value, Value::List(_)) => {
                self.write("[]");
                Ok(())
            }
            Shape::Nil => Ok(()),
            Shape::Map(entries) => self.entries(&entries),
            Shape::List(items) if self.is_table_array(&items, 0)? => Err(Failure::Error(
                "toml: top-level values must be Go maps or structs".to_owned(),
            )),
            _ => self.element(value, 0),
        }
    }

    /// The entries of a table: first those that are no tables themselves.
    fn entries(&mut self, entries: &[(Str, Value)]) -> Result<(), Failure> {
        if !self.output.open() {
            return Ok(());
        }
        let (direct, tables) = self.split(entries, 0)?;
        for (key, value) in direct.into_iter().chain(tables) {
            self.entry(key, value)?;
            if self.output.failed() {
                break;
            }
        }
        self.output.close();
        Ok(())
    }

    fn entry(&mut self, key: &str, value: &Value) -> Result<(), Failure> {
        self.path.push(bare_or_quoted(key));
        match self.shape(value, 0)? {
            Shape::Nil => {}
            Shape::Map(entries) => {
                if self.path.len() == 1 {
                    self.new_line();
                }
                self.header("[", "]");
                self.entries(&entries)?;
            }
            Shape::List(items) if self.is_table_array(&items, 0)? => {
                for item in &items {
                    self.new_line();
                    self.header("[[", "]]");
                    if let Shape::Map(entries) = self.shape(item, 0)? {
                        self.entries(&entries)?;
                    }
                }
            }
            _ => {
                self.indent();
                let key = self.path.last().map_or("", String::as_str);
                let text = format!("{key} = ");
                self.write(&text);
                self.element(value, 0)?;
                self.new_line();
            }
        }
        self.path.pop();
        Ok(())
    }

    fn header(&mut self, open: &str, close: &str) {
        self.indent();
        let header = format!("{open}{}{close}", self.path.join("."));
        self.write(&header);
        self.new_line();
    }

    fn indent(&mut self) {
        self.output.repeat(' ', 2 * (self.path.len() - 1));
    }

    /// A value on the line of its key.
    fn element(&mut self, value: &Value, level: usize) -> Result<(), Failure> {
        if self.output.failed() {
            return Ok(());
        }
        match self.shape(value, level)? {
            Shape::Nil => {}
            Shape::Scalar(text) => self.write(&text),
            Shape::List(items) => {
                self.write("[");
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.write(", ");
                    }
                    self.element(item, level + 1)?;
                }
                self.write("]");
            }
            Shape::Map(entries) => {
                self.write("{");
                let (direct, tables) = self.split(&entries, level + 1)?;
                let count = direct.len() + tables.len();
                for (index, (key, value)) in direct.into_iter().chain(tables).enumerate() {
                    if matches!(self.shape(value, level + 1)?, Shape::Nil) {
                        continue;
                    }
                    self.write(&format!("{} = ", bare_or_quoted(key)));
                    self.element(value, level + 1)?;
                    if index + 1 != count {
                        self.write(", ");
                    }
                }
                self.write("}");
            }
        }
        Ok(())
    }

    fn write(&mut self, text: &str) {
        self.output.push_str(text);
        self.has_written = true;
    }

    fn new_line(&mut self) {
        if self.has_written {
            self.output.push('\n');
        }
    }

    /// Entries that are no tables, and those that are, each in the order of their keys.
    #[expect(clippy::type_complexity, reason = "two lists of the same kind")]
    fn split<'e>(
        &mut self,
        entries: &'e [(Str, Value)],
        level: usize,
    ) -> Result<(Vec<(&'e str, &'e Value)>, Vec<(&'e str, &'e Value)>), Failure> {
        let mut direct = Vec::new();
        let mut tables = Vec::new();
        for (key, value) in entries {
            let is_table = match self.shape(value, level)? {
                Shape::Map(_) => true,
                Shape::List(items) => self.is_table_array(&items, level)?,
                _ => false,
            };
            let list = if is_table { &mut tables } else { &mut direct };
            list.push((&**key, value));
        }
        Ok((direct, tables))
    }

    /// Whether all elements are tables. All are looked at, because nil among them is an error.
    fn is_table_array(&mut self, items: &[Value], level: usize) -> Result<bool, Failure> {
        self.steps += items.len();
        if self.steps > self.limits.bytes {
            return Err(Failure::Limit(
                "a value has too many elements to be written as TOML".to_owned(),
            ));
        }
        let mut all = !items.is_empty();
        for item in items {
            match self.shape(item, level)? {
                Shape::Nil => {
                    return Err(Failure::Error(
                        "toml: cannot encode array with nil element".to_owned(),
                    ));
                }
                Shape::Map(_) => {}
                Shape::List(items) => {
                    self.is_table_array(&items, level + 1)?;
                    all = false;
                }
                Shape::Scalar(_) => all = false,
            }
        }
        Ok(all)
    }

    fn shape(&self, value: &Value, level: usize) -> Result<Shape, Failure> {
        if level > self.limits.depth {
            return Err(Limits::too_deep());
        }
        Ok(match value {
            Value::Nil => Shape::Nil,
            Value::List(list) if list.is_nil() => Shape::Nil,
            Value::Map(map) if map.0.is_nil() => Shape::Nil,
            Value::List(list) => Shape::List(list.items.clone()),
            Value::Map(map) => Shape::Map(map.snapshot()),
            Value::Bool(bool) => Shape::Scalar(bool.to_string()),
            Value::Int(_, IntType::Duration) => {
                Shape::Scalar(quoted(&string_method(value).unwrap_or_default()))
            }
            Value::Int(int, IntType::Uint64) => Shape::Scalar(int.cast_unsigned().to_string()),
            Value::Int(int, _) => Shape::Scalar(int.to_string()),
            Value::Float(float) => Shape::Scalar(toml_float(*float)),
            Value::String(text) => Shape::Scalar(quoted(text)),
            Value::Bytes(bytes) => {
                let byte = |byte: &u8| Value::Int(i64::from(*byte), IntType::Uint8);
                Shape::List(bytes.iter().map(byte).collect())
            }
            Value::Object(object) => match (object.encoded(), object.fields()) {
                (Encoded::Time(time), _) => Shape::Scalar(time.toml),
                (Encoded::Value(value), _) => self.shape(&value, level + 1)?,
                (_, Some(fields)) | (Encoded::Struct(fields), None) => Shape::Map(fields),
            },
        })
    }
}

/// A float, always with a point or an exponent.
fn toml_float(float: f64) -> String {
    if float.is_nan() {
        let sign = if float.is_sign_negative() { "-" } else { "" };
        return format!("{sign}nan");
    }
    let text = format_float(float, 'g', None);
    if float.is_infinite() {
        return text.trim_start_matches('+').to_lowercase();
    }
    if text.contains(['.', 'e']) {
        text
    } else {
        format!("{text}.0")
    }
}

fn bare_or_quoted(key: &str) -> String {
    let is_bare = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
    if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{8}' => quoted.push_str("\\b"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\u{c}' => quoted.push_str("\\f"),
            '\r' => quoted.push_str("\\r"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                write!(quoted, "\\u{:04x}", u32::from(char)).expect("a text takes everything");
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}
