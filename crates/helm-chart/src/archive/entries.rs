//! The entries of a gzipped tar, with the headers that extend others, all within a budget.
//!
//! The tar crate reads long names and pax headers whole into memory, however long they are. Here they
//! are read from its raw entries, so that every byte that is unpacked counts.

use std::cell::Cell;
use std::io::{self, Cursor, Read};
use std::iter;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::{Budget, over_content};

/// The longest name and the longest pax header, in bytes; as in Go's archive/tar
/// (`maxSpecialFileSize`).
const MAX_EXTENSION: u64 = 1024 * 1024;

/// A file, a folder, or something else under a name.
pub(super) struct Entry<'e> {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) kind: EntryType,
    content: &'e mut dyn Read,
}

impl Entry<'_> {
    pub(super) fn is_folder(&self) -> bool {
        self.kind.is_dir() || self.name.ends_with('/')
    }

    /// Its content, which is as large as its header says. Its size has been checked.
    pub(super) fn content(self) -> anyhow::Result<Arc<[u8]>> {
        let mut content: Arc<[u8]> = iter::repeat_n(0, usize::try_from(self.size)?).collect();
        let bytes = Arc::get_mut(&mut content).context("it is shared (please report this)")?;
        self.content
            .read_exact(bytes)
            .with_context(|| format!("its file {} is torn", self.name))?;
        Ok(content)
    }
}

/// What headers before an entry say of it.
#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Shows each entry of an archive, up to its end mark; what follows that is passed over.
pub(super) fn walk(
    archive: &[u8],
    budget: &mut Budget,
    visit: impl FnMut(Entry<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let left = Rc::new(Cell::new(budget.content));
    let unpacked = Metered {
        inner: MultiGzDecoder::new(Cursor::new(archive)),
        left: Rc::clone(&left),
    };
    let walked = walk_unpacked(unpacked, &left, budget, visit);
    budget.content = left.get();
    // Whatever error it led to: the cause is that there is more than may be.
    if left.get() == 0 {
        bail!(over_content());
    }
    walked
}

fn walk_unpacked(
    unpacked: impl Read,
    left: &Cell<u64>,
    budget: &mut Budget,
    mut visit: impl FnMut(Entry<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut tar = tar::Archive::new(unpacked);
    let raw = tar
        .entries()
        .context("it is not a gzipped tar archive")?
        .raw(true);
    let mut extension = Extension::default();
    for entry in raw {
        let mut entry = entry.context("it is not a complete gzipped tar archive")?;
        budget.count_entry()?;
        // An entry can claim any size.
        ensure!(entry.size() <= left.get(), over_content());
        let kind = entry.header().entry_type();
        match kind {
            EntryType::XGlobalHeader => {}
            EntryType::GNULongLink => drop(read_extension(&mut entry)?),
            EntryType::GNULongName => {
                let mut name = read_extension(&mut entry)?;
                name.truncate(
                    name.iter()
                        .position(|byte| *byte == 0)
                        .unwrap_or(name.len()),
                );
                extension.name = Some(name);
            }
            EntryType::XHeader => read_pax(&read_extension(&mut entry)?, &mut extension)?,
            EntryType::GNUSparse => bail!(
                "its file {} is stored as a sparse file, which is not read",
                String::from_utf8_lossy(&entry.path_bytes())
            ),
            _ => {
                let Extension { name, size } = std::mem::take(&mut extension);
                let name = name.unwrap_or_else(|| entry.path_bytes().into_owned());
                let name =
                    String::from_utf8(name).context("the name of one of its files is not UTF-8")?;
                // The crate has decided by the header where the next entry is.
                ensure!(
                    size.is_none_or(|size| size == entry.size()),
                    "its file {name} has two sizes"
                );
                visit(Entry {
                    name,
                    size: entry.size(),
                    kind,
                    content: &mut entry,
                })?;
            }
        }
    }
    Ok(())
}

fn read_extension(entry: &mut tar::Entry<'_, impl Read>) -> anyhow::Result<Vec<u8>> {
    ensure!(
        entry.size() <= MAX_EXTENSION,
        "it holds a file name or a header of more than {} MiB",
        MAX_EXTENSION >> 20
    );
    let mut content = Vec::new();
    entry
        .read_to_end(&mut content)
        .context("it is not a complete gzipped tar archive")?;
    Ok(content)
}

/// The records of a pax header: `<length> <key>=<value>\n`, where the length counts all of it.
fn read_pax(mut records: &[u8], extension: &mut Extension) -> anyhow::Result<()> {
    while !records.is_empty() {
        let broken = "it holds a broken pax header";
        let space = records
            .iter()
            .position(|byte| *byte == b' ')
            .context(broken)?;
        let length = std::str::from_utf8(&records[..space]).ok();
        let length: usize = length.and_then(|text| text.parse().ok()).context(broken)?;
        let record = records.get(space + 1..length).context(broken)?;
        records = &records[length..];
        let record = record.strip_suffix(b"\n").context(broken)?;
        let equals = record
            .iter()
            .position(|byte| *byte == b'=')
            .context(broken)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        match key {
            b"path" => extension.name = (!value.is_empty()).then(|| value.to_vec()),
            b"size" if !value.is_empty() => {
                let size = std::str::from_utf8(value).ok();
                extension.size = Some(size.and_then(|text| text.parse().ok()).context(broken)?);
            }
            key if key.starts_with(b"GNU.sparse.") => {
                bail!("it holds a sparse file, which is not read");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Counts what is read, and fails when it is too much.
struct Metered<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.get().saturating_sub(read as u64);
        self.left.set(left);
        if left == 0 {
            return Err(io::Error::other("the archive has too much content"));
        }
        Ok(read)
    }
}
