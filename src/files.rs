//! Files that a command reads, each with a bound on its size, and whether those that it writes can be written.

use std::error::Error as _;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::problem::{Problem, Problems};

/// The largest file that is read, in bytes. A report of 10,000 artifacts has about 5 MB.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Reads a file of at most 64 MiB.
///
/// # Errors
/// When it cannot be read, or is larger.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    read_within(path, LARGEST)
}

/// Reads a file of at most so many bytes.
///
/// # Errors
/// When it cannot be read, or is larger.
pub fn read_within(path: &Path, largest: u64) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(cannot)?;
    let mut text = Vec::new();
    file.take(largest + 1)
        .read_to_end(&mut text)
        .map_err(cannot)?;
    if text.len() as u64 > largest {
        return Err(format!("it has more than {largest} bytes"));
    }
    Ok(text)
}

/// The folder that a path is in or would be created in: the nearest one that exists, or the path itself.
///
/// # Errors
/// When something else is in its place, or it cannot be looked at.
pub fn nearest_folder(path: &Path) -> Result<&Path, String> {
    for path in path.ancestors() {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        match path.symlink_metadata() {
            Ok(_) if path.is_dir() => return Ok(path),
            Ok(_) => return Err(format!("{} is not a folder", path.display())),
            // The folder above says whether it can be created, or is a file.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
    }
    Ok(Path::new("."))
}

/// Checks that a folder can be written to, or can be created. Leaves nothing there.
///
/// # Errors
/// When it cannot.
pub fn check_folder(folder: &Path) -> Result<(), String> {
    let nearest = nearest_folder(folder)?;
    let Err(error) = tempfile::tempfile_in(nearest) else {
        return Ok(());
    };
    let why = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    Err(format!("{} cannot be written to: {why}", nearest.display()))
}

/// Checks that a file can be written by its name, before the work for it begins. `flag` names it, if one does. Leaves
/// nothing there.
///
/// # Errors
/// When it is a folder, or its folder does not exist or cannot be written to.
pub fn check_file(file: &Path, flag: Option<&str>) -> Result<(), Problems> {
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let checked = if file.is_dir() {
        Err("it is a folder".to_owned())
    } else {
        match nearest_folder(parent) {
            Ok(nearest) if nearest != parent => Err("its folder does not exist".to_owned()),
            found => found.and_then(check_folder),
        }
    };
    checked.map_err(|why| {
        let problem = Problem::input(file.display().to_string(), why);
        let with = flag.map(|flag| format!(" with {flag}")).unwrap_or_default();
        let remedy = format!("name a file in a folder that exists and can be written to{with}");
        problem.remedy(remedy).into()
    })
}
