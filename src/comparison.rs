//! What differs between two locks, results or EKS versions.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::deploy::locking;
use crate::document::{Lock, MAX_LOCK, ResultDocument};
use crate::document_location::{self, is_kept};
use crate::files;
use crate::lock::{Contents, Differences};
use crate::problem::{Problem, Problems};
use crate::progress::Progress;
use crate::session::{Session, read_without_target, unless_stopped};
use crate::settings::{Environment, Flags};

/// What differs.
#[derive(Debug)]
pub struct Comparison {
    /// The name in messages of what is compared.
    pub from: String,
    /// The name of what it is compared with.
    pub to: String,
    /// The differences.
    pub differences: Differences,
}

/// What is compared.
struct Compared {
    shown: String,
    contents: Contents,
    eks_version: Option<String>,
    /// Names in results have the target's prefix.
    is_result: bool,
}

/// What a comparison is made with.
#[derive(Clone, Copy)]
struct Input<'a> {
    flags: &'a Flags,
    environment: &'a Environment,
    progress: &'a Progress,
    stop: &'a CancellationToken,
}

/// Compares two locks, results or EKS versions: the whole of `replicator diff`. An EKS version means what its data files
/// and sources have now; without `to`, the EKS version of `from` is compared with. Writes nothing.
///
/// # Errors
/// What is neither lock nor result ([`crate::problem::is_input`]); an artifact that a source does not give; and that `stop`
/// was cancelled.
pub async fn compare(
    from: &str,
    to: Option<&str>,
    (flags, environment): (&Flags, &Environment),
    progress: &Progress,
    stop: &CancellationToken,
) -> anyhow::Result<Comparison> {
    let input = Input {
        flags,
        environment,
        progress,
        stop,
    };
    let both = Box::pin(input.both(from, to));
    let (from, to) = unless_stopped(stop, "stopped before the end", both).await?;
    Ok(Comparison {
        differences: Differences::between(&from.contents, &to.contents),
        from: from.shown,
        to: to.shown,
    })
}

impl Input<'_> {
    /// What is compared, and what it is compared with.
    async fn both(self, from: &str, to: Option<&str>) -> anyhow::Result<(Compared, Compared)> {
        let first = Box::pin(self.compared(from)).await?;
        let second = match (to, &first.eks_version) {
            (Some(to), _) => Box::pin(self.compared(to)).await?,
            (None, Some(version)) => Box::pin(self.present(version)).await?,
            (None, None) => {
                let what = "this result document does not say of which EKS version it is";
                let problem = Problem::input(from, what);
                return Err(Problems::from(problem.remedy("name what to compare it with")).into());
            }
        };
        Ok(aligned(first, second))
    }

    /// A lock, a result or an EKS version.
    async fn compared(self, text: &str) -> anyhow::Result<Compared> {
        let path = Path::new(text);
        let is_version = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let is_version = text
            .split_once('.')
            .is_some_and(|(major, minor)| is_version(major) && is_version(minor));
        if is_version && !path.exists() {
            return Box::pin(self.present(text)).await;
        }
        let bad = |what: String| {
            let remedy =
                "name a lock, the replication_result.json of a deployment, or an EKS version";
            Problems::from(Problem::input(text, what).remedy(remedy))
        };
        let content = if text.starts_with("s3://") || is_kept(text) {
            let (settings, place) =
                document_location::find(Some(text), None, self.flags, self.environment)?;
            let session = Session::open(settings, self.stop)?;
            place.read(&session).await?.1
        } else {
            let path = document_location::file(path);
            files::read_within(&path, MAX_LOCK as u64).map_err(bad)?
        };
        let probe: serde_json::Value = serde_json::from_slice(&content)
            .map_err(|error| bad(format!("it is not JSON: {error}")))?;
        let shown = text.to_owned();
        if probe.get("lockVersion").is_some() {
            let lock = Lock::read(&content, text)?;
            return Ok(Compared {
                shown,
                contents: Contents::from(&lock),
                eks_version: Some(lock.eks_version),
                is_result: false,
            });
        }
        let result: ResultDocument = serde_json::from_value(probe)
            .map_err(|_| bad("it is neither a lock nor a result document".to_owned()))?;
        if result.written.digests.is_none() {
            tracing::warn!(
                "{text} records no digests: of its images only the additional ones are compared, by their tags"
            );
        }
        Ok(Compared {
            shown,
            contents: Contents::from(&result),
            eks_version: result.written.eks_version,
            is_result: true,
        })
    }

    /// What the data files of an EKS version and their sources have now.
    async fn present(self, version: &str) -> anyhow::Result<Compared> {
        let mut flags = self.flags.clone();
        flags.parameters.remove("eks_version");
        let flags = flags.with("eks_version", version);
        let (settings, inventory, _) = read_without_target(&flags, self.environment)?;
        let session = Session::for_inventory(settings, &inventory, self.stop).await?;
        let (lock, _) = Box::pin(locking::make(&session, &inventory, self.progress)).await?;
        Ok(Compared {
            shown: format!("EKS {version}"),
            contents: Contents::from(&lock),
            eks_version: Some(lock.eks_version),
            is_result: false,
        })
    }
}

/// Both without the target's prefix, where only one has it.
fn aligned(mut from: Compared, mut to: Compared) -> (Compared, Compared) {
    if to.is_result && !from.is_result {
        let prefix = to.contents.prefix_over(&from.contents);
        to.contents = to.contents.without(&prefix);
    } else if from.is_result && !to.is_result {
        let prefix = from.contents.prefix_over(&to.contents);
        from.contents = from.contents.without(&prefix);
    }
    (from, to)
}
