//! Versions and constraints of versions as Helm reads them.
//!
//! Helm uses Masterminds/semver v3.5, which is more lenient than semver.org (a `v` in front, one to
//! three numbers) and whose constraints differ from Cargo's and npm's. The rules and the error texts
//! are from its `version.go` and `constraints.go`.

use std::cmp::Ordering;
use std::fmt;
use std::num::IntErrorKind;

mod constraint;

pub use constraint::Constraint;

/// Masterminds' `MaxVersionLen`, in bytes.
const MAX_VERSION: usize = 256;

/// A version that is nearly semantic: `v1` and `1.2` are ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// The first number.
    pub major: u64,
    /// The second number.
    pub minor: u64,
    /// The third number.
    pub patch: u64,
    /// What follows `-`, or nothing.
    pub prerelease: String,
    /// What follows `+`, or nothing.
    pub metadata: String,
}

impl Version {
    /// Reads a version as `semver.NewVersion` does: with or without a leading `v`, and with one to three
    /// numbers, which may start with zeros.
    ///
    /// # Errors
    /// Masterminds' own text for what is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_VERSION {
            return Err(format!(
                "version string is too long (max {MAX_VERSION} bytes)"
            ));
        }
        let invalid = || "invalid semantic version".to_owned();
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (numbers, rest) = rest.split_at(rest.find(['-', '+']).unwrap_or(rest.len()));
        let is_number =
            |number: &&str| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let numbers: Vec<&str> = numbers.split('.').collect();
        if numbers.len() > 3 || !numbers.iter().all(is_number) {
            return Err(invalid());
        }
        let (prerelease, metadata) = match rest.split_once('+') {
            Some((prerelease, metadata)) => (prerelease, Some(metadata)),
            None => (rest, None),
        };
        let prerelease = prerelease.strip_prefix('-');
        for part in [prerelease, metadata].into_iter().flatten() {
            if !is_identifiers(part) {
                return Err(invalid());
            }
        }
        let number = |index: usize| numbers.get(index).map_or(Ok(0), |digits| segment(digits));
        let version = Self {
            major: number(0)?,
            minor: number(1)?,
            patch: number(2)?,
            prerelease: prerelease.unwrap_or_default().to_owned(),
            metadata: metadata.unwrap_or_default().to_owned(),
        };
        if !version.prerelease.is_empty() {
            check_prerelease(&version.prerelease)?;
        }
        Ok(version)
    }

    /// `Version.Compare`: metadata does not count.
    #[must_use]
    pub fn precedence(&self, other: &Self) -> Ordering {
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
}

