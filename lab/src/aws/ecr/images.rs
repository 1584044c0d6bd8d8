//! Images and layers.

use super::super::account::Account;
use super::super::error::Failure;
use super::{page, resource, seconds, text, texts};
use crate::registry::{Manifest, References, Repository};
use serde_json::{Value, json};

impl Account {
    pub(super) fn batch_get_image(&self, input: &Value) -> Result<Value, Failure> {
        let ids = image_ids(input)?;
        let answer = self.with(input, |repository, _| {
            let (mut images, mut failures) = (Vec::new(), Vec::new());
            for id in ids {
                match find(repository, &id) {
                    Some((digest, manifest)) => {
                        let mut image_id = id.clone();
                        image_id["imageDigest"] = digest.into();
                        images.push(json!({
                            "registryId": self.number,
                            "repositoryName": resource(input),
                            "imageId": image_id,
                            "imageManifest": String::from_utf8_lossy(&manifest.bytes),
                            "imageManifestMediaType": manifest.media_type,
                        }));
                    }
                    None => failures.push(json!({
                        "imageId": id,
                        "failureCode": "ImageNotFound",
                        "failureReason": "Requested image not found",
                    })),
                }
            }
            Ok(json!({"images": images, "failures": failures}))
        })?;
        let mut state = self.core.store.state();
        let repository = state.repository(&resource(input));
        for image in answer["images"].as_array().into_iter().flatten() {
            let digest = image["imageId"]["imageDigest"].as_str();
            if let Some(digest) = digest {
                repository.pull(digest);
            }
        }
        Ok(answer)
    }

    pub(super) fn batch_check_layers(&self, input: &Value) -> Result<Value, Failure> {
        let digests = texts(&input["layerDigests"]);
        if !(1..=100).contains(&digests.len()) {
            return Err(Failure::new(
                400,
                "InvalidParameterException",
                "1 to 100 layerDigests",
            ));
        }
        self.with(input, |repository, _| {
            let layer = |digest: &String| match repository.blobs.get(digest) {
                Some(blob) => json!({
                    "layerDigest": digest,
                    "layerAvailability": "AVAILABLE",
                    "layerSize": blob.size,
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                }),
                None => json!({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"}),
            };
            Ok(json!({"layers": digests.iter().map(layer).collect::<Value>(), "failures": []}))
        })
    }

    pub(super) fn describe_images(&self, input: &Value) -> Result<Value, Failure> {
        let ids = if input.get("imageIds").is_some() {
            image_ids(input)?
        } else {
            Vec::new()
        };
        self.with(input, |repository, _| {
            let describe = |digest: &str, manifest: &Manifest| {
                self.describe_image(&resource(input), repository, digest, manifest)
            };
            if ids.is_empty() {
                let mut all: Vec<(&String, &Manifest)> = repository.manifests.iter().collect();
                all.sort_by_key(|(digest, _)| *digest);
                let (page, next) = page(&all, input, 100, |(digest, _)| (*digest).clone());
                let details: Vec<Value> = page
                    .iter()
                    .map(|(digest, manifest)| describe(digest, manifest))
                    .collect();
                return Ok(json!({"imageDetails": details, "nextToken": next}));
            }
            let found: Result<Vec<Value>, Failure> = ids
                .iter()
                .map(|id| {
                    let missing = || {
                        Failure::new(
                            400,
                            "ImageNotFoundException",
                            format!("The image with imageId {id} does not exist"),
                        )
                    };
                    let (digest, manifest) = find(repository, id).ok_or_else(missing)?;
                    Ok(describe(digest, manifest))
                })
                .collect();
            Ok(json!({"imageDetails": found?}))
        })
    }

    pub(super) fn list_images(&self, input: &Value) -> Result<Value, Failure> {
        self.with(input, |repository, _| {
            let tagged = repository
                .tags
                .iter()
                .map(|(tag, digest)| json!({"imageDigest": digest, "imageTag": tag}));
            let is_untagged =
                |digest: &&String| !repository.tags.values().any(|tagged| tagged == *digest);
            let untagged = repository
                .manifests
                .keys()
                .filter(is_untagged)
                .map(|digest| json!({"imageDigest": digest}));
            let mut ids: Vec<Value> = match input["filter"]["tagStatus"].as_str() {
                Some("TAGGED") => tagged.collect(),
                Some("UNTAGGED") => untagged.collect(),
                _ => tagged.chain(untagged).collect(),
            };
            ids.sort_by_key(Value::to_string);
            let (page, next) = page(&ids, input, 100, Value::to_string);
            Ok(json!({"imageIds": page, "nextToken": next}))
        })
    }

    pub(super) fn download_url_for_layer(&self, input: &Value) -> Result<Value, Failure> {
        let digest = text(&input["layerDigest"]).unwrap_or_default();
        self.with(input, |repository, _| {
            if !repository.blobs.contains_key(&digest) {
                let message = format!("The layer with digest '{digest}' does not exist");
                return Err(Failure::new(400, "LayerInaccessibleException", message));
            }
            Ok(json!({"downloadUrl": self.download_url(&resource(input), &digest), "layerDigest": digest}))
        })
    }

    fn describe_image(
        &self,
        name: &str,
        repository: &Repository,
        digest: &str,
        manifest: &Manifest,
    ) -> Value {
        let tags: Vec<&String> = repository
            .tags
            .iter()
            .filter(|(_, of)| *of == digest)
            .map(|(tag, _)| tag)
            .collect();
        let references = References::parse(&manifest.bytes).ok();
        let layers = references.as_ref().map_or(0, |references| {
            references.blobs.iter().map(|blob| blob.size).sum()
        });
        let mut details = json!({
            "registryId": self.number,
            "repositoryName": name,
            "imageDigest": digest,
            "imageSizeInBytes": layers + manifest.bytes.len() as u64,
            "imagePushedAt": seconds(manifest.pushed),
            "imageManifestMediaType": manifest.media_type,
        });
        if !tags.is_empty() {
            details["imageTags"] = json!(tags);
        }
        if let Some(pulled) = manifest.pulled {
            details["lastRecordedPullTime"] = json!(seconds(pulled));
        }
        let subject = references
            .as_ref()
            .and_then(|references| references.subject.as_ref());
        if let Some(subject) = subject {
            details["subjectManifestDigest"] = subject.digest.as_str().into();
        }
        if let Some(config) = references.and_then(|references| references.config) {
            details["artifactMediaType"] = config.media_type.into();
        }
        details
    }
}

pub(super) fn image_ids(input: &Value) -> Result<Vec<Value>, Failure> {
    let ids = input["imageIds"].as_array().cloned().unwrap_or_default();
    if (1..=100).contains(&ids.len()) {
        Ok(ids)
    } else {
        Err(Failure::new(
            400,
            "InvalidParameterException",
            "1 to 100 imageIds",
        ))
    }
}

/// The image that an id means; one with a digest and a tag must agree in both.
fn find<'a>(repository: &'a Repository, id: &Value) -> Option<(&'a str, &'a Manifest)> {
    let (digest, tag) = (id["imageDigest"].as_str(), id["imageTag"].as_str());
    let found = repository.manifest(tag.or(digest)?)?;
    digest
        .is_none_or(|digest| digest == found.0)
        .then_some(found)
}
