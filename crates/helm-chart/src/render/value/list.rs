//! Slices, and the types of elements.

use std::rc::Rc;

use super::{IntType, Map, Value};

/// About how many bytes a list costs in memory, its elements aside. For those who pay.
pub const LIST_BYTES: usize = 96;

/// A slice: its elements' type shows in `typeOf`, `printf "%T"` and error texts.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// What Go calls the elements' type.
    pub elements: ElementType,
    /// The elements.
    pub items: Vec<Value>,
    /// Whether it is Go's nil slice: it prints as an empty one, and is `null` in YAML and JSON
    /// (`rest list`).
    pub nil: bool,
}

impl List {
    /// A slice of those elements.
    #[must_use]
    pub fn new(elements: ElementType, items: Vec<Value>) -> Self {
        let nil = false;
        Self {
            elements,
            items,
            nil,
        }
    }

    /// Go's nil slice of that type.
    #[must_use]
    pub fn nil(elements: ElementType) -> Self {
        let mut list = Self::new(elements, Vec::new());
        list.nil = true;
        list
    }

    /// Whether JSON and YAML write it as `null`.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.nil && self.items.is_empty()
    }
}

/// The type of a slice's elements, or of a map's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ElementType {
    /// `interface {}`.
    #[default]
    Any,
    /// `string`.
    String,
    /// `int`.
    Int,
    /// `int64`.
    Int64,
    /// `map[string]interface {}`.
    Map,
    /// `[]interface {}`.
    List,
    /// `*chart.Dependency`, `*chart.Maintainer` and their kin.
    Object(&'static str),
}

impl ElementType {
    /// What Go calls it.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::String => "string",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Map => "map[string]interface {}",
            Self::List => "[]interface {}",
            Self::Object(name) => name,
        }
    }

    /// What Go makes of a missing entry: `reflect.Zero`.
    #[must_use]
    pub fn zero(self) -> Value {
        match self {
            Self::Any | Self::Object(_) => Value::Nil,
            Self::String => Value::from(""),
            Self::Int => Value::Int(0, IntType::Int),
            Self::Int64 => Value::Int(0, IntType::Int64),
            Self::Map => Value::Map(Map::nil(Self::Any)),
            Self::List => Value::List(Rc::new(List::nil(Self::Any))),
        }
    }
}
