//! Entries in a transparency log: that the log has them, when it got them, and what they are about.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::cosign::Rejected;
use crate::text::{from_base64, hex, pem_blocks, unhex};

use super::root::{Log, TrustRoot};
use super::{malformed, untrusted};

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
    #[serde(default)]
    log_index: String,
    log_id: LogId,
    #[serde(default)]
    integrated_time: String,
    inclusion_promise: Option<Promise>,
    inclusion_proof: Option<Proof>,
    canonicalized_body: String,
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
    #[serde(default)]
    log_index: String,
    root_hash: String,
    tree_size: String,
    #[serde(default)]
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

    /// Verifies it, and gives the time at which the log got it, in seconds since 1970.
    pub(super) fn verify(
        &self,
        root: &TrustRoot,
        signed: &Signed<'_>,
        is_proved: bool,
        now: u64,
    ) -> Result<u64, Rejected> {
        let number = |text: &str| text.parse::<u64>().ok();
        let time = number(&self.integrated_time).filter(|time| *time > 0);
        let time = time
            .ok_or_else(|| untrusted("in a log without times (Rekor 2), which is not supported"))?;
        let body = from_base64(&self.canonicalized_body);
        let body = body.ok_or_else(|| malformed("the body of its log entry"))?;
        let id = from_base64(&self.log_id.key_id).unwrap_or_default();
        let log = Log::find(&root.logs, &id, time);
        let log = log.ok_or_else(|| untrusted("in a log that the trust root does not have"))?;
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
            Some(proof) => proof.verify(&body, log)?,
            None if is_proved => return Err(untrusted("without a proof that the log has it")),
            None => {}
        }
        check_body(&body, signed)?;
        Ok(time)
    }
}

impl Proof {
    /// Whether the log's tree has the entry, and whether the log signed the tree.
    fn verify(&self, body: &[u8], log: &Log) -> Result<(), Rejected> {
        let refused = || untrusted("whose proof of inclusion in the log is wrong");
        let number = |text: &str| text.parse::<u64>().ok();
        let hashes: Option<Vec<[u8; 32]>> = self
            .hashes
            .iter()
            .take(MAX_HASHES + 1)
            .map(|hash| hash_of(hash))
            .collect();
        let hashes = hashes
            .filter(|hashes| hashes.len() <= MAX_HASHES)
            .ok_or_else(refused)?;
        let index = number(&self.log_index).unwrap_or_default();
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
        let mut lines = note.lines().skip(1);
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

/// Whether an entry is about a signature by a certificate of a payload.
fn check_body(body: &[u8], signed: &Signed<'_>) -> Result<(), Rejected> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Rejected::Malformed(format!("the body of its log entry: {error}")))?;
    let spec = &body["spec"];
    let (hash, signature, certificate) = match (body["kind"].as_str(), body["apiVersion"].as_str())
    {
        (Some("hashedrekord"), Some("0.0.1")) => {
            let signature = &spec["signature"];
            (
                &spec["data"]["hash"],
                &signature["content"],
                &signature["publicKey"]["content"],
            )
        }
        (Some("dsse"), Some("0.0.1")) => {
            let signatures = spec["signatures"].as_array();
            if signatures.is_none_or(|signatures| signatures.len() != 1) {
                return Err(malformed(
                    "its log entry does not have exactly one signature",
                ));
            }
            let signature = &spec["signatures"][0];
            (
                &spec["payloadHash"],
                &signature["signature"],
                &signature["verifier"],
            )
        }
        _ => {
            return Err(untrusted(
                "whose log entry is of a kind that is not supported",
            ));
        }
    };
    let text = |value: &Value| value.as_str().and_then(from_base64);
    let certificate = text(certificate).and_then(|pem| String::from_utf8(pem).ok());
    let certificate = certificate.and_then(|pem| pem_blocks(&pem, "CERTIFICATE").next()?);
    let is_about = hash["algorithm"] == "sha256"
        && hash["value"].as_str() == Some(hex(&hashed(&[signed.payload])).as_str())
        && text(signature).as_deref() == Some(signed.signature)
        && certificate.as_deref() == Some(signed.certificate);
    if is_about {
        Ok(())
    } else {
        Err(untrusted(
            "whose log entry is about something else, or whose content was changed",
        ))
    }
}
