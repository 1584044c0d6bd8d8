//! An archive that is written: content comes in any order, and each has its place.

mod open_archive;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryFutureExt, future};
use tokio::sync::mpsc;

use crate::http::AimdLimit;
use crate::manifest::{Descriptor, Manifest};
use crate::reference::Digest;
use crate::store::on_disk::{self, ready};
use crate::store::{
    Answer, Blob, Error, Lookup, Mounting, SubjectSupport, TagOrDigest, Target, TargetInfo,
    UploadSession, UploadStart,
};

use super::contents::Contents;
use super::file;
use super::index::Index;
use open_archive::{OpenArchive, Part, Pen};

/// Blobs that are written at once.
const AT_ONCE: usize = 16;

/// Pieces of a blob that wait to be written.
const AHEAD: usize = 4;

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
        let begun = OpenArchive::new(&self.path, shape, split)?;
        if self.begun.set(Arc::new(begun)).is_err() {
            return Err(Error::archive(
                &self.shown(),
                "it is begun twice (please report this)",
            ));
        }
        Ok(index)
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
        begun.parts.iter().try_for_each(Part::sync)?;
        begun.parts.iter().try_for_each(Part::publish)?;
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
        ready(HashMap::new())
    }

    fn known_manifests<'a>(
        &'a self,
        _: &'a [Digest],
        _: Option<&'a Digest>,
    ) -> Answer<'a, HashSet<Digest>> {
        ready(HashSet::new())
    }

    fn known_blobs<'a>(&'a self, _: &'a [Digest]) -> Answer<'a, Option<HashSet<Digest>>> {
        ready(None)
    }

    fn has_blob<'a>(&'a self, descriptor: &'a Descriptor) -> Answer<'a, bool> {
        self.has(&descriptor.digest).boxed()
    }

    fn is_immutable<'a>(&'a self, _: &'a str) -> Answer<'a, bool> {
        ready(false)
    }

    fn mounting(&self) -> Answer<'_, Mounting> {
        // An archive is one namespace.
        ready(Mounting::AfterUpload)
    }
}

impl Target for Writer {
    fn info(&self) -> TargetInfo {
        on_disk::info(self.shown(), &self.writes)
    }

    fn prepare(&self) -> Answer<'_, ()> {
        future::ready(self.begun().map(drop)).boxed()
    }

    fn begin<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        _: Option<&'a str>,
    ) -> Answer<'a, UploadStart> {
        let has = self.has(&descriptor.digest);
        has.map_ok(on_disk::upload_start).boxed()
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
        // Those that belong to the contents were written when the archive was begun.
        ready(on_disk::subject_support(manifest))
    }

    fn add_referrers<'a>(&'a self, _: &'a Digest, _: &'a [Descriptor]) -> Answer<'a, ()> {
        // They are in the index already.
        ready(())
    }
}
