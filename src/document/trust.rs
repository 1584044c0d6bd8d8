//! What a source proved before it was copied.

use serde::{Deserialize, Serialize};

/// What a source proved, as reports and plans record it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trust {
    /// What came out.
    pub state: TrustState,
    /// The rule that applies: its pattern of sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Who signed: the key's fingerprint, or the identity and its issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// What was signed: the digest of the image or of the chart's archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Why nothing is asked of it, or what is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether a source proved what a rule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrustState {
    /// It is signed as asked.
    Signed,
    /// Its reference pins the digest.
    Pinned,
    /// Nothing is asked of it.
    Exempt,
    /// It did not prove it.
    Untrusted,
}

impl TrustState {
    /// The state in a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Pinned => "pinned",
            Self::Exempt => "exempt",
            Self::Untrusted => "untrusted",
        }
    }
}
