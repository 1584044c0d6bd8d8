//! What a template works on: Go's values as far as a template can tell them apart.
//!
//! Maps are shared and mutable, because `set`, `unset` and `merge` change them in place; lists are
//! not, because nothing in a template changes one.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;

use super::func::{Context, Failure, Method};

mod lifetime;

/// About how many bytes a list costs in memory, its elements aside. For those who pay.
pub const LIST_BYTES: usize = 96;
/// About how many bytes a map with a few entries costs, keys and values that are shared aside.
pub const MAP_BYTES: usize = 640;
/// About how many bytes each further entry of a map costs.
pub const ENTRY_BYTES: usize = 80;

pub use lifetime::forget_changed_maps;

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
    Bytes(Rc<[u8]>),
    /// A slice.
    List(Rc<List>),
    /// A map with text keys.
    Map(Map),
    /// Anything with methods or fixed fields: `.Files`, `.Capabilities`, `.Chart`, a version, a time.
    Object(Rc<dyn Object>),
}

/// The integer types that a template can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntType {
    /// `int`: literals, `len`, `int`.
    Int,
    /// `int64`: sprig's arithmetic, `--set`.
    Int64,
    /// `int32`: character constants.
    Int32,
    /// `uint8`: an element of `[]byte`, a text's byte.
    Uint8,
    /// `uint64`: the parts of a semantic version.
    Uint64,
    /// `time.Duration`, whose kind is int64.
    Duration,
    /// `time.Month`, whose kind is int.
    Month,
}

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

/// A map that all who hold it share.
#[derive(Clone)]
pub struct Map(pub Rc<MapCell>);

/// The inside of a [`Map`].
pub struct MapCell {
    /// The type's own name where it has one (`chartutil.Values`), else none: `map[string]T`.
    pub named: Option<&'static str>,
    /// The type of the values.
    pub elements: ElementType,
    /// Keys in Go's order, the one in which `range` sees them.
    pub entries: RefCell<BTreeMap<Str, Value>>,
    /// Whether it is Go's nil map: it reads as an empty one, cannot be written to, and is `null` in
    /// YAML and JSON (`fromYaml ""`).
    pub nil: bool,
    /// Whether [`Map::insert`] has put another container into it, so that it may be part of a circle.
    changed: Cell<bool>,
}

impl MapCell {
    /// Whether JSON and YAML write it as `null`.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.nil && self.entries.borrow().is_empty()
    }
}

/// What JSON and YAML see of an [`Object`].
#[derive(Debug, Clone)]
pub enum Encoded {
    /// Another value in its place, as a `MarshalJSON` method gives: a time is text.
    Value(Value),
    /// A struct's fields under their JSON names, in order, without those that are left out when empty.
    Struct(Vec<(Str, Value)>),
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

impl Map {
    /// An empty `map[string]interface {}`.
    #[must_use]
    pub fn new() -> Self {
        Self::typed(None, ElementType::Any)
    }

    /// An empty map whose type has a name of its own, or whose values have a type.
    #[must_use]
    pub fn typed(named: Option<&'static str>, elements: ElementType) -> Self {
        Self::build(named, elements, BTreeMap::new(), false)
    }

    /// Go's nil map.
    #[must_use]
    pub fn nil(elements: ElementType) -> Self {
        Self::build(None, elements, BTreeMap::new(), true)
    }

    fn build(
        named: Option<&'static str>,
        elements: ElementType,
        entries: BTreeMap<Str, Value>,
        nil: bool,
    ) -> Self {
        Self(Rc::new(MapCell {
            named,
            elements,
            entries: RefCell::new(entries),
            nil,
            changed: Cell::new(false),
        }))
    }

    /// The value under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        self.0.entries.borrow().get(key).cloned()
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.0.entries.borrow().contains_key(key)
    }

    /// Sets the value under a key. Everything that changes a map that others may hold goes through
    /// here: the map may become part of a circle, which [`forget_changed_maps`] breaks.
    pub fn insert(&self, key: impl Into<Str>, value: Value) {
        if matches!(value, Value::Map(_) | Value::List(_) | Value::Object(_)) {
            lifetime::remember_changed(self);
        }
        // What was there is dropped after the map is free again: it may hold this very map.
        let before = self.0.entries.borrow_mut().insert(key.into(), value);
        drop(before);
    }

    /// Removes the value under a key.
    pub fn remove(&self, key: &str) {
        let before = self.0.entries.borrow_mut().remove(key);
        drop(before);
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.entries.borrow().len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the entries, in order, safe from changes while they are walked.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(Str, Value)> {
        let entries = self.0.entries.borrow();
        let pairs = entries.iter().map(|(k, v)| (k.clone(), v.clone()));
        pairs.collect()
    }

    /// Whether both are the same map in memory.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// What Go calls the type.
    #[must_use]
    pub fn type_name(&self) -> Cow<'static, str> {
        match (self.0.named, self.0.elements) {
            (Some(name), _) => Cow::Borrowed(name),
            (None, ElementType::Any) => Cow::Borrowed("map[string]interface {}"),
            (None, elements) => Cow::Owned(format!("map[string]{}", elements.type_name())),
        }
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

/// Not into its entries: a map may hold itself.
impl Debug for Map {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} entries", self.type_name(), self.len())
    }
}

impl<K: Into<Str>> FromIterator<(K, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter().map(|(key, value)| (key.into(), value));
        Self::build(None, ElementType::Any, pairs.collect(), false)
    }
}

impl IntType {
    /// What Go calls it.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Duration => "time.Duration",
            Self::Month => "time.Month",
            plain => plain.kind(),
        }
    }

    /// Go's kind.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Int | Self::Month => "int",
            Self::Int64 | Self::Duration => "int64",
            Self::Int32 => "int32",
            Self::Uint8 => "uint8",
            Self::Uint64 => "uint64",
        }
    }

    /// Whether it has no sign.
    #[must_use]
    pub fn is_unsigned(self) -> bool {
        matches!(self, Self::Uint8 | Self::Uint64)
    }
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
