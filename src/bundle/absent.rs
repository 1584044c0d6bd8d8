//! What was left out of a bundle must be at the target.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::plan::Plan;
use crate::problem::{Problem, Problems};
use crate::progress;
use oci_copy::copy::{Detail, Engine, Options, Request};
use oci_copy::store::Stores;

use super::Bundle;

/// How many blobs are looked for at once.
const AT_ONCE: usize = 16;

impl Bundle {
    /// Checks that the target has what the bundle was saved without.
    ///
    /// # Errors
    /// When it has not, or does not answer.
    pub async fn check_target(
        &self,
        plan: &Plan,
        stores: &Arc<Stores>,
        options: &Options,
    ) -> anyhow::Result<()> {
        if self.archive.index().absent.is_empty() {
            return Ok(());
        }
        let requests: Vec<Request> = plan.copies.iter().map(Into::into).collect();
        let engine = Engine::new(Arc::clone(stores), options, Arc::new(()));
        let preflights = engine.preflight(&requests, Detail::Missing).await;
        let mut wanted = Vec::new();
        for (copy, preflight) in plan.copies.iter().zip(preflights) {
            if let Some(error) = preflight.errors.into_iter().next() {
                return Err(error.into());
            }
            let blobs = preflight
                .missing
                .into_iter()
                .flat_map(|missing| missing.blobs);
            let blobs = blobs.filter(|blob| self.archive.is_absent(&blob.digest));
            wanted.extend(blobs.map(|blob| (copy, blob)));
        }
        let looked = stream::iter(wanted).map(|(copy, blob)| async move {
            let target = stores.existing(&copy.target)?;
            let is_there = target.has_blob(&blob).await?;
            anyhow::Ok((!is_there).then_some((copy, blob)))
        });
        let looked: Vec<_> = looked.buffered(AT_ONCE).collect().await;
        let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
        for found in looked {
            if let Some((copy, _)) = found? {
                *missing.entry(&copy.target_text).or_default() += 1;
            }
        }
        let problems = missing.into_iter().map(|(target, layers)| {
            let what = format!(
                "the target lacks {} of {target} that the bundle was saved without",
                progress::count(layers, "layer")
            );
            Problem::input(self.archive.shown(), what)
                .remedy("load the bundle first that --since named when this one was saved, or save this one without --since")
        });
        Problems::check(problems.collect())?;
        Ok(())
    }
}
