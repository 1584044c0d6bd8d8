//! An OCI image layout folder: `oci-layout`, `index.json`, `blobs/<algorithm>/<hex>`.
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

mod complete;
mod index;
mod partial;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, TryFutureExt, stream};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::http::AimdLimit;
use crate::manifest::{Descriptor, Manifest};
use crate::reference::Digest;

use super::on_disk::{self, ready};
use super::{
    Answer, Blob, Error, Lookup, Mounting, Partial, Source, SubjectSupport, TagOrDigest, Target,
    TargetInfo, UploadSession, UploadStart,
};

use index::{Change, Index};
pub use partial::write_whole;

/// How much of a file is read at once, in bytes.
const PIECE: usize = 256 * 1024;

/// Files that are read or written at once: a disk gains nothing from more.
const FILES: usize = 16;

/// An image layout folder.
#[derive(Debug)]
pub struct Layout {
    dir: PathBuf,
    index: Arc<Index>,
    /// What manifests are about, as far as they were read.
    subjects: Mutex<HashMap<Digest, Option<Digest>>>,
    /// Files that are read or written at once.
    files: Arc<AimdLimit>,
    /// What killed runs left was removed.
    is_swept: AtomicBool,
}

impl Layout {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            index: Index::new(dir),
            subjects: Mutex::default(),
            files: AimdLimit::new(FILES, FILES),
            is_swept: AtomicBool::new(false),
        }
    }

    /// Makes the folder a layout, if it is none yet, and removes what killed runs left in it.
    pub(super) fn create(&self) -> Result<(), Error> {
        self.mark()?;
        if !self.is_swept.swap(true, Ordering::Relaxed) {
            self.sweep();
        }
        Ok(())
    }

    /// Removes what killed runs left. While the lock is held, no process begins a file.
    fn sweep(&self) {
        let Ok(_lock) = self.index.lock() else { return };
        partial::sweep(&self.dir);
        let algorithms = std::fs::read_dir(self.dir.join("blobs"));
        for algorithm in algorithms.into_iter().flatten().flatten() {
            partial::sweep(&algorithm.path());
        }
    }

    /// A file in a folder of the layout that takes another one's place when it is whole.
    fn begin_file(&self, folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
        std::fs::create_dir_all(folder)?;
        let lock = std::fs::File::open(self.dir.join("oci-layout"))?;
        lock.lock_shared()?;
        partial::create_locked(folder)
    }

    fn mark(&self) -> Result<(), Error> {
        let blobs = self.dir.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).map_err(|error| Error::file("create", &blobs, error))?;
        let mark = self.dir.join("oci-layout");
        if mark.exists() {
            return Ok(());
        }
        let failed = |error: std::io::Error| Error::file("write", &mark, error);
        let mut aside = partial::create(&self.dir).map_err(failed)?;
        aside
            .write_all(br#"{"imageLayoutVersion":"1.0.0"}"#)
            .map_err(failed)?;
        // Never replaced once it is there: it is what processes lock.
        match aside.persist_noclobber(&mark) {
            Ok(_) => Ok(()),
            // Another process was first.
            Err(_) if mark.exists() => Ok(()),
            Err(error) => Err(failed(error.error)),
        }
    }

    fn namespace(&self) -> String {
        format!("oci:{}", self.dir.display())
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.dir
            .join("blobs")
            .join(digest.algorithm())
            .join(digest.hex())
    }

    /// The names in the index, in its order.
    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        if !self.dir.join("index.json").is_file() {
            return Err(Error::Layout {
                path: self.dir.clone(),
                expected: "an image layout",
            });
        }
        let version = self.index.version()?;
        Ok(version.names().map(str::to_owned).collect())
    }

    fn find_name(&self, which: &TagOrDigest) -> Result<Option<Digest>, Error> {
        match which {
            TagOrDigest::Digest(digest) => {
                Ok(self.blob_path(digest).is_file().then(|| digest.clone()))
            }
            TagOrDigest::Tag(name) => Ok(self.index.version()?.find(name).cloned()),
        }
    }

    fn read_manifest(&self, which: &TagOrDigest) -> Result<Option<Manifest>, Error> {
        let Some(digest) = self.find_name(which)? else {
            return Ok(None);
        };
        let path = self.blob_path(&digest);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", &path, error)),
        };
        let found = digest.of_same_kind(&bytes);
        if found != digest {
            return Err(Error::Digest {
                wanted: digest,
                found,
            });
        }
        match Manifest::parse(None, bytes) {
            Ok(manifest) => Ok(Some(Manifest { digest, ..manifest })),
            Err(source) => Err(Error::Manifest { digest, source }),
        }
    }

    /// What the index lists that is about a manifest.
    fn find_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let version = self.index.version()?;
        version.referrers(subject, |digest| self.subject_of(digest))
    }

    /// What a manifest is about; each is read once.
    fn subject_of(&self, digest: &Digest) -> Result<Option<Digest>, Error> {
        let subjects = || self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = subjects().get(digest) {
            return Ok(known.clone());
        }
        let manifest = self.read_manifest(&TagOrDigest::Digest(digest.clone()))?;
        let Some(manifest) = manifest else {
            return Ok(None);
        };
        subjects().insert(digest.clone(), manifest.subject.clone());
        Ok(manifest.subject)
    }

    /// Writes a manifest's bytes, and its entry in the index where it has a name or is about another
    /// manifest.
    async fn write_manifest(
        &self,
        which: &TagOrDigest,
        manifest: &Manifest,
    ) -> Result<SubjectSupport, Error> {
        let path = self.blob_path(&manifest.digest);
        if !std::fs::read(&path).is_ok_and(|found| found == manifest.bytes) {
            let folder = path.parent().unwrap_or(&self.dir);
            partial::write(self.begin_file(folder), &path, &manifest.bytes)?;
        }
        let support = on_disk::subject_support(manifest);
        let name = match which {
            TagOrDigest::Tag(name) => Some(name.as_str()),
            TagOrDigest::Digest(_) if manifest.subject.is_none() => return Ok(support),
            TagOrDigest::Digest(_) => None,
        };
        self.index.write(Change::new(name, manifest)).await?;
        Ok(support)
    }

    async fn write_blob(&self, descriptor: &Descriptor, mut blob: Blob) -> Result<(), Error> {
        let path = self.blob_path(&descriptor.digest);
        let folder = path.parent().unwrap_or(&self.dir).to_owned();
        let (file, aside) = self
            .begin_file(&folder)
            .map_err(|error| Error::file("write in", &folder, error))?
            .into_parts();
        let mut file = tokio::fs::File::from_std(file);
        while let Some(piece) = blob.next().await {
            file.write_all(&piece?)
                .await
                .map_err(|error| Error::file("write", &aside, error))?;
        }
        file.flush()
            .await
            .map_err(|error| Error::file("write", &aside, error))?;
        file.sync_data()
            .await
            .map_err(|error| Error::file("write", &aside, error))?;
        aside
            .persist(&path)
            .map_err(|error| Error::file("write", &path, error.error))
    }
}

