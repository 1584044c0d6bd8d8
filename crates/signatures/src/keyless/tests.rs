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

/// The same by a log without times, with timestamps of an authority.
fn untimed() -> Cases {
    Cases(serde_json::from_str(include_str!("fixtures/untimed.json")).unwrap())
}

#[test]
fn an_entry_of_a_log_without_times_counts_with_a_timestamp() {
    let cases = untimed();
    for case in ["good", "p384"] {
        assert_eq!(cases.verified(&cases.bundle(case)), Ok(team()), "{case}");
    }
    for (case, why) in [
        ("untimed", "without a timestamp of an authority"),
        ("clock", "without a timestamp of an authority"),
        ("replayed", "without a timestamp of an authority"),
        ("expired", "no authority of the trust root vouches"),
        ("stranger", "no authority of the trust root vouches"),
        ("unlogged", "proof of inclusion in the log is wrong"),
        ("tampered", "proof of inclusion in the log is wrong"),
        ("p384-sha256", "proof of inclusion in the log is wrong"),
    ] {
        let Err(Rejected::Untrusted(found)) = cases.verified(&cases.bundle(case)) else {
            panic!("{case}");
        };
        assert!(found.contains(why), "{case}: {found}");
    }
    let other = cases.verified(&cases.bundle("other"));
    assert!(matches!(other, Err(Rejected::Image(_))), "{other:?}");
}

#[test]
fn no_bit_of_a_timestamp_can_change_and_none_makes_it_panic() {
    let (cases, root) = (untimed(), untimed().root());
    let bundle = cases.bundle("good");
    let stamps = &bundle["verificationMaterial"]["timestampVerificationData"];
    let token = &stamps["rfc3161Timestamps"][0]["signedTimestamp"];
    let token = from_base64(token.as_str().unwrap()).unwrap();
    let signature = &bundle["dsseEnvelope"]["signatures"][0]["sig"];
    let signature = from_base64(signature.as_str().unwrap()).unwrap();
    let time = timestamp::verify(&token, &signature, &root);
    assert!(time.is_some());
    assert_eq!(timestamp::verify(&token, b"something else", &root), None);
    let public = TrustRoot::public().unwrap();
    assert_eq!(timestamp::verify(&token, &signature, &public), None);
    for place in 0..token.len() {
        assert_eq!(timestamp::verify(&token[..place], &signature, &root), None);
        let mut changed = token.clone();
        changed[place] ^= 0x04;
        // Some bytes are not signed, such as the names of hashes that a token lists; the time stays.
        let found = timestamp::verify(&changed, &signature, &root);
        assert!(found.is_none() || found == time, "byte {place}");
    }
}

#[test]
fn certificates_of_authorities_on_p384_are_a_chain() {
    let cases = untimed();
    assert_eq!(cases.verified(&cases.bundle("timed")), Ok(team()));
    assert_eq!(cases.verified(&cases.bundle("timed-p384")), Ok(team()));
    assert_eq!(
        cases.verified(&cases.bundle("timed-p384-sha256")),
        Ok(team())
    );
    // The kind of entry that clients wrote before `dsse`.
    assert_eq!(cases.verified(&cases.bundle("timed-intoto")), Ok(team()));
}

#[test]
fn null_is_what_is_not_there() {
    let cases = untimed();
    let mut bundle = cases.bundle("timed");
    let entry = "/verificationMaterial/tlogEntries/0";
    for (pointer, key) in [
        ("/verificationMaterial", "timestampVerificationData"),
        (entry, "kindVersion"),
    ] {
        let parent = bundle.pointer_mut(pointer).unwrap();
        parent[key] = Value::Null;
    }
    bundle.pointer_mut(entry).unwrap()["inclusionProof"]["hashes"] = Value::Null;
    assert_eq!(cases.verified(&bundle), Ok(team()));
    let mut none = cases.bundle("timed");
    none["verificationMaterial"]["tlogEntries"] = Value::Null;
    let refused = cases.verified(&none);
    assert!(
        matches!(refused, Err(Rejected::Untrusted(_))),
        "{refused:?}"
    );
}
