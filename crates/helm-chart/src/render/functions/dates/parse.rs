//! `time.ParseInLocation`, in the local zone, which is UTC.

use super::super::super::time::{MONTHS, WEEKDAYS};
use super::calendar::{days_before, days_in, is_leap, seconds};
use super::duration::quote;
use super::layout::{Element, Parts, next};
use super::object::Time;
use super::zone::Zone;

/// Why an element could not be read.
enum Problem {
    /// It is not there.
    Bad,
    /// It is out of range: what it is.
    Range(&'static str),
}

use Problem::{Bad, Range};

/// What has been read.
#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanoseconds: u32,
    am: bool,
    pm: bool,
    utc: bool,
    offset: Option<i64>,
    zone: String,
}

/// Reads a text by a layout.
///
/// # Errors
/// What Go says of it.
pub(super) fn parse(layout: &str, text: &str) -> Result<Time, String> {
    let failed = |element: &str, value: &str| {
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quote(text),
            quote(layout),
            quote(value),
            quote(element)
        )
    };
    let mut fields = Fields::default();
    let (mut rest_of_layout, mut value) = (layout, text);
    while let Some((before, element, after)) = next(rest_of_layout) {
        value = skip(value, before).map_err(|value| failed(before, value))?;
        let name = &rest_of_layout[before.len()..rest_of_layout.len() - after.len()];
        rest_of_layout = after;
        let held = value;
        match fields.read(element, after, &mut value) {
            Ok(()) => {}
            Err(Bad) => return Err(failed(name, held)),
            Err(Range(what)) => {
                return Err(format!("parsing time {}: {what} out of range", quote(text)));
            }
        }
    }
    value = skip(value, rest_of_layout).map_err(|value| failed(rest_of_layout, value))?;
    if !value.is_empty() {
        return Err(format!(
            "parsing time {}: extra text: {}",
            quote(text),
            quote(value)
        ));
    }
    fields
        .time()
        .map_err(|problem| format!("parsing time {}: {problem}", quote(text)))
}

/// What follows the text of a layout; one space there is any number of spaces.
fn skip<'v>(mut value: &'v str, mut prefix: &str) -> Result<&'v str, &'v str> {
    while let Some(wanted) = prefix.chars().next() {
        if wanted == ' ' {
            if !value.is_empty() && !value.starts_with(' ') {
                return Err(value);
            }
            prefix = prefix.trim_start_matches(' ');
            value = value.trim_start_matches(' ');
            continue;
        }
        value = value.strip_prefix(wanted).ok_or(value)?;
        prefix = &prefix[wanted.len_utf8()..];
    }
    Ok(value)
}

