//! Which data file an EKS version means.

use std::path::Path;

use super::file::DataReader;
use crate::problem::Problem;

impl DataReader {
    /// The version whose data file is read; else a problem that says which ones there are.
    pub(super) fn choose_version(
        &mut self,
        wanted: &str,
        versions: &[String],
        dir: &Path,
    ) -> Option<String> {
        if versions.iter().any(|version| version == wanted) {
            return Some(wanted.to_owned());
        }
        // A manifest's unquoted 1.30 is a number to YAML and arrives as 1.3. Nothing else can be meant
        // where there is a 1.30.yaml and no 1.3.yaml.
        let padded = format!("{wanted}0");
        let is_cut = wanted
            .split('.')
            .nth(1)
            .is_some_and(|minor| minor.len() == 1);
        if is_cut && versions.contains(&padded) {
            self.warnings.push(format!(
                "eks-version `{wanted}` has no data file; an unquoted {padded} in a manifest arrives like this, \
                 so {padded} is used. Write the value in quotes: \"{padded}\""
            ));
            return Some(padded);
        }
        let known = if versions.is_empty() {
            "none".to_owned()
        } else {
            versions.join(", ")
        };
        let what = format!(
            "there is no data file for EKS version `{wanted}` in {}",
            dir.display()
        );
        let file = format!("{wanted}.yaml");
        let bare = plain_name(wanted);
        let remedy = if versions.contains(&bare) {
            format!("write the version as `{bare}`")
        } else if let Some(found) = close_name(dir, &file) {
            format!("there is a `{found}`: rename it to `{file}`")
        } else {
            format!(
                "known versions: {known}\nfor another one write {} (see docs/data-files.md)",
                dir.join(file).display()
            )
        };
        self.problems
            .push(Problem::input("eks-version", what).remedy(remedy));
        None
    }
}

/// The file that was probably meant to be `wanted`: it differs in its extension (`.yml`), in capitals or in
/// blanks.
pub(super) fn close_name(dir: &Path, wanted: &str) -> Option<String> {
    let names = std::fs::read_dir(dir).ok()?.flatten();
    let mut names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names.find(|name| name != wanted && plain_name(name) == plain_name(wanted))
}

/// A version or the name of its file without what is often written around it: blanks, capitals, `v`, `.yaml`.
fn plain_name(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    let stem = name.strip_suffix(".yaml").or(name.strip_suffix(".yml"));
    stem.unwrap_or(&name).trim_start_matches('v').to_owned()
}

/// The versions that a folder has data files for, in the order of their numbers.
pub(super) fn versions(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut versions = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".yaml")) else {
            continue;
        };
        if stem != "default" {
            versions.push(stem.to_owned());
        }
    }
    versions.sort_by_key(|version| {
        let numbers: Vec<u32> = version
            .split('.')
            .map(|part| part.parse().unwrap_or(u32::MAX))
            .collect();
        (numbers, version.clone())
    });
    Ok(versions)
}
