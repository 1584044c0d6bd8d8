//! Values with methods or fixed fields.

use std::fmt::Debug;

use super::{Str, Value};
use crate::render::func::{Context, Failure, Method};

/// What JSON and YAML see of an [`Object`].
#[derive(Debug, Clone)]
pub enum Encoded {
    /// Another value in its place, as a `MarshalJSON` method gives.
    Value(Value),
    /// A time.
    Time(EncodedTime),
    /// A struct's fields under their JSON names, in order, without those that are left out when empty.
    Struct(Vec<(Str, Value)>),
}

/// A time as texts: JSON has quotes around its own, YAML and TOML have none.
#[derive(Debug, Clone)]
pub struct EncodedTime {
    /// For JSON and YAML: RFC 3339 with nanoseconds.
    pub text: String,
    /// For TOML, which knows times without a zone.
    pub toml: String,
    /// Why JSON refuses it.
    pub refused: Option<&'static str>,
}

/// A value with methods or fixed fields.
pub trait Object: Debug {
    /// Go's name of the type, as `%T` prints it: `*chart.Metadata`, `engine.files`.
    fn type_name(&self) -> &'static str;

    /// Go's kind: `struct`, `ptr`, `map`, `slice`.
    fn kind(&self) -> &'static str;

    /// The field of that name, for a struct, or the entry, for a map.
    fn field(&self, name: &str) -> Option<Value>;

    /// The parameters of the method of that name; `None` where the type has none.
    fn method(&self, name: &str) -> Option<Method> {
        let _ = name;
        None
    }

    /// Calls a method. The arguments have been checked against its parameters.
    ///
    /// # Errors
    /// The method's own message.
    fn call(&self, ctx: &mut dyn Context, method: &str, args: &[Value]) -> Result<Value, Failure> {
        let _ = (ctx, args);
        Err(Failure::Error(format!("no method {method}")))
    }

    /// What a map gives for a key that it does not have: the zero of its values.
    fn missing(&self) -> Value {
        Value::Nil
    }

    /// The fields in order, for printing, ranging, YAML and JSON; `None` where there are none.
    fn fields(&self) -> Option<Vec<(Str, Value)>>;

    /// What `%v` prints, where the type has a `String` method.
    fn go_string(&self) -> Option<String>;

    /// What tells it apart from others of its type that have no fields: its text, unless there is more to it.
    fn identity(&self) -> Option<String> {
        self.go_string()
    }

    /// What `if` makes of it: whether a map or slice has entries; structs and pointers are true.
    fn truth(&self) -> bool {
        match self.kind() {
            "map" | "slice" => self.fields().is_some_and(|fields| !fields.is_empty()),
            _ => true,
        }
    }

    /// What JSON and YAML see of it: its fields, unless the type says otherwise.
    fn encoded(&self) -> Encoded {
        Encoded::Struct(self.fields().unwrap_or_default())
    }

    /// For those who know the concrete type.
    fn as_any(&self) -> &dyn std::any::Any;
}
