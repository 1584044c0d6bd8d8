//! How a copy ended.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::reference::Digest;
use crate::remedy::Remedy;
use crate::store;

/// How a copy ended.
#[derive(Debug)]
pub struct Outcome {
    /// The digest at the target, where it came that far.
    pub digest: Option<Digest>,
    /// The platforms at the target; empty for a single image or a chart.
    pub platforms: Vec<String>,
    /// The bytes that were sent to the target.
    pub bytes: u64,
    /// The bytes of all that it consists of, each blob once; 0 where it was there already.
    pub content_bytes: u64,
    /// What its name named at the target before, where that is something else.
    pub replaced: Option<Digest>,
    /// How long it took.
    pub took: Duration,
    /// When it ended; `None` where it is not known.
    pub ended: Option<Instant>,
    /// What is worth knowing although it went well.
    pub notes: Vec<String>,
    /// What was done.
    pub done: Done,
}

/// What was done.
#[derive(Debug)]
pub enum Done {
    /// It is at the target now.
    Copied,
    /// It was there already.
    AlreadyThere,
    /// It is not there.
    Failed(CopyError),
}

/// Which of the two registries went wrong: with two of them, "unauthorized" alone is useless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where it is read from.
    Source,
    /// Where it is written to.
    Target,
}

/// Why a copy failed.
#[derive(Debug)]
pub enum CopyError {
    /// A step at one side.
    Step {
        /// The side.
        side: Side,
        /// What was tried, as a verb with its object: "read the manifest".
        step: &'static str,
        /// The reference there.
        reference: String,
        /// What went wrong.
        source: Arc<store::Error>,
    },
    /// The source has no such artifact.
    Missing {
        /// The reference there.
        reference: String,
    },
    /// None of the wanted platforms exists.
    Platforms {
        /// The reference at the source.
        reference: String,
        /// The platforms that there are.
        available: Vec<String>,
    },
    /// The reference at the target pins another digest than the one that was copied.
    Pinned {
        /// The reference there.
        reference: String,
        /// What was copied.
        found: Digest,
    },
    /// The source's tag has moved since its digest was published.
    Moved {
        /// The reference at the source.
        reference: String,
        /// The digest that was published.
        published: Digest,
        /// What was copied.
        found: Digest,
    },
    /// The tag names other content at the target, and its repository lets no tag move.
    Conflict {
        /// The reference there.
        reference: String,
        /// What it names.
        present: Digest,
        /// What it should name.
        wanted: Digest,
    },
    /// A part of it has no bytes, which the target does not take.
    EmptyBlob {
        /// The reference at the source.
        reference: String,
        /// The manifest that names the empty blob.
        manifest: Digest,
    },
    /// Something of it is named by a digest that the target does not know.
    Algorithm {
        /// The reference at the source.
        reference: String,
        /// The algorithm of the digest.
        algorithm: &'static str,
    },
    /// The content is nested without end, or nearly.
    Depth {
        /// The reference at the source.
        reference: String,
    },
    /// A gate does not let it pass.
    Untrusted {
        /// The reference at the source.
        reference: String,
        /// Which rule it does not satisfy, what was found, and what would satisfy it.
        why: String,
    },
    /// The run was stopped before.
    Stopped,
}

/// Makes a store's error one of a step.
pub(super) fn step<'a>(
    side: Side,
    step: &'static str,
    reference: &'a str,
) -> impl Fn(store::Error) -> CopyError + 'a {
    move |source| CopyError::Step {
        side,
        step,
        reference: reference.to_owned(),
        source: Arc::new(source),
    }
}

impl Outcome {
    /// It is not there, and nothing else is known.
    #[must_use]
    pub fn failed(error: CopyError) -> Self {
        Self::ended(Done::Failed(error))
    }

    pub(super) fn ended(done: Done) -> Self {
        Self {
            digest: None,
            platforms: Vec::new(),
            bytes: 0,
            content_bytes: 0,
            replaced: None,
            took: Duration::ZERO,
            ended: None,
            notes: Vec::new(),
            done,
        }
    }

