//! Proofs of inclusion: the path to the root of a log's tree, and the root as the log signed it.

use serde::Deserialize;

use super::super::root::Log;
use super::super::{or_default, untrusted};
use super::{hashed, number};
use crate::cosign::Rejected;
use crate::text::from_base64;

/// The most hashes of a proof: a tree of 2^64 entries has as many levels.
const MAX_HASHES: usize = 64;

/// What shows that the log's tree has an entry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Proof {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) log_index: String,
    root_hash: String,
    tree_size: String,
    #[serde(default, deserialize_with = "or_default")]
    hashes: Vec<String>,
    checkpoint: Checkpoint,
}

#[derive(Deserialize)]
struct Checkpoint {
    envelope: String,
}

impl Proof {
    /// Whether the log's tree has the entry at an index, and whether the log signed the tree, as `origin` where that
    /// is given.
    pub(super) fn verify(
        &self,
        (body, index): (&[u8], u64),
        log: &Log,
        origin: Option<&str>,
    ) -> Result<(), Rejected> {
        let refused = || untrusted("whose proof of inclusion in the log is wrong");
        let hashes: Option<Vec<[u8; 32]>> = self
            .hashes
            .iter()
            .take(MAX_HASHES + 1)
            .map(|hash| hash_of(hash))
            .collect();
        let hashes = hashes
            .filter(|hashes| hashes.len() <= MAX_HASHES)
            .ok_or_else(refused)?;
        let size = number(&self.tree_size).ok_or_else(refused)?;
        let root = hash_of(&self.root_hash).ok_or_else(refused)?;
        let found = tree_root(hashed(&[&[0], body]), index, size, &hashes);
        if found != Some(root) {
            return Err(refused());
        }
        // A signed note: origin, size and root; an empty line; and signatures, each with four bytes of its key.
        let (note, signatures) = self
            .checkpoint
            .envelope
            .split_once("\n\n")
            .ok_or_else(refused)?;
        let mut lines = note.lines();
        let named = lines.next().unwrap_or_default();
        if origin.is_some_and(|origin| origin != named) {
            return Err(refused());
        }
        let of_note = (
            lines.next().and_then(number),
            lines.next().and_then(hash_of),
        );
        if of_note != (Some(size), Some(root)) {
            return Err(refused());
        }
        let note = format!("{note}\n");
        let is_by = |line: &str| {
            let signature = line
                .strip_prefix("\u{2014} ")
                .and_then(|line| line.split_once(' '));
            let signature =
                signature.filter(|(name, _)| origin.is_none_or(|origin| origin == *name));
            let signature = signature.and_then(|(_, signature)| from_base64(signature));
            signature.is_some_and(|signature| {
                signature
                    .get(4..)
                    .is_some_and(|signature| log.key.verifies(note.as_bytes(), signature))
            })
        };
        signatures
            .lines()
            .take(MAX_HASHES)
            .any(is_by)
            .then_some(())
            .ok_or_else(refused)
    }
}

fn hash_of(text: &str) -> Option<[u8; 32]> {
    from_base64(text)?.try_into().ok()
}

/// The root of a tree with a leaf at an index (RFC 9162, section 2.1.3.2).
fn tree_root(leaf: [u8; 32], index: u64, size: u64, hashes: &[[u8; 32]]) -> Option<[u8; 32]> {
    let (mut here, mut last) = (index, size.checked_sub(1)?);
    if here > last {
        return None;
    }
    let mut root = leaf;
    for hash in hashes {
        if last == 0 {
            return None;
        }
        if here & 1 == 1 || here == last {
            root = hashed(&[&[1], hash, &root]);
            while here & 1 == 0 && here != 0 {
                here >>= 1;
                last >>= 1;
            }
        } else {
            root = hashed(&[&[1], &root, hash]);
        }
        here >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}
