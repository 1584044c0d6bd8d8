//! Time zones: UTC, fixed offsets.

use std::rc::Rc;

/// A time zone at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Zone {
    /// Its abbreviation, empty where it has none.
    pub(super) name: Rc<str>,
    /// Seconds east of UTC.
    pub(super) offset: i64,
}

impl Default for Zone {
    fn default() -> Self {
        Self::fixed("UTC", 0)
    }
}

impl Zone {
    pub(super) fn fixed(name: &str, offset: i64) -> Self {
        Self {
            name: name.into(),
            offset,
        }
    }

    /// `time.LoadLocation`.
    pub(super) fn named(name: &str) -> Option<Self> {
        matches!(name, "" | "UTC" | "Local").then(Self::default)
    }
}
