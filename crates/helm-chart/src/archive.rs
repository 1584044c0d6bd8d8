//! A chart's archive: what is read from one, with limits against hostile ones, and how a folder
//! becomes one.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Component, Path};

use anyhow::{Context, bail, ensure};
use flate2::read::MultiGzDecoder;

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
const MAX_DEPTH: usize = 8;

/// The deepest nesting of folders in a chart's folder: links can make it endless.
const MAX_FOLDERS: usize = 64;

/// The files of a chart that are read here, by their path below the chart's folder; those of
/// subcharts are below `charts/<name>/`, be they folders or archives.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What one archive and all archives in it may still take.
struct Budget {
    content: u64,
    entries: usize,
}

/// Reads Chart.yaml, values.yaml and requirements.yaml of a chart and its subcharts. Nothing is
/// written anywhere.
///
/// # Errors
/// When it is no gzipped tar, holds what Helm refuses too (absolute paths, `..`, oversized files), or
/// is over the limits.
pub fn read(archive: &[u8]) -> anyhow::Result<Files> {
    let mut budget = Budget {
        content: MAX_CONTENT,
        entries: MAX_ENTRIES,
    };
    let mut files = Files::new();
    unpack(archive, "", MAX_DEPTH, &mut budget, &mut files)?;
    Ok(files)
}

fn unpack(
    archive: &[u8],
    below: &str,
    depth: usize,
    budget: &mut Budget,
    files: &mut Files,
) -> anyhow::Result<()> {
    ensure!(
        depth > 0,
        "its subcharts are nested more than {MAX_DEPTH} deep"
    );
    let limit = budget.content;
    // One byte more than allowed, so that the limit is seen as such and not as a torn archive.
    let mut tar = tar::Archive::new(MultiGzDecoder::new(Cursor::new(archive)).take(limit + 1));
    let mut read = 0;
    for entry in tar.entries().context("it is no gzipped tar archive")? {
        let mut entry = entry.context("it is no whole gzipped tar archive")?;
        ensure!(budget.entries > 0, "it has more than {MAX_ENTRIES} entries");
        budget.entries -= 1;
        // An entry can claim any size.
        read = entry.size().saturating_add(512).saturating_add(read);
        ensure!(
            read <= limit,
            "its content has more than {} MiB",
            MAX_CONTENT >> 20
        );
        let raw = entry.path_bytes();
        let raw = std::str::from_utf8(&raw)
            .context("the name of one of its files is not UTF-8")?
            .replace('\\', "/");
        let Some(path) = inner_path(&raw)? else {
            continue;
        };
        let is_subchart = is_subchart_archive(&path);
        if !is_subchart && !is_read(&path) {
            continue;
        }
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        // Helm sees an empty file where a link stands.
        ensure!(
            kind.is_file(),
            "its file {raw} is a link or something else that is no plain file"
        );
        ensure!(
            entry.size() <= MAX_FILE || is_subchart,
            "its file {raw} has more than {} MiB",
            MAX_FILE >> 20
        );
        let mut content = Vec::new();
        entry
            .read_to_end(&mut content)
            .with_context(|| format!("its file {raw} is torn"))?;
        if is_subchart {
            let name = subchart_folder(&path, &content)
                .with_context(|| format!("in its subchart {raw}"))?;
            budget.content -= read.min(budget.content);
            read = 0;
            unpack(
                &content,
                &format!("{below}{name}/"),
                depth - 1,
                budget,
                files,
            )
            .with_context(|| format!("in its subchart {raw}"))?;
        } else {
            files.insert(format!("{below}{path}"), content);
        }
    }
    budget.content -= read.min(budget.content);
    Ok(())
}

/// The path below the archive's top folder, `None` for what stands beside it.
fn inner_path(raw: &str) -> anyhow::Result<Option<String>> {
    let mut parts = Vec::new();
    for component in Path::new(raw).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                bail!("it holds the path `{raw}`, which leads out of the chart")
            }
        }
    }
    // A drive, which Helm refuses on every system.
    if raw.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && raw[1..].starts_with(":/") {
        bail!("it holds the path `{raw}`, which leads out of the chart")
    }
    Ok((parts.len() > 1).then(|| parts[1..].join("/")))
}

/// `charts/<name>/` in front, any number of times.
fn chart_folder(path: &str) -> (usize, &str) {
    let (mut depth, mut rest) = (0, path);
    while let Some((_, below)) = rest
        .strip_prefix("charts/")
        .and_then(|below| below.split_once('/'))
    {
        (depth, rest) = (depth + 1, below);
    }
    (depth, rest)
}

fn is_read(path: &str) -> bool {
    let (depth, file) = chart_folder(path);
    depth <= MAX_DEPTH && matches!(file, "Chart.yaml" | "values.yaml" | "requirements.yaml")
}

fn is_subchart_archive(path: &str) -> bool {
    let (_, file) = chart_folder(path);
    file.strip_prefix("charts/")
        .is_some_and(|name| !name.contains('/') && is_archive(name))
}

/// Whether a file is an archive by its name, as Helm tells it: in lower case only.
#[must_use]
pub fn is_archive(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, ending)| ending == "tgz")
}

