//! Go's `time.Duration`, `time.Month` and `time.Weekday`: numbers with names, texts and methods.

use super::func::{Method, Param};
use super::value::{IntType, Value};

/// The names of the months.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The names of the days of the week.
pub(super) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// Nanoseconds of a second.
pub(super) const SECOND: i64 = 1_000_000_000;

/// What `String` gives for an integer of a type that has that method.
pub(super) fn text(number: i64, int_type: IntType) -> Option<String> {
    match int_type {
        IntType::Duration => Some(duration_text(number)),
        IntType::Month => Some(name(&MONTHS, number.wrapping_sub(1)).map_or_else(
            || format!("%!Month({})", number.cast_unsigned()),
            str::to_owned,
        )),
        IntType::Weekday => Some(name(&WEEKDAYS, number).map_or_else(
            || format!("%!Weekday({})", number.cast_unsigned()),
            str::to_owned,
        )),
        _ => None,
    }
}

fn name(names: &[&'static str], index: i64) -> Option<&'static str> {
    names.get(usize::try_from(index).ok()?).copied()
}

/// `Duration.String` of nanoseconds: `1h15m30.918s`, `2.5ms`, `0s`.
pub(super) fn duration_text(nanoseconds: i64) -> String {
    const SECOND: u64 = super::time::SECOND.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let nanoseconds = nanoseconds.unsigned_abs();
    let (unit, name) = match nanoseconds {
        0 => return "0s".to_owned(),
        1..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..SECOND => (1_000_000, "ms"),
        _ => (SECOND, "s"),
    };
    let (whole, rest) = (nanoseconds / unit, nanoseconds % unit);
    let fraction = match rest {
        0 => String::new(),
        rest => {
            let width = unit.ilog10() as usize;
            let digits = format!("{rest:0width$}");
            format!(".{}", digits.trim_end_matches('0'))
        }
    };
    if unit < SECOND || whole < 60 {
        return format!("{sign}{whole}{fraction}{name}");
    }
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours == 0 {
        format!("{sign}{minutes}m{seconds}{fraction}s")
    } else {
        format!("{sign}{hours}h{minutes}m{seconds}{fraction}s")
    }
}

/// `Duration.Round`: half of a unit away from zero; what does not fit is the largest duration.
pub(super) fn round(nanoseconds: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return nanoseconds;
    }
    let rest = nanoseconds % unit;
    if rest.unsigned_abs() * 2 < unit.unsigned_abs() {
        nanoseconds - rest
    } else {
        (nanoseconds - rest).saturating_add(if nanoseconds < 0 { -unit } else { unit })
    }
}

/// The method of that name of an integer's type.
pub(super) fn method(int_type: IntType, name: &str) -> Option<Method> {
    let params: &[Param] = match (int_type, name) {
        (IntType::Duration | IntType::Month | IntType::Weekday, "String")
        | (
            IntType::Duration,
            "Abs" | "Hours" | "Microseconds" | "Milliseconds" | "Minutes" | "Nanoseconds"
            | "Seconds",
        ) => &[],
        (IntType::Duration, "Round" | "Truncate") => &[Param::Named("time.Duration")],
        _ => return None,
    };
    Some(Method::new(params))
}

/// Calls a method of an integer. The arguments have been checked against its parameters.
pub(super) fn call(number: i64, int_type: IntType, method: &str, args: &[Value]) -> Value {
    let unit = match args.first() {
        Some(Value::Int(unit, _)) => *unit,
        _ => 0,
    };
    let duration = |nanoseconds| Value::Int(nanoseconds, IntType::Duration);
    match method {
        "Abs" => duration(number.saturating_abs()),
        "Round" => duration(round(number, unit)),
        "Truncate" if unit > 0 => duration(number - number % unit),
        "Truncate" => duration(number),
        "Nanoseconds" => Value::int64(number),
        "Microseconds" => Value::int64(number / 1_000),
        "Milliseconds" => Value::int64(number / 1_000_000),
        "Seconds" => Value::Float(in_units(number, SECOND)),
        "Minutes" => Value::Float(in_units(number, 60 * SECOND)),
        "Hours" => Value::Float(in_units(number, 3600 * SECOND)),
        _ => Value::from(text(number, int_type).unwrap_or_default()),
    }
}

/// Whole units and the rest, each as a float, as Go adds them.
#[expect(clippy::cast_precision_loss, reason = "it is what Go does")]
fn in_units(nanoseconds: i64, unit: i64) -> f64 {
    (nanoseconds / unit) as f64 + (nanoseconds % unit) as f64 / unit as f64
}