impl Source for Layout {
    fn resolve<'a>(&'a self, which: &'a TagOrDigest) -> Answer<'a, Option<Digest>> {
        async move { self.find_name(which) }.boxed()
    }

    fn manifest<'a>(&'a self, which: &'a TagOrDigest) -> Answer<'a, Option<Manifest>> {
        async move { self.read_manifest(which) }.boxed()
    }

    fn referrers<'a>(&'a self, subject: &'a Digest) -> Answer<'a, Partial<Descriptor>> {
        async move { Ok(self.find_referrers(subject)?.into()) }.boxed()
    }

    fn find_tags<'a>(&'a self, tags: &'a [String]) -> Answer<'a, Partial<(String, Digest)>> {
        async move {
            let mut named = Vec::new();
            for tag in tags {
                let digest = self.find_name(&TagOrDigest::Tag(tag.clone()))?;
                named.extend(digest.map(|digest| (tag.clone(), digest)));
            }
            Ok(named.into())
        }
        .boxed()
    }

    fn blob<'a>(&'a self, descriptor: &'a Descriptor, from: u64) -> Answer<'a, Blob> {
        async move {
            let path = self.blob_path(&descriptor.digest);
            let mut file = tokio::fs::File::open(&path)
                .await
                .map_err(|error| Error::file("open", &path, error))?;
            file.seek(std::io::SeekFrom::Start(from))
                .await
                .map_err(|error| Error::file("read", &path, error))?;
            let pieces = stream::try_unfold((file, path), |(mut file, path)| async move {
                let mut piece = BytesMut::with_capacity(PIECE);
                let read = file
                    .read_buf(&mut piece)
                    .await
                    .map_err(|error| Error::file("read", &path, error))?;
                Ok((read > 0).then(|| (piece.freeze(), (file, path))))
            });
            Ok(pieces.boxed())
        }
        .boxed()
    }

