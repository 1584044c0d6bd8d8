//! The names of an archive's files on a disk.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The `number`th part of a split archive, counted from 1: `bundle.tar.001`. `cat bundle.tar.*` makes the
/// archive of them.
pub(super) fn part(path: &Path, number: usize) -> PathBuf {
    with_end(path, &format!(".{number:03}"))
}

/// The file that becomes `path` when it is complete.
pub(super) fn partial(path: &Path) -> PathBuf {
    with_end(path, ".partial")
}

/// The numbers of the parts that are there, in order.
pub(super) fn part_numbers(path: &Path) -> Vec<usize> {
    let (Some(folder), Some(name)) = (
        path.parent(),
        path.file_name().and_then(|name| name.to_str()),
    ) else {
        return Vec::new();
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| {
        let file = entry.file_name();
        let end = file.to_str()?.strip_prefix(name)?.strip_prefix('.')?;
        let is_number = end.len() >= 3 && end.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| end.parse().ok())?
    });
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}
