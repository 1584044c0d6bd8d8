//! Timestamps of an authority (RFC 3161): that it signed at which time something was there.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::der::{self, OID, SEQUENCE};
use crate::key::{Hash, PublicKey};

use super::certificate::{Certificate, values};
use super::root::{ALGORITHMS, Authority, TrustRoot, seconds};

const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
/// Time stamping, as a purpose of a certificate.
const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
/// SHA-256; 384 and 512 bits follow it.
const SHA2: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2];

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const GENERALIZED_TIME: u8 = 0x18;
const SET: u8 = 0x31;
/// The tag of a field that is explicitly the first, or that of a set that is implicitly the first.
const FIRST: u8 = 0xa0;

/// The largest response, in bytes: one with a chain of certificates has a few thousand.
const MAX_RESPONSE: usize = 64 * 1024;

/// A token, read but not verified.
struct Token<'a> {
    /// What is said (`TSTInfo`).
    said: &'a [u8],
    certificates: Vec<&'a [u8]>,
    hash: Hash,
    /// The signed attributes, without their tag.
    attributes: &'a [u8],
    signature: &'a [u8],
}

/// The time of a response that an authority of the trust root signed about some bytes, in seconds since 1970.
pub(super) fn verify(response: &[u8], about: &[u8], root: &TrustRoot) -> Option<u64> {
    if response.len() > MAX_RESPONSE {
        return None;
    }
    let token = Token::read(response)?;
    let time = token.time_of(about)?;
    let mut authorities = root.clocks.iter();
    let is_signed = authorities
        .any(|authority| authority.validity.contains(time) && token.is_by(authority, time));
    is_signed.then_some(time)
}

impl<'a> Token<'a> {
    fn read(response: &'a [u8]) -> Option<Self> {
        let (response, _) = der::expect(SEQUENCE, response)?;
        let (status, token) = der::expect(SEQUENCE, response)?;
        let (status, _) = der::expect(INTEGER, status)?;
        // Granted, or granted with changes.
        if !matches!(status, [0 | 1]) {
            return None;
        }
        let (content, _) = der::expect(SEQUENCE, token)?;
        let (kind, content) = der::expect(OID, content)?;
        let (content, _) = der::expect(FIRST, content)?;
        let (data, _) = der::expect(SEQUENCE, content)?;
        let (_, data) = der::expect(INTEGER, data)?;
        let (_, data) = der::expect(SET, data)?;
        let (said, mut data) = der::expect(SEQUENCE, data)?;
        let (kind_of_said, said) = der::expect(OID, said)?;
        let (said, _) = der::expect(FIRST, said)?;
        let (said, _) = der::expect(OCTETS, said)?;
        if kind != SIGNED_DATA || kind_of_said != TIME {
            return None;
        }
        let mut certificates = Vec::new();
        // Certificates and lists of revoked ones may stand between.
        let signers = loop {
            let (tag, content, rest) = der::split(data)?;
            match tag {
                FIRST => certificates = values(content)?,
                SET => break content,
                _ => {}
            }
            data = rest;
        };
        let (signer, others) = der::expect(SEQUENCE, signers)?;
        let (_, signer) = der::expect(INTEGER, signer)?;
        // The certificate's name, which is not needed to find it.
        let (_, _, signer) = der::split(signer)?;
        let (hash, signer) = der::expect(SEQUENCE, signer)?;
        let (attributes, signer) = der::expect(FIRST, signer)?;
        let (_, signer) = der::expect(SEQUENCE, signer)?;
        let (signature, _) = der::expect(OCTETS, signer)?;
        others.is_empty().then_some(Self {
            said,
            certificates,
            hash: hash_of(hash)?,
            attributes,
            signature,
        })
    }

    /// The time, if it is said of some bytes.
    fn time_of(&self, about: &[u8]) -> Option<u64> {
        let (said, _) = der::expect(SEQUENCE, self.said)?;
        let (_, said) = der::expect(INTEGER, said)?;
        let (_, said) = der::expect(OID, said)?;
        let (imprint, said) = der::expect(SEQUENCE, said)?;
        let (_, said) = der::expect(INTEGER, said)?;
        let (time, _) = der::expect(GENERALIZED_TIME, said)?;
        let (algorithm, hashed) = der::expect(SEQUENCE, imprint)?;
        let (hashed, _) = der::expect(OCTETS, hashed)?;
        if hash_of(algorithm)?.of(about).as_ref() != hashed {
            return None;
        }
        time_of(std::str::from_utf8(time).ok()?)
    }

