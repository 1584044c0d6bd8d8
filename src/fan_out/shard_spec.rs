//! A shard as it goes through the run store: its artifacts, and their manifests, which the coordinator has
//! read already.

use serde::{Deserialize, Serialize};

use crate::document::Kind;
use crate::plan::{Copy, CopySource};
use oci_copy::copy::{Preflight, Snapshot};
use oci_copy::reference::{Digest, Location};

/// The most bytes of manifests that a shard's object passes on: in Base64, with everything else, that is
/// less than the 16 MiB that are read of an object.
const MANIFESTS_OF_A_SHARD: usize = 6 << 20;

/// The most that all of them pass on: a slow link writes that much in some seconds.
const MANIFESTS_OF_A_RUN: usize = 128 << 20;

/// A shard, as a worker reads it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ShardSpec {
    /// The bytes of its distinct blobs.
    pub(super) bytes: u64,
    pub(super) items: Vec<Item>,
}

/// How many bytes of manifests may still be passed on.
pub(super) struct ManifestBudget(usize);

/// An artifact of a shard.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Item {
    number: usize,
    is_chart: bool,
    source: String,
    source_text: String,
    target: String,
    target_text: String,
    used_by: Vec<String>,
    /// The digest that it must have at the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected: Option<Digest>,
    /// Its manifests, unless they are too many: then the worker reads them at the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snapshot: Option<Snapshot>,
}

impl Item {
    /// An artifact that any build can read: `None` for what only this one has.
    pub(super) fn of(number: usize, copy: &Copy) -> Option<Self> {
        let CopySource::At(source @ Location::Registry(_)) = &copy.source else {
            return None;
        };
        Some(Self {
            number,
            is_chart: copy.kind == Kind::Chart,
            source: source.to_string(),
            source_text: copy.source_text.clone(),
            target: copy.target.to_string(),
            target_text: copy.target_text.clone(),
            used_by: copy.used_by.clone(),
            expected: copy.expected.clone(),
            snapshot: None,
        })
    }

    /// The artifact with its manifests, as far as the budget goes.
    fn with_manifests(mut self, preflight: Option<&Preflight>, budget: &mut usize) -> Self {
        let snapshot = preflight.and_then(Preflight::snapshot);
        if let Some(snapshot) = snapshot
            && let Some(left) = budget.checked_sub(snapshot.bytes())
        {
            *budget = left;
            self.snapshot = Some(snapshot);
        }
        self
    }

    /// The host that it is read from.
    pub(super) fn host(&self) -> &str {
        self.source.split('/').next().unwrap_or_default()
    }

    /// Number and artifact, with what need not be read at its source.
    pub(super) fn copy(self) -> anyhow::Result<(usize, Copy, Option<Preflight>)> {
        let copy = Copy {
            kind: if self.is_chart {
                Kind::Chart
            } else {
                Kind::Image
            },
            source: CopySource::At(self.source.parse()?),
            source_text: self.source_text,
            target: self.target.parse()?,
            target_text: self.target_text,
            used_by: self.used_by,
            expected: self.expected,
        };
        let restored = self
            .snapshot
            .map(|snapshot| snapshot.restore(&(&copy).into()));
        let preflight = restored.transpose().unwrap_or_else(|error| {
            let source = &copy.source_text;
            tracing::warn!(
                source,
                "reading the manifests of {source} at the source: {error}"
            );
            None
        });
        Ok((self.number, copy, preflight))
    }
}

impl ManifestBudget {
    pub(super) fn of_a_run() -> Self {
        Self(MANIFESTS_OF_A_RUN)
    }
}

impl ShardSpec {
    /// A shard of artifacts, each with what was read of it.
    pub(super) fn new<'s>(
        bytes: u64,
        artifacts: impl Iterator<Item = (usize, &'s Copy, Option<&'s Preflight>)>,
        ManifestBudget(left): &mut ManifestBudget,
    ) -> Self {
        let granted = MANIFESTS_OF_A_SHARD.min(*left);
        let mut budget = granted;
        let items = artifacts.filter_map(|(number, copy, preflight)| {
            Some(Item::of(number, copy)?.with_manifests(preflight, &mut budget))
        });
        let items = items.collect();
        *left -= granted - budget;
        Self { bytes, items }
    }
}
