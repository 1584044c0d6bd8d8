//! The kept results of an output folder, where there is no bucket: `replication_results/NAME/` with a result and its
//! proof under the names that they had.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;

use crate::document::{MAX_RESULT, PROOF_FILE, RESULT_FILE};

use super::kept::{self, KeptName};
use super::write;

/// The folder of kept results in an output folder.
const FOLDER: &str = "replication_results";

/// The kept results of an output folder.
///
/// # Errors
/// When the folder cannot be read.
pub fn kept_in(out: &Path) -> anyhow::Result<BTreeSet<KeptName>> {
    let folder = out.join(FOLDER);
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        let name = entry.file_name();
        let name = name.to_str().and_then(KeptName::parse);
        names.extend(name.filter(|name| kept_file(out, name).is_file()));
    }
    Ok(names)
}

/// The file of a kept result.
#[must_use]
pub fn kept_file(out: &Path, name: &KeptName) -> PathBuf {
    out.join(FOLDER).join(name.to_string()).join(RESULT_FILE)
}

/// Keeps an output folder's result with its proof, before a deployment or a publication replaces it. A plan's
/// document is not kept. Returns the name of what was kept.
///
/// # Errors
/// When it cannot be written.
pub fn keep_in(out: &Path) -> anyhow::Result<Option<KeptName>> {
    let path = out.join(RESULT_FILE);
    let Some((text, written)) = read(&path) else {
        return Ok(None);
    };
    let Some(name) = KeptName::new(&text, written) else {
        return Ok(None);
    };
    let kept = kept_file(out, &name);
    let folder = kept.parent().unwrap_or(out);
    let proof = std::fs::read_to_string(out.join(PROOF_FILE)).ok();
    if let Some(proof) = proof.filter(|proof| kept::is_proof_of(&text, proof)) {
        write(folder, PROOF_FILE, &proof)?;
    }
    write(folder, RESULT_FILE, &text)?;
    Ok(Some(name))
}

/// Removes what is no longer kept once a document is the folder's result. What cannot be removed stays.
pub fn remove_surplus_in(out: &Path, current: &str) {
    let Ok(names) = kept_in(out) else {
        return;
    };
    for name in kept::surplus(&names, current) {
        let file = kept_file(out, &name);
        let folder = file.parent().unwrap_or(out);
        for name in [RESULT_FILE, PROOF_FILE] {
            std::fs::remove_file(folder.join(name)).ok();
        }
        std::fs::remove_dir(folder).ok();
    }
    // Only if it is empty.
    std::fs::remove_dir(out.join(FOLDER)).ok();
}

/// A small text file and when it was written.
fn read(path: &Path) -> Option<(String, SystemTime)> {
    let file = std::fs::File::open(path).ok()?;
    let written = file.metadata().ok()?.modified().ok()?;
    let mut text = String::new();
    let limit = 2 * MAX_RESULT as u64;
    file.take(limit).read_to_string(&mut text).ok()?;
    Some((text, written))
}
