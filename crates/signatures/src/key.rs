//! Public keys, as cosign reads them.

use std::fmt;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

use crate::der::{self, OID, SEQUENCE};
use crate::text::{hex, pem_blocks};

/// The largest text of a key, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// A public key. Signatures are over SHA-256, except those of Ed25519, as in cosign.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    der: Vec<u8>,
}

/// What is hashed before it is signed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(crate) fn of(self, bytes: &[u8]) -> Digest {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    P521,
    Rsa,
    Ed25519,
}

/// Why a text is no public key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidKey {
    /// Something else.
    #[error("it holds no public key in PEM (-----BEGIN PUBLIC KEY-----)")]
    NoKey,
    /// Several.
    #[error("it holds more than one public key")]
    Several,
    /// A private key.
    #[error("it holds a private key; only the public key belongs here")]
    Private,
    /// A broken one.
    #[error("the public key in it is broken")]
    Broken,
    /// A kind that cosign has and this program has not, or that neither has.
    #[error(
        "its kind of key is not known; ECDSA on P-256, P-384 or P-521, RSA from 2048 bits and Ed25519 are"
    )]
    Kind,
}

impl PublicKey {
    /// Reads the one public key of a PEM text.
    ///
    /// # Errors
    /// When the text holds none, several, or something else.
    pub fn from_pem(text: &str) -> Result<Self, InvalidKey> {
        if text.contains("PRIVATE KEY-----") {
            return Err(InvalidKey::Private);
        }
        if text.len() > MAX_TEXT {
            return Err(InvalidKey::NoKey);
        }
        let mut blocks = pem_blocks(text, "PUBLIC KEY");
        let first = blocks.next().ok_or(InvalidKey::NoKey)?;
        if blocks.next().is_some() {
            return Err(InvalidKey::Several);
        }
        Self::from_der(&first.ok_or(InvalidKey::Broken)?)
    }

    /// Reads a `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// When it is none, or of a kind that is not known.
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidKey> {
        let key = Self {
            kind: kind(der)?,
            der: der.to_owned(),
        };
        let parsed = key.unparsed().parse();
        parsed.map_err(|_| InvalidKey::Broken)?;
        Ok(key)
    }

    /// The `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The SHA-256 of the key, by which people compare keys.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = digest::digest(&digest::SHA256, &self.der);
        format!("sha256:{}", hex(digest.as_ref()))
    }

    /// Whether a signature is one of a message.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.unparsed().verify(message, signature).is_ok()
    }

    /// Whether a signature is one of a message of which only the SHA-256 is known; `None` where the whole message
    /// is needed.
    #[must_use]
    pub fn verifies_digest(&self, sha256: &[u8; 32], signature: &[u8]) -> Option<bool> {
        if self.kind == Kind::Ed25519 {
            return None;
        }
        let digest = Digest::import_less_safe(sha256, &digest::SHA256).ok()?;
        Some(self.unparsed().verify_digest(&digest, signature).is_ok())
    }

    /// The same with another hash; that of Ed25519 is its own.
    pub(crate) fn verifies_with(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(self.algorithm(hash), &self.der);
        key.verify(message, signature).is_ok()
    }

    /// The hash that Sigstore's clients use with such a key today, and the names of hash and algorithm in
    /// transparency logs (<https://github.com/sigstore/architecture-docs/blob/main/algorithm-registry.md>). `None`
    /// where they sign in a way that is not known here.
    pub(crate) fn usual(&self) -> Option<(Hash, &'static str, &'static str)> {
        const SHA256: &str = "SHA2_256";
        Some(match self.kind {
            Kind::P256 => (Hash::Sha256, SHA256, "PKIX_ECDSA_P256_SHA_256"),
            Kind::P384 => (Hash::Sha384, "SHA2_384", "PKIX_ECDSA_P384_SHA_384"),
            Kind::P521 => (Hash::Sha512, "SHA2_512", "PKIX_ECDSA_P521_SHA_512"),
            // The modulus takes most of the key, with its header of 38 bytes at most.
            Kind::Rsa => match self.der.len() {
                ..=300 => (Hash::Sha256, SHA256, "PKIX_RSA_PKCS1V15_2048_SHA256"),
                301..=428 => (Hash::Sha256, SHA256, "PKIX_RSA_PKCS1V15_3072_SHA256"),
                _ => (Hash::Sha256, SHA256, "PKIX_RSA_PKCS1V15_4096_SHA256"),
            },
            Kind::Ed25519 => return None,
        })
    }

    fn algorithm(&self, hash: Hash) -> &'static dyn VerificationAlgorithm {
        match (self.kind, hash) {
            (Kind::P256, Hash::Sha256) => &ECDSA_P256_SHA256_ASN1,
            (Kind::P256, Hash::Sha384) => &ECDSA_P256_SHA384_ASN1,
            (Kind::P256, Hash::Sha512) => &ECDSA_P256_SHA512_ASN1,
            (Kind::P384, Hash::Sha256) => &ECDSA_P384_SHA256_ASN1,
            (Kind::P384, Hash::Sha384) => &ECDSA_P384_SHA384_ASN1,
            (Kind::P384, Hash::Sha512) => &ECDSA_P384_SHA512_ASN1,
            (Kind::P521, Hash::Sha256) => &ECDSA_P521_SHA256_ASN1,
            (Kind::P521, Hash::Sha384) => &ECDSA_P521_SHA384_ASN1,
            (Kind::P521, Hash::Sha512) => &ECDSA_P521_SHA512_ASN1,
            (Kind::Rsa, Hash::Sha256) => &RSA_PKCS1_2048_8192_SHA256,
            (Kind::Rsa, Hash::Sha384) => &RSA_PKCS1_2048_8192_SHA384,
            (Kind::Rsa, Hash::Sha512) => &RSA_PKCS1_2048_8192_SHA512,
            (Kind::Ed25519, _) => &ED25519,
        }
    }

    fn unparsed(&self) -> Unparsed<'_> {
        UnparsedPublicKey::new(self.algorithm(Hash::Sha256), &self.der)
    }
}

