//! Attestations of copies: for each target a statement, signed by a key of KMS, of what was copied from where by
//! which program. Pure; the commands read, sign and write.
//!
//! The statement is one of in-toto (<https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>) in a
//! Sigstore bundle (<https://docs.sigstore.dev/about/bundle/>), which is a referrer of the target, as cosign writes
//! it: `cosign verify-attestation --key KEY --insecure-ignore-tlog --type TYPE` accepts it.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use oci_copy::manifest::{Descriptor, InvalidManifest, Manifest};
use oci_copy::reference::Digest;
use signatures::cosign::{BUNDLE, PREDICATE_TYPE, pae};
use signatures::key::PublicKey;

use crate::timestamp::rfc3339;

/// The type of the predicate.
pub const PREDICATE: &str = "https://github.com/awslabs/idf-modules/replication/copy/v1";

/// The media type of a bundle of version 0.3.
const BUNDLE_03: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The annotation with the digest of what is attested, without its time: what does not change is not attested again.
const CONTENT: &str = "io.github.awslabs.replication.content";

/// What to do about a key whose signatures cosign does not verify.
pub const KINDS: &str =
    "create a key for signatures of the kind ECC_NIST_P256 or RSA_2048 to RSA_4096";

const IN_TOTO: &str = "application/vnd.in-toto+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Predicate {
    /// What was read.
    pub source: Artifact,
    /// What was written.
    pub target: Artifact,
    /// The platforms at the target; empty for a single image or a chart.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// When it was attested, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested_at: Option<String>,
    /// The role that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The program that did it.
    pub program: Program,
    /// The digest of the lock, if only locked content was copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Digest>,
    /// The digest of the proof that rendered charts name nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure: Option<Digest>,
}

/// A reference and what it named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The reference.
    pub reference: String,
    /// What it named.
    pub digest: Digest,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// Of the algorithms that a key of KMS signs with, the one that cosign verifies: with SHA-256, for a key of a kind
/// that cosign has.
///
/// # Errors
/// Why there is none.
pub fn algorithm(der: &[u8], algorithms: &[String]) -> Result<&'static str, String> {
    const VERIFIED: [&str; 2] = ["ECDSA_SHA_256", "RSASSA_PKCS1_V1_5_SHA_256"];
    PublicKey::from_der(der).map_err(|error| error.to_string())?;
    let mut known = VERIFIED.into_iter();
    let found = known.find(|known| algorithms.iter().any(|one| one == known));
    found.ok_or_else(|| {
        let algorithms = algorithms.join(", ");
        format!("it signs with {algorithms}, which cosign does not verify with a key")
    })
}

/// A statement that is not signed yet.
#[derive(Debug, Clone)]
pub struct Statement {
    text: String,
    content: Digest,
}

/// A signed statement as a referrer: its manifest, and the blobs that the manifest refers to.
#[derive(Debug, Clone)]
pub struct Attestation {
    /// The manifest.
    pub manifest: Manifest,
    /// The blobs.
    pub blobs: Vec<(Descriptor, Bytes)>,
}

impl Predicate {
    /// What identifies it, whenever it was attested. The platforms follow from the digest.
    ///
    /// # Panics
    /// Never: all keys are texts.
    #[must_use]
    pub fn content(&self) -> Digest {
        let identity = Self {
            attested_at: None,
            platforms: Vec::new(),
            ..self.clone()
        };
        let text = serde_json::to_string(&identity).expect("all keys are texts");
        Digest::of(text.as_bytes())
    }

    /// The statement at a time.
    #[must_use]
    pub fn statement(&self, now: SystemTime) -> Statement {
        let predicate = Self {
            attested_at: Some(rfc3339(now)),
            ..self.clone()
        };
        let (target, algorithm) = (&self.target, self.target.digest.algorithm());
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": target.reference, "digest": {algorithm: target.digest.hex()}}],
            "predicateType": PREDICATE,
            "predicate": predicate,
        });
        Statement {
            text: statement.to_string(),
            content: self.content(),
        }
    }
}

