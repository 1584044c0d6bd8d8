//! The methods of `time.Time` that a template can call, and those that Go refuses there.

use std::rc::Rc;

use super::super::super::func::{Failure, Method, Param};
use super::super::super::text::to_bytes;
use super::super::super::time::{MONTHS, SECOND};
use super::super::super::value::{IntType, Value};
use super::calendar::Civil;
use super::duration::quote;
use super::layout;
use super::object::Time;
use super::zone::Zone;

const BYTES: Param = Param::Named("[]uint8");

pub(super) fn find(name: &str) -> Option<Method> {
    const OTHER: &[Param] = &[Param::Time];
    const UNIT: &[Param] = &[Param::Named("time.Duration")];
    let params: &[Param] = match name {
        "Year" | "Month" | "Day" | "YearDay" | "Weekday" | "Hour" | "Minute" | "Second"
        | "Nanosecond" | "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" | "String"
        | "GoString" | "UTC" | "Local" | "Location" | "IsZero" | "IsDST" | "MarshalText"
        | "MarshalJSON" | "MarshalBinary" | "GobEncode" => &[],
        "Format" => &[Param::String],
        "Before" | "After" | "Equal" | "Compare" | "Sub" => OTHER,
        "Add" | "Round" | "Truncate" => UNIT,
        "AddDate" => &[Param::Int, Param::Int, Param::Int],
        "In" => &[Param::Named("*time.Location")],
        "AppendFormat" => &[BYTES, Param::String],
        "AppendText" | "AppendBinary" => &[BYTES],
        _ => return refused(name),
    };
    Some(Method::new(params))
}

/// Methods that give back more than one value.
fn refused(name: &str) -> Option<Method> {
    let reason = match name {
        "Clock" => "function Clock has 3 return values; should be 1 or 2",
        "Date" => "function Date has 3 return values; should be 1 or 2",
        "ISOWeek" => {
            "invalid function signature for ISOWeek: second return value should be error; is int"
        }
        "Zone" => {
            "invalid function signature for Zone: second return value should be error; is int"
        }
        "ZoneBounds" => {
            "invalid function signature for ZoneBounds: second return value should be error; is time.Time"
        }
        _ => return None,
    };
    Some(Method {
        refused: Some(reason),
        ..Method::new(&[])
    })
}

/// Calls a method. The arguments have been checked against its parameters.
pub(super) fn call(time: &Time, method: &str, args: &[Value]) -> Result<Value, Failure> {
    let civil = time.civil();
    let int = |index: usize| match args.get(index) {
        Some(Value::Int(int, _)) => *int,
        _ => 0,
    };
    let text = |index: usize| match args.get(index) {
        Some(Value::String(text)) => &**text,
        _ => "",
    };
    let other = args.first().and_then(Time::of);
    let since = || time.since(&other.cloned().unwrap_or_default());
    Ok(match method {
        "Year" => Value::int(civil.year),
        "Month" => number(civil.month, IntType::Month),
        "Day" => Value::int(civil.day),
        "YearDay" => Value::int(civil.year_day),
        "Weekday" => number(civil.weekday, IntType::Weekday),
        "Hour" => Value::int(civil.hour),
        "Minute" => Value::int(civil.minute),
        "Second" => Value::int(civil.second),
        "Nanosecond" => Value::int(time.nanoseconds.into()),
        "Unix" => Value::int64(time.seconds),
        "UnixMilli" => since_1970(time, 1_000),
        "UnixMicro" => since_1970(time, 1_000_000),
        "UnixNano" => since_1970(time, SECOND),
        "UTC" => time.clone().in_zone(Zone::Utc).into_value(),
        "Local" => time.clone().in_zone(Zone::Local).into_value(),
        "Location" => Value::Object(Rc::new(time.zone.clone())),
        "In" => {
            let zone = match args.first() {
                Some(Value::Object(object)) => object.as_any().downcast_ref::<Zone>(),
                _ => None,
            };
            let Some(zone) = zone else {
                let message = "time: missing Location in call to Time.In";
                return Err(Failure::Panic(message.to_owned()));
            };
            time.clone().in_zone(zone.clone()).into_value()
        }
        "IsZero" => time.is_zero().into(),
        // No zone that a time can have here knows of summer.
        "IsDST" => false.into(),
        "Format" => Value::from(layout::format(text(0), time)),
        "Before" => (since() < 0).into(),
        "After" => (since() > 0).into(),
        "Equal" => (since() == 0).into(),
        "Compare" => Value::int(since().signum()),
        "Sub" => Value::Int(since(), IntType::Duration),
        "Add" => time.add(int(0)).into_value(),
        "AddDate" => time.add_date(int(0), int(1), int(2)).into_value(),
        "Round" | "Truncate" => rounded(time, int(0), method == "Round").into_value(),
        "GoString" => Value::from(go_string(time, &civil)),
        "AppendFormat" => appended(args, &to_bytes(&layout::format(text(1), time))),
        "MarshalText" | "AppendText" => match time.rfc3339() {
            Ok(text) => appended(args, text.as_bytes()),
            Err(problem) => return Err(Failure::Error(format!("Time.{method}: {problem}"))),
        },
        "MarshalJSON" => match time.rfc3339() {
            Ok(text) => appended(&[], format!("\"{text}\"").as_bytes()),
            Err(problem) => return Err(Failure::Error(format!("Time.{method}: {problem}"))),
        },
        "MarshalBinary" | "GobEncode" | "AppendBinary" => appended(args, &binary(time)?),
        _ => Value::from(time.text()),
    })
}

