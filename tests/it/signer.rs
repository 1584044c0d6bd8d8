//! Signs images as cosign does, with a key that is made for the test.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lab::aws::Aws;
use lab::content::Descriptor;
use lab::image::cosign_tag;
use lab::registry::Registry;
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// The signature of a message.
type Sign = dyn Fn(&[u8]) -> Vec<u8>;

/// A key pair.
pub(crate) struct Signer {
    public_key: String,
    sign: Box<Sign>,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("its DER");
        let text = STANDARD.encode(der.as_ref());
        let sign = move |message: &[u8]| {
            let signature = pair.sign(&SystemRandom::new(), message);
            signature.expect("a signature").as_ref().to_vec()
        };
        Self {
            public_key: format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"),
            sign: Box::new(sign),
        }
    }

    /// A key of KMS.
    pub(crate) fn of_kms(aws: &Aws, arn: &str) -> Self {
        let sign = aws.signer(arn);
        Self {
            public_key: aws.public_key(arn).expect("a key"),
            sign: Box::new(move |message| sign(message).expect("a signature")),
        }
    }

    /// The public key as `cosign generate-key-pair` writes it.
    pub(crate) fn public_key(&self) -> String {
        self.public_key.clone()
    }

    /// A rule that asks for this key.
    pub(crate) fn rule(&self, sources: &str) -> String {
        let key = self.public_key().replace('\n', "\\n");
        format!("  - {{match: \"{sources}\", cosign: {{key: \"{key}\"}}}}\n")
    }

    pub(crate) fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode((self.sign)(message))
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

/// An `OpenPGP` key that signs charts.
pub(crate) struct ChartSigner {
    key: Ed25519KeyPair,
    /// The content of the key's packet.
    packet: Vec<u8>,
}

/// 2020-01-01: the key does not expire.
const MADE: [u8; 4] = 1_577_836_800_u32.to_be_bytes();

impl ChartSigner {
    pub(crate) fn new() -> Self {
        const ED25519: &[u8] = &[9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1];
        let key = Ed25519KeyPair::generate().expect("a key");
        // An integer of 263 bits: 0x40 and the point.
        let numbers = [&[1, 7, 0x40], key.public_key().as_ref()].concat();
        let packet = [&[4], &MADE[..], &[22], ED25519, &numbers].concat();
        Self { key, packet }
    }

    fn hashed(&self) -> Vec<u8> {
        let length = u16::try_from(self.packet.len()).expect("a short key");
        [&[0x99], length.to_be_bytes().as_slice(), &self.packet].concat()
    }

    /// A packet with a signature of some bytes.
    fn signature(&self, kind: u8, bytes: &[u8]) -> Vec<u8> {
        let fingerprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.hashed());
        let subpackets = [
            &[5, 2],
            &MADE[..],
            &[2, 27, 3, 22, 33, 4],
            fingerprint.as_ref(),
        ]
        .concat();
        let length = u8::try_from(subpackets.len()).expect("few subpackets");
        let head = [&[4, kind, 22, 8, 0, length], subpackets.as_slice()].concat();
        let trailer = [4, 0xff, 0, 0, 0, length + 6];
        let hash = digest(&SHA256, &[bytes, &head, &trailer].concat());
        let signed = self.key.sign(hash.as_ref());
        let (r, s) = signed.as_ref().split_at(32);
        // Integers of 256 bits, zeros in front or not.
        let numbers = [&[1, 0], r, &[1, 0], s].concat();
        packet(
            2,
            &[&head, [0, 0].as_slice(), &hash.as_ref()[..2], &numbers].concat(),
        )
    }

    /// The public key as `gpg --export` writes it.
    pub(crate) fn keyring(&self) -> Vec<u8> {
        let name = b"Team <team@example.com>";
        let length = u32::try_from(name.len())
            .expect("a short name")
            .to_be_bytes();
        let about = [&self.hashed(), [0xb4].as_slice(), &length, name].concat();
        [
            packet(6, &self.packet),
            packet(13, name),
            self.signature(0x13, &about),
        ]
        .concat()
    }

    /// The provenance file of a chart's archive.
    pub(crate) fn provenance(&self, file: &str, archive: &[u8]) -> String {
        let sum = lab::content::digest_of(archive);
        let text =
            format!("apiVersion: v2\nname: app\nversion: 1.0.0\n\n...\nfiles:\n  {file}: {sum}");
        let signature = self.signature(1, text.replace('\n', "\r\n").as_bytes());
        let signature = STANDARD.encode(signature);
        format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{text}\n-----BEGIN PGP SIGNATURE-----\n\n{signature}\n-----END PGP SIGNATURE-----\n"
        )
    }
}

fn packet(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("a short packet");
    assert!(length < 192);
    [&[0xc0 | tag, length], content].concat()
}
