//! What a registry holds. Blobs are files named after their digest, shared by all repositories.

use super::route::valid_digest;
use super::uploads::Upload;
use crate::content::{Descriptor, Synthetic, digest_like};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};
use tempfile::TempDir;

#[derive(Debug)]
pub(crate) struct Store {
    folder: TempDir,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) repositories: BTreeMap<String, Repository>,
    pub(super) uploads: HashMap<String, Arc<tokio::sync::Mutex<Upload>>>,
    pub(super) uploads_started: u64,
}

#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) blobs: HashMap<String, Blob>,
    pub(crate) manifests: HashMap<String, Manifest>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) settings: Repo,
}

/// The settings of a repository as ECR keeps them.
#[derive(Debug, Clone)]
pub struct Repo {
    /// Resource tags.
    pub tags: BTreeMap<String, String>,
    /// Whether image tags can be moved.
    pub mutability: Mutability,
    /// Wildcards of tags to which the opposite of `mutability` applies.
    pub exclusions: Vec<String>,
    /// `AES256`, `KMS` or `KMS_DSSE`.
    pub encryption: String,
    /// The key, with `KMS`.
    pub kms_key: Option<String>,
    /// Scanning of pushed images.
    pub scan_on_push: bool,
    /// The lifecycle policy's text.
    pub lifecycle_policy: Option<String>,
    /// The repository policy's text.
    pub policy: Option<String>,
    /// When it was created.
    pub created: SystemTime,
    /// From when on others than `CreateRepository` see it.
    pub visible_from: Instant,
}

/// Whether image tags can be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    /// They can.
    Mutable,
    /// They cannot; pushing one again is an error, even with the same digest.
    Immutable,
}

#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) size: u64,
    pub(super) content: Content,
    /// When it was uploaded.
    pub(super) since: Instant,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    /// A file of the store's folder.
    Kept,
    Synthetic(Synthetic),
    /// Uploaded, hashed, counted and forgotten.
    Discarded,
}

#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
    pub(crate) pushed: SystemTime,
    /// The last pull, if there was one: reading a manifest is a pull
    /// (<https://github.com/aws/containers-roadmap/issues/2390>).
    pub(crate) pulled: Option<SystemTime>,
}

impl Store {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            folder: tempfile::Builder::new().prefix("lab-registry-").tempdir()?,
            state: Mutex::default(),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the bytes of an upload or of a blob are.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name.replace(':', "-"))
    }

    pub(super) fn put_blob(&self, repository: &str, bytes: &[u8]) -> io::Result<Descriptor> {
        let descriptor = Descriptor::of("application/octet-stream", bytes);
        std::fs::write(self.file(&descriptor.digest), bytes)?;
        self.state().repository(repository).add_blob(
            &descriptor.digest,
            descriptor.size,
            Content::Kept,
        );
        Ok(descriptor)
    }

    pub(super) fn put_blob_as(
        &self,
        repository: &str,
        digest: &str,
        bytes: &[u8],
    ) -> io::Result<()> {
        std::fs::write(self.file(digest), bytes)?;
        let mut state = self.state();
        let repository = state.repository(repository);
        repository.add_blob(digest, bytes.len() as u64, Content::Kept);
        Ok(())
    }

    pub(super) fn put_synthetic(&self, repository: &str, blob: Synthetic) -> Descriptor {
        let digest = blob.digest();
        self.state()
            .repository(repository)
            .add_blob(&digest, blob.size, Content::Synthetic(blob));
        Descriptor {
            media_type: "application/octet-stream".to_owned(),
            digest,
            size: blob.size,
            more: serde_json::Map::new(),
        }
    }

    pub(super) fn put_manifest(
        &self,
        repository: &str,
        tag: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Descriptor {
        let descriptor = Descriptor::of(media_type, &bytes);
        self.state().repository(repository).add_manifest(
            &descriptor.digest,
            tag,
            media_type,
            bytes,
        );
        descriptor
    }

    pub(super) fn read_blob(&self, repository: &str, digest: &str) -> Option<Bytes> {
        let blob = self
            .state()
            .repositories
            .get(repository)?
            .blobs
            .get(digest)?
            .clone();
        let pieces = self.pieces(digest, &blob, 0..blob.size).ok()??;
        let whole: io::Result<Vec<Bytes>> = pieces.collect();
        Some(whole.ok()?.concat().into())
    }

    /// The bytes of a part of a blob, piece by piece; none if they were not kept.
    pub(super) fn pieces(
        &self,
        digest: &str,
        blob: &Blob,
        range: Range<u64>,
    ) -> io::Result<Option<Pieces>> {
        Ok(match blob.content {
            Content::Kept => {
                let mut file = File::open(self.file(digest))?;
                file.seek(SeekFrom::Start(range.start))?;
                Some(Box::new(file_pieces(file.take(range.end - range.start))))
            }
            Content::Synthetic(synthetic) => Some(Box::new(synthetic.pieces(range).map(Ok))),
            Content::Discarded => None,
        })
    }
}

