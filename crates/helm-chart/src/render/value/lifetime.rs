//! How values end: without recursion, because templates nest them without end, and without leaks,
//! because a map that is put into itself keeps itself alive.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use super::{List, Map, MapCell, Value};

thread_local! {
    /// Containers that have lost their last holder and wait to be dropped.
    static DOOMED: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
    /// Whether a caller further up empties that list.
    static DROPPING: Cell<bool> = const { Cell::new(false) };
    /// The maps of this thread into which containers have been put.
    static CHANGED: RefCell<Vec<Weak<MapCell>>> = const { RefCell::new(Vec::new()) };
}

impl Drop for List {
    fn drop(&mut self) {
        release(self.items.iter_mut());
    }
}

impl Drop for MapCell {
    fn drop(&mut self) {
        release(self.entries.get_mut().values_mut());
    }
}

/// Drops containers one after the other instead of one within the other.
fn release<'v>(values: impl Iterator<Item = &'v mut Value>) {
    let mut last: Vec<Value> = values
        .filter(|value| match value {
            Value::List(list) => Rc::strong_count(list) == 1,
            Value::Map(map) => Rc::strong_count(&map.0) == 1,
            _ => false,
        })
        .map(std::mem::take)
        .collect();
    if last.is_empty() {
        return;
    }
    DOOMED.with_borrow_mut(|doomed| doomed.append(&mut last));
    if DROPPING.replace(true) {
        return;
    }
    while let Some(value) = DOOMED.with_borrow_mut(Vec::pop) {
        drop(value);
    }
    DROPPING.set(false);
}

/// Remembers a map into which a container has been put.
pub(super) fn remember_changed(map: &Map) {
    if !map.0.changed.replace(true) {
        CHANGED.with_borrow_mut(|changed| changed.push(Rc::downgrade(&map.0)));
    }
}

/// Empties every map of this thread that [`Map::insert`] has changed, which breaks all circles. For
/// the end of a render, when its values are no longer needed.
pub fn forget_changed_maps() {
    for map in CHANGED.take() {
        if let Some(map) = map.upgrade() {
            release(map.entries.take().values_mut());
        }
    }
}
