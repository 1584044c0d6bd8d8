//! Reads the signatures of an artifact at its source, and verifies them.

use std::collections::BTreeSet;

use ::signatures::cosign::{self, Bundle, Rejected};
use ::signatures::key::PublicKey;
use ::signatures::keyless::{self, Signer, TagSignature, TrustRoot};
use oci_copy::copy::{Candidate, Refused};
use oci_copy::manifest::{Descriptor, Manifest};

use crate::inventory::Identity;

/// The most contents of signatures that are read of one artifact. Most need one.
const MAX_READS: usize = 32;

/// A signature that counts.
pub(super) struct Signed {
    /// Who made it.
    pub(super) by: String,
    /// What it is about.
    pub(super) digest: String,
}

/// What was found instead of a signature that counts, in words.
pub(super) type Found = String;

/// Why signatures do not count, each reason once.
#[derive(Default)]
struct Reasons {
    each: BTreeSet<Rejected>,
    signatures: usize,
    reads: usize,
}

impl Reasons {
    fn add(&mut self, rejected: Rejected) {
        self.signatures += 1;
        self.each.insert(rejected);
    }

    /// Whether one more content may be read.
    fn may_read(&mut self) -> bool {
        self.reads += 1;
        self.reads <= MAX_READS
    }

    fn words(self) -> Found {
        const NAMED: usize = 5;
        let more = self.reads.saturating_sub(MAX_READS);
        let mut words: Vec<String> = self
            .each
            .iter()
            .take(NAMED)
            .map(ToString::to_string)
            .collect();
        match (self.signatures, self.each.len()) {
            (0, _) => words.push("no signature".to_owned()),
            (_, reasons) if reasons > NAMED => {
                words.push(format!("{} other reasons", reasons - NAMED));
            }
            (1, _) => {}
            (several, _) => words.push(format!("{several} signatures in all")),
        }
        if more > 0 {
            words.push(format!("{more} more were not read"));
        }
        words.join("; ")
    }
}

/// Looks for a signature by a key, under cosign's tag and among the bundles.
pub(super) async fn by_key(
    candidate: &Candidate<'_>,
    key: &PublicKey,
) -> Result<Result<Signed, Found>, Refused> {
    let image = candidate.digest.to_string();
    let signed = || Signed {
        by: format!("key {}", key.fingerprint()),
        digest: image.clone(),
    };
    let mut reasons = Reasons::default();
    for layer in tagged(candidate).await? {
        let signature = layer.annotations.get(cosign::SIGNATURE);
        let Some(signature) = signature else {
            reasons.add(Rejected::Malformed(
                "it has no annotation with the signature".to_owned(),
            ));
            continue;
        };
        if layer.digest.is_sha256() && !cosign::may_verify(key, &layer.digest.hex(), signature) {
            reasons.add(Rejected::Key);
            continue;
        }
        if layer.size > cosign::MAX_PAYLOAD || !reasons.may_read() {
            reasons.add(Rejected::Malformed("its payload is too large".to_owned()));
            continue;
        }
        let payload = candidate.blob(&layer).await?;
        match cosign::verify_payload(key, &payload, signature, &image) {
            Ok(()) => return Ok(Ok(signed())),
            Err(rejected) => reasons.add(rejected),
        }
    }
    for layer in bundles(candidate).await? {
        if layer.size > cosign::MAX_BUNDLE {
            reasons.add(Rejected::Malformed("the bundle is too large".to_owned()));
            continue;
        }
        if !reasons.may_read() {
            continue;
        }
        let bundle = candidate.blob(&layer).await?;
        let verified = Bundle::parse(&bundle).and_then(|bundle| bundle.verify_key(key, &image));
        match verified {
            Ok(()) => return Ok(Ok(signed())),
            Err(rejected) => reasons.add(rejected),
        }
    }
    Ok(Err(reasons.words()))
}

