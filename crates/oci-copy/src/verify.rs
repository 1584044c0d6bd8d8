//! Checks that recorded artifacts are at the target: the digests, every platform, every blob. Reads only.

mod confirm;
mod content;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;

use crate::manifest::Manifest;
use crate::once_map::OnceMap;
use crate::reference::{Digest, Location};
use crate::remedy::Remedy;
use crate::store::{self, Stores, TagOrDigest, tag_or_digest};

pub use confirm::confirm;

/// An artifact that should be at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its name there, as it was recorded.
    pub text: String,
    /// Where that is.
    pub target: Location,
    /// Its digest, where it was recorded.
    pub digest: Option<Digest>,
}

/// What was found of one artifact.
#[derive(Debug)]
pub struct Finding {
    /// What its name names at the target, where it was found.
    pub found: Option<Digest>,
    /// The platforms that it has there; empty for a single image or a chart.
    pub platforms: Vec<String>,
    /// How many manifests are there, its own included.
    pub manifests: usize,
    /// How many blobs are there.
    pub blobs: usize,
    /// What is wrong; empty where all is well.
    pub faults: Vec<Fault>,
}

/// Something that is not as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The name is not there.
    Missing,
    /// The name names other content now.
    Differs {
        /// What was recorded.
        recorded: Digest,
        /// What it names.
        found: Digest,
        /// Whether the recorded content is still there under its digest.
        kept: bool,
    },
    /// A manifest is not there.
    Manifest {
        /// Its digest.
        digest: Digest,
        /// What it is for, where the index says so.
        platform: Option<String>,
    },
    /// A blob is not there.
    Blob {
        /// Its digest.
        digest: Digest,
        /// The manifest that refers to it.
        of: Digest,
    },
    /// A manifest's bytes do not have its digest.
    Damaged {
        /// The manifest.
        digest: Digest,
    },
    /// Indexes in indexes without end.
    Depth,
    /// The target did not say: this is neither missing nor fine.
    Unchecked {
        /// Why.
        why: String,
        /// What can be done about it.
        remedy: Option<Remedy>,
    },
}

/// How an artifact is at the target, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it was recorded, complete.
    There,
    /// Its name is not there.
    Missing,
    /// Its name names other content.
    Differs,
    /// Parts of it are not there.
    Incomplete,
    /// The target did not say.
    Unchecked,
}

impl State {
    /// All of them, the good one first.
    pub const ALL: [Self; 5] = [
        Self::There,
        Self::Missing,
        Self::Differs,
        Self::Incomplete,
        Self::Unchecked,
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::There => "there",
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Incomplete => "incomplete",
            Self::Unchecked => "unchecked",
        }
    }
}

impl Fault {
    fn unchecked(error: store::Error) -> Self {
        Self::Unchecked {
            remedy: error.remedy(),
            why: format!("{:#}", anyhow::Error::new(error)),
        }
    }

    /// The state that it makes.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Missing => State::Missing,
            Self::Differs { .. } => State::Differs,
            Self::Manifest { .. } | Self::Blob { .. } | Self::Damaged { .. } | Self::Depth => {
                State::Incomplete
            }
            Self::Unchecked { .. } => State::Unchecked,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing: the target has no such name"),
            Self::Differs {
                recorded,
                found,
                kept,
            } => {
                let kept = if *kept {
                    "still there under its digest"
                } else {
                    "gone"
                };
                write!(
                    f,
                    "tag moved: expected {recorded}, found {found} (the expected content is {kept})"
                )
            }
            Self::Manifest { digest, platform } => {
                write!(f, "incomplete: the manifest {digest}")?;
                if let Some(platform) = platform {
                    write!(f, " for {platform}")?;
                }
                f.write_str(" is not there")
            }
            Self::Blob { digest, of } => {
                write!(f, "incomplete: the blob {digest} of {of} is not there")
            }
            Self::Damaged { digest } => {
                write!(
                    f,
                    "incomplete: the manifest {digest} has other bytes than its digest says"
                )
            }
            Self::Depth => f.write_str("incomplete: it is an index of indexes without end"),
            Self::Unchecked { why, .. } => write!(f, "could not be checked: {why}"),
        }
    }
}

