//! What an archive will hold.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::manifest::{Descriptor, Manifest, REF_NAME, media_type};
use crate::reference::Digest;

use super::index::{Absent, Index, blob_path};

/// The annotation of a referrer in `index.json`: the repository in which it refers to its subject.
pub(super) const REPOSITORY: &str = "oci-copy.repository";

/// The path of a layout's index.
pub(super) const LAYOUT_INDEX: &str = "index.json";

/// The file that marks a layout.
const LAYOUT_MARK: (&str, &[u8]) = ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);

/// Everything that belongs to one artifact.
#[derive(Debug)]
pub struct Artifact<'a> {
    /// Its own manifest.
    pub root: &'a Manifest,
    /// The manifest and those below it.
    pub manifests: Vec<&'a Manifest>,
    /// All blobs of these manifests.
    pub blobs: Vec<&'a Descriptor>,
    /// What refers to it or to one of its children.
    pub referrers: Vec<Referrer<'a>>,
}

/// What refers to something.
#[derive(Debug)]
pub struct Referrer<'a> {
    /// The tag, where it is found by one.
    pub tag: Option<&'a str>,
    /// Its own manifest.
    pub root: &'a Manifest,
    /// The manifest and those below it.
    pub manifests: Vec<&'a Manifest>,
    /// All blobs of these manifests.
    pub blobs: Vec<&'a Descriptor>,
}

/// What an archive will hold.
#[derive(Debug, Default)]
pub struct Contents {
    documents: BTreeMap<String, Bytes>,
    manifests: BTreeMap<Digest, Bytes>,
    blobs: BTreeMap<Digest, u64>,
    absent: BTreeMap<Digest, u64>,
    /// The entries of `index.json`: by name, and by repository and digest.
    names: BTreeMap<String, Value>,
    referrers: BTreeMap<(String, Digest), Value>,
}

/// An archive before it is written: where everything will be, and what is known of it already.
#[derive(Debug)]
pub struct Shape {
    /// Where everything is.
    pub index: Index,
    /// The bytes up to the first file.
    pub(super) front: Bytes,
    /// The content of all files but the blobs, by the number of the member.
    pub(super) known: HashMap<usize, Bytes>,
    /// The members that are blobs, or manifests.
    pub(super) by_digest: HashMap<Digest, usize>,
}

impl Contents {
    /// Adds a file of the caller's. Its path is below no folder that a layout has.
    pub fn document(&mut self, path: &str, content: impl Into<Bytes>) {
        self.documents.insert(path.to_owned(), content.into());
    }

    /// Adds an artifact under a name. `repository` is where its referrers are looked for.
    pub fn artifact(&mut self, name: &str, repository: &str, artifact: &Artifact<'_>) {
        self.content(&artifact.manifests, &artifact.blobs);
        let named = |name: &str, manifest: &Manifest| entry(manifest, REF_NAME, name);
        let root = named(name, artifact.root);
        self.names.insert(name.to_owned(), root);
        for referrer in &artifact.referrers {
            self.content(&referrer.manifests, &referrer.blobs);
            let root = referrer.root;
            if let Some(tag) = referrer.tag {
                let name = format!("{repository}:{tag}");
                self.names.insert(name.clone(), named(&name, root));
            } else {
                let key = (repository.to_owned(), root.digest.clone());
                let entry = entry(root, REPOSITORY, repository);
                self.referrers.insert(key, entry);
            }
        }
    }

    fn content(&mut self, manifests: &[&Manifest], blobs: &[&Descriptor]) {
        for manifest in manifests {
            let bytes = manifest.bytes.clone();
            self.manifests.insert(manifest.digest.clone(), bytes);
        }
        for blob in blobs {
            self.blobs.insert(blob.digest.clone(), blob.size);
        }
    }

    /// Leaves out blobs that an earlier archive has.
    pub fn leave_out(&mut self, is_there: impl Fn(&Digest) -> bool) {
        let all = std::mem::take(&mut self.blobs);
        let (absent, blobs) = all.into_iter().partition(|(digest, _)| is_there(digest));
        (self.absent, self.blobs) = (absent, blobs);
    }

    /// The bytes of all blobs, and of those that are left out.
    #[must_use]
    pub fn sizes(&self) -> (u64, u64) {
        (self.blobs.values().sum(), self.absent.values().sum())
    }

    /// Decides where everything will be.
    #[must_use]
    pub fn lay_out(self) -> Shape {
        let entries: Vec<Value> = self
            .names
            .into_values()
            .chain(self.referrers.into_values())
            .collect();
        let layout =
            json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries});
        let own = [
            (LAYOUT_MARK.0.to_owned(), Bytes::from_static(LAYOUT_MARK.1)),
            (LAYOUT_INDEX.to_owned(), layout.to_string().into()),
        ];
        let files = own.into_iter().chain(self.documents);
        let files = files.map(|(path, bytes)| (path, Digest::of(&bytes), bytes));
        let manifests = self.manifests.iter();
        let manifests =
            manifests.map(|(digest, bytes)| (blob_path(digest), digest.clone(), bytes.clone()));
        let mut known = HashMap::new();
        let mut members: Vec<(String, Digest, u64)> = files
            .chain(manifests)
            .enumerate()
            .map(|(number, (path, digest, bytes))| {
                let size = bytes.len() as u64;
                known.insert(number, bytes);
                (path, digest, size)
            })
            .collect();
        let blobs = self.blobs.into_iter();
        let blobs = blobs.filter(|(digest, _)| !self.manifests.contains_key(digest));
        members.extend(blobs.map(|(digest, size)| (blob_path(&digest), digest, size)));
        let absent = self.absent.into_iter();
        let absent = absent.map(|(digest, size)| Absent { digest, size });
        let (index, front) = Index::lay_out(members, absent.collect());
        Shape {
            by_digest: by_digest(&index),
            index,
            front,
            known,
        }
    }
}

/// The members that are content of the layout.
pub(super) fn by_digest(index: &Index) -> HashMap<Digest, usize> {
    let members = index.members.iter().enumerate();
    let content = members.filter(|(_, member)| member.path == blob_path(&member.digest));
    content
        .map(|(number, member)| (member.digest.clone(), number))
        .collect()
}

fn entry(manifest: &Manifest, annotation: &str, value: &str) -> Value {
    json!({
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": manifest.bytes.len(),
        "annotations": {annotation: value},
    })
}
