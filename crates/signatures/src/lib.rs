//! Verifies signatures of cosign and provenance files of Helm. Pure: no network, no files.
//!
//! | module | verifies |
//! |---|---|
//! | [`key`] | a signature with a public key |
//! | [`cosign`] | what cosign keeps in a registry: payloads under its tags, and Sigstore bundles |
//!
//! All input is hostile until it is verified: each reader has a limit of size, depth or count.

#![forbid(unsafe_code)]

pub mod cosign;
pub mod der;
pub mod key;
mod text;
