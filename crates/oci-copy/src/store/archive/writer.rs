//! An archive that is written: content comes in any order, and each has its place.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future};
use tokio::sync::mpsc;

use crate::http::AimdLimit;
use crate::manifest::{Descriptor, Manifest};
use crate::reference::Digest;
use crate::store::{
    Answer, Blob, Capabilities, DigestCheck, Error, Lookup, Mounting, SubjectSupport, TagOrDigest,
    Target, TargetInfo, UploadSession, UploadStart,
};

use super::contents::{Contents, Shape};
use super::file;
use super::index::{Index, Member};

/// Blobs that are written at once.
const AT_ONCE: usize = 16;

/// Pieces of a blob that wait to be written.
const AHEAD: usize = 4;

/// How much is read at once to check what an interrupted run has written, in bytes.
const PIECE: usize = 256 * 1024;

/// An archive that is written to a file, or to parts of a size. What is not complete ends in `.partial`; a
/// run that was killed is taken up where it was: a blob's header is written after the blob, and what has one
/// is checked and kept.
///
/// Before [`Writer::begin`] it is an empty target, so that a preflight finds everything missing.
pub struct Writer {
    path: PathBuf,
    begun: OnceLock<Arc<OpenArchive>>,
    writes: Arc<AimdLimit>,
}

/// An archive with its places.
struct OpenArchive {
    shape: Shape,
    parts: Vec<Part>,
    /// The members that are complete.
    complete: Mutex<HashSet<usize>>,
}

/// A file of it.
struct Part {
    partial: PathBuf,
    path: PathBuf,
    start: u64,
    size: u64,
    /// Locked as long as it is open.
    file: File,
}

