//! Platforms as a user names them.

use crate::problem::slip;
use oci_copy::manifest::Platform;

use super::list;

/// Go's names of operating systems that images are built for (`go tool dist list`).
const OPERATING_SYSTEMS: [&str; 12] = [
    "linux",
    "windows",
    "darwin",
    "freebsd",
    "netbsd",
    "openbsd",
    "dragonfly",
    "solaris",
    "illumos",
    "aix",
    "wasip1",
    "js",
];

/// Go's names of architectures (`go tool dist list`).
const ARCHITECTURES: [&str; 16] = [
    "amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "loong64", "mips64le", "mips64",
    "mipsle", "mips", "ppc64", "sparc64", "wasm", "riscv",
];

/// Names that containerd accepts for Go's (`platforms/database.go`).
const OTHER_NAMES: [&str; 6] = ["x86_64", "x86-64", "aarch64", "armhf", "armel", "i386"];

/// Go's name of an architecture that uname and others name differently, as containerd does it.
fn go_name(text: &str) -> Option<&'static str> {
    let name = match text {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "armhf" | "armel" => "arm",
        "i386" | "i686" | "x86" => "386",
        name => name,
    };
    ARCHITECTURES.into_iter().find(|known| *known == name)
}

/// Reads a list: blanks or commas between, or the JSON list that Seed-Farmer makes of a YAML one. `all`
/// alone is the empty list.
///
/// # Errors
/// The first entry that is not a platform, an empty list, or `all` beside others.
pub fn parse_list(text: &str) -> Result<Vec<Platform>, String> {
    let entries = list::entries(text)?;
    let entries: Vec<&str> = entries
        .iter()
        .flat_map(|entry| entry.split_whitespace())
        .collect();
    if entries
        .iter()
        .any(|entry| entry.eq_ignore_ascii_case("all"))
    {
        return if entries.len() == 1 {
            Ok(Vec::new())
        } else {
            Err(format!(
                "`{text}` names `all` and single platforms: write one or the other"
            ))
        };
    }
    let mut platforms: Vec<Platform> = Vec::new();
    for entry in entries {
        let platform = parse(entry)?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}

fn parse(text: &str) -> Result<Platform, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let is_word = |word: &str| {
        let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        word.bytes().any(is_letter) && word.bytes().all(|b| is_letter(b) || b == b'.')
    };
    let refuse = |remedy: String| {
        let rule = "is not a platform such as linux/amd64 or linux/arm/v7";
        Err(format!("`{text}` {rule}{remedy}"))
    };
    let (os, architecture, variant) = match parts.as_slice() {
        [one] => {
            let one = one.to_lowercase();
            return refuse(match go_name(&one) {
                Some(architecture) => format!(": write linux/{architecture}"),
                None => String::new(),
            });
        }
        [os, architecture] => (*os, *architecture, None),
        [os, architecture, variant] => (*os, *architecture, Some(*variant)),
        _ => return refuse(String::new()),
    };
    // The version of Windows, as containerd writes it.
    let (os, version) = match os.strip_suffix(')').and_then(|os| os.split_once('(')) {
        Some((os, version)) => (os, Some(version)),
        None => (os, None),
    };
    let known = go_name(&architecture.to_lowercase());
    let is_taken = known == Some(architecture) || OTHER_NAMES.contains(&architecture);
    if OPERATING_SYSTEMS.contains(&os)
        && is_taken
        && version.is_none_or(is_word)
        && variant.is_none_or(is_word)
    {
        return Ok(Platform::new(os, version, architecture, variant));
    }
    let os = os.to_lowercase();
    let near_os = OPERATING_SYSTEMS
        .iter()
        .find(|known| **known == os)
        .copied();
    let near_os = near_os.or_else(|| slip(&os, OPERATING_SYSTEMS));
    let known = known.or_else(|| slip(architecture, ARCHITECTURES));
    refuse(match (near_os, known) {
        (Some(os), Some(architecture)) => {
            let variant = variant
                .map(str::to_lowercase)
                .filter(|variant| is_word(variant));
            let variant = variant
                .map(|variant| format!("/{variant}"))
                .unwrap_or_default();
            format!(": write {os}/{architecture}{variant}")
        }
        (None, _) => format!("; operating systems: {}", OPERATING_SYSTEMS.join(", ")),
        (_, None) => format!("; architectures: {}", ARCHITECTURES.join(", ")),
    })
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
            let shown: Vec<String> = parse_list(text)
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(shown, ["linux/amd64", "linux/arm64"], "{text}");
        }
        assert!(parse_list("all").unwrap().is_empty());
        let twice = parse_list("linux/amd64, linux/amd64").unwrap();
        assert_eq!(twice.len(), 1);
        let named = "linux/x86_64 linux/aarch64/v8 linux/armhf windows(10.0.17763)/amd64";
        let shown = parse_list(named).unwrap();
        let shown: Vec<String> = shown.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "linux/amd64",
                "linux/arm64/v8",
                "linux/arm/v7",
                "windows(10.0.17763)/amd64"
            ]
        );
    }

    #[test]
    fn other_words_than_platforms_are_refused_with_what_was_probably_meant() {
        for (text, why) in [
            ("amd64", "write linux/amd64"),
            ("x86_64", "write linux/amd64"),
            ("linux/", "architectures: amd64"),
            ("linux/arm/v7/x", "linux/arm/v7"),
            ("linux/arm/", "write linux/arm"),
            ("Linux/amd64", "write linux/amd64"),
            ("linux/ARM/V7", "write linux/arm/v7"),
            ("linux/i686", "write linux/386"),
            ("windows()/amd64", "write windows/amd64"),
            ("linux/amd46", "write linux/amd64"),
            ("linx/amd64", "write linux/amd64"),
            ("plan9/amd64", "operating systems: linux"),
            ("linux/vax", "architectures: amd64"),
            ("unknown/unknown", "operating systems"),
            ("", "empty"),
            (",", "empty"),
            ("[]", "empty"),
            ("[1", "not JSON"),
            ("all,linux/amd64", "one or the other"),
            ("linux/amd64;linux/arm64", "linux/amd64"),
        ] {
            let error = parse_list(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
