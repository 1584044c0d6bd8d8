//! `<eks-version>.lock.json`: what was approved, content by content.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::closure;
use crate::problem::{Problem, Problems};
use oci_copy::reference::{Digest, Location};

use super::Trust;

/// The version of the schema that this program writes and reads.
pub const LOCK_VERSION: u32 = 1;

/// The largest lock that is read, in bytes. One of 10,000 artifacts has about 10 MB.
pub const MAX_LOCK: usize = 32 * 1024 * 1024;

/// The placeholder of the target prefix in the values of a lock, so that one lock serves all targets.
pub const PREFIX: &str = "<prefix>";

/// What to do about a lock that cannot be used.
const REMEDY: &str = "write it again with `replicator lock`";

/// Which content the data files of an EKS version mean. The same content gives the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lock {
    /// The version of this schema: [`LOCK_VERSION`].
    pub lock_version: u32,
    /// The EKS version.
    pub eks_version: String,
    /// The checksum of the merged data files ([`crate::inventory::Inventory::checksum`]).
    pub inventory: Digest,
    /// The parameters that decide what is copied, as manifests spell them.
    pub parameters: BTreeMap<String, String>,
    /// The charts by their keys.
    pub charts: BTreeMap<String, LockedChart>,
    /// The images in the order of their targets.
    pub images: Vec<LockedImage>,
    /// What the proof of the rendered charts came to; absent where no chart has templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure: Option<LockedClosure>,
}

/// A chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedChart {
    /// The chart's own name.
    pub name: String,
    /// The repository as the data file writes it, without what can be a secret in it.
    pub repository: String,
    /// The chart's own version.
    pub version: String,
    /// The version that the data file asks for, where it is written differently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// The SHA-256 of its archive.
    pub archive: Digest,
    /// The checksum of its entry in the data files ([`crate::inventory::ChartSpec::checksum`]).
    pub entry: Digest,
    /// The registry's artifact that it is copied from; absent where its archive becomes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
    /// Its repository at the target, below the prefix.
    pub target_repository: String,
    /// Its name at the target, below the prefix.
    pub target: String,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The bytes of all its content.
    pub bytes: u64,
    /// What refers to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<LockedReferrer>,
    /// Who signed it, where sources were verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// The values that are published, with [`PREFIX`] for the target prefix.
    pub values: Map<String, Value>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedImage {
    /// The reference that it is read from.
    pub source: String,
    /// Its name at the target, below the prefix.
    pub target: String,
    /// The digest that this name has at the target.
    pub digest: Digest,
    /// The digest at the source, where it is another one: platforms were selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_digest: Option<Digest>,
    /// The bytes of all its distinct content, without its referrers.
    pub bytes: u64,
    /// The platforms of an index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<LockedPlatform>,
    /// What refers to it or to one of its platforms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<LockedReferrer>,
    /// Who signed it, where sources were verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// The keys of the charts and additional images that need it.
    pub used_by: BTreeSet<String>,
}

/// A platform of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedPlatform {
    /// Such as `linux/arm64`.
    pub platform: String,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The bytes of all its distinct content.
    pub bytes: u64,
}

/// A signature, attestation or SBOM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedReferrer {
    /// The digest of its manifest.
    pub digest: Digest,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The digest that it is about.
    pub subject: Digest,
    /// The tag that it is known by, where it is cosign's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The bytes of all its distinct content.
    pub bytes: u64,
}

/// What the proof came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedClosure {
    /// The Kubernetes version that charts were rendered for.
    pub kubernetes_version: String,
    /// Sums over all charts.
    pub totals: closure::Totals,
}