impl Writer {
    /// A writer of the archive `path`, which writes nothing yet.
    #[must_use]
    pub fn new(path: &Path) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            begun: OnceLock::new(),
            writes: AimdLimit::new(AT_ONCE, AT_ONCE),
        })
    }

    /// Makes the place for some contents, and writes all but the blobs. What an interrupted run wrote of the
    /// same contents is kept.
    ///
    /// # Errors
    /// When a file cannot be written, or another process writes it.
    pub fn begin(&self, contents: Contents, split: Option<u64>) -> Result<Index, Error> {
        let shape = contents.lay_out();
        let index = shape.index.clone();
        let parts = self.open_parts(index.size, split)?;
        let mut begun = OpenArchive {
            shape,
            parts,
            complete: Mutex::default(),
        };
        begun.prepare()?;
        if self.begun.set(Arc::new(begun)).is_err() {
            return Err(Error::archive(
                &self.shown(),
                "it is begun twice (please report this)",
            ));
        }
        Ok(index)
    }

    fn open_parts(&self, size: u64, split: Option<u64>) -> Result<Vec<Part>, Error> {
        let paths: Vec<(PathBuf, u64, u64)> = match split {
            None => vec![(self.path.clone(), 0, size)],
            Some(most) => {
                let count = size.div_ceil(most);
                let part = |number: u64| {
                    let start = number * most;
                    let name = usize::try_from(number + 1).unwrap_or(usize::MAX);
                    (file::part(&self.path, name), start, most.min(size - start))
                };
                (0..count).map(part).collect()
            }
        };
        let open = |(path, start, size): (PathBuf, u64, u64)| {
            let partial = file::partial(&path);
            let mut options = OpenOptions::new();
            let file = options
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&partial);
            let file = file.map_err(|error| Error::file("write", &partial, error))?;
            if file.try_lock().is_err() {
                let what = format!("another process writes {}", partial.display());
                return Err(Error::archive(&path.display().to_string(), what));
            }
            Ok(Part {
                partial,
                path,
                start,
                size,
                file,
            })
        };
        paths.into_iter().map(open).collect()
    }

    /// Ends the archive: everything is on the disk, under its own name. Returns the files.
    ///
    /// # Errors
    /// When something is missing, or a file cannot be written.
    pub fn finish(&self) -> Result<Vec<PathBuf>, Error> {
        let begun = self.begun()?;
        let missing = {
            let complete = begun.complete();
            let blobs = begun.shape.index.members.iter().enumerate();
            let blobs = blobs.filter(|(number, _)| !begun.shape.known.contains_key(number));
            blobs
                .filter(|(number, _)| !complete.contains(number))
                .count()
        };
        if missing > 0 {
            return Err(Error::archive(
                &self.shown(),
                format!("{missing} blobs of it were not written"),
            ));
        }
        for part in &begun.parts {
            let synced = part.file.sync_all();
            synced.map_err(|error| Error::file("write", &part.partial, error))?;
        }
        for part in &begun.parts {
            let renamed = std::fs::rename(&part.partial, &part.path);
            renamed.map_err(|error| Error::file("write", &part.path, error))?;
        }
        self.remove_others(&begun.parts);
        Ok(begun.parts.iter().map(|part| part.path.clone()).collect())
    }

    /// Removes what an earlier archive of the name left: a reader would take it for parts of this one.
    fn remove_others(&self, parts: &[Part]) {
        let all = std::iter::once(self.path.clone());
        let all = all.chain(
            file::part_numbers(&self.path)
                .into_iter()
                .map(|number| file::part(&self.path, number)),
        );
        for other in all.filter(|path| !parts.iter().any(|part| part.path == *path)) {
            if std::fs::remove_file(&other).is_ok() {
                tracing::info!("removed {}, a part of an earlier archive", other.display());
            }
        }
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    fn begun(&self) -> Result<&Arc<OpenArchive>, Error> {
        let begun = self.begun.get();
        begun.ok_or_else(|| Error::archive(&self.shown(), "it is not begun (please report this)"))
    }

    fn number(&self, digest: &Digest) -> Option<usize> {
        self.begun.get()?.shape.by_digest.get(digest).copied()
    }

    /// Whether a blob needs not be written: it is there, or it is left out on purpose.
    async fn has(&self, digest: &Digest) -> Result<bool, Error> {
        let Some(begun) = self.begun.get() else {
            return Ok(false);
        };
        let Some(number) = begun.shape.by_digest.get(digest).copied() else {
            // It is left out on purpose: an earlier archive has it, or it is not among the contents.
            return Ok(true);
        };
        if begun.shape.known.contains_key(&number) || begun.complete().contains(&number) {
            return Ok(true);
        }
        let begun = Arc::clone(begun);
        blocking(move || begun.check(number)).await
    }

    async fn write(&self, digest: &Digest, mut blob: Blob) -> Result<(), Error> {
        let begun = Arc::clone(self.begun()?);
        let number = self.number(digest);
        let number = number.ok_or_else(|| {
            Error::archive(
                &self.shown(),
                format!("{digest} has no place in it: the source changed meanwhile, run again"),
            )
        })?;
        let (pieces, mut to_write) = mpsc::channel::<Bytes>(AHEAD);
        let writing = tokio::task::spawn_blocking(move || {
            let member = &begun.shape.index.members[number];
            let mut pen = Pen::new(&begun, member.offset);
            while let Some(piece) = to_write.blocking_recv() {
                pen.write(&piece)?;
            }
            if pen.at != member.offset + member.size {
                return Ok(None);
            }
            Ok::<_, Error>(Some(number))
        });
        let mut failed = None;
        while let Some(piece) = blob.next().await {
            match piece {
                Ok(piece) => {
                    if pieces.send(piece).await.is_err() {
                        // Its own error says why.
                        break;
                    }
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        drop(pieces);
        let written = join(writing.await)?;
        if let Some(error) = failed {
            return Err(error);
        }
        let number = written.ok_or(Error::Interrupted)?;
        let begun = Arc::clone(self.begun()?);
        blocking(move || begun.seal(number)).await
    }
}

impl OpenArchive {
    /// Writes everything that is known. Where the files hold another archive, they are emptied first.
    fn prepare(&mut self) -> Result<(), Error> {
        let front = &self.shape.front;
        let mut found = vec![0; front.len()];
        let is_same = self.read(0, &mut found).is_ok() && found == *front;
        for part in &self.parts {
            let failed = |error| Error::file("write", &part.partial, error);
            let size = part.file.metadata().map_err(failed)?.len();
            if !is_same {
                part.file.set_len(0).map_err(failed)?;
            }
            if !is_same || size != part.size {
                part.file.set_len(part.size).map_err(failed)?;
            }
        }
        // The front comes last: with it, the rest is taken for this archive's.
        for (number, content) in &self.shape.known {
            let member = &self.shape.index.members[*number];
            let mut pen = Pen::new(self, member.begin());
            pen.write(&member.header())?;
            pen.write(content)?;
        }
        Pen::new(self, 0).write(front)
    }

    /// Whether an interrupted run has written a member, whole.
    fn check(&self, number: usize) -> Result<bool, Error> {
        let member = &self.shape.index.members[number];
        let header = member.header();
        let mut found = vec![0; header.len()];
        self.read(member.begin(), &mut found)?;
        if found != header || !self.is_right(member)? {
            return Ok(false);
        }
        self.complete().insert(number);
        Ok(true)
    }

    fn is_right(&self, member: &Member) -> Result<bool, Error> {
        let (mut hasher, mut at, mut left) = (member.digest.hasher(), member.offset, member.size);
        let mut piece = vec![0; PIECE];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            self.read(at, &mut piece[..most])?;
            hasher.update(&piece[..most]);
            at += most as u64;
            left -= most as u64;
        }
        Ok(hasher.finish() == member.digest)
    }

    /// Writes the header of a member whose content is there: a run that was killed tells by it what is
    /// complete.
    fn seal(&self, number: usize) -> Result<(), Error> {
        let member = &self.shape.index.members[number];
        Pen::new(self, member.begin()).write(&member.header())?;
        self.complete().insert(number);
        Ok(())
    }

    fn read(&self, from: u64, mut into: &mut [u8]) -> Result<(), Error> {
        let mut at = from;
        while !into.is_empty() {
            let part = self.part_at(at)?;
            let most = usize::try_from(part.start + part.size - at).unwrap_or(usize::MAX);
            let (now, rest) = into.split_at_mut(most.min(into.len()));
            let mut read = || {
                let mut file = File::open(&part.partial)?;
                file.seek(SeekFrom::Start(at - part.start))?;
                file.read_exact(now)
            };
            read().map_err(|error| Error::file("read", &part.partial, error))?;
            at += now.len() as u64;
            into = rest;
        }
        Ok(())
    }

    fn part_at(&self, at: u64) -> Result<&Part, Error> {
        let found = self.parts.iter().find(|part| at < part.start + part.size);
        found.ok_or_else(|| {
            let name = self
                .parts
                .first()
                .map(|part| part.path.display().to_string());
            Error::archive(
                &name.unwrap_or_default(),
                "it is too short for its content (please report this)",
            )
        })
    }

    fn complete(&self) -> std::sync::MutexGuard<'_, HashSet<usize>> {
        self.complete.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes on from a place.
struct Pen<'a> {
    begun: &'a OpenArchive,
    at: u64,
    open: Option<(File, &'a Part)>,
}

impl<'a> Pen<'a> {
    fn new(begun: &'a OpenArchive, at: u64) -> Self {
        Self {
            begun,
            at,
            open: None,
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let part = self.begun.part_at(self.at)?;
            let failed = |error: io::Error| Error::file("write", &part.partial, error);
            let is_other = |(_, open): &(File, &Part)| open.start != part.start;
            if self.open.as_ref().is_none_or(is_other) {
                let mut file = OpenOptions::new()
                    .write(true)
                    .open(&part.partial)
                    .map_err(failed)?;
                let from = SeekFrom::Start(self.at - part.start);
                file.seek(from).map_err(failed)?;
                self.open = Some((file, part));
            }
            let Some((file, _)) = &mut self.open else {
                return Ok(());
            };
            let most = usize::try_from(part.start + part.size - self.at).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(most.min(bytes.len()));
            file.write_all(now).map_err(failed)?;
            self.at += now.len() as u64;
            bytes = rest;
        }
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    join(tokio::task::spawn_blocking(work).await)
}

fn join<T>(ended: Result<Result<T, Error>, tokio::task::JoinError>) -> Result<T, Error> {
    match ended {
        Ok(answer) => answer,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl Lookup for Writer {
    fn find<'a>(&'a self, _: &'a [TagOrDigest]) -> Answer<'a, HashMap<TagOrDigest, Digest>> {
        // Every artifact is looked at whole, or it would be missing in the index.
        future::ready(Ok(HashMap::new())).boxed()
    }

    fn known_manifests<'a>(
        &'a self,
        _: &'a [Digest],
        _: Option<&'a Digest>,
    ) -> Answer<'a, HashSet<Digest>> {
        future::ready(Ok(HashSet::new())).boxed()
    }

    fn known_blobs<'a>(&'a self, _: &'a [Digest]) -> Answer<'a, Option<HashSet<Digest>>> {
        future::ready(Ok(None)).boxed()
    }

    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor) -> Answer<'a, bool> {
        self.has(&descriptor.digest).boxed()
    }

    fn is_immutable<'a>(&'a self, _: &'a str) -> Answer<'a, bool> {
        future::ready(Ok(false)).boxed()
    }

    fn mounting(&self) -> Answer<'_, Mounting> {
        // An archive is one namespace.
        future::ready(Ok(Mounting::AfterUpload)).boxed()
    }
}

impl Target for Writer {
    fn info(&self) -> TargetInfo {
        TargetInfo {
            namespace: self.shown(),
            mount_scope: self.shown(),
            capabilities: Capabilities {
                digest_check: DigestCheck::No,
                ..Capabilities::default()
            },
            writes: Arc::clone(&self.writes),
        }
    }

    fn prepare(&self) -> Answer<'_, ()> {
        future::ready(self.begun().map(drop)).boxed()
    }

    fn begin<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        _: Option<&'a str>,
    ) -> Answer<'a, UploadStart> {
        async move {
            Ok(if self.has(&descriptor.digest).await? {
                UploadStart::Exists
            } else {
                UploadStart::Session(UploadSession(None))
            })
        }
        .boxed()
    }

    fn finish<'a>(
        &'a self,
        _: UploadSession,
        descriptor: &'a Descriptor,
        blob: Blob,
    ) -> Answer<'a, ()> {
        self.write(&descriptor.digest, blob).boxed()
    }

    fn put_manifest<'a>(
        &'a self,
        _: &'a TagOrDigest,
        manifest: &'a Manifest,
    ) -> Answer<'a, SubjectSupport> {
        let support = if manifest.subject.is_some() {
            SubjectSupport::Listed
        } else {
            SubjectSupport::Ignored
        };
        // Those that belong to the contents were written when the archive was begun.
        future::ready(Ok(support)).boxed()
    }

    fn add_referrers<'a>(&'a self, _: &'a Digest, _: &'a [Descriptor]) -> Answer<'a, ()> {
        // They are in the index already.
        future::ready(Ok(())).boxed()
    }
}
