//! `index.json` of a layout folder: read once per version, and written for many changes at once, so that
//! neither reading nor writing a name costs more in a folder of many.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::manifest::{Descriptor, Manifest, REF_NAME, media_type};
use crate::reference::Digest;
use crate::store::Error;

use super::partial;

/// After a write, changes are collected for this many times as long as it took: however long the index is,
/// writing it takes at most a fifth of the time.
const COLLECT: u32 = 4;

/// The longest time that changes are collected.
const MAX_COLLECT: Duration = Duration::from_secs(1);

/// The index of a layout folder.
#[derive(Debug)]
pub(super) struct Index {
    dir: PathBuf,
    /// What was read or written last.
    current: Mutex<Option<Current>>,
    /// Changes that wait to be written.
    waiting: Mutex<Vec<Waiting>>,
    /// One write at a time, and none before this moment.
    turn: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Current {
    /// As long as it is open, no other file has its number.
    _open: File,
    stamp: Stamp,
    version: Arc<Version>,
}

/// What tells a version of the file from others.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    #[cfg(unix)]
    file: (u64, u64),
    length: u64,
    modified: Option<std::time::SystemTime>,
}

/// What `index.json` says.
#[derive(Debug, Default, Clone)]
pub(super) struct Version {
    entries: Vec<Entry>,
    /// The first entry of each name.
    names: HashMap<Box<str>, usize>,
    /// The entries about each subject, once they were looked for.
    by_subject: OnceLock<HashMap<Digest, Vec<usize>>>,
}

/// A descriptor, as it stands there.
#[derive(Debug, Clone)]
struct Entry {
    name: Option<Box<str>>,
    digest: Option<Digest>,
    text: Box<str>,
}

/// A descriptor to be written. It comes last and replaces older ones of the same name; without a name, those
/// of the same digest that have none either.
#[derive(Debug)]
pub(super) struct Change(Entry);

#[derive(Debug)]
struct Waiting {
    change: Change,
    written: oneshot::Sender<Result<(), Error>>,
}

#[derive(Deserialize)]
struct Document {
    manifests: Vec<Entry>,
}

