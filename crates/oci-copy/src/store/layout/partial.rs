//! Files that take another one's place when they are whole, and what killed runs left of them.

use std::error::Error as _;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::store::Error;

/// What their names begin with; letters and digits at random follow.
const PREFIX: &str = ".partial-";

/// How many follow.
const RANDOM: usize = 6;

/// A file that takes another one's place when it is whole, as readable as any file.
pub(super) fn create(folder: &Path) -> io::Result<NamedTempFile> {
    let mut partial = tempfile::Builder::new();
    partial.prefix(PREFIX).rand_bytes(RANDOM);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        partial.permissions(std::fs::Permissions::from_mode(0o666));
    }
    partial.tempfile_in(folder).map_err(without_path)
}

/// What the system says: the name of a temporary file means nothing to its user.
fn without_path(error: io::Error) -> io::Error {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    let code = cause.and_then(io::Error::raw_os_error);
    code.map_or(error, io::Error::from_raw_os_error)
}

/// The same, locked as long as it is open: [`sweep`] leaves it alone. No sweep must go on meanwhile.
pub(super) fn create_locked(folder: &Path) -> io::Result<NamedTempFile> {
    let partial = create(folder)?;
    partial.as_file().lock()?;
    Ok(partial)
}

/// Writes a file so that a reader sees the old one or the new one, whole.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let partial = create(folder.unwrap_or(Path::new(".")));
    write(partial, path, content)
}

/// Writes a file by way of another one.
pub(super) fn write(
    partial: io::Result<NamedTempFile>,
    path: &Path,
    content: &[u8],
) -> Result<(), Error> {
    let failed = |error: io::Error| Error::file("write", path, error);
    let mut partial = partial.map_err(failed)?;
    partial.write_all(content).map_err(failed)?;
    partial.as_file().sync_data().map_err(failed)?;
    partial.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Removes what killed runs left in a folder: files with our names that no process holds. What cannot be
/// removed stays.
pub(super) fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !is_file || !entry.file_name().to_str().is_some_and(is_ours) {
            continue;
        }
        let path = entry.path();
        let is_left = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if is_left && std::fs::remove_file(&path).is_ok() {
            tracing::debug!(
                "removed {}, which a run left that was killed",
                path.display()
            );
        }
    }
}

fn is_ours(name: &str) -> bool {
    let random = name.strip_prefix(PREFIX);
    random.is_some_and(|random| {
        random.len() == RANDOM && random.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_files_that_no_process_holds_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let kept = [
            ".partial",
            ".partial-short",
            ".partial-toolong",
            ".partial-a.b_cd",
            "x.partial-abcdef",
        ];
        for name in kept {
            std::fs::write(path(name), "x").unwrap();
        }
        std::fs::create_dir(path(".partial-folder")).unwrap();
        std::fs::create_dir(path(".partial-abcdef")).unwrap();
        let held = create_locked(folder.path()).unwrap();
        let left = create(folder.path()).unwrap().into_temp_path();
        sweep(folder.path());
        assert!(!left.exists() && held.path().exists());
        assert!(kept.iter().all(|name| path(name).exists()));
        assert!(path(".partial-folder").exists() && path(".partial-abcdef").exists());
    }
}
