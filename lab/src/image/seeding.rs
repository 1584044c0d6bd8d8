//! Content on its way from a builder into a registry.

use super::{Image, Pushed, media, platform_of};
use crate::content::{Descriptor, Synthetic};
use crate::registry::Registry;
use serde_json::{Map, Value, json};
use std::io;

/// A manifest that is not yet seeded.
pub(crate) struct Manifest {
    pub(crate) media_type: &'static str,
    pub(crate) json: Value,
}

/// Content on its way into a repository.
pub(crate) struct Seeding<'a> {
    registry: &'a Registry,
    repository: &'a str,
    manifests: Vec<Descriptor>,
    blobs: Vec<Descriptor>,
}

impl<'a> Seeding<'a> {
    pub(crate) fn new(registry: &'a Registry, repository: &'a str) -> Self {
        Self {
            registry,
            repository,
            manifests: Vec::new(),
            blobs: Vec::new(),
        }
    }

    /// What was seeded, with the manifest that all the rest belongs to.
    pub(crate) fn finish(mut self, root: Descriptor) -> Pushed {
        self.blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
        self.blobs.dedup_by(|a, b| a.digest == b.digest);
        Pushed {
            repository: self.repository.to_owned(),
            root,
            manifests: self.manifests,
            blobs: self.blobs,
        }
    }

    pub(crate) fn blob(&mut self, media_type: &str, bytes: &[u8]) -> io::Result<Descriptor> {
        self.registry.put_blob(self.repository, bytes)?;
        let descriptor = Descriptor::of(media_type, bytes);
        self.blobs.push(descriptor.clone());
        Ok(descriptor)
    }

    pub(super) fn layer(&mut self, media_type: &str, bytes: Synthetic) -> Descriptor {
        if media_type == media::LAYER_FOREIGN {
            let layer = Descriptor {
                media_type: media_type.to_owned(),
                digest: bytes.digest(),
                size: bytes.size,
                more: Map::new(),
            };
            return layer.with("urls", json!(["https://example.invalid/layer"]));
        }
        let seeded = self
            .registry
            .seed_synthetic(self.repository, bytes.size, bytes.seed);
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            ..seeded
        };
        self.blobs.push(descriptor.clone());
        descriptor
    }

    pub(crate) fn manifest(&mut self, tag: &str, manifest: &Manifest) -> Descriptor {
        let text = format!("{:#}", manifest.json);
        let descriptor =
            self.registry
                .put_manifest(self.repository, tag, manifest.media_type, text);
        self.manifests.push(descriptor.clone());
        descriptor
    }

    /// What `BuildKit` says about a child, as a child of the same index.
    pub(super) fn attestation(&mut self, about: &Descriptor) -> io::Result<Descriptor> {
        let statement = json!({"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"digest": about.digest}]});
        let layer = self.blob(media::IN_TOTO, statement.to_string().as_bytes())?;
        let config = json!({"architecture": "unknown", "os": "unknown", "rootfs": {"diff_ids": [layer.digest]}});
        let config = self.blob(media::CONFIG, config.to_string().as_bytes())?;
        let manifest = Image::new().dressed(
            media::MANIFEST,
            json!({"config": config, "layers": [layer]}),
            false,
        );
        let annotations = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": about.digest,
        });
        let attestation = self
            .manifest("", &manifest)
            .with("platform", platform_of("unknown/unknown"));
        Ok(attestation.with("annotations", annotations))
    }
}
