//! A chart's files: read from an archive or a folder, with limits against hostile ones, and how a
//! folder becomes an archive.

mod entries;
mod folder;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};

/// The largest archive that is fetched, in bytes. Charts live in cluster secrets of 1 MiB; the
/// largest public ones have some hundred kB.
pub const MAX_ARCHIVE: u64 = 32 * 1024 * 1024;

/// The largest content of an archive in all, in bytes; Helm's own limit
/// (`MaxDecompressedChartSize` in its `pkg/chart/loader/archive`).
const MAX_CONTENT: u64 = 100 * 1024 * 1024;

/// The largest single file, in bytes; Helm's `MaxDecompressedFileSize`.
const MAX_FILE: u64 = 5 * 1024 * 1024;

/// The most entries of an archive.
const MAX_ENTRIES: usize = 20_000;

/// The deepest nesting of subcharts.
pub(crate) const MAX_DEPTH: usize = 8;

/// A file of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path below the chart's folder, with `/` between the parts.
    pub name: String,
    /// Its content, without a byte order mark.
    pub data: Arc<[u8]>,
}

/// What of a chart is kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Chart.yaml, requirements.yaml and values.yaml, also of subcharts: enough for planning.
    Description,
    /// All files: what rendering needs.
    Everything,
}

/// What a chart and all archives in it may still take.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Bytes, unpacked.
    content: u64,
    /// Files, folders and whatever else is in an archive.
    entries: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            content: MAX_CONTENT,
            entries: MAX_ENTRIES,
        }
    }
}

impl Budget {
    fn count_entry(&mut self) -> anyhow::Result<()> {
        ensure!(self.entries > 0, "it has more than {MAX_ENTRIES} entries");
        self.entries -= 1;
        Ok(())
    }
}

fn over_content() -> anyhow::Error {
    anyhow::anyhow!("its content has more than {} MiB", MAX_CONTENT >> 20)
}

/// Reads the files of an archive, in its order; archives in it stay packed. Nothing is written
/// anywhere. As Helm does, the first part of each path is dropped, whatever it is. Unlike Helm this
/// passes over files beside the top folder and a `./` in front.
pub(crate) fn read(archive: &[u8], keep: Keep, budget: &mut Budget) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    entries::walk(archive, budget, |entry| {
        let Some(name) = inner_path(&entry.name)? else {
            return Ok(());
        };
        let role = role(&name);
        if entry.is_folder() || (role == Role::Other && keep == Keep::Description) {
            return Ok(());
        }
        let limit = match role {
            Role::Subchart => MAX_ARCHIVE,
            Role::Description | Role::Other => MAX_FILE,
        };
        ensure!(
            entry.size <= limit,
            "its file {} has more than {} MiB",
            entry.name,
            limit >> 20
        );
        // Helm sees an empty file where a link stands.
        ensure!(
            role == Role::Other || is_plain(entry.kind),
            "its file {} is a link or something else that is not a plain file",
            entry.name
        );
        let data = entry.content()?;
        files.push(File::new(name, data));
        Ok(())
    })?;
    Ok(files)
}

fn is_plain(kind: tar::EntryType) -> bool {
    kind.is_file() || kind.is_contiguous()
}

/// Reads the files of a chart's folder, sorted by path, without what `.helmignore` names.
pub(crate) fn read_folder(folder: &Path) -> anyhow::Result<Vec<File>> {
    let files = folder::collect(folder)?;
    Ok(files
        .into_iter()
        .map(|(name, data)| File::new(name, data.into()))
        .collect())
}

impl File {
    fn new(name: String, data: Arc<[u8]>) -> Self {
        let data = match data.strip_prefix(b"\xEF\xBB\xBF") {
            Some(rest) => rest.into(),
            None => data,
        };
        Self { name, data }
    }

    /// The content as text.
    pub(crate) fn text(&self) -> anyhow::Result<&str> {
        std::str::from_utf8(&self.data).with_context(|| format!("its {} is not UTF-8", self.name))
    }
}

/// The path below the archive's top folder, `None` for what stands beside it.
fn inner_path(raw: &str) -> anyhow::Result<Option<String>> {
    let leads_out = || anyhow::anyhow!("it holds the path `{raw}`, which leads out of the chart");
    let path = raw.replace('\\', "/");
    let mut path = path.as_str();
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.trim_start_matches('/');
    }
    let Some((top, inner)) = path.split_once('/') else {
        return if path == ".." {
            Err(leads_out())
        } else {
            Ok(None)
        };
    };
    if top.is_empty() || top == ".." {
        bail!(leads_out());
    }
    let mut parts = Vec::new();
    for part in inner.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(leads_out)?),
            part => parts.push(part),
        }
    }
    // A drive, which Helm refuses on every system.
    let is_drive =
        |part: &str| matches!(part.as_bytes(), [letter, b':'] if letter.is_ascii_alphabetic());
    if is_drive(top) || parts.first().is_some_and(|part| is_drive(part)) {
        bail!(leads_out());
    }
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It says what a chart is.
    Description,
    /// A packed subchart.
    Subchart,
    Other,
}

fn role(path: &str) -> Role {
    let mut file = path;
    // `charts/<name>/` in front, any number of times.
    while let Some((name, below)) = file
        .strip_prefix("charts/")
        .and_then(|below| below.split_once('/'))
    {
        if name.starts_with(['_', '.']) {
            return Role::Other;
        }
        file = below;
    }
    match file.strip_prefix("charts/") {
        Some(name) if is_archive(name) && !name.starts_with(['_', '.']) => Role::Subchart,
        None if matches!(file, "Chart.yaml" | "values.yaml" | "requirements.yaml") => {
            Role::Description
        }
        _ => Role::Other,
    }
}

/// Whether a file is an archive by its name, as Helm tells it: in lower case only.
#[must_use]
pub fn is_archive(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, ending)| ending == "tgz")
}

/// Packs a chart's folder as Helm would: its files below `<name>/`, without what `.helmignore`
/// names. The same files give the same bytes.
///
/// # Errors
/// When the folder cannot be read, or `.helmignore` has a pattern that Helm refuses.
pub fn pack(folder: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    let files = folder::collect(folder)?;
    let gzip = flate2::GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), flate2::Compression::default());
    let mut tar = tar::Builder::new(gzip);
    // Helm's own order: what describes the chart first, so that a reader finds it soon.
    let mut order: Vec<&String> = files.keys().collect();
    order.sort_by_key(|path| (*path != "Chart.yaml", *path != "values.yaml", path.as_str()));
    for path in order {
        let content = &files[path];
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        tar.append_data(&mut header, format!("{name}/{path}"), content.as_slice())?;
    }
    Ok(tar.into_inner()?.finish()?)
}

pub use folder::read_file;

#[cfg(test)]
mod tests;
