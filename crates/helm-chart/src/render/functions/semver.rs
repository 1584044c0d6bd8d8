//! `semver` and `semverCompare`: package Masterminds/semver 3.5.

use std::any::Any;
use std::cmp::Ordering;
use std::rc::Rc;

use super::super::func::{Context, Failure, Func, Method, Param};
use super::super::value::{Encoded, IntType, Object, Str, Value};
use super::args::{error, panic, text};
use super::fixed;
use crate::version::{self, Constraint, check_metadata, check_prerelease};
use Param::String as Text;

pub(super) const FUNCS: &[Func] = &[
    fixed("semver", &[Text], |ctx, args| {
        ctx.step(text(args, 0).len())?;
        let version = Version::parse(text(args, 0)).map_err(error)?;
        Ok(Value::Object(Rc::new(version)))
    }),
    fixed("semverCompare", &[Text, Text], |ctx, args| {
        ctx.step(text(args, 0).len() + text(args, 1).len())?;
        let constraint = Constraint::parse(text(args, 0)).map_err(error)?;
        let version = version::Version::parse(text(args, 1)).map_err(error)?;
        Ok(constraint.allows(&version).into())
    }),
];

/// A version, which templates see as `*semver.Version`.
#[derive(Debug, Clone, Default)]
pub(super) struct Version {
    parsed: version::Version,
    /// As it was written.
    original: String,
    /// Whether it is a `semver.Version`, which methods give back, and not a pointer to one.
    by_value: bool,
}

impl Version {
    /// `semver.NewVersion`.
    ///
    /// # Errors
    /// What the package says.
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self {
            parsed: version::Version::parse(text)?,
            original: text.to_owned(),
            by_value: false,
        })
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.parsed.precedence(&other.parsed)
    }

    fn text(&self) -> String {
        self.parsed.to_string()
    }

    /// A version made of this one, as `IncMajor` and its kin give it.
    fn changed(&self, change: impl FnOnce(&mut version::Version)) -> Value {
        let mut changed = self.clone();
        changed.by_value = true;
        change(&mut changed.parsed);
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
            "IncMajor" => (next(self.parsed.major, "major")?, 0, 0),
            "IncMinor" => (self.parsed.major, next(self.parsed.minor, "minor")?, 0),
            _ if self.parsed.prerelease.is_empty() => (
                self.parsed.major,
                self.parsed.minor,
                next(self.parsed.patch, "patch")?,
            ),
            _ => (self.parsed.major, self.parsed.minor, self.parsed.patch),
        };
        Ok(self.changed(|version| {
            (version.major, version.minor, version.patch) = (major, minor, patch);
            version.prerelease.clear();
            version.metadata.clear();
        }))
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
        Some(Method::new(params))
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
            "Major" => number(self.parsed.major),
            "Minor" => number(self.parsed.minor),
            "Patch" => number(self.parsed.patch),
            "Prerelease" => Value::from(&*self.parsed.prerelease),
            "Metadata" => Value::from(&*self.parsed.metadata),
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
