//! References of images in text.

use std::sync::OnceLock;

use regex::Regex;

/// Whether a whole text is a reference (the grammar of github.com/distribution/reference).
///
/// # Panics
/// Never: the pattern is a constant.
#[must_use]
pub fn is_reference(text: &str) -> bool {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| {
        let host = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/";
        let part = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
        let pattern = format!(
            "^(?:{host})?{part}(?:/{part})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{{32,}})?$"
        );
        Regex::new(&pattern).expect("it is a regular expression")
    });
    text.len() <= 1024 && pattern.is_match(text)
}

/// A reference within other text: a host with a dot, a path, and a tag or a digest. What is in front
/// must not be a part of it, so that the path of a URL is not taken for one.
pub(super) fn strict() -> &'static Regex {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let host = r"(?:(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?::[0-9]+)?|[0-9]{1,3}(?:\.[0-9]{1,3}){3}:[0-9]+|localhost:[0-9]+)";
        let part = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
        let tag = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
        let digest = "@sha256:[0-9a-f]{64}";
        let pattern = format!(
            "(?:^|[^A-Za-z0-9/.@:_-])({host}(?:/{part})+(?::{tag}(?:{digest})?|{digest}))"
        );
        Regex::new(&pattern).expect("it is a regular expression")
    })
}

/// Whether a text goes on as a URL does, and so was no reference: `host.tld/path:80/more`.
pub(super) fn continues(rest: &str) -> bool {
    rest.starts_with('/')
}