impl Index {
    pub(super) fn new(dir: &Path) -> Arc<Self> {
        Arc::new(Self {
            dir: dir.to_owned(),
            current: Mutex::default(),
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    fn path(&self) -> PathBuf {
        self.dir.join("index.json")
    }

    /// What the file says now; nothing where there is none.
    pub(super) fn version(&self) -> Result<Arc<Version>, Error> {
        self.read(&mut self.current())
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, current: &mut Option<Current>) -> Result<Arc<Version>, Error> {
        let path = self.path();
        let failed = |error| Error::file("read", &path, error);
        let found = match std::fs::metadata(&path) {
            Ok(found) => Stamp::of(&found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *current = None;
                return Ok(Arc::default());
            }
            Err(error) => return Err(failed(error)),
        };
        if let Some(current) = current.as_ref().filter(|known| known.stamp == found) {
            return Ok(Arc::clone(&current.version));
        }
        *current = None;
        let mut file = File::open(&path).map_err(failed)?;
        let stamp = file.metadata().map_err(failed)?;
        let mut text = Vec::new();
        io::Read::read_to_end(&mut file, &mut text).map_err(failed)?;
        let document: Document = serde_json::from_slice(&text).map_err(|_| Error::Layout {
            path: path.clone(),
            expected: "the index of an image layout",
        })?;
        let version = Arc::new(Version::of(document.manifests));
        *current = Some(Current {
            _open: file,
            stamp: Stamp::of(&stamp),
            version: Arc::clone(&version),
        });
        Ok(version)
    }

    /// Writes a change; when this returns, the file that has it is on the disk.
    pub(super) async fn write(self: &Arc<Self>, change: Change) -> Result<(), Error> {
        let (written, mut answer) = oneshot::channel();
        self.waiting().push(Waiting { change, written });
        let mut turn = self.turn.lock().await;
        // Who had the turn before has written it, unless that was given up.
        if let Ok(answer) = answer.try_recv() {
            return answer;
        }
        if let Some(begin) = *turn {
            tokio::time::sleep_until(begin).await;
        }
        let started = Instant::now();
        let index = Arc::clone(self);
        let writing = tokio::task::spawn_blocking(move || index.write_waiting());
        let is_whole = writing.await.is_ok();
        let pause = (started.elapsed() * COLLECT).min(MAX_COLLECT);
        *turn = Some(Instant::now() + pause);
        drop(turn);
        match answer.await {
            Ok(answer) if is_whole => answer,
            _ => Err(self.failed("write", io::Error::other("the write broke off"))),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all changes that wait, and answers them.
    fn write_waiting(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        let (changes, answers): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|waiting| (waiting.change, waiting.written))
            .unzip();
        let result = self.write_all(changes);
        for answer in answers {
            // Nothing waits for the answer where the run was stopped.
            let result = result.as_ref().copied();
            drop(answer.send(result.map_err(|error| self.again(error))));
        }
    }

    fn write_all(&self, changes: Vec<Change>) -> Result<(), Error> {
        let _lock = self.lock()?;
        tracing::debug!("writing index.json with {} more names", changes.len());
        let mut current = self.current();
        let mut version = self.read(&mut current)?;
        // The only one that has it changes it in place; where that fails, it is read anew.
        *current = None;
        Arc::make_mut(&mut version).apply(changes);
        let failed = |error| self.failed("write", error);
        let path = self.path();
        let mut partial = partial::create(&self.dir).map_err(failed)?;
        let mut buffered = io::BufWriter::with_capacity(1 << 16, partial.as_file_mut());
        version.print(&mut buffered).map_err(failed)?;
        drop(buffered);
        partial.as_file().sync_data().map_err(failed)?;
        let file = partial
            .persist(&path)
            .map_err(|error| failed(error.error))?;
        let stamp = Stamp::of(&file.metadata().map_err(failed)?);
        *current = Some(Current {
            _open: file,
            stamp,
            version,
        });
        Ok(())
    }

    /// Keeps other processes from changing the index at the same time.
    pub(super) fn lock(&self) -> Result<File, Error> {
        let path = self.dir.join("oci-layout");
        let file = File::open(&path).map_err(|error| Error::file("open", &path, error))?;
        file.lock()
            .map_err(|error| Error::file("lock", &path, error))?;
        Ok(file)
    }

    fn failed(&self, action: &'static str, error: io::Error) -> Error {
        Error::file(action, &self.path(), error)
    }

    /// The same error for another one whose change was in the same write.
    fn again(&self, error: &Error) -> Error {
        match error {
            Error::Layout { path, expected } => Error::Layout {
                path: path.clone(),
                expected,
            },
            Error::File {
                action,
                path,
                source,
            } => {
                let copy = source
                    .raw_os_error()
                    .map_or_else(|| source.kind().into(), io::Error::from_raw_os_error);
                Error::file(action, path, copy)
            }
            other => self.failed("write", io::Error::other(other.to_string())),
        }
    }
}

impl Stamp {
    fn of(file: &std::fs::Metadata) -> Self {
        Self {
            #[cfg(unix)]
            file: {
                use std::os::unix::fs::MetadataExt;
                (file.dev(), file.ino())
            },
            length: file.len(),
            modified: file.modified().ok(),
        }
    }
}

impl Version {
    fn of(entries: Vec<Entry>) -> Self {
        let mut names = HashMap::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            if let Some(name) = &entry.name {
                names.entry(name.clone()).or_insert(index);
            }
        }
        Self {
            entries,
            names,
            by_subject: OnceLock::new(),
        }
    }

    /// The names, in the order of the entries.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter_map(|entry| entry.name.as_deref())
    }

    /// What a name names.
    pub(super) fn find(&self, name: &str) -> Option<&Digest> {
        self.entries[*self.names.get(name)?].digest.as_ref()
    }

    /// What is listed about a manifest; `subject_of` says what a manifest is about.
    pub(super) fn referrers<E>(
        &self,
        subject: &Digest,
        subject_of: impl Fn(&Digest) -> Result<Option<Digest>, E>,
    ) -> Result<Vec<Descriptor>, E> {
        let by_subject = if let Some(known) = self.by_subject.get() {
            known
        } else {
            let mut found: HashMap<Digest, Vec<usize>> = HashMap::new();
            for (index, entry) in self.entries.iter().enumerate() {
                let Some(digest) = &entry.digest else {
                    continue;
                };
                if let Some(subject) = subject_of(digest)? {
                    found.entry(subject).or_default().push(index);
                }
            }
            self.by_subject.get_or_init(|| found)
        };
        let listed = by_subject.get(subject).into_iter().flatten();
        let listed =
            listed.filter_map(|index| serde_json::from_str(&self.entries[*index].text).ok());
        Ok(listed.collect())
    }

    fn apply(&mut self, changes: Vec<Change>) {
        let mut entries = std::mem::take(&mut self.entries);
        let mut last = Vec::with_capacity(changes.len());
        // Of two changes of one name, the later one counts.
        let (mut names, mut digests) = (HashSet::new(), HashSet::new());
        for Change(entry) in changes.into_iter().rev() {
            let is_new = match (&entry.name, &entry.digest) {
                (Some(name), _) => names.insert(name.clone()),
                (None, Some(digest)) => digests.insert(digest.clone()),
                (None, None) => true,
            };
            if is_new {
                last.push(entry);
            }
        }
        entries.retain(|entry| match (&entry.name, &entry.digest) {
            (Some(name), _) => !names.contains(name),
            (None, Some(digest)) => !digests.contains(digest),
            (None, None) => true,
        });
        entries.extend(last.into_iter().rev());
        *self = Self::of(entries);
    }

    fn print(&self, to: &mut impl io::Write) -> io::Result<()> {
        let kind = media_type::OCI_INDEX;
        write!(
            to,
            r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":["#
        )?;
        for (index, entry) in self.entries.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(to, "{comma}{}", entry.text)?;
        }
        to.write_all(b"]}")?;
        to.flush()
    }
}

impl Change {
    pub(super) fn new(name: Option<&str>, manifest: &Manifest) -> Self {
        let mut entry = json!({
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "size": manifest.bytes.len(),
        });
        if let Some(name) = name {
            entry["annotations"] = json!({REF_NAME: name});
        }
        Self(entry.into())
    }
}

impl From<Value> for Entry {
    fn from(value: Value) -> Self {
        let name = || value.get("annotations")?.get(REF_NAME)?.as_str();
        Self {
            name: name().map(Into::into),
            digest: value
                .get("digest")
                .and_then(|digest| digest.as_str()?.parse().ok()),
            text: value.to_string().into(),
        }
    }
}

/// One at a time: all of them as values are several times as large.
impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Value::deserialize(from).map(Into::into)
    }
}
