//! What two data files say about one thing.

use std::collections::HashSet;

use super::file::Entry;

/// The entries that say something about one thing, the version file's last: the later one wins.
pub(super) struct Stack<'a>(pub(super) Vec<Entry<'a>>);

impl<'a> Stack<'a> {
    /// The entries below a key; a null takes back what the entries before it say.
    pub(super) fn below(&self, key: &str) -> Stack<'a> {
        let mut below = Vec::new();
        for entry in self.0.iter().filter_map(|entry| entry.get(key)) {
            if entry.is_null() {
                below.clear();
            } else {
                below.push(entry);
            }
        }
        Stack(below)
    }

    /// The one that counts where entries do not merge.
    pub(super) fn last(&self) -> Option<&Entry<'a>> {
        self.0.last()
    }

    /// The names below a key, in order of appearance; a name that a later entry sets to null is gone.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let mut known = HashSet::new();
        for entry in self.0.iter().flat_map(Entry::entries) {
            if entry.is_null() {
                if known.remove(entry.name()) {
                    names.retain(|name| name != entry.name());
                }
            } else if known.insert(entry.name().to_owned()) {
                names.push(entry.name().to_owned());
            }
        }
        names
    }
}
