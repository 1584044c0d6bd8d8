//! The patterns of `.Files.Glob`, as github.com/gobwas/glob reads them with `/` as separator: `*` and
//! `?` stay within a folder, `**` does not, `[abc]`, `[a-z]` and `[!a]` are one character, `{a,b}` are
//! alternatives, `\` takes the next character as it is.

use regex::{Regex, RegexBuilder};

/// How large a compiled pattern may become, in bytes.
const MAX_COMPILED: usize = 1 << 20;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Glob(Regex);

impl Glob {
    /// Compiles a pattern; one that gobwas refuses matches everything, as in Helm.
    pub(super) fn new(pattern: &str) -> Self {
        let everything = || Regex::new("(?s)^.*$").expect("it is a regular expression");
        let regex = translate(pattern).and_then(|text| {
            let mut builder = RegexBuilder::new(&text);
            builder.size_limit(MAX_COMPILED).build().ok()
        });
        Self(regex.unwrap_or_else(everything))
    }

    /// Whether a path matches as a whole.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

/// The regular expression of a pattern; none where gobwas finds an error.
fn translate(pattern: &str) -> Option<String> {
    let mut regex = String::from("(?s)^");
    let mut letters = pattern.chars().peekable();
    let mut open = 0;
    while let Some(letter) = letters.next() {
        match letter {
            '*' if letters.peek() == Some(&'*') => {
                letters.next();
                regex.push_str(".*");
            }
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            // One at the end is nothing.
            '\\' => letters
                .next()
                .into_iter()
                .for_each(|letter| push_literal(&mut regex, letter)),
            '[' => class(&mut letters, &mut regex)?,
            '{' => {
                open += 1;
                regex.push_str("(?:");
            }
            '}' if open > 0 => {
                open -= 1;
                regex.push(')');
            }
            ',' if open > 0 => regex.push('|'),
            letter => push_literal(&mut regex, letter),
        }
    }
    // Alternatives that are still open end here.
    regex.push_str(&")".repeat(open));
    Some(regex + "$")
}

/// What stands between brackets: a range of two characters, or a list.
fn class(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, regex: &mut String) -> Option<()> {
    regex.push('[');
    if letters.next_if_eq(&'!').is_some() {
        regex.push('^');
    }
    let first = letters.next()?;
    if letters.next_if_eq(&'-').is_some() {
        let last = letters.next()?;
        if last < first || letters.next()? != ']' {
            return None;
        }
        push_literal(regex, first);
        regex.push('-');
        push_literal(regex, last);
    } else {
        let mut letter = first;
        loop {
            match letter {
                ']' => break,
                '\\' => push_literal(regex, letters.next()?),
                letter => push_literal(regex, letter),
            }
            letter = letters.next()?;
        }
    }
    regex.push(']');
    // An empty list is an error to both.
    (!regex.ends_with("[]") && !regex.ends_with("[^]")).then_some(())
}

fn push_literal(regex: &mut String, letter: char) {
    if letter.is_ascii_punctuation() {
        regex.push('\\');
    }
    regex.push(letter);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_gobwas_matches() {
        for (pattern, path, fits) in [
            ("*.txt", "a.txt", true),
            ("*.txt", "a/b.txt", false),
            ("**.txt", "a/b.txt", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/*/c", "a/b/c", true),
            ("?.txt", "/.txt", false),
            ("[ab].txt", "b.txt", true),
            ("[a-c].txt", "d.txt", false),
            ("[!a-c].txt", "d.txt", true),
            ("{a,b*}.{txt,md}", "bcd.md", true),
            ("{a,{b,c}}", "c", true),
            ("a,b", "a,b", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            ("a.b", "axb", false),
            // What is an error matches everything.
            ("[c-a]", "anything/at/all", true),
            ("[", "anything", true),
            // What is open at the end is closed there.
            ("{a,b", "b", true),
            ("{a", "anything", false),
            (r"a\", "a", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(path), fits, "{pattern} {path}");
        }
    }
}
