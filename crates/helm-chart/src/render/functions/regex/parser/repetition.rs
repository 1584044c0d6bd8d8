//! Repetitions: `*`, `+`, `?` and `{2,5}`.

use regex_syntax::hir::{Hir, Repetition};

use super::{Parser, Part, message};

/// What counted repetitions may multiply to, as in Go.
pub(super) const MAX_REPEAT: u64 = 1000;

impl<'p> Parser<'p> {
    /// Repeats the last part; the text after the operator.
    pub(super) fn repeat(
        &mut self,
        min: u64,
        max: Option<u64>,
        counted: bool,
        before: &'p str,
        mut after: &'p str,
        last_repeat: &'p str,
    ) -> Result<&'p str, String> {
        let mut greedy = !self.flags.lazy;
        if let Some(rest) = after.strip_prefix('?') {
            after = rest;
            greedy = !greedy;
        }
        if !last_repeat.is_empty() {
            let operators = &last_repeat[..last_repeat.len() - after.len()];
            return Err(message("invalid nested repetition operator", operators));
        }
        let operator = &before[..before.len() - after.len()];
        let Some(Part {
            hir,
            height,
            repeats,
        }) = self.group().parts.pop()
        else {
            return Err(message("missing argument to repetition operator", operator));
        };
        let repeats = match max.unwrap_or(min) {
            _ if !counted => repeats,
            0 if max == Some(0) => 0,
            0 => repeats,
            count => count.saturating_mul(repeats.max(1)),
        };
        if counted && (min >= 2 || max >= Some(2)) && repeats > MAX_REPEAT {
            return Err(message("invalid repeat count", operator));
        }
        let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let part = self.checked(Part {
            hir: Hir::repetition(Repetition {
                min: narrow(min),
                max: max.map(narrow),
                greedy,
                sub: Box::new(hir),
            }),
            height: height + 1,
            repeats,
        })?;
        self.push_part(part);
        Ok(after)
    }
}

/// `{2}`, `{2,}`, `{2,5}` at the start of a text, and what follows; none for anything else. A number
/// that is too large is the largest one.
pub(super) fn counts(text: &str) -> Option<(u64, Option<u64>, &str)> {
    let (min, rest) = count(text.strip_prefix('{')?)?;
    if let Some(after) = rest.strip_prefix('}') {
        return Some((min, Some(min), after));
    }
    let rest = rest.strip_prefix(',')?;
    if let Some(after) = rest.strip_prefix('}') {
        return Some((min, None, after));
    }
    let (max, rest) = count(rest)?;
    Some((min, Some(max), rest.strip_prefix('}')?))
}

fn count(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((digits.parse().unwrap_or(u64::MAX), rest))
}
