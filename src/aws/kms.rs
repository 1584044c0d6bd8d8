//! KMS: keys that sign, and whether a key can be used.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::signed::{Call, KMS};
use super::{Aws, Error};

/// The longest message that KMS hashes, in bytes (KMS's `Sign`).
const LONGEST: usize = 4096;

/// A key as KMS describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Such as `Enabled` or `PendingDeletion`.
    pub state: String,
    /// Such as `SIGN_VERIFY`.
    pub usage: String,
    /// Such as `ECC_NIST_P256`.
    pub spec: String,
}

/// The public half of a key that signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The ARN of the key, also where it was asked for by an alias.
    pub arn: String,
    /// `SubjectPublicKeyInfo` in DER.
    pub der: Vec<u8>,
    /// The algorithms that the key signs with, such as `ECDSA_SHA_256`.
    pub algorithms: Vec<String>,
}

impl Aws {
    /// Describes a key, by its ARN, in the ARN's region.
    ///
    /// # Errors
    /// When KMS refuses.
    pub async fn kms_key(&self, arn: &str) -> Result<Key, Error> {
        let answer = self
            .kms("kms:DescribeKey", arn, &json!({"KeyId": arn}))
            .await?;
        let text = |name: &str| {
            let text = answer["KeyMetadata"][name].as_str();
            text.unwrap_or_default().to_owned()
        };
        Ok(Key {
            state: text("KeyState"),
            usage: text("KeyUsage"),
            spec: text("KeySpec"),
        })
    }

    /// The public half of a key.
    ///
    /// # Errors
    /// When KMS refuses, or the key is symmetric.
    pub async fn kms_public_key(&self, arn: &str) -> Result<PublicKey, Error> {
        const ACTION: &str = "kms:GetPublicKey";
        let answer = self.kms(ACTION, arn, &json!({"KeyId": arn})).await?;
        let algorithms = answer["SigningAlgorithms"].as_array();
        let algorithms = algorithms.into_iter().flatten().filter_map(Value::as_str);
        Ok(PublicKey {
            arn: answer["KeyId"].as_str().unwrap_or(arn).to_owned(),
            der: bytes(ACTION, arn, &answer["PublicKey"])?,
            algorithms: algorithms.map(str::to_owned).collect(),
        })
    }

    /// Signs a message, with one of KMS's algorithms on SHA-256 such as `ECDSA_SHA_256`. KMS hashes the message; of a
    /// longer one it gets the digest.
    ///
    /// # Errors
    /// When KMS refuses.
    pub async fn kms_sign(
        &self,
        arn: &str,
        message: &[u8],
        algorithm: &str,
    ) -> Result<Vec<u8>, Error> {
        const ACTION: &str = "kms:Sign";
        let digest = digest(&SHA256, message);
        let (message, kind) = if message.len() <= LONGEST {
            (message, "RAW")
        } else {
            (digest.as_ref(), "DIGEST")
        };
        let input = json!({
            "KeyId": arn,
            "Message": STANDARD.encode(message),
            "MessageType": kind,
            "SigningAlgorithm": algorithm,
        });
        let answer = self.kms(ACTION, arn, &input).await?;
        bytes(ACTION, arn, &answer["Signature"])
    }

    async fn kms(&self, action: &'static str, arn: &str, input: &Value) -> Result<Value, Error> {
        let call = Call {
            service: KMS,
            action,
            resource: arn,
            region: arn.split(':').nth(3).unwrap_or_default(),
        };
        self.call_json(&call, input).await
    }
}

fn bytes(action: &'static str, arn: &str, value: &Value) -> Result<Vec<u8>, Error> {
    let text = value.as_str().unwrap_or_default();
    let bytes = STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty());
    bytes.ok_or_else(|| Error::incomplete(action, arn, "the response lacks its bytes"))
}
