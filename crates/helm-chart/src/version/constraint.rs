//! Constraints on versions.

use super::Version;
use crate::strconv::quote;

/// Masterminds' `MaxConstraintLen`, in bytes.
const MAX_CONSTRAINT: usize = 512;

/// Masterminds' `MaxConstraintGroups`.
const MAX_GROUPS: usize = 32;

/// A constraint such as `>=1.2 <2 || ~3.1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint(Vec<Group>);

/// Comparisons that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    comparisons: Vec<Comparison>,
    /// Whether one of them names a prerelease: only then are prereleases considered.
    prereleases: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    operator: Operator,
    version: Version,
    wildcard: Wildcard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

/// The first part of a version that is missing or `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wildcard {
    None,
    Major,
    Minor,
    Patch,
}

/// In an order in which the longer of two wins.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterEqual),
    ("=>", Operator::GreaterEqual),
    ("<=", Operator::LessEqual),
    ("=<", Operator::LessEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

impl Constraint {
    /// Reads a constraint.
    ///
    /// # Errors
    /// Masterminds' own text for what is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_CONSTRAINT {
            return Err(format!(
                "constraint string is too long (max {MAX_CONSTRAINT} bytes)"
            ));
        }
        let text = rewrite_ranges(text);
        let groups: Vec<&str> = text.split("||").collect();
        if groups.len() > MAX_GROUPS {
            return Err(format!("too many constraint groups (max {MAX_GROUPS})"));
        }
        groups
            .into_iter()
            .map(Group::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a version satisfies it.
    #[must_use]
    pub fn allows(&self, version: &Version) -> bool {
        self.0.iter().any(|group| {
            (version.prerelease.is_empty() || group.prereleases)
                && group.comparisons.iter().all(|one| one.allows(version))
        })
    }
}

impl Group {
    fn parse(text: &str) -> Result<Self, String> {
        let improper = || format!("improper constraint: {}", quote(text, false));
        let mut comparisons = Vec::new();
        let mut rest = skip_blanks(text);
        loop {
            let (operator, after) = OPERATORS
                .iter()
                .find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)))
                .unwrap_or((Operator::Equal, rest));
            let (written, after) = Written::read(skip_blanks(after)).ok_or_else(improper)?;
            comparisons.push(written.comparison(operator)?);
            let next = skip_blanks(after);
            if next.is_empty() {
                break;
            }
            rest = match next.strip_prefix(',') {
                Some(next) => skip_blanks(next),
                None if next.len() < after.len() => next,
                None => return Err(improper()),
            };
        }
        let prereleases = comparisons
            .iter()
            .any(|one| !one.version.prerelease.is_empty());
        Ok(Self {
            comparisons,
            prereleases,
        })
    }
}

/// Go's `\s`.
fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches(['\t', '\n', '\x0C', '\r', ' '])
}

/// A version as a constraint writes it.
struct Written<'a> {
    text: &'a str,
    numbers: [&'a str; 3],
    prerelease: &'a str,
}

impl<'a> Written<'a> {
    /// Reads a version from the start of a text, and gives what follows.
    fn read(text: &'a str) -> Option<(Self, &'a str)> {
        let number = |text: &'a str| {
            let end = text
                .find(|letter: char| !matches!(letter, '0'..='9' | '|' | 'x' | 'X' | '*'))
                .unwrap_or(text.len());
            (end > 0).then(|| text.split_at(end))
        };
        let (first, mut rest) = number(text.strip_prefix('v').unwrap_or(text))?;
        let mut numbers = [first, "", ""];
        for place in &mut numbers[1..] {
            let Some((digits, after)) = rest.strip_prefix('.').and_then(number) else {
                break;
            };
            (*place, rest) = (digits, after);
        }
        let (prerelease, rest) = identifiers(rest, '-');
        let (_, rest) = identifiers(rest, '+');
        let text = &text[..text.len() - rest.len()];
        Some((
            Self {
                text,
                numbers,
                prerelease,
            },
            rest,
        ))
    }

    fn comparison(&self, operator: Operator) -> Result<Comparison, String> {
        let is_open = |number: &str| matches!(number, "" | "x" | "X" | "*");
        let [major, minor, patch] = self.numbers;
        let pre = self.prerelease;
        let (text, wildcard) = if is_open(major) {
            (format!("0.0.0{pre}"), Wildcard::Major)
        } else if is_open(minor) {
            (format!("{major}.0.0{pre}"), Wildcard::Minor)
        } else if is_open(patch) {
            (format!("{major}.{minor}.0{pre}"), Wildcard::Patch)
        } else {
            (self.text.to_owned(), Wildcard::None)
        };
        Ok(Comparison {
            operator,
            version: Version::parse(&text).map_err(|_| "constraint parser error".to_owned())?,
            wildcard,
        })
    }
}

