//! The bytes of a tar between the contents of its files. They follow from path and size alone.

use ::tar::{EntryType, Header};

/// What a tar counts in, in bytes.
pub(super) const BLOCK: usize = 512;

/// The same as an offset.
pub(super) const BLOCK_BYTES: u64 = BLOCK as u64;

/// Two empty blocks end a tar.
pub(super) const END: u64 = 2 * BLOCK_BYTES;

/// The longest path that a header holds in one field, in bytes.
const NAME: usize = 100;

/// What stands in front of a file's content. A path that does not fit (a SHA-512) gets an extended header
/// (POSIX.1-2001, "pax"); a size of 8 GiB and more is written in base 256.
pub(super) fn header(path: &str, size: u64) -> Vec<u8> {
    let mut header = Header::new_ustar();
    if header.set_path(path).is_ok() {
        return sealed(header, EntryType::Regular, size).to_vec();
    }
    let record = record("path", path);
    let mut extended = Header::new_ustar();
    let name = format!("pax/{}", &path[path.len().saturating_sub(NAME - 4)..]);
    set_name(&mut extended, &name);
    set_name(&mut header, &path[path.len().saturating_sub(NAME)..]);
    let mut bytes = sealed(extended, EntryType::XHeader, record.len() as u64).to_vec();
    bytes.extend(record);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes.extend(sealed(header, EntryType::Regular, size));
    bytes
}

/// A length with the zeros that fill the last block.
pub(super) fn padded(size: u64) -> u64 {
    size.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES)
}

/// The size of a file by its header, which must be one of ours; `None` where it is not.
pub(super) fn size(header: &[u8], path: &str) -> Option<u64> {
    let bytes = <[u8; BLOCK]>::try_from(header).ok()?;
    let size = Header::from_byte_slice(&bytes).entry_size().ok()?;
    (self::header(path, size) == header).then_some(size)
}

fn sealed(mut header: Header, kind: EntryType, size: u64) -> [u8; BLOCK] {
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}

fn set_name(header: &mut Header, name: &str) {
    let field = &mut header.as_old_mut().name;
    field[..name.len()].copy_from_slice(name.as_bytes());
}

/// A record of an extended header: its own length in front counts itself.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length += 1;
    }
    format!("{length} {key}={value}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn other_readers_of_tar_find_path_and_size() {
        let long = format!("blobs/sha512/{}", "a".repeat(128));
        for (path, size) in [("oci-layout", 0), ("blobs/x", 700), (long.as_str(), 3)] {
            let mut bytes = header(path, size);
            bytes.resize(bytes.len() + usize::try_from(padded(size)).unwrap(), 0);
            bytes.resize(bytes.len() + usize::try_from(END).unwrap(), 0);
            assert_eq!(bytes.len() % BLOCK, 0);
            let mut archive = ::tar::Archive::new(bytes.as_slice());
            let mut entries = archive.entries().unwrap();
            let mut entry = entries.next().unwrap().unwrap();
            assert_eq!(entry.path().unwrap().to_str(), Some(path));
            assert_eq!(entry.size(), size);
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            assert_eq!(content.len() as u64, size);
            assert!(entries.next().is_none());
        }
    }

    #[test]
    fn sizes_beyond_8_gib_are_kept() {
        for size in [0, 8 << 30, 60 << 40] {
            let header = header("blobs/sha256/aa", size);
            assert_eq!(super::size(&header, "blobs/sha256/aa"), Some(size));
            assert_eq!(super::size(&header, "blobs/sha256/ab"), None);
        }
    }
}
