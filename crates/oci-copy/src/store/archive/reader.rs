//! An archive that is read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::http::AimdLimit;
use crate::manifest::{Descriptor, MAX_MANIFEST, Manifest, REF_NAME};
use crate::reference::{Digest, Location};
use crate::store::{Answer, Blob, Error};

use super::contents::{LAYOUT_INDEX, REPOSITORY, by_digest};
use super::index::{self, CHECKSUM_PATH, Index, MAX_INDEX, Member, PATH};
use super::repository::Repository;
use super::tar::{self, BLOCK, BLOCK_BYTES};

/// Content that is read by ranges: a file, or an object of a bucket.
pub trait Ranges: Send + Sync {
    /// What messages call it.
    fn shown(&self) -> String;

    /// Its size in bytes.
    fn size(&self) -> Answer<'_, u64>;

    /// Some of its bytes: exactly `length`, or an error.
    fn read(&self, from: u64, length: u64) -> Answer<'_, Blob>;

    /// How many ranges may be read at once.
    fn at_once(&self) -> usize;
}

/// An archive that is read. Its front was checked, the rest is checked as it is read.
pub struct Archive {
    pub(super) ranges: Arc<dyn Ranges>,
    pub(super) index: Index,
    /// What stands before the first member, padding included.
    pub(super) front: Bytes,
    members: HashMap<Digest, usize>,
    absent: HashSet<Digest>,
    names: HashMap<String, Descriptor>,
    /// What refers to something, with the repository in which it does.
    listed: Vec<(String, Descriptor)>,
    /// The same by subject, once they are asked for.
    referrers: OnceCell<HashMap<(String, Digest), Vec<Descriptor>>>,
    pub(super) reads: Arc<AimdLimit>,
}

impl Archive {
    /// Reads the front of an archive.
    ///
    /// # Errors
    /// When it is none, when it was cut, or its front is damaged.
    pub async fn open(ranges: Arc<dyn Ranges>) -> Result<Arc<Self>, Error> {
        let shown = ranges.shown();
        let failed = |what: String| Error::archive(&shown, what);
        let size = ranges.size().await?;
        let no_bundle = || Error::NoArchive {
            archive: shown.clone(),
            first: CHECKSUM_PATH,
        };
        if size < 3 * BLOCK_BYTES {
            return Err(no_bundle());
        }
        let start = read(ranges.as_ref(), 0, 3 * BLOCK_BYTES).await?;
        let (block, second, third) = (
            &start[..BLOCK],
            &start[BLOCK..2 * BLOCK],
            &start[2 * BLOCK..],
        );
        let checksum_size = tar::size(block, CHECKSUM_PATH).filter(|size| *size <= BLOCK_BYTES);
        let checksum_size = checksum_size.ok_or_else(no_bundle)?;
        let damaged = || {
            failed(format!(
                "its front is damaged: {PATH} does not have the checksum that {CHECKSUM_PATH} says"
            ))
        };
        let length = tar::size(third, PATH).ok_or_else(damaged)?;
        if length > MAX_INDEX {
            return Err(failed(format!(
                "{PATH} has {length} bytes, more than {MAX_INDEX} are not read"
            )));
        }
        let end = 3 * BLOCK_BYTES + tar::padded(length);
        if size < end {
            return Err(failed(format!(
                "it was cut: it has {size} bytes, and {PATH} alone has {length}"
            )));
        }
        let padded = read(ranges.as_ref(), 3 * BLOCK_BYTES, tar::padded(length)).await?;
        let json = padded.slice(..usize::try_from(length).unwrap_or_default());
        let checksum = index::checksum(&json);
        let said = second.get(..usize::try_from(checksum_size).unwrap_or_default());
        if said != Some(checksum.as_bytes()) {
            return Err(damaged());
        }
        let index = Index::parse(&json, end).map_err(failed)?;
        if index.size != size {
            let wanted = index.size;
            let why = if size < wanted {
                "it was cut, or parts are missing"
            } else {
                "something was added"
            };
            return Err(failed(format!(
                "it has {size} bytes and should have {wanted}: {why}"
            )));
        }
        let mut front = BytesMut::from(&start[..]);
        front.extend_from_slice(&padded);
        let at_once = ranges.at_once().max(4);
        let mut archive = Self {
            members: by_digest(&index),
            absent: index
                .absent
                .iter()
                .map(|absent| absent.digest.clone())
                .collect(),
            index,
            front: front.freeze(),
            ranges,
            names: HashMap::new(),
            listed: Vec::new(),
            referrers: OnceCell::new(),
            reads: AimdLimit::new(4 * at_once, 4 * at_once),
        };
        archive.read_layout().await?;
        Ok(Arc::new(archive))
    }

    async fn read_layout(&mut self) -> Result<(), Error> {
        let no_layout = || {
            self.failed(format!(
                "its {LAYOUT_INDEX} is not the index of an image layout"
            ))
        };
        let bytes = self.document(LAYOUT_INDEX).await?.ok_or_else(no_layout)?;
        let layout: Option<Value> = serde_json::from_slice(&bytes).ok();
        let entries = layout.and_then(|layout| layout.get("manifests")?.as_array().cloned());
        let (mut names, mut listed) = (HashMap::new(), Vec::new());
        for entry in entries.ok_or_else(no_layout)? {
            let descriptor: Descriptor = serde_json::from_value(entry).map_err(|_| no_layout())?;
            let said = |key: &str| descriptor.annotations.get(key).cloned();
            match (said(REF_NAME), said(REPOSITORY)) {
                (Some(name), _) => drop(names.insert(name, descriptor)),
                (None, Some(repository)) => listed.push((repository, descriptor)),
                (None, None) => {}
            }
        }
        (self.names, self.listed) = (names, listed);
        Ok(())
    }

