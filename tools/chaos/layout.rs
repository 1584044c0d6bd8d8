//! An image layout folder as its readers see it.

use std::collections::BTreeMap;
use std::path::Path;

use lab::content::digest_of;
use serde_json::Value;

const NAME: &str = "org.opencontainers.image.ref.name";

/// The names of a folder with their digests, and all that is wrong with their content.
pub(crate) fn read(dir: &Path) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut names, mut wrong) = (BTreeMap::new(), Vec::new());
    let Ok(index) = std::fs::read(dir.join("index.json")) else {
        // Nothing was finished.
        return (names, wrong);
    };
    let index: Value = serde_json::from_slice(&index).unwrap_or_else(|error| {
        wrong.push(format!("index.json is not JSON: {error}"));
        Value::Null
    });
    let mut open = Vec::new();
    for entry in list(&index, "manifests") {
        if let Some(name) = entry["annotations"][NAME].as_str() {
            let digest = entry["digest"].as_str().unwrap_or_default();
            names.insert(name.to_owned(), digest.to_owned());
        }
        open.push((entry, true));
    }
    while let Some((descriptor, is_manifest)) = open.pop() {
        let media_type = descriptor["mediaType"].as_str().unwrap_or_default();
        if media_type.contains("nondistributable") {
            continue;
        }
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        let path = dir.join("blobs").join(digest.replace(':', "/"));
        let Ok(bytes) = std::fs::read(&path) else {
            wrong.push(format!("{digest} is not in the folder"));
            continue;
        };
        if digest_of(&bytes) != digest {
            wrong.push(format!("{digest} has other bytes than its digest says"));
        }
        if is_manifest && let Ok(manifest) = serde_json::from_slice::<Value>(&bytes) {
            open.extend(
                list(&manifest, "manifests")
                    .into_iter()
                    .map(|child| (child, true)),
            );
            open.extend(
                list(&manifest, "layers")
                    .into_iter()
                    .map(|layer| (layer, false)),
            );
            open.extend(manifest.get("config").map(|config| (config.clone(), false)));
        }
    }
    (names, wrong)
}

fn list(value: &Value, key: &str) -> Vec<Value> {
    value[key].as_array().cloned().unwrap_or_default()
}
