//! Entries in a transparency log: that the log has them, when it got them, and what they are about.

mod body;
mod proof;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::cosign::Rejected;
use crate::text::{from_base64, hex, unhex};

use super::certificate::Certificate;
use super::root::{Log, TrustRoot};
use super::{malformed, or_default, untrusted};
use body::check_body;
use proof::Proof;

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

fn hashed(parts: &[&[u8]]) -> [u8; 32] {
    let digest = digest(&SHA256, &parts.concat());
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}