    /// What messages call it.
    #[must_use]
    pub fn shown(&self) -> String {
        self.ranges.shown()
    }

    /// Every file of it.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The names of its artifacts, with their digests.
    pub fn names(&self) -> impl Iterator<Item = (&str, &Digest)> {
        let names = self.names.iter();
        names.map(|(name, descriptor)| (name.as_str(), &descriptor.digest))
    }

    /// A small file of it, checked; `None` where there is none.
    ///
    /// # Errors
    /// When it is damaged, larger than 64 MiB, or cannot be read.
    pub async fn document(&self, path: &str) -> Result<Option<Bytes>, Error> {
        let member = self.index.members.iter().find(|member| member.path == path);
        match member {
            Some(member) => self.content(member, MAX_INDEX).await.map(Some),
            None => Ok(None),
        }
    }

    /// The repository of a location, as a place to read from; a folder's names are looked for as they are.
    #[must_use]
    pub fn repository(self: &Arc<Self>, location: &Location) -> Repository {
        let scope = match (location.host(), location.repository()) {
            (Some(host), Some(repository)) => Some(format!("{host}/{repository}")),
            _ => None,
        };
        Repository::new(Arc::clone(self), scope)
    }

    /// All of it as a place to read from, where names are looked for as they stand in the index.
    #[must_use]
    pub fn names_as_they_are(self: &Arc<Self>) -> Repository {
        Repository::new(Arc::clone(self), None)
    }

    /// Whether it is a blob that an earlier archive has.
    #[must_use]
    pub fn is_absent(&self, digest: &Digest) -> bool {
        self.absent.contains(digest)
    }

    pub(super) fn find(&self, name: &str) -> Option<&Descriptor> {
        self.names.get(name)
    }

    pub(super) fn member(&self, digest: &Digest) -> Option<&Member> {
        self.members
            .get(digest)
            .map(|number| &self.index.members[*number])
    }

    pub(super) async fn manifest(
        &self,
        digest: &Digest,
        media_type: Option<&str>,
    ) -> Result<Option<Manifest>, Error> {
        let Some(member) = self.member(digest) else {
            return Ok(None);
        };
        let bytes = self.content(member, MAX_MANIFEST).await?;
        match Manifest::parse(media_type, bytes) {
            Ok(manifest) => Ok(Some(Manifest {
                digest: digest.clone(),
                ..manifest
            })),
            Err(source) => Err(Error::Manifest {
                digest: digest.clone(),
                source,
            }),
        }
    }

    /// What refers to a manifest in a repository.
    pub(super) async fn referrers(
        &self,
        repository: &str,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, Error> {
        let read = || async {
            let mut referrers: HashMap<(String, Digest), Vec<Descriptor>> = HashMap::new();
            let mut seen = HashSet::new();
            for (repository, descriptor) in &self.listed {
                if !seen.insert((repository, &descriptor.digest)) {
                    continue;
                }
                let manifest = self
                    .manifest(&descriptor.digest, Some(&descriptor.media_type))
                    .await?;
                if let Some(subject) = manifest.and_then(|manifest| manifest.subject) {
                    let of_subject = referrers.entry((repository.clone(), subject)).or_default();
                    of_subject.push(descriptor.clone());
                }
            }
            Ok::<_, Error>(referrers)
        };
        let referrers = self.referrers.get_or_try_init(read).await?;
        let key = (repository.to_owned(), subject.clone());
        Ok(referrers.get(&key).cloned().unwrap_or_default())
    }

    async fn content(&self, member: &Member, limit: u64) -> Result<Bytes, Error> {
        let Member {
            path,
            digest,
            size,
            offset,
        } = member;
        if *size > limit {
            return Err(self.failed(format!(
                "{path} has {size} bytes, more than {limit} are not read"
            )));
        }
        let bytes = read(self.ranges.as_ref(), *offset, *size).await?;
        if !digest.is_of(&bytes) {
            return Err(self.failed(format!("{path} (at byte {offset}) is damaged")));
        }
        Ok(bytes)
    }

    pub(super) fn failed(&self, what: impl Into<String>) -> Error {
        Error::archive(&self.shown(), what)
    }
}

async fn read(ranges: &dyn Ranges, from: u64, length: u64) -> Result<Bytes, Error> {
    let blob = ranges.read(from, length).await?;
    let whole = blob.try_fold(BytesMut::new(), |mut whole, piece| {
        whole.extend_from_slice(&piece);
        futures_util::future::ready(Ok(whole))
    });
    let whole = whole.await?.freeze();
    if whole.len() as u64 == length {
        Ok(whole)
    } else {
        Err(Error::archive(
            &ranges.shown(),
            "it gives another number of bytes than was asked for",
        ))
    }
}
