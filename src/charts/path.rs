//! Charts from the local disk: a folder, an archive, or a folder that holds such.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;

use helm_chart::archive;
use helm_chart::version::is_equal;

use crate::inventory::ChartSpec;
use crate::problem::Problem;

use super::{Download, place};

/// Reads a chart from the local disk.
pub(super) async fn fetch(path: &Path, spec: &ChartSpec) -> Result<Download, Problem> {
    let (path, name, version) = (path.to_owned(), spec.name.clone(), spec.version.clone());
    let (place, exists) = (place(spec), path.exists());
    let read = tokio::task::spawn_blocking(move || {
        let found = find(&path, &name, &version)?;
        if found.is_dir() {
            let archive = archive::pack(&found, &name)?;
            return anyhow::Ok((Bytes::from(archive), None));
        }
        let archive = archive::read_file(&found, archive::MAX_ARCHIVE)?;
        let beside = PathBuf::from(format!("{}.prov", found.display()));
        let provenance = match std::fs::read(&beside) {
            Ok(content) => Some(Bytes::from(content)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", beside.display()));
            }
        };
        Ok((Bytes::from(archive), provenance))
    });
    let read = read.await.map_err(anyhow::Error::new).and_then(|read| read);
    let (archive, provenance) = read.map_err(|error| {
        let problem = Problem::input(place.as_str(), format!("{error:#}"));
        if exists {
            return problem;
        }
        problem.remedy("a path is relative to the data file's folder, or else to the working directory; there is nothing at either")
    })?;
    let chart = super::Chart::read(&archive, archive::Keep::Description)
        .map_err(|error| Problem::input(place.as_str(), format!("{error:#}")))?;
    if !is_equal(chart.version(), &spec.version) {
        let what = format!("{} holds version {}", spec.repository_text, chart.version());
        return Err(Problem::input(place, what)
            .remedy("pin that version in the data file, or bring the wanted one"));
    }
    Ok(Download {
        archive,
        provenance,
        artifact: None,
    })
}

/// The chart's folder or archive: the path itself, or what has its name in it.
fn find(path: &Path, name: &str, version: &str) -> anyhow::Result<PathBuf> {
    if path.is_file() || path.join("Chart.yaml").is_file() {
        return Ok(path.to_owned());
    }
    let bare = version.strip_prefix('v').unwrap_or(version);
    let candidates = [
        format!("{name}-{version}.tgz"),
        format!("{name}-{bare}.tgz"),
        format!("{name}-v{bare}.tgz"),
        name.to_owned(),
    ];
    let found = candidates
        .iter()
        .map(|candidate| path.join(candidate))
        .find(|candidate| candidate.is_file() || candidate.join("Chart.yaml").is_file());
    let found = found.or_else(|| with_equal_version(path, name, version));
    found.with_context(|| {
        let mut tried = vec!["Chart.yaml".to_owned()];
        for candidate in candidates {
            if !tried.contains(&candidate) {
                tried.push(candidate);
            }
        }
        format!(
            "there is no chart at {}: looked for {}",
            path.display(),
            tried.join(", ")
        )
    })
}

/// An archive whose name writes the version differently: `app-7.tgz` for 7.0.
fn with_equal_version(path: &Path, name: &str, version: &str) -> Option<PathBuf> {
    let is_it = |file: &str| {
        let rest = file.strip_prefix(name)?.strip_prefix('-')?;
        is_equal(rest.strip_suffix(".tgz")?, version).then_some(())
    };
    let entries = std::fs::read_dir(path).ok()?.filter_map(Result::ok);
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().and_then(is_it).is_some())
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found.into_iter().next()
}
