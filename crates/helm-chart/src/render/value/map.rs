//! Maps, which all who hold them share.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;

use super::{ElementType, Str, Value, lifetime};

/// About how many bytes a map with a few entries costs, keys and values that are shared aside.
pub const MAP_BYTES: usize = 640;

/// About how many bytes each further entry of a map costs.
pub const ENTRY_BYTES: usize = 80;

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
    pub(super) changed: Cell<bool>,
}

impl MapCell {
    /// Whether JSON and YAML write it as `null`.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.nil && self.entries.borrow().is_empty()
    }
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
