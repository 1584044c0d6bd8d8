//! What a template works on: Go's values as far as a template can tell them apart.
//!
//! Maps are shared and mutable, because `set`, `unset` and `merge` change them in place; lists are
//! not, because nothing in a template changes one.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

mod int_type;
mod lifetime;
mod list;
mod map;
mod object;

pub use int_type::IntType;
pub use lifetime::forget_changed_maps;
pub use list::{ElementType, LIST_BYTES, List};
pub use map::{ENTRY_BYTES, MAP_BYTES, Map, MapCell};
pub use object::{Encoded, EncodedTime, Object};

/// How deep values may be nested where one is printed, compared, copied or encoded. Templates can nest
/// them without end, and a map can hold itself.
pub const MAX_DEPTH: usize = 1000;

/// A shared text.
pub type Str = Rc<str>;

/// One value.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// Go's nil interface, and what Go calls "no value".
    #[default]
    Nil,
    /// `bool`.
    Bool(bool),
    /// An integer of any width; 64 unsigned bits are kept in the same 64 bits.
    Int(i64, IntType),
    /// `float64`: each number of a chart's values is one.
    Float(f64),
    /// `string`.
    String(Str),
    /// `[]byte`.
    Bytes(Arc<[u8]>),
    /// A slice.
    List(Rc<List>),
    /// A map with text keys.
    Map(Map),
    /// Anything with methods or fixed fields: `.Files`, `.Capabilities`, `.Chart`, a version, a time.
    Object(Rc<dyn Object>),
}

impl Value {
    /// An `int`.
    #[must_use]
    pub fn int(number: i64) -> Self {
        Self::Int(number, IntType::Int)
    }

    /// An `int64`.
    #[must_use]
    pub fn int64(number: i64) -> Self {
        Self::Int(number, IntType::Int64)
    }

    /// A `[]interface {}`.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(List::new(ElementType::Any, items)))
    }

    /// A `[]string`.
    pub fn strings<S: Into<Str>>(items: impl IntoIterator<Item = S>) -> Self {
        let items = items.into_iter().map(|item| Self::String(item.into()));
        Self::List(Rc::new(List::new(ElementType::String, items.collect())))
    }

    /// What Go calls the type; `<nil>` for nil, as `%T` prints it.
    #[must_use]
    pub fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_, kind) => kind.type_name(),
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::Bytes(_) => "[]uint8",
            Self::List(list) if list.elements == ElementType::Any => "[]interface {}",
            Self::List(list) if list.elements == ElementType::String => "[]string",
            Self::List(list) => return Cow::Owned(format!("[]{}", list.elements.type_name())),
            Self::Map(map) => return map.type_name(),
            Self::Object(object) => object.type_name(),
        })
    }

    /// Go's kind: `invalid` for nil.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "invalid",
            Self::Bool(_) => "bool",
            Self::Int(_, kind) => kind.kind(),
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::Bytes(_) | Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Object(object) => object.kind(),
        }
    }

    /// What `if` makes of it: whether it is not the zero of its type.
    #[must_use]
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(truth) => *truth,
            Self::Int(number, _) => *number != 0,
            // Not a number is not zero.
            Self::Float(number) => *number != 0.0,
            Self::String(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Object(object) => object.truth(),
        }
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<Str> for Value {
    fn from(text: Str) -> Self {
        Self::String(text)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}
