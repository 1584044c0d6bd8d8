//! Files that a command reads, each with a bound on its size.

use std::io::Read;
use std::path::Path;

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
