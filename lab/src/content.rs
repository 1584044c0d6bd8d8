//! Digests, descriptors, and bytes that are computed instead of stored.

use aws_lc_rs::digest::{Context, SHA256, SHA512};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::ops::Range;

/// `sha256:<hex>` of some bytes.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> String {
    let mut hasher = Hasher::new();
    hasher.update(bytes);
    hasher.finish()
}

/// The digest of some bytes by the algorithm of another digest: `sha512:<hex>` or `sha256:<hex>`.
#[must_use]
pub fn digest_like(other: &str, bytes: &[u8]) -> String {
    if !other.starts_with("sha512:") {
        return digest_of(bytes);
    }
    let mut context = Context::new(&SHA512);
    context.update(bytes);
    format!("sha512:{}", hex(context.finish().as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a String does not fail");
        hex
    })
}

/// SHA-256 over bytes that arrive in pieces.
pub(crate) struct Hasher(Context);

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> String {
        format!("sha256:{}", hex(self.0.finish().as_ref()))
    }
}

/// An OCI descriptor: what content is, under which digest, and how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content.
    pub media_type: String,
    /// `sha256:<hex>` of the content.
    pub digest: String,
    /// Length of the content in bytes.
    pub size: u64,
    /// Further fields: `platform`, `annotations`, `artifactType`, `urls`.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Descriptor {
    /// Describes bytes at hand.
    #[must_use]
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: digest_of(bytes),
            size: bytes.len() as u64,
            more: Map::new(),
        }
    }

    /// The same descriptor with one more field.
    #[must_use]
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.more.insert(key.to_owned(), value);
        self
    }
}

/// Pseudo-random bytes that depend on nothing but a seed: the same at every read, from any offset,
/// and never held as a whole. Each block is one random block stamped with its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synthetic {
    /// Which bytes.
    pub seed: u64,
    /// How many bytes.
    pub size: u64,
}

const BLOCK: u64 = 64 * 1024;

impl Synthetic {
    /// The digest, by generating all bytes once.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = Hasher::new();
        self.pieces(0..self.size)
            .for_each(|piece| hasher.update(&piece));
        hasher.finish()
    }

    /// All bytes at once: for small contents.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.pieces(0..self.size).flatten().collect()
    }

    /// The bytes of a range, block by block.
    pub fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = Bytes> + Send + use<> {
        let mut prng = Prng::new(self.seed);
        let pattern: Vec<u8> = (0..BLOCK / 8)
            .flat_map(|_| prng.next().to_le_bytes())
            .collect();
        (range.start / BLOCK..range.end.div_ceil(BLOCK)).map(move |index| {
            let mut block = BytesMut::from(pattern.as_slice());
            block
                .iter_mut()
                .zip(index.to_le_bytes())
                .for_each(|(byte, stamp)| *byte ^= stamp);
            let first = range.start.saturating_sub(index * BLOCK);
            let last = (range.end - index * BLOCK).min(BLOCK);
            block.freeze().slice(within(first)..within(last))
        })
    }
}

/// An offset inside one block as an index.
fn within(offset: u64) -> usize {
    usize::try_from(offset).expect("a block is small")
}

/// The `SplitMix64` generator: tiny, seeded, good enough to choose faults and to fill blobs.
#[derive(Debug)]
pub(crate) struct Prng(u64);

impl Prng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True with the given probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        let upper = u32::try_from(self.next() >> 32).expect("32 bits");
        f64::from(upper) / f64::from(u32::MAX) < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_synthetic_bytes_is_a_slice_of_the_whole() {
        let blob = Synthetic {
            seed: 7,
            size: 200_001,
        };
        let whole = blob.bytes();
        assert_eq!(whole.len(), 200_001);
        assert_eq!(blob.digest(), digest_of(&whole));
        let part: Vec<u8> = blob.pieces(65_530..131_080).flatten().collect();
        assert_eq!(part, whole[65_530..131_080]);
        assert_ne!(
            whole,
            Synthetic {
                seed: 8,
                size: 200_001
            }
            .bytes()
        );
        assert_ne!(
            Synthetic { seed: 1, size: 3 }.digest(),
            Synthetic { seed: 257, size: 3 }.digest()
        );
    }
}