/// Looks for a signature by an identity's certificate, under cosign's tag and among the bundles.
pub(super) async fn keyless(
    candidate: &Candidate<'_>,
    root: &TrustRoot,
    wanted: (&str, &Identity),
) -> Result<Result<Signed, Found>, Refused> {
    let image = candidate.digest.to_string();
    let now = super::now();
    let mut reasons = Reasons::default();
    for layer in bundles(candidate).await? {
        if layer.size > cosign::MAX_BUNDLE || !reasons.may_read() {
            reasons.add(Rejected::Malformed("the bundle is too large".to_owned()));
            continue;
        }
        let bundle = candidate.blob(&layer).await?;
        match root
            .verify_bundle(&bundle, &image, now)
            .and_then(|signer| accepted(signer, wanted))
        {
            Ok(by) => return Ok(Ok(Signed { by, digest: image })),
            Err(rejected) => reasons.add(rejected),
        }
    }
    for layer in tagged(candidate).await? {
        let text = |key: &str| layer.annotations.get(key).map(String::as_str);
        let Some(signature) = text(cosign::SIGNATURE) else {
            reasons.add(Rejected::Malformed(
                "it has no annotation with the signature".to_owned(),
            ));
            continue;
        };
        if text(keyless::CERTIFICATE).is_none() {
            reasons.add(Rejected::Keyed);
            continue;
        }
        if layer.size > cosign::MAX_PAYLOAD || !reasons.may_read() {
            reasons.add(Rejected::Malformed("its payload is too large".to_owned()));
            continue;
        }
        let payload = candidate.blob(&layer).await?;
        let tag = TagSignature {
            signature,
            certificate: text(keyless::CERTIFICATE),
            chain: text(keyless::CHAIN),
            log_entry: text(keyless::LOG_ENTRY),
        };
        match root
            .verify_payload(&payload, tag, &image, now)
            .and_then(|signer| accepted(signer, wanted))
        {
            Ok(by) => return Ok(Ok(Signed { by, digest: image })),
            Err(rejected) => reasons.add(rejected),
        }
    }
    Ok(Err(reasons.words()))
}

/// Who signed, if that is the identity that is asked for.
fn accepted(signer: Signer, (issuer, identity): (&str, &Identity)) -> Result<String, Rejected> {
    let Signer {
        identity: found,
        issuer: by,
    } = signer;
    let by_whom = format!("{} (issuer {})", found.escape_debug(), by.escape_debug());
    if by == issuer && identity.matches(&found) {
        Ok(by_whom)
    } else {
        let by_whom: String = by_whom.chars().take(500).collect();
        Err(Rejected::Untrusted(format!(
            "a keyless signature by {by_whom}"
        )))
    }
}

/// The layers under cosign's tag: each is the payload of a signature.
async fn tagged(candidate: &Candidate<'_>) -> Result<Vec<Descriptor>, Refused> {
    let manifest = candidate.cosign_tag("sig").await?;
    let layers = manifest.iter().flat_map(Manifest::layers);
    Ok(layers.take(cosign::MAX_SIGNATURES).cloned().collect())
}

/// The bundles, those that `cosign sign` made first.
async fn bundles(candidate: &Candidate<'_>) -> Result<Vec<Descriptor>, Refused> {
    let mut manifests = candidate.referrers(cosign::BUNDLE).await?;
    let is_signature = |manifest: &Manifest| {
        let about = manifest.as_referrer();
        let predicate = about.annotations.get(cosign::PREDICATE_TYPE);
        predicate.is_some_and(|predicate| predicate == cosign::SIGN_PREDICATE)
    };
    manifests.sort_by_key(|manifest| !is_signature(manifest));
    let bundle = |manifest: &Manifest| match manifest.layers() {
        [layer] if layer.media_type.starts_with(cosign::BUNDLE) => Some(layer.clone()),
        _ => None,
    };
    Ok(manifests.iter().filter_map(bundle).collect())
}
