//! The `String` methods of Go's time package.

const MONTHS: [&str; 12] = [
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

/// `time.Month.String`.
pub(super) fn month(month: i64) -> String {
    let index = usize::try_from(month.wrapping_sub(1)).ok();
    match index.and_then(|index| MONTHS.get(index)) {
        Some(name) => (*name).to_owned(),
        None => format!("%!Month({})", month.cast_unsigned()),
    }
}

/// `time.Duration.String`: `1h15m30.918s`, `2.5ms`, `0s`.
pub(super) fn duration(nanoseconds: i64) -> String {
    const SECOND: u64 = 1_000_000_000;
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
