//! Layouts: the reference time `Mon Jan 2 15:04:05 MST 2006`.

use super::super::super::time::{MONTHS, WEEKDAYS};
use super::object::Time;

/// One element of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Year,
    LongYear,
    Month,
    LongMonth,
    NumMonth,
    ZeroMonth,
    Weekday,
    LongWeekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    Pm,
    LowerPm,
    ZoneName,
    Offset {
        /// UTC is written `Z`.
        iso: bool,
        colons: bool,
        parts: Parts,
    },
    /// The fraction of a second: the separator, the digits, and whether they are all written.
    Fraction {
        separator: char,
        digits: usize,
        fixed: bool,
    },
}

/// How much of an offset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parts {
    Hours,
    Minutes,
    Seconds,
}

/// The next element of a layout, with what stands before and after it.
pub(super) fn next(layout: &str) -> Option<(&str, Element, &str)> {
    for (index, byte) in layout.bytes().enumerate() {
        if byte.is_ascii()
            && let Some((skipped, element, length)) = element_at(layout, index)
        {
            return Some((
                &layout[..index + skipped],
                element,
                &layout[index + skipped + length..],
            ));
        }
    }
    None
}

/// The element at a place: bytes to skip, and its length.
fn element_at(layout: &str, index: usize) -> Option<(usize, Element, usize)> {
    use Element::{
        Day, Fraction, Hour, Hour12, LongMonth, LongWeekday, LongYear, LowerPm, Minute, Month,
        NumMonth, Offset, Pm, Second, UnderDay, UnderYearDay, Weekday, Year, ZeroDay, ZeroHour12,
        ZeroMinute, ZeroMonth, ZeroSecond, ZeroYearDay, ZoneName,
    };
    let rest = layout.get(index..)?;
    let starts = |prefix: &str| rest.starts_with(prefix);
    let ends_word = |length: usize| {
        !rest
            .as_bytes()
            .get(length)
            .is_some_and(u8::is_ascii_lowercase)
    };
    let found = |element, length| Some((0, element, length));
    match rest.as_bytes()[0] {
        b'J' if starts("January") => found(LongMonth, 7),
        b'J' if starts("Jan") && ends_word(3) => found(Month, 3),
        b'M' if starts("Monday") => found(LongWeekday, 6),
        b'M' if starts("Mon") && ends_word(3) => found(Weekday, 3),
        b'M' if starts("MST") => found(ZoneName, 3),
        b'0' if starts("002") => found(ZeroYearDay, 3),
        b'0' => match rest.as_bytes().get(1)? {
            b'1' => found(ZeroMonth, 2),
            b'2' => found(ZeroDay, 2),
            b'3' => found(ZeroHour12, 2),
            b'4' => found(ZeroMinute, 2),
            b'5' => found(ZeroSecond, 2),
            b'6' => found(Year, 2),
            _ => None,
        },
        b'1' if starts("15") => found(Hour, 2),
        b'1' => found(NumMonth, 1),
        b'2' if starts("2006") => found(LongYear, 4),
        b'2' => found(Day, 1),
        b'_' if starts("_2006") => Some((1, LongYear, 4)),
        b'_' if starts("_2") => found(UnderDay, 2),
        b'_' if starts("__2") => found(UnderYearDay, 3),
        b'3' => found(Hour12, 1),
        b'4' => found(Minute, 1),
        b'5' => found(Second, 1),
        b'P' if starts("PM") => found(Pm, 2),
        b'p' if starts("pm") => found(LowerPm, 2),
        sign @ (b'-' | b'Z') => {
            let forms = [
                ("070000", false, Parts::Seconds),
                ("07:00:00", true, Parts::Seconds),
                ("0700", false, Parts::Minutes),
                ("07:00", true, Parts::Minutes),
                ("07", false, Parts::Hours),
            ];
            let (text, colons, parts) = forms
                .into_iter()
                .find(|(text, _, _)| rest[1..].starts_with(text))?;
            let iso = sign == b'Z';
            found(Offset { iso, colons, parts }, text.len() + 1)
        }
        separator @ (b'.' | b',') => {
            let digit = *rest.as_bytes().get(1)?;
            if !matches!(digit, b'0' | b'9') {
                return None;
            }
            let digits = rest
                .bytes()
                .skip(1)
                .take_while(|byte| *byte == digit)
                .count();
            if rest
                .as_bytes()
                .get(digits + 1)
                .is_some_and(u8::is_ascii_digit)
            {
                return None;
            }
            let fraction = Fraction {
                separator: char::from(separator),
                digits,
                fixed: digit == b'0',
            };
            found(fraction, digits + 1)
        }
        _ => None,
    }
}

