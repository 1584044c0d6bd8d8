//! The rules of `.helmignore`, as Helm v3.22 has them (`pkg/ignore/rules.go`).

use std::path::Path;

use anyhow::{Context, bail};

/// The longest line, in bytes: that of Go's `bufio.Scanner`.
const MAX_LINE: usize = 64 * 1024;

/// The rules of `.helmignore`: one pattern a line, the first that says something decides. A `/` at the
/// end means folders, one elsewhere binds to the chart's folder, and `!` ignores what does *not*
/// match, which differs from `.gitignore`.
#[derive(Debug)]
pub struct Ignore(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    pattern: Vec<char>,
    negated: bool,
    folders_only: bool,
    whole_path: bool,
}

/// A pattern that Go's `filepath.Match` refuses.
#[derive(Debug, PartialEq, Eq)]
struct BadPattern;

impl Ignore {
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(".helmignore");
        let text = match std::fs::read(&file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        Self::parse(&text).with_context(|| format!("cannot use {}", file.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let mut rules = Vec::new();
        // Helm itself always leaves the last one out.
        for (number, line) in text.split('\n').chain(["templates/.?*"]).enumerate() {
            let number = number + 1;
            if line.len() >= MAX_LINE {
                bail!("line {number} has more than {MAX_LINE} bytes");
            }
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.contains("**") {
                bail!(
                    "line {number}: Helm does not support `**` in `{line}`; write one pattern for each depth, or a name without `/`, which matches at any depth"
                );
            }
            let pattern: Vec<char> = line.chars().collect();
            if matches(&pattern, &['a', 'b', 'c']).is_err() {
                bail!("line {number}: `{line}` is not a pattern: an escape or a class has no end");
            }
            rules.push(Rule::parse(line));
        }
        Ok(Self(rules))
    }

    pub(crate) fn matches(&self, path: &str, is_dir: bool) -> bool {
        for rule in &self.0 {
            let applies = is_dir || !rule.folders_only;
            if rule.negated {
                if !applies || !rule.matches(path) {
                    return true;
                }
            } else if applies && rule.matches(path) {
                return true;
            }
        }
        false
    }
}

impl Rule {
    fn parse(line: &str) -> Self {
        let (negated, line) = match line.strip_prefix('!') {
            Some(line) => (true, line),
            None => (false, line),
        };
        let (folders_only, line) = match line.strip_suffix('/') {
            Some(line) => (true, line),
            None => (false, line),
        };
        Self {
            negated,
            folders_only,
            whole_path: line.contains('/'),
            pattern: line.strip_prefix('/').unwrap_or(line).chars().collect(),
        }
    }

    fn matches(&self, path: &str) -> bool {
        let subject = if self.whole_path {
            path
        } else {
            path.rsplit('/').next().unwrap_or(path)
        };
        let subject: Vec<char> = subject.chars().collect();
        // A pattern that lost its end with the `/` matches nothing.
        matches(&self.pattern, &subject).unwrap_or(false)
    }
}

/// One step of a pattern.
enum Step {
    /// `*`: any number of letters of one folder's name.
    Star,
    /// `?`.
    Any,
    /// A letter, escaped or not.
    Letter(char),
    /// `[a-z]`, `[^a-z]`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Go's `filepath.Match` on Unix. Only the last `*` can have taken too little, so that many of them
/// cost no more than a few.
fn matches(pattern: &[char], text: &[char]) -> Result<bool, BadPattern> {
    let steps = steps(pattern)?;
    let (mut step, mut at) = (0, 0);
    // What follows the last `*`, and the text from where that was tried.
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (steps.get(step), text.get(at)) {
            (None, None) => return Ok(true),
            (Some(Step::Star), _) => {
                step += 1;
                star = Some((step, at));
            }
            (Some(single), Some(letter)) if single.takes(*letter) => {
                step += 1;
                at += 1;
            }
            _ => match star {
                Some((after, from)) if text.get(from).is_some_and(|letter| *letter != '/') => {
                    star = Some((after, from + 1));
                    (step, at) = (after, from + 1);
                }
                _ => return Ok(false),
            },
        }
    }
}

impl Step {
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => letter != '/',
            Self::Letter(own) => *own == letter,
            Self::Class { negated, ranges } => {
                let inside = |(low, high): &(char, char)| (*low..=*high).contains(&letter);
                ranges.iter().any(inside) != *negated
            }
        }
    }
}

