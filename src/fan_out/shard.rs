//! What goes together: artifacts that share blobs are one group, so that no blob is read by two builds.
//! Pure.

use std::collections::{HashMap, HashSet};

use oci_copy::copy::Missing;
use oci_copy::manifest::Descriptor;
use oci_copy::reference::Digest;

/// So many shards there are for each build: small enough that all builds end at nearly the same time,
/// and that what a lost build held is soon made up for.
const FOR_EACH_BUILD: u64 = 8;

/// A part of the work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shard {
    /// Numbers of artifacts.
    pub artifacts: Vec<usize>,
    /// What it takes.
    pub load: Load,
}

/// What has to be moved, each blob once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes.
    pub bytes: u64,
    /// The bytes of the largest blob.
    pub largest: u64,
    /// Blobs to upload.
    pub blobs: usize,
    /// Manifests to write.
    pub manifests: usize,
}

impl Load {
    /// What some artifacts take together.
    pub fn of<'n>(needs: impl IntoIterator<Item = &'n Missing>) -> Self {
        let mut group = Group::default();
        for (number, need) in needs.into_iter().enumerate() {
            group.add(number, need);
        }
        group.load
    }

    fn add(&mut self, blob: &Descriptor) {
        self.bytes += blob.size;
        self.largest = self.largest.max(blob.size);
        self.blobs += 1;
    }

    fn and(mut self, other: Self) -> Self {
        self.bytes += other.bytes;
        self.largest = self.largest.max(other.largest);
        self.blobs += other.blobs;
        self.manifests += other.manifests;
        self
    }
}

/// Artifacts with their distinct blobs.
#[derive(Default)]
struct Group<'n> {
    artifacts: Vec<usize>,
    blobs: HashSet<&'n Digest>,
    load: Load,
}

impl<'n> Group<'n> {
    fn add(&mut self, number: usize, need: &'n Missing) {
        self.artifacts.push(number);
        self.load.manifests += need.manifests;
        for blob in &need.blobs {
            if self.blobs.insert(&blob.digest) {
                self.load.add(blob);
            }
        }
    }

    /// Its bytes with one artifact more.
    fn bytes_with(&self, need: &Missing) -> u64 {
        let new = need.blobs.iter();
        let new = new.filter(|blob| !self.blobs.contains(&blob.digest));
        self.load.bytes + new.map(|blob| blob.size).sum::<u64>()
    }
}

/// Packs artifacts into shards for so many builds, the largest shard first. Those that share blobs stay
/// together, unless they are more than one build's fair part: then what they share is read more than
/// once, by as few as possible.
#[must_use]
pub fn pack(needs: &[(usize, &Missing)], builds: usize) -> Vec<Shard> {
    let groups = connected(needs);
    let total: u64 = groups.iter().map(|group| group.load.bytes).sum();
    let builds = u64::try_from(builds).unwrap_or(u64::MAX).max(1);
    let fair = total.div_ceil(builds).max(1);
    let size = fair.div_ceil(FOR_EACH_BUILD).max(1);
    let needs: HashMap<usize, &Missing> = needs.iter().copied().collect();
    let (large, small): (Vec<_>, Vec<_>) = groups
        .into_iter()
        .partition(|group| group.load.bytes > fair && group.artifacts.len() > 1);
    let mut shards: Vec<Shard> = large
        .into_iter()
        .flat_map(|group| split(&group, &needs, size))
        .chain(merge(small, size))
        .collect();
    shards.sort_by_key(|shard| std::cmp::Reverse(shard.load.bytes));
    shards
}

/// The groups of artifacts that have blobs in common, directly or by way of others.
fn connected<'n>(needs: &[(usize, &'n Missing)]) -> Vec<Group<'n>> {
    // `parents[i]` leads from the i-th artifact to the first one of its group.
    let mut parents: Vec<usize> = (0..needs.len()).collect();
    let mut first_with: HashMap<&Digest, usize> = HashMap::new();
    for (index, (_, need)) in needs.iter().enumerate() {
        for blob in &need.blobs {
            let other = *first_with.entry(&blob.digest).or_insert(index);
            let (a, b) = (root(&mut parents, index), root(&mut parents, other));
            parents[a.max(b)] = a.min(b);
        }
    }
    let mut groups: HashMap<usize, Group<'n>> = HashMap::new();
    for (index, (number, need)) in needs.iter().enumerate() {
        let group = groups.entry(root(&mut parents, index)).or_default();
        group.add(*number, need);
    }
    let mut groups: Vec<Group<'n>> = groups.into_values().collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(group.load.bytes), group.artifacts[0]));
    groups
}

fn root(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}