/// `-a.b` or `+a.b` at the start of a text, with its sign; what follows.
fn identifiers(text: &str, sign: char) -> (&str, &str) {
    let Some(mut rest) = text.strip_prefix(sign) else {
        return ("", text);
    };
    let length = |text: &str| {
        text.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'))
            .unwrap_or(text.len())
    };
    if length(rest) == 0 {
        return ("", text);
    }
    rest = &rest[length(rest)..];
    while let Some(after) = rest.strip_prefix('.').filter(|after| length(after) > 0) {
        rest = &after[length(after)..];
    }
    text.split_at(text.len() - rest.len())
}

/// Writes `1.0 - 2.0` as two comparisons.
fn rewrite_ranges(text: &str) -> String {
    let mut rewritten = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((from, to, after)) = range(rest) {
            rewritten.extend([">= ", from, ", <= ", to, " "]);
            rest = after;
            continue;
        }
        let mut letters = rest.chars();
        rewritten.extend(letters.next());
        rest = letters.as_str();
    }
    rewritten
}

fn range(text: &str) -> Option<(&str, &str, &str)> {
    let (from, after) = Written::read(skip_blanks(text))?;
    let dash = skip_blanks(after);
    let after = dash.strip_prefix('-')?;
    let second = skip_blanks(after);
    if dash.len() == text.len() || second.len() == after.len() || dash.len() == after.len() {
        return None;
    }
    let (to, after) = Written::read(second)?;
    Some((from.text, to.text, skip_blanks(after)))
}

impl Comparison {
    /// Prereleases that the group does not consider are refused before.
    fn allows(&self, version: &Version) -> bool {
        let own = &self.version;
        let order = version.precedence(own);
        let open = self.wildcard != Wildcard::None;
        let minor_open = self.wildcard == Wildcard::Minor;
        let patch_open = self.wildcard == Wildcard::Patch;
        match self.operator {
            Operator::Equal if open => self.tilde(version),
            Operator::Equal => order.is_eq(),
            Operator::NotEqual if !open => order.is_ne(),
            Operator::NotEqual => {
                if own.major != version.major || own.minor != version.minor && !minor_open {
                    true
                } else if minor_open {
                    false
                } else if patch_open {
                    version.prerelease != own.prerelease
                } else {
                    own.patch != version.patch || order.is_ne()
                }
            }
            Operator::Greater if !open => order.is_gt(),
            Operator::Greater => {
                if version.major != own.major {
                    version.major > own.major
                } else if minor_open {
                    false
                } else if patch_open {
                    version.minor > own.minor
                } else {
                    order.is_gt()
                }
            }
            Operator::Less => order.is_lt(),
            Operator::GreaterEqual => order.is_ge(),
            Operator::LessEqual if !open => order.is_le(),
            Operator::LessEqual => {
                version.major < own.major
                    || version.major == own.major && (version.minor <= own.minor || minor_open)
            }
            Operator::Tilde => self.tilde(version),
            Operator::Caret => self.caret(version),
        }
    }

    fn tilde(&self, version: &Version) -> bool {
        let own = &self.version;
        let minor_open = self.wildcard == Wildcard::Minor;
        if version.precedence(own).is_lt() {
            return false;
        }
        let is_zero = own.major == 0 && own.minor == 0 && own.patch == 0;
        // `~0.0.0` and `*` take everything.
        if is_zero && !minor_open && self.wildcard != Wildcard::Patch {
            return true;
        }
        version.major == own.major && (version.minor == own.minor || minor_open)
    }

    fn caret(&self, version: &Version) -> bool {
        let own = &self.version;
        if version.precedence(own).is_lt() {
            return false;
        }
        if own.major > 0 || self.wildcard == Wildcard::Minor {
            return version.major == own.major;
        }
        if version.major > 0 {
            return false;
        }
        if own.minor > 0 || self.wildcard == Wildcard::Patch {
            return version.minor == own.minor;
        }
        version.minor == 0 && version.patch == own.patch
    }
}
