//! Keyless signatures of cosign: by a certificate that an identity got for minutes, and an entry in a log that says
//! when it was used. Verified offline with a trust root: certificate authorities, certificate logs and logs.
//!
//! The time is that of the entry (Rekor 1), or for a log without times (Rekor 2) that of a timestamp authority.

mod certificate;
mod log;
mod root;
mod timestamp;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Deserializer};

use crate::cosign::{self, Rejected};
use crate::text::{from_base64, pem_blocks};

use certificate::Certificate;
use log::{Entry, Signed};

pub use root::{MAX_ROOT, TrustRoot};

/// The annotation of a layer under cosign's tag that holds the certificate.
pub const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
/// The annotation with the certificates above it.
pub const CHAIN: &str = "dev.sigstore.cosign/chain";
/// The annotation with the entry in the log.
pub const LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";

/// The most certificates of a chain.
const MAX_CHAIN: usize = 10;

/// The most entries in logs of one signature.
const MAX_ENTRIES: usize = 8;

/// Who made a signature, as a verified certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// An address of mail or a URI.
    pub identity: String,
    /// Who vouched for the identity.
    pub issuer: String,
}

/// What a layer under cosign's tag says of its signature.
#[derive(Debug, Clone, Copy)]
pub struct TagSignature<'a> {
    /// The signature in Base64.
    pub signature: &'a str,
    /// The certificate in PEM.
    pub certificate: Option<&'a str>,
    /// The certificates above it in PEM.
    pub chain: Option<&'a str>,
    /// The entry in the log as JSON.
    pub log_entry: Option<&'a str>,
}

fn malformed(what: &str) -> Rejected {
    Rejected::Malformed(what.to_owned())
}

