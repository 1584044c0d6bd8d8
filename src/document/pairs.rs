//! `updated_images.json`: the pairs of images, which `replicator copy --list` reads too.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// A source and its copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The reference that is read.
    pub src: String,
    /// The reference that is written.
    pub target: String,
}

/// Reads a list of pairs.
///
/// # Errors
/// When it is not a list of pairs, or an empty one.
pub fn parse_pairs(text: &[u8]) -> anyhow::Result<Vec<Pair>> {
    // Editors of Windows begin a file with a byte order mark.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let pairs: Vec<Pair> =
        serde_json::from_slice(text).context("it is not a JSON list of {\"src\", \"target\"}")?;
    ensure!(
        !pairs.is_empty(),
        "it names no pair, so there is nothing to copy"
    );
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_as_they_were_written() {
        let text =
            r#"[{"src":"quay.io/a:1","target":"r.corp/p-a:1"},{"src":"b","target":"oci:d:b"}]"#;
        let pairs = parse_pairs(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&pairs).unwrap(), text);
    }

    #[test]
    fn a_pair_has_a_source_and_a_target_and_nothing_else() {
        for text in [
            "[]",
            "{}",
            r#"[{"src":"a"}]"#,
            r#"[{"src":"a","target":"b","tag":"1"}]"#,
        ] {
            assert!(parse_pairs(text.as_bytes()).is_err(), "{text}");
        }
    }
}
