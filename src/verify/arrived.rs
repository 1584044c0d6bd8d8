//! Whether what was just copied is there: the last look before a result is published.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::reference::{Digest, Location};
use crate::store::{Error, Stores};

use super::name;

/// How long to wait before another look when a name is not as it was written: some registries answer
/// from a copy that is a moment old.
const LATER: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// Looks once at each name, with at most `jobs` requests at once; the answers are in the order of the
/// names. The parts were checked by the target when it took the manifests: this asks for nothing else.
pub async fn arrived(
    stores: &Stores,
    copied: &[(&Location, &Digest)],
    jobs: usize,
) -> Vec<Result<(), Error>> {
    let silent = Mutex::default();
    let silent = &silent;
    stream::iter(copied)
        .map(|(target, digest)| look(stores, target, digest, silent))
        .buffered(jobs)
        .collect()
        .await
}

/// A host that cannot be reached is asked by few, not by all.
async fn look(
    stores: &Stores,
    target: &Location,
    wanted: &Digest,
    silent: &Mutex<HashSet<String>>,
) -> Result<(), Error> {
    let known = || silent.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(host) = target.host().filter(|host| known().contains(*host)) {
        return Err(Error::Silent {
            host: host.to_owned(),
        });
    }
    let answer = look_again(stores, target, wanted).await;
    if let (Err(error), Some(host)) = (&answer, target.host())
        && error.is_unreachable()
    {
        known().insert(host.to_owned());
    }
    answer
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
                return Err(Error::Moved {
                    wanted: wanted.clone(),
                    found,
                });
            }
        }
    }
}
