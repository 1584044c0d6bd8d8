//! Deleting images.

use super::super::account::Account;
use super::super::error::Failure;
use super::images::image_ids;
use super::resource;
use crate::registry::{References, Repository};
use serde_json::{Value, json};

impl Account {
    /// Deletes what is named by a digest with all its tags. A tag is removed, and with the last one the image. What an
    /// index refers to when the call begins stays.
    pub(super) fn batch_delete_image(&self, input: &Value) -> Result<Value, Failure> {
        let ids = image_ids(input)?;
        self.with(input, |_, _| Ok(()))?;
        let mut state = self.core.store.state();
        let repository = state.repository(&resource(input));
        let children: Vec<String> = repository
            .manifests
            .values()
            .filter_map(|manifest| References::parse(&manifest.bytes).ok())
            .flat_map(|references| references.children)
            .map(|child| child.digest)
            .collect();
        let (mut deleted, mut failures) = (Vec::new(), Vec::new());
        for id in ids {
            match delete(repository, &id, &children) {
                Ok(ids) => deleted.extend(ids),
                Err((code, reason)) => failures.push(json!({
                    "imageId": id,
                    "failureCode": code,
                    "failureReason": reason,
                })),
            }
        }
        Ok(json!({"imageIds": deleted, "failures": failures}))
    }
}

/// Deletes what an id means; returns the ids of what was deleted, or the code and reason of a failure.
fn delete(
    repository: &mut Repository,
    id: &Value,
    children: &[String],
) -> Result<Vec<Value>, (&'static str, &'static str)> {
    let (digest, tag) = (id["imageDigest"].as_str(), id["imageTag"].as_str());
    let Some(reference) = digest.or(tag) else {
        let reason = "Neither tag nor digest";
        return Err(("MissingDigestAndTag", reason));
    };
    let found = repository.manifest(reference);
    let found = found.map(|(digest, _)| digest.to_owned());
    let Some(found) = found else {
        return Err(("ImageNotFound", "Requested image not found"));
    };
    if tag.is_some_and(|tag| repository.tags.get(tag) != Some(&found)) {
        let reason = "The tag does not name the digest";
        return Err(("ImageTagDoesNotMatchDigest", reason));
    }
    let tags: Vec<String> = repository
        .tags
        .iter()
        .filter(|(_, named)| **named == found)
        .map(|(tag, _)| tag.clone())
        .collect();
    if let (None, Some(tag), true) = (digest, tag, tags.len() > 1) {
        repository.remove_manifest(tag);
        return Ok(vec![json!({"imageDigest": found, "imageTag": tag})]);
    }
    if children.contains(&found) {
        let reason = "Requested image referenced by manifest list";
        return Err(("ImageReferencedByManifestList", reason));
    }
    repository.remove_manifest(&found);
    let tagged = tags
        .iter()
        .map(|tag| json!({"imageDigest": found, "imageTag": tag}));
    let untagged = tags.is_empty().then(|| json!({"imageDigest": found}));
    Ok(tagged.chain(untagged).collect())
}
