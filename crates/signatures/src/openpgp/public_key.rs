//! Public keys of version 4, and what they signed.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, EcdsaVerificationAlgorithm,
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
};

use crate::text::hex;

use super::Error;
use super::packet::{self, mpi, padded};

/// A hash that a signature is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    /// Only of what a key says about itself.
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(super) fn of(number: u8) -> Option<Self> {
        match number {
            2 => Some(Self::Sha1),
            8 => Some(Self::Sha256),
            9 => Some(Self::Sha384),
            10 => Some(Self::Sha512),
            _ => None,
        }
    }

    fn digest(self, message: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, message)
    }
}

/// A public key or subkey.
#[derive(Debug, Clone)]
pub(super) struct PublicKey {
    /// The content of its packet.
    pub(super) packet: Vec<u8>,
    /// When it was made, in seconds since 1970.
    pub(super) created: u64,
    pub(super) fingerprint: [u8; 20],
    algorithm: u8,
    material: Material,
}

#[derive(Debug, Clone)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Ecdsa {
        curve: Curve,
        point: Vec<u8>,
    },
    Ed25519(Vec<u8>),
    /// It does not sign, or not in a way that is verified here.
    Other,
}

#[derive(Debug, Clone, Copy)]
enum Curve {
    P256,
    P384,
    P521,
}

impl PublicKey {
    /// Reads the content of a packet.
    pub(super) fn parse(packet: &[u8]) -> Result<Self, Error> {
        const BROKEN: Error = Error::Malformed("a key is broken");
        let [version, c1, c2, c3, c4, algorithm, material @ ..] = packet else {
            return Err(BROKEN);
        };
        if *version != 4 {
            return Err(Error::Unsupported("a key of a version other than 4"));
        }
        let (read, length) = read_material(*algorithm, material).ok_or(BROKEN)?;
        // A secret key goes on with the secret.
        let public = &packet[..6 + length];
        let size = u16::try_from(public.len()).map_err(|_| BROKEN)?;
        let hashed = [&[0x99], size.to_be_bytes().as_slice(), public].concat();
        let fingerprint = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, &hashed);
        Ok(Self {
            created: packet::number(&[*c1, *c2, *c3, *c4]) as u64,
            fingerprint: fingerprint.as_ref().try_into().map_err(|_| BROKEN)?,
            packet: public.to_owned(),
            algorithm: *algorithm,
            material: read,
        })
    }

    /// The last 8 bytes of the fingerprint.
    pub(super) fn id(&self) -> [u8; 8] {
        let mut id = [0; 8];
        id.copy_from_slice(&self.fingerprint[12..]);
        id
    }

    pub(super) fn name(&self) -> String {
        hex(&self.fingerprint).to_uppercase()
    }

    /// The key as signatures about it are over it.
    pub(super) fn hashed(&self) -> Vec<u8> {
        // The length was checked when it was parsed.
        let length = u16::try_from(self.packet.len()).unwrap_or(u16::MAX);
        [&[0x99], length.to_be_bytes().as_slice(), &self.packet].concat()
    }

    /// Whether it made a signature of a message; `numbers` is what the signature's packet ends with.
    pub(super) fn verifies(
        &self,
        algorithm: u8,
        hash: Hash,
        message: &[u8],
        numbers: &[u8],
    ) -> bool {
        algorithm == self.algorithm && self.check(hash, message, numbers).is_some()
    }

    fn check(&self, hash: Hash, message: &[u8], numbers: &[u8]) -> Option<()> {
        match &self.material {
            Material::Rsa { modulus, exponent } => {
                let (signature, _) = mpi(numbers)?;
                let signature = padded(signature, modulus.len())?;
                let parameters = match hash {
                    Hash::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                    Hash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                    Hash::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
                    Hash::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
                };
                let key = PublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                key.verify(parameters, message, &signature).ok()
            }
            Material::Ecdsa { curve, point } => {
                let (r, rest) = mpi(numbers)?;
                let (s, _) = mpi(rest)?;
                let key = UnparsedPublicKey::new(ecdsa(*curve, hash)?, point);
                key.verify(message, &ecdsa_der(r, s)?).ok()
            }
            Material::Ed25519(point) => {
                let signature = if self.algorithm == ED25519_NUMBER {
                    numbers.get(..64)?.to_vec()
                } else {
                    let (r, rest) = mpi(numbers)?;
                    let (s, _) = mpi(rest)?;
                    [padded(r, 32)?, padded(s, 32)?].concat()
                };
                let digest = hash.digest(message);
                let key = UnparsedPublicKey::new(&ED25519, point);
                key.verify(digest.as_ref(), &signature).ok()
            }
            Material::Other => None,
        }
    }
}

