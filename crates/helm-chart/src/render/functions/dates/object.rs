//! A time, which templates see as `time.Time`.

use std::any::Any;

use super::super::super::func::{Context, Failure, Method};
use super::super::super::time::SECOND;
use super::super::super::value::{Encoded, EncodedTime, Object, Str, Value};
use super::calendar::{self, Civil};
use super::zone::Zone;
use super::{layout, methods};

/// A time with its zone. The default is Go's zero: the year 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Time {
    /// Seconds since 1970.
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
    pub(super) zone: Zone,
}

/// What a time is written as where nothing else is asked for.
const RFC3339: &str = "2006-01-02T15:04:05.999999999Z07:00";

/// The zone of a time of a TOML document that has none.
pub(super) const DATETIME_LOCAL: &str = "datetime-local";
/// The zone of a day of a TOML document.
pub(super) const DATE_LOCAL: &str = "date-local";
/// The zone of a time of day of a TOML document.
pub(super) const TIME_LOCAL: &str = "time-local";

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
        calendar::civil(i128::from(self.seconds) + i128::from(self.zone.offset()))
    }

    /// Adds nanoseconds.
    pub(super) fn add(&self, nanoseconds: i64) -> Self {
        let total = i64::from(self.nanoseconds) + nanoseconds % SECOND;
        let seconds = nanoseconds / SECOND + total.div_euclid(SECOND);
        Self {
            seconds: self.seconds.saturating_add(seconds),
            nanoseconds: u32::try_from(total.rem_euclid(SECOND)).unwrap_or(0),
            zone: self.zone.clone(),
        }
    }

    /// Nanoseconds from another time to this one; what does not fit is the largest duration.
    pub(super) fn since(&self, other: &Self) -> i64 {
        let total = |time: &Self| {
            i128::from(time.seconds) * i128::from(SECOND) + i128::from(time.nanoseconds)
        };
        let difference = total(self) - total(other);
        let limit = i128::from(if difference < 0 { i64::MIN } else { i64::MAX });
        i64::try_from(difference).unwrap_or_else(|_| i64::try_from(limit).unwrap_or(0))
    }

    pub(super) fn add_date(&self, years: i64, months: i64, days: i64) -> Self {
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
            seconds: start + clock - self.zone.offset(),
            ..self.clone()
        }
    }

    /// `Time.Round` and `Time.Truncate`: the remainder of the time since the year 1, by a duration
    /// above zero.
    pub(super) fn remainder(&self, unit: i64) -> i64 {
        let seconds = i128::from(self.since_year_1());
        let total = seconds * i128::from(SECOND) + i128::from(self.nanoseconds);
        i64::try_from(total.rem_euclid(i128::from(unit))).unwrap_or(0)
    }

    /// Seconds since the year 1.
    pub(super) fn since_year_1(&self) -> i64 {
        self.seconds.wrapping_sub(ZERO)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.seconds == ZERO && self.nanoseconds == 0
    }

    /// `Time.String`.
    pub(super) fn text(&self) -> String {
        layout::format("2006-01-02 15:04:05.999999999 -0700 MST", self)
    }

    /// As `encoding/json` writes it, or why it cannot.
    pub(super) fn rfc3339(&self) -> Result<String, &'static str> {
        if !(0..=9999).contains(&self.civil().year) {
            return Err("year outside of range [0,9999]");
        }
        if self.zone.offset().abs() >= 24 * 3600 {
            return Err("timezone hour outside of range [0,23]");
        }
        Ok(layout::format(RFC3339, self))
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
        methods::find(name)
    }

    fn call(&self, _: &mut dyn Context, method: &str, args: &[Value]) -> Result<Value, Failure> {
        methods::call(self, method, args)
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        None
    }

    fn go_string(&self) -> Option<String> {
        Some(self.text())
    }

    fn identity(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }

    fn encoded(&self) -> Encoded {
        let toml = match self.zone.location() {
            DATETIME_LOCAL => "2006-01-02T15:04:05.999999999",
            DATE_LOCAL => "2006-01-02",
            TIME_LOCAL => "15:04:05.999999999",
            _ => RFC3339,
        };
        Encoded::Time(EncodedTime {
            text: layout::format(RFC3339, self),
            toml: layout::format(toml, self),
            refused: self.rfc3339().err(),
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
