//! An archive on a disk, in one file or in parts.

use std::path::{Path, PathBuf};

use bytes::BytesMut;
use futures_util::{FutureExt, StreamExt, future, stream};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::store::{Answer, Blob, Error};

use super::file;
use super::reader::Ranges;

/// How much of a file is read at once, in bytes.
const PIECE: u64 = 512 * 1024;

/// An archive on a disk.
#[derive(Debug, Clone)]
pub struct Files {
    shown: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    path: PathBuf,
    /// Where it begins in the archive.
    start: u64,
    size: u64,
}

impl Files {
    /// Opens `path`, or the parts `path.001` and so on; the path of the first part will do too.
    ///
    /// # Errors
    /// When there is none, or a part is missing between others.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let shown = path.display().to_string();
        let whole = path
            .to_str()
            .and_then(|text| text.strip_suffix(".001"))
            .map(Path::new);
        let stem = whole.filter(|stem| !stem.is_file()).unwrap_or(path);
        if path.is_file() && stem == path {
            return Self::of(shown, vec![path.to_owned()]);
        }
        let numbers = file::part_numbers(stem);
        let Some(last) = numbers.last().copied() else {
            let error = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(Error::file("open", path, error));
        };
        if let Some(missing) = (1..last).find(|number| !numbers.contains(number)) {
            let part = file::part(stem, missing);
            return Err(Error::archive(
                &shown,
                format!("the part {} is missing", part.display()),
            ));
        }
        Self::of(
            shown,
            (1..=last).map(|number| file::part(stem, number)).collect(),
        )
    }

    fn of(shown: String, paths: Vec<PathBuf>) -> Result<Self, Error> {
        let (mut parts, mut start) = (Vec::new(), 0);
        for path in paths {
            let size = std::fs::metadata(&path)
                .map_err(|error| Error::file("open", &path, error))?
                .len();
            parts.push(Part { path, start, size });
            start += size;
        }
        Ok(Self { shown, parts })
    }

    fn size(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.start + part.size)
    }

    /// The part that has a byte.
    fn part_at(&self, at: u64) -> Option<&Part> {
        let has_it = |part: &&Part| at >= part.start && at < part.start + part.size;
        self.parts.iter().find(has_it)
    }
}

/// A read in progress.
struct Reading {
    files: Files,
    open: Option<(tokio::fs::File, PathBuf, u64)>,
    at: u64,
    left: u64,
}

impl Reading {
    /// The part that has the next byte, from that byte on.
    async fn open_part(&self) -> Result<(tokio::fs::File, PathBuf, u64), Error> {
        let part = self.files.part_at(self.at).ok_or_else(|| {
            Error::archive(&self.files.shown, format!("it ends at byte {}", self.at))
        })?;
        let failed = |error| Error::file("read", &part.path, error);
        let mut file = tokio::fs::File::open(&part.path).await.map_err(failed)?;
        let from = std::io::SeekFrom::Start(self.at - part.start);
        file.seek(from).await.map_err(failed)?;
        Ok((file, part.path.clone(), part.start + part.size))
    }

    async fn next(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        let is_done = |(_, _, end): &(tokio::fs::File, PathBuf, u64)| self.at >= *end;
        if self.open.as_ref().is_none_or(is_done) {
            self.open = Some(self.open_part().await?);
        }
        let Some((file, path, end)) = &mut self.open else {
            return Ok(None);
        };
        let most = PIECE.min(self.left).min(*end - self.at);
        let mut piece = BytesMut::with_capacity(usize::try_from(most).unwrap_or_default());
        let read = (&mut *file).take(most).read_buf(&mut piece).await;
        let read = read.map_err(|error| Error::file("read", path, error))? as u64;
        if read == 0 {
            let what = format!("{} became shorter while it was read", path.display());
            return Err(Error::archive(&self.files.shown, what));
        }
        self.at += read;
        self.left -= read;
        Ok(Some(piece.freeze()))
    }
}

impl Ranges for Files {
    fn shown(&self) -> String {
        self.shown.clone()
    }

    fn size(&self) -> Answer<'_, u64> {
        future::ready(Ok(self.size())).boxed()
    }

    fn read(&self, from: u64, length: u64) -> Answer<'_, Blob> {
        let reading = Reading {
            files: self.clone(),
            open: None,
            at: from,
            left: length,
        };
        let pieces = stream::try_unfold(reading, |mut reading| async move {
            let piece = reading.next().await?;
            Ok(piece.map(|piece| (piece, reading)))
        });
        future::ready(Ok(pieces.boxed())).boxed()
    }

    fn at_once(&self) -> usize {
        // Reading and hashing one file keeps one processor busy.
        std::thread::available_parallelism().map_or(2, usize::from)
    }
}
