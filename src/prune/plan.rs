//! Observations -> a plan.

use std::collections::BTreeMap;

use super::needs::Needs;
use super::observe::{Observed, Reads};
use super::select::{Keep, freed};
use crate::document::{
    KeptTotals, PRUNE_PLAN_VERSION, PrunePlan, PruneTotals, PrunedImage, PrunedRepository,
};
use crate::reference::EcrHost;
use crate::timestamp::Timestamp;

/// The bytes of a GB, as AWS bills storage.
const GB: f64 = 1_073_741_824.0;

/// What is pruned.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The registry.
    pub host: EcrHost,
    /// What the names of the repositories begin with.
    pub prefix: String,
    /// The project whose repositories they are.
    pub project: String,
}

/// What a plan is made with, besides what was observed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// When what ECR has was described.
    pub made_at: Timestamp,
    /// For how many days nothing may have pulled or pushed an image.
    pub unused_for_days: u32,
    /// US dollars for a GB and month, where known.
    pub price_per_gb: Option<f64>,
}

/// A repository with when it was created.
#[derive(Debug)]
pub(super) struct Candidate {
    /// What it has, and what of it stays.
    pub observed: Observed,
    /// When it was created; `None` if ECR does not say.
    pub created: Option<Timestamp>,
    /// Whether a document may name it.
    pub is_named: bool,
}

/// Plans the deletion of what nothing needs.
#[must_use]
pub(super) fn plan(
    target: &Target,
    needs: &Needs,
    candidates: &BTreeMap<String, Candidate>,
    not_ours: Vec<String>,
    terms: Terms,
) -> PrunePlan {
    let mut kept = KeptTotals {
        not_ours,
        ..KeptTotals::default()
    };
    let mut repositories = Vec::new();
    let mut reads: BTreeMap<String, Reads> = BTreeMap::new();
    let mut totals = PruneTotals {
        is_exact: true,
        price_per_gb: terms.price_per_gb,
        ..PruneTotals::default()
    };
    for (name, candidate) in candidates {
        let observed = &candidate.observed;
        if !observed.reads.is_empty() {
            reads.insert(name.clone(), observed.reads.clone());
        }
        if let Some(why) = &observed.unknown {
            kept.whole_repositories.insert(name.clone(), why.clone());
            kept.other += observed.contents.0.len();
            continue;
        }
        for reason in observed.selection.keep.values() {
            count(&mut kept, name, reason);
        }
        let Some(pruned) = repository(name, candidate, terms) else {
            continue;
        };
        totals.repositories += usize::from(pruned.delete_repository);
        totals.manifests += pruned.images.len();
        totals.tags += pruned
            .images
            .iter()
            .map(|image| image.tags.len())
            .sum::<usize>();
        totals.bytes = totals.bytes.saturating_add(pruned.bytes);
        totals.is_exact &= pruned.is_exact;
        repositories.push(pruned);
    }
    totals.monthly_cost = cost(totals.bytes, terms.price_per_gb);
    PrunePlan {
        prune_version: PRUNE_PLAN_VERSION,
        made_at: terms.made_at,
        account: target.host.account.clone(),
        region: target.host.region.clone(),
        prefix: target.prefix.clone(),
        project: target.project.clone(),
        unused_for_days: terms.unused_for_days,
        documents: needs.documents.clone(),
        repositories,
        totals,
        kept,
        reads,
    }
}

fn count(kept: &mut KeptTotals, name: &str, reason: &Keep) {
    match reason {
        Keep::Needed(_) => kept.needed += 1,
        Keep::Pulled(_) | Keep::Pushed(_) => kept.recent += 1,
        Keep::With(_) => kept.belonging += 1,
        Keep::UnknownAge | Keep::Unreadable => kept.other += 1,
        Keep::Whole(_) => {
            kept.needed += 1;
            let repositories = &mut kept.whole_repositories;
            repositories
                .entry(name.to_owned())
                .or_insert_with(|| reason.words());
        }
    }
}

/// What is to be deleted of a repository, if anything.
fn repository(name: &str, candidate: &Candidate, terms: Terms) -> Option<PrunedRepository> {
    let Observed {
        contents,
        media_types,
        selection,
        ..
    } = &candidate.observed;
    // A new repository without images is about to be pushed to.
    let since = unused_since(terms.made_at, terms.unused_for_days);
    let is_old = candidate.created.is_some_and(|created| created < since);
    let delete_repository = selection.keep.is_empty() && is_old && !candidate.is_named;
    if selection.remove.is_empty() && !delete_repository {
        return None;
    }
    let freed = freed(contents, &selection.remove);
    let images = selection.remove.iter().filter_map(|digest| {
        let image = contents.0.get(digest)?;
        Some(PrunedImage {
            digest: digest.clone(),
            tags: image.tags.clone(),
            media_type: media_types.get(digest).cloned(),
            size: image.size,
            pushed_at: image.pushed,
            pulled_at: image.pulled,
        })
    });
    Some(PrunedRepository {
        name: name.to_owned(),
        delete_repository,
        bytes: freed.bytes,
        is_exact: freed.is_exact,
        monthly_cost: cost(freed.bytes, terms.price_per_gb),
        images: images.collect(),
    })
}

/// The point in time since which nothing may have used an image.
#[must_use]
pub(super) fn unused_since(now: Timestamp, days: u32) -> Timestamp {
    now.before(std::time::Duration::from_hours(24 * u64::from(days)))
}

/// The price of some bytes in US dollars a month, to the hundredth of a cent.
fn cost(bytes: u64, price_per_gb: Option<f64>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "it is a price")]
    let price = bytes as f64 / GB * price_per_gb?;
    Some((price * 10_000.0).round() / 10_000.0)
}
