//! Content digests.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256, SHA384, SHA512};

use super::InvalidName;

/// A content digest, `<algorithm>:<hex>`, of an algorithm that the image specification registers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(into = "String")]
pub struct Digest(Value);

/// The bytes. A run keeps many of the first kind, so they need no memory besides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Value {
    Sha256([u8; 32]),
    Sha384(Box<[u8; 48]>),
    Sha512(Box<[u8; 64]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the digest as hexadecimal text.
    fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    /// The digest of some bytes, which have the algorithm's length.
    fn digest(self, bytes: &[u8]) -> Digest {
        const LENGTH: &str = "the algorithm's length";
        Digest(match self {
            Self::Sha256 => Value::Sha256(bytes.try_into().expect(LENGTH)),
            Self::Sha384 => Value::Sha384(Box::new(bytes.try_into().expect(LENGTH))),
            Self::Sha512 => Value::Sha512(Box::new(bytes.try_into().expect(LENGTH))),
        })
    }
}

impl Digest {
    /// The SHA-256 of some content.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        let mut hasher = Hasher(Context::new(&SHA256), Algorithm::Sha256);
        hasher.update(content);
        hasher.finish()
    }

    /// Whether it is the digest of some content.
    #[must_use]
    pub fn is_of(&self, content: &[u8]) -> bool {
        self.of_same_kind(content) == *self
    }

    /// The digest of some content by this digest's algorithm.
    #[must_use]
    pub fn of_same_kind(&self, content: &[u8]) -> Self {
        let mut hasher = self.hasher();
        hasher.update(content);
        hasher.finish()
    }

    /// Whether it is a SHA-256, the algorithm that every registry knows.
    #[must_use]
    pub fn is_sha256(&self) -> bool {
        self.kind() == Algorithm::Sha256
    }

    /// A hasher of this digest's algorithm.
    #[must_use]
    pub fn hasher(&self) -> Hasher {
        let algorithm = match self.0 {
            Value::Sha256(_) => &SHA256,
            Value::Sha384(_) => &SHA384,
            Value::Sha512(_) => &SHA512,
        };
        Hasher(Context::new(algorithm), self.kind())
    }

    /// The algorithm's registered name, such as `sha256`.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        self.kind().name()
    }

    /// The digest in lower-case hexadecimal, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
        let bytes = self.bytes().iter();
        bytes
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
            .collect()
    }

    /// The digest as bytes, without the algorithm.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Value::Sha256(bytes) => bytes,
            Value::Sha384(bytes) => bytes.as_slice(),
            Value::Sha512(bytes) => bytes.as_slice(),
        }
    }

    fn kind(&self) -> Algorithm {
        match self.0 {
            Value::Sha256(_) => Algorithm::Sha256,
            Value::Sha384(_) => Algorithm::Sha384,
            Value::Sha512(_) => Algorithm::Sha512,
        }
    }
}

/// A digest in the making.
#[derive(Clone)]
pub struct Hasher(Context, Algorithm);

impl Hasher {
    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        self.1.digest(self.0.finish().as_ref())
    }
}

impl FromStr for Digest {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = |why: String| InvalidName::new(text, "a digest", why);
        let (name, hex) = text.split_once(':').ok_or_else(|| {
            invalid("a digest is `<algorithm>:<hex>`, such as `sha256:4f5e…`".to_owned())
        })?;
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| {
                invalid(format!(
                    "`{name}` is none of the algorithms sha256, sha384, sha512"
                ))
            })?;
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = hex
            .as_bytes()
            .chunks(2)
            .map(|pair| Some((value(pair[0])? << 4) | value(*pair.get(1)?)?))
            .collect();
        match bytes.filter(|_| hex.len() == algorithm.hex_len()) {
            Some(bytes) => Ok(algorithm.digest(&bytes)),
            None => Err(invalid(format!(
                "{name} has {} lower-case hexadecimal digits",
                algorithm.hex_len()
            ))),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether the machine has instructions for SHA-256: with them hashing costs a tenth of what moving the
/// bytes does, without them it is the greater part.
#[must_use]
pub fn is_hashing_cheap() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("sha");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_well_known_one() {
        assert_eq!(
            Digest::of(b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_digest_keeps_to_its_algorithm() {
        let sha512: Digest = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
        assert_eq!(
            sha512.hasher().finish().to_string().len(),
            "sha512:".len() + 128
        );
        for text in [
            "sha256",
            "sha256:",
            "md5:00",
            &format!("sha256:{}", "A".repeat(64)),
            &format!("sha256:{}", "a".repeat(63)),
        ] {
            assert!(
                text.parse::<Digest>().is_err(),
                "{text} was taken for a digest"
            );
        }
    }
}