/// Where a packed subchart's files belong: `charts/<its own folder's name>`, as if it were unpacked.
fn subchart_folder(path: &str, archive: &[u8]) -> anyhow::Result<String> {
    let mut tar = tar::Archive::new(MultiGzDecoder::new(Cursor::new(archive)).take(MAX_CONTENT));
    let first = tar.entries()?.next().context("it is empty")??;
    let raw = String::from_utf8_lossy(&first.path_bytes()).replace('\\', "/");
    let top = raw
        .trim_start_matches("./")
        .split('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    ensure!(!top.is_empty() && top != "..", "it has no top folder");
    let (folder, _) = path.rsplit_once('/').unwrap_or((path, ""));
    Ok(format!("{folder}/{top}"))
}

/// Packs a chart's folder as Helm would: its files below `<name>/`, without what `.helmignore`
/// names. The same files give the same bytes.
///
/// # Errors
/// When the folder cannot be read.
pub fn pack(folder: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    let ignore = crate::helmignore::Ignore::read(folder)?;
    let mut packing = Packing {
        ignore,
        files: BTreeMap::new(),
        budget: Budget {
            content: MAX_CONTENT,
            entries: MAX_ENTRIES,
        },
    };
    packing.collect(folder, "", MAX_FOLDERS)?;
    let files = packing.files;
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

/// A chart's folder on its way into an archive.
struct Packing {
    ignore: crate::helmignore::Ignore,
    files: BTreeMap<String, Vec<u8>>,
    budget: Budget,
}

impl Packing {
    fn collect(&mut self, folder: &Path, below: &str, depth: usize) -> anyhow::Result<()> {
        ensure!(
            depth > 0,
            "{} lies more than {MAX_FOLDERS} folders deep in the chart",
            folder.display()
        );
        let reading = || format!("cannot read {}", folder.display());
        for entry in std::fs::read_dir(folder).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            let (name, from) = (entry.file_name(), entry.path());
            let name = name
                .to_str()
                .with_context(|| format!("{} is not UTF-8", from.display()))?;
            let path = format!("{below}{name}");
            let is_dir = from.is_dir();
            if self.ignore.matches(&path, is_dir) {
                continue;
            }
            ensure!(
                self.budget.entries > 0,
                "{} is one of more than {MAX_ENTRIES} files and folders of the chart",
                from.display()
            );
            self.budget.entries -= 1;
            if is_dir {
                self.collect(&from, &format!("{path}/"), depth - 1)?;
            } else {
                let content = read_file(&from, self.budget.content)?;
                self.budget.content -= content.len() as u64;
                self.files.insert(path, content);
            }
        }
        Ok(())
    }
}

/// Reads a file that has `limit` bytes at most.
///
/// # Errors
/// When it cannot be read, or is larger.
pub fn read_file(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let reading = || format!("cannot read {}", path.display());
    let file = std::fs::File::open(path).with_context(reading)?;
    let mut content = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut content)
        .with_context(reading)?;
    ensure!(
        content.len() as u64 <= limit,
        "{} has more than {limit} bytes, which is more than a chart may have",
        path.display()
    );
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tgz(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        for (path, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            // `set_path` refuses what a hostile archive writes.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn only_what_describes_charts_is_read_and_packed_subcharts_are_unpacked() {
        let sub = tgz(&[
            ("sub/Chart.yaml", b"name: sub"),
            ("sub/values.yaml", b"a: 1"),
        ]);
        let archive = tgz(&[
            ("top/Chart.yaml", b"name: top"),
            ("top/templates/values.yaml", b"no"),
            ("top/charts/other/values.yaml", b"b: 1"),
            ("top/charts/sub-1.2.3.tgz", &sub),
        ]);
        let files = read(&archive).unwrap();
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "Chart.yaml",
                "charts/other/values.yaml",
                "charts/sub/Chart.yaml",
                "charts/sub/values.yaml"
            ]
        );
    }

    #[test]
    fn a_path_that_leads_out_is_refused() {
        for path in [
            "../Chart.yaml",
            "/Chart.yaml",
            "top/../../x",
            "top\\..\\..\\x",
        ] {
            let error = read(&tgz(&[(path, b"x")])).unwrap_err();
            assert!(error.to_string().contains("leads out"), "{path}: {error:#}");
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        let zeros = vec![0; 6 * 1024 * 1024];
        let error = read(&tgz(&[("top/values.yaml", &zeros)])).unwrap_err();
        assert!(error.to_string().contains("more than 5 MiB"), "{error:#}");
        let entries: Vec<(&str, &[u8])> = vec![("top/x", &zeros); 18];
        let error = read(&tgz(&entries)).unwrap_err();
        assert!(error.to_string().contains("more than 100 MiB"), "{error:#}");
        let many: Vec<(&str, &[u8])> = vec![("top/x", b""); MAX_ENTRIES + 1];
        let error = read(&tgz(&many)).unwrap_err();
        assert!(error.to_string().contains("entries"), "{error:#}");
    }

    #[test]
    fn junk_is_no_archive() {
        for junk in [&b""[..], b"not an archive", &[0x1f, 0x8b, 8, 0, 0]] {
            assert!(
                read(junk)
                    .and_then(|files| {
                        ensure!(!files.is_empty());
                        Ok(files)
                    })
                    .is_err()
            );
        }
    }
}
