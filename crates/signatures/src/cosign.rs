//! What cosign keeps beside an image, and what of it a key has to verify.
//!
//! Two schemes: payloads under the tag `sha256-<digest>.sig`, whose signatures are annotations of the manifest's
//! layers; and Sigstore bundles, which are OCI 1.1 referrers. Accepted is what
//! `cosign verify --key KEY --insecure-ignore-tlog` accepts.

use serde::Deserialize;

use crate::key::PublicKey;
use crate::text::{from_base64, unhex};

/// The annotation of a layer that holds the signature of the layer's content.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// What the media types of bundles, and the artifact types of their manifests, begin with.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// The annotation in which a bundle's manifest names the type of its statement.
pub const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";

/// The type of the statement that `cosign sign` makes.
pub const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

/// The largest payload under a tag, in bytes: a few hundred are usual.
pub const MAX_PAYLOAD: u64 = 128 * 1024;

/// The largest bundle, in bytes: it may hold an attestation with an SBOM.
pub const MAX_BUNDLE: u64 = 16 * 1024 * 1024;

/// The most signatures of an image that are looked at, as in cosign.
pub const MAX_SIGNATURES: usize = 1000;

/// The most subjects of a statement, as in cosign.
const MAX_SUBJECTS: usize = 1024;

/// The payload type of DSSE envelopes that hold an in-toto statement.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Rejected {
    /// It is by another key, or what was signed was changed.
    #[error("a signature that this key did not make, or whose content was changed")]
    Key,
    /// It is by a certificate where a key is asked for.
    #[error("a keyless signature")]
    Keyless,
    /// It is by a key where a certificate is asked for.
    #[error("a signature by a key")]
    Keyed,
    /// It is one of another image.
    #[error("a signature for another digest, {0}")]
    Image(String),
    /// It cannot be read.
    #[error("a signature that cannot be read ({0})")]
    Malformed(String),
    /// Its certificate, log entry or identity does not count.
    #[error("{0}")]
    Untrusted(String),
}

fn malformed(what: &str) -> Rejected {
    Rejected::Malformed(what.to_owned())
}

/// Whether a payload under a tag is a key's statement about an image.
///
/// # Errors
/// Why it is not.
pub fn verify_payload(
    key: &PublicKey,
    payload: &[u8],
    signature: &str,
    image: &str,
) -> Result<(), Rejected> {
    let signature = from_base64(signature).ok_or_else(|| malformed("no Base64"))?;
    if !key.verifies(payload, &signature) {
        return Err(Rejected::Key);
    }
    check_claim(payload, image)
}

/// Whether a payload of which only the SHA-256 is known can be a key's.
#[must_use]
pub fn may_verify(key: &PublicKey, sha256: &str, signature: &str) -> bool {
    let digest = unhex(sha256);
    let (Some(digest), Some(signature)) = (digest, from_base64(signature)) else {
        return true;
    };
    key.verifies_digest(&digest, &signature).unwrap_or(true)
}

/// Whether a payload names an image ("simple signing",
/// <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>).
///
/// # Errors
/// When it names another one, or none.
pub fn check_claim(payload: &[u8], image: &str) -> Result<(), Rejected> {
    #[derive(Deserialize)]
    struct Payload {
        critical: Critical,
    }
    #[derive(Deserialize)]
    struct Critical {
        image: Image,
    }
    #[derive(Deserialize)]
    struct Image {
        #[serde(rename = "docker-manifest-digest")]
        digest: String,
    }
    let payload: Payload = serde_json::from_slice(payload)
        .map_err(|error| Rejected::Malformed(format!("its payload: {error}")))?;
    let digest = payload.critical.image.digest;
    if digest == image {
        Ok(())
    } else {
        Err(Rejected::Image(brief(&digest)))
    }
}

/// A foreign text for a message.
fn brief(text: &str) -> String {
    text.escape_debug().take(100).collect()
}

/// A Sigstore bundle, read but not verified.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<serde::de::IgnoredAny>,
    certificate: Option<serde::de::IgnoredAny>,
    x509_certificate_chain: Option<serde::de::IgnoredAny>,
}

