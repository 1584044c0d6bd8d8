//! The files of an archive that is written: what goes where.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::Error;
use crate::store::archive::contents::Shape;
use crate::store::archive::file;
use crate::store::archive::index::Member;

/// How much is read at once to check what an interrupted run has written, in bytes.
const PIECE: usize = 256 * 1024;

/// An archive with its places.
pub(super) struct OpenArchive {
    pub(super) shape: Shape,
    pub(super) parts: Vec<Part>,
    /// The members that are complete.
    complete: Mutex<HashSet<usize>>,
}

/// A file of it.
pub(super) struct Part {
    partial: PathBuf,
    pub(super) path: PathBuf,
    start: u64,
    size: u64,
    /// Locked as long as it is open.
    file: File,
}

impl Part {
    /// The files of an archive of a size, created or as an interrupted run left them.
    fn open_all(path: &Path, size: u64, split: Option<u64>) -> Result<Vec<Self>, Error> {
        let paths: Vec<(PathBuf, u64, u64)> = match split {
            None => vec![(path.to_owned(), 0, size)],
            Some(most) => {
                let count = size.div_ceil(most);
                let part = |number: u64| {
                    let start = number * most;
                    let name = usize::try_from(number + 1).unwrap_or(usize::MAX);
                    (file::part(path, name), start, most.min(size - start))
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
            Ok(Self {
                partial,
                path,
                start,
                size,
                file,
            })
        };
        paths.into_iter().map(open).collect()
    }

    /// Everything is on the disk.
    pub(super) fn sync(&self) -> Result<(), Error> {
        let synced = self.file.sync_all();
        synced.map_err(|error| Error::file("write", &self.partial, error))
    }

    /// Gives it its own name.
    pub(super) fn publish(&self) -> Result<(), Error> {
        let renamed = std::fs::rename(&self.partial, &self.path);
        renamed.map_err(|error| Error::file("write", &self.path, error))
    }
}

impl OpenArchive {
    /// Opens the files and writes everything that is known. Where they hold another archive, they are emptied
    /// first.
    pub(super) fn new(path: &Path, shape: Shape, split: Option<u64>) -> Result<Self, Error> {
        let parts = Part::open_all(path, shape.index.size, split)?;
        let archive = Self {
            shape,
            parts,
            complete: Mutex::default(),
        };
        archive.prepare()?;
        Ok(archive)
    }

    fn prepare(&self) -> Result<(), Error> {
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
    pub(super) fn check(&self, number: usize) -> Result<bool, Error> {
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
    pub(super) fn seal(&self, number: usize) -> Result<(), Error> {
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

    pub(super) fn complete(&self) -> MutexGuard<'_, HashSet<usize>> {
        self.complete.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes on from a place.
pub(super) struct Pen<'a> {
    begun: &'a OpenArchive,
    pub(super) at: u64,
    open: Option<(File, &'a Part)>,
}

impl<'a> Pen<'a> {
    pub(super) fn new(begun: &'a OpenArchive, at: u64) -> Self {
        Self {
            begun,
            at,
            open: None,
        }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
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
