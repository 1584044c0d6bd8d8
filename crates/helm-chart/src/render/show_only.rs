//! `--show-only`: of what `helm template` prints, the documents of some templates.
//!
//! As helm v3.22 in `cmd/helm/template.go`, with Go's `filepath.Match` for patterns.

use super::manifests::split;

/// The documents whose template matches one of some patterns, in the patterns' order.
///
/// # Errors
/// A pattern that matches none, in Helm's words.
pub fn show_only(text: &str, patterns: &[String]) -> Result<String, String> {
    let documents: Vec<(&str, &str)> = split(text)
        .into_iter()
        .filter_map(|document| Some((template_of(document)?, document)))
        .collect();
    let mut shown = String::new();
    for pattern in patterns {
        let letters: Vec<char> = pattern.chars().collect();
        let before = shown.len();
        for (template, document) in &documents {
            let template: Vec<char> = template.chars().collect();
            if matches(&letters, &template) {
                shown.push_str("---\n");
                shown.push_str(document);
                shown.push('\n');
            }
        }
        if shown.len() == before {
            return Err(format!("could not find template {pattern} in chart"));
        }
    }
    Ok(shown)
}

/// What `# Source: CHART/` is followed by, wherever in the document it stands.
fn template_of(document: &str) -> Option<&str> {
    document.lines().find_map(|line| {
        let (_, path) = line.split_once("# Source: ")?;
        let (chart, template) = path.split_once('/')?;
        (!chart.is_empty() && !template.is_empty()).then_some(template)
    })
}

/// Go's `filepath.Match`; false for a pattern that is malformed.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return name.is_empty();
    };
    if *first == '*' {
        let reach = name.iter().position(|c| *c == '/').unwrap_or(name.len());
        return (0..=reach).any(|taken| matches(rest, &name[taken..]));
    }
    let Some((letter, behind)) = name.split_first() else {
        return false;
    };
    match first {
        '?' => *letter != '/' && matches(rest, behind),
        '[' => class(rest, *letter).is_some_and(|(is_in, rest)| is_in && matches(rest, behind)),
        '\\' => match rest.split_first() {
            Some((escaped, rest)) => escaped == letter && matches(rest, behind),
            None => false,
        },
        plain => plain == letter && matches(rest, behind),
    }
}

/// Whether a letter is in a class, and what follows the class; `None` for one that is malformed.
fn class(pattern: &[char], letter: char) -> Option<(bool, &[char])> {
    let (is_negated, mut rest) = match pattern.split_first()? {
        ('^', rest) => (true, rest),
        _ => (false, pattern),
    };
    let mut is_in = false;
    let mut count = 0;
    loop {
        if rest.first()? == &']' && count > 0 {
            return Some((is_in != is_negated, &rest[1..]));
        }
        let low;
        (low, rest) = class_letter(rest)?;
        let mut high = low;
        if rest.first() == Some(&'-') {
            (high, rest) = class_letter(&rest[1..])?;
        }
        is_in |= (low..=high).contains(&letter);
        count += 1;
    }
}

fn class_letter(pattern: &[char]) -> Option<(char, &[char])> {
    match pattern.split_first()? {
        ('-' | ']', _) => None,
        ('\\', rest) => rest.split_first().map(|(letter, rest)| (*letter, rest)),
        (letter, rest) => Some((*letter, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_gos_do() {
        let is = |pattern: &str, name: &str| {
            let letters = |text: &str| text.chars().collect::<Vec<char>>();
            matches(&letters(pattern), &letters(name))
        };
        for (pattern, name) in [
            ("templates/*.yaml", "templates/a.yaml"),
            ("templates/?.yaml", "templates/a.yaml"),
            ("templates/[a-c].yaml", "templates/b.yaml"),
            ("templates/[^a].yaml", "templates/b.yaml"),
            (r"templates/\*", "templates/*"),
            ("*/*", "templates/"),
        ] {
            assert!(is(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*", "templates/a.yaml"),
            ("templates/?", "templates//"),
            ("templates/[a", "templates/a"),
            ("templates/[]a]", "templates/a"),
            ("templates/a", "templates/ab"),
        ] {
            assert!(!is(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn documents_are_shown_in_the_order_of_the_patterns() {
        let text =
            "---\n# Source: c/templates/a.yaml\na: 1\n---\n# Source: c/templates/b.yaml\nb: 1\n";
        let patterns = ["templates/b.yaml".to_owned(), "templates/*".to_owned()];
        assert_eq!(
            show_only(text, &patterns).unwrap(),
            "---\n# Source: c/templates/b.yaml\nb: 1\n---\n# Source: c/templates/a.yaml\na: 1\n\
             ---\n# Source: c/templates/b.yaml\nb: 1\n"
        );
        assert_eq!(
            show_only(text, &["templates/c.yaml".to_owned()]).unwrap_err(),
            "could not find template templates/c.yaml in chart"
        );
    }
}