impl Statement {
    /// What has to be signed.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        pae(IN_TOTO, self.text.as_bytes())
    }

    /// The referrer of a subject. `hint` names the key.
    ///
    /// # Errors
    /// When the manifest is none, which does not happen.
    pub fn referrer(
        &self,
        subject: &Descriptor,
        signature: &[u8],
        hint: &str,
    ) -> Result<Attestation, InvalidManifest> {
        let bundle = json!({
            "mediaType": BUNDLE_03,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": {
                "payload": STANDARD.encode(&self.text),
                "payloadType": IN_TOTO,
                "signatures": [{"sig": STANDARD.encode(signature)}],
            },
        });
        let bundle = Bytes::from(bundle.to_string());
        let empty = Bytes::from_static(b"{}");
        let blobs = [(EMPTY, empty), (BUNDLE_03, bundle)];
        let blobs = blobs.map(|(kind, bytes)| (Descriptor::of(kind, &bytes), bytes));
        let [(config, _), (layer, _)] = &blobs;
        let subject = Descriptor {
            platform: None,
            ..subject.clone()
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE_03,
            "config": config,
            "layers": [layer],
            "subject": subject,
            "annotations": {
                "dev.sigstore.bundle.content": "dsse-envelope",
                PREDICATE_TYPE: PREDICATE,
                CONTENT: self.content.to_string(),
            },
        });
        let manifest = Manifest::parse(Some(MANIFEST), manifest.to_string().into())?;
        Ok(Attestation {
            manifest,
            blobs: blobs.into(),
        })
    }
}

/// Whether a referrer is an attestation of a copy, by what a list of referrers says of it.
#[must_use]
pub fn is_ours(referrer: &Descriptor) -> bool {
    let kind = referrer.artifact_type.as_deref();
    let is_bundle = kind.is_some_and(|kind| kind.starts_with(BUNDLE));
    is_bundle && referrer.annotations.get(PREDICATE_TYPE).map(String::as_str) == Some(PREDICATE)
}

/// Whether a referrer attests this content.
#[must_use]
pub fn attests(referrer: &Descriptor, content: &Digest) -> bool {
    let named = referrer.annotations.get(CONTENT);
    is_ours(referrer) && named.is_some_and(|named| *named == content.to_string())
}

/// The predicate of a verified statement, if it is one about this digest.
#[must_use]
pub fn predicate(statement: &[u8], digest: &Digest) -> Option<Predicate> {
    let mut statement: Value = serde_json::from_slice(statement).ok()?;
    if statement["predicateType"] != PREDICATE {
        return None;
    }
    let predicate: Predicate = serde_json::from_value(statement["predicate"].take()).ok()?;
    (predicate.target.digest == *digest).then_some(predicate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predicate_of(version: &str) -> Predicate {
        let digest = Digest::of(b"x");
        let artifact = |reference: &str| Artifact {
            reference: reference.to_owned(),
            digest: digest.clone(),
        };
        Predicate {
            source: artifact("quay.io/a:1"),
            target: artifact("r.corp/p-a:1"),
            platforms: vec!["linux/amd64".to_owned()],
            attested_at: None,
            role: None,
            program: Program {
                name: "replicator".to_owned(),
                version: version.to_owned(),
                digest: None,
            },
            lock: None,
            closure: None,
        }
    }

    #[test]
    fn the_same_content_is_known_again_whenever_it_was_attested() {
        let (one, other) = (predicate_of("1"), predicate_of("2"));
        let early = one.statement(SystemTime::UNIX_EPOCH);
        let late = one.statement(SystemTime::now());
        assert_ne!(early.text, late.text);
        assert_eq!(early.content, late.content);
        let subject = Descriptor::of(MANIFEST, b"x");
        let attestation = early.referrer(&subject, b"signature", "key").unwrap();
        let listed = attestation.manifest.as_referrer();
        assert_eq!(attestation.manifest.subject, Some(Digest::of(b"x")));
        assert!(is_ours(&listed) && attests(&listed, &one.content()));
        assert!(!attests(&listed, &other.content()));
    }

    #[test]
    fn a_statement_is_read_as_it_was_written_and_only_for_its_digest() {
        let one = predicate_of("1");
        let statement = one.statement(SystemTime::UNIX_EPOCH);
        let text = statement.text.as_bytes();
        let read = predicate(text, &Digest::of(b"x")).unwrap();
        assert_eq!(read.content(), one.content());
        assert_eq!(predicate(text, &Digest::of(b"y")), None);
        assert_eq!(predicate(b"{}", &Digest::of(b"x")), None);
    }
}