/// The bytes of a blob in order.
pub(super) type Pieces = Box<dyn Iterator<Item = io::Result<Bytes>> + Send>;

fn file_pieces(mut file: io::Take<File>) -> impl Iterator<Item = io::Result<Bytes>> + Send {
    std::iter::from_fn(move || {
        let mut piece = vec![0; 128 * 1024];
        match file.read(&mut piece) {
            Ok(0) => None,
            Ok(length) => {
                piece.truncate(length);
                Some(Ok(piece.into()))
            }
            Err(error) => Some(Err(error)),
        }
    })
}

impl State {
    /// The repository, created if it is not there.
    pub(crate) fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }
}

impl Default for Repository {
    fn default() -> Self {
        Self {
            blobs: HashMap::new(),
            manifests: HashMap::new(),
            tags: BTreeMap::new(),
            settings: Repo {
                tags: BTreeMap::new(),
                mutability: Mutability::Mutable,
                exclusions: Vec::new(),
                encryption: "AES256".to_owned(),
                kms_key: None,
                scan_on_push: false,
                lifecycle_policy: None,
                policy: None,
                created: SystemTime::now(),
                visible_from: Instant::now(),
            },
        }
    }
}

impl Repository {
    pub(super) fn add_blob(&mut self, digest: &str, size: u64, content: Content) {
        self.blobs.insert(
            digest.to_owned(),
            Blob {
                size,
                content,
                since: Instant::now(),
            },
        );
    }

    pub(super) fn add_manifest(&mut self, digest: &str, tag: &str, media_type: &str, bytes: Bytes) {
        let manifest = Manifest {
            media_type: media_type.to_owned(),
            bytes,
            pushed: SystemTime::now(),
            pulled: self.manifests.get(digest).and_then(|known| known.pulled),
        };
        self.manifests.insert(digest.to_owned(), manifest);
        if !tag.is_empty() {
            self.tags.insert(tag.to_owned(), digest.to_owned());
        }
    }

    /// A manifest by tag or digest, with its digest.
    pub(crate) fn manifest(&self, reference: &str) -> Option<(&str, &Manifest)> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        self.manifests
            .get_key_value(digest)
            .map(|(digest, manifest)| (digest.as_str(), manifest))
    }

    /// Notes that a manifest was pulled.
    pub(crate) fn pull(&mut self, digest: &str) {
        if let Some(manifest) = self.manifests.get_mut(digest) {
            manifest.pulled = Some(SystemTime::now());
        }
    }

    /// Removes a tag, or a manifest with all its tags. Says whether there was one.
    pub(crate) fn remove_manifest(&mut self, reference: &str) -> bool {
        if valid_digest(reference) {
            self.tags.retain(|_, digest| digest != reference);
            self.manifests.remove(reference).is_some()
        } else {
            self.tags.remove(reference).is_some()
        }
    }

    /// Whether this tag exists and must stay as it is.
    pub(super) fn is_pinned(&self, tag: &str) -> bool {
        let excluded = self
            .settings
            .exclusions
            .iter()
            .any(|pattern| matches_wildcard(pattern, tag));
        let immutable = (self.settings.mutability == Mutability::Immutable) != excluded;
        immutable && self.tags.contains_key(tag)
    }
}

/// Whether a text matches a pattern in which `*` matches any text.
fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(tail) = text.strip_prefix(start) else {
        return false;
    };
    (0..=tail.len()).any(|at| {
        tail.get(at..)
            .is_some_and(|tail| matches_wildcard(rest, tail))
    })
}

impl Blob {
    /// Whether its bytes are a file of the store.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self.content, Content::Kept)
    }
}

impl Manifest {
    /// Whether the bytes still have the digest under which they are kept.
    pub(super) fn has_digest(&self, digest: &str) -> bool {
        digest_like(digest, &self.bytes) == digest
    }
}

#[cfg(test)]
mod tests {
    use super::matches_wildcard;

    #[test]
    fn a_star_matches_any_text() {
        assert!(matches_wildcard("dev-*", "dev-1"));
        assert!(matches_wildcard("*-rc*", "1.0-rc2"));
        assert!(!matches_wildcard("dev-*", "prod-1"));
        assert!(!matches_wildcard("dev", "dev1"));
    }
}
