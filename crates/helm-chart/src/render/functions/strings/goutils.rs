//! What sprig takes from goutils (<https://github.com/Masterminds/goutils>).

use super::super::super::func::Context;
use super::super::super::text;
use super::super::super::value::{Str, Value};
use super::super::Output;
use super::super::unicode::is_space;

/// `goutils.AbbreviateFull`; nothing where that returns an error, which sprig ignores.
pub(super) fn abbreviate(s: &[u8], offset: i64, width: i64) -> Vec<u8> {
    let length = i64::try_from(s.len()).unwrap_or(i64::MAX);
    let at = |index: i64| usize::try_from(index).unwrap_or(0).min(s.len());
    if s.is_empty() || width < 4 {
        return Vec::new();
    }
    if length <= width {
        return s.into();
    }
    let kept = width - 3;
    let mut offset = offset.min(length);
    if length.wrapping_sub(offset) < kept {
        offset = length - kept;
    }
    if offset <= 4 {
        return [&s[..at(kept)], b"..."].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + kept < length {
        return [b"...".to_vec(), abbreviate(&s[at(offset)..], 0, kept)].concat();
    }
    [b"...", &s[at(length - kept)..]].concat()
}

/// `goutils.DeleteWhiteSpace`, which takes each byte for a character.
pub(super) fn no_space(s: &str) -> Str {
    let bytes = text::to_bytes(s);
    if !bytes.iter().any(|byte| is_space(char::from(*byte))) {
        return s.into();
    }
    let kept = bytes
        .iter()
        .map(|byte| char::from(*byte))
        .filter(|c| !is_space(*c));
    kept.collect::<String>().into()
}

/// `goutils.Initials`, which takes each byte for a character.
pub(super) fn initials(s: &str) -> String {
    let mut after_space = true;
    let bytes = text::to_bytes(s);
    let characters = bytes.iter().map(|byte| char::from(*byte));
    characters
        .filter(|c| {
            if is_space(*c) {
                after_space = true;
                false
            } else {
                std::mem::take(&mut after_space)
            }
        })
        .collect()
}

/// `goutils.WrapCustom`.
pub(super) fn wrap(
    ctx: &mut dyn Context,
    s: &str,
    width: i64,
    line_break: &str,
    break_words: bool,
) -> Output {
    let s = text::to_bytes(s);
    let width = usize::try_from(width.max(1)).unwrap_or(usize::MAX);
    ctx.step(s.len())?;
    ctx.spend(s.len())?;
    let mut out = Vec::with_capacity(s.len());
    let mut offset = 0;
    while s.len() - offset > width {
        if s[offset] == b' ' {
            offset += 1;
            continue;
        }
        let line = &s[offset..=offset + width];
        let next = if let Some(space) = line.iter().rposition(|byte| *byte == b' ') {
            Some((offset + space, offset + space + 1))
        } else if break_words {
            Some((offset + width, offset + width))
        } else {
            // A word that is too long extends to its end.
            let end = offset + width;
            let space = s[end..].iter().position(|byte| *byte == b' ');
            space.map(|space| (end + space, end + space + 1))
        };
        let Some((end, next)) = next else {
            break;
        };
        ctx.spend(line_break.len())?;
        out.extend_from_slice(&s[offset..end]);
        out.extend_from_slice(line_break.as_bytes());
        offset = next;
    }
    out.extend_from_slice(&s[offset..]);
    Ok(Value::String(text::from_bytes(&out)))
}
