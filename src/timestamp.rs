//! Points in time as documents write them: UTC, to the second, such as `2026-11-26T21:40:00Z` (RFC 3339).

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const DAY: u64 = 86_400;

/// A point in time since 1970, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Timestamp(u64);

/// Why a text is no point in time.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a time such as 2026-11-26T21:40:00Z")]
pub struct InvalidTimestamp(String);

impl Timestamp {
    /// The present.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// So many seconds after the beginning of 1970.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The same some time earlier, at the earliest 1970.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_secs()))
    }

    /// The same some time later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// The time since an earlier point in time; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// The date, such as `2026-11-26`.
    #[must_use]
    pub fn date(self) -> String {
        let (year, month, day) = civil(self.0 / DAY);
        format!("{year:04}-{month:02}-{day:02}")
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH);
        Self(since.as_ref().map_or(0, Duration::as_secs))
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(text: String) -> Result<Self, InvalidTimestamp> {
        text.parse()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.0 % DAY;
        let (hours, minutes, seconds) = (rest / 3600, rest % 3600 / 60, rest % 60);
        write!(f, "{}T{hours:02}:{minutes:02}:{seconds:02}Z", self.date())
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Reads exactly what is written.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let invalid = || InvalidTimestamp(text.chars().take(40).collect());
        let number = |range: std::ops::Range<usize>| {
            let digits = text.get(range)?;
            digits.parse::<u64>().ok()
        };
        let read = || {
            let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
            let (hours, minutes, seconds) = (number(11..13)?, number(14..16)?, number(17..19)?);
            let is_sound = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day);
            let time = hours * 3600 + minutes * 60 + seconds;
            is_sound.then(|| Self(days(year, month, day) * DAY + time))
        };
        // Whatever is not written in this form is not read in it either.
        read()
            .filter(|time| time.to_string() == text)
            .ok_or_else(invalid)
    }
}

/// A time as `2026-11-26T21:40:00Z`; one before 1970 counts as 1970.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    Timestamp::from(time).to_string()
}

/// Howard Hinnant's `civil_from_days`, for days since 1970: year, month and day.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// His `days_from_civil`, for years since 1970.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let shifted_month = (month + 9) % 12;
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_826_554, "2000-02-29T12:15:54Z"),
            (1_795_729_199, "2026-11-26T21:39:59Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp(seconds).to_string(), text);
            assert_eq!(text.parse::<Timestamp>().unwrap(), Timestamp(seconds));
        }
        for day in 0..60_000 {
            let time = Timestamp(day * DAY + 1);
            assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "2026-11-26",
            "2026-02-30T00:00:00Z",
            "2026-11-26T24:00:00Z",
            "2026-11-26T21:40:00+01:00",
            "1969-12-31T23:59:59Z",
            "+026-11-26T21:40:00Z",
            "２０26-11-26T21:40:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
