//! Archives.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

const BLOCK: usize = 512;

/// Gzips some bytes.
///
/// # Panics
/// Never: memory can be written.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).expect("memory");
    gzip.finish().expect("memory")
}

/// A chart of version 1.0.0.
///
/// # Panics
/// When an archive cannot hold the name.
#[must_use]
pub fn chart(name: &str, values: &str) -> Vec<u8> {
    let chart = format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\nappVersion: 7.1\n");
    let mut tar = tar::Builder::new(Vec::new());
    for (file, text) in [("Chart.yaml", chart.as_str()), ("values.yaml", values)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{name}/{file}"), text.as_bytes())
            .expect("memory");
    }
    gzip(&tar.into_inner().expect("memory"))
}

/// The same tar file with right checksums, as far as its headers can be found.
///
/// # Panics
/// Never: a block has the length of one.
#[must_use]
pub fn fix_checksums(tar: &[u8]) -> Vec<u8> {
    let mut tar = tar.to_vec();
    let mut at = 0;
    while let Some(block) = tar.get_mut(at..at + BLOCK) {
        if block.iter().all(|byte| *byte == 0) {
            break;
        }
        let header: &mut [u8; BLOCK] = block.try_into().expect("a block");
        let size = {
            let mut fixed = tar::Header::new_old();
            fixed.as_mut_bytes().copy_from_slice(header);
            fixed.set_cksum();
            header.copy_from_slice(fixed.as_bytes());
            fixed.entry_size().unwrap_or(0)
        };
        let blocks = usize::try_from(size).unwrap_or(usize::MAX).div_ceil(BLOCK);
        at = at
            .saturating_add(blocks.saturating_mul(BLOCK))
            .saturating_add(BLOCK);
        if at > tar.len() {
            break;
        }
    }
    tar
}
