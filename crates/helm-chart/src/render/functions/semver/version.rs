//! A version, which templates see as `*semver.Version`.

use std::any::Any;
use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::LazyLock;

use super::super::super::func::{Context, Failure, Method, Param};
use super::super::super::value::{Encoded, IntType, Object, Str, Value};
use super::super::args::panic;
use super::super::number::{NumberError, parse_uint};
use super::super::regex::Compiled;
use super::compare_prerelease;

/// The longest version that is read.
const MAX_LENGTH: usize = 256;

/// A version that is nearly semantic: `v1` and `1.2` are ones.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Version {
    pub(super) major: u64,
    pub(super) minor: u64,
    pub(super) patch: u64,
    pub(super) prerelease: String,
    metadata: String,
    original: String,
    /// Whether it is a `semver.Version`, which methods give back, and not a pointer to one.
    by_value: bool,
}

impl Version {
    /// `semver.NewVersion`.
    ///
    /// # Errors
    /// What the package says.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        static LOOSE: LazyLock<Compiled> = LazyLock::new(|| {
            Compiled::own(concat!(
                r"^v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?",
                r"(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?",
                r"(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?$"
            ))
        });
        if text.len() > MAX_LENGTH {
            return Err(format!(
                "version string is too long (max {MAX_LENGTH} bytes)"
            ));
        }
        let Some(groups) = LOOSE.groups(text) else {
            return Err("invalid semantic version".to_owned());
        };
        let version = Self {
            major: segment(groups[1])?,
            minor: segment(groups[2].trim_start_matches('.'))?,
            patch: segment(groups[3].trim_start_matches('.'))?,
            prerelease: groups[5].to_owned(),
            metadata: groups[8].to_owned(),
            original: text.to_owned(),
            by_value: false,
        };
        if !version.prerelease.is_empty() {
            check_prerelease(&version.prerelease)?;
        }
        Ok(version)
    }

    /// `Version.Compare`: metadata does not count.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| {
            match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => compare_prerelease(&self.prerelease, &other.prerelease),
            }
        })
    }

    fn text(&self) -> String {
        let mut text = format!("{}.{}.{}", self.major, self.minor, self.patch);
        if !self.prerelease.is_empty() {
            text.push('-');
            text.push_str(&self.prerelease);
        }
        if !self.metadata.is_empty() {
            text.push('+');
            text.push_str(&self.metadata);
        }
        text
    }

    /// A version made of this one, as `IncMajor` and its kin give it.
    fn changed(&self, change: impl FnOnce(&mut Self)) -> Value {
        let mut changed = self.clone();
        changed.by_value = true;
        change(&mut changed);
        let prefix = if self.original.starts_with('v') {
            "v"
        } else {
            ""
        };
        changed.original = format!("{prefix}{}", changed.text());
        Value::Object(Rc::new(changed))
    }

    fn increment(&self, name: &str) -> Result<Value, Failure> {
        let overflow =
            |segment: &str| panic(format!("{segment} version increment would overflow uint64"));
        let next =
            |number: u64, segment: &str| number.checked_add(1).ok_or_else(|| overflow(segment));
        let (major, minor, patch) = match name {
            "IncMajor" => (next(self.major, "major")?, 0, 0),
            "IncMinor" => (self.major, next(self.minor, "minor")?, 0),
            _ if self.prerelease.is_empty() => (self.major, self.minor, next(self.patch, "patch")?),
            _ => (self.major, self.minor, self.patch),
        };
        Ok(self.changed(|version| {
            (version.major, version.minor, version.patch) = (major, minor, patch);
            version.prerelease.clear();
            version.metadata.clear();
        }))
    }
}

fn segment(digits: &str) -> Result<u64, String> {
    if digits.is_empty() {
        return Ok(0);
    }
    parse_uint(digits, 10).map_err(|problem| {
        let problem = match problem {
            NumberError::Syntax => "invalid syntax",
            NumberError::Range(_) => "value out of range",
        };
        format!("error parsing version segment: strconv.ParseUint: parsing \"{digits}\": {problem}")
    })
}

fn check_prerelease(text: &str) -> Result<(), String> {
    for part in text.split('.') {
        if part.is_empty() {
            return Err("invalid prerelease string".to_owned());
        }
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && part.len() > 1 && part.starts_with('0') {
            return Err("version segment starts with 0".to_owned());
        }
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !part.bytes().all(is_allowed) {
            return Err("invalid prerelease string".to_owned());
        }
    }
    Ok(())
}

fn check_metadata(text: &str) -> Result<(), String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let fits = |part: &str| !part.is_empty() && part.bytes().all(is_allowed);
    if text.split('.').all(fits) {
        Ok(())
    } else {
        Err("invalid metadata string".to_owned())
    }
}

const POINTER: Param = Param::Named("*semver.Version");

impl Object for Version {
    fn type_name(&self) -> &'static str {
        if self.by_value {
            "semver.Version"
        } else {
            "*semver.Version"
        }
    }

    fn kind(&self) -> &'static str {
        if self.by_value { "struct" } else { "ptr" }
    }

    fn field(&self, _: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Method> {
        let params: &[Param] = match name {
            "Major" | "Minor" | "Patch" | "Prerelease" | "Metadata" | "String" | "IncPatch"
            | "IncMinor" | "IncMajor" | "MarshalJSON" | "MarshalText" | "Value" => &[],
            "SetPrerelease" | "SetMetadata" => &[Param::String],
            // Of the pointer only.
            "Original" if !self.by_value => &[],
            "Compare" | "LessThan" | "LessThanEqual" | "GreaterThan" | "GreaterThanEqual"
            | "Equal"
                if !self.by_value =>
            {
                &[POINTER]
            }
            _ => return None,
        };
        Some(Method {
            params,
            variadic: None,
        })
    }

    fn call(&self, _: &mut dyn Context, method: &str, args: &[Value]) -> Result<Value, Failure> {
        let number = |number: u64| Value::Int(number.cast_signed(), IntType::Uint64);
        let text = match args.first() {
            Some(Value::String(text)) => text.clone(),
            _ => "".into(),
        };
        let order = match args.first() {
            Some(Value::Object(other)) => other
                .as_any()
                .downcast_ref::<Self>()
                .map_or(Ordering::Equal, |other| self.compare(other)),
            _ => Ordering::Equal,
        };
        Ok(match method {
            "Major" => number(self.major),
            "Minor" => number(self.minor),
            "Patch" => number(self.patch),
            "Prerelease" => Value::from(&*self.prerelease),
            "Metadata" => Value::from(&*self.metadata),
            "Original" => Value::from(&*self.original),
            "MarshalJSON" => Value::Bytes(format!("\"{}\"", self.text()).into_bytes().into()),
            "MarshalText" => Value::Bytes(self.text().into_bytes().into()),
            "Compare" => Value::int(order as i64),
            "LessThan" => order.is_lt().into(),
            "LessThanEqual" => order.is_le().into(),
            "GreaterThan" => order.is_gt().into(),
            "GreaterThanEqual" => order.is_ge().into(),
            "Equal" => order.is_eq().into(),
            "SetPrerelease" => {
                if !text.is_empty() {
                    check_prerelease(&text).map_err(Failure::Error)?;
                }
                self.changed(|version| version.prerelease = text.to_string())
            }
            "SetMetadata" => {
                if !text.is_empty() {
                    check_metadata(&text).map_err(Failure::Error)?;
                }
                self.changed(|version| version.metadata = text.to_string())
            }
            "IncPatch" | "IncMinor" | "IncMajor" => self.increment(method)?,
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
        Encoded::Value(Value::from(self.text()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
