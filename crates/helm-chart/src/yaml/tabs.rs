//! Tabs between values, which goyaml refuses where they indent a line of a block collection or stand behind
//! `-`, and the parser does not.

use granit_parser::{Event, ScalarStyle, StructureStyle};

use super::Item;

/// What has been seen of a text.
pub(super) struct Tabs<'t> {
    text: &'t str,
    /// Where the last event ended.
    at: usize,
    /// Whether that was a scalar without quotes, to which white space behind it belongs.
    after_plain: bool,
    /// For each open collection, whether it is one in brackets.
    open: Vec<bool>,
}

impl<'t> Tabs<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            after_plain: false,
            open: Vec::new(),
        }
    }

    /// Looks at what is between the last event and this one.
    pub(super) fn check(&mut self, (event, span): &Item<'_>) -> Result<(), &'static str> {
        let (Some(start), Some(end)) = (span.start.byte_offset(), span.end.byte_offset()) else {
            return Ok(());
        };
        let in_brackets = self.open.last() == Some(&true);
        if start > self.at && !in_brackets && self.is_refused(start) {
            return Err("found character that cannot start any token");
        }
        match event {
            Event::SequenceStart(style, ..) | Event::MappingStart(style, ..) => {
                self.open.push(*style == StructureStyle::Flow);
            }
            Event::SequenceEnd | Event::MappingEnd => drop(self.open.pop()),
            _ => {}
        }
        if end.max(start) > self.at || matches!(event, Event::Scalar(..)) {
            self.after_plain = matches!(event, Event::Scalar(_, ScalarStyle::Plain, ..));
        }
        self.at = self.at.max(start).max(end);
        Ok(())
    }

    fn is_refused(&self, end: usize) -> bool {
        let Some(gap) = self.text.get(self.at..end) else {
            return false;
        };
        if !gap.contains('\t') {
            return false;
        }
        let before = &self.text[..self.at];
        let line_start = before.rfind(['\n', '\r']).map_or(0, |at| at + 1);
        let mut starts_line = before[line_start..].trim_start_matches(' ').is_empty();
        let mut belongs_to_plain = self.after_plain;
        for line in gap.split(['\n', '\r']) {
            let content = line.trim_start_matches(' ');
            if starts_line && content.starts_with('\t') && !belongs_to_plain {
                return true;
            }
            let content = content.trim_start_matches('\t');
            belongs_to_plain &= content.is_empty();
            let content = content.split('#').next().unwrap_or_default();
            let is_behind_dash = |(at, _): (usize, &str)| {
                let is_word = content[..at]
                    .chars()
                    .next_back()
                    .is_none_or(|c| matches!(c, ' ' | '\t'));
                let after = &content[at + 1..];
                let blanks = &after[..after.len() - after.trim_start_matches([' ', '\t']).len()];
                is_word && blanks.contains('\t')
            };
            if content.match_indices(['-', '?']).any(is_behind_dash) {
                return true;
            }
            starts_line = true;
        }
        false
    }
}
