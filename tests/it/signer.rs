//! Signs images as cosign does, with a key that is made for the test.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lab::content::Descriptor;
use lab::image::cosign_tag;
use lab::registry::Registry;
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A key pair.
pub(crate) struct Signer(EcdsaKeyPair);

impl Signer {
    pub(crate) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"))
    }

    /// The public key as `cosign generate-key-pair` writes it.
    pub(crate) fn public_key(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().expect("its DER");
        let text = STANDARD.encode(der.as_ref());
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }

    /// A rule that asks for this key.
    pub(crate) fn rule(&self, sources: &str) -> String {
        let key = self.public_key().replace('\n', "\\n");
        format!("  - {{match: \"{sources}\", cosign: {{key: \"{key}\"}}}}\n")
    }

    fn sign(&self, message: &[u8]) -> String {
        let signature = self.0.sign(&SystemRandom::new(), message);
        STANDARD.encode(signature.expect("a signature"))
    }

    /// What is under cosign's tag for a signature of an image: content and signature.
    pub(crate) fn payload(&self, image: &str) -> (String, String) {
        let critical = json!({
            "identity": {"docker-reference": "quay.io/team/app"},
            "image": {"docker-manifest-digest": image},
            "type": "cosign container image signature",
        });
        let payload = json!({"critical": critical, "optional": null}).to_string();
        let signature = self.sign(payload.as_bytes());
        (payload, signature)
    }

    /// A bundle with the signature of an image.
    pub(crate) fn bundle(&self, image: &str) -> Value {
        let hex = image.strip_prefix("sha256:").expect("a SHA-256");
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": hex}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        });
        let statement = statement.to_string();
        let length = statement.len();
        let signed = format!("DSSEv1 {} {IN_TOTO} {length} {statement}", IN_TOTO.len());
        json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": "x"}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": STANDARD.encode(&statement),
                "payloadType": IN_TOTO,
                "signatures": [{"sig": self.sign(signed.as_bytes())}],
            },
        })
    }

    /// Signs an image under cosign's tag.
    pub(crate) fn sign_tag(
        &self,
        registry: &Registry,
        repository: &str,
        image: &str,
    ) -> anyhow::Result<()> {
        let (payload, signature) = self.payload(image);
        put_tag(registry, repository, image, &[(payload, signature)])
    }

    /// Signs an image with a bundle.
    pub(crate) fn sign_bundle(
        &self,
        registry: &Registry,
        repository: &str,
        image: &Descriptor,
    ) -> anyhow::Result<()> {
        put_bundle(registry, repository, image, &self.bundle(&image.digest))
    }
}

/// Payloads with signatures under cosign's tag of an image.
pub(crate) fn put_tag(
    registry: &Registry,
    repository: &str,
    image: &str,
    signatures: &[(String, String)],
) -> anyhow::Result<()> {
    let config = registry.put_blob(repository, b"{}")?;
    let mut layers = Vec::new();
    for (payload, signature) in signatures {
        let layer = registry.put_blob(repository, payload.as_bytes())?;
        let annotations = json!({"dev.cosignproject.cosign/signature": signature});
        layers.push(json!({"mediaType": SIMPLE_SIGNING, "digest": layer.digest, "size": layer.size, "annotations": annotations}));
    }
    let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest, "size": config.size});
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
    registry.put_manifest(
        repository,
        &cosign_tag(image, "sig"),
        MANIFEST,
        manifest.to_string(),
    );
    Ok(())
}

/// A bundle as a referrer of an image; without the referrers API under the tag that stands in.
pub(crate) fn put_bundle(
    registry: &Registry,
    repository: &str,
    image: &Descriptor,
    bundle: &Value,
) -> anyhow::Result<()> {
    let empty = registry.put_blob(repository, b"{}")?;
    let layer = registry.put_blob(repository, bundle.to_string().as_bytes())?;
    let subject =
        json!({"mediaType": image.media_type, "digest": image.digest, "size": image.size});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty.digest, "size": empty.size},
        "layers": [{"mediaType": BUNDLE, "digest": layer.digest, "size": layer.size}],
        "subject": subject,
        "annotations": {"dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"},
    });
    registry.put_manifest(repository, "", MANIFEST, manifest.to_string());
    Ok(())
}