impl Fields {
    fn read(&mut self, element: Element, after: &str, value: &mut &str) -> Result<(), Problem> {
        match element {
            Element::Year => {
                let year = plain_number(take(value, 2)?)?;
                self.year = if year >= 69 { year + 1900 } else { year + 2000 };
            }
            Element::LongYear => {
                if !starts_with_digit(value) {
                    return Err(Bad);
                }
                self.year = plain_number(take(value, 4)?)?;
            }
            Element::Month => self.month = Some(name(value, &MONTHS, 3)?),
            Element::LongMonth => self.month = Some(name(value, &MONTHS, 9)?),
            Element::NumMonth | Element::ZeroMonth => {
                let month = number(value, element == Element::ZeroMonth)?;
                if !(1..=12).contains(&month) {
                    return Err(Range("month"));
                }
                self.month = Some(month);
            }
            Element::Weekday => drop(name(value, &WEEKDAYS, 3)?),
            Element::LongWeekday => drop(name(value, &WEEKDAYS, 9)?),
            Element::Day | Element::UnderDay | Element::ZeroDay => {
                if element == Element::UnderDay {
                    *value = value.strip_prefix(' ').unwrap_or(value);
                }
                self.day = Some(number(value, element == Element::ZeroDay)?);
            }
            Element::UnderYearDay | Element::ZeroYearDay => {
                let padded = element == Element::UnderYearDay;
                for _ in 0..if padded { 2 } else { 0 } {
                    *value = value.strip_prefix(' ').unwrap_or(value);
                }
                let digits = value.bytes().take(3).take_while(u8::is_ascii_digit).count();
                if digits == 0 || !padded && digits != 3 {
                    return Err(Bad);
                }
                self.year_day = Some(plain_number(take(value, digits)?)?);
            }
            Element::Hour => self.hour = below(number(value, false)?, 24, "hour")?,
            Element::Hour12 | Element::ZeroHour12 => {
                let hour = number(value, element == Element::ZeroHour12)?;
                self.hour = below(hour, 13, "hour")?;
            }
            Element::Minute | Element::ZeroMinute => {
                let minute = number(value, element == Element::ZeroMinute)?;
                self.minute = below(minute, 60, "minute")?;
            }
            Element::Second | Element::ZeroSecond => {
                let second = number(value, element == Element::ZeroSecond)?;
                self.second = below(second, 60, "second")?;
                // A fraction that the layout does not have.
                let has_fraction = matches!(next(after), Some((_, Element::Fraction { .. }, _)));
                if !has_fraction && fraction_digits(value) > 0 {
                    let digits = fraction_digits(value);
                    self.nanoseconds = nanoseconds(take(value, digits + 1)?)?;
                }
            }
            Element::Pm | Element::LowerPm => match (take(value, 2)?, element) {
                ("PM", Element::Pm) | ("pm", Element::LowerPm) => self.pm = true,
                ("AM", Element::Pm) | ("am", Element::LowerPm) => self.am = true,
                _ => return Err(Bad),
            },
            Element::ZoneName => {
                if let Some(after) = value.strip_prefix("UTC") {
                    self.utc = true;
                    *value = after;
                } else {
                    let length = zone_name(value).ok_or(Bad)?;
                    take(value, length)?.clone_into(&mut self.zone);
                }
            }
            Element::Offset { iso, colons, parts } => match value.strip_prefix('Z') {
                Some(after) if iso => {
                    self.utc = true;
                    *value = after;
                }
                _ => self.offset = Some(offset(value, colons, parts)?),
            },
            Element::Fraction {
                fixed: true,
                digits,
                ..
            } => {
                self.nanoseconds = nanoseconds(take(value, digits + 1)?)?;
            }
            Element::Fraction { .. } => {
                let digits = fraction_digits(value);
                if digits > 0 {
                    self.nanoseconds = nanoseconds(take(value, digits + 1)?)?;
                }
            }
        }
        Ok(())
    }

    fn time(mut self) -> Result<Time, &'static str> {
        if self.pm && self.hour < 12 {
            self.hour += 12;
        } else if self.am && self.hour == 12 {
            self.hour = 0;
        }
        if let Some(year_day) = self.year_day {
            let days = 365 + i64::from(is_leap(self.year));
            if !(1..=days).contains(&year_day) {
                return Err("day-of-year out of range");
            }
            let month = (1..=12)
                .rev()
                .find(|month| days_before(self.year, *month) < year_day)
                .unwrap_or(1);
            let day = year_day - days_before(self.year, month);
            let month = i64::try_from(month).unwrap_or(1);
            if self.month.is_some_and(|seen| seen != month) {
                return Err("day-of-year does not match month");
            }
            if self.day.is_some_and(|seen| seen != day) {
                return Err("day-of-year does not match day");
            }
            (self.month, self.day) = (Some(month), Some(day));
        }
        let month = usize::try_from(self.month.unwrap_or(1)).unwrap_or(1);
        let day = self.day.unwrap_or(1);
        if day < 1 || day > days_in(self.year, month) {
            return Err("day out of range");
        }
        let clock = self.hour * 3600 + self.minute * 60 + self.second;
        let zone = match (self.utc, self.offset) {
            (true, _) => Zone::Utc,
            (false, Some(0)) if matches!(&*self.zone, "" | "UTC") => Zone::Local,
            (false, Some(offset)) => Zone::fixed(&self.zone, offset),
            (false, None) if self.zone.is_empty() => Zone::Local,
            (false, None) => {
                let hours = self
                    .zone
                    .strip_prefix("GMT")
                    .and_then(|hours| hours.parse().ok());
                Zone::fixed(&self.zone, hours.unwrap_or(0) * 3600)
            }
        };
        // A zone's name alone does not move the time.
        let shift = self.offset.filter(|_| !self.utc).unwrap_or(0);
        Ok(Time {
            seconds: seconds(self.year, month, day) + clock - shift,
            nanoseconds: self.nanoseconds,
            zone,
        })
    }
}