impl Finding {
    fn new(found: Option<Digest>) -> Self {
        Self {
            found,
            platforms: Vec::new(),
            manifests: 0,
            blobs: 0,
            faults: Vec::new(),
        }
    }

    fn only(found: Option<Digest>, fault: Fault) -> Self {
        Self {
            faults: vec![fault],
            ..Self::new(found)
        }
    }

    /// How the artifact is.
    #[must_use]
    pub fn state(&self) -> State {
        let states = self.faults.iter().map(Fault::state);
        // What is known to be wrong counts more than what is not known.
        let wrong = states
            .clone()
            .filter(|state| *state != State::Unchecked)
            .min();
        wrong.or(states.min()).unwrap_or(State::There)
    }
}

/// Looks at everything, with at most `jobs` requests at once; the findings are in the order of what was
/// expected. Calls `on_artifact` after each artifact.
pub async fn check(
    stores: &Stores,
    expected: &[Expected],
    jobs: usize,
    on_artifact: impl Fn() + Sync,
) -> Vec<Finding> {
    let checker = Checker {
        stores,
        places: Semaphore::new(jobs),
        manifests: Once::default(),
        blobs: Once::default(),
        silent: Mutex::default(),
    };
    let (checker, on_artifact) = (&checker, &on_artifact);
    stream::iter(expected)
        .map(|expected| async move {
            let finding = checker.check(expected).await;
            on_artifact();
            finding
        })
        .buffered(jobs)
        .collect()
        .await
}

/// What was found by the target's namespace and the digest.
type Once<T> = OnceMap<(String, Digest), T>;

struct Checker<'a> {
    stores: &'a Stores,
    /// Requests at once.
    places: Semaphore,
    manifests: Once<Option<Manifest>>,
    blobs: Once<bool>,
    /// The unreachable hosts, with their first error.
    silent: Mutex<BTreeMap<String, Fault>>,
}

impl Checker<'_> {
    async fn check(&self, expected: &Expected) -> Finding {
        if let Some(fault) = self.out_of_reach(&expected.target) {
            return Finding::only(None, fault);
        }
        let mut found = None;
        match self.try_look(expected, &mut found).await {
            Ok(finding) => finding,
            Err(error) => {
                let is_silent = error.is_unreachable();
                let fault = Fault::unchecked(error);
                if let Some(host) = expected.target.host().filter(|_| is_silent) {
                    let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
                    silent.entry(host.to_owned()).or_insert(fault.clone());
                }
                Finding::only(found, fault)
            }
        }
    }

    /// Why a target is not queried at all.
    fn out_of_reach(&self, target: &Location) -> Option<Fault> {
        match target {
            Location::Layout { dir, .. } => {
                // Opening a folder as a target would create it.
                (!dir.join("oci-layout").is_file()).then(|| Fault::Unchecked {
                    why: format!("{} is no image layout folder", dir.display()),
                    remedy: Some(Remedy::Text(
                        "run it where the deployment ran: a relative path is meant from there",
                    )),
                })
            }
            Location::Registry(_) => {
                let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
                silent.get(target.host()?).cloned()
            }
        }
    }

    async fn try_look(
        &self,
        expected: &Expected,
        named: &mut Option<Digest>,
    ) -> Result<Finding, store::Error> {
        let source = self.stores.source(&expected.target)?;
        let found = {
            let _place = self.places.acquire().await;
            source.resolve(&name(&expected.target)).await?
        };
        let Some(found) = found else {
            return Ok(Finding::only(None, Fault::Missing));
        };
        *named = Some(found.clone());
        match &expected.digest {
            Some(recorded) if *recorded != found => {
                let _place = self.places.acquire().await;
                let kept = source
                    .resolve(&TagOrDigest::Digest(recorded.clone()))
                    .await?;
                let fault = Fault::Differs {
                    recorded: recorded.clone(),
                    found: found.clone(),
                    kept: kept.is_some(),
                };
                Ok(Finding::only(Some(found), fault))
            }
            _ => self.content(&expected.target, found).await,
        }
    }
}

/// What an artifact is called at the target: its tag where it has one, or else its digest.
fn name(target: &Location) -> TagOrDigest {
    match target.tag() {
        Some(tag) => TagOrDigest::Tag(tag.to_owned()),
        None => tag_or_digest(target),
    }
}
