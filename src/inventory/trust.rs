//! `trust`: what the sources have to prove before anything is copied from them.

mod read;
mod sources;

use std::fmt;
use std::path::PathBuf;

use super::pattern::is_match;

pub use sources::SourcePattern;

/// What some sources have to prove. Of several rules that match, the first applies.
#[derive(Debug, Clone)]
pub struct TrustRule {
    /// The sources.
    pub sources: SourcePattern,
    /// What is asked of them.
    pub requirement: Requirement,
    /// File, line and key, for messages.
    pub place: String,
}

/// What is asked of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// A signature by a key, made with cosign.
    Cosign {
        /// The public key.
        key: KeyReference,
    },
    /// A signature by a certificate that an identity got, made with cosign.
    Keyless {
        /// Who vouches for the identity: the URL of an OIDC issuer.
        issuer: String,
        /// The identity.
        identity: Identity,
        /// The authorities and logs to rely on; without it, Sigstore's public ones.
        trust_root: Option<PathBuf>,
    },
    /// A provenance file beside the chart, signed by a key of a keyring.
    Provenance {
        /// The keyring.
        keyring: PathBuf,
    },
    /// A reference that pins a digest.
    Digest,
    /// Nothing.
    Nothing {
        /// Why.
        reason: String,
    },
}

/// Where a public key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyReference {
    /// Here.
    Pem(String),
    /// In a file.
    File(PathBuf),
    /// In KMS: the ARN of the key or of an alias.
    Kms(String),
}

/// The identity in a certificate: an address of mail or a URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// This one.
    Exact(String),
    /// One that matches a text in which `*` is any number of any characters.
    Pattern(String),
}

impl Identity {
    /// Whether a certificate's identity is meant.
    #[must_use]
    pub fn matches(&self, identity: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == identity,
            Self::Pattern(pattern) => is_match(pattern, identity),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) | Self::Pattern(text) => f.write_str(text),
        }
    }
}
