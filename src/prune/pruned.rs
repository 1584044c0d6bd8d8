//! What became of a plan.

use serde::Serialize;

use crate::progress::count;

use super::apply::Applied;
use super::check::Skip;

/// What was deleted.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pruned {
    /// How many manifests were deleted.
    pub deleted: usize,
    /// How many did not exist any more.
    pub gone: usize,
    /// The repositories that do not exist any more.
    pub repositories_deleted: Vec<String>,
    /// What was not deleted.
    pub skipped: Vec<Skipped>,
}

/// A manifest, or a repository, that was not deleted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// The repository.
    pub repository: String,
    /// The manifest; absent where the repository itself is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Why.
    pub reason: String,
}

impl Pruned {
    /// Adds what became of a repository.
    pub(super) fn add(&mut self, name: &str, applied: Applied) {
        if applied.deleted > 0 {
            let deleted = count(applied.deleted, "manifest");
            tracing::info!(repository = name, "{name}: deleted {deleted}");
        }
        if applied.repository_deleted {
            tracing::info!(repository = name, "{name}: deleted the repository");
            self.repositories_deleted.push(name.to_owned());
        }
        self.deleted += applied.deleted;
        self.gone += applied.gone;
        let images = applied.skipped.iter();
        let images =
            images.map(|(digest, skip): (_, &Skip)| (Some(digest.to_string()), skip.words()));
        let repository = applied.repository_kept.map(|why| (None, why));
        let skipped = images.chain(repository).map(|(digest, reason)| Skipped {
            repository: name.to_owned(),
            digest,
            reason,
        });
        self.skipped.extend(skipped);
    }
}
