//! The target prefix: what stands in front of every name at the target.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use oci_copy::reference::{InvalidName, Location, is_registry_host};

use super::EcrHost;

/// What stands in front of every name at the target, and which kind of home the target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prefix {
    /// A private ECR registry: `<account>.dkr.ecr.<region>.<suffix>/<path>`.
    Ecr {
        /// The registry's host, taken apart.
        host: EcrHost,
        /// What stands between the host and a name, such as `idf-`.
        path: String,
    },
    /// Any other OCI registry: `host[:port]/<path>`.
    Registry {
        /// Host with port.
        host: String,
        /// What stands between the host and a name; may be empty.
        path: String,
    },
    /// An OCI image layout folder, `oci:DIR`.
    Layout {
        /// The folder; created when missing.
        dir: PathBuf,
    },
}

impl Prefix {
    /// What stands between a registry's host and a name; `None` for a folder.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Ecr { path, .. } | Self::Registry { path, .. } => Some(path),
            Self::Layout { .. } => None,
        }
    }

    /// A name below this prefix, as it stands in values and in `updated_images.json`.
    #[must_use]
    pub fn join(&self, name: &str) -> String {
        format!("{self}{name}")
    }

    /// A chart repository below this prefix, as Helm takes it.
    #[must_use]
    pub fn chart_repository(&self, name: &str) -> String {
        match self {
            Self::Layout { .. } => self.join(name),
            Self::Ecr { .. } | Self::Registry { .. } => format!("oci://{}", self.join(name)),
        }
    }

    /// Where a name below this prefix is.
    ///
    /// # Errors
    /// When prefix and name together are no reference, or break the rule of ECR for repository
    /// names: 2 to 256 characters, lower case, of the distribution grammar.
    pub fn locate(&self, name: &str) -> Result<Location, InvalidName> {
        if let Self::Layout { .. } = self {
            // A folder could take any name; a registry that is filled from it could not.
            format!("registry.invalid/{name}")
                .parse::<Location>()
                .map_err(|error| InvalidName::new(name, "an image reference", error.why))?;
        }
        let location: Location = self.join(name).parse()?;
        if let (Self::Ecr { .. }, Some(repository)) = (self, location.repository())
            && !(2..=256).contains(&repository.len())
        {
            let why = format!(
                "it has {} characters, 2 to 256 are allowed",
                repository.len()
            );
            return Err(InvalidName::new(
                repository,
                "a name of an ECR repository",
                why,
            ));
        }
        Ok(location)
    }
}

impl FromStr for Prefix {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = |why: &str| Err(InvalidName::new(text, "a target prefix", why));
        if let Some(dir) = text
            .strip_prefix("oci:")
            .filter(|rest| !rest.starts_with("//"))
        {
            // Documents have the folder as names begin with it, which ends with a colon.
            return match dir.strip_suffix(':').unwrap_or(dir) {
                "" => invalid("a folder is written `oci:DIR`"),
                dir if dir.contains(':') => invalid("the folder's name must not hold `:`"),
                dir => Ok(Self::Layout {
                    dir: PathBuf::from(dir),
                }),
            };
        }
        if text.contains("://") {
            return invalid(
                "it has no scheme: write `host/prefix`, and `--plain-http HOST` for plain HTTP",
            );
        }
        let Some((host, path)) = text.split_once('/') else {
            if is_registry_host(text) {
                return invalid(&format!(
                    "a registry is written `host[:port]/prefix`; for the registry's root end it with `/`: `{text}/`"
                ));
            }
            return invalid("a registry is written `host[:port]/prefix`, a folder `oci:DIR`");
        };
        if !is_registry_host(host) {
            return invalid(
                "it does not start with a registry's host (a name with a dot or a port, or localhost)",
            );
        }
        // What follows the prefix starts with a letter or a digit: any one will do for the check.
        if let Err(error) = format!("{host}/{path}x").parse::<Location>() {
            return invalid(&error.why);
        }
        if path.contains([':', '@']) {
            return invalid("it must not hold a tag or a digest");
        }
        Ok(match EcrHost::parse(host) {
            Some(host) => Self::Ecr {
                host,
                path: path.to_owned(),
            },
            None => Self::Registry {
                host: host.to_owned(),
                path: path.to_owned(),
            },
        })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ecr { host, path } => write!(f, "{host}/{path}"),
            Self::Registry { host, path } => write!(f, "{host}/{path}"),
            Self::Layout { dir } => write!(f, "oci:{}:", dir.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_says_which_kind_of_home_it_is() {
        let ecr: Prefix = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/idf-"
            .parse()
            .unwrap();
        let Prefix::Ecr { host, path } = &ecr else {
            panic!("not ECR: {ecr:?}")
        };
        assert_eq!(
            (host.region.as_str(), host.suffix.as_str()),
            ("cn-north-1", "amazonaws.com.cn")
        );
        assert_eq!(path, "idf-");
        assert_eq!(
            ecr.chart_repository("charts/x"),
            format!("oci://{ecr}charts/x")
        );
        assert!(matches!(
            "localhost:5000/".parse(),
            Ok(Prefix::Registry { .. })
        ));
        let layout: Prefix = "oci:mirror".parse().unwrap();
        assert!(matches!(layout, Prefix::Layout { .. }));
        for prefix in [ecr, layout] {
            assert_eq!(prefix.to_string().parse(), Ok(prefix));
        }
        assert_eq!(
            "oci:mirror".parse::<Prefix>().unwrap().join("quay.io/a:1"),
            "oci:mirror:quay.io/a:1"
        );
    }

    #[test]
    fn a_malformed_prefix_is_refused() {
        for text in [
            "",
            "registry",
            "host.example",
            "https://h.io/x",
            "h.io/Up-",
            "mirror/idf-",
            "oci:",
            "oci::",
            "oci:a::",
            "oci:a:b",
            "h.io/a:1-",
            "h.io//",
            "h.io/-",
            "oci://x",
        ] {
            assert!(
                text.parse::<Prefix>().is_err(),
                "{text} was taken for a prefix"
            );
        }
    }

    #[test]
    fn a_name_that_ecr_cannot_hold_is_refused() {
        let ecr: Prefix = "123456789012.dkr.ecr.us-east-1.amazonaws.com/idf-"
            .parse()
            .unwrap();
        assert!(ecr.locate("quay.io/a:1").is_ok());
        assert!(ecr.locate(&format!("{}:1", "a".repeat(260))).is_err());
    }

    #[test]
    fn a_name_that_no_registry_can_hold_is_refused_for_a_folder_too() {
        let layout: Prefix = "oci:mirror".parse().unwrap();
        assert!(layout.locate("quay.io/a:1").is_ok());
        for name in ["$(id):1", "a b:1", "Upper:1", "a;b:1", "a'b:1", "a/../b:1"] {
            assert!(layout.locate(name).is_err(), "{name}");
        }
    }
}
