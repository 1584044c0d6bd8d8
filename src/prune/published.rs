//! What the results in the module's bucket need.

use super::needs::Needs;
use crate::aws::{Bucket, Error};
use crate::publish::{ResultSet, bucket_results};
use crate::reference::EcrHost;

/// Why it is not known what is needed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unknown {
    /// The bucket cannot be listed.
    #[error(
        "cannot list the published results, so it is not known what is needed; nothing was deleted"
    )]
    Unlisted(#[source] Error),
    /// A result cannot be read.
    #[error(
        "cannot read the result {place}, so it is not known what it needs; nothing was deleted: {why}; repair or \
         delete this object, then run it again"
    )]
    Unread {
        /// The object.
        place: String,
        /// Why not.
        why: String,
    },
}

/// Reads what all published results of a bucket need, current and kept; nothing if there is no bucket.
///
/// # Errors
/// When the bucket cannot be listed, or any result cannot be read.
pub(super) async fn published(bucket: &Bucket, host: &EcrHost) -> Result<Needs, Unknown> {
    let mut needs = Needs::new(host.clone());
    let results = bucket_results(bucket, ResultSet::All).await;
    for result in results.map_err(Unknown::Unlisted)? {
        let place = bucket.show(&result.key);
        let read = result.text.and_then(|text| needs.add_result(&place, &text));
        read.map_err(|why| Unknown::Unread { place, why })?;
    }
    Ok(needs)
}