/// `Time.Format`.
pub(super) fn format(mut layout: &str, time: &Time) -> String {
    let mut out = String::new();
    while let Some((before, element, after)) = next(layout) {
        out.push_str(before);
        write(&mut out, element, time);
        layout = after;
    }
    out + layout
}

fn write(out: &mut String, element: Element, time: &Time) {
    let civil = time.civil();
    let hour12 = if civil.hour % 12 == 0 {
        12
    } else {
        civil.hour % 12
    };
    let half = |am: &'static str, pm: &'static str| if civil.hour >= 12 { pm } else { am };
    let month = MONTHS[civil.month - 1];
    let weekday = WEEKDAYS[civil.weekday];
    let written = match element {
        Element::Year => format!("{:02}", civil.year.abs() % 100),
        Element::LongYear if civil.year < 0 => format!("-{:04}", civil.year.abs()),
        Element::LongYear => format!("{:04}", civil.year),
        Element::Month => month[..3].to_owned(),
        Element::LongMonth => month.to_owned(),
        Element::NumMonth => civil.month.to_string(),
        Element::ZeroMonth => format!("{:02}", civil.month),
        Element::Weekday => weekday[..3].to_owned(),
        Element::LongWeekday => weekday.to_owned(),
        Element::Day => civil.day.to_string(),
        Element::UnderDay => format!("{:2}", civil.day),
        Element::ZeroDay => format!("{:02}", civil.day),
        Element::UnderYearDay => format!("{:3}", civil.year_day),
        Element::ZeroYearDay => format!("{:03}", civil.year_day),
        Element::Hour => format!("{:02}", civil.hour),
        Element::Hour12 => hour12.to_string(),
        Element::ZeroHour12 => format!("{hour12:02}"),
        Element::Minute => civil.minute.to_string(),
        Element::ZeroMinute => format!("{:02}", civil.minute),
        Element::Second => civil.second.to_string(),
        Element::ZeroSecond => format!("{:02}", civil.second),
        Element::Pm => half("AM", "PM").to_owned(),
        Element::LowerPm => half("am", "pm").to_owned(),
        Element::ZoneName if time.zone.abbreviation().is_empty() => {
            offset(time.zone.offset(), false, Parts::Minutes)
        }
        Element::ZoneName => time.zone.abbreviation().to_owned(),
        Element::Offset { iso: true, .. } if time.zone.offset() == 0 => "Z".to_owned(),
        Element::Offset { colons, parts, .. } => offset(time.zone.offset(), colons, parts),
        Element::Fraction {
            separator,
            digits,
            fixed,
        } => fraction(time.nanoseconds, separator, digits, fixed),
    };
    out.push_str(&written);
}

fn offset(seconds: i64, colons: bool, parts: Parts) -> String {
    let sign = if seconds / 60 < 0 { '-' } else { '+' };
    let (minutes, rest) = ((seconds / 60).abs(), seconds.abs() % 60);
    let colon = if colons { ":" } else { "" };
    let (hours, minutes) = (minutes / 60, minutes % 60);
    match parts {
        Parts::Hours => format!("{sign}{hours:02}"),
        Parts::Minutes => format!("{sign}{hours:02}{colon}{minutes:02}"),
        Parts::Seconds => format!("{sign}{hours:02}{colon}{minutes:02}{colon}{rest:02}"),
    }
}

fn fraction(nanoseconds: u32, separator: char, digits: usize, fixed: bool) -> String {
    let written = format!("{nanoseconds:09}");
    let kept = &written[..digits.min(9)];
    if fixed {
        return format!("{separator}{kept}");
    }
    match kept.trim_end_matches('0') {
        "" => String::new(),
        kept => format!("{separator}{kept}"),
    }
}
