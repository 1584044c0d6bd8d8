//! Platforms as a user names them.

use std::fmt;

use super::DescribedPlatform;

/// `os[(version)]/architecture[/variant]`, as containerd writes it, in its normal form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// Operating system, such as `linux`.
    pub os: String,
    /// Version of the operating system (Windows), such as `10.0.17763`; `None` means any. A longer one
    /// that begins with it matches.
    pub os_version: Option<String>,
    /// Architecture in Go's words, such as `arm64`.
    pub architecture: String,
    /// Variant, such as `v7`; `None` means any.
    pub variant: Option<String>,
}

impl Platform {
    /// A platform in its normal form. A name such as `armhf` says the variant too.
    #[must_use]
    pub fn new(
        os: &str,
        os_version: Option<&str>,
        architecture: &str,
        variant: Option<&str>,
    ) -> Self {
        let is_named = variant.is_some() || matches!(architecture, "armhf" | "armel");
        let (architecture, variant) = normalized(architecture, variant);
        Self {
            os: normalized_os(os),
            os_version: os_version.map(str::to_owned),
            architecture,
            variant: variant.filter(|_| is_named),
        }
    }

    /// Whether an image for a described platform is one for this platform. Other spellings of one
    /// platform match; variant and version of the system count only where this one names them.
    #[must_use]
    pub fn matches(&self, described: &DescribedPlatform) -> bool {
        let (architecture, variant) =
            normalized(&described.architecture, described.variant.as_deref());
        let is_version = |wanted: &String| {
            let version = described.os_version.as_deref().unwrap_or_default();
            let rest = version.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.os == normalized_os(&described.os)
            && self.architecture == architecture
            && self.os_version.as_ref().is_none_or(is_version)
            && (self.variant.is_none() || self.variant == variant)
    }
}

/// An operating system as Go calls it (containerd: `platforms/database.go`).
fn normalized_os(os: &str) -> String {
    match os.to_ascii_lowercase().as_str() {
        "macos" => "darwin".to_owned(),
        os => os.to_owned(),
    }
}

/// Architecture and variant as containerd normalizes them (`platforms/database.go`), except that every
/// architecture which has variants keeps its usual one: arm64 is v8, arm is v7, amd64 is v1.
fn normalized(architecture: &str, variant: Option<&str>) -> (String, Option<String>) {
    let (architecture, variant) = (
        architecture.to_ascii_lowercase(),
        variant.unwrap_or_default().to_ascii_lowercase(),
    );
    let (name, usual) = match architecture.as_str() {
        "i386" => ("386", ""),
        "x86_64" | "x86-64" | "amd64" => ("amd64", "v1"),
        "aarch64" | "arm64" => ("arm64", "v8"),
        "arm" | "armhf" => ("arm", "v7"),
        "armel" => ("arm", "v6"),
        other => (other, ""),
    };
    let variant = match (architecture.as_str(), variant.as_str()) {
        ("i386", _) => String::new(),
        ("armhf" | "armel", _) | (_, "") => usual.to_owned(),
        (_, number) if !usual.is_empty() && number.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("v{number}")
        }
        (_, variant) => variant.to_owned(),
    };
    let variant = match (name, variant.strip_suffix(".0")) {
        ("arm64", Some(whole)) => whole.to_owned(),
        _ => variant,
    };
    (
        name.to_owned(),
        Some(variant).filter(|variant| !variant.is_empty()),
    )
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.os)?;
        if let Some(version) = &self.os_version {
            write!(f, "({version})")?;
        }
        write!(f, "/{}", self.architecture)?;
        self.variant
            .iter()
            .try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Platform {
        let DescribedPlatform {
            os,
            os_version,
            architecture,
            variant,
        } = described(text);
        Platform::new(
            &os,
            os_version.as_deref(),
            &architecture,
            variant.as_deref(),
        )
    }

    fn described(text: &str) -> DescribedPlatform {
        let mut parts = text.split('/').map(str::to_owned);
        let os = parts.next().unwrap();
        let (os, os_version) = match os.split_once('(') {
            Some((os, version)) => (
                os.to_owned(),
                Some(version.trim_end_matches(')').to_owned()),
            ),
            None => (os, None),
        };
        DescribedPlatform {
            os,
            os_version,
            architecture: parts.next().unwrap(),
            variant: parts.next(),
        }
    }

    #[test]
    fn spellings_of_one_platform_match_each_other() {
        for same in [
            &[
                "linux/arm64",
                "linux/arm64/v8",
                "linux/aarch64",
                "linux/arm64/8",
                "linux/arm64/v8.0",
            ][..],
            &[
                "linux/amd64",
                "linux/amd64/v1",
                "linux/x86_64",
                "linux/x86-64",
                "linux/x86_64/v1",
            ],
            &["linux/arm", "linux/arm/v7", "linux/arm/7", "linux/armhf"],
            &["linux/arm/v6", "linux/arm/6", "linux/armel"],
            &["linux/386", "linux/i386"],
            &["darwin/arm64", "macos/arm64/v8"],
            &["linux/riscv64"],
        ] {
            for (wanted, has) in same.iter().flat_map(|a| same.iter().map(move |b| (a, b))) {
                assert!(one(wanted).matches(&described(has)), "{wanted} of {has}");
            }
        }
    }

    #[test]
    fn other_platforms_do_not_match() {
        for (wanted, has) in [
            ("linux/arm/v7", "linux/arm/v6"),
            ("linux/armhf", "linux/arm/v6"),
            ("linux/armel", "linux/arm"),
            ("linux/arm64/v9", "linux/arm64"),
            ("linux/arm64", "linux/arm"),
            ("linux/amd64/v3", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64/v3"),
            ("linux/amd64", "windows/amd64"),
            ("linux/amd64", "linux/386"),
            ("windows(10.0.17763)/amd64", "windows(10.0.20348.1)/amd64"),
            ("windows(10.0.17763)/amd64", "windows(10.0.177631)/amd64"),
            ("windows(10.0.17763)/amd64", "windows/amd64"),
        ] {
            assert!(!one(wanted).matches(&described(has)), "{wanted} of {has}");
        }
    }

    #[test]
    fn variant_and_version_count_only_where_they_are_named() {
        for (wanted, has) in [
            ("linux/arm64", "linux/arm64/v9"),
            ("linux/arm", "linux/arm/v6"),
            ("linux/amd64", "linux/amd64/v3"),
            ("windows/amd64", "windows(10.0.17763.5936)/amd64"),
            (
                "windows(10.0.17763)/amd64",
                "windows(10.0.17763.5936)/amd64",
            ),
            ("windows(10.0.17763)/amd64", "windows(10.0.17763)/amd64"),
        ] {
            assert!(one(wanted).matches(&described(has)), "{wanted} of {has}");
        }
        assert_eq!(one("linux/x86_64").to_string(), "linux/amd64");
        assert_eq!(
            one("windows(10.0.17763)/amd64").to_string(),
            "windows(10.0.17763)/amd64"
        );
    }
}
