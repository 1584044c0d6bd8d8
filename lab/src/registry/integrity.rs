//! Whether everything that a registry promises is there.

use super::manifests::References;
use super::store::{Blob, Repository, Store};
use crate::content::{Descriptor, Hasher, digest_like};

/// What is wrong, in words; empty if all is well.
pub(super) fn violations(store: &Store) -> Vec<String> {
    let state = store.state();
    state
        .repositories
        .iter()
        .flat_map(|(name, repository)| check_repository(store, name, repository))
        .collect()
}

fn check_repository(store: &Store, name: &str, repository: &Repository) -> Vec<String> {
    let tags = repository
        .tags
        .iter()
        .filter(|(_, digest)| !repository.manifests.contains_key(*digest));
    let mut found: Vec<String> = tags
        .map(|(tag, digest)| format!("{name}:{tag} points to {digest}, which is not there"))
        .collect();
    for (digest, manifest) in &repository.manifests {
        let here = format!("{name}@{digest}");
        if !manifest.has_digest(digest) {
            found.push(format!("{here} has other bytes than its digest says"));
        }
        match References::parse(&manifest.bytes) {
            Ok(references) => found.extend(check_manifest(&here, repository, &references)),
            Err(error) => found.push(format!("{here} is not a manifest: {error}")),
        }
    }
    let broken = repository
        .blobs
        .iter()
        .filter(|(digest, blob)| !is_sound(store, digest, blob));
    found.extend(
        broken.map(|(digest, _)| {
            format!("{name}: blob {digest} has other bytes than its digest says")
        }),
    );
    found
}

fn check_manifest(here: &str, repository: &Repository, references: &References) -> Vec<String> {
    let blobs = references.required_blobs().map(|blob| {
        let size = repository.blobs.get(&blob.digest).map(|kept| kept.size);
        compare(here, "blob", blob, size)
    });
    let children = references.children.iter().map(|child| {
        let size = repository
            .manifests
            .get(&child.digest)
            .map(|kept| kept.bytes.len() as u64);
        compare(here, "manifest", child, size)
    });
    blobs.chain(children).flatten().collect()
}

fn compare(here: &str, what: &str, promised: &Descriptor, size: Option<u64>) -> Option<String> {
    match size {
        None => Some(format!(
            "{here} refers to {what} {}, which is not there",
            promised.digest
        )),
        Some(size) if size != promised.size => Some(format!(
            "{here} gives {what} {} {} bytes, it has {size}",
            promised.digest, promised.size
        )),
        Some(_) => None,
    }
}

/// Whether the bytes that are kept as a file have the right digest and length. Generated and
/// discarded ones were hashed when they came.
fn is_sound(store: &Store, digest: &str, blob: &Blob) -> bool {
    if !blob.is_kept() {
        return true;
    }
    let Ok(Some(pieces)) = store.pieces(digest, blob, 0..u64::MAX) else {
        return false;
    };
    let (mut hasher, mut length, mut whole) = (Hasher::new(), 0, Vec::new());
    for piece in pieces {
        let Ok(piece) = piece else { return false };
        hasher.update(&piece);
        length += piece.len() as u64;
        if digest.starts_with("sha512:") {
            whole.extend_from_slice(&piece);
        }
    }
    let found = if digest.starts_with("sha512:") {
        digest_like(digest, &whole)
    } else {
        hasher.finish()
    };
    length == blob.size && found == digest
}