    fn identity(&self) -> String {
        self.namespace()
    }

    fn reads(&self) -> Arc<AimdLimit> {
        Arc::clone(&self.files)
    }
}

impl Lookup for Layout {
    fn find<'a>(&'a self, names: &'a [TagOrDigest]) -> Answer<'a, HashMap<TagOrDigest, Digest>> {
        async move {
            let mut found = HashMap::new();
            for name in names {
                // Files can be deleted or cut behind the index.
                if let Some(digest) = self.find_name(name)?
                    && self.is_complete(&digest).await
                {
                    found.insert(name.clone(), digest);
                }
            }
            Ok(found)
        }
        .boxed()
    }

    fn known_manifests<'a>(
        &'a self,
        wanted: &'a [Digest],
        _: Option<&'a Digest>,
    ) -> Answer<'a, HashSet<Digest>> {
        async move {
            let mut known = HashSet::new();
            for digest in wanted {
                if self.is_complete(digest).await {
                    known.insert(digest.clone());
                }
            }
            Ok(known)
        }
        .boxed()
    }

    fn known_blobs<'a>(&'a self, _: &'a [Digest]) -> Answer<'a, Option<HashSet<Digest>>> {
        ready(None)
    }

    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor) -> Answer<'a, bool> {
        ready(self.has_file(descriptor))
    }

    fn is_immutable<'a>(&'a self, _: &'a str) -> Answer<'a, bool> {
        ready(false)
    }

    fn mounting(&self) -> Answer<'_, Mounting> {
        // A folder is one namespace.
        ready(Mounting::AfterUpload)
    }
}

impl Target for Layout {
    fn info(&self) -> TargetInfo {
        on_disk::info(self.namespace(), &self.files)
    }

    fn prepare(&self) -> Answer<'_, ()> {
        async move { self.create() }.boxed()
    }

    fn begin<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        _: Option<&'a str>,
    ) -> Answer<'a, UploadStart> {
        let has = self.has_blob(descriptor);
        has.map_ok(on_disk::upload_start).boxed()
    }

    fn finish<'a>(
        &'a self,
        _: UploadSession,
        descriptor: &'a Descriptor,
        blob: Blob,
    ) -> Answer<'a, ()> {
        self.write_blob(descriptor, blob).boxed()
    }

    fn put_manifest<'a>(
        &'a self,
        which: &'a TagOrDigest,
        manifest: &'a Manifest,
    ) -> Answer<'a, SubjectSupport> {
        self.write_manifest(which, manifest).boxed()
    }

    fn add_referrers<'a>(&'a self, _: &'a Digest, _: &'a [Descriptor]) -> Answer<'a, ()> {
        // They are in the index already.
        ready(())
    }
}
