//! Trust roots: `trusted_root.json` of Sigstore.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use serde::Deserialize;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, aws_lc_rs as algorithms};

use crate::cosign::Rejected;
use crate::der::{self, SEQUENCE};
use crate::key::PublicKey;
use crate::text::from_base64;

use super::untrusted;

/// The largest trust root, in bytes.
pub const MAX_ROOT: u64 = 1024 * 1024;

/// Sigstore's public authorities and logs, as its update framework distributes them
/// (<https://github.com/sigstore/root-signing>).
const PUBLIC: &str = include_str!("trusted_root.json");

/// Code signing, as an object identifier.
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];

pub(super) const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
];

/// Certificate authorities, certificate logs and logs.
pub struct TrustRoot {
    authorities: Vec<Authority>,
    pub(super) clocks: Vec<Authority>,
    pub(super) logs: Vec<Log>,
    pub(super) certificate_logs: Vec<Log>,
}

/// An authority for certificates or for timestamps.
pub(super) struct Authority {
    /// The last one is the root.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) validity: Validity,
}

/// A log with its key.
pub(super) struct Log {
    /// The SHA-256 of the key, or of the log's name and the key.
    pub(super) id: Vec<u8>,
    /// The host of its address, which is its name in a log without times.
    pub(super) host: Option<String>,
    pub(super) key: PublicKey,
    validity: Validity,
}

/// When something counts, in seconds since 1970.
pub(super) struct Validity {
    from: u64,
    until: u64,
}

impl Validity {
    pub(super) fn contains(&self, time: u64) -> bool {
        (self.from..=self.until).contains(&time)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default)]
    tlogs: Vec<WrittenLog>,
    #[serde(default)]
    ctlogs: Vec<WrittenLog>,
    #[serde(default)]
    certificate_authorities: Vec<WrittenAuthority>,
    #[serde(default)]
    timestamp_authorities: Vec<WrittenAuthority>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenLog {
    #[serde(default)]
    base_url: String,
    public_key: WrittenKey,
    log_id: WrittenId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenKey {
    raw_bytes: String,
    #[serde(default)]
    valid_for: WrittenValidity,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenId {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenAuthority {
    cert_chain: WrittenChain,
    #[serde(default)]
    valid_for: WrittenValidity,
}

#[derive(Deserialize)]
struct WrittenChain {
    certificates: Vec<WrittenCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenCertificate {
    raw_bytes: String,
}

#[derive(Default, Deserialize)]
struct WrittenValidity {
    start: Option<String>,
    end: Option<String>,
}

impl TrustRoot {
    /// Sigstore's public authorities and logs.
    ///
    /// # Errors
    /// Never: they are a part of the program.
    pub fn public() -> Result<Self, String> {
        Self::parse(PUBLIC)
    }

    /// Reads a `trusted_root.json`.
    ///
    /// # Errors
    /// When it cannot be read, or has no authority or no log.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() as u64 > MAX_ROOT {
            return Err(format!("it has more than {MAX_ROOT} bytes"));
        }
        let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let logs = |written: Vec<WrittenLog>| -> Result<Vec<Log>, String> {
            // A log with a kind of key that is not known verifies nothing.
            let logs = written.into_iter().map(WrittenLog::read);
            logs.filter_map(Result::transpose).collect()
        };
        let authorities = |written: Vec<WrittenAuthority>| -> Result<Vec<Authority>, String> {
            written.into_iter().map(WrittenAuthority::read).collect()
        };
        let root = Self {
            authorities: authorities(written.certificate_authorities)?,
            clocks: authorities(written.timestamp_authorities)?,
            logs: logs(written.tlogs)?,
            certificate_logs: logs(written.ctlogs)?,
        };
        if root.authorities.is_empty() || root.logs.is_empty() || root.certificate_logs.is_empty() {
            return Err("it lacks certificateAuthorities, ctlogs or tlogs".to_owned());
        }
        Ok(root)
    }

    /// The key that issued a certificate, if an authority vouches for it at a time: the `SubjectPublicKeyInfo`.
    pub(super) fn issuer_key(
        &self,
        leaf: &[u8],
        chain: &[Vec<u8>],
        time: u64,
    ) -> Result<Vec<u8>, Rejected> {
        let refused = |why: &dyn std::fmt::Display| {
            untrusted(&format!(
                "whose certificate no authority of the trust root vouches for ({why})"
            ))
        };
        let authorities = self.authorities.iter();
        let authorities = authorities.filter(|authority| authority.validity.contains(time));
        let trusted = authorities.flat_map(|authority| &authority.certificates);
        let anchors: Vec<_> = trusted
            .filter_map(|trusted| anchor_from_trusted_cert(trusted).ok())
            .collect();
        let chain: Vec<CertificateDer<'_>> = chain
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let leaf = CertificateDer::from(leaf);
        let leaf = EndEntityCert::try_from(&leaf).map_err(|error| refused(&error))?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(time));
        let usage = KeyUsage::required(CODE_SIGNING);
        let path = leaf.verify_for_usage(ALGORITHMS, &anchors, &chain, time, usage, None, None);
        let path = path.map_err(|error| refused(&error))?;
        Ok(match path.intermediate_certificates().next() {
            Some(issuer) => issuer.subject_public_key_info().as_ref().to_vec(),
            // Of an anchor there is only the content.
            None => der::encode(SEQUENCE, path.anchor().subject_public_key_info.as_ref()),
        })
    }
}

impl std::fmt::Debug for TrustRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TrustRoot")
    }
}

