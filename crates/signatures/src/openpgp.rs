//! `OpenPGP` as Helm uses it: cleartext signatures by the keys of a keyring.
//!
//! Version 4 keys and signatures of RSA from 2048 bits, ECDSA on NIST's curves and Ed25519. What counts is what
//! Helm's library accepts (`ProtonMail/go-crypto`, `openpgp.CheckDetachedSignature`), as far as these kinds go.

mod armor;
mod cleartext;
mod keyring;
mod packet;
mod public_key;
mod signature;

#[cfg(test)]
mod tests;

pub use cleartext::{Verified, verify};
pub use keyring::{Keyring, MAX_KEYRING};

/// Why a keyring or a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{0}")]
    Malformed(&'static str),
    /// A part of `OpenPGP` that this program does not verify.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// The keyring does not have the key.
    #[error("a signature by the key {0}, which the keyring does not have or which may not sign")]
    UnknownKey(String),
    /// The signature is not by its key, or what was signed was changed.
    #[error(
        "a signature that does not match the content: it was changed, or another key signed it"
    )]
    Mismatch,
    /// The key was revoked.
    #[error("a signature by the key {0}, which was revoked")]
    Revoked(String),
    /// Key or signature expired.
    #[error("a signature by the key {0}: the key or the signature is expired, or not yet valid")]
    Expired(String),
}