fn untrusted(what: &str) -> Rejected {
    Rejected::Untrusted(format!("a keyless signature {what}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    verification_material: Material,
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    certificate: Option<Raw>,
    #[serde(default, deserialize_with = "or_default")]
    tlog_entries: Vec<Entry>,
    #[serde(default, deserialize_with = "or_default")]
    timestamp_verification_data: Timestamps,
}

/// Some clients write `null` for what is not there.
fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Timestamps {
    #[serde(default, deserialize_with = "or_default")]
    rfc3161_timestamps: Vec<WrittenTimestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenTimestamp {
    signed_timestamp: String,
}

/// What says when a signature was made.
struct Evidence<'a> {
    entries: &'a [Entry],
    /// Whether the log has to prove that it has an entry.
    is_proved: bool,
    timestamps: &'a [WrittenTimestamp],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    raw_bytes: String,
}

#[derive(Deserialize)]
struct Envelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

impl TrustRoot {
    /// Verifies a Sigstore bundle about an image. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn verify_bundle(&self, bytes: &[u8], image: &str, now: u64) -> Result<Signer, Rejected> {
        let about = cosign::Bundle::parse(bytes)?;
        if !about.is_keyless() {
            return Err(Rejected::Keyed);
        }
        let bundle: Bundle = serde_json::from_slice(bytes)
            .map_err(|error| Rejected::Malformed(format!("the bundle: {error}")))?;
        let Material {
            certificate,
            tlog_entries,
            timestamp_verification_data,
        } = bundle.verification_material;
        let leaf = certificate.and_then(|raw| from_base64(&raw.raw_bytes));
        let leaf = leaf.ok_or_else(|| malformed("the bundle's certificate"))?;
        let Envelope {
            payload,
            payload_type,
            signatures,
        } = bundle.dsse_envelope;
        let [signature] = signatures.as_slice() else {
            return Err(malformed("the bundle does not have exactly one signature"));
        };
        let decoded = from_base64(&signature.sig).zip(from_base64(&payload));
        let (signature, payload) = decoded.ok_or_else(|| malformed("no Base64"))?;
        let message = cosign::pae(&payload_type, &payload);
        let signed = Signed {
            certificate: &leaf,
            signature: &signature,
            payload: &payload,
        };
        let evidence = Evidence {
            entries: &tlog_entries,
            is_proved: true,
            timestamps: &timestamp_verification_data.rfc3161_timestamps,
        };
        let by = self.verify(&signed, &message, &[], &evidence, now)?;
        about.check_subject(image)?;
        Ok(by)
    }

    /// Verifies a payload under cosign's tag about an image. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn verify_payload(
        &self,
        payload: &[u8],
        tag: TagSignature<'_>,
        image: &str,
        now: u64,
    ) -> Result<Signer, Rejected> {
        let certificate = tag.certificate.ok_or(Rejected::Keyed)?;
        let certificates = |text| -> Option<Vec<Vec<u8>>> {
            pem_blocks(text, "CERTIFICATE").take(MAX_CHAIN).collect()
        };
        let leaf = certificates(certificate).and_then(|found| found.into_iter().next());
        let leaf = leaf.ok_or_else(|| malformed("its certificate"))?;
        let chain = certificates(tag.chain.unwrap_or_default());
        let chain = chain.ok_or_else(|| malformed("its chain of certificates"))?;
        let entry = tag
            .log_entry
            .ok_or_else(|| untrusted("without an entry in a log"))?;
        let entry = Entry::of_tag(entry)?;
        let signature = from_base64(tag.signature).ok_or_else(|| malformed("no Base64"))?;
        let signed = Signed {
            certificate: &leaf,
            signature: &signature,
            payload,
        };
        let evidence = Evidence {
            entries: &[entry],
            is_proved: false,
            timestamps: &[],
        };
        let by = self.verify(&signed, payload, &chain, &evidence, now)?;
        cosign::check_claim(payload, image)?;
        Ok(by)
    }

    /// Verifies what both have in common: entry, time, certificate and signature.
    fn verify(
        &self,
        signed: &Signed<'_>,
        message: &[u8],
        chain: &[Vec<u8>],
        evidence: &Evidence<'_>,
        now: u64,
    ) -> Result<Signer, Rejected> {
        let mut rejected = untrusted("without an entry in a log");
        let mut time = None;
        for entry in evidence.entries.iter().take(MAX_ENTRIES) {
            let found = if entry.has_no_time() {
                let attested = self.attested_time(evidence.timestamps, signed.signature, now);
                attested.and_then(|time| {
                    entry.verify_untimed(self, signed, message, time)?;
                    Ok(time)
                })
            } else {
                entry.verify(self, signed, evidence.is_proved, now)
            };
            match found {
                Ok(found) => {
                    time = Some(found);
                    break;
                }
                Err(why) => rejected = why,
            }
        }
        let time = time.ok_or(rejected)?;
        let certificate =
            Certificate::parse(signed.certificate).ok_or_else(|| malformed("its certificate"))?;
        let issuer_key = self.issuer_key(signed.certificate, chain, time)?;
        certificate.verify_log(self, &issuer_key, now)?;
        let key = certificate
            .key()
            .ok_or_else(|| untrusted("by an unknown kind of key"))?;
        // Clients took SHA-256 for every key before.
        let usual = key.usual().map(|(hash, ..)| hash);
        let is_usual = usual.is_some_and(|hash| {
            evidence.is_proved && key.verifies_with(hash, message, signed.signature)
        });
        if !is_usual && !key.verifies(message, signed.signature) {
            return Err(untrusted(
                "that its certificate's key did not make, or whose content was changed",
            ));
        }
        certificate
            .signer()
            .ok_or_else(|| untrusted("whose certificate names no identity or issuer"))
    }
    /// The time that a timestamp authority attests to a signature, in seconds since 1970.
    fn attested_time(
        &self,
        timestamps: &[WrittenTimestamp],
        signature: &[u8],
        now: u64,
    ) -> Result<u64, Rejected> {
        let tokens = timestamps.iter().take(MAX_ENTRIES);
        let tokens = tokens.filter_map(|written| from_base64(&written.signed_timestamp));
        let mut times = tokens.filter_map(|token| timestamp::verify(&token, signature, self));
        let time = times.next().ok_or_else(|| {
            untrusted(
                "in a log without times, and without a timestamp of an authority of the trust root",
            )
        })?;
        if time > now {
            return Err(untrusted("with a timestamp of the future"));
        }
        Ok(time)
    }
}
