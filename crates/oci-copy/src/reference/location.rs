//! Where an artifact is: a name in a registry, or in an image layout folder.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Digest, ImageName, InvalidName, grammar, is_registry_host};

/// A name in a registry, as clients read it: with its host, and with a tag, a digest or both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    pub(super) registry: String,
    pub(super) repository: String,
    pub(super) tag: Option<String>,
    pub(super) digest: Option<Digest>,
}

impl Reference {
    /// The registry's host, with its port.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, where the name has one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, where the name has one.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Where an artifact is, or where it will be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// A name in a registry, fully normalised: `busybox` is `docker.io/library/busybox:latest`.
    Registry(Reference),
    /// A name in an OCI image layout folder, written `oci:DIR:NAME` as skopeo writes it.
    Layout {
        /// The layout's folder.
        dir: PathBuf,
        /// The text of the `org.opencontainers.image.ref.name` annotation in its `index.json`.
        name: String,
    },
}

/// What of a repository is meant: exactly one of its tags, or exactly one content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TagOrDigest {
    /// A tag, or a name in a layout.
    Tag(String),
    /// A digest.
    Digest(Digest),
}

impl fmt::Display for TagOrDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl Location {
    /// The tag, where the name has one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        match self {
            Self::Registry(reference) => reference.tag(),
            Self::Layout { .. } => None,
        }
    }

    /// The digest that the name pins, where it has one.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::Registry(reference) => reference.digest().cloned(),
            Self::Layout { name, .. } => name.split_once('@')?.1.parse().ok(),
        }
    }

    /// Makes the name of a registry pin a digest; a folder's name is left as it is.
    pub fn pin(&mut self, digest: &Digest) {
        if let Self::Registry(reference) = self {
            reference.digest = Some(digest.clone());
        }
    }

    /// The host that is asked for it, `None` for a folder.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Registry(reference) => Some(reference.registry()),
            Self::Layout { .. } => None,
        }
    }

    /// The repository within its host, `None` for a folder.
    #[must_use]
    pub fn repository(&self) -> Option<&str> {
        match self {
            Self::Registry(reference) => Some(reference.repository()),
            Self::Layout { .. } => None,
        }
    }
}

impl FromStr for Location {
    type Err = InvalidName;

    /// Reads `[host[:port]/]repository[:tag][@digest]` (with or without `docker://` or `oci://` in
    /// front, as other tools write it) or `oci:DIR:NAME`.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let plain = text
            .strip_prefix("docker://")
            .or_else(|| text.strip_prefix("oci://"));
        if let (None, Some(layout)) = (plain, text.strip_prefix("oci:")) {
            let (dir, name) = layout.split_once(':').unwrap_or((layout, ""));
            if dir.is_empty() || name.is_empty() {
                let why = "an image in a layout folder is written `oci:DIR:NAME`";
                return Err(InvalidName::new(text, "an image in a folder", why));
            }
            return Ok(Self::Layout {
                dir: PathBuf::from(dir),
                name: name.to_owned(),
            });
        }
        let reference = plain.unwrap_or(text);
        // The digest is checked by our stricter rule first: lower-case hexadecimal only.
        if let Some((_, digest)) = reference.split_once('@') {
            digest.parse::<Digest>()?;
        }
        let invalid = |why: String| InvalidName::new(text, "an image reference", why);
        let named = reference.split('@').next().unwrap_or(reference);
        let (_, path) = named
            .split_once('/')
            .filter(|(host, _)| is_registry_host(host))
            .unwrap_or(("", named));
        if path
            .split(':')
            .next()
            .unwrap_or(path)
            .contains(char::is_uppercase)
        {
            return Err(invalid(
                "a repository's name must be in lower case".to_owned(),
            ));
        }
        let name: ImageName = reference.parse()?;
        // Capitals of a host mean nothing: credentials, endpoints and ECR are looked up without them.
        let registry = name.registry.as_deref().map(str::to_lowercase);
        let name = ImageName { registry, ..name };
        Ok(Self::Registry(grammar::reference(&name)))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(f),
            Self::Layout { dir, name } => write!(f, "oci:{}:{name}", dir.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_registry_or_a_folder() {
        for (text, shown) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("docker://quay.io/a/b:1", "quay.io/a/b:1"),
            ("oci://ghcr.io/charts/x:1.2.3", "ghcr.io/charts/x:1.2.3"),
            ("oci:mirror:quay.io/a/b:1", "oci:mirror:quay.io/a/b:1"),
            (
                "127.0.0.1:5000/idf-quay.io/a:1",
                "127.0.0.1:5000/idf-quay.io/a:1",
            ),
        ] {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), shown);
        }
        for text in [
            "oci:dir",
            "oci::x",
            "oci:",
            "UPPER/case",
            "a b",
            &format!("a@sha256:{}", "A".repeat(64)),
        ] {
            assert!(
                text.parse::<Location>().is_err(),
                "{text} was taken for a location"
            );
        }
    }
}
