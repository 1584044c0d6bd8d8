//! Dates and durations. The local time zone is UTC, and the clock stands still.

use std::rc::Rc;

use super::super::func::{Context, Func, Param};
use super::super::time::{SECOND, duration_text, round};
use super::super::value::{IntType, Value};
use super::args::{any, error, string, text};
use super::number::{NumberError, parse_int};
use super::{Output, fixed};
use Param::{Any, String as Text, Time as Date};

mod calendar;
mod duration;
mod layout;
mod methods;
mod object;
mod parse;
mod zone;

use object::Time;
use zone::Zone;

pub(super) const FUNCS: &[Func] = &[
    fixed("now", &[], |ctx, _| Ok(now(ctx).into_value())),
    fixed("date", &[Text, Any], |ctx, args| {
        format(ctx, text(args, 0), any(args, 1), "Local")
    }),
    fixed("dateInZone", &[Text, Any, Text], date_in_zone),
    fixed("date_in_zone", &[Text, Any, Text], date_in_zone),
    fixed("htmlDate", &[Any], |ctx, args| {
        format(ctx, "2006-01-02", any(args, 0), "Local")
    }),
    fixed("htmlDateInZone", &[Any, Text], |ctx, args| {
        format(ctx, "2006-01-02", any(args, 0), text(args, 1))
    }),
    fixed("dateModify", &[Text, Date], |_, args| Ok(modify(args))),
    fixed("date_modify", &[Text, Date], |_, args| Ok(modify(args))),
    fixed("mustDateModify", &[Text, Date], must_modify),
    fixed("must_date_modify", &[Text, Date], must_modify),
    fixed("toDate", &[Text, Text], |ctx, args| {
        ctx.step(text(args, 0).len() + text(args, 1).len())?;
        let time = parse::parse(text(args, 0), text(args, 1)).unwrap_or_default();
        Ok(time.into_value())
    }),
    fixed("mustToDate", &[Text, Text], |ctx, args| {
        ctx.step(text(args, 0).len() + text(args, 1).len())?;
        let time = parse::parse(text(args, 0), text(args, 1)).map_err(error)?;
        Ok(time.into_value())
    }),
    fixed("unixEpoch", &[Date], |ctx, args| {
        let seconds = Time::of(any(args, 0)).map_or(0, |time| time.seconds);
        string(ctx, seconds.to_string())
    }),
    fixed("ago", &[Any], |ctx, args| {
        let time = match any(args, 0) {
            Value::Int(seconds, IntType::Int | IntType::Int64) => Time::unix(*seconds),
            value => Time::of(value).cloned().unwrap_or_else(|| now(ctx)),
        };
        let since = round(now(ctx).since(&time), SECOND);
        string(ctx, duration_text(since))
    }),
    fixed("duration", &[Any], |ctx, args| {
        let seconds = match any(args, 0) {
            // The error is ignored, and so the nearest number is what remains of one out of range.
            Value::String(text) => match parse_int(text, 10) {
                Ok(seconds) | Err(NumberError::Range(seconds)) => seconds,
                Err(NumberError::Syntax) => 0,
            },
            Value::Int(seconds, IntType::Int64) => *seconds,
            _ => 0,
        };
        string(ctx, duration_text(seconds.wrapping_mul(SECOND)))
    }),
    fixed("durationRound", &[Any], |ctx, args| {
        let nanoseconds = match any(args, 0) {
            Value::String(text) => duration::parse(text).unwrap_or(0),
            Value::Int(nanoseconds, IntType::Int64) => *nanoseconds,
            value => Time::of(value).map_or(0, |time| now(ctx).since(time)),
        };
        string(ctx, duration::rounded(nanoseconds))
    }),
];

/// What the clock shows: another day for each stand-in.
fn now(ctx: &dyn Context) -> Time {
    let stand_in = i64::try_from(ctx.stand_in() % 16).unwrap_or(0);
    Time::unix(1_767_225_600 + stand_in * 40_003_661).in_zone(Zone::Local)
}

fn date_in_zone(ctx: &mut dyn Context, args: &[Value]) -> Output {
    format(ctx, text(args, 0), any(args, 1), text(args, 2))
}

/// What looking up a zone costs.
const ZONE_STEPS: usize = 1000;

fn format(ctx: &mut dyn Context, layout: &str, date: &Value, zone: &str) -> Output {
    let time = match date {
        Value::Int(seconds, IntType::Int | IntType::Int64 | IntType::Int32) => Time::unix(*seconds),
        value => Time::of(value).cloned().unwrap_or_else(|| now(ctx)),
    };
    ctx.step(layout.len().saturating_add(ZONE_STEPS))?;
    // A zone that is not known is UTC.
    let zone = Zone::named(zone, time.seconds).unwrap_or_default();
    let time = time.in_zone(zone);
    ctx.spend(layout.len().saturating_mul(8))?;
    Ok(Value::from(layout::format(layout, &time)))
}

fn modify(args: &[Value]) -> Value {
    let time = Time::of(any(args, 1)).cloned().unwrap_or_default();
    let duration = duration::parse(text(args, 0)).unwrap_or(0);
    time.add(duration).into_value()
}

fn must_modify(_: &mut dyn Context, args: &[Value]) -> Output {
    let time = Time::of(any(args, 1)).cloned().unwrap_or_default();
    let duration = duration::parse(text(args, 0)).map_err(error)?;
    Ok(time.add(duration).into_value())
}

/// The time of a TOML document: one without an offset is in a zone that says so.
pub(super) fn from_toml(text: &str) -> Value {
    let layouts = [
        ("2006-01-02T15:04:05.999999999Z07:00", None),
        (
            "2006-01-02T15:04:05.999999999",
            Some(object::DATETIME_LOCAL),
        ),
        ("2006-01-02", Some(object::DATE_LOCAL)),
        ("15:04:05.999999999", Some(object::TIME_LOCAL)),
    ];
    let parsed = layouts.iter().find_map(|(layout, zone)| {
        let time = parse::parse(layout, text).ok()?;
        Some(match zone {
            Some(zone) => time.in_zone(Zone::fixed(zone, 0)),
            None => time,
        })
    });
    parsed.unwrap_or_default().into_value()
}

impl Time {
    fn into_value(self) -> Value {
        Value::Object(Rc::new(self))
    }

    /// The time that a value is.
    fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::Object(object) => object.as_any().downcast_ref(),
            _ => None,
        }
    }
}