impl Log {
    /// The log of an id, if it counts at a time.
    pub(super) fn find<'a>(logs: &'a [Self], id: &[u8], time: u64) -> Option<&'a Self> {
        logs.iter()
            .find(|log| log.id == id && log.validity.contains(time))
    }
}

impl WrittenLog {
    fn read(self) -> Result<Option<Log>, String> {
        let id = from_base64(&self.log_id.key_id).filter(|id| !id.is_empty());
        let host = host_of(&self.base_url);
        let der = from_base64(&self.public_key.raw_bytes);
        let validity = self.public_key.valid_for.read()?;
        let (Some(id), Some(der)) = (id, der) else {
            return Ok(None);
        };
        let key = PublicKey::from_der(&der).ok();
        Ok(key.map(|key| Log {
            id,
            host,
            key,
            validity,
        }))
    }
}

impl WrittenAuthority {
    fn read(self) -> Result<Authority, String> {
        let certificates = self.cert_chain.certificates.iter();
        let certificates =
            certificates.map(|raw| from_base64(&raw.raw_bytes).map(CertificateDer::from));
        let certificates: Option<Vec<_>> = certificates.collect();
        Ok(Authority {
            certificates: certificates.ok_or("a certificate in it is not Base64")?,
            validity: self.valid_for.read()?,
        })
    }
}

impl WrittenValidity {
    fn read(&self) -> Result<Validity, String> {
        let seconds = |text: &Option<String>, default| match text {
            None => Ok(default),
            Some(text) => {
                seconds(text).ok_or_else(|| format!("`{}` is not a time", text.escape_debug()))
            }
        };
        Ok(Validity {
            from: seconds(&self.start, 0)?,
            until: seconds(&self.end, u64::MAX)?,
        })
    }
}

/// The host of an address, without its port.
fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', ':']).next()?;
    (!host.is_empty()).then(|| host.to_owned())
}

/// The seconds since 1970 of a time such as `2022-04-13T20:06:15.000Z`.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, separator| -> Option<[u64; 3]> {
        let numbers: Option<Vec<u64>> = text
            .split(separator)
            .map(|part| part.parse().ok())
            .collect();
        numbers?.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.split('.').next()?, ':')?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970 of a Gregorian date, with March as the first month of the year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
#[test]
fn times_are_seconds() {
    assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(seconds("2000-02-29T12:30:15Z"), Some(951_827_415));
    assert_eq!(seconds("2022-04-13T20:06:15.000Z"), Some(1_649_880_375));
    for text in [
        "",
        "2022",
        "2022-13-01T00:00:00Z",
        "2022-01-01T00:00:00+01:00",
        "9-9-9T9:9:9Z",
    ] {
        assert_eq!(seconds(text), None);
    }
}