type Unparsed<'a> = UnparsedPublicKey<&'a Vec<u8>>;

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.fingerprint())
    }
}

fn kind(spki: &[u8]) -> Result<Kind, InvalidKey> {
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    const P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22];
    const P521: &[u8] = &[0x2b, 0x81, 4, 0, 0x23];
    let parts = || {
        let (whole, after) = der::expect(SEQUENCE, spki)?;
        let (algorithm, _) = der::expect(SEQUENCE, whole)?;
        let (oid, parameters) = der::expect(OID, algorithm)?;
        after.is_empty().then_some((oid, parameters))
    };
    let (oid, parameters) = parts().ok_or(InvalidKey::Broken)?;
    match oid {
        RSA => Ok(Kind::Rsa),
        ED25519 => Ok(Kind::Ed25519),
        EC => match der::expect(OID, parameters) {
            Some((P256, _)) => Ok(Kind::P256),
            Some((P384, _)) => Ok(Kind::P384),
            Some((P521, _)) => Ok(Kind::P521),
            _ => Err(InvalidKey::Kind),
        },
        _ => Err(InvalidKey::Kind),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    };
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn pem(der: &[u8]) -> String {
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der)
        )
    }

    fn sha256(message: &[u8]) -> [u8; 32] {
        let digest = digest::digest(&digest::SHA256, message);
        digest.as_ref().try_into().unwrap()
    }

    #[test]
    fn signatures_of_each_kind_of_key_verify_and_those_of_others_do_not() {
        let random = SystemRandom::new();
        let message = b"what is signed";
        let ecdsa = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let signed = ecdsa.sign(&random, message).unwrap();
        let der: PublicKeyX509Der<'_> = ecdsa.public_key().as_der().unwrap();
        let key = PublicKey::from_pem(&pem(der.as_ref())).unwrap();
        assert!(key.verifies(message, signed.as_ref()));
        assert!(!key.verifies(b"something else", signed.as_ref()));
        assert!(!key.verifies_with(Hash::Sha384, message, signed.as_ref()));
        assert_eq!(
            key.verifies_digest(&sha256(message), signed.as_ref()),
            Some(true)
        );
        assert_eq!(
            key.verifies_digest(&sha256(b"x"), signed.as_ref()),
            Some(false)
        );

        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let mut by_rsa = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut by_rsa)
            .unwrap();
        let der: PublicKeyX509Der<'_> = rsa.public_key().as_der().unwrap();
        let other = PublicKey::from_pem(&pem(der.as_ref())).unwrap();
        assert!(other.verifies(message, &by_rsa));
        assert_eq!(other.verifies_digest(&sha256(message), &by_rsa), Some(true));
        assert!(!other.verifies(message, signed.as_ref()));

        let ed25519 = Ed25519KeyPair::generate().unwrap();
        let der: PublicKeyX509Der<'_> = ed25519.public_key().as_der().unwrap();
        let third = PublicKey::from_der(der.as_ref()).unwrap();
        assert!(third.verifies(message, ed25519.sign(message).as_ref()));
        assert_eq!(third.verifies_digest(&sha256(message), &[0; 64]), None);
    }

    #[test]
    fn what_is_no_public_key_is_refused_with_the_reason() {
        for (text, why) in [
            ("", InvalidKey::NoKey),
            ("ssh-ed25519 AAAA", InvalidKey::NoKey),
            (
                "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
                InvalidKey::Private,
            ),
            (&pem(b"broken"), InvalidKey::Broken),
            (
                &pem(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
                InvalidKey::Broken,
            ),
            ("-----BEGIN PUBLIC KEY-----\nAAAA", InvalidKey::Broken),
        ] {
            assert_eq!(PublicKey::from_pem(text), Err(why), "{text}");
        }
        let ed25519 = Ed25519KeyPair::generate().unwrap();
        let der: PublicKeyX509Der<'_> = ed25519.public_key().as_der().unwrap();
        let twice = pem(der.as_ref()).repeat(2);
        assert_eq!(PublicKey::from_pem(&twice), Err(InvalidKey::Several));
    }
}