/// A signed text of a type (<https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Debug, Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Debug, Deserialize)]
struct Statement {
    #[serde(default)]
    subject: Vec<Subject>,
}

#[derive(Debug, Deserialize)]
struct Subject {
    #[serde(default)]
    digest: std::collections::BTreeMap<String, String>,
}

impl Bundle {
    /// Reads a bundle.
    ///
    /// # Errors
    /// When it is none, or of a version that cosign does not keep in registries.
    pub fn parse(bytes: &[u8]) -> Result<Self, Rejected> {
        if bytes.len() as u64 > MAX_BUNDLE {
            return Err(malformed("the bundle is too large"));
        }
        let bundle: Self = serde_json::from_slice(bytes)
            .map_err(|error| Rejected::Malformed(format!("the bundle: {error}")))?;
        let version = bundle.media_type.strip_prefix(BUNDLE);
        match version {
            Some(".v0.3+json" | "+json;version=0.3") => Ok(bundle),
            _ => Err(Rejected::Malformed(format!(
                "the bundle's media type {}",
                brief(&bundle.media_type)
            ))),
        }
    }

    /// Whether it was made with a certificate and not with a key.
    #[must_use]
    pub fn is_keyless(&self) -> bool {
        let material = &self.verification_material;
        material.certificate.is_some() || material.x509_certificate_chain.is_some()
    }

    /// Whether it is a key's statement about an image.
    ///
    /// # Errors
    /// Why it is not.
    pub fn verify_key(&self, key: &PublicKey, image: &str) -> Result<(), Rejected> {
        if self.is_keyless() {
            return Err(Rejected::Keyless);
        }
        if self.verification_material.public_key.is_none() {
            return Err(malformed("the bundle names no key"));
        }
        let envelope = self.envelope()?;
        let [signature] = envelope.signatures.as_slice() else {
            return Err(malformed("the bundle does not have exactly one signature"));
        };
        let signature = from_base64(&signature.sig).ok_or_else(|| malformed("no Base64"))?;
        let payload = from_base64(&envelope.payload).ok_or_else(|| malformed("no Base64"))?;
        if !key.verifies(&pae(&envelope.payload_type, &payload), &signature) {
            return Err(Rejected::Key);
        }
        self.check_subject(image)
    }

    /// Whether its statement is about an image.
    ///
    /// # Errors
    /// When it is about others.
    pub fn check_subject(&self, image: &str) -> Result<(), Rejected> {
        let envelope = self.envelope()?;
        if envelope.payload_type != IN_TOTO {
            return Err(malformed("the bundle holds no in-toto statement"));
        }
        let payload = from_base64(&envelope.payload).ok_or_else(|| malformed("no Base64"))?;
        let statement: Statement = serde_json::from_slice(&payload)
            .map_err(|error| Rejected::Malformed(format!("the bundle's statement: {error}")))?;
        if statement.subject.len() > MAX_SUBJECTS {
            return Err(malformed("the bundle has too many subjects"));
        }
        let wanted = image.strip_prefix("sha256:");
        let digests = statement.subject.iter();
        let mut digests = digests.filter_map(|subject| subject.digest.get("sha256"));
        if digests.any(|digest| Some(digest.as_str()) == wanted) {
            return Ok(());
        }
        let first = statement.subject.first();
        let first = first.and_then(|subject| subject.digest.get("sha256"));
        let first = first.map_or_else(|| "none".to_owned(), |hex| format!("sha256:{}", brief(hex)));
        Err(Rejected::Image(first))
    }

    /// The statement in it, which is not verified by reading it.
    ///
    /// # Errors
    /// When there is none.
    pub fn statement(&self) -> Result<Vec<u8>, Rejected> {
        from_base64(&self.envelope()?.payload).ok_or_else(|| malformed("no Base64"))
    }

    fn envelope(&self) -> Result<&Envelope, Rejected> {
        let envelope = self.dsse_envelope.as_ref();
        envelope.ok_or_else(|| malformed("the bundle holds no statement"))
    }
}

/// What a DSSE signature is over ("pre-authentication encoding").
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (of_type, of_payload) = (payload_type.len(), payload.len());
    let head = format!("DSSEv1 {of_type} {payload_type} {of_payload} ");
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests;
