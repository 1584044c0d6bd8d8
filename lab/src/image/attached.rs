//! What is attached to an image: referrers and cosign's signatures.

use super::seeding::Seeding;
use super::{Image, Pushed, media};
use crate::registry::Registry;
use serde_json::{Value, json};
use std::io;

impl Pushed {
    /// Attaches a small artifact as a referrer. In a registry without the referrers API it is listed
    /// under the fallback tag `sha256-<hex>`, as clients do there.
    ///
    /// # Errors
    /// When the registry's folder cannot be written.
    pub fn attach(&self, registry: &Registry, artifact_type: &str) -> io::Result<Self> {
        let artifact = Image::artifact(artifact_type)
            .subject(&self.root)
            .annotation("about", &self.root.digest);
        let pushed = artifact.push(registry, &self.repository, "")?;
        if !registry.has_referrers() {
            let tag = self.root.digest.replace(':', "-");
            let known = registry.manifest(&self.repository, &tag);
            let index =
                known.and_then(|(_, bytes, _)| serde_json::from_slice::<Value>(&bytes).ok());
            let mut index = index.unwrap_or_else(
                || json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": []}),
            );
            let referrer = pushed
                .root
                .clone()
                .with("artifactType", artifact_type.into());
            if let Some(manifests) = index["manifests"].as_array_mut() {
                manifests.push(json!(referrer));
            }
            registry.put_manifest(&self.repository, &tag, media::INDEX, index.to_string());
        }
        Ok(pushed)
    }

    /// Signs as cosign 2 does: a manifest under the tag `sha256-<hex>.sig`.
    ///
    /// # Errors
    /// When the registry's folder cannot be written.
    pub fn sign(&self, registry: &Registry) -> io::Result<Self> {
        let mut seeding = Seeding::new(registry, &self.repository);
        let payload = json!({"critical": {"image": {"docker-manifest-digest": self.root.digest}}})
            .to_string();
        let layer = seeding.blob(media::COSIGN, payload.as_bytes())?.with(
            "annotations",
            json!({"dev.cosignproject.cosign/signature": "bGFi"}),
        );
        let config = seeding.blob(media::CONFIG, b"{\"architecture\":\"\",\"os\":\"\"}")?;
        let manifest = Image::new().dressed(
            media::MANIFEST,
            json!({"config": config, "layers": [layer]}),
            true,
        );
        let root = seeding.manifest(&cosign_tag(&self.root.digest, "sig"), &manifest);
        Ok(seeding.finish(root))
    }
}

/// The tag under which cosign 2 keeps the `sig`, `att` or `sbom` of a digest.
#[must_use]
pub fn cosign_tag(digest: &str, kind: &str) -> String {
    format!("{}.{kind}", digest.replace(':', "-"))
}
