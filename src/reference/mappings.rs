//! `docker_mappings` of the data files.

use std::collections::BTreeMap;

use oci_copy::reference::{
    DOCKER_HUB, HostKey, ImageName, InvalidName, hub_name, is_registry_host,
};

/// Which registry an image is read from instead of the one that its name says. The name, and so the
/// target, stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mappings {
    /// By host, or host and path.
    by_place: BTreeMap<String, Mapping>,
    default: Option<Mapping>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mapping {
    /// The key as it was written.
    key: String,
    /// A host with an optional path.
    to: String,
}

impl Mappings {
    /// The key for names that say no registry.
    pub const DEFAULT: &str = "default";

    /// What is mapped, in one spelling, and to what.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let by_place = self.by_place.iter();
        let by_place = by_place.map(|(place, mapping)| (place.as_str(), mapping.to.as_str()));
        let default = self.default.iter();
        by_place.chain(default.map(|mapping| (Self::DEFAULT, mapping.to.as_str())))
    }

    /// Adds what a key of `docker_mappings` says: a registry's host (with its port), optionally with the
    /// beginning of a path, or `default`. `to` is a host with an optional path. Returns the key in the one
    /// spelling that all its spellings have in common.
    ///
    /// # Errors
    /// When the key names no registry, or `to` cannot stand in front of a repository.
    pub fn insert(&mut self, from: &str, to: &str) -> Result<String, InvalidName> {
        let to = to.trim().trim_end_matches('/');
        let refuse = |why: String| InvalidName::new(to, "a registry with an optional path", why);
        if to.contains("://") {
            return Err(refuse(
                "write it without the scheme; --plain-http HOST speaks plain HTTP".to_owned(),
            ));
        }
        let probe = format!("{to}/repository");
        let parsed: ImageName = probe
            .parse()
            .map_err(|error: InvalidName| refuse(error.why))?;
        if parsed.registry.is_none() {
            let why = "it does not start with a registry's host (a name with a dot or a port)";
            return Err(refuse(why.to_owned()));
        }
        let (host, path) = to
            .split_once('/')
            .map_or((to, ""), |(host, path)| (host, path));
        let slash = if path.is_empty() { "" } else { "/" };
        let mapping = Mapping {
            key: from.to_owned(),
            to: format!("{}{slash}{path}", host.to_lowercase()),
        };
        let place = Self::place(from)?;
        if place == Self::DEFAULT {
            self.default = Some(mapping);
        } else {
            self.by_place.insert(place.clone(), mapping);
        }
        Ok(place)
    }

    /// Takes a mapping back, however its key is spelled.
    ///
    /// # Errors
    /// When the key names no registry.
    pub fn remove(&mut self, from: &str) -> Result<String, InvalidName> {
        let place = Self::place(from)?;
        if place == Self::DEFAULT {
            self.default = None;
        }
        self.by_place.remove(&place);
        Ok(place)
    }

    fn place(from: &str) -> Result<String, InvalidName> {
        if from == Self::DEFAULT {
            return Ok(from.to_owned());
        }
        let refuse = |why| {
            InvalidName::new(
                from,
                "a registry such as quay.io or quay.io/team, or `default`",
                why,
            )
        };
        let HostKey { host, path } = from.parse().map_err(refuse)?;
        if !is_registry_host(&host) {
            return Err(refuse(
                "a registry's host has a dot or a port, or is localhost".to_owned(),
            ));
        }
        let slash = if path.is_empty() { "" } else { "/" };
        Ok(format!("{host}{slash}{path}"))
    }

    /// Where an image is read from: its own name, or the mapped one.
    #[must_use]
    pub fn apply(&self, name: &ImageName) -> ImageName {
        let Some((mapping, rest)) = self.find(name) else {
            return name.clone();
        };
        let (host, path) = mapping.to.split_once('/').unwrap_or((&mapping.to, ""));
        let parts = [path, rest].into_iter().filter(|part| !part.is_empty());
        ImageName {
            registry: Some(host.to_owned()),
            repository: parts.collect::<Vec<_>>().join("/"),
            ..name.clone()
        }
    }

    /// The mapping of a name, and what of its repository is left below the mapping's path: the longest path
    /// wins. A name without a registry is one of Docker Hub, unless `default` says otherwise.
    fn find<'a>(&self, name: &'a ImageName) -> Option<(&Mapping, &'a str)> {
        if let (None, Some(default)) = (&name.registry, &self.default) {
            return Some((default, &name.repository));
        }
        let host = name
            .registry
            .as_deref()
            .unwrap_or(DOCKER_HUB)
            .to_lowercase();
        let host = hub_name(&host);
        let repository = name.repository.as_str();
        let ends = repository.match_indices('/').map(|(end, _)| end);
        let mut ends: Vec<usize> = ends.chain([repository.len()]).collect();
        ends.reverse();
        for end in ends {
            let found = self.by_place.get(&format!("{host}/{}", &repository[..end]));
            let rest = repository[end..].trim_start_matches('/');
            if let Some(mapping) =
                found.filter(|mapping| !rest.is_empty() || mapping.to.contains('/'))
            {
                return Some((mapping, rest));
            }
        }
        self.by_place.get(host).map(|mapping| (mapping, repository))
    }

    /// The keys, as they are written, by which none of some names is mapped.
    pub fn unused<'a>(&self, names: impl IntoIterator<Item = &'a ImageName>) -> Vec<&str> {
        let used: Vec<*const Mapping> = names
            .into_iter()
            .filter_map(|name| self.find(name))
            .map(|(mapping, _)| std::ptr::from_ref(mapping))
            .collect();
        self.all()
            .filter(|mapping| !used.contains(&std::ptr::from_ref(*mapping)))
            .map(|mapping| mapping.key.as_str())
            .collect()
    }

    fn all(&self) -> impl Iterator<Item = &Mapping> {
        self.by_place.values().chain(&self.default)
    }

    /// The hosts that images are read from because a mapping says so.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.all().map(|mapping| {
            let to = mapping.to.as_str();
            to.split_once('/').map_or(to, |(host, _)| host)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ImageName {
        text.parse().expect("a valid name")
    }

    #[test]
    fn a_mapping_changes_where_a_name_is_read_from() {
        let mut mappings = Mappings::default();
        for (from, to) in [
            ("quay.io", "Mirror.corp:8443/quay/"),
            ("default", "mirror.corp/hub"),
            ("reg.io:5000", "plain.corp"),
        ] {
            mappings.insert(from, to).unwrap();
        }
        let apply = |text: &str| mappings.apply(&name(text)).to_string();
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(apply("quay.io/a/b:1"), "mirror.corp:8443/quay/a/b:1");
        assert_eq!(apply("QUAY.io/a/b:1"), "mirror.corp:8443/quay/a/b:1");
        assert_eq!(
            apply(&format!("quay.io/a/b:1@{digest}")),
            format!("mirror.corp:8443/quay/a/b:1@{digest}")
        );
        assert_eq!(apply("a/foo.bar:2"), "mirror.corp/hub/a/foo.bar:2");
        assert_eq!(apply("busybox"), "mirror.corp/hub/busybox");
        assert_eq!(apply("reg.io:5000/x:1"), "plain.corp/x:1");
        assert_eq!(apply("ghcr.io/x:1"), "ghcr.io/x:1");
        assert_eq!(apply("docker.io/x:1"), "docker.io/x:1");
        assert_eq!(
            mappings.unused([&name("quay.io/a:1"), &name("b")]),
            ["reg.io:5000"]
        );
    }

    #[test]
    fn a_key_counts_however_it_is_spelled() {
        for key in [
            "quay.io",
            "quay.io/",
            "https://quay.io",
            "QUAY.io",
            " quay.io ",
        ] {
            let mut mappings = Mappings::default();
            assert_eq!(mappings.insert(key, "m.corp").unwrap(), "quay.io");
            assert_eq!(
                mappings.apply(&name("quay.io/a:1")).to_string(),
                "m.corp/a:1",
                "{key}"
            );
            mappings.remove("Quay.io").unwrap();
            assert_eq!(mappings, Mappings::default());
        }
    }

    #[test]
    fn the_longest_path_wins_and_covers_whole_parts_only() {
        let mut mappings = Mappings::default();
        for (from, to) in [
            ("quay.io", "m.corp/all"),
            ("quay.io/team", "m.corp/team"),
            ("quay.io/team/x", "m.corp/x"),
            ("ghcr.io/one", "m.corp"),
        ] {
            mappings.insert(from, to).unwrap();
        }
        for (from, to) in [
            ("quay.io/team/y:1", "m.corp/team/y:1"),
            ("quay.io/team/x:1", "m.corp/x:1"),
            ("quay.io/team/x/z:1", "m.corp/x/z:1"),
            ("quay.io/teams/y:1", "m.corp/all/teams/y:1"),
            // Without a path there would be no repository left.
            ("ghcr.io/one:1", "ghcr.io/one:1"),
            ("ghcr.io/one/two:1", "m.corp/two:1"),
        ] {
            assert_eq!(mappings.apply(&name(from)).to_string(), to);
        }
    }

    #[test]
    fn docker_hub_is_one_registry_under_all_its_names() {
        let mut mappings = Mappings::default();
        mappings
            .insert("https://index.docker.io/", "m.corp/hub")
            .unwrap();
        for text in [
            "team/x:1",
            "docker.io/team/x:1",
            "registry-1.docker.io/team/x:1",
        ] {
            assert_eq!(
                mappings.apply(&name(text)).to_string(),
                "m.corp/hub/team/x:1",
                "{text}"
            );
        }
    }

    #[test]
    fn a_key_or_a_goal_that_can_be_none_is_refused() {
        let mut mappings = Mappings::default();
        for (from, to) in [
            ("ghcr.io", "no-host/path"),
            ("ghcr.io", "https://m.corp"),
            ("ghcr.io", ""),
            ("quay", "m.corp"),
            ("Default", "m.corp"),
            ("*.corp", "m.corp"),
            ("", "m.corp"),
        ] {
            assert!(mappings.insert(from, to).is_err(), "{from}: {to}");
        }
    }
}
