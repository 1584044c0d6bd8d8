//! JSON as Go's encoding/json reads it, with its errors.

use super::super::super::func::{Context, Failure};
use super::super::super::text::escaped_byte;
use super::super::super::value::{Map, Value};
use super::super::args::pay;
use super::super::dicts;
use super::Decoded;

/// How deep JSON may nest, as in Go.
const MAX_DEPTH: usize = 10_000;

/// Reads a text. With an error of its form there is no value; with a number out of range there is.
pub(super) fn parse(ctx: &mut dyn Context, text: &str) -> Result<Decoded, Failure> {
    ctx.step(text.len())?;
    ctx.spend(text.len())?;
    let mut reader = Reader {
        text: text.as_bytes(),
        at: 0,
        number: None,
    };
    match reader.document(ctx) {
        Ok(value) => Ok((value, reader.number)),
        Err(Stop::Syntax(message)) => Ok((Value::Nil, Some(message))),
        Err(Stop::Failure(failure)) => Err(failure),
    }
}

enum Stop {
    Syntax(String),
    Failure(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// A list or map that is being read.
enum Open {
    List(Vec<Value>),
    Map(Map, String),
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    /// What Go says of the first number that is out of range.
    number: Option<String>,
}

impl Reader<'_> {
    fn document(&mut self, ctx: &mut dyn Context) -> Result<Value, Stop> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            self.skip_space();
            let mut value = match self.peek() {
                Some(b'{') => {
                    self.enter(&open)?;
                    if self.empty(b'}') {
                        Value::Map(Map::new())
                    } else {
                        let key = self.key("looking for beginning of object key string")?;
                        open.push(Open::Map(Map::new(), key));
                        continue;
                    }
                }
                Some(b'[') => {
                    self.enter(&open)?;
                    if self.empty(b']') {
                        Value::list(Vec::new())
                    } else {
                        open.push(Open::List(Vec::new()));
                        continue;
                    }
                }
                _ => self.scalar()?,
            };
            // Closes what this value completes.
            loop {
                self.skip_space();
                match open.last_mut() {
                    None if self.at == self.text.len() => return Ok(value),
                    None => return Err(self.invalid("after top-level value")),
                    Some(Open::List(items)) => {
                        pay(ctx, 1)?;
                        items.push(value);
                        match self.next() {
                            Some(b',') => break,
                            Some(b']') => {}
                            _ => return Err(self.invalid_before("after array element")),
                        }
                    }
                    Some(Open::Map(map, key)) => {
                        dicts::pay(ctx, 1)?;
                        map.insert(std::mem::take(key), value);
                        match self.next() {
                            Some(b',') => {
                                let next =
                                    self.key("looking for beginning of object key string")?;
                                *key = next;
                                break;
                            }
                            Some(b'}') => {}
                            _ => return Err(self.invalid_before("after object key:value pair")),
                        }
                    }
                }
                value = match open.pop() {
                    Some(Open::List(items)) => Value::list(items),
                    Some(Open::Map(map, _)) => Value::Map(map),
                    None => Value::Nil,
                };
            }
        }
    }

    fn enter(&mut self, open: &[Open]) -> Result<(), Stop> {
        self.at += 1;
        if open.len() >= MAX_DEPTH {
            return Err(Stop::Syntax("exceeded max depth".to_owned()));
        }
        self.skip_space();
        Ok(())
    }

    /// Whether what was opened ends at once.
    fn empty(&mut self, end: u8) -> bool {
        let is_end = self.peek() == Some(end);
        self.at += usize::from(is_end);
        is_end
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let next = self.peek();
        self.at += 1;
        next
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The error of the byte that comes next.
    fn invalid(&self, context: &str) -> Stop {
        // At the end Go looks whether a space would do.
        let takes_space = !context.starts_with("in ") && !context.starts_with("after decimal")
            || context.ends_with("string literal");
        let byte = match self.peek() {
            Some(byte) => byte,
            None if takes_space => return Stop::Syntax("unexpected end of JSON input".to_owned()),
            None => b' ',
        };
        let shown = match byte {
            b'\'' => r"'\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            byte => {
                let text = std::str::from_utf8(self.text).ok();
                let here = text.and_then(|text| text.get(self.at..)?.chars().next());
                // Go shows the first byte of a character as if it were one.
                let byte = here.and_then(escaped_byte).unwrap_or(byte);
                let quoted =
                    super::super::super::format::quote(&char::from(byte).to_string(), false);
                format!("'{}'", &quoted[1..quoted.len() - 1])
            }
        };
        Stop::Syntax(format!("invalid character {shown} {context}"))
    }

    /// The error of the byte that was read last.
    fn invalid_before(&mut self, context: &str) -> Stop {
        self.at -= 1;
        self.invalid(context)
    }

    /// A key with the colon after it.
    fn key(&mut self, context: &str) -> Result<String, Stop> {
        self.skip_space();
        if self.peek() != Some(b'"') {
            return Err(self.invalid(context));
        }
        let key = self.string()?;
        self.skip_space();
        if self.next() != Some(b':') {
            return Err(self.invalid_before("after object key"));
        }
        Ok(key)
    }

    fn scalar(&mut self) -> Result<Value, Stop> {
        match self.peek() {
            Some(b'"') => Ok(self.string()?.into()),
            Some(b't') => self.literal("true", true.into()),
            Some(b'f') => self.literal("false", false.into()),
            Some(b'n') => self.literal("null", Value::Nil),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.invalid("looking for beginning of value")),
        }
    }

    fn literal(&mut self, name: &str, value: Value) -> Result<Value, Stop> {
        for (index, expected) in name.bytes().enumerate() {
            if self.next() != Some(expected) {
                let expected = char::from(expected);
                debug_assert!(index > 0, "the first letter has been seen");
                return Err(
                    self.invalid_before(&format!("in literal {name} (expecting '{expected}')"))
                );
            }
        }
        Ok(value)
    }

    fn digits(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at > start
    }

    fn number(&mut self) -> Result<Value, Stop> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else if !self.digits() {
            return Err(self.invalid("in numeric literal"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if !self.digits() {
                return Err(self.invalid("after decimal point in numeric literal"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            if !self.digits() {
                return Err(self.invalid("in exponent of numeric literal"));
            }
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at]);
        let float = text.parse::<f64>().unwrap_or(f64::INFINITY);
        if float.is_finite() {
            return Ok(Value::Float(float));
        }
        let problem = format!("json: cannot unmarshal number {text} into Go value of type float64");
        self.number.get_or_insert(problem);
        Ok(Value::Nil)
    }

    /// A text in quotes.
    fn string(&mut self) -> Result<String, Stop> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            match self.next() {
                Some(b'"') => break,
                Some(b'\\') => self.escape(&mut out)?,
                Some(byte) if byte >= b' ' => out.push(byte),
                _ => return Err(self.invalid_before("in string literal")),
            }
        }
        // Bytes that are not UTF-8 are kept as characters, which Go replaces.
        let text = String::from_utf8(out).unwrap_or_default();
        Ok(super::super::unicode::runes(&text).collect())
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        out.push(match self.next() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let mut code = self.hexadecimal()?;
                if (0xd800..0xdc00).contains(&code) && self.text[self.at..].starts_with(b"\\u") {
                    let before = self.at;
                    self.at += 2;
                    let low = self.hexadecimal()?;
                    if (0xdc00..0xe000).contains(&low) {
                        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                    } else {
                        self.at = before;
                    }
                }
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                let mut buffer = [0; 4];
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                return Ok(());
            }
            _ => return Err(self.invalid_before("in string escape code")),
        });
        Ok(())
    }

    fn hexadecimal(&mut self) -> Result<u32, Stop> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.invalid_before(r"in \u hexadecimal character escape"));
            };
            code = code * 16 + digit;
        }
        Ok(code)
    }
}
