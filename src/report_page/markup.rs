//! HTML as it is written: text is escaped, markup is not.

use std::fmt::Write;

use crate::printable::printable;

/// Markup so far.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Adds markup, which is never made of what a report says.
    pub(super) fn raw(&mut self, markup: &str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text of a report: escaped, and without characters that hide or reorder others.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for letter in printable(text).chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                letter => self.0.push(letter),
            }
        }
        self
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// A bar as long as a part of the most is; the text beside it says the same.
pub(super) fn bar(page: &mut Markup, part: u64, most: u64) {
    let width = per_mille(part, most);
    let mut svg = String::new();
    write!(
        svg,
        "<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect width=\"{width}\" height=\"10\"></rect></svg>"
    )
    .expect("a String takes all text");
    page.raw(&svg);
}

fn per_mille(part: u64, most: u64) -> u64 {
    let part = u128::from(part) * 1000 / u128::from(most.max(1));
    u64::try_from(part.min(1000)).unwrap_or(1000)
}
