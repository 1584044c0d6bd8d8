//! Platforms as a user names them.

use std::fmt;

/// `os/architecture[/variant]`, as in an index's descriptors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// Operating system, such as `linux`.
    pub os: String,
    /// Architecture in Go's words, such as `arm64`.
    pub architecture: String,
    /// Variant, such as `v7`; `None` means any.
    pub variant: Option<String>,
}

impl Platform {
    /// Reads a list: blanks or commas between, or the JSON list that Seed-Farmer makes of a YAML one.
    ///
    /// # Errors
    /// The first entry that is no platform.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let from_json: Option<Vec<String>> = serde_json::from_str(text).ok();
        let entries = from_json.unwrap_or_else(|| {
            text.split([',', ' ', '\n'])
                .map(str::trim)
                .filter(|entry| !entry.is_empty())
                .map(str::to_owned)
                .collect()
        });
        if entries
            .iter()
            .any(|entry| entry.eq_ignore_ascii_case("all"))
        {
            return Ok(Vec::new());
        }
        entries.iter().map(|entry| Self::parse(entry)).collect()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.trim().split('/').collect();
        let word = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        match parts.as_slice() {
            [os, architecture, variant @ ..] if variant.len() < 2 && parts.iter().all(word) => {
                Ok(Self {
                    os: (*os).to_owned(),
                    architecture: (*architecture).to_owned(),
                    variant: variant.first().map(|variant| (*variant).to_owned()),
                })
            }
            _ => Err(format!(
                "`{text}` is not a platform such as linux/amd64 or linux/arm/v7"
            )),
        }
    }

    /// Whether a descriptor's platform is this one; a variant counts only where one is named.
    #[must_use]
    pub fn matches(&self, os: &str, architecture: &str, variant: Option<&str>) -> bool {
        self.os == os
            && self.architecture == architecture
            && self
                .variant
                .as_deref()
                .is_none_or(|wanted| Some(wanted) == variant)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant
            .iter()
            .try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_platforms_is_read_in_every_form_a_manifest_gives() {
        for text in [
            "linux/amd64,linux/arm64",
            "linux/amd64 linux/arm64",
            r#"["linux/amd64", "linux/arm64"]"#,
        ] {
            let shown: Vec<String> = Platform::parse_list(text)
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(shown, ["linux/amd64", "linux/arm64"], "{text}");
        }
        assert!(Platform::parse_list("all").unwrap().is_empty());
        for text in ["amd64", "linux/", "linux/arm/v7/x", "Linux/amd64"] {
            assert!(
                Platform::parse_list(text).is_err(),
                "{text} was taken for a platform"
            );
        }
    }

    #[test]
    fn a_variant_counts_only_where_it_is_named() {
        let any = &Platform::parse_list("linux/arm64").unwrap()[0];
        assert!(any.matches("linux", "arm64", Some("v8")) && any.matches("linux", "arm64", None));
        let v7 = &Platform::parse_list("linux/arm/v7").unwrap()[0];
        assert!(v7.matches("linux", "arm", Some("v7")) && !v7.matches("linux", "arm", Some("v6")));
    }
}
