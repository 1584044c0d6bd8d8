//! Images, indexes and what is attached to them, made on the spot and seeded into a [`Registry`].
//!
//! All content depends only on the builder's settings. Layers are generated when they are read:
//! opaque bytes, whatever their media type says. Manifests are indented, so a client that writes
//! them anew instead of copying their bytes changes their digest and is found out.

mod attached;
pub mod media;
mod seeding;

pub use attached::cosign_tag;

use crate::content::{Descriptor, Synthetic};
use crate::registry::Registry;
pub(crate) use seeding::{Manifest, Seeding};
use serde_json::{Map, Value, json};
use std::io;

/// An image to be made. Without a platform it is a single manifest, with platforms an index.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch"
)]
pub struct Image {
    platforms: Vec<String>,
    layers: Vec<Layer>,
    annotations: Map<String, Value>,
    artifact_type: Option<String>,
    subject: Option<Descriptor>,
    docker: bool,
    attested: bool,
    nested: bool,
    without_media_type: bool,
}

#[derive(Debug, Clone)]
struct Layer {
    /// None: the usual one of the image's format.
    media_type: Option<String>,
    size: u64,
    seed: u64,
    /// The same bytes for each platform.
    shared: bool,
}

/// What was seeded.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// The repository.
    pub repository: String,
    /// The manifest or index that the tag names.
    pub root: Descriptor,
    /// All manifests, children before their index, the root last.
    pub manifests: Vec<Descriptor>,
    /// All blobs, each once.
    pub blobs: Vec<Descriptor>,
}

impl Image {
    /// An image of OCI's types without layers so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An artifact: no image config, and the empty descriptor as its layer unless it gets others.
    #[must_use]
    pub fn artifact(artifact_type: &str) -> Self {
        Self {
            artifact_type: Some(artifact_type.to_owned()),
            ..Self::default()
        }
    }

    /// One more platform, `os/architecture` or `os/architecture/variant`.
    #[must_use]
    pub fn platform(mut self, platform: &str) -> Self {
        self.platforms.push(platform.to_owned());
        self
    }

    /// A layer with different bytes for each platform.
    #[must_use]
    pub fn layer(mut self, size: u64, seed: u64) -> Self {
        self.layers.push(Layer {
            media_type: None,
            size,
            seed,
            shared: false,
        });
        self
    }

    /// A layer with the same bytes in all platforms, and in all images that have it.
    #[must_use]
    pub fn base(mut self, size: u64, seed: u64) -> Self {
        self.layers.push(Layer {
            media_type: None,
            size,
            seed,
            shared: true,
        });
        self
    }

    /// A layer of another media type.
    #[must_use]
    pub fn layer_as(mut self, media_type: &str, size: u64, seed: u64) -> Self {
        self.layers.push(Layer {
            media_type: Some(media_type.to_owned()),
            size,
            seed,
            shared: false,
        });
        self
    }

