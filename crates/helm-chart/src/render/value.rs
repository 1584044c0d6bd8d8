//! What a template works on: Go's values as far as a template can tell them apart.
//!
//! Maps are shared and mutable, because `set`, `unset` and `merge` change them in place; lists are
//! not, because nothing in a template changes one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;

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
    /// Whether it is Go's nil slice, which JSON and YAML write as `null`: `fromYamlArray ""`.
    pub nil: bool,
}

impl List {
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

/// A map that all who hold it share.
#[derive(Debug, Clone)]
pub struct Map(pub Rc<MapCell>);

/// The inside of a [`Map`].
#[derive(Debug, Default)]
pub struct MapCell {
    /// The type's own name where it has one (`chartutil.Values`), else none: `map[string]T`.
    pub named: Option<&'static str>,
    /// The type of the values.
    pub elements: ElementType,
    /// Keys in Go's order, the one in which `range` sees them.
    pub entries: RefCell<BTreeMap<Str, Value>>,
    /// Whether it is Go's nil map, which JSON and YAML write as `null`: `fromYaml ""`.
    pub nil: bool,
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

    /// Calls a method; `None` where the type has none of that name.
    ///
    /// # Errors
    /// The method's own message.
    fn call(&self, method: &str, args: &[Value]) -> Option<Result<Value, String>>;

    /// The fields in order, for printing, ranging, YAML and JSON; `None` where there are none.
    fn fields(&self) -> Option<Vec<(Str, Value)>>;

    /// What `%v` prints, where the type has a `String` method.
    fn go_string(&self) -> Option<String>;

    /// What JSON and YAML see of it: its fields, unless the type says otherwise.
    fn encoded(&self) -> Encoded {
        Encoded::Struct(self.fields().unwrap_or_default())
    }

    /// For those who know the concrete type.
    fn as_any(&self) -> &dyn std::any::Any;
}