fn take<'v>(value: &mut &'v str, length: usize) -> Result<&'v str, Problem> {
    let taken = value.get(..length).ok_or(Bad)?;
    *value = &value[length..];
    Ok(taken)
}

fn starts_with_digit(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_digit())
}

/// All of a text as a number: package time's `atoi`.
fn plain_number(text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Bad)
}

/// One or two digits, or two.
fn number(value: &mut &str, fixed: bool) -> Result<i64, Problem> {
    match value.bytes().take(2).take_while(u8::is_ascii_digit).count() {
        0 => Err(Bad),
        1 if fixed => Err(Bad),
        digits => plain_number(take(value, digits)?),
    }
}

fn below(number: i64, limit: i64, what: &'static str) -> Result<i64, Problem> {
    if number < limit {
        Ok(number)
    } else {
        Err(Range(what))
    }
}

/// A name in any case, or its first letters: its number, from 1.
fn name(value: &mut &str, names: &[&str], letters: usize) -> Result<i64, Problem> {
    for (number, name) in (1..).zip(names) {
        let name = &name[..letters.min(name.len())];
        if value
            .get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
        {
            *value = &value[name.len()..];
            return Ok(number);
        }
    }
    Err(Bad)
}

/// The digits after a point or comma at the start.
fn fraction_digits(value: &str) -> usize {
    match value.as_bytes() {
        [b'.' | b',', digits @ ..] => digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count(),
        _ => 0,
    }
}

/// The nanoseconds of a fraction with its separator.
fn nanoseconds(text: &str) -> Result<u32, Problem> {
    let digits = text.strip_prefix(['.', ',']).ok_or(Bad)?;
    let digits = digits.get(..9).unwrap_or(digits);
    let number = digits.parse::<i64>().map_err(|_| Bad)?;
    if number < 0 {
        return Err(Range("fractional second"));
    }
    let scale = 10_i64.pow(u32::try_from(9 - digits.len()).unwrap_or(0));
    u32::try_from(number * scale).map_err(|_| Bad)
}

fn offset(value: &mut &str, colons: bool, parts: Parts) -> Result<i64, Problem> {
    let length = match (parts, colons) {
        (Parts::Hours, _) => 3,
        (Parts::Minutes, false) => 5,
        (Parts::Minutes, true) => 6,
        (Parts::Seconds, false) => 7,
        (Parts::Seconds, true) => 9,
    };
    let text = take(value, length)?;
    let step = if colons { 3 } else { 2 };
    let part = |index: usize| {
        let start = 1 + index * step;
        let Some(mut digits) = text.get(start..start + 2) else {
            return Ok(0);
        };
        if colons && index > 0 && text.as_bytes()[start - 1] != b':' {
            return Err(Bad);
        }
        number(&mut digits, true)
    };
    let (hours, minutes, seconds) = (part(0)?, part(1)?, part(2)?);
    let total = below(hours, 25, "time zone offset hour")? * 3600
        + below(minutes, 61, "time zone offset minute")? * 60
        + below(seconds, 61, "time zone offset second")?;
    match text.as_bytes()[0] {
        b'+' => Ok(total),
        b'-' => Ok(-total),
        _ => Err(Bad),
    }
}

/// The length of what looks like the abbreviation of a zone.
fn zone_name(value: &str) -> Option<usize> {
    if value.len() < 3 {
        return None;
    }
    if value.starts_with("ChST") || value.starts_with("MeST") {
        return Some(4);
    }
    if let Some(rest) = value.strip_prefix("GMT") {
        return Some(3 + signed_offset(rest));
    }
    if value.starts_with(['+', '-']) {
        return Some(signed_offset(value)).filter(|length| *length > 0);
    }
    let capitals = value
        .bytes()
        .take(6)
        .take_while(u8::is_ascii_uppercase)
        .count();
    match capitals {
        5 if value.as_bytes()[4] == b'T' => Some(5),
        4 if value.as_bytes()[3] == b'T' || value.starts_with("WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}

/// The length of an offset in hours.
fn signed_offset(value: &str) -> usize {
    let Some(digits) = value.strip_prefix(['+', '-']) else {
        return 0;
    };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    match digits[..length].parse::<u64>() {
        Ok(hours) if hours <= 23 => length + 1,
        _ => 0,
    }
}
