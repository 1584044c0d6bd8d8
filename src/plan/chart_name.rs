//! The names of charts at the target.

use crate::inventory::{ChartRepository, ChartSpec};
use helm_chart::archive::is_archive;
use oci_copy::reference::{ImageName, repository_path};

/// A chart's repository below the prefix: `<last segment of its source repository>/<chart>`.
pub(super) fn chart_repository(spec: &ChartSpec) -> String {
    let text = spec.repository_text.trim_end_matches('/');
    // The query can hold a token, and no name can hold a question mark.
    let text = text
        .split(['?', '#'])
        .next()
        .unwrap_or(text)
        .trim_end_matches('/');
    let mut parts = text.rsplit('/');
    let last = parts.next().unwrap_or(text);
    // A path to an archive itself: its folder names the repository.
    let last = match parts.next() {
        folder if is_archive(last) => folder.unwrap_or_default(),
        _ => last,
    };
    let folder = match spec.repository {
        ChartRepository::Path(_) => folder_name(last),
        _ => repository_path(last),
    };
    format!("{folder}/{}", spec.name.to_lowercase())
}

/// A folder's name as a part of a repository's: such as it is where it can be one, else without the letters that
/// cannot stand there.
fn folder_name(folder: &str) -> String {
    let name = repository_path(folder);
    if name.parse::<ImageName>().is_ok() {
        return name;
    }
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let parts = name.split(|c| !is_letter(c));
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        "charts".to_owned()
    } else {
        parts.join("-")
    }
}
