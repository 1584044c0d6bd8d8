//! Go's fmt over values: `print`, `println`, `printf`, and what `{{ .x }}` prints.
//!
//! Facts are from the source of Go 1.26 (`fmt/print.go`, `fmt/format.go`); the output was compared with
//! Go's on random formats and values.

use self::verbs::Printer;
use super::output::{Limits, Output};
use crate::render::func::Failure;
use crate::render::time;
use crate::render::value::Value;

mod directive;
mod value;
mod verbs;

/// `fmt.Sprint`: a space between two arguments that are both no strings. With one argument it is what
/// `{{ .x }}` prints, apart from nil, for which templates print `<no value>`.
///
/// # Errors
/// [`Failure::Limit`] when a limit is exceeded, which is what becomes of a map that contains itself.
pub fn sprint(args: &[Value], limits: &Limits) -> Result<String, Failure> {
    let mut printer = Printer::new(Output::new(limits));
    let mut previous = true;
    for (index, arg) in args.iter().enumerate() {
        let is_string = matches!(arg, Value::String(_));
        if index > 0 && !is_string && !previous {
            printer.output.push(' ');
        }
        printer.argument(arg, 'v');
        previous = is_string;
    }
    printer.output.finish()
}

/// `fmt.Sprintln`.
///
/// # Errors
/// As [`sprint`].
pub fn sprintln(args: &[Value], limits: &Limits) -> Result<String, Failure> {
    let mut printer = Printer::new(Output::new(limits));
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            printer.output.push(' ');
        }
        printer.argument(arg, 'v');
    }
    printer.output.push('\n');
    printer.output.finish()
}

/// `fmt.Sprintf`. Mismatches are reported in the text, as in Go: `%!d(string=hi)`.
///
/// # Errors
/// As [`sprint`].
pub fn sprintf(format: &str, args: &[Value], limits: &Limits) -> Result<String, Failure> {
    directive::print(format, args, Printer::new(Output::new(limits)))
}

/// The text of a type with a `String` method.
pub(super) fn string_method(value: &Value) -> Option<String> {
    match value {
        Value::Int(number, int_type) => time::text(*number, *int_type),
        Value::Object(object) => object.go_string(),
        _ => None,
    }
}
