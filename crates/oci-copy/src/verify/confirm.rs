//! Whether what was just copied is there: the last look before a result is published.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::reference::{Digest, Location};
use crate::store::{Error, Stores, TagOrDigest, Target, Unreachable};

use super::name;

/// How long to wait before another look when a name is not as it was written: some registries answer
/// from a copy that is a moment old.
const LATER: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// Looks once at each name, with at most `jobs` requests at once, and where a target answers for many
/// names at once, with one; the answers are in the order of the names. The parts were checked by the
/// target when it took the manifests: this asks for nothing else.
pub async fn confirm(
    stores: &Stores,
    copied: &[(&Location, &Digest)],
    jobs: usize,
) -> Vec<Result<(), Error>> {
    let seen = in_batches(stores, copied, jobs).await;
    let unreachable = &Unreachable::default();
    let seen = &seen;
    stream::iter(copied)
        .map(|(target, digest)| async move {
            if seen.get(*target) == Some(*digest) {
                return Ok(());
            }
            let look = look_again(stores, target, digest);
            unreachable.ask(target.host(), look).await
        })
        .buffered(jobs)
        .collect()
        .await
}

/// The digests from targets that answer for many names at once. Everything else is looked up one by one,
/// and so is everything where the batch fails, so that each error names its artifact.
async fn in_batches(
    stores: &Stores,
    copied: &[(&Location, &Digest)],
    jobs: usize,
) -> HashMap<Location, Digest> {
    let mut namespaces: HashMap<String, (Arc<dyn Target>, Vec<&Location>)> = HashMap::new();
    for (target, _) in copied {
        if let Ok(home) = stores.target(target) {
            let namespace = namespaces
                .entry(home.namespace())
                .or_insert((home, Vec::new()));
            namespace.1.push(target);
        }
    }
    let asked = stream::iter(namespaces.into_values()).map(|(home, targets)| async move {
        let names: Vec<TagOrDigest> = targets.iter().map(|target| name(target)).collect();
        let found = if home.info().capabilities.batch_lookups {
            home.find(&names).await.unwrap_or_default()
        } else {
            HashMap::new()
        };
        let seen = targets.into_iter().zip(names);
        let seen =
            seen.filter_map(|(target, name)| Some((target.clone(), found.get(&name)?.clone())));
        seen.collect::<Vec<_>>()
    });
    asked
        .buffer_unordered(jobs)
        .concat()
        .await
        .into_iter()
        .collect()
}

async fn look_again(stores: &Stores, target: &Location, wanted: &Digest) -> Result<(), Error> {
    let (home, name) = (stores.target(target)?, name(target));
    let mut later = LATER.into_iter();
    loop {
        let found = home.resolve(&name).await?;
        if found.as_ref() == Some(wanted) {
            return Ok(());
        }
        match later.next() {
            Some(pause) => tokio::time::sleep(pause).await,
            None => {
                return Err(Error::Overwritten {
                    wanted: wanted.clone(),
                    found,
                });
            }
        }
    }
}
