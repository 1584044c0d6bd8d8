//! The rules of `.helmignore`.

use std::path::Path;

use anyhow::Context;

/// The rules of `.helmignore`: one glob a line, `!` takes back, a `/` at the end means folders, one
/// elsewhere binds to the chart's folder.
#[derive(Debug)]
pub struct Ignore(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    pattern: Vec<char>,
    takes_back: bool,
    folders_only: bool,
    whole_path: bool,
}

impl Ignore {
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(".helmignore");
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::parse("")),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    fn parse(text: &str) -> Self {
        // Helm itself always leaves this one out.
        let lines = std::iter::once("templates/.?*")
            .chain(text.lines())
            .map(str::trim);
        Self(
            lines
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(Rule::parse)
                .collect(),
        )
    }

    pub(crate) fn matches(&self, path: &str, is_dir: bool) -> bool {
        let mut ignored = false;
        for rule in &self.0 {
            if rule.matches(path, is_dir) {
                ignored = !rule.takes_back;
            }
        }
        ignored
    }
}

impl Rule {
    fn parse(line: &str) -> Self {
        let (takes_back, line) = line
            .strip_prefix('!')
            .map_or((false, line), |line| (true, line));
        let (folders_only, line) = line
            .strip_suffix('/')
            .map_or((false, line), |line| (true, line));
        Self {
            takes_back,
            folders_only,
            whole_path: line.contains('/'),
            pattern: line.strip_prefix('/').unwrap_or(line).chars().collect(),
        }
    }

    fn matches(&self, path: &str, is_dir: bool) -> bool {
        if self.folders_only && !is_dir {
            return false;
        }
        let subject = if self.whole_path {
            path
        } else {
            path.rsplit('/').next().unwrap_or(path)
        };
        glob(&self.pattern, &subject.chars().collect::<Vec<char>>())
    }
}

/// `*` and `?` within one folder's name, as Go's `filepath.Match`. Only the last `*` can have taken
/// too little, so that many of them cost no more than a few.
fn glob(mut pattern: &[char], mut text: &[char]) -> bool {
    // What follows the last `*`, and the text from where that was tried.
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => return true,
            (Some(('*', rest)), _) => {
                star = Some((rest, text));
                pattern = rest;
            }
            (Some((letter, rest)), Some((first, after)))
                if letter == first || *letter == '?' && *first != '/' =>
            {
                (pattern, text) = (rest, after);
            }
            _ => {
                let taken = star.and_then(|(rest, from)| Some((rest, from.split_first()?)));
                let Some((rest, (first, after))) = taken else {
                    return false;
                };
                if *first == '/' {
                    return false;
                }
                star = Some((rest, after));
                (pattern, text) = (rest, after);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helmignore_leaves_out_what_helm_leaves_out() {
        let ignore = Ignore::parse("# comment\n*.bak\n.git/\n/ci\n!keep.bak\n");
        for (path, is_dir, ignored) in [
            ("a.bak", false, true),
            ("sub/a.bak", false, true),
            ("keep.bak", false, false),
            (".git", true, true),
            (".git", false, false),
            ("ci", true, true),
            ("templates/ci", true, false),
            ("templates/.swp", false, true),
            ("values.yaml", false, false),
            ("templates/a/b.yaml", false, false),
        ] {
            assert_eq!(ignore.matches(path, is_dir), ignored, "{path}");
        }
    }

    #[test]
    fn many_stars_are_matched_as_fast_as_one() {
        let pattern: Vec<char> = "*a".repeat(40).chars().chain(['b']).collect();
        let text: Vec<char> = "a".repeat(2_000).chars().collect();
        assert!(!glob(&pattern, &text));
        assert!(glob(&pattern[..80], &text));
        for (pattern, text, fits) in [
            ("a*/c*d", "ab/cxd", true),
            ("a*d", "ab/cd", false),
            ("*", "", true),
            ("a*b?c", "aXbYbZc", true),
            ("*?", "", false),
        ] {
            let [pattern, text] = [pattern, text].map(|text| text.chars().collect::<Vec<char>>());
            assert_eq!(glob(&pattern, &text), fits, "{pattern:?} {text:?}");
        }
    }
}
