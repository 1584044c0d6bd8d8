//! Signatures by an authority and logs of `tests/interop/sigstore.py`, which cosign accepts and rejects alike.

use serde_json::{Value, json};

use super::*;

/// Long after they were made.
const NOW: u64 = 4_000_000_000;

struct Cases(Value);

impl Cases {
    fn read() -> Self {
        Self(serde_json::from_str(include_str!("fixtures/cases.json")).unwrap())
    }

    fn root(&self) -> TrustRoot {
        TrustRoot::parse(&self.0["root"].to_string()).unwrap()
    }

    fn image(&self) -> &str {
        self.0["image"].as_str().unwrap()
    }

    fn bundle(&self, case: &str) -> Value {
        self.0["bundles"][case].clone()
    }

    fn verified(&self, bundle: &Value) -> Result<Signer, Rejected> {
        self.root()
            .verify_bundle(bundle.to_string().as_bytes(), self.image(), NOW)
    }

    fn tag(&self, case: &str, change: impl Fn(&mut Value)) -> Result<Signer, Rejected> {
        let mut tag = self.0["tags"][case].clone();
        change(&mut tag);
        let text = |key: &str| tag["annotations"][key].as_str();
        let signature = TagSignature {
            signature: text(cosign::SIGNATURE).unwrap_or_default(),
            certificate: text(CERTIFICATE),
            chain: text(CHAIN),
            log_entry: text(LOG_ENTRY),
        };
        let payload = tag["payload"].as_str().unwrap();
        self.root()
            .verify_payload(payload.as_bytes(), signature, self.image(), NOW)
    }
}

fn team() -> Signer {
    Signer {
        identity: "team@example.com".to_owned(),
        issuer: "https://issuer.example.com".to_owned(),
    }
}

#[test]
fn a_signature_with_certificate_and_log_entry_counts_in_both_schemes() {
    let cases = Cases::read();
    assert_eq!(cases.verified(&cases.bundle("good")), Ok(team()));
    assert_eq!(cases.tag("good", |_| {}), Ok(team()));
}

#[test]
fn what_is_expired_or_by_a_stranger_does_not_count() {
    let cases = Cases::read();
    for case in ["expired", "stranger"] {
        for refused in [cases.verified(&cases.bundle(case)), cases.tag(case, |_| {})] {
            let Err(Rejected::Untrusted(why)) = refused else {
                panic!("{case}: {refused:?}");
            };
            assert!(
                why.contains("no authority of the trust root vouches"),
                "{why}"
            );
        }
    }
    let bundle = cases.bundle("good").to_string();
    let public = TrustRoot::public().unwrap();
    assert!(
        public
            .verify_bundle(bundle.as_bytes(), cases.image(), NOW)
            .is_err()
    );
    // Another image, and before it was signed.
    let other = format!("sha256:{}", "22".repeat(32));
    let refused = cases.root().verify_bundle(bundle.as_bytes(), &other, NOW);
    assert_eq!(refused, Err(Rejected::Image(cases.image().to_owned())));
    assert!(
        cases
            .root()
            .verify_bundle(bundle.as_bytes(), cases.image(), 1_000_000_000)
            .is_err()
    );
}

#[test]
fn a_change_anywhere_in_a_bundle_does_not_count() {
    let cases = Cases::read();
    let good = cases.bundle("good");
    let stranger = cases.bundle("stranger");
    let entry = "/verificationMaterial/tlogEntries/0";
    let taken = [
        "/dsseEnvelope/signatures/0/sig",
        "/dsseEnvelope",
        "/verificationMaterial/certificate",
        "/verificationMaterial/tlogEntries/0",
        "/verificationMaterial/tlogEntries/0/canonicalizedBody",
        "/verificationMaterial/tlogEntries/0/inclusionPromise",
        "/verificationMaterial/tlogEntries/0/inclusionProof",
        "/verificationMaterial/tlogEntries/0/inclusionProof/rootHash",
        "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint",
    ];
    for pointer in taken {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = stranger.pointer(pointer).unwrap().clone();
        assert!(cases.verified(&changed).is_err(), "{pointer}");
    }
    let set = [
        ("/dsseEnvelope/payload", json!("e30=")),
        ("/dsseEnvelope/payloadType", json!("text/plain")),
        ("/dsseEnvelope/signatures", json!([])),
        ("/verificationMaterial/tlogEntries", json!([])),
        (
            "/verificationMaterial/tlogEntries/0/integratedTime",
            json!("1700000000"),
        ),
        (
            "/verificationMaterial/tlogEntries/0/integratedTime",
            json!("0"),
        ),
        ("/verificationMaterial/tlogEntries/0/logIndex", json!("1")),
        (
            "/verificationMaterial/tlogEntries/0/logId/keyId",
            json!("AAAA"),
        ),
        (
            "/verificationMaterial/tlogEntries/0/inclusionPromise",
            Value::Null,
        ),
        (
            "/verificationMaterial/tlogEntries/0/inclusionProof",
            Value::Null,
        ),
        (
            "/verificationMaterial/tlogEntries/0/inclusionProof/treeSize",
            json!("2"),
        ),
        (
            "/verificationMaterial/tlogEntries/0/inclusionProof/logIndex",
            json!("1"),
        ),
        (
            "/verificationMaterial/tlogEntries/0/inclusionProof/hashes",
            json!([good.pointer(&format!("{entry}/logId/keyId"))]),
        ),
        ("/verificationMaterial/certificate/rawBytes", json!("MAA=")),
    ];
    for (pointer, value) in set {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        assert!(cases.verified(&changed).is_err(), "{pointer}");
    }
}

#[test]
fn a_change_anywhere_under_a_tag_does_not_count() {
    let cases = Cases::read();
    let stranger = cases.0["tags"]["stranger"]["annotations"].clone();
    for key in [cosign::SIGNATURE, CERTIFICATE, LOG_ENTRY] {
        let refused = cases.tag("good", |tag| {
            tag["annotations"][key] = stranger[key].clone();
        });
        assert!(refused.is_err(), "{key}");
        let refused = cases.tag("good", |tag| tag["annotations"][key] = Value::Null);
        assert!(refused.is_err(), "{key}");
    }
    let changed = |tag: &mut Value| {
        let payload = tag["payload"]
            .as_str()
            .unwrap()
            .replace("optional", "Optional");
        tag["payload"] = payload.into();
    };
    assert!(cases.tag("good", changed).is_err());
}

#[test]
fn certificates_that_are_changed_or_cut_break_nothing() {
    let cases = Cases::read();
    let good = cases.bundle("good");
    let pointer = "/verificationMaterial/certificate/rawBytes";
    let der = from_base64(good.pointer(pointer).unwrap().as_str().unwrap()).unwrap();
    let root = cases.root();
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 0x11;
        for der in [&der[..at], &changed] {
            if let Some(certificate) = Certificate::parse(der) {
                drop((certificate.key(), certificate.signer()));
                assert!(certificate.verify_log(&root, b"", NOW).is_err());
            }
        }
    }
    assert!(TrustRoot::public().is_ok());
    for text in ["", "{}", "[]", "{\"tlogs\": 1}"] {
        assert!(TrustRoot::parse(text).is_err(), "{text}");
    }
}
