//! What goes wrong at a store.

use std::path::{Path, PathBuf};

use crate::http::{self, Class};
use crate::manifest::InvalidManifest;
use crate::reference::Digest;
use crate::remedy::Remedy;

/// What goes wrong at a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The disk.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of a layout that is not what it should be.
    #[error("{} is not {expected}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What it should be, with its article.
        expected: &'static str,
    },
    /// An archive that is not whole, or lacks something.
    #[error("{archive}: {what}")]
    Archive {
        /// What messages call it.
        archive: String,
        /// What is wrong with it.
        what: String,
    },
    /// A file that is something else than an archive.
    #[error("{archive}: it is not a bundle: it does not begin with {first}")]
    NoArchive {
        /// What messages call it.
        archive: String,
        /// The file that an archive begins with.
        first: &'static str,
    },
    /// Bytes that are no manifest.
    #[error("the manifest {digest} cannot be copied")]
    Manifest {
        /// Of what came.
        digest: Digest,
        /// Why.
        source: InvalidManifest,
    },
    /// Bytes of another digest than was promised.
    #[error(
        "the content that came for {wanted} has the digest {found}: it was damaged on the way or is damaged at its source"
    )]
    Digest {
        /// What was asked for.
        wanted: Digest,
        /// What came.
        found: Digest,
    },
    /// Another number of bytes than was promised.
    #[error("{digest} should have {wanted} bytes, {} came", if *found > *wanted { "more" } else { "fewer" })]
    Length {
        /// What was asked for.
        digest: Digest,
        /// The promised number of bytes.
        wanted: u64,
        /// The number that had come when this was noticed.
        found: u64,
    },
    /// An upload whose authorization ran out on the way; there is a new one for the next try.
    #[error("the authorization ran out during the upload")]
    Expired(#[source] http::Error),
    /// A list of referrers that is none.
    #[error("the list of referrers cannot be read")]
    Listing(#[source] InvalidManifest),
    /// The tag for a list of referrers names something else.
    #[error("the tag {tag} is the place for the list of referrers, and names something else there")]
    NoListing {
        /// The tag.
        tag: String,
    },
    /// A list of referrers that others changed each time it was written.
    #[error(
        "the list of referrers under the tag {tag} was overwritten each time: something else writes it too"
    )]
    Contended {
        /// The tag.
        tag: String,
    },
    /// A registry that does not know yet what it was given a moment ago.
    #[error("the registry does not know yet what it was given")]
    NotYetVisible(#[source] http::Error),
    /// The other side of a transfer failed; its own error says why.
    #[error("the blob broke off at its source")]
    Interrupted,
    /// A name that was written and names other content a moment later.
    #[error("{wanted} was written, and now {}", match found {
        Some(found) => format!("the name has {found}: another program writes it too"),
        None => "the name is gone: another program deletes it".to_owned(),
    })]
    Overwritten {
        /// What was written.
        wanted: Digest,
        /// What the name names now.
        found: Option<Digest>,
    },
    /// A host that could not be reached a moment ago.
    #[error("{host} could not be reached and is not asked again")]
    Skipped {
        /// The host.
        host: String,
    },
    /// What a registry's provider says.
    #[error("{message}")]
    Provider {
        /// What failed, and why.
        message: String,
        /// What a user can do about it.
        remedy: Option<Remedy>,
    },
}

impl Error {
    pub(super) fn file(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn archive(archive: &str, what: impl Into<String>) -> Self {
        Self::Archive {
            archive: archive.to_owned(),
            what: what.into(),
        }
    }

    /// Whether another try is worth it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Http(error) => error.class(),
            // A retry may get what was damaged on the way.
            Self::Digest { .. } | Self::Length { .. } | Self::Listing(_) => Class::Corrupt,
            Self::Interrupted | Self::Expired(_) | Self::NotYetVisible(_) => Class::Transient(None),
            Self::File { .. }
            | Self::Layout { .. }
            | Self::Archive { .. }
            | Self::NoArchive { .. }
            | Self::Manifest { .. }
            | Self::NoListing { .. }
            | Self::Contended { .. }
            | Self::Overwritten { .. }
            | Self::Skipped { .. }
            | Self::Provider { .. } => Class::Permanent,
        }
    }

    /// The status of the answer, where there was one.
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        match self {
            Self::Http(error) | Self::NotYetVisible(error) | Self::Expired(error) => {
                error.status_code()
            }
            _ => None,
        }
    }

    /// What is wrong with the host, not only with this content, in words: "quay.io: 401
    /// Unauthorized".
    #[must_use]
    pub fn common(&self) -> Option<String> {
        match self {
            Self::Http(error) | Self::NotYetVisible(error) | Self::Expired(error) => error.common(),
            Self::Skipped { host } => Some(format!("{host}: no connection")),
            Self::Provider { message, .. } => Some(message.clone()),
            _ => None,
        }
    }

    /// Whether the store refuses this one thing for good, while the rest may be fine.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            // What is not visible yet is not refused: the next run finds it.
            Self::Http(error) => error.is_refusal(),
            Self::Manifest { .. } | Self::NoListing { .. } | Self::Contended { .. } => true,
            _ => false,
        }
    }

    /// Whether the host could not be reached at all.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Http(error) | Self::NotYetVisible(error) | Self::Expired(error) => {
                error.is_unreachable()
            }
            Self::Provider { .. } => true,
            _ => false,
        }
    }

    /// What a user can do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Http(error) | Self::NotYetVisible(error) | Self::Expired(error) => error.remedy(),
            Self::Provider { remedy, .. } => *remedy,
            Self::Overwritten { .. } => Some(Remedy::Text(
                "let only one deployment at a time write these names, and run again: what is there is not sent again",
            )),
            _ => None,
        }
    }
}

impl http::Retryable for Error {
    fn class(&self) -> Class {
        Error::class(self)
    }
}