    /// The error, where it failed.
    #[must_use]
    pub fn error(&self) -> Option<&CopyError> {
        match &self.done {
            Done::Failed(error) => Some(error),
            Done::Copied | Done::AlreadyThere => None,
        }
    }
}

impl CopyError {
    /// Whether one side does not give or take this content and never will, while the rest may be fine.
    /// What passes (a host that is down, a connection that breaks, content damaged on the way) is none.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Step { source, .. } => source.is_refusal(),
            Self::Missing { .. }
            | Self::EmptyBlob { .. }
            | Self::Algorithm { .. }
            | Self::Depth { .. } => true,
            Self::Platforms { .. }
            | Self::Pinned { .. }
            | Self::Moved { .. }
            | Self::Conflict { .. }
            | Self::Untrusted { .. }
            | Self::Stopped => false,
        }
    }

    /// What other artifacts may have failed for too, in words: "source quay.io: 401 Unauthorized".
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Step { side, source, .. } => {
                let common = source.common()?;
                Some(format!("{side} {common}"))
            }
            Self::Stopped => Some(self.to_string()),
            _ => None,
        }
    }

    /// What a user can do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        let text = match self {
            Self::Step { source, .. } => return source.remedy(),
            Self::Platforms { .. } => return Some(Remedy::Platforms),
            Self::Pinned { .. } => return Some(Remedy::PinnedPlatforms),
            Self::Depth { .. } | Self::Untrusted { .. } | Self::Stopped => return None,
            Self::Moved { .. } => "run it again: the new digest is published then",
            Self::Missing { .. } => {
                "check name and tag; some registries also say this when credentials are missing"
            }
            Self::Conflict { .. } => {
                "delete the tag at the target, make the repository's tags mutable, or give the new content another tag"
            }
            Self::EmptyBlob { .. } => {
                "the target refuses blobs of zero bytes, so it cannot keep this artifact byte for byte: its publisher has \
                 to push it without them, or leave it out"
            }
            Self::Algorithm { .. } => {
                "its publisher has to push it with SHA-256 digests; another registry or a folder can take it as it is"
            }
        };
        Some(Remedy::Text(text))
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step {
                side,
                step,
                reference,
                ..
            } => write!(f, "{side}: cannot {step} of {reference}"),
            Self::Missing { reference } => write!(f, "source: there is no {reference}"),
            Self::Platforms {
                reference,
                available,
            } => {
                let (shown, more) = (&available[..available.len().min(20)], available.len() > 20);
                let more = if more { " and more" } else { "" };
                write!(
                    f,
                    "source: {reference} has none of the wanted platforms, only {}{more}",
                    shown.join(", ")
                )
            }
            Self::Pinned { reference, found } => {
                write!(
                    f,
                    "target: {reference} pins a digest, and what would be copied has {found}"
                )
            }
            Self::Moved {
                reference,
                published,
                found,
            } => write!(
                f,
                "source: {reference} moved from {published} to {found} while it was copied, and the values to publish \
                 name the first"
            ),
            Self::Conflict {
                reference,
                present,
                wanted,
            } => write!(
                f,
                "target: {reference} cannot move from {present} to {wanted}: the repository's tags are immutable"
            ),
            Self::EmptyBlob {
                reference,
                manifest,
            } => write!(
                f,
                "source: {reference} has a blob of zero bytes (in the manifest {manifest})"
            ),
            Self::Algorithm {
                reference,
                algorithm,
            } => write!(
                f,
                "source: {reference} is or names content by its {algorithm}, and the target knows no digests but sha256"
            ),
            Self::Depth { reference } => {
                write!(f, "source: {reference} is an index of indexes without end")
            }
            Self::Untrusted { reference, why } => {
                write!(f, "source: {reference} is not trusted: {why}")
            }
            Self::Stopped => f.write_str("the run was stopped before it was finished"),
        }
    }
}

impl std::error::Error for CopyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Step { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}
