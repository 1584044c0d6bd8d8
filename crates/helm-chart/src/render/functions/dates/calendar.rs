//! The Gregorian calendar, at all times.

/// A day, and the second of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: usize,
    /// From 1.
    pub(super) day: i64,
    /// From 1.
    pub(super) year_day: i64,
    /// From Sunday, 0.
    pub(super) weekday: usize,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

/// The first second since 1970 that Go's calendar has. What is before it wraps around.
const FIRST: i128 = -9_223_372_028_741_760_000;

/// The day and time of seconds since 1970.
pub(super) fn civil(seconds: i128) -> Civil {
    let seconds = if seconds < FIRST {
        seconds + (1 << 64)
    } else {
        seconds
    };
    let narrow = |number: i128| i64::try_from(number).unwrap_or(0);
    let days = narrow(seconds.div_euclid(86_400));
    let second = narrow(seconds.rem_euclid(86_400));
    // Howard Hinnant, chrono-compatible low-level date algorithms: eras of 400 years from March.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let from_march = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * from_march + 2) / 153;
    let day = from_march - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let month = usize::try_from(month).unwrap_or(1);
    Civil {
        year,
        month,
        day,
        year_day: days_before(year, month) + day,
        weekday: usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
        hour: second / 3600,
        minute: second / 60 % 60,
        second: second % 60,
    }
}

/// Seconds since 1970 of the start of a day.
pub(super) fn seconds(year: i64, month: usize, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let month = i64::try_from(month).unwrap_or(1);
    let from_march = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + from_march;
    (era * 146_097 + of_era - 719_468) * 86_400
}

pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The days of a month.
pub(super) fn days_in(year: i64, month: usize) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The days of a year before a month.
pub(super) fn days_before(year: i64, month: usize) -> i64 {
    (1..month).map(|month| days_in(year, month)).sum()
}
