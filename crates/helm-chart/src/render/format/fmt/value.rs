//! Values of all types in the verbs of fmt.

use super::string_method;
use super::verbs::Printer;
use crate::render::value::{IntType, Object, Str, Value};

/// What an address prints as: a render is repeatable.
const ADDRESS: u64 = 0xc0_0000_0000;

impl Printer {
    /// Prints an argument in a verb: Go's `printArg`.
    pub(super) fn argument(&mut self, arg: &Value, verb: char) {
        match (arg, verb) {
            (Value::Nil, 'T' | 'v') => self.pad("<nil>"),
            (Value::Nil, _) => self.bad_verb(arg, verb),
            (_, 'T') => {
                self.text(&arg.type_name(), 's');
            }
            (_, 'p') => self.pointer(arg, verb),
            (Value::Bytes(bytes), 'v' | 'd') => self.byte_list(bytes, verb, "[]byte"),
            (Value::Bool(_) | Value::Float(_) | Value::String(_) | Value::Bytes(_), _) => {
                self.plain_value(arg, verb, 0);
            }
            _ => self.value(arg, verb, 0),
        }
    }

    /// Prints a value inside of another one, or an argument that may have methods.
    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        if self.erroring {
            self.plain_value(value, verb, depth);
        } else if verb == 'w'
            && !matches!(value, Value::Int(_, int) if depth == 0 && is_plain(*int))
        {
            self.bad_verb(value, verb);
        } else if !self.flags.sharp_v
            && matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
            && let Some(text) = string_method(value)
        {
            self.text(&text, verb);
        } else {
            self.plain_value(value, verb, depth);
        }
    }

    /// Prints a value without regard to its methods: Go's `printValue`.
    fn plain_value(&mut self, value: &Value, verb: char, depth: usize) {
        let fits = match value {
            Value::Nil => {
                let text = if self.flags.sharp_v {
                    "interface {}(nil)"
                } else {
                    "<nil>"
                };
                self.output.push_str(text);
                true
            }
            Value::Bool(bool) => self.boolean(*bool, verb),
            Value::Int(int, int_type) => {
                self.integer(int.cast_unsigned(), !int_type.is_unsigned(), verb)
            }
            Value::Float(float) => self.float(*float, verb),
            Value::String(text) => self.text(text, verb),
            Value::Bytes(bytes) => {
                match verb {
                    's' | 'q' | 'x' | 'X' => self.bytes(bytes, verb),
                    _ => self.byte_list(bytes, verb, "[]uint8"),
                }
                true
            }
            Value::List(list) if self.flags.sharp_v && list.is_nil() => {
                self.typed_nil(value);
                true
            }
            Value::List(list) => {
                self.list(&value.type_name(), &list.items, verb, depth);
                true
            }
            Value::Map(map) if self.flags.sharp_v && map.0.is_nil() => {
                self.typed_nil(value);
                true
            }
            Value::Map(map) => {
                self.entries(&value.type_name(), &map.snapshot(), verb, depth);
                true
            }
            Value::Object(object) => {
                self.object(value, &**object, verb, depth);
                true
            }
        };
        if !fits {
            self.bad_verb(value, verb);
        }
    }

    fn object(&mut self, value: &Value, object: &dyn Object, verb: char, depth: usize) {
        let fields = || object.fields().unwrap_or_default();
        match object.kind() {
            "map" => self.entries(object.type_name(), &fields(), verb, depth),
            "slice" => {
                let items: Vec<_> = fields().into_iter().map(|(_, item)| item).collect();
                self.list(object.type_name(), &items, verb, depth);
            }
            "ptr" if depth > 0 => self.pointer(value, verb),
            "ptr" => {
                self.output.push('&');
                let name = object.type_name().trim_start_matches('*');
                self.structure(name, &fields(), verb, depth + 1);
            }
            _ => self.structure(object.type_name(), &fields(), verb, depth),
        }
    }

    fn list(&mut self, type_name: &str, items: &[Value], verb: char, depth: usize) {
        if !self.open(type_name, "[") {
            return;
        }
        for (index, item) in items.iter().enumerate() {
            self.separator(index);
            self.value(item, verb, depth + 1);
        }
        self.close(']');
    }

    fn entries(&mut self, type_name: &str, entries: &[(Str, Value)], verb: char, depth: usize) {
        if !self.open(type_name, "map[") {
            return;
        }
        for (index, (key, value)) in entries.iter().enumerate() {
            self.separator(index);
            self.value(&Value::String(key.clone()), verb, depth + 1);
            self.output.push(':');
            self.value(value, verb, depth + 1);
        }
        self.close(']');
    }

    fn structure(&mut self, type_name: &str, fields: &[(Str, Value)], verb: char, depth: usize) {
        if !self.open(type_name, "{") {
            return;
        }
        for (index, (name, value)) in fields.iter().enumerate() {
            self.separator(index);
            if self.flags.plus_v || self.flags.sharp_v {
                self.output.push_str(name);
                self.output.push(':');
            }
            self.value(value, verb, depth + 1);
        }
        self.close('}');
    }

    fn byte_list(&mut self, bytes: &[u8], verb: char, type_name: &str) {
        if !self.open(type_name, "[") {
            return;
        }
        for (index, byte) in bytes.iter().enumerate() {
            self.separator(index);
            self.value(&Value::Int(i64::from(*byte), IntType::Uint8), verb, 1);
        }
        self.close(']');
    }

    /// Opens a list or a map; in Go's syntax with its type. False when that is a level too many.
    fn open(&mut self, type_name: &str, bracket: &str) -> bool {
        if !self.output.open() {
            return false;
        }
        if self.flags.sharp_v {
            self.output.push_str(type_name);
            self.output.push('{');
        } else {
            self.output.push_str(bracket);
        }
        true
    }

    fn separator(&mut self, index: usize) {
        if index > 0 {
            let separator = if self.flags.sharp_v { ", " } else { " " };
            self.output.push_str(separator);
        }
    }

    fn close(&mut self, bracket: char) {
        self.output
            .push(if self.flags.sharp_v { '}' } else { bracket });
        self.output.close();
    }

    fn typed_nil(&mut self, value: &Value) {
        self.output.push_str(&value.type_name());
        self.output.push_str("(nil)");
    }

    fn pointer(&mut self, value: &Value, verb: char) {
        let address = match value {
            Value::Map(map) if map.0.is_nil() => 0,
            Value::List(list) if list.is_nil() => 0,
            Value::Map(_) | Value::List(_) | Value::Bytes(_) => ADDRESS,
            Value::Object(object) if object.kind() != "struct" => ADDRESS,
            _ => return self.bad_verb(value, verb),
        };
        match verb {
            'v' if self.flags.sharp_v => {
                self.output.push('(');
                self.output.push_str(&value.type_name());
                self.output.push_str(")(");
                self.hexadecimal(address, true);
                self.output.push(')');
            }
            'v' | 'p' => self.hexadecimal(address, !self.flags.sharp),
            'b' | 'o' | 'd' | 'x' | 'X' => {
                self.integer(address, false, verb);
            }
            _ => self.bad_verb(value, verb),
        }
    }

    /// Reports a verb that the value does not have, in the text.
    fn bad_verb(&mut self, value: &Value, verb: char) {
        self.output.push_str("%!");
        self.output.push(verb);
        self.output.push('(');
        if matches!(value, Value::Nil) {
            self.output.push_str("<nil>");
        } else {
            self.output.push_str(&value.type_name());
            self.output.push('=');
            self.erroring = true;
            self.argument(value, 'v');
            self.erroring = false;
        }
        self.output.push(')');
    }
}

fn is_plain(int: IntType) -> bool {
    !matches!(int, IntType::Duration | IntType::Month | IntType::Weekday)
}
