//! KMS: keys that sign with real ECDSA, and keys that encrypt, which are only described.

use super::account::Account;
use super::error::Failure;
use aws_lc_rs::digest::{Digest, SHA256, SHA384};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A key.
#[derive(Debug)]
pub(super) struct Key {
    /// Its half that signs; none is a key that encrypts.
    pair: Option<EcdsaKeyPair>,
    spec: &'static str,
    pub(super) state: String,
}

/// What a new key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySpec {
    /// Encryption.
    Symmetric,
    /// Signatures with ECDSA on P-256.
    P256,
    /// Signatures with ECDSA on P-384.
    P384,
}

impl Key {
    pub(super) fn new(spec: KeySpec) -> Self {
        let (algorithm, spec) = match spec {
            KeySpec::Symmetric => (None, "SYMMETRIC_DEFAULT"),
            KeySpec::P256 => (Some(&ECDSA_P256_SHA256_ASN1_SIGNING), "ECC_NIST_P256"),
            KeySpec::P384 => (Some(&ECDSA_P384_SHA384_ASN1_SIGNING), "ECC_NIST_P384"),
        };
        let pair = algorithm.map(|algorithm| EcdsaKeyPair::generate(algorithm).expect("a key"));
        Self {
            pair,
            spec,
            state: "Enabled".to_owned(),
        }
    }

    fn algorithm(&self) -> &'static str {
        match self.spec {
            "ECC_NIST_P256" => "ECDSA_SHA_256",
            _ => "ECDSA_SHA_384",
        }
    }

    /// The public half, as PEM.
    pub(super) fn public_pem(&self) -> Option<String> {
        let lines = STANDARD.encode(self.public_der()?);
        Some(format!(
            "-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"
        ))
    }

    /// A signature of a message, by a key that signs.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature = self.pair.as_ref()?.sign(&SystemRandom::new(), message);
        Some(signature.ok()?.as_ref().to_vec())
    }

    fn public_der(&self) -> Option<Vec<u8>> {
        let der = self.pair.as_ref()?.public_key().as_der();
        let der: PublicKeyX509Der<'_> = der.expect("its encoding");
        Some(der.as_ref().to_vec())
    }
}

pub(super) fn resource(input: &Value) -> String {
    input["KeyId"].as_str().unwrap_or_default().to_owned()
}

pub(super) fn handle(account: &Account, action: &str, input: &Value) -> Result<Value, Failure> {
    let arn = resource(input);
    let state = account.state();
    let refused = |code: &str, why: String| Failure::new(400, code, why);
    let key = state
        .keys
        .get(&arn)
        .ok_or_else(|| refused("NotFoundException", format!("Key '{arn}' does not exist")))?;
    let is_usable = key.state == "Enabled" || action == "DescribeKey";
    if !is_usable {
        let why = format!("{arn} is {}.", key.state);
        return Err(refused("KMSInvalidStateException", why));
    }
    let usage = if key.pair.is_some() {
        "SIGN_VERIFY"
    } else {
        "ENCRYPT_DECRYPT"
    };
    match (action, &key.pair) {
        ("DescribeKey", _) => Ok(json!({"KeyMetadata": {
            "Arn": arn, "KeyState": key.state, "KeyUsage": usage, "KeySpec": key.spec, "Enabled": is_usable,
        }})),
        ("GetPublicKey", Some(_)) => Ok(json!({
            "KeyId": arn, "KeyUsage": usage, "KeySpec": key.spec,
            "PublicKey": STANDARD.encode(key.public_der().unwrap_or_default()),
            "SigningAlgorithms": [key.algorithm()],
        })),
        ("Sign", Some(pair)) => {
            let invalid = |why: &str| refused("ValidationException", why.to_owned());
            let message = STANDARD.decode(input["Message"].as_str().unwrap_or_default());
            let message = message.map_err(|_| invalid("Message is not base64"))?;
            if input["SigningAlgorithm"] != key.algorithm() {
                return Err(invalid("SigningAlgorithm does not fit the key"));
            }
            // The guide of the API, `Sign`: the message of a signature is 1 to 4096 bytes.
            if !(1..=4096).contains(&message.len()) {
                return Err(invalid("Message has a length that is not 1 to 4096"));
            }
            let signature = if input["MessageType"] == "DIGEST" {
                let algorithm = match key.spec {
                    "ECC_NIST_P256" => &SHA256,
                    _ => &SHA384,
                };
                let digest = Digest::import_less_safe(&message, algorithm);
                pair.sign_digest(&digest.map_err(|_| invalid("Digest is invalid length"))?)
            } else {
                pair.sign(&SystemRandom::new(), &message)
            };
            let signature = signature.map_err(|_| invalid("it cannot be signed"))?;
            Ok(json!({
                "KeyId": arn, "SigningAlgorithm": key.algorithm(),
                "Signature": STANDARD.encode(signature.as_ref()),
            }))
        }
        ("GetPublicKey" | "Sign", None) => {
            let why =
                format!("{arn} key usage is ENCRYPT_DECRYPT which is not valid for {action}.");
            Err(refused("InvalidKeyUsageException", why))
        }
        _ => Err(refused(
            "UnknownOperationException",
            format!("the lab has no {action}"),
        )),
    }
}
