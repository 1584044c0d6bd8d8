//! Verifies signatures of cosign and provenance files of Helm. Pure: no network, no files.
//!
//! | module | verifies |
//! |---|---|
//! | [`key`] | a signature with a public key |
//! | [`keyless`] | the same with a certificate and a log |
//! | [`openpgp`] | a text that a key of a keyring signed: a provenance file |
//! | [`cosign`] | what cosign keeps in a registry: payloads under its tags, and Sigstore bundles |
//!
//! All input is hostile until it is verified: each reader has a limit of size, depth or count.

#![forbid(unsafe_code)]

pub mod cosign;
pub mod der;
pub mod key;
pub mod keyless;
pub mod openpgp;
mod text;
