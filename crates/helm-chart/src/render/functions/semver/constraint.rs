//! Constraints on versions: `>=1.2, <2 || ~3.1`.

use std::cmp::Ordering;
use std::sync::LazyLock;

use super::super::super::format::quote;
use super::super::regex::Compiled;
use super::{Version, compare_prerelease};

/// The longest constraint that is read, and the most alternatives.
const MAX_LENGTH: usize = 512;
const MAX_GROUPS: usize = 32;

/// The package's own expressions, whose odd corners are part of what they accept: `[0-9|x]`.
struct Expressions {
    one: Compiled,
    range: Compiled,
    find: Compiled,
    valid: Compiled,
}

static EXPRESSIONS: LazyLock<Expressions> = LazyLock::new(|| {
    const VERSION: &str = concat!(
        r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?",
        r"(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?",
        r"(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?"
    );
    const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
    Expressions {
        one: Compiled::own(&format!(r"^\s*({OPERATORS})\s*({VERSION})\s*$")),
        range: Compiled::own(&format!(r"\s*({VERSION})\s+-\s+({VERSION})\s*")),
        find: Compiled::own(&format!(r"({OPERATORS})\s*({VERSION})")),
        valid: Compiled::own(&format!(
            r"^(\s*({OPERATORS})\s*({VERSION})\s*)((?:\s+|,\s*)({OPERATORS})\s*({VERSION})\s*)*$"
        )),
    }
});

/// Alternatives, each of which is a list of constraints that all must hold.
pub(super) struct Constraints(Vec<Vec<Constraint>>);

struct Constraint {
    operator: String,
    version: Version,
    /// Parts are missing, or wildcards.
    dirty: bool,
    minor_dirty: bool,
    patch_dirty: bool,
}

/// `semver.NewConstraint`.
pub(super) fn parse(text: &str) -> Result<Constraints, String> {
    if text.len() > MAX_LENGTH {
        return Err(format!(
            "constraint string is too long (max {MAX_LENGTH} bytes)"
        ));
    }
    let text = rewrite_ranges(text);
    let groups: Vec<&str> = text.split("||").collect();
    if groups.len() > MAX_GROUPS {
        return Err(format!("too many constraint groups (max {MAX_GROUPS})"));
    }
    let parse_group = |group: &&str| {
        if !EXPRESSIONS.valid.matches(group) {
            return Err(format!("improper constraint: {}", quote(group, false)));
        }
        let found = EXPRESSIONS.find.all_groups(group);
        if found.is_empty() {
            return Ok(vec![Constraint::parse(group)?]);
        }
        found
            .iter()
            .map(|groups| Constraint::parse(groups[0]))
            .collect()
    };
    Ok(Constraints(
        groups
            .iter()
            .map(parse_group)
            .collect::<Result<_, String>>()?,
    ))
}

/// `1.2 - 2` becomes `>= 1.2, <= 2`.
fn rewrite_ranges(text: &str) -> String {
    let mut rewritten = text.to_owned();
    for groups in EXPRESSIONS.range.all_groups(text) {
        let comparison = format!(">= {}, <= {} ", groups[1], groups[11]);
        rewritten = rewritten.replacen(groups[0], &comparison, 1);
    }
    rewritten
}

impl Constraints {
    /// `Constraints.Check`.
    pub(super) fn allows(&self, version: &Version) -> bool {
        self.0.iter().any(|group| {
            // A pre-release counts only where one is asked for.
            let takes_prereleases = group.iter().any(|one| !one.version.prerelease.is_empty());
            let is_candidate = version.prerelease.is_empty() || takes_prereleases;
            group.iter().all(|one| is_candidate && one.allows(version))
        })
    }
}