    /// Whether the attributes are about what is said, and an authority's certificate signed them.
    fn is_by(&self, authority: &Authority, time: u64) -> bool {
        let digest = self.hash.of(self.said);
        let is_about = self.attribute(CONTENT_TYPE, OID) == Some(TIME)
            && self.attribute(MESSAGE_DIGEST, OCTETS) == Some(digest.as_ref());
        let Some((anchor, own)) = authority.certificates.split_last() else {
            return false;
        };
        let embedded = self.certificates.iter();
        let embedded = embedded.map(|der| CertificateDer::from(*der));
        let others: Vec<CertificateDer<'_>> = own.iter().cloned().chain(embedded).collect();
        let is_signer = |certificate: &CertificateDer<'_>| {
            self.is_signed_by(certificate) && is_trusted(certificate, &others, anchor, time)
        };
        is_about && others.iter().any(is_signer)
    }

    fn is_signed_by(&self, certificate: &[u8]) -> bool {
        let key = Certificate::parse(certificate).and_then(|certificate| certificate.key());
        // They are signed as a set of their own.
        let signed = der::encode(SET, self.attributes);
        key.is_some_and(|key: PublicKey| key.verifies_with(self.hash, &signed, self.signature))
    }

    /// The one value of the one attribute of an identifier.
    fn attribute(&self, wanted: &[u8], tag: u8) -> Option<&'a [u8]> {
        let mut found = None;
        for attribute in values(self.attributes)? {
            let (attribute, _) = der::expect(SEQUENCE, attribute)?;
            let (oid, all) = der::expect(OID, attribute)?;
            if oid == wanted {
                let (all, _) = der::expect(SET, all)?;
                let (value, others) = der::expect(tag, all)?;
                if found.is_some() || !others.is_empty() {
                    return None;
                }
                found = Some(value);
            }
        }
        found
    }
}

/// Whether a root vouches at a time for a certificate that attests times.
fn is_trusted(
    certificate: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    anchor: &CertificateDer<'_>,
    time: u64,
) -> bool {
    let (Ok(certificate), Ok(anchor)) = (
        EndEntityCert::try_from(certificate),
        anchor_from_trusted_cert(anchor),
    ) else {
        return false;
    };
    let time = UnixTime::since_unix_epoch(Duration::from_secs(time));
    let usage = KeyUsage::required(TIME_STAMPING);
    let anchors = [anchor];
    let path = certificate.verify_for_usage(ALGORITHMS, &anchors, others, time, usage, None, None);
    path.is_ok()
}

/// The hash of an algorithm's content.
fn hash_of(algorithm: &[u8]) -> Option<Hash> {
    let (oid, _) = der::expect(OID, algorithm)?;
    match oid.strip_prefix(SHA2)? {
        [1] => Some(Hash::Sha256),
        [2] => Some(Hash::Sha384),
        [3] => Some(Hash::Sha512),
        _ => None,
    }
}

/// The seconds since 1970 of a time such as `20261126214000Z`, or with parts of a second.
fn time_of(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('Z')?.split('.').next()?;
    if digits.len() != 14 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize| &digits[from..from + 2];
    let (year, rest) = (&digits[..4], [4, 6, 8, 10, 12].map(part));
    let [month, day, hour, minute, second] = rest;
    seconds(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

#[cfg(test)]
#[test]
fn times_of_timestamps_are_seconds() {
    assert_eq!(time_of("19700101000000Z"), Some(0));
    assert_eq!(time_of("20000229123015.5Z"), Some(951_827_415));
    for text in [
        "",
        "Z",
        "2000022912301Z",
        "20000229123015",
        "2000022912301aZ",
        "20000229123015+0100",
    ] {
        assert_eq!(time_of(text), None);
    }
}