fn steps(pattern: &[char]) -> Result<Vec<Step>, BadPattern> {
    let mut letters = pattern.iter().copied().peekable();
    let mut steps = Vec::new();
    while let Some(letter) = letters.next() {
        steps.push(match letter {
            '*' => Step::Star,
            '?' => Step::Any,
            '\\' => Step::Letter(letters.next().ok_or(BadPattern)?),
            '[' => {
                let negated = letters.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || letters.next_if_eq(&']').is_none() {
                    let low = class_letter(&mut letters)?;
                    let high = match letters.next_if_eq(&'-') {
                        Some(_) => class_letter(&mut letters)?,
                        None => low,
                    };
                    ranges.push((low, high));
                }
                Step::Class { negated, ranges }
            }
            letter => Step::Letter(letter),
        });
    }
    Ok(steps)
}

/// Go's `getEsc`: a letter of a class, after which the class goes on.
fn class_letter(
    letters: &mut std::iter::Peekable<impl Iterator<Item = char>>,
) -> Result<char, BadPattern> {
    let letter = match letters.next() {
        None | Some('-' | ']') => return Err(BadPattern),
        Some('\\') => letters.next().ok_or(BadPattern)?,
        Some(letter) => letter,
    };
    match letters.peek() {
        Some(_) => Ok(letter),
        None => Err(BadPattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(rules: &str, path: &str) -> bool {
        let (path, is_dir) = match path.strip_suffix('/') {
            Some(path) => (path, true),
            None => (path, false),
        };
        Ignore::parse(rules).unwrap().matches(path, is_dir)
    }

    fn glob(pattern: &str, text: &str) -> Result<bool, BadPattern> {
        let [pattern, text] = [pattern, text].map(|text| text.chars().collect::<Vec<char>>());
        matches(&pattern, &text)
    }

    #[test]
    fn helmignore_leaves_out_what_helm_leaves_out() {
        let rules = "# comment\n*.bak\r\n.git/\n/ci\n";
        for (path, expected) in [
            ("a.bak", true),
            ("sub/a.bak", true),
            (".git/", true),
            (".git", false),
            ("ci/", true),
            ("templates/ci/", false),
            ("templates/.swp", true),
            ("values.yaml", false),
            ("templates/a/b.yaml", false),
        ] {
            assert_eq!(ignored(rules, path), expected, "{path}");
        }
    }

    #[test]
    fn a_negated_rule_of_helmignore_ignores_what_does_not_match() {
        assert!(ignored("!keep.bak", "values.yaml"));
        assert!(!ignored("!keep.bak", "keep.bak"));
        assert!(ignored("*.bak\n!keep.bak", "keep.bak"), "the first decides");
        assert!(ignored("!keep/", "keep"), "it is not a folder");
        assert!(!ignored("!keep/", "keep/"));
    }

    #[test]
    fn a_byte_order_mark_and_blanks_around_a_rule_do_not_count() {
        assert!(ignored("\u{FEFF}*.key", "a.key"));
        assert!(ignored("  *.key \r\n", "a.key"));
    }

    #[test]
    fn a_rule_that_helm_refuses_is_refused_with_its_line() {
        for (rules, part) in [
            ("a\n**/b", "line 2: Helm does not support `**`"),
            ("[a", "`[a` is not a pattern"),
            ("a\\", "is not a pattern"),
            ("[]a]", "is not a pattern"),
            ("[-x]", "is not a pattern"),
            ("[a-]", "is not a pattern"),
        ] {
            let error = Ignore::parse(rules).unwrap_err().to_string();
            assert!(error.contains(part), "{rules:?}: {error}");
        }
    }

    /// From the table in Go's documentation and tests of `filepath.Match`.
    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, fits) in [
            ("a*/c*d", "ab/cxd", true),
            ("a*d", "ab/cd", false),
            ("*", "", true),
            ("a*b?c", "aXbYbZc", true),
            ("*?", "", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "-", true),
            ("[\\-x]", "z", false),
            ("*x", "xxx", true),
            ("a[^a]b", "a/b", true),
        ] {
            assert_eq!(glob(pattern, text), Ok(fits), "{pattern:?} {text:?}");
        }
        for pattern in [
            "[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[",
        ] {
            assert_eq!(glob(pattern, "a"), Err(BadPattern), "{pattern:?}");
        }
    }

    #[test]
    fn many_stars_are_matched_as_fast_as_one() {
        let pattern = "*a".repeat(40);
        let text = "a".repeat(2_000);
        assert_eq!(glob(&format!("{pattern}b"), &text), Ok(false));
        assert_eq!(glob(&pattern, &text), Ok(true));
    }
}
