//! Scalars in the verbs of fmt: padding, integers, floats, texts.

use crate::render::format::output::Output;
use crate::render::text::{from_bytes, to_bytes};
use crate::strconv::number::format_float;
use crate::strconv::unicode::is_print;
use crate::strconv::{can_backquote, quote, quote_char};

/// The flags of a directive. `%#v` and `%+v` have flags of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are Go's flags")]
pub(super) struct Flags {
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    pub(super) plus_v: bool,
    pub(super) sharp_v: bool,
}

/// Prints arguments.
pub(super) struct Printer {
    pub(super) output: Output,
    pub(super) flags: Flags,
    /// Whether a bad verb is being reported: `String` methods are not used then.
    pub(super) erroring: bool,
}

impl Printer {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            flags: Flags::default(),
            erroring: false,
        }
    }

    fn padding(&mut self, length: usize) {
        let char = if self.flags.zero && !self.flags.minus {
            '0'
        } else {
            ' '
        };
        self.output.repeat(char, length);
    }

    pub(super) fn pad(&mut self, text: &str) {
        let missing = match self.flags.width {
            Some(width) if width > 0 => width.saturating_sub(text.chars().count()),
            _ => 0,
        };
        if self.flags.minus {
            self.output.push_str(text);
            self.padding(missing);
        } else {
            self.padding(missing);
            self.output.push_str(text);
        }
    }

    fn pad_without_zeros(&mut self, text: &str) {
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text);
        self.flags.zero = zero;
    }

    /// A boolean. False, here and below, if there is no such verb for it.
    pub(super) fn boolean(&mut self, bool: bool, verb: char) -> bool {
        match verb {
            't' | 'v' => self.pad(if bool { "true" } else { "false" }),
            _ => return false,
        }
        true
    }

    /// An integer, of which the bits are given.
    pub(super) fn integer(&mut self, bits: u64, signed: bool, verb: char) -> bool {
        match verb {
            'v' if self.flags.sharp_v && !signed => self.hexadecimal(bits, true),
            'v' | 'd' => self.digits(bits, 10, signed, verb),
            'b' => self.digits(bits, 2, signed, verb),
            'o' | 'O' => self.digits(bits, 8, signed, verb),
            'x' | 'X' => self.digits(bits, 16, signed, verb),
            'c' => self.pad(to_char(bits).encode_utf8(&mut [0; 4])),
            'q' => self.pad(&quote_char(to_char(bits), self.flags.plus)),
            'U' => self.code_point(bits),
            _ => return false,
        }
        true
    }

    pub(super) fn hexadecimal(&mut self, bits: u64, prefix: bool) {
        let sharp = std::mem::replace(&mut self.flags.sharp, prefix);
        self.digits(bits, 16, false, 'v');
        self.flags.sharp = sharp;
    }

    fn digits(&mut self, bits: u64, base: u32, signed: bool, verb: char) {
        let flags = self.flags;
        let negative = signed && bits.cast_signed() < 0;
        let size = if negative { bits.wrapping_neg() } else { bits };
        // Charts print whole files as lists of bytes: no allocation for what is plain.
        if base == 10 && verb != 'O' && flags == Flags::default() {
            self.decimal(size, negative);
            return;
        }
        let precision = match flags.precision {
            Some(0) if size == 0 => {
                self.flags.zero = false;
                self.padding(flags.width.unwrap_or(0));
                self.flags.zero = flags.zero;
                return;
            }
            Some(precision) => precision,
            None if flags.zero && !flags.minus => {
                let sign = usize::from(negative || flags.plus || flags.space);
                flags.width.unwrap_or(0).saturating_sub(sign)
            }
            None => 0,
        };
        let digits = match (base, verb) {
            (2, _) => format!("{size:b}"),
            (8, _) => format!("{size:o}"),
            (16, 'X') => format!("{size:X}"),
            (16, _) => format!("{size:x}"),
            _ => size.to_string(),
        };
        let zeros = "0".repeat(precision.saturating_sub(digits.len()));
        let sharp = match (base, verb) {
            _ if !flags.sharp => "",
            (2, _) => "0b",
            (8, _) if zeros.is_empty() && !digits.starts_with('0') => "0",
            (16, 'X') => "0X",
            (16, _) => "0x",
            _ => "",
        };
        let octal = if verb == 'O' { "0o" } else { "" };
        let sign = match () {
            () if negative => "-",
            () if flags.plus => "+",
            () if flags.space => " ",
            () => "",
        };
        self.pad_without_zeros(&format!("{sign}{octal}{sharp}{zeros}{digits}"));
    }

    fn decimal(&mut self, mut size: u64, negative: bool) {
        let mut digits = [b'0'; 21];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + u8::try_from(size % 10).unwrap_or_default();
            size /= 10;
            if size == 0 {
                break;
            }
        }
        if negative {
            start -= 1;
            digits[start] = b'-';
        }
        let digits = std::str::from_utf8(&digits[start..]).unwrap_or_default();
        self.output.push_str(digits);
    }

    fn code_point(&mut self, bits: u64) {
        let width = self.flags.precision.unwrap_or(0).max(4);
        let digits = format!("{bits:X}");
        let zeros = "0".repeat(width.saturating_sub(digits.len()));
        let char = u32::try_from(bits).ok().and_then(char::from_u32);
        let char = match char {
            Some(char) if self.flags.sharp && is_print(char) => format!(" '{char}'"),
            _ => String::new(),
        };
        self.pad_without_zeros(&format!("U+{zeros}{digits}{char}"));
    }

    pub(super) fn float(&mut self, float: f64, verb: char) -> bool {
        match verb {
            'v' => self.float_digits(float, 'g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => self.float_digits(float, verb, None),
            'f' | 'e' | 'E' => self.float_digits(float, verb, Some(6)),
            'F' => self.float_digits(float, 'f', Some(6)),
            _ => return false,
        }
        true
    }

    fn float_digits(&mut self, float: f64, verb: char, precision: Option<usize>) {
        let flags = self.flags;
        let precision = flags.precision.or(precision);
        let text = format_float(float, verb, precision);
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => (&text[..1], digits),
            None => ("+", &*text),
        };
        let sign = match sign {
            "+" if flags.space && !flags.plus => " ",
            sign => sign,
        };
        if digits.starts_with(['I', 'N']) {
            let hides_sign = digits == "NaN" && !flags.space && !flags.plus;
            let sign = if hides_sign { "" } else { sign };
            self.pad_without_zeros(&format!("{sign}{digits}"));
            return;
        }
        let mut digits = digits.to_owned();
        if flags.sharp && verb != 'b' {
            keep_point(&mut digits, verb, precision);
        }
        if flags.plus || sign != "+" {
            let length = digits.len() + 1;
            match flags.width {
                Some(width) if flags.zero && !flags.minus && width > length => {
                    self.output.push_str(sign);
                    self.padding(width - length);
                    self.output.push_str(&digits);
                }
                _ => self.pad(&format!("{sign}{digits}")),
            }
        } else {
            self.pad(&digits);
        }
    }

    pub(super) fn text(&mut self, text: &str, verb: char) -> bool {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(text),
            'v' | 's' => self.pad(self.cut(text)),
            'x' | 'X' => self.hexadecimal_bytes(&to_bytes(text), verb),
            'q' => self.quoted(text),
            _ => return false,
        }
        true
    }

    /// A text as far as the precision reaches.
    fn cut<'t>(&self, text: &'t str) -> &'t str {
        let end = self.flags.precision.and_then(|precision| {
            let mut chars = text.char_indices();
            chars.nth(precision).map(|(end, _)| end)
        });
        &text[..end.unwrap_or(text.len())]
    }

    fn quoted(&mut self, text: &str) {
        let text = self.cut(text);
        if self.flags.sharp && can_backquote(text) {
            self.pad(&format!("`{text}`"));
        } else {
            self.pad(&quote(text, self.flags.plus));
        }
    }

    /// `[]byte` in a verb that takes it as a text.
    pub(super) fn bytes(&mut self, bytes: &[u8], verb: char) {
        self.text(&from_bytes(bytes), verb);
    }

    fn hexadecimal_bytes(&mut self, bytes: &[u8], verb: char) {
        let flags = self.flags;
        let length = flags.precision.unwrap_or(usize::MAX).min(bytes.len());
        if length == 0 {
            self.padding(flags.width.unwrap_or(0));
            return;
        }
        let prefix = match verb {
            _ if !flags.sharp => "",
            'X' => "0X",
            _ => "0x",
        };
        let mut text = prefix.to_owned();
        for (index, byte) in bytes[..length].iter().enumerate() {
            if flags.space && index > 0 {
                text.push(' ');
                text.push_str(prefix);
            }
            let digits = if verb == 'X' {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            };
            text.push_str(&digits);
        }
        self.pad(&text);
    }
}

fn to_char(bits: u64) -> char {
    let code = u32::try_from(bits).ok();
    let char = code.and_then(char::from_u32);
    char.unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// What `#` does to a float: a point in any case, and zeros up to the precision.
fn keep_point(text: &mut String, verb: char, precision: Option<usize>) {
    let mut missing = match verb {
        'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    let is_hex = matches!(verb, 'x' | 'X');
    let tail_at = text.find(|char| match char {
        'p' | 'P' => true,
        'e' | 'E' => !is_hex,
        _ => false,
    });
    let tail = text.split_off(tail_at.unwrap_or(text.len()));
    let significant = text
        .chars()
        .filter(|char| *char != '.')
        .skip_while(|char| *char == '0')
        .count();
    missing = missing.saturating_sub(significant);
    if !text.contains('.') {
        if text == "0" {
            missing = missing.saturating_sub(1);
        }
        text.push('.');
    }
    text.extend(std::iter::repeat_n('0', missing));
    text.push_str(&tail);
}
