use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::text::hex;

struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    fn key(&self) -> PublicKey {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().unwrap();
        PublicKey::from_der(der.as_ref()).unwrap()
    }

    fn sign(&self, message: &[u8]) -> String {
        let signature = self.0.sign(&SystemRandom::new(), message).unwrap();
        STANDARD.encode(signature)
    }
}

fn image(of: u8) -> String {
    format!("sha256:{}", hex(&[of; 32]))
}

fn payload(image: &str) -> Vec<u8> {
    let image = json!({"docker-manifest-digest": image});
    let identity = json!({"docker-reference": "quay.io/team/app"});
    let critical =
        json!({"identity": identity, "image": image, "type": "cosign container image signature"});
    json!({"critical": critical, "optional": null})
        .to_string()
        .into_bytes()
}

fn bundle(signer: &Signer, image: &str) -> Value {
    let hex = image.strip_prefix("sha256:").unwrap();
    let statement = json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": hex}}],
        "predicateType": SIGN_PREDICATE, "predicate": {}});
    let statement = statement.to_string();
    let signature = signer.sign(&pae(IN_TOTO, statement.as_bytes()));
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "x"}},
        "dsseEnvelope": {"payload": STANDARD.encode(statement), "payloadType": IN_TOTO, "signatures": [{"sig": signature}]},
    })
}

fn verified(bundle: &Value, key: &PublicKey, image: &str) -> Result<(), Rejected> {
    Bundle::parse(bundle.to_string().as_bytes())?.verify_key(key, image)
}

#[test]
fn a_payload_counts_for_its_key_and_its_image_only() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let payload = payload(&image(1));
    let signature = signer.sign(&payload);
    assert_eq!(
        verify_payload(&signer.key(), &payload, &signature, &image(1)),
        Ok(())
    );
    assert_eq!(
        verify_payload(&stranger.key(), &payload, &signature, &image(1)),
        Err(Rejected::Key)
    );
    assert_eq!(
        verify_payload(&signer.key(), &payload, &signature, &image(2)),
        Err(Rejected::Image(image(1)))
    );
    let mut changed = payload.clone();
    *changed.last_mut().unwrap() = b' ';
    assert_eq!(
        verify_payload(&signer.key(), &changed, &signature, &image(1)),
        Err(Rejected::Key)
    );
    let sha256 = hex(digest(&digest::SHA256, &payload).as_ref());
    assert!(may_verify(&signer.key(), &sha256, &signature));
    assert!(!may_verify(&stranger.key(), &sha256, &signature));
}

#[test]
fn a_bundle_counts_for_its_key_and_its_image_only() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let bundle = bundle(&signer, &image(1));
    assert_eq!(verified(&bundle, &signer.key(), &image(1)), Ok(()));
    assert_eq!(
        verified(&bundle, &stranger.key(), &image(1)),
        Err(Rejected::Key)
    );
    assert_eq!(
        verified(&bundle, &signer.key(), &image(2)),
        Err(Rejected::Image(image(1)))
    );
}

#[test]
fn a_changed_bundle_does_not_count() {
    let signer = Signer::new();
    let good = bundle(&signer, &image(1));
    let other = bundle(&Signer::new(), &image(2));
    let with = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    let signature = &good["dsseEnvelope"]["signatures"][0];
    let twice = json!([signature, signature]);
    for changed in [
        with(
            "/dsseEnvelope/payload",
            other["dsseEnvelope"]["payload"].clone(),
        ),
        with("/dsseEnvelope/payload", json!("!")),
        with("/dsseEnvelope/payloadType", json!("text/plain")),
        with("/dsseEnvelope/signatures", twice),
        with("/dsseEnvelope/signatures", json!([])),
        with("/dsseEnvelope/signatures/0/sig", json!("AAAA")),
        with("/dsseEnvelope", Value::Null),
        with("/verificationMaterial", json!({})),
        with(
            "/verificationMaterial",
            json!({"certificate": {"rawBytes": "AAAA"}, "publicKey": {}}),
        ),
        with(
            "/mediaType",
            json!("application/vnd.dev.sigstore.bundle+json;version=0.1"),
        ),
        json!([]),
    ] {
        let rejected = verified(&changed, &signer.key(), &image(1));
        assert!(rejected.is_err(), "{changed}");
    }
}

#[test]
fn broken_bytes_are_refused_and_break_nothing() {
    let signer = Signer::new();
    let bytes = bundle(&signer, &image(1)).to_string().into_bytes();
    for cut in 0..bytes.len() {
        assert!(Bundle::parse(&bytes[..cut]).is_err());
    }
    let deep = format!("{}{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    assert!(Bundle::parse(deep.as_bytes()).is_err());
    for payload in [&b""[..], b"{}", b"[", b"{\"critical\":null}", &[0xff; 9]] {
        let signature = signer.sign(payload);
        let rejected = verify_payload(&signer.key(), payload, &signature, &image(1));
        assert!(matches!(rejected, Err(Rejected::Malformed(_))));
    }
}
