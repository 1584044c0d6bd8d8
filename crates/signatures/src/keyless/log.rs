//! Entries in a transparency log: that the log has them, when it got them, and what they are about.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::cosign::Rejected;
use crate::text::{from_base64, hex, pem_blocks, unhex};

use super::certificate::Certificate;
use super::root::{Log, TrustRoot};
use super::{malformed, or_default, untrusted};

/// The most hashes of a proof: a tree of 2^64 entries has as many levels.
const MAX_HASHES: usize = 64;

/// What an entry has to be about.
pub(super) struct Signed<'a> {
    /// The certificate in DER.
    pub(super) certificate: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) payload: &'a [u8],
}

/// An entry, as bundles write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    #[serde(default, deserialize_with = "or_default")]
    log_index: String,
    #[serde(default, deserialize_with = "or_default")]
    kind_version: KindVersion,
    log_id: LogId,
    #[serde(default, deserialize_with = "or_default")]
    integrated_time: String,
    inclusion_promise: Option<Promise>,
    inclusion_proof: Option<Proof>,
    canonicalized_body: String,
}

/// What kind of entry it is.
#[derive(Default, Deserialize)]
struct KindVersion {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Promise {
    signed_entry_timestamp: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    #[serde(default, deserialize_with = "or_default")]
    log_index: String,
    root_hash: String,
    tree_size: String,
    #[serde(default, deserialize_with = "or_default")]
    hashes: Vec<String>,
    checkpoint: Checkpoint,
}

#[derive(Deserialize)]
struct Checkpoint {
    envelope: String,
}

/// An entry, as cosign writes it beside a signature under its tag.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfTag {
    signed_entry_timestamp: String,
    payload: OfTagPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfTagPayload {
    body: String,
    integrated_time: u64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

impl Entry {
    /// Reads the annotation of a layer under cosign's tag.
    pub(super) fn of_tag(text: &str) -> Result<Self, Rejected> {
        let entry: OfTag = serde_json::from_str(text)
            .map_err(|error| Rejected::Malformed(format!("its log entry: {error}")))?;
        let id = unhex(&entry.payload.log_id).ok_or_else(|| malformed("the id of its log"))?;
        Ok(Self {
            log_index: entry.payload.log_index.to_string(),
            kind_version: KindVersion::default(),
            log_id: LogId {
                key_id: STANDARD.encode(id),
            },
            integrated_time: entry.payload.integrated_time.to_string(),
            inclusion_promise: Some(Promise {
                signed_entry_timestamp: entry.signed_entry_timestamp,
            }),
            inclusion_proof: None,
            canonicalized_body: entry.payload.body,
        })
    }

    /// Whether it is of a log without times (Rekor 2).
    pub(super) fn has_no_time(&self) -> bool {
        number(&self.integrated_time).unwrap_or_default() == 0
    }

    /// Verifies an entry of a log without times, which counts at a time that an authority attests. Such a log has
    /// entries of one kind, which are made anew here from what they have to be about.
    pub(super) fn verify_untimed(
        &self,
        root: &TrustRoot,
        signed: &Signed<'_>,
        message: &[u8],
        time: u64,
    ) -> Result<(), Rejected> {
        let KindVersion { kind, version } = &self.kind_version;
        if (kind.as_str(), version.as_str()) != ("hashedrekord", "0.0.2") {
            return Err(unknown_kind());
        }
        let id = from_base64(&self.log_id.key_id).unwrap_or_default();
        let log = Log::find(&root.logs, &id, time).ok_or_else(unknown_log)?;
        let proof = self.inclusion_proof.as_ref().ok_or_else(unproved)?;
        let entry = hashed_entry(signed, message).ok_or_else(|| malformed("its certificate"))?;
        let index = number(&self.log_index).unwrap_or_default();
        let origin = log.host.as_deref().ok_or_else(unknown_log)?;
        proof.verify((entry.as_bytes(), index), log, Some(origin))
    }

    /// Verifies it, and gives the time at which the log got it, in seconds since 1970.
    pub(super) fn verify(
        &self,
        root: &TrustRoot,
        signed: &Signed<'_>,
        is_proved: bool,
        now: u64,
    ) -> Result<u64, Rejected> {
        let time = number(&self.integrated_time).filter(|time| *time > 0);
        let time = time.ok_or_else(|| untrusted("whose log entry has no time"))?;
        let body = from_base64(&self.canonicalized_body);
        let body = body.ok_or_else(|| malformed("the body of its log entry"))?;
        let id = from_base64(&self.log_id.key_id).unwrap_or_default();
        let log = Log::find(&root.logs, &id, time);
        let log = log.ok_or_else(unknown_log)?;
        if time > now {
            return Err(untrusted("with a log entry of the future"));
        }
        let promise = self.inclusion_promise.as_ref();
        let promise = promise.and_then(|promise| from_base64(&promise.signed_entry_timestamp));
        let promise = promise.ok_or_else(|| untrusted("without the promise of a log"))?;
        // The keys are in alphabetical order, as the log signs them.
        let message = format!(
            r#"{{"body":"{}","integratedTime":{time},"logID":"{}","logIndex":{}}}"#,
            STANDARD.encode(&body),
            hex(&id),
            number(&self.log_index).unwrap_or_default()
        );
        if !log.key.verifies(message.as_bytes(), &promise) {
            return Err(untrusted("whose log entry the log did not sign"));
        }
        match &self.inclusion_proof {
            Some(proof) => {
                let index = number(&proof.log_index).unwrap_or_default();
                proof.verify((&body, index), log, None)?;
            }
            None if is_proved => return Err(unproved()),
            None => {}
        }
        check_body(&body, signed)?;
        Ok(time)
    }
}

impl Proof {
    /// Whether the log's tree has the entry at an index, and whether the log signed the tree, as `origin` where that
    /// is given.
    fn verify(
        &self,
        (body, index): (&[u8], u64),
        log: &Log,
        origin: Option<&str>,
    ) -> Result<(), Rejected> {
        let refused = || untrusted("whose proof of inclusion in the log is wrong");
        let hashes: Option<Vec<[u8; 32]>> = self
            .hashes
            .iter()
            .take(MAX_HASHES + 1)
            .map(|hash| hash_of(hash))
            .collect();
        let hashes = hashes
            .filter(|hashes| hashes.len() <= MAX_HASHES)
            .ok_or_else(refused)?;
        let size = number(&self.tree_size).ok_or_else(refused)?;
        let root = hash_of(&self.root_hash).ok_or_else(refused)?;
        let found = tree_root(hashed(&[&[0], body]), index, size, &hashes);
        if found != Some(root) {
            return Err(refused());
        }
        // A signed note: origin, size and root; an empty line; and signatures, each with four bytes of its key.
        let (note, signatures) = self
            .checkpoint
            .envelope
            .split_once("\n\n")
            .ok_or_else(refused)?;
        let mut lines = note.lines();
        let named = lines.next().unwrap_or_default();
        if origin.is_some_and(|origin| origin != named) {
            return Err(refused());
        }
        let of_note = (
            lines.next().and_then(number),
            lines.next().and_then(hash_of),
        );
        if of_note != (Some(size), Some(root)) {
            return Err(refused());
        }
        let note = format!("{note}\n");
        let is_by = |line: &str| {
            let signature = line
                .strip_prefix("\u{2014} ")
                .and_then(|line| line.split_once(' '));
            let signature =
                signature.filter(|(name, _)| origin.is_none_or(|origin| origin == *name));
            let signature = signature.and_then(|(_, signature)| from_base64(signature));
            signature.is_some_and(|signature| {
                signature
                    .get(4..)
                    .is_some_and(|signature| log.key.verifies(note.as_bytes(), signature))
            })
        };
        signatures
            .lines()
            .take(MAX_HASHES)
            .any(is_by)
            .then_some(())
            .ok_or_else(refused)
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn unknown_log() -> Rejected {
    untrusted("in a log that the trust root does not have")
}

fn unproved() -> Rejected {
    untrusted("without a proof that the log has it")
}

fn unknown_kind() -> Rejected {
    untrusted("whose log entry is of a kind that is not supported")
}

/// The entry of a log without times for a signature by a certificate, in canonical JSON
/// (rekor-tiles: `pkg/types/hashedrekord`).
fn hashed_entry(signed: &Signed<'_>, message: &[u8]) -> Option<String> {
    let key = Certificate::parse(signed.certificate)?.key()?;
    let (hash, hash_name, key_name) = key.usual()?;
    let digest = STANDARD.encode(hash.of(message));
    let (content, certificate) = (
        STANDARD.encode(signed.signature),
        STANDARD.encode(signed.certificate),
    );
    let data = format!(r#"{{"algorithm":"{hash_name}","digest":"{digest}"}}"#);
    let verifier = format!(
        r#"{{"keyDetails":"{key_name}","x509Certificate":{{"rawBytes":"{certificate}"}}}}"#
    );
    let signature = format!(r#"{{"content":"{content}","verifier":{verifier}}}"#);
    let record = format!(r#"{{"hashedRekordV002":{{"data":{data},"signature":{signature}}}}}"#);
    Some(format!(
        r#"{{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{record}}}"#
    ))
}

fn hash_of(text: &str) -> Option<[u8; 32]> {
    from_base64(text)?.try_into().ok()
}

fn hashed(parts: &[&[u8]]) -> [u8; 32] {
    let digest = digest(&SHA256, &parts.concat());
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// The root of a tree with a leaf at an index (RFC 9162, section 2.1.3.2).
fn tree_root(leaf: [u8; 32], index: u64, size: u64, hashes: &[[u8; 32]]) -> Option<[u8; 32]> {
    let (mut here, mut last) = (index, size.checked_sub(1)?);
    if here > last {
        return None;
    }
    let mut root = leaf;
    for hash in hashes {
        if last == 0 {
            return None;
        }
        if here & 1 == 1 || here == last {
            root = hashed(&[&[1], hash, &root]);
            while here & 1 == 0 && here != 0 {
                here >>= 1;
                last >>= 1;
            }
        } else {
            root = hashed(&[&[1], &root, hash]);
        }
        here >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

/// What an entry is about, as its kind writes it.
struct Body<'a> {
    hash: &'a Value,
    signature: Option<Vec<u8>>,
    /// In PEM, which is in Base64 itself.
    certificate: &'a Value,
}

impl<'a> Body<'a> {
    fn of(body: &'a Value) -> Result<Self, Rejected> {
        let spec = &body["spec"];
        let kind = (body["kind"].as_str(), body["apiVersion"].as_str());
        Ok(match kind {
            (Some("hashedrekord"), Some("0.0.1")) => Self {
                hash: &spec["data"]["hash"],
                signature: bytes(&spec["signature"]["content"]),
                certificate: &spec["signature"]["publicKey"]["content"],
            },
            (Some("dsse"), Some("0.0.1")) => {
                let signature = only(&spec["signatures"])?;
                Self {
                    hash: &spec["payloadHash"],
                    signature: bytes(&signature["signature"]),
                    certificate: &signature["verifier"],
                }
            }
            (Some("intoto"), Some("0.0.2")) => {
                let signature = only(&spec["content"]["envelope"]["signatures"])?;
                let once = bytes(&signature["sig"]).and_then(|once| String::from_utf8(once).ok());
                Self {
                    hash: &spec["content"]["payloadHash"],
                    signature: once.and_then(|once| from_base64(&once)),
                    certificate: &signature["publicKey"],
                }
            }
            _ => return Err(unknown_kind()),
        })
    }
}

fn only(signatures: &Value) -> Result<&Value, Rejected> {
    match signatures.as_array().map(Vec::as_slice) {
        Some([one]) => Ok(one),
        _ => Err(malformed(
            "its log entry does not have exactly one signature",
        )),
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    value.as_str().and_then(from_base64)
}

/// Whether an entry is about a signature by a certificate of a payload.
fn check_body(body: &[u8], signed: &Signed<'_>) -> Result<(), Rejected> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Rejected::Malformed(format!("the body of its log entry: {error}")))?;
    let Body {
        hash,
        signature,
        certificate,
    } = Body::of(&body)?;
    let certificate = bytes(certificate).and_then(|pem| String::from_utf8(pem).ok());
    let certificate = certificate.and_then(|pem| pem_blocks(&pem, "CERTIFICATE").next()?);
    let is_about = hash["algorithm"] == "sha256"
        && hash["value"].as_str() == Some(hex(&hashed(&[signed.payload])).as_str())
        && signature.as_deref() == Some(signed.signature)
        && certificate.as_deref() == Some(signed.certificate);
    if is_about {
        Ok(())
    } else {
        Err(untrusted(
            "whose log entry is about something else, or whose content was changed",
        ))
    }
}
