//! Go's `%q`.

/// A text as a Go literal.
pub(super) fn quote(text: &str) -> String {
    crate::render::format::quote(text, false)
}
