//! What differs between two sets of charts and images: locks and result documents.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::document::{Lock, ResultDocument};

/// Charts and images, each with what is known of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The charts by their keys.
    pub charts: BTreeMap<String, Version>,
    /// The images by their repositories below the prefix, and by their tags or digests.
    pub images: BTreeMap<String, BTreeMap<String, Version>>,
}

/// One version of a chart or an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// The chart's version, or the image's tag or digest.
    pub version: String,
    /// The digest of its manifest, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The bytes of all its content, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The chart's key, or the image's repository.
    pub name: String,
    /// What has happened.
    pub change: Change,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Version>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Version>,
}

/// What has happened to a chart or an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another version or tag.
    Changed,
    /// It has the same version or tag, with other content.
    Moved,
}

/// All differences.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// Those of charts, by key.
    pub charts: Vec<Difference>,
    /// Those of images, by repository.
    pub images: Vec<Difference>,
}

impl Contents {
    fn add_image(&mut self, name: &str, digest: Option<String>, bytes: Option<u64>) {
        let (repository, version) = split(name);
        let version = Version {
            version: version.to_owned(),
            digest,
            bytes,
        };
        let tags = self.images.entry(repository.to_owned()).or_default();
        tags.insert(version.version.clone(), version);
    }

    /// The same without a prefix in front of the images' repositories.
    #[must_use]
    pub fn without(mut self, prefix: &str) -> Self {
        let images = std::mem::take(&mut self.images).into_iter();
        let images = images.map(|(name, tags)| {
            let short = name.strip_prefix(prefix).map(str::to_owned);
            (short.unwrap_or(name), tags)
        });
        self.images = images.collect();
        self
    }

    /// The prefix that the images' repositories have in front of those of others; empty if there is none.
    #[must_use]
    pub fn prefix_over(&self, others: &Self) -> String {
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for name in self.images.keys() {
            for other in others.images.keys() {
                if let Some(prefix) = name.strip_suffix(other.as_str()) {
                    *found.entry(prefix).or_default() += 1;
                }
            }
        }
        let best = found.into_iter().max_by_key(|(_, count)| *count);
        best.map(|(prefix, _)| prefix.to_owned())
            .unwrap_or_default()
    }
}

impl From<&Lock> for Contents {
    fn from(lock: &Lock) -> Self {
        let mut contents = Self::default();
        for (key, chart) in &lock.charts {
            let version = Version {
                version: chart.version.clone(),
                digest: Some(chart.digest.to_string()),
                bytes: Some(chart.bytes),
            };
            contents.charts.insert(key.clone(), version);
        }
        for image in &lock.images {
            contents.add_image(
                &image.target,
                Some(image.digest.to_string()),
                Some(image.bytes),
            );
        }
        contents
    }
}

impl From<&ResultDocument> for Contents {
    fn from(result: &ResultDocument) -> Self {
        let mut contents = Self::default();
        let digests = result.written.digests.clone().unwrap_or_default();
        let mut of_charts = BTreeSet::new();
        for (key, chart) in &result.charts {
            let helm = &chart.helm;
            let repository = helm.repository.strip_prefix("oci://");
            let repository = repository.unwrap_or(&helm.repository);
            let name = format!("{repository}:{}", helm.version.replace('+', "_"));
            let version = Version {
                version: helm.version.clone(),
                digest: digests.get(&name).cloned(),
                bytes: None,
            };
            of_charts.insert(name);
            contents.charts.insert(key.clone(), version);
        }
        let additional = result.additional_images.values();
        let additional = additional.filter(|name| !digests.contains_key(*name));
        additional.for_each(|name| contents.add_image(name, None, None));
        let images = digests
            .iter()
            .filter(|(name, _)| !of_charts.contains(*name));
        images.for_each(|(name, digest)| contents.add_image(name, Some(digest.clone()), None));
        contents
    }
}