/// Splits a group that is too large for one build; an artifact goes where its blobs already are as long as
/// there is room.
fn split(group: &Group<'_>, needs: &HashMap<usize, &Missing>, size: u64) -> Vec<Shard> {
    let parts = usize::try_from(group.load.bytes.div_ceil(size)).unwrap_or(usize::MAX);
    let parts = parts.clamp(1, group.artifacts.len());
    let mut parts: Vec<Group<'_>> = (0..parts).map(|_| Group::default()).collect();
    let mut numbers = group.artifacts.clone();
    numbers.sort_by_key(|number| std::cmp::Reverse(needs[number].bytes()));
    for number in numbers {
        let need = needs[&number];
        let best = parts.iter_mut().min_by_key(|part| {
            let with = part.bytes_with(need);
            // Up to the size of a shard what counts is how little is read again.
            (with.max(size), with - part.load.bytes)
        });
        best.expect("there is a part").add(number, need);
    }
    let parts = parts.into_iter().filter(|part| !part.artifacts.is_empty());
    parts.map(Shard::from).collect()
}

/// Puts groups together until each shard has its size.
fn merge(groups: Vec<Group<'_>>, size: u64) -> Vec<Shard> {
    let mut shards: Vec<Shard> = Vec::new();
    for group in groups {
        match shards.last_mut() {
            Some(last) if last.load.bytes + group.load.bytes <= size => {
                last.artifacts.extend(&group.artifacts);
                last.load = last.load.and(group.load);
            }
            _ => shards.push(group.into()),
        }
    }
    shards
}

impl From<Group<'_>> for Shard {
    fn from(group: Group<'_>) -> Self {
        Self {
            artifacts: group.artifacts,
            load: group.load,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn blob(name: u64, size: u64) -> Descriptor {
        Descriptor {
            digest: Digest::of(&name.to_le_bytes()),
            size,
            media_type: String::new(),
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::default(),
            urls: Vec::new(),
            data: None,
        }
    }

    fn need(blobs: &[(u64, u64)]) -> Missing {
        Missing {
            blobs: blobs
                .iter()
                .map(|(name, size)| blob(*name, *size))
                .collect(),
            manifests: 1,
        }
    }

    fn packed(needs: &[Missing], builds: usize) -> Vec<Shard> {
        let needs: Vec<(usize, &Missing)> = needs.iter().enumerate().collect();
        pack(&needs, builds)
    }

    fn reads(shards: &[Shard]) -> u64 {
        shards.iter().map(|shard| shard.load.bytes).sum()
    }

    #[test]
    fn artifacts_that_share_a_blob_stay_together_even_by_way_of_others() {
        let needs = [
            need(&[(1, 10), (2, 10)]),
            need(&[(5, 30)]),
            need(&[(2, 10), (3, 10)]),
            need(&[(4, 30), (6, 1)]),
            need(&[(3, 10), (7, 5)]),
            need(&[(8, 20)]),
        ];
        let shards = packed(&needs, 2);
        let together = shards.iter().find(|shard| shard.artifacts.contains(&0));
        let together = &together.expect("a shard").artifacts;
        assert!(together.contains(&2) && together.contains(&4), "{shards:?}");
        assert_eq!(reads(&shards), 116, "each blob once: {shards:?}");
        let mut all: Vec<usize> = shards
            .iter()
            .flat_map(|shard| shard.artifacts.clone())
            .collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_group_that_is_more_than_a_fair_part_is_split_and_shares_what_it_must() {
        // One base below everything, and pairs on top of it that share more.
        let needs: Vec<Missing> = (0..16)
            .map(|n| need(&[(1000, 10), (100 + n / 2, 50), (n, 40)]))
            .collect();
        let shards = packed(&needs, 4);
        assert!((4..=16).contains(&shards.len()), "{shards:?}");
        let largest = shards.iter().map(|shard| shard.load.bytes).max().unwrap();
        assert!(largest <= 1050 / 4, "one is too large: {shards:?}");
        // Without sharing it would be 1,600; with every blob once 1,050.
        assert!(
            reads(&shards) <= 1050 + 10 * 16 + 50 * 8,
            "{} bytes",
            reads(&shards)
        );
    }

    #[test]
    fn shards_are_of_one_size_and_the_largest_comes_first() {
        let needs: Vec<Missing> = (0..1000).map(|n| need(&[(n, 1 + n % 50)])).collect();
        let shards = packed(&needs, 8);
        assert!((64..=72).contains(&shards.len()), "{}", shards.len());
        let sizes: Vec<u64> = shards.iter().map(|shard| shard.load.bytes).collect();
        assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
        let manifests: usize = shards.iter().map(|shard| shard.load.manifests).sum();
        assert_eq!(manifests, 1000);
        assert_eq!(packed(&[], 4), []);
    }
}
