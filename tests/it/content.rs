//! Comparing what is at a source with what is at a target.

use std::time::Instant;

use lab::image::Pushed;
use lab::registry::Registry;
use lab::wire::{Request, Wire};

/// Where [`super::data::Data::deploy`] puts what is `quay.io/<repository>` at the source.
pub(crate) fn mirrored(repository: &str) -> String {
    format!("mirror/quay.io/{repository}")
}

/// Everything of an artifact is at the target, byte for byte, and the tag names it.
#[track_caller]
pub(crate) fn assert_same(source: &Registry, pushed: &Pushed, target: &Registry, tag: &str) {
    let to = mirrored(&pushed.repository);
    let root = target.manifest(&to, tag);
    let root = root.unwrap_or_else(|| panic!("{to}:{tag} is not there"));
    assert_eq!(root.2, pushed.root.digest, "{to}:{tag}");
    for manifest in &pushed.manifests {
        assert_eq!(
            target.manifest(&to, &manifest.digest),
            source.manifest(&pushed.repository, &manifest.digest),
            "{to}"
        );
    }
    for blob in &pushed.blobs {
        assert_eq!(
            target.blob(&to, &blob.digest),
            source.blob(&pushed.repository, &blob.digest),
            "{to}"
        );
    }
    assert_eq!(target.check_integrity(), Vec::<String>::new());
}

/// The requests that write, or try to.
pub(crate) fn writes(wire: &Wire) -> Vec<String> {
    let requests = wire.requests();
    let writes = requests
        .iter()
        .filter(|request| !matches!(request.method.as_str(), "GET" | "HEAD"));
    writes
        .map(|request| format!("{} {}", request.method, request.path))
        .collect()
}

/// When the upload of a blob or manifest with this digest began and ended.
#[track_caller]
pub(crate) fn put_of(requests: &[Request], digest: &str) -> (Instant, Instant) {
    let hex = digest.trim_start_matches("sha256:");
    let mut puts = requests.iter().filter(|request| {
        request.method == "PUT" && (request.path.contains(hex) || request.query.contains(hex))
    });
    let put = puts.next();
    let put = put.unwrap_or_else(|| panic!("{digest} was not put"));
    assert!(puts.next().is_none(), "{digest} was put twice");
    (put.started, put.ended.expect("an answer"))
}
