//! sigs.k8s.io/yaml writes a value as JSON, has goyaml v2 read that, and writes it again. What of a
//! text gets lost on the way is here.

use std::borrow::Cow;

use crate::render::format::view::plain;
use crate::render::text::escaped_byte;

/// A text after goyaml has read it as a part of JSON; `None` where goyaml fails, upon which Helm's
/// `toYaml` is empty. JSON escapes all characters that YAML does not allow, except for DEL and the
/// C1 controls; goyaml takes NEL, one of these, for a line break.
pub(super) fn read_back(text: &str) -> Option<Cow<'_, str>> {
    let text = plain(text);
    if !text.chars().all(is_allowed) {
        None
    } else if text.contains(NEL) {
        fold(&text).map(Cow::Owned)
    } else {
        Some(text)
    }
}

/// The same for the key of a mapping, which must end on the line where it starts, and within 1024
/// characters.
pub(super) fn read_back_key(text: &str) -> Option<Cow<'_, str>> {
    const LONGEST: usize = 1024;
    let is_simple = text.len() < LONGEST / 6 || escaped_length(text) <= LONGEST;
    if text.contains(NEL) || !is_simple {
        return None;
    }
    read_back(text)
}

const NEL: char = '\u{85}';

fn is_allowed(char: char) -> bool {
    !matches!(char, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
}

/// Characters of the text in JSON, with quotes.
fn escaped_length(text: &str) -> usize {
    let length = |char| match char {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => 6,
        _ if escaped_byte(char).is_some() => 6,
        _ => 1,
    };
    text.chars().map(length).sum::<usize>() + 2
}

/// Joins lines as in a double-quoted text: a single line break is a space, of several the first
/// is dropped, spaces around them are too.
fn fold(text: &str) -> Option<String> {
    let mut folded = String::with_capacity(text.len());
    let mut lines = text.split(NEL);
    let is_blank = |line: &str| line.bytes().all(|byte| byte == b' ');
    let mut line = lines.next()?;
    let mut is_first = true;
    loop {
        let Some(mut next) = lines.next() else {
            folded.push_str(if is_first {
                line
            } else {
                line.trim_start_matches(' ')
            });
            return Some(folded);
        };
        let content = line.trim_end_matches(' ');
        folded.push_str(if is_first {
            content
        } else {
            content.trim_start_matches(' ')
        });
        is_first = false;
        let mut breaks = 1;
        while is_blank(next) {
            let Some(further) = lines.next() else { break };
            breaks += 1;
            next = further;
        }
        match breaks {
            1 => folded.push(' '),
            _ => folded.extend(std::iter::repeat_n('\n', breaks - 1)),
        }
        let is_last = lines.clone().next().is_none();
        if is_document_marker(next, is_last) {
            return None;
        }
        line = next;
    }
}

/// A quote after the marker makes it a part of the text.
fn is_document_marker(line: &str, is_last: bool) -> bool {
    line.strip_prefix("---")
        .or_else(|| line.strip_prefix("..."))
        .is_some_and(|rest| rest.starts_with(' ') || (rest.is_empty() && !is_last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_does_not_escape_changes_or_fails() {
        for (text, expected) in [
            ("a\u{7f}", None),
            ("a\u{80}", None),
            ("a\u{ffff}", None),
            ("a\u{feff}\0\t\n", Some("a\u{feff}\0\t\n")),
            ("a\u{85}b", Some("a b")),
            ("a \u{85}  b ", Some("a b ")),
            ("a\u{85}\u{85}\u{85}b", Some("a\n\nb")),
            ("a\u{85} \u{85}b", Some("a\nb")),
            ("\u{85}", Some(" ")),
            ("a\u{85} ", Some("a ")),
            ("a\u{85}--- b", None),
            ("a\u{85}---", Some("a ---")),
            ("a\u{85}---\u{85}", None),
            ("a\u{85} --- b", Some("a --- b")),
        ] {
            assert_eq!(read_back(text).as_deref(), expected, "{text:?}");
        }
        let key = "<".repeat(170);
        assert_eq!(read_back_key(&key).as_deref(), Some(&*key));
        assert_eq!(read_back_key(&"<".repeat(171)), None);
        assert_eq!(read_back_key("a\u{85}b"), None);
    }
}
