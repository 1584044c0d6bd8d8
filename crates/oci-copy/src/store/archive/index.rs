//! The index at the front of an archive.

use std::collections::HashSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::reference::Digest;

use super::tar;

/// The index's path.
pub(super) const PATH: &str = "bundle.json";

/// The path of its checksum.
pub(super) const CHECKSUM_PATH: &str = "bundle.json.sha256";

/// The version of the format that this program writes and reads.
pub(super) const SCHEMA: u32 = 1;

/// The largest index that is read, in bytes: some 200,000 files.
pub(super) const MAX_INDEX: u64 = 64 * 1024 * 1024;

/// Every file of an archive, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The version of the format.
    pub schema: u32,
    /// The size of the whole archive in bytes.
    pub size: u64,
    /// The files behind the index, in their order.
    pub members: Vec<Member>,
    /// Blobs that an earlier archive has, and this one has not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Absent>,
}

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its path.
    pub path: String,
    /// The digest of its content.
    pub digest: Digest,
    /// The size of its content in bytes.
    pub size: u64,
    /// Where its content begins, in bytes from the beginning of the archive.
    pub offset: u64,
}

/// A blob that an earlier archive has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Member {
    /// What stands in front of its content.
    pub(super) fn header(&self) -> Vec<u8> {
        tar::header(&self.path, self.size)
    }

    /// Where its header begins.
    pub(super) fn begin(&self) -> u64 {
        self.offset - self.header().len() as u64
    }

    /// The bytes from its header to the next one's.
    pub(super) fn span(&self) -> u64 {
        self.header().len() as u64 + tar::padded(self.size)
    }
}

/// The path of a blob.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

impl Index {
    /// Lays out files behind each other, and the front that tells where they are. The offsets stand in the
    /// front, whose length depends on their digits: it is written until it fits.
    pub(super) fn lay_out(files: Vec<(String, Digest, u64)>, absent: Vec<Absent>) -> (Self, Bytes) {
        let mut index = Self {
            schema: SCHEMA,
            size: 0,
            members: Vec::new(),
            absent,
        };
        let members = files.into_iter().map(|(path, digest, size)| Member {
            path,
            digest,
            size,
            offset: 0,
        });
        index.members = members.collect();
        let mut start = 0;
        loop {
            let mut at = start;
            for member in &mut index.members {
                let header = member.header().len() as u64;
                member.offset = at + header;
                at = member.offset + tar::padded(member.size);
            }
            index.size = at + tar::END;
            let front = index.front();
            if front.len() as u64 == start {
                return (index, front);
            }
            start = front.len() as u64;
        }
    }

    /// The archive's bytes up to the first member.
    fn front(&self) -> Bytes {
        let json = serde_json::to_vec(self).expect("all keys are texts");
        let checksum = checksum(&json);
        let mut front = Vec::new();
        for (path, content) in [(CHECKSUM_PATH, checksum.as_bytes()), (PATH, &json)] {
            front.extend(tar::header(path, content.len() as u64));
            front.extend(content);
            front.resize(front.len().next_multiple_of(tar::BLOCK), 0);
        }
        front.into()
    }

    /// Reads an index, and checks that its files lie behind each other from `start` on, as they do in every
    /// archive that this program writes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(json: &[u8], start: u64) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Schema {
            schema: u32,
        }
        let not_one = |error: serde_json::Error| format!("{PATH} cannot be read: {error}");
        let Schema { schema } = serde_json::from_slice(json).map_err(not_one)?;
        if schema != SCHEMA {
            return Err(format!(
                "{PATH} has the schema {schema}, and this version reads {SCHEMA} only"
            ));
        }
        let index: Self = serde_json::from_slice(json).map_err(not_one)?;
        let (mut at, mut paths) = (start, HashSet::new());
        for member in &index.members {
            let is_plain = member
                .path
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".."));
            let is_short = member.path.len() <= 255 && member.path.is_ascii();
            if !is_plain || !is_short || !paths.insert(member.path.as_str()) {
                return Err(format!("{PATH} names the path `{}`", member.path));
            }
            let header = member.header().len() as u64;
            let end = member.offset.checked_add(tar::padded(member.size));
            match (at.checked_add(header), end) {
                (Some(content), Some(end)) if content == member.offset => at = end,
                _ => return Err(format!("{PATH} gives {} a wrong place", member.path)),
            }
        }
        if at.checked_add(tar::END) != Some(index.size) {
            return Err(format!("{PATH} gives a wrong size"));
        }
        Ok(index)
    }
}

/// The content of the checksum's file.
pub(super) fn checksum(json: &[u8]) -> String {
    format!("{}  {PATH}\n", Digest::of(json).hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_those_of_the_front_that_holds_them() {
        for files in [0_u64, 1, 9, 40, 400] {
            let files = (0..files).map(|n| {
                let digest = Digest::of(&n.to_le_bytes());
                (blob_path(&digest), digest, n * 700)
            });
            let (index, front) = Index::lay_out(files.collect(), Vec::new());
            let first = index.members.first().map(Member::begin);
            assert!(first.is_none_or(|first| first == front.len() as u64));
            let json = serde_json::to_vec(&index).unwrap();
            assert_eq!(Index::parse(&json, front.len() as u64), Ok(index));
        }
    }

    #[test]
    fn an_index_whose_files_overlap_is_refused() {
        let digest = Digest::of(b"x");
        let file = (blob_path(&digest), digest, 9);
        let other = ("a".to_owned(), Digest::of(b""), 1 << 40);
        let (index, front) = Index::lay_out(vec![file, other], Vec::new());
        let refused = |change: &dyn Fn(&mut Index)| {
            let mut changed = index.clone();
            change(&mut changed);
            let json = serde_json::to_vec(&changed).unwrap();
            assert!(Index::parse(&json, front.len() as u64).is_err());
        };
        refused(&|index| index.members[1].offset -= 512);
        refused(&|index| index.members[1].offset = 3);
        refused(&|index| index.members[1].size = u64::MAX);
        refused(&|index| index.members[1].path = "../a".to_owned());
        refused(&|index| index.members[1].path = index.members[0].path.clone());
        refused(&|index| index.size += 1);
        refused(&|index| index.schema = 2);
    }
}