impl Ord for Version {
    /// By precedence, and where that is the same by metadata.
    fn cmp(&self, other: &Self) -> Ordering {
        self.precedence(other)
            .then_with(|| self.metadata.cmp(&other.metadata))
            .then_with(|| self.prerelease.cmp(&other.prerelease))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `Version.String`: three numbers, whatever was written.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(f, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

fn segment(digits: &str) -> Result<u64, String> {
    digits.parse().map_err(|error: std::num::ParseIntError| {
        let problem = match error.kind() {
            IntErrorKind::PosOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("error parsing version segment: strconv.ParseUint: parsing \"{digits}\": {problem}")
    })
}

/// Whether a text is words of letters, digits and `-` with dots between them.
fn is_identifiers(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.split('.')
        .all(|part| !part.is_empty() && part.bytes().all(is_allowed))
}

/// Checks a prerelease without its `-`.
///
/// # Errors
/// Masterminds' own text for what is none.
pub(crate) fn check_prerelease(text: &str) -> Result<(), String> {
    for part in text.split('.') {
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && part.len() > 1 && part.starts_with('0') {
            return Err("version segment starts with 0".to_owned());
        }
        if !is_identifiers(part) {
            return Err("invalid prerelease string".to_owned());
        }
    }
    Ok(())
}

/// Checks metadata without its `+`.
///
/// # Errors
/// Masterminds' own text for what is none.
pub(crate) fn check_metadata(text: &str) -> Result<(), String> {
    if is_identifiers(text) {
        Ok(())
    } else {
        Err("invalid metadata string".to_owned())
    }
}

/// Compares the parts of prereleases: numbers are less than words.
fn compare_prerelease(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => compare_part(a.unwrap_or(""), b.unwrap_or("")),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_part(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    if a.is_empty() || b.is_empty() {
        return a.len().cmp(&b.len());
    }
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Err(_), Err(_)) => a.cmp(b),
        (Err(_), Ok(_)) => Ordering::Greater,
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
    }
}

/// Reads a version as [`Version::parse`] does. `None` for what that refuses.
#[must_use]
pub fn parse(text: &str) -> Option<Version> {
    Version::parse(text).ok()
}

/// Whether two texts name one version: `v7` is `7.0.0`. Build metadata counts, and `_` is the `+` that
/// a tag cannot have.
#[must_use]
pub fn is_equal(a: &str, b: &str) -> bool {
    let [a, b] = [a, b].map(|text| text.replace('_', "+"));
    match (parse(&a), parse(&b)) {
        (Some(a), Some(b)) => a == b,
        _ => a.strip_prefix('v').unwrap_or(&a) == b.strip_prefix('v').unwrap_or(&b),
    }
}

/// Whether a version satisfies a constraint: Helm's `IsCompatibleRange`, which is false for anything
/// that cannot be read.
#[must_use]
pub fn is_compatible(constraint: &str, version: &str) -> bool {
    match (Constraint::parse(constraint), parse(version)) {
        (Ok(constraint), Some(version)) => constraint.allows(&version),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Masterminds/semver v3.5 says of each.
    #[test]
    fn constraints_allow_what_helm_allows() {
        for (constraint, allowed, refused) in [
            ("1.2.3", "v1.2.3", "1.2.4"),
            ("1.2", "1.2.9", "1.3.0"),
            ("1", "1.9.9", "2.0.0"),
            ("*", "9.9.9", "9.9.9-rc1"),
            ("^1.2", "1.9.0", "2.0.0"),
            ("^0.2.3", "0.2.9", "0.3.0"),
            ("^0.0.3", "0.0.3", "0.0.4"),
            ("^0.0", "0.0.9", "0.1.0"),
            ("^0", "0.9.0", "1.0.0"),
            ("~1.2.3", "1.2.9", "1.3.0"),
            ("~1", "1.9.9", "2.0.0"),
            ("~>1.2", "1.2.9", "1.3.0"),
            (">1", "2.0.0", "1.9.9"),
            (">1.2", "1.3.0", "1.2.9"),
            ("<=1.2", "1.2.9", "1.3.0"),
            ("<=1", "1.9.9", "2.0.0"),
            ("=<1.2.3", "1.2.3", "1.2.4"),
            ("=>1.2.3", "1.2.3", "1.2.2"),
            ("!=1.2", "1.3.0", "1.2.9"),
            ("!=1.x", "2.0.0", "1.2.9"),
            ("!=1.2.3", "1.2.4", "1.2.3"),
            (">=1.2, <2", "1.9.0", "2.0.0"),
            (">= 1.2 < 2 || 3.x", "3.4.5", "2.0.0"),
            ("1.0 - 2.0", "2.0.0", "2.1.0"),
            ("1 - 2", "2.9.0", "3.0.0"),
            (">=1.0.0-0", "1.0.0-rc1", "0.9.0"),
            ("~1.2.3-beta.2", "1.2.3-beta.10", "1.2.3-beta.1"),
            ("1.2.3+meta", "1.2.3", "1.2.4"),
            ("x.x.x", "0.0.1", "0.0.1-a"),
            ("~0.0.0", "7.0.0", "0.0.0-a"),
        ] {
            assert!(is_compatible(constraint, allowed), "{constraint} {allowed}");
            assert!(
                !is_compatible(constraint, refused),
                "{constraint} {refused}"
            );
        }
        for broken in [
            "a", ">", "1.2.3.4", "1,,2", "1 -", "1.xx", ">=1<2", "1||||", "1x",
        ] {
            assert!(Constraint::parse(broken).is_err(), "{broken}");
            assert!(!is_compatible(broken, "1.2.3"), "{broken}");
        }
    }

    #[test]
    fn versions_are_equal_in_any_spelling() {
        for (a, b) in [("7", "7.0.0"), ("v1.2", "1.2.0"), ("1.0.0+a", "1.0.0_a")] {
            assert!(is_equal(a, b), "{a} {b}");
        }
        for (a, b) in [("7", "7.0.1"), ("1.0.0", "1.0.0-a"), ("1.0.0+a", "1.0.0+b")] {
            assert!(!is_equal(a, b), "{a} {b}");
        }
    }

    #[test]
    fn zeros_in_front_of_a_number_are_no_error() {
        assert_eq!(parse("3.3.001"), parse("3.3.1"));
        assert_eq!(parse("00.8"), parse("0.8.0"));
        assert!(parse("1..2").is_none() && parse("1.2.3.4").is_none());
    }
}
