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
        read += 512 + entry.size();
        ensure!(
            read <= limit,
            "its content has more than {} MiB",
            MAX_CONTENT >> 20
        );
        let raw = entry.path_bytes();
        let raw = std::str::from_utf8(&raw)
            .context("the name of one of its files is not UTF-8")?
            .replace('\\', "/");
        let path = inner_path(&raw)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let Some(path) = path else { continue };
        let is_subchart = is_subchart_archive(&path);
        if !is_subchart && !is_read(&path) {
            continue;
        }
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
pub(crate) fn is_archive(name: &str) -> bool {
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
    let ignore = super::path::Ignore::read(folder)?;
    let mut files = BTreeMap::new();
    collect(folder, "", &ignore, &mut files)?;
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

fn collect(
    folder: &Path,
    below: &str,
    ignore: &super::path::Ignore,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> anyhow::Result<()> {
    let reading = || format!("cannot read {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let name = entry.file_name();
        let path = format!(
            "{below}{}",
            name.to_str()
                .with_context(|| format!("{} is not UTF-8", entry.path().display()))?
        );
        let is_dir = entry.path().is_dir();
        if ignore.matches(&path, is_dir) {
            continue;
        }
        if is_dir {
            collect(&entry.path(), &format!("{path}/"), ignore, files)?;
        } else {
            let content = std::fs::read(entry.path())
                .with_context(|| format!("cannot read {}", entry.path().display()))?;
            ensure!(
                files.len() < MAX_ENTRIES,
                "{} holds more than {MAX_ENTRIES} files",
                folder.display()
            );
            files.insert(path, content);
        }
    }
    Ok(())
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
