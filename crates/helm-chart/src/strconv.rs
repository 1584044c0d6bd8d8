//! Texts of single values as Go writes them: its `strconv`, and the character classes of its `unicode`.

pub(crate) mod number;
mod quote;
pub(crate) mod unicode;

pub use quote::quote;
pub(crate) use quote::{can_backquote, quote_char};

/// The character that keeps the byte 0.
pub(crate) const FIRST: u32 = 0x0010_FE00;

/// The byte that a character keeps, if it keeps one.
#[must_use]
pub fn escaped_byte(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(FIRST)?).ok()
}
