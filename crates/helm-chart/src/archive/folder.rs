//! A chart's folder on the local disk.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, ensure};

use super::{Budget, MAX_ENTRIES, MAX_FILE};
use crate::helmignore::Ignore;

/// The deepest nesting of folders in a chart's folder: links can make it endless.
const MAX_FOLDERS: usize = 64;

/// The files of a chart's folder by their path, without what `.helmignore` names. Links are followed,
/// as Helm does.
pub(super) fn collect(folder: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut collected = Collected {
        ignore: Ignore::read(folder)?,
        files: BTreeMap::new(),
        budget: Budget::default(),
    };
    collected.add(folder, "", MAX_FOLDERS)?;
    Ok(collected.files)
}

struct Collected {
    ignore: Ignore,
    files: BTreeMap<String, Vec<u8>>,
    budget: Budget,
}

impl Collected {
    fn add(&mut self, folder: &Path, below: &str, depth: usize) -> anyhow::Result<()> {
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
                self.add(&from, &format!("{path}/"), depth - 1)?;
            } else {
                let content = read_file(&from, self.budget.content.min(MAX_FILE))?;
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
/// When it cannot be read, is no plain file (reading a pipe would never end), or is larger.
pub fn read_file(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let reading = || format!("cannot read {}", path.display());
    let kind = std::fs::metadata(path).with_context(reading)?;
    ensure!(
        kind.is_file(),
        "cannot read {}: it is neither a file nor a folder",
        path.display()
    );
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