impl Differences {
    /// The differences from one to another.
    #[must_use]
    pub fn between(from: &Contents, to: &Contents) -> Self {
        let keys: BTreeSet<&String> = from.charts.keys().chain(to.charts.keys()).collect();
        let charts = keys
            .into_iter()
            .filter_map(|key| difference(key, from.charts.get(key), to.charts.get(key)));
        let names: BTreeSet<&String> = from.images.keys().chain(to.images.keys()).collect();
        let none = BTreeMap::new();
        let images = names.into_iter().flat_map(|name| {
            let from = from.images.get(name).unwrap_or(&none);
            let to = to.images.get(name).unwrap_or(&none);
            of_tags(name, from, to)
        });
        Self {
            charts: charts.collect(),
            images: images.collect(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.charts.is_empty() && self.images.is_empty()
    }
}

/// The differences of one repository: a tag that is gone and one that is new are one change.
fn of_tags(
    name: &str,
    from: &BTreeMap<String, Version>,
    to: &BTreeMap<String, Version>,
) -> Vec<Difference> {
    let gone: Vec<&String> = from.keys().filter(|tag| !to.contains_key(*tag)).collect();
    let new: Vec<&String> = to.keys().filter(|tag| !from.contains_key(*tag)).collect();
    let common = from.keys().filter(|tag| to.contains_key(*tag));
    let mut pairs: Vec<(Option<&String>, Option<&String>)> =
        common.map(|tag| (Some(tag), Some(tag))).collect();
    if let ([gone], [new]) = (gone.as_slice(), new.as_slice()) {
        pairs.push((Some(gone), Some(new)));
    } else {
        pairs.extend(gone.into_iter().map(|tag| (Some(tag), None)));
        pairs.extend(new.into_iter().map(|tag| (None, Some(tag))));
    }
    let pairs = pairs.into_iter().filter_map(|(of, with)| {
        difference(
            name,
            of.and_then(|tag| from.get(tag)),
            with.and_then(|tag| to.get(tag)),
        )
    });
    pairs.collect()
}

fn difference(name: &str, from: Option<&Version>, to: Option<&Version>) -> Option<Difference> {
    let change = match (from, to) {
        (None, None) => return None,
        (None, Some(_)) => Change::Added,
        (Some(_), None) => Change::Removed,
        (Some(from), Some(to)) if from.version != to.version => Change::Changed,
        (Some(from), Some(to)) => match (&from.digest, &to.digest) {
            (Some(from), Some(to)) if from != to => Change::Moved,
            _ => return None,
        },
    };
    Some(Difference {
        name: name.to_owned(),
        change,
        from: from.cloned(),
        to: to.cloned(),
    })
}

/// A name as repository and tag, or repository and digest.
fn split(name: &str) -> (&str, &str) {
    if let Some((named, digest)) = name.split_once('@') {
        let tag = named.rfind(':').filter(|at| !named[*at..].contains('/'));
        return (tag.map_or(named, |at| &named[..at]), digest);
    }
    match name.rfind(':').filter(|at| !name[*at..].contains('/')) {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(prefix: &str, images: &[(&str, &str)]) -> Contents {
        let mut contents = Contents::default();
        for (name, digest) in images {
            contents.add_image(
                &format!("{prefix}{name}"),
                Some((*digest).to_owned()),
                Some(1),
            );
        }
        contents
    }

    #[test]
    fn a_new_tag_for_an_old_one_is_a_change_and_other_content_a_move() {
        let from = contents(
            "",
            &[
                ("q.io/a:1", "x"),
                ("q.io/b:1", "x"),
                ("q.io/c:1", "x"),
                ("r:5/d:1", "x"),
                ("r:5/d:2", "x"),
            ],
        );
        let to = contents(
            "",
            &[
                ("q.io/a:2", "y"),
                ("q.io/b:1", "y"),
                ("q.io/e:1", "x"),
                ("r:5/d:1", "x"),
            ],
        );
        let found = Differences::between(&from, &to).images;
        let found: Vec<(&str, Change)> = found
            .iter()
            .map(|one| (one.name.as_str(), one.change))
            .collect();
        assert_eq!(
            found,
            [
                ("q.io/a", Change::Changed),
                ("q.io/b", Change::Moved),
                ("q.io/c", Change::Removed),
                ("q.io/e", Change::Added),
                ("r:5/d", Change::Removed),
            ]
        );
        assert!(Differences::between(&from, &from).is_empty());
    }

    #[test]
    fn a_result_is_compared_without_its_prefix() {
        let names = [("q.io/a:1", "x"), ("q.io/a/a:1", "x"), ("b:2", "y")];
        let (lock, result) = (contents("", &names), contents("r.corp/p-", &names));
        let prefix = result.prefix_over(&lock);
        assert_eq!(prefix, "r.corp/p-");
        assert!(Differences::between(&lock, &result.without(&prefix)).is_empty());
    }
}
