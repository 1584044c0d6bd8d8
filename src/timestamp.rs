//! Points in time as documents write them: UTC, to the second, such as `2026-11-26T21:40:00Z` (RFC 3339).

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The last second that a date can be written of, in the year 9999.
const LAST: u64 = 253_402_207_199;

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
        self.to_string()[..10].to_owned()
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
        let seconds = i64::try_from(self.0.min(LAST)).unwrap_or_default();
        let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        write!(f, "{time}")
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Reads exactly what is written.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let invalid = || InvalidTimestamp(text.chars().take(40).collect());
        let read = || {
            let time: jiff::Timestamp = text.parse().ok()?;
            u64::try_from(time.as_second()).ok().map(Self)
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
            let time = Timestamp(day * 86_400 + 1);
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
