//! Problems of the input as values: a stage collects all its problems and reports them together, so that a file
//! needs to be fixed only once.

mod grouping;
mod spelling;

use std::fmt;

pub use grouping::group;
pub use spelling::{did_you_mean, nearest, slip, squash};

/// A problem that keeps a run from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it is: a file and line, a flag, a chart.
    pub place: String,
    /// What is wrong there.
    pub what: String,
    /// What to do about it, as further lines.
    pub remedy: Option<String>,
    /// Whether the input or a service caused it.
    pub cause: Cause,
    /// What other problems can have in common with it.
    pub shared: Option<Box<SharedCause>>,
}

/// A cause that several problems can have, such as a network that is down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedCause {
    /// The cause, without what differs from problem to problem.
    pub why: String,
    /// The host that it concerns.
    pub host: String,
    /// What has the problem.
    pub item: String,
    /// Whether other hosts have the same problem for the same reason.
    pub is_of_network: bool,
}

/// The cause of a problem; it decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The input: exit code 2.
    Input,
    /// A service, such as a chart repository that does not respond: exit code 1.
    Outside,
}

impl Problem {
    /// A problem of the input.
    pub fn input(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
            remedy: None,
            cause: Cause::Input,
            shared: None,
        }
    }

    /// A problem of a service; the text is the whole chain of `error`.
    pub fn outside(place: impl Into<String>, error: &anyhow::Error) -> Self {
        Self {
            place: place.into(),
            what: format!("{error:#}"),
            remedy: None,
            cause: Cause::Outside,
            shared: None,
        }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Short(&self.place), Short(&self.what))?;
        for line in self.remedy.iter().flat_map(|remedy| remedy.lines()) {
            write!(f, "\n      {}", Short(line))?;
        }
        Ok(())
    }
}

/// A text, cut if it is too long: texts from files and servers can have megabytes.
struct Short<'a>(&'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 2_000;
        let end = self.0.char_indices().nth(MOST).map(|(end, _)| end);
        for letter in self.0[..end.unwrap_or(self.0.len())].chars() {
            // Without line ends, so that no part of it looks like another message.
            if letter.is_control() {
                write!(f, "{}", letter.escape_debug())?;
            } else {
                write!(f, "{letter}")?;
            }
        }
        match end {
            None => Ok(()),
            Some(_) => write!(f, " … ({} bytes)", self.0.len()),
        }
    }
}

/// All problems of one stage; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `Ok` if there are none.
    ///
    /// # Errors
    /// All of them, if there are any.
    pub fn check(list: Vec<Problem>) -> Result<(), Self> {
        if list.is_empty() {
            Ok(())
        } else {
            Err(Self(list))
        }
    }

    /// The value that was put together while the problems were collected.
    ///
    /// # Errors
    /// All problems, if there are any.
    pub fn or<T>(list: Vec<Problem>, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if list.is_empty() => Ok(value),
            None if list.is_empty() => Err(Problem::input(
                "replicator",
                "a problem was found but not recorded (please report this)",
            )
            .into()),
            Some(_) | None => Err(Self(list)),
        }
    }

    /// Two results together, or the problems of both.
    ///
    /// # Errors
    /// All problems of the two.
    pub fn both<A, B>(a: Result<A, Self>, b: Result<B, Self>) -> Result<(A, B), Self> {
        match (a, b) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            (Err(Self(mut a)), Err(Self(b))) => {
                a.extend(b);
                Err(Self(a))
            }
            (Err(problems), Ok(_)) | (Ok(_), Err(problems)) => Err(problems),
        }
    }

    /// The problems, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// Whether only the input is wrong.
    #[must_use]
    pub fn is_input(&self) -> bool {
        self.0.iter().all(|problem| problem.cause == Cause::Input)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => one.fmt(f),
            many => {
                write!(f, "{} problems, nothing was started", many.len())?;
                many.iter()
                    .try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

impl std::error::Error for Problems {}

/// Whether an error says that only the input is wrong: exit code 2, and nothing was started.
#[must_use]
pub fn is_input(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    let problems = causes.find_map(|cause| cause.downcast_ref::<Problems>());
    problems.is_some_and(Problems::is_input)
}

/// An error's levels in one text, none of them twice in a row.
#[must_use]
pub fn chain(error: &anyhow::Error) -> String {
    let mut levels: Vec<String> = Vec::new();
    for cause in error.chain() {
        let level = cause.to_string();
        // A transparent level has the text of the one below it.
        if !levels.last().is_some_and(|last| last.ends_with(&level)) {
            levels.push(level);
        }
    }
    levels.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_megabytes_is_cut() {
        let problem = Problem::input("place", "ü".repeat(1_000_000)).remedy("short");
        let told = problem.to_string();
        assert!(told.len() < 5_000 && told.contains("… (2000000 bytes)\n      short"));
    }

    #[test]
    fn a_foreign_text_is_shown_in_one_line() {
        let problem = Problem::input("a\nb", "c\u{1b}[2J\r\n  - d").remedy("e\nf");
        assert_eq!(
            problem.to_string(),
            "a\\nb: c\\u{1b}[2J\\r\\n  - d\n      e\n      f"
        );
    }
}
