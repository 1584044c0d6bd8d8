//! A time, which templates see as `time.Time`.

use std::any::Any;
use std::rc::Rc;

use super::super::super::func::{Context, Failure, Method, Param};
use super::super::super::value::{Encoded, IntType, Object, Str, Value};
use super::calendar::{self, Civil};
use super::zone::Zone;
use super::{duration, layout};

/// A time with its zone. The default is Go's zero: the year 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Time {
    /// Seconds since 1970.
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
    pub(super) zone: Zone,
}

/// Seconds of the year 1, since 1970.
const ZERO: i64 = -62_135_596_800;

impl Default for Time {
    fn default() -> Self {
        Self::unix(ZERO)
    }
}

impl Time {
    pub(super) fn unix(seconds: i64) -> Self {
        Self {
            seconds,
            nanoseconds: 0,
            zone: Zone::default(),
        }
    }

    pub(super) fn in_zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    pub(super) fn civil(&self) -> Civil {
        calendar::civil(i128::from(self.seconds) + i128::from(self.zone.offset))
    }

    /// Adds nanoseconds.
    pub(super) fn add(&self, nanoseconds: i64) -> Self {
        let total = i64::from(self.nanoseconds) + nanoseconds % duration::SECOND;
        let seconds = nanoseconds / duration::SECOND + total.div_euclid(duration::SECOND);
        Self {
            seconds: self.seconds.saturating_add(seconds),
            nanoseconds: u32::try_from(total.rem_euclid(duration::SECOND)).unwrap_or(0),
            zone: self.zone.clone(),
        }
    }

    /// Nanoseconds from another time to this one; what does not fit is the largest duration.
    pub(super) fn since(&self, other: &Self) -> i64 {
        let total = |time: &Self| {
            i128::from(time.seconds) * i128::from(duration::SECOND) + i128::from(time.nanoseconds)
        };
        let difference = total(self) - total(other);
        let limit = i128::from(if difference < 0 { i64::MIN } else { i64::MAX });
        i64::try_from(difference).unwrap_or_else(|_| i64::try_from(limit).unwrap_or(0))
    }

    fn add_date(&self, years: i64, months: i64, days: i64) -> Self {
        let civil = self.civil();
        let month = i64::try_from(civil.month).unwrap_or(1) - 1;
        let months = month.saturating_add(months);
        let year = civil
            .year
            .saturating_add(years)
            .saturating_add(months.div_euclid(12));
        let year = year.clamp(-200_000_000, 200_000_000);
        let month = usize::try_from(months.rem_euclid(12)).unwrap_or(0) + 1;
        let day = civil.day.saturating_add(days).clamp(-1 << 40, 1 << 40);
        let start = calendar::seconds(year, month, 1) + (day - 1) * 86_400;
        let clock = civil.hour * 3600 + civil.minute * 60 + civil.second;
        Self {
            seconds: start + clock - self.zone.offset,
            ..self.clone()
        }
    }

    fn text(&self) -> String {
        layout::format("2006-01-02 15:04:05.999999999 -0700 MST", self)
    }
}

impl Object for Time {
    fn type_name(&self) -> &'static str {
        "time.Time"
    }

    fn kind(&self) -> &'static str {
        "struct"
    }

    fn field(&self, _: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Method> {
        const OTHER: &[Param] = &[Param::Time];
        let params: &[Param] = match name {
            "Year" | "Month" | "Day" | "YearDay" | "Hour" | "Minute" | "Second" | "Nanosecond"
            | "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" | "String" | "UTC" | "Local"
            | "IsZero" => &[],
            "Format" => &[Param::String],
            "Before" | "After" | "Equal" | "Compare" | "Sub" => OTHER,
            "Add" => &[Param::Named("time.Duration")],
            "AddDate" => &[Param::Int, Param::Int, Param::Int],
            _ => return None,
        };
        Some(Method {
            params,
            variadic: None,
        })
    }

    fn call(&self, _: &mut dyn Context, method: &str, args: &[Value]) -> Result<Value, Failure> {
        let civil = self.civil();
        let int = |index: usize| match args.get(index) {
            Some(Value::Int(int, _)) => *int,
            _ => 0,
        };
        let text = match args.first() {
            Some(Value::String(text)) => text,
            _ => "",
        };
        let other = args.first().and_then(Self::of).cloned().unwrap_or_default();
        let order = self.since(&other);
        let units = |per_second: i64| {
            let part = i64::from(self.nanoseconds) / (duration::SECOND / per_second);
            Value::int64(self.seconds.wrapping_mul(per_second).wrapping_add(part))
        };
        let time = |time: Self| Value::Object(Rc::new(time));
        Ok(match method {
            "Year" => Value::int(civil.year),
            "Month" => Value::Int(i64::try_from(civil.month).unwrap_or(1), IntType::Month),
            "Day" => Value::int(civil.day),
            "YearDay" => Value::int(civil.year_day),
            "Hour" => Value::int(civil.hour),
            "Minute" => Value::int(civil.minute),
            "Second" => Value::int(civil.second),
            "Nanosecond" => Value::int(self.nanoseconds.into()),
            "Unix" => Value::int64(self.seconds),
            "UnixMilli" => units(1_000),
            "UnixMicro" => units(1_000_000),
            "UnixNano" => units(duration::SECOND),
            "UTC" | "Local" => time(self.clone().in_zone(Zone::default())),
            "IsZero" => (self.seconds == ZERO && self.nanoseconds == 0).into(),
            "Format" => Value::from(layout::format(text, self)),
            "Before" => (order < 0).into(),
            "After" => (order > 0).into(),
            "Equal" => (order == 0).into(),
            "Compare" => Value::int(order.signum()),
            "Sub" => Value::Int(order, IntType::Duration),
            "Add" => time(self.add(int(0))),
            "AddDate" => time(self.add_date(int(0), int(1), int(2))),
            _ => Value::from(self.text()),
        })
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        None
    }

    fn go_string(&self) -> Option<String> {
        Some(self.text())
    }

    fn encoded(&self) -> Encoded {
        let text = layout::format("2006-01-02T15:04:05.999999999Z07:00", self);
        Encoded::Value(Value::from(text))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