impl Lock {
    /// The document's text: the same lock gives the same bytes.
    ///
    /// # Panics
    /// Never: all keys are texts.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("all keys are texts") + "\n"
    }

    /// The digest of the document's text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_json().as_bytes())
    }

    /// Reads a lock; nothing of it is taken for granted. `place` is what problems are blamed on.
    ///
    /// # Errors
    /// When it is not a lock of [`LOCK_VERSION`], or names what cannot be a name.
    pub fn read(text: &[u8], place: &str) -> Result<Self, Problems> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Probe {
            lock_version: Option<u64>,
        }
        let bad = |what: String| Problems::from(Problem::input(place, what).remedy(REMEDY));
        if text.len() > MAX_LOCK {
            return Err(bad(format!("it has more than {MAX_LOCK} bytes")));
        }
        let probe: Probe = serde_json::from_slice(text)
            .map_err(|error| bad(format!("it is not a lock: {error}")))?;
        match probe.lock_version {
            Some(version) if version == u64::from(LOCK_VERSION) => {}
            Some(version) => {
                let what = format!(
                    "it is a lock of version {version}, and this program reads version {LOCK_VERSION}"
                );
                return Err(bad(what));
            }
            None => return Err(bad("it is not a lock: it has no lockVersion".to_owned())),
        }
        let lock: Self = serde_json::from_slice(text)
            .map_err(|error| bad(format!("it is not a complete lock: {error}")))?;
        let problems = lock.invalid_names();
        let problems = problems.map(|what| Problem::input(place, what).remedy(REMEDY));
        Problems::check(problems.collect())?;
        Ok(lock)
    }

    fn invalid_names(&self) -> impl Iterator<Item = String> {
        let mut targets = BTreeMap::new();
        let mut what = Vec::new();
        let mut add = |name: &str, target: &str, digest: &Digest| {
            let located = format!("registry.invalid/{target}").parse::<Location>();
            let tag = located.as_ref().ok().and_then(Location::tag);
            match &located {
                Err(error) => what.push(format!("{name}: `{target}`: {}", error.why)),
                Ok(location) if tag.is_none() && location.digest().is_none() => {
                    what.push(format!("{name}: the target `{target}` has no tag"));
                }
                Ok(location) if location.digest().is_some_and(|pinned| pinned != *digest) => {
                    what.push(format!(
                        "{name}: the target `{target}` pins another digest than {digest}"
                    ));
                }
                Ok(_) => {}
            }
            if let Some(other) = targets.insert(target.to_owned(), digest.clone())
                && other != *digest
            {
                what.push(format!("{name}: the target `{target}` is there twice"));
            }
        };
        for (key, chart) in &self.charts {
            add(&format!("charts.{key}"), &chart.target, &chart.digest);
        }
        for image in &self.images {
            add(
                &format!("image {}", image.source),
                &image.target,
                &image.digest,
            );
        }
        let of_charts = self.charts.iter().filter_map(|(key, chart)| {
            let artifact = chart.artifact.as_ref()?;
            let error = artifact.parse::<Location>().err()?;
            Some(format!("charts.{key}: `{artifact}`: {}", error.why))
        });
        let of_images = self.images.iter().filter_map(|image| {
            let error = image.source.parse::<Location>().err()?;
            Some(format!("image {}: {}", image.source, error.why))
        });
        let sources: Vec<String> = of_charts.chain(of_images).collect();
        what.into_iter().chain(sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn digest(letter: char) -> String {
        format!("sha256:{}", letter.to_string().repeat(64))
    }

    fn document() -> Value {
        json!({
            "lockVersion": 1,
            "eksVersion": "1.34",
            "inventory": digest('a'),
            "parameters": {"Platforms": "all", "Referrers": "image"},
            "charts": {"app": {
                "name": "app", "repository": "https://charts.corp", "version": "1.0.0+b",
                "archive": digest('b'), "entry": digest('c'), "targetRepository": "charts.corp/app",
                "target": "charts.corp/app:1.0.0_b", "digest": digest('d'), "bytes": 7,
                "values": {"z": {"registry": "<prefix>quay.io"}, "a": [1.5]},
            }},
            "images": [{
                "source": "quay.io/a:1", "target": "quay.io/a:1", "digest": digest('e'), "sourceDigest": digest('f'),
                "bytes": 18_446_744_073_709_551_615_u64,
                "platforms": [{"platform": "linux/amd64", "digest": digest('0'), "bytes": 1}],
                "referrers": [{"digest": digest('1'), "artifactType": "x", "subject": digest('e'), "bytes": 2}],
                "usedBy": ["app", "b"],
            }],
            "closure": {"kubernetesVersion": "v1.34.0-eks-0", "totals": {
                "charts": 1, "notProved": 0, "references": 1, "copied": 1, "allowed": 0, "testOnly": 0, "gaps": 0}},
        })
    }

    fn read(document: &Value) -> Result<Lock, Problems> {
        Lock::read(document.to_string().as_bytes(), "x.lock.json")
    }

    #[test]
    fn a_lock_is_read_as_it_was_written() {
        let lock = read(&document()).unwrap();
        let text = lock.to_json();
        assert_eq!(Lock::read(text.as_bytes(), "x").unwrap(), lock);
        assert_eq!(Lock::read(text.as_bytes(), "x").unwrap().to_json(), text);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document());
    }

    #[test]
    fn what_is_no_lock_of_this_version_is_refused() {
        for text in ["", "[]", "{}", "1", "{\"lockVersion\": \"1\"}", "\u{0}"] {
            let error = Lock::read(text.as_bytes(), "x.lock.json").unwrap_err();
            assert!(
                error.to_string().contains("x.lock.json: it is not a lock"),
                "{error}"
            );
        }
        let mut other = document();
        other["lockVersion"] = 2.into();
        let error = read(&other).unwrap_err().to_string();
        assert!(
            error.contains("version 2") && error.contains("version 1"),
            "{error}"
        );
        for key in ["inventory", "charts", "images", "parameters"] {
            let mut other = document();
            other.as_object_mut().unwrap().remove(key);
            assert!(read(&other).is_err(), "{key}");
        }
        let mut other = document();
        other["more"] = 1.into();
        assert!(read(&other).is_err());
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for (pointer, value) in [
            ("/images/0/target", "../escape:1"),
            ("/images/0/target", "quay.io/A:1"),
            ("/images/0/target", ""),
            ("/images/0/source", "a b"),
            ("/images/0/digest", "sha256:short"),
            ("/charts/app/target", "/root:1"),
            ("/charts/app/archive", "x"),
        ] {
            let mut other = document();
            *other.pointer_mut(pointer).unwrap() = value.into();
            assert!(read(&other).is_err(), "{pointer} {value}");
        }
        let mut twice = document();
        let image = twice["images"][0].clone();
        twice["images"].as_array_mut().unwrap().push(image);
        twice["images"][1]["digest"] = digest('9').into();
        assert!(read(&twice).unwrap_err().to_string().contains("twice"));
    }
}
