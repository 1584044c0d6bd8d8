//! The results that a deployment has published.

use crate::document::ResultDocument;
use crate::publish::{self, KeptName};
use crate::session::Session;

use super::destination::Destination;

/// The results of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultHistory {
    /// Where the current result is published: a file, or `s3://BUCKET/KEY`.
    pub place: String,
    /// The current result, where there is one.
    pub current: Option<CurrentResult>,
    /// Those that later ones replaced, newest first.
    pub kept: Vec<KeptResult>,
    /// Whether they are in an output folder, and not in the bucket of a module.
    pub is_folder: bool,
}

/// The result that is published now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentResult {
    /// Its EKS version, where it has one.
    pub eks_version: Option<String>,
    /// The first digits of its digest.
    pub mark: String,
}

/// A result that a later one replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptResult {
    /// Its name.
    pub name: KeptName,
    /// Its file or object.
    pub place: String,
}

/// The current result and the kept ones.
pub(super) async fn list(
    session: &Session,
    destination: &Destination,
) -> anyhow::Result<ResultHistory> {
    let place = destination.shown(session).await?;
    let current = destination.current(session).await?;
    let (names, below) = match destination {
        Destination::Bucket(publication) => {
            let host = session.ecr_host().await?;
            let (bucket, _) = publication.bucket(&host, &session.aws).await;
            let below = bucket.show(&publication.kept_prefix());
            (publication.kept(&bucket).await?, below)
        }
        Destination::Folder(out) => (publish::kept_in(out)?, String::new()),
    };
    let kept = names.into_iter().rev().map(|name| KeptResult {
        place: match destination {
            Destination::Bucket(publication) => {
                let key = publication.kept_object(&name);
                let file = key.rsplit('/').next().unwrap_or_default();
                format!("{below}{file}")
            }
            Destination::Folder(out) => publish::kept_file(out, &name).display().to_string(),
        },
        name,
    });
    Ok(ResultHistory {
        place,
        current: current.map(|text| CurrentResult {
            eks_version: eks_version(&text),
            mark: publish::mark(&text),
        }),
        kept: kept.collect(),
        is_folder: matches!(destination, Destination::Folder(_)),
    })
}

/// The EKS version of a result.
fn eks_version(document: &str) -> Option<String> {
    let result: ResultDocument = serde_json::from_str(document).ok()?;
    result.written.eks_version
}