/// Ed25519 as RFC 9580 numbers it.
const ED25519_NUMBER: u8 = 27;

/// The key's numbers, and how many bytes they take.
fn read_material(algorithm: u8, bytes: &[u8]) -> Option<(Material, usize)> {
    const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    const P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22];
    const P521: &[u8] = &[0x2b, 0x81, 4, 0, 0x23];
    const ED25519_OID: &[u8] = &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1];
    let used = |rest: &[u8]| bytes.len() - rest.len();
    match algorithm {
        1 | 3 => {
            let (modulus, rest) = mpi(bytes)?;
            let (exponent, rest) = mpi(rest)?;
            let material = Material::Rsa {
                modulus: modulus.to_owned(),
                exponent: exponent.to_owned(),
            };
            Some((material, used(rest)))
        }
        19 | 22 => {
            let (&length, rest) = bytes.split_first()?;
            let (oid, rest) = rest.split_at_checked(usize::from(length))?;
            let (point, rest) = mpi(rest)?;
            let ecdsa = |curve| Material::Ecdsa {
                curve,
                point: point.to_owned(),
            };
            let material = match (algorithm, oid) {
                (19, P256) => ecdsa(Curve::P256),
                (19, P384) => ecdsa(Curve::P384),
                (19, P521) => ecdsa(Curve::P521),
                (22, ED25519_OID) => Material::Ed25519(point.strip_prefix(&[0x40])?.to_owned()),
                _ => Material::Other,
            };
            Some((material, used(rest)))
        }
        ED25519_NUMBER => {
            let (point, rest) = bytes.split_at_checked(32)?;
            Some((Material::Ed25519(point.to_owned()), used(rest)))
        }
        _ => Some((Material::Other, bytes.len())),
    }
}

fn ecdsa(curve: Curve, hash: Hash) -> Option<&'static EcdsaVerificationAlgorithm> {
    Some(match (curve, hash) {
        (Curve::P256, Hash::Sha256) => &ECDSA_P256_SHA256_ASN1,
        (Curve::P256, Hash::Sha384) => &ECDSA_P256_SHA384_ASN1,
        (Curve::P256, Hash::Sha512) => &ECDSA_P256_SHA512_ASN1,
        (Curve::P384, Hash::Sha256) => &ECDSA_P384_SHA256_ASN1,
        (Curve::P384, Hash::Sha384) => &ECDSA_P384_SHA384_ASN1,
        (Curve::P384, Hash::Sha512) => &ECDSA_P384_SHA512_ASN1,
        (Curve::P521, Hash::Sha256) => &ECDSA_P521_SHA256_ASN1,
        (Curve::P521, Hash::Sha384) => &ECDSA_P521_SHA384_ASN1,
        (Curve::P521, Hash::Sha512) => &ECDSA_P521_SHA512_ASN1,
        (_, Hash::Sha1) => return None,
    })
}

/// Two numbers as DER has them.
fn ecdsa_der(r: &[u8], s: &[u8]) -> Option<Vec<u8>> {
    fn value(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
        let length = u8::try_from(content.len()).ok()?;
        let head = if length < 0x80 {
            vec![tag, length]
        } else {
            vec![tag, 0x81, length]
        };
        Some([&head, content].concat())
    }
    let integer = |digits: &[u8]| {
        let is_high = digits.first().is_none_or(|first| *first >= 0x80);
        value(2, &[&vec![0; usize::from(is_high)], digits].concat())
    };
    value(0x30, &[integer(r)?, integer(s)?].concat())
}
