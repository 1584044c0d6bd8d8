//! Values given on a command line: `--set a.b[0]=c`, `--set-string`, `--set-json`, `--set-file`,
//! `--set-literal`.
//!
//! As helm v3.22 reads them (`pkg/strvals`), error texts included.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::{Map, Value};

/// The largest index of a list.
const MAX_INDEX: usize = 65_536;

/// The deepest nesting of names.
const MAX_NESTING: usize = 30;

/// How the text behind `=` is read.
pub enum Reading<'a> {
    /// `--set`: `true`, `false`, `null` and integers are what they look like, all else is text.
    Typed,
    /// `--set-string`: all is text.
    Text,
    /// `--set-json`: JSON.
    Json,
    /// `--set-file`: the content of a file of that name, which the function reads.
    File(&'a dyn Fn(&str) -> Result<String, String>),
}

/// Writes what a text such as `a=1,b.c={x,y}` says into values. Integers become JSON integers; numbers
/// of `--set-json` become floats, as Go reads JSON.
///
/// # Errors
/// A text that is not of that form, in Helm's words without `failed parsing --set data: ` in front.
pub fn set(
    text: &str,
    reading: &Reading<'_>,
    values: &mut Map<String, Value>,
) -> Result<(), String> {
    let mut parser = Parser {
        rest: text,
        reading,
    };
    loop {
        match parser.key(values, 0) {
            Ok(()) => {}
            Err(End::Done) => return Ok(()),
            Err(End::Error(message)) => return Err(message),
        }
    }
}

/// Writes what `--set-literal` says: one path, and behind the first `=` text as it is.
///
/// # Errors
/// As [`set`].
pub fn set_literal(text: &str, values: &mut Map<String, Value>) -> Result<(), String> {
    let mut path = String::new();
    let mut letters = text.chars();
    loop {
        match letters.next() {
            Some('=') => break,
            Some('\\') => {
                path.push('\\');
                path.extend(letters.next());
            }
            // What separates values elsewhere is part of the name here.
            Some(',') => path.push_str("\\,"),
            Some(letter) => path.push(letter),
            None => return Err(format!("key {text:?} has no value")),
        }
    }
    let value = letters.as_str().to_owned();
    let read = move |_: &str| Ok(value.clone());
    set(&format!("{path}=x"), &Reading::File(&read), values)
}

/// Lays values over values as Helm merges its value files: maps merge, all else is replaced, a null
/// stays.
pub fn merge(base: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

enum End {
    /// The text is at its end, where one may be.
    Done,
    Error(String),
}

impl From<String> for End {
    fn from(message: String) -> Self {
        Self::Error(message)
    }
}

struct Parser<'a> {
    rest: &'a str,
    reading: &'a Reading<'a>,
}