impl Constraint {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self {
                operator: String::new(),
                version: Version::parse("0.0.0")?,
                dirty: true,
                minor_dirty: false,
                patch_dirty: false,
            });
        }
        let Some(groups) = EXPRESSIONS.one.groups(text) else {
            return Err(format!("improper constraint: {}", quote(text, false)));
        };
        let is_wild = |part: &str| {
            matches!(part, "" | ".") || matches!(part, "x" | "X" | "*" | ".x" | ".X" | ".*")
        };
        let (major, minor, patch, prerelease) = (groups[3], groups[4], groups[5], groups[6]);
        let (text, minor_dirty, patch_dirty, dirty) = if is_wild(major) {
            (format!("0.0.0{prerelease}"), false, false, true)
        } else if is_wild(minor) {
            (format!("{major}.0.0{prerelease}"), true, false, true)
        } else if is_wild(patch) {
            (format!("{major}{minor}.0{prerelease}"), false, true, true)
        } else {
            (groups[2].to_owned(), false, false, false)
        };
        Ok(Self {
            operator: groups[1].to_owned(),
            version: Version::parse(&text).map_err(|_| "constraint parser error".to_owned())?,
            dirty,
            minor_dirty,
            patch_dirty,
        })
    }

    fn allows(&self, version: &Version) -> bool {
        let order = version.compare(&self.version);
        match &*self.operator {
            "!=" => self.differs(version),
            ">" => self.is_below(version, order),
            "<" => order.is_lt(),
            ">=" | "=>" => order.is_ge(),
            "<=" | "=<" => self.is_at_or_above(version, order),
            "~" | "~>" => self.tilde(version, order),
            "^" => self.caret(version, order),
            _ if self.dirty => self.tilde(version, order),
            _ => order.is_eq(),
        }
    }

    fn differs(&self, version: &Version) -> bool {
        if !self.dirty {
            return version.compare(&self.version).is_ne();
        }
        if self.version.major != version.major {
            return true;
        }
        if self.minor_dirty {
            return false;
        }
        if self.version.minor != version.minor {
            return true;
        }
        if self.patch_dirty {
            let (a, b) = (&version.prerelease, &self.version.prerelease);
            return !(a.is_empty() && b.is_empty()) && compare_prerelease(a, b).is_ne();
        }
        self.version.patch != version.patch || version.compare(&self.version).is_ne()
    }

    /// `>`: `>11` starts at 12, `>11.1` at 11.2.
    fn is_below(&self, version: &Version, order: Ordering) -> bool {
        if !self.dirty || version.major != self.version.major {
            return if self.dirty {
                version.major > self.version.major
            } else {
                order.is_gt()
            };
        }
        if self.minor_dirty {
            false
        } else if self.patch_dirty {
            version.minor > self.version.minor
        } else {
            order.is_gt()
        }
    }

    /// `<=`: `<=11` is all of 11.
    fn is_at_or_above(&self, version: &Version, order: Ordering) -> bool {
        if !self.dirty {
            return order.is_le();
        }
        match version.major.cmp(&self.version.major) {
            Ordering::Greater => false,
            Ordering::Equal => self.minor_dirty || version.minor <= self.version.minor,
            Ordering::Less => true,
        }
    }

    fn tilde(&self, version: &Version, order: Ordering) -> bool {
        if order.is_lt() {
            return false;
        }
        let wanted = &self.version;
        let is_zero = wanted.major == 0 && wanted.minor == 0 && wanted.patch == 0;
        if is_zero && !self.minor_dirty && !self.patch_dirty {
            return true;
        }
        version.major == wanted.major && (self.minor_dirty || version.minor == wanted.minor)
    }

    fn caret(&self, version: &Version, order: Ordering) -> bool {
        if order.is_lt() {
            return false;
        }
        let wanted = &self.version;
        if wanted.major > 0 || self.minor_dirty {
            return version.major == wanted.major;
        }
        if version.major > 0 {
            return false;
        }
        if wanted.minor > 0 || self.patch_dirty {
            return version.minor == wanted.minor;
        }
        version.minor == 0 && version.patch == wanted.patch
    }
}