    /// Docker's media types instead of OCI's.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.docker = true;
        self
    }

    /// A `BuildKit` attestation for each platform, as children of the index.
    #[must_use]
    pub fn attestations(mut self) -> Self {
        self.attested = true;
        self
    }

    /// An index of indexes: each platform in a separate index.
    #[must_use]
    pub fn nested(mut self) -> Self {
        self.nested = true;
        self
    }

    /// Manifests without their optional `mediaType` field.
    #[must_use]
    pub fn without_media_type(mut self) -> Self {
        self.without_media_type = true;
        self
    }

    /// An annotation of the root.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.into());
        self
    }

    /// Makes it a referrer of another manifest.
    #[must_use]
    pub fn subject(mut self, subject: &Descriptor) -> Self {
        self.subject = Some(Descriptor {
            more: Map::new(),
            ..subject.clone()
        });
        self
    }

    /// Seeds the image into a registry, under a tag unless that is empty.
    ///
    /// # Errors
    /// When the registry's folder cannot be written.
    pub fn push(&self, registry: &Registry, repository: &str, tag: &str) -> io::Result<Pushed> {
        let mut seeding = Seeding::new(registry, repository);
        let root = if self.platforms.is_empty() {
            let manifest = self.manifest(&mut seeding, 0, "linux/amd64")?;
            seeding.manifest(tag, &manifest)
        } else {
            self.index(&mut seeding, tag)?
        };
        Ok(seeding.finish(root))
    }

    fn index(&self, seeding: &mut Seeding<'_>, tag: &str) -> io::Result<Descriptor> {
        let media_type = if self.docker {
            media::DOCKER_LIST
        } else {
            media::INDEX
        };
        let (mut children, mut attestations) = (Vec::new(), Vec::new());
        for (number, platform) in (0..).zip(&self.platforms) {
            let manifest = self.manifest(seeding, number, platform)?;
            let mut child = seeding
                .manifest("", &manifest)
                .with("platform", platform_of(platform));
            if self.attested {
                attestations.push(seeding.attestation(&child)?);
            }
            if self.nested {
                child = seeding.manifest(
                    "",
                    &self.dressed(media_type, json!({"manifests": [child]}), false),
                );
            }
            children.push(child);
        }
        children.extend(attestations);
        let index = self.dressed(media_type, json!({"manifests": children}), true);
        Ok(seeding.manifest(tag, &index))
    }

    /// The manifest of one platform, its blobs seeded.
    fn manifest(
        &self,
        seeding: &mut Seeding<'_>,
        number: u64,
        platform: &str,
    ) -> io::Result<Manifest> {
        let usual = if self.docker {
            media::DOCKER_LAYER
        } else {
            media::LAYER
        };
        let mut layers: Vec<Descriptor> = Vec::new();
        for layer in &self.layers {
            let seed = if layer.shared {
                layer.seed
            } else {
                layer.seed.wrapping_add(number << 32)
            };
            let media_type = layer.media_type.as_deref().unwrap_or(usual);
            layers.push(seeding.layer(
                media_type,
                Synthetic {
                    seed,
                    size: layer.size,
                },
            ));
        }
        let config = if self.artifact_type.is_some() {
            if layers.is_empty() {
                layers.push(seeding.blob(media::EMPTY, b"{}")?);
            }
            seeding.blob(media::EMPTY, b"{}")?
        } else {
            let diff_ids: Vec<&str> = layers.iter().map(|layer| &*layer.digest).collect();
            let mut config = platform_of(platform);
            config["config"] = json!({});
            config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
            let media_type = if self.docker {
                media::DOCKER_CONFIG
            } else {
                media::CONFIG
            };
            seeding.blob(media_type, config.to_string().as_bytes())?
        };
        let media_type = if self.docker {
            media::DOCKER_MANIFEST
        } else {
            media::MANIFEST
        };
        Ok(self.dressed(
            media_type,
            json!({"config": config, "layers": layers}),
            self.platforms.is_empty(),
        ))
    }

    /// A manifest with the fields that all have and, if it is the root, those that only the root has.
    fn dressed(&self, media_type: &'static str, fields: Value, root: bool) -> Manifest {
        let mut json = Map::from_iter([("schemaVersion".to_owned(), json!(2))]);
        if !self.without_media_type {
            json.insert("mediaType".to_owned(), media_type.into());
        }
        json.extend(
            self.artifact_type
                .iter()
                .map(|artifact_type| ("artifactType".to_owned(), json!(artifact_type))),
        );
        if let Value::Object(fields) = fields {
            json.extend(fields);
        }
        if root {
            json.extend(
                self.subject
                    .iter()
                    .map(|subject| ("subject".to_owned(), json!(subject))),
            );
            if !self.annotations.is_empty() {
                json.insert("annotations".to_owned(), self.annotations.clone().into());
            }
        }
        Manifest {
            media_type,
            json: json.into(),
        }
    }
}

/// `{"os", "architecture", "variant"}` of `os/architecture/variant`.
fn platform_of(platform: &str) -> Value {
    let keys = ["os", "architecture", "variant"];
    keys.into_iter()
        .zip(platform.split('/'))
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect()
}