impl Parser<'_> {
    fn key(&mut self, data: &mut Map<String, Value>, nesting: usize) -> Result<(), End> {
        let (key, end) = self.until(&['=', '[', ',', '.']);
        match end {
            None if key.is_empty() => Err(End::Done),
            None => Err(format!("key {key:?} has no value").into()),
            Some('[') => {
                let index = self
                    .index()
                    .map_err(|error| format!("error parsing index: {error}"))?;
                let mut list = match data.get(&key) {
                    None => Vec::new(),
                    Some(Value::Array(list)) => list.clone(),
                    Some(other) => return Err(not_a("[]interface {}", other)),
                };
                let result = self.item(&mut list, index, nesting);
                put(data, key, Value::Array(list));
                result
            }
            Some('=') => {
                let (value, result) = self.value()?;
                put(data, key, value);
                result
            }
            Some(',') => {
                put(data, key.clone(), Value::String(String::new()));
                Err(format!("key {key:?} has no value (cannot end with ,)").into())
            }
            Some(_) => {
                if nesting + 1 > MAX_NESTING {
                    return Err(format!(
                        "value name nested level is greater than maximum supported nested level of {MAX_NESTING}"
                    )
                    .into());
                }
                let mut inner = match data.get(&key) {
                    None => Map::new(),
                    Some(Value::Object(map)) => map.clone(),
                    Some(other) => return Err(not_a("map[string]interface {}", other)),
                };
                let result = self.key(&mut inner, nesting + 1);
                if result.is_ok() && inner.is_empty() {
                    return Err(format!("key map {key:?} has no value").into());
                }
                if !inner.is_empty() {
                    put(data, key, Value::Object(inner));
                }
                result
            }
        }
    }

    /// What follows an index: more indices, more names, or the value.
    fn item(&mut self, list: &mut Vec<Value>, index: usize, nesting: usize) -> Result<(), End> {
        let (unexpected, end) = self.until(&['[', '.', '=']);
        if !unexpected.is_empty() {
            return Err(format!("unexpected data at end of array index: {unexpected:?}").into());
        }
        match end {
            None => Err(End::Done),
            Some('=') => {
                let (value, result) = self.value()?;
                put_at(list, index, value)?;
                result
            }
            Some('[') => {
                let next = self
                    .index()
                    .map_err(|error| format!("error parsing index: {error}"))?;
                let mut inner = match list.get(index) {
                    None | Some(Value::Null) => Vec::new(),
                    Some(Value::Array(inner)) => inner.clone(),
                    Some(other) => return Err(not_a("[]interface {}", other)),
                };
                let result = self.item(&mut inner, next, nesting);
                if matches!(result, Err(End::Error(_))) {
                    return result;
                }
                put_at(list, index, Value::Array(inner))?;
                result
            }
            Some(_) => {
                let mut inner = match list.get(index) {
                    Some(Value::Object(map)) => map.clone(),
                    _ => Map::new(),
                };
                let result = self.key(&mut inner, nesting);
                if matches!(result, Err(End::Error(_))) {
                    return result;
                }
                put_at(list, index, Value::Object(inner))?;
                result
            }
        }
    }

    /// The value behind `=`, and whether the text goes on behind it.
    fn value(&mut self) -> Result<(Value, Result<(), End>), End> {
        if let Reading::Json = self.reading {
            return Ok((self.json()?, Ok(())));
        }
        if self.rest.is_empty() {
            return Ok((Value::String(String::new()), Err(End::Done)));
        }
        if let Some(inner) = self.rest.strip_prefix('{') {
            self.rest = inner;
            return Ok((Value::Array(self.list()?), Ok(())));
        }
        let (text, _) = self.until(&[',']);
        Ok((self.read(&text)?, Ok(())))
    }

    fn list(&mut self) -> Result<Vec<Value>, End> {
        let mut list = Vec::new();
        loop {
            let (text, end) = self.until(&[',', '}']);
            let Some(end) = end else {
                return Err("list must terminate with '}'".to_owned().into());
            };
            list.push(self.read(&text)?);
            if end == '}' {
                self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
                return Ok(list);
            }
        }
    }

    fn json(&mut self) -> Result<Value, End> {
        if self.skip_to_value() {
            return Ok(Value::Null);
        }
        let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        let value = match stream.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(error.to_string().into()),
            None => Value::Null,
        };
        self.rest = &self.rest[stream.byte_offset()..];
        self.skip_to_value();
        Ok(as_floats(value))
    }

    /// Passes over blanks and one comma; whether there is no value before that comma or the end.
    fn skip_to_value(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        if let Some(rest) = self.rest.strip_prefix(',') {
            self.rest = rest;
            return true;
        }
        self.rest.is_empty()
    }

    fn read(&self, text: &str) -> Result<Value, End> {
        match self.reading {
            Reading::Typed => Ok(typed(text)),
            Reading::Text | Reading::Json => Ok(Value::String(text.to_owned())),
            Reading::File(read) => Ok(Value::String(read(text)?)),
        }
    }

    fn index(&mut self) -> Result<usize, String> {
        let (text, end) = self.until(&[']']);
        if end.is_none() {
            return Err("EOF".to_owned());
        }
        let number: i64 = text
            .parse()
            .map_err(|_| format!("strconv.Atoi: parsing {text:?}: invalid syntax"))?;
        usize::try_from(number).map_err(|_| format!("negative {number} index not allowed"))
    }

    /// The text before one of some letters, with `\` taking the next letter as it is, and which one it
    /// was; none at the end.
    fn until(&mut self, stop: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        let mut letters: Peekable<Chars<'_>> = self.rest.chars().peekable();
        let mut taken = 0;
        while let Some(letter) = letters.next() {
            taken += letter.len_utf8();
            if stop.contains(&letter) {
                self.rest = &self.rest[taken..];
                return (text, Some(letter));
            }
            if letter == '\\' {
                match letters.next() {
                    Some(next) => {
                        taken += next.len_utf8();
                        text.push(next);
                    }
                    None => break,
                }
            } else {
                text.push(letter);
            }
        }
        self.rest = "";
        (text, None)
    }
}

fn put(data: &mut Map<String, Value>, key: String, value: Value) {
    if !key.is_empty() {
        data.insert(key, value);
    }
}

fn put_at(list: &mut Vec<Value>, index: usize, value: Value) -> Result<(), End> {
    if index > MAX_INDEX {
        return Err(format!(
            "index of {index} is greater than maximum supported index of {MAX_INDEX}"
        )
        .into());
    }
    if list.len() <= index {
        list.resize(index + 1, Value::Null);
    }
    list[index] = value;
    Ok(())
}

fn typed(text: &str) -> Value {
    if text.eq_ignore_ascii_case("true") {
        return Value::Bool(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Value::Bool(false);
    }
    if text.eq_ignore_ascii_case("null") {
        return Value::Null;
    }
    let is_number = text == "0" || !text.starts_with('0');
    match text.parse::<i64>() {
        Ok(number) if is_number => Value::from(number),
        _ => Value::String(text.to_owned()),
    }
}

/// The same with all numbers as floats, which is what numbers of JSON and of value files are to Go.
#[must_use]
pub fn as_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Number(number), Value::from),
        Value::Array(items) => Value::Array(items.into_iter().map(as_floats).collect()),
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| (key, as_floats(value)))
                .collect(),
        ),
        other => other,
    }
}

/// What Go says when a value is not of the type that a name needs.
fn not_a(wanted: &str, value: &Value) -> End {
    let is = match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    End::Error(format!(
        "unable to parse key: interface conversion: interface {{}} is {is}, not {wanted}"
    ))
}

#[cfg(test)]
mod tests;
