//! `fmt.Sprintf`'s format: flags, width, precision, argument indexes and the verb.

use super::verbs::{Flags, Printer};
use crate::render::func::Failure;
use crate::render::value::{IntType, Value};

/// Go refuses larger widths, precisions and indexes.
const LARGEST: usize = 1_000_000;

pub(super) fn print(format: &str, args: &[Value], printer: Printer) -> Result<String, Failure> {
    let mut run = Run {
        rest: format,
        args,
        next: 0,
        reordered: false,
        good_index: true,
        printer,
    };
    while let Some((text, rest)) = run.rest.split_once('%') {
        run.printer.output.push_str(text);
        run.rest = rest;
        if !run.directive() || run.printer.output.failed() {
            break;
        }
    }
    run.printer.output.push_str(run.rest);
    if !run.reordered && run.next < args.len() {
        run.extra_arguments();
    }
    run.printer.output.finish()
}

struct Run<'a> {
    /// The part of the format that is not printed yet.
    rest: &'a str,
    args: &'a [Value],
    /// The argument that is next.
    next: usize,
    /// Whether an index was used: then arguments that are left over are no mistake.
    reordered: bool,
    good_index: bool,
    printer: Printer,
}

impl<'a> Run<'a> {
    /// Prints one directive, of which the percent sign is read. False at the end of the format.
    fn directive(&mut self) -> bool {
        self.good_index = true;
        let mut flags = self.flags();
        let mut after_index = self.index();
        if self.take('*') {
            let width = self.integer_argument();
            if width.is_none() {
                self.printer.output.push_str("%!(BADWIDTH)");
            }
            flags.width = width.map(i64::unsigned_abs).map(to_usize);
            if width.is_some_and(i64::is_negative) {
                flags.minus = true;
                flags.zero = false;
            }
            after_index = false;
        } else {
            flags.width = self.number();
            if after_index && flags.width.is_some() {
                self.good_index = false;
            }
        }
        if self.rest.len() > 1 && self.take('.') {
            if after_index {
                self.good_index = false;
            }
            after_index = self.index();
            if self.take('*') {
                let precision = self.integer_argument().filter(|int| *int >= 0);
                if precision.is_none() {
                    self.printer.output.push_str("%!(BADPREC)");
                }
                flags.precision = precision.map(i64::unsigned_abs).map(to_usize);
                after_index = false;
            } else {
                flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !after_index {
            self.index();
        }
        let mut rest = self.rest.chars();
        let Some(verb) = rest.next() else {
            self.printer.output.push_str("%!(NOVERB)");
            return false;
        };
        self.rest = rest.as_str();
        match self.args.get(self.next) {
            _ if verb == '%' => self.printer.output.push('%'),
            _ if !self.good_index => self.mistake(verb, "BADINDEX"),
            None => self.mistake(verb, "MISSING"),
            Some(arg) => {
                if matches!(verb, 'v' | 'w') {
                    flags.sharp_v = std::mem::take(&mut flags.sharp);
                    flags.plus_v = std::mem::take(&mut flags.plus);
                }
                self.printer.flags = flags;
                self.printer.argument(arg, verb);
                self.next += 1;
            }
        }
        true
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        let end = self.rest.find(|char| {
            match char {
                '#' => flags.sharp = true,
                '0' => flags.zero = true,
                '+' => flags.plus = true,
                '-' => flags.minus = true,
                ' ' => flags.space = true,
                _ => return true,
            }
            false
        });
        self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
        flags
    }

    fn take(&mut self, char: char) -> bool {
        let rest = self.rest.strip_prefix(char);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// A number, if there is one. One that is too large ends the format.
    fn number(&mut self) -> Option<usize> {
        let (number, rest) = number(self.rest);
        self.rest = rest;
        number
    }

    /// Reads an index such as `[2]`. Whether there was one that is a number.
    fn index(&mut self) -> bool {
        if !self.rest.starts_with('[') {
            return false;
        }
        self.reordered = true;
        let (inside, rest) = match self.rest.find(']') {
            Some(end) if self.rest.len() >= 3 => (&self.rest[1..end], &self.rest[end + 1..]),
            _ => ("", &self.rest[1..]),
        };
        self.rest = rest;
        let (Some(index), "") = number(inside) else {
            self.good_index = false;
            return false;
        };
        match index.checked_sub(1) {
            Some(index) if index < self.args.len() => self.next = index,
            _ => self.good_index = false,
        }
        true
    }

    /// The next argument, if it is an integer that can be a width.
    fn integer_argument(&mut self) -> Option<i64> {
        let arg = self.args.get(self.next)?;
        self.next += 1;
        let int = match arg {
            Value::Int(int, IntType::Uint64) if *int < 0 => return None,
            Value::Int(int, _) => *int,
            _ => return None,
        };
        (int.unsigned_abs() <= LARGEST as u64).then_some(int)
    }

    fn mistake(&mut self, verb: char, what: &str) {
        let output = &mut self.printer.output;
        output.push_str("%!");
        output.push(verb);
        output.push_str("(");
        output.push_str(what);
        output.push_str(")");
    }

    fn extra_arguments(&mut self) {
        self.printer.flags = Flags::default();
        let args: &'a [Value] = self.args;
        for (index, arg) in args[self.next..].iter().enumerate() {
            let before = if index == 0 { "%!(EXTRA " } else { ", " };
            self.printer.output.push_str(before);
            if matches!(arg, Value::Nil) {
                self.printer.output.push_str("<nil>");
            } else {
                self.printer.output.push_str(&arg.type_name());
                self.printer.output.push('=');
                self.printer.argument(arg, 'v');
            }
        }
        self.printer.output.push(')');
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).expect("no more than a million")
}

/// The number at the start of a text, and what follows. Go gives up the whole text for one that is
/// too large.
fn number(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|char: char| !char.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    let mut number = 0;
    for digit in digits.bytes() {
        if number > LARGEST {
            return (None, "");
        }
        number = number * 10 + usize::from(digit - b'0');
    }
    ((!digits.is_empty()).then_some(number), rest)
}