fn number(number: usize, int_type: IntType) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(0), int_type)
}

/// The time since 1970 in units of which a second has so many.
fn since_1970(time: &Time, per_second: i64) -> Value {
    let part = i64::from(time.nanoseconds) / (SECOND / per_second);
    Value::int64(time.seconds.wrapping_mul(per_second).wrapping_add(part))
}

/// Half of a unit is rounded up.
fn rounded(time: &Time, unit: i64, to_nearest: bool) -> Time {
    if unit <= 0 {
        return time.clone();
    }
    let rest = time.remainder(unit);
    if !to_nearest || rest.unsigned_abs() * 2 < unit.unsigned_abs() {
        time.add(-rest)
    } else {
        time.add(unit - rest)
    }
}

/// Bytes behind those of the first argument.
fn appended(args: &[Value], bytes: &[u8]) -> Value {
    let before: &[u8] = match args.first() {
        Some(Value::Bytes(before)) => before,
        _ => &[],
    };
    Value::Bytes([before, bytes].concat().into())
}

/// `Time.GoString`.
fn go_string(time: &Time, civil: &Civil) -> String {
    let location = match &time.zone {
        Zone::Utc => "time.UTC".to_owned(),
        Zone::Local => "time.Local".to_owned(),
        Zone::Fixed(name, _) => format!("time.Location({})", quote(name)),
    };
    format!(
        "time.Date({}, time.{}, {}, {}, {}, {}, {}, {location})",
        civil.year,
        MONTHS[civil.month - 1],
        civil.day,
        civil.hour,
        civil.minute,
        civil.second,
        time.nanoseconds
    )
}

/// `Time.MarshalBinary`.
fn binary(time: &Time) -> Result<Vec<u8>, Failure> {
    let (minutes, rest) = match &time.zone {
        Zone::Utc => (-1, 0),
        zone => (zone.offset() / 60, zone.offset() % 60),
    };
    let minutes = i16::try_from(minutes)
        .ok()
        .filter(|minutes| time.zone == Zone::Utc || *minutes != -1);
    let Some(minutes) = minutes else {
        let message = "Time.MarshalBinary: unexpected zone offset";
        return Err(Failure::Error(message.to_owned()));
    };
    let mut bytes = vec![if rest == 0 { 1 } else { 2 }];
    bytes.extend(time.since_year_1().to_be_bytes());
    bytes.extend(time.nanoseconds.to_be_bytes());
    bytes.extend(minutes.to_be_bytes());
    if let Ok(rest) = i8::try_from(rest)
        && rest != 0
    {
        bytes.extend(rest.to_be_bytes());
    }
    Ok(bytes)
}
