//! What a certificate says, and the promise of a certificate log in it (RFC 6962).

use aws_lc_rs::digest::{SHA256, digest};

use crate::cosign::Rejected;
use crate::der::{self, OID, SEQUENCE};
use crate::key::PublicKey;

use super::root::{Log, TrustRoot};
use super::{Signer, untrusted};

const SUBJECT_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const TIMESTAMPS: &[u8] = &[0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];
/// The OIDC issuer as a text of DER, and as bare bytes (<https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>).
const ISSUER: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 8];
const ISSUER_V1: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 1];

/// The tag of extensions in a certificate.
const EXTENSIONS: u8 = 0xa3;
const OCTETS: u8 = 0x04;

/// The most values of a certificate, and the most extensions.
const MAX_VALUES: usize = 64;

/// A certificate, read but not verified.
pub(super) struct Certificate<'a> {
    /// What is signed, without the extensions.
    before: &'a [u8],
    extensions: Vec<Extension<'a>>,
    /// The `SubjectPublicKeyInfo`.
    key: &'a [u8],
}

struct Extension<'a> {
    whole: &'a [u8],
    oid: &'a [u8],
    value: &'a [u8],
}

/// The values of a sequence's content, each as a whole.
pub(super) fn values(mut content: &[u8]) -> Option<Vec<&[u8]>> {
    let mut values = Vec::new();
    while !content.is_empty() {
        let (_, _, rest) = der::split(content)?;
        values.push(&content[..content.len() - rest.len()]);
        if values.len() > MAX_VALUES {
            return None;
        }
        content = rest;
    }
    Some(values)
}

impl<'a> Certificate<'a> {
    pub(super) fn parse(certificate: &'a [u8]) -> Option<Self> {
        let (whole, _) = der::expect(SEQUENCE, certificate)?;
        let (to_be_signed, _) = der::expect(SEQUENCE, whole)?;
        let parts = values(to_be_signed)?;
        let (last, others) = parts.split_last()?;
        // Version, serial number, algorithm, issuer, validity, subject, key.
        let key = *others.get(6)?;
        let (wrapped, _) = der::expect(EXTENSIONS, last)?;
        let (sequence, _) = der::expect(SEQUENCE, wrapped)?;
        let extensions = values(sequence)?.into_iter().map(Extension::parse);
        Some(Self {
            before: &to_be_signed[..to_be_signed.len() - last.len()],
            extensions: extensions.collect::<Option<_>>()?,
            key,
        })
    }

    pub(super) fn key(&self) -> Option<PublicKey> {
        PublicKey::from_der(self.key).ok()
    }

    /// The one extension of an identifier.
    fn extension(&self, oid: &[u8]) -> Option<&'a [u8]> {
        let mut found = self
            .extensions
            .iter()
            .filter(|extension| extension.oid == oid);
        let first = found.next()?.value;
        found.next().is_none().then_some(first)
    }

    /// Whether a certificate log promised to have it.
    pub(super) fn verify_log(
        &self,
        root: &TrustRoot,
        issuer_key: &[u8],
        now: u64,
    ) -> Result<(), Rejected> {
        let missing = || untrusted("whose certificate is in no certificate log of the trust root");
        let list = self.extension(TIMESTAMPS).ok_or_else(missing)?;
        let promises = promises(list).ok_or_else(missing)?;
        let hash = digest(&SHA256, issuer_key);
        let signed = self.without_timestamps();
        let length = u32::try_from(signed.len())
            .map_err(|_| missing())?
            .to_be_bytes();
        let is_by = |promise: &Promise<'_>| {
            let moment = promise.milliseconds / 1000;
            let Some(log) = Log::find(&root.certificate_logs, promise.log, moment) else {
                return false;
            };
            let extensions = u16::try_from(promise.extensions.len()).unwrap_or(u16::MAX);
            let message = [
                &[0, 0],
                promise.milliseconds.to_be_bytes().as_slice(),
                &[0, 1],
                hash.as_ref(),
                &length[1..],
                &signed,
                &extensions.to_be_bytes(),
                promise.extensions,
            ]
            .concat();
            moment <= now && log.key.verifies(&message, promise.signature)
        };
        promises.iter().any(is_by).then_some(()).ok_or_else(missing)
    }

    /// What the log signed: the certificate's content as it was before the log's promise was added.
    fn without_timestamps(&self) -> Vec<u8> {
        let others = self.extensions.iter();
        let others = others.filter(|extension| extension.oid != TIMESTAMPS);
        let others: Vec<&[u8]> = others.map(|extension| extension.whole).collect();
        let list = der::encode(SEQUENCE, &others.concat());
        let content = [self.before, &der::encode(EXTENSIONS, &list)].concat();
        der::encode(SEQUENCE, &content)
    }

    /// Who it is for.
    pub(super) fn signer(&self) -> Option<Signer> {
        const MAIL: u8 = 0x81;
        const URI: u8 = 0x86;
        const UTF8: u8 = 0x0c;
        let (names, _) = der::expect(SEQUENCE, self.extension(SUBJECT_NAMES)?)?;
        let names = values(names)?;
        let [name] = names.as_slice() else {
            return None;
        };
        let (tag, identity, _) = der::split(name)?;
        let issuer = match self.extension(ISSUER) {
            Some(issuer) => der::expect(UTF8, issuer)?.0,
            None => self.extension(ISSUER_V1)?,
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        matches!(tag, MAIL | URI).then_some(Signer {
            identity: text(identity)?,
            issuer: text(issuer)?,
        })
    }
}

impl<'a> Extension<'a> {
    fn parse(whole: &'a [u8]) -> Option<Self> {
        let (content, _) = der::expect(SEQUENCE, whole)?;
        let (oid, rest) = der::expect(OID, content)?;
        // Whether it is critical stands between, or not.
        let last = *values(rest)?.last()?;
        let (value, _) = der::expect(OCTETS, last)?;
        Some(Self { whole, oid, value })
    }
}

/// A promise of a log (`SignedCertificateTimestamp`).
struct Promise<'a> {
    log: &'a [u8],
    milliseconds: u64,
    extensions: &'a [u8],
    signature: &'a [u8],
}

/// The promises in an extension's value.
fn promises(value: &[u8]) -> Option<Vec<Promise<'_>>> {
    let (list, _) = der::expect(OCTETS, value)?;
    let (mut list, rest) = sized(list)?;
    let mut promises = Vec::new();
    while !list.is_empty() && promises.len() < MAX_VALUES {
        let (promise, after) = sized(list)?;
        promises.push(Promise::parse(promise)?);
        list = after;
    }
    rest.is_empty().then_some(promises)
}

/// What two bytes say the length of, and what follows it.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(2)?;
    rest.split_at_checked(usize::from(length[0]) << 8 | usize::from(length[1]))
}

impl<'a> Promise<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        /// SHA-256 with ECDSA.
        const ECDSA: &[u8] = &[4, 3];
        let rest = bytes.strip_prefix(&[0])?;
        let (log, rest) = rest.split_at_checked(32)?;
        let (moment, rest) = rest.split_at_checked(8)?;
        let (extensions, rest) = sized(rest)?;
        let (signature, rest) = sized(rest.strip_prefix(ECDSA)?)?;
        rest.is_empty().then_some(Self {
            log,
            milliseconds: u64::from_be_bytes(moment.try_into().ok()?),
            extensions,
            signature,
        })
    }
}
