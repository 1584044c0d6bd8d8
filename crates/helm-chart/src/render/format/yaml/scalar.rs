//! In which style goyaml writes a text.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Version;
use crate::render::text;
use crate::yaml::is_text_when_plain;

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

/// A scalar, ready to be written.
pub(super) struct Scalar<'t> {
    pub(super) tag: Option<&'static str>,
    pub(super) text: Cow<'t, str>,
    pub(super) style: Style,
    analysis: Analysis,
}

impl<'t> Scalar<'t> {
    /// A number, a boolean or null.
    pub(super) fn plain(text: &'t str) -> Self {
        Self::new(None, text.into(), Style::Plain, Version::V2)
    }

    pub(super) fn of_v2(text: Cow<'t, str>) -> Self {
        let wanted = wanted(&text, Version::V2);
        Self::new(None, text, wanted, Version::V2)
    }

    /// A text; one that is not UTF-8 becomes base64.
    pub(super) fn of_v3(text: &'t str) -> Self {
        if text::len(text) == text.len() {
            return Self::new(None, text.into(), wanted(text, Version::V3), Version::V3);
        }
        let text = base64_lines(&text::to_bytes(text));
        let wanted = if text.contains('\n') {
            Style::Literal
        } else {
            Style::Plain
        };
        Self::new(Some("!!binary"), text.into(), wanted, Version::V3)
    }

    fn new(tag: Option<&'static str>, text: Cow<'t, str>, wanted: Style, version: Version) -> Self {
        let analysis = analyze(&text, version);
        let style = match wanted {
            Style::Plain if analysis.plain => Style::Plain,
            Style::Plain if analysis.single_quoted => Style::SingleQuoted,
            Style::Literal if analysis.block => Style::Literal,
            _ => Style::DoubleQuoted,
        };
        Self {
            tag,
            text,
            style,
            analysis,
        }
    }

    /// Whether it may stand before a colon on the same line, as a key.
    pub(super) fn is_simple_key(&self) -> bool {
        const LONGEST: usize = 128;
        let length = self.tag.map_or(0, str::len) + self.text.len();
        !self.analysis.multiline && length <= LONGEST
    }
}

fn wanted(text: &str, version: Version) -> Style {
    if text.contains('\n') {
        Style::Literal
    } else if stays_text(text, version) {
        Style::Plain
    } else {
        Style::DoubleQuoted
    }
}

/// goyaml's base64: on one line, or in lines of 70 characters.
fn base64_lines(bytes: &[u8]) -> String {
    const LINE: usize = 70;
    let text = STANDARD.encode(bytes);
    if text.len() < LINE {
        return text;
    }
    let mut lines = String::with_capacity(text.len() + text.len() / LINE + 1);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, further) = rest.split_at(LINE.min(rest.len()));
        lines.push_str(line);
        lines.push('\n');
        rest = further;
    }
    lines
}

/// What libyaml's emitter knows of a text before it writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are libyaml's flags")]
struct Analysis {
    /// Whether it has line breaks.
    multiline: bool,
    plain: bool,
    single_quoted: bool,
    block: bool,
}

/// Whether a text without quotes is read as text, by this version and by older ones.
fn stays_text(text: &str, version: Version) -> bool {
    let is_octal_of_v3 = || {
        let digits = text.replace('_', "");
        // goyaml gives Go what follows the prefix, sign included.
        let digits = digits.strip_prefix("0o");
        digits.is_some_and(|digits| i64::from_str_radix(digits, 8).is_ok())
    };
    is_text_when_plain(text) && !is_base_60(text) && (version == Version::V2 || !is_octal_of_v3())
}

/// `^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$`: a number of YAML 1.1, such as `1:30`.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let Some((first, rest)) = unsigned.split_once(':') else {
        return false;
    };
    let digits_and = |text: &str, extra: &[u8]| {
        let mut bytes = text.bytes();
        bytes.all(|byte| byte.is_ascii_digit() || extra.contains(&byte))
    };
    let (rest, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    first.starts_with(|char: char| char.is_ascii_digit())
        && digits_and(first, b"_")
        && digits_and(fraction, b"_")
        && rest.split(':').all(|part| match part.as_bytes() {
            [digit] | [b'0'..=b'5', digit] => digit.is_ascii_digit(),
            _ => false,
        })
}

/// libyaml's `yaml_emitter_analyze_scalar`, as far as block context needs it.
fn analyze(text: &str, version: Version) -> Analysis {
    if text.is_empty() {
        return Analysis {
            multiline: false,
            plain: true,
            single_quoted: true,
            block: false,
        };
    }
    let mut plain = !text.starts_with("---") && !text.starts_with("...");
    let mut single_quoted = true;
    let mut block = true;
    let mut multiline = false;
    let mut previous = None;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let ends_word = chars.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
        let starts_word = previous.is_none_or(is_blank_or_break);
        plain &= match char {
            '-' | '?' if previous.is_none() => !ends_word,
            ':' => !ends_word,
            '#' => !starts_word,
            ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
            | '`' => previous.is_some(),
            _ => true,
        };
        if !is_printable(char) {
            plain = false;
            single_quoted = false;
            block &= char == '\t' && version == Version::V3;
        }
        if char == ' ' {
            let is_last = chars.peek().is_none();
            plain &= previous.is_some() && !is_last;
            block &= !is_last;
            if previous.is_some_and(is_break) {
                plain = false;
                single_quoted = false;
            }
        } else if is_break(char) {
            multiline = true;
            plain = false;
            if previous == Some(' ') {
                single_quoted = false;
                block = false;
            }
        }
        previous = Some(char);
    }
    Analysis {
        multiline,
        plain,
        single_quoted,
        block,
    }
}

/// What libyaml writes without an escape.
pub(super) fn is_printable(char: char) -> bool {
    matches!(
        char,
        '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}'
    )
}

/// The line breaks of YAML 1.1.
pub(super) fn is_break(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank_or_break(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\0') || is_break(char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_base_60_are_quoted() {
        for text in ["1:30", "-1:30", "1_0:00", "190:20:30.15", "1:5", "1:00."] {
            assert!(is_base_60(text), "{text}");
        }
        for text in [
            "1:60", ":30", "1:", "a:30", "_1:30", "1:300", "1:30:", "80:8080", "1.5:30",
        ] {
            assert!(!is_base_60(text), "{text}");
        }
    }
}
