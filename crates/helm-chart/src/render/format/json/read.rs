//! encoding/json's decoder, with its error texts.

use std::rc::Rc;

use crate::render::func::Failure;
use crate::render::text::{from_text, to_bytes};
use crate::render::value::{ElementType, List, MAX_DEPTH, Map, Value};
use crate::strconv::quote;

/// Helm's `fromJson`: a map, in which `Error` tells what is wrong with the text.
///
/// # Errors
/// [`Failure::Limit`] for more than [`MAX_DEPTH`] levels.
pub fn from_json(text: &str) -> Result<Value, Failure> {
    let decoded = decode(text, GoType::Map)?;
    Ok(match (decoded.error, decoded.value) {
        (None, Value::Nil) => Value::Map(Map::nil(ElementType::Any)),
        (None, value) => value,
        (Some(error), value) => {
            let map = match value {
                Value::Map(map) => map,
                _ => Map::new(),
            };
            map.insert("Error", Value::from(error));
            Value::Map(map)
        }
    })
}

/// Helm's `fromJsonArray`: a list, whose only element tells what is wrong with the text.
///
/// # Errors
/// As [`from_json`].
pub fn from_json_array(text: &str) -> Result<Value, Failure> {
    let decoded = decode(text, GoType::List)?;
    Ok(match (decoded.error, decoded.value) {
        (Some(error), _) => Value::list(vec![Value::from(error)]),
        (None, Value::Nil) => Value::List(Rc::new(List::nil(ElementType::Any))),
        (None, value) => value,
    })
}

/// `json.Unmarshal` into an `interface {}`: Sprig's `mustFromJson`.
///
/// # Errors
/// [`Failure::Error`] in the words of encoding/json, and as [`from_json`].
pub fn unmarshal(text: &str) -> Result<Value, Failure> {
    let decoded = decode(text, GoType::Any)?;
    match decoded.error {
        Some(error) => Err(Failure::Error(error)),
        None => Ok(decoded.value),
    }
}

/// The Go type that a text is read into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::render::format) enum GoType {
    Any,
    Map,
    List,
}

/// What encoding/json says of a value that its target cannot hold.
pub(in crate::render::format) fn type_error(value: &Value, target: GoType) -> Option<String> {
    let found = match (value, target) {
        (Value::Nil, _)
        | (_, GoType::Any)
        | (Value::Map(_), GoType::Map)
        | (Value::List(_), GoType::List) => return None,
        (Value::Map(_), _) => "object",
        (Value::List(_), _) => "array",
        (Value::String(_), _) => "string",
        (Value::Bool(_), _) => "bool",
        _ => "number",
    };
    let wanted = match target {
        GoType::List => "[]interface {}",
        _ => "map[string]interface {}",
    };
    Some(format!(
        "json: cannot unmarshal {found} into Go value of type {wanted}"
    ))
}

struct Decoded {
    value: Value,
    /// What Go's function returns beside the value.
    error: Option<String>,
}

fn decode(text: &str, target: GoType) -> Result<Decoded, Failure> {
    let bytes = to_bytes(text);
    let mut reader = JsonReader {
        bytes: &bytes,
        at: 0,
        type_error: None,
    };
    match reader.document() {
        Ok(value) => {
            // The whole text may be the number that is too large.
            let is_number = matches!(value, Value::Nil) && reader.type_error.is_some();
            let number = is_number.then_some(Value::Float(0.0));
            let error = type_error(number.as_ref().unwrap_or(&value), target);
            let value = if error.is_some() { Value::Nil } else { value };
            Ok(Decoded {
                value,
                error: error.or(reader.type_error),
            })
        }
        Err(Failure::Error(error)) => Ok(Decoded {
            value: Value::Nil,
            error: Some(error),
        }),
        Err(failure) => Err(failure),
    }
}

struct JsonReader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The first number that is too large: it becomes nil, and reading goes on.
    type_error: Option<String>,
}

