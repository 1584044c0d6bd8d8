//! Values as Go holds them: tables that are shared, and change for all who hold them.
//!
//! Helm coalesces values in place, and a part of the parent's globals ends up in every subchart as the
//! same map. What a subchart adds there is seen by its parent and its siblings, and a template that
//! changes it changes it for all. So the maps are shared here too.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use crate::yaml::json_number;

/// One value.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A mapping.
    Table(Table),
    /// Anything else: lists are never merged, and null is no table.
    Leaf(Rc<Value>),
}

/// A mapping that all who hold it share.
#[derive(Debug, Clone, Default)]
pub struct Table(pub Rc<RefCell<BTreeMap<Rc<str>, Entry>>>);

/// How much may still be copied and merged. A hostile chart can ask for each value of its parent in
/// each of thousands of subcharts.
#[derive(Debug)]
pub struct Work(u32);

/// The values of a chart cost too much.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("merging the values of the chart and its subcharts takes more than {MAX_WORK} steps")]
pub struct TooMuch;

/// Some hundred times what the largest public charts need, and well under a second.
const MAX_WORK: u32 = 10_000_000;

impl Default for Work {
    fn default() -> Self {
        Self(MAX_WORK)
    }
}

impl Work {
    /// Counts steps.
    ///
    /// # Errors
    /// When there were too many.
    pub fn spend(&mut self, steps: usize) -> Result<(), TooMuch> {
        let steps = u32::try_from(steps).map_err(|_| TooMuch)?;
        self.0 = self.0.checked_sub(steps).ok_or(TooMuch)?;
        Ok(())
    }
}

impl Entry {
    /// The table, if it is one.
    #[must_use]
    pub fn table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            Self::Leaf(_) => None,
        }
    }

    /// Whether it is a null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Leaf(value) if value.is_null())
    }

    fn copy(&self, work: &mut Work) -> Result<Self, TooMuch> {
        Ok(match self {
            Self::Table(table) => Self::Table(table.copy(work)?),
            Self::Leaf(value) => Self::Leaf(Rc::clone(value)),
        })
    }

    fn to_json(&self, work: &mut Work) -> Result<Value, TooMuch> {
        match self {
            Self::Table(table) => table.to_json(work),
            Self::Leaf(value) => Ok(value.as_ref().clone()),
        }
    }
}

impl From<&Value> for Entry {
    fn from(value: &Value) -> Self {
        match value {
            Value::Object(_) => Self::Table(Table::from(value)),
            leaf => Self::Leaf(Rc::new(as_floats(leaf))),
        }
    }
}

impl From<&Value> for Table {
    /// What is no mapping becomes an empty one.
    fn from(value: &Value) -> Self {
        let entries = value.as_object().into_iter().flatten();
        let entries = entries.map(|(key, value)| (Rc::from(key.as_str()), Entry::from(value)));
        Self(Rc::new(RefCell::new(entries.collect())))
    }
}

/// The numbers of values are 64-bit floats in Helm: digits beyond that are lost.
fn as_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().and_then(json_number);
            Value::Number(float.unwrap_or_else(|| number.clone()))
        }
        Value::Array(items) => items.iter().map(as_floats).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), as_floats(value)))
            .collect(),
        other => other.clone(),
    }
}

impl Table {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Entry> {
        self.0.borrow().get(key).cloned()
    }

    /// The table below a key, if there is one.
    #[must_use]
    pub fn table(&self, key: &str) -> Option<Self> {
        self.0.borrow().get(key).and_then(Entry::table).cloned()
    }

    /// The table at the end of some keys.
    #[must_use]
    pub fn at<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> Option<Self> {
        keys.into_iter()
            .try_fold(self.clone(), |table, key| table.table(key))
    }

    /// Sets the value of a key.
    pub fn insert(&self, key: &str, entry: Entry) {
        self.0.borrow_mut().insert(Rc::from(key), entry);
    }

    pub(crate) fn set(&self, key: Rc<str>, entry: Entry) {
        self.0.borrow_mut().insert(key, entry);
    }

    pub(crate) fn remove(&self, key: &str) {
        self.0.borrow_mut().remove(key);
    }

    /// What it holds now, so that it can change meanwhile.
    pub(crate) fn entries(&self, work: &mut Work) -> Result<Vec<(Rc<str>, Entry)>, TooMuch> {
        let entries = self.0.borrow();
        work.spend(entries.len() + 1)?;
        Ok(entries
            .iter()
            .map(|(key, entry)| (Rc::clone(key), entry.clone()))
            .collect())
    }

    /// A copy in which only the tables below are shared.
    pub(crate) fn shallow(&self, work: &mut Work) -> Result<Self, TooMuch> {
        let entries = self.entries(work)?;
        Ok(Self(Rc::new(RefCell::new(entries.into_iter().collect()))))
    }

    /// A copy that shares nothing, neither with this one nor within itself.
    ///
    /// # Errors
    /// When it is too large.
    pub fn copy(&self, work: &mut Work) -> Result<Self, TooMuch> {
        let mut copied = BTreeMap::new();
        for (key, entry) in self.entries(work)? {
            copied.insert(key, entry.copy(work)?);
        }
        Ok(Self(Rc::new(RefCell::new(copied))))
    }

    /// As JSON. What is shared is there several times.
    ///
    /// # Errors
    /// When that is too large.
    pub fn to_json(&self, work: &mut Work) -> Result<Value, TooMuch> {
        let entries = self.entries(work)?.into_iter();
        entries
            .map(|(key, entry)| Ok((key.to_string(), entry.to_json(work)?)))
            .collect()
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}
