//! The body of an entry: what it is about, in the words of its kind.

use serde_json::Value;

use super::super::{malformed, untrusted};
use super::{Signed, hashed, unknown_kind};
use crate::cosign::Rejected;
use crate::text::{from_base64, hex, pem_blocks};

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
pub(super) fn check_body(body: &[u8], signed: &Signed<'_>) -> Result<(), Rejected> {
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