impl JsonReader<'_> {
    fn document(&mut self) -> Result<Value, Failure> {
        let value = self.value(0)?;
        match self.peek() {
            None => Ok(value),
            Some(_) => Err(self.unexpected("after top-level value")),
        }
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.byte()
    }

    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// An error at this byte. Go tells the end of the text by giving its scanner a space.
    fn unexpected(&self, context: &str) -> Failure {
        let char = match self.byte() {
            Some(b'\'') => r"'\''".to_owned(),
            Some(b'"') => "'\"'".to_owned(),
            byte => {
                let text = quote(&char::from(byte.unwrap_or(b' ')).to_string(), false);
                format!("'{}'", &text[1..text.len() - 1])
            }
        };
        Failure::Error(format!("invalid character {char} {context}"))
    }

    /// An error where spaces are allowed.
    fn unexpected_or_end(&self, context: &str) -> Failure {
        match self.byte() {
            Some(_) => self.unexpected(context),
            None => Failure::Error("unexpected end of JSON input".to_owned()),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Failure> {
        if depth > MAX_DEPTH {
            return Err(Failure::Limit(format!(
                "a JSON text has more than {MAX_DEPTH} levels"
            )));
        }
        match self.peek() {
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => Ok(Value::String(from_text(&self.string()?))),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Nil),
            _ => Err(self.unexpected_or_end("looking for beginning of value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Failure> {
        self.at += 1;
        let mut entries = Vec::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(Map::new()));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected_or_end("looking for beginning of object key string"));
            }
            let key = self.string()?;
            if self.peek() != Some(b':') {
                return Err(self.unexpected_or_end("after object key"));
            }
            self.at += 1;
            entries.push((key, self.value(depth)?));
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.unexpected_or_end("after object key:value pair")),
            }
        }
        self.at += 1;
        Ok(Value::Map(entries.into_iter().collect()))
    }

    fn array(&mut self, depth: usize) -> Result<Value, Failure> {
        self.at += 1;
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::list(items));
        }
        loop {
            items.push(self.value(depth)?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.unexpected_or_end("after array element")),
            }
        }
        self.at += 1;
        Ok(Value::list(items))
    }

    fn literal(&mut self, name: &str, value: Value) -> Result<Value, Failure> {
        for expected in name.bytes() {
            if self.byte() != Some(expected) {
                let expected = char::from(expected);
                let context = format!("in literal {name} (expecting '{expected}')");
                return Err(self.unexpected(&context));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, Failure> {
        let start = self.at;
        self.skip(b"-");
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits("in numeric literal")?,
        }
        if self.skip(b".") {
            self.digits("after decimal point in numeric literal")?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits("in exponent of numeric literal")?;
        }
        let text = String::from_utf8_lossy(&self.bytes[start..self.at]);
        match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Value::Float(float)),
            _ => {
                let error =
                    format!("json: cannot unmarshal number {text} into Go value of type float64");
                self.type_error.get_or_insert(error);
                Ok(Value::Nil)
            }
        }
    }

    fn skip(&mut self, bytes: &[u8]) -> bool {
        let skips = self.byte().is_some_and(|byte| bytes.contains(&byte));
        self.at += usize::from(skips);
        skips
    }

    fn digits(&mut self, context: &str) -> Result<(), Failure> {
        if !self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.unexpected(context));
        }
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    /// A string, in which what is not UTF-8 and lone surrogates become replacement characters.
    fn string(&mut self) -> Result<String, Failure> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.bytes[self.at..];
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | ..=0x1f))
                .unwrap_or(rest.len());
            for chunk in rest[..plain].utf8_chunks() {
                text.push_str(chunk.valid());
                text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
            }
            self.at += plain;
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                _ => return Err(self.unexpected_or_end("in string literal")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Failure> {
        let char = match self.byte() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.code_point();
            }
            _ => return Err(self.unexpected("in string escape code")),
        };
        self.at += 1;
        Ok(char)
    }

    fn code_point(&mut self) -> Result<char, Failure> {
        let high = self.code_unit()?;
        if !(0xd800..0xdc00).contains(&high) || !self.bytes[self.at..].starts_with(b"\\u") {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let after_high = self.at;
        self.at += 2;
        let low = self.code_unit()?;
        if let 0xdc00..0xe000 = low {
            let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        // What follows is a character of its own.
        self.at = after_high;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn code_unit(&mut self) -> Result<u32, Failure> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.unexpected("in \\u hexadecimal character escape"));
            };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }
}
