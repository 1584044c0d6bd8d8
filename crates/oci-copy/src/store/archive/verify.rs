//! Whether an archive is whole.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::reference::{Digest, Hasher};
use crate::store::Error;

use super::index::Member;
use super::reader::Archive;
use super::tar;

/// A part of an archive that is not what its index says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The path of the file.
    pub path: String,
    /// Where its content begins, in bytes.
    pub offset: u64,
}

/// Takes in the bytes of a file from its header to the next one's.
struct Check {
    header: Vec<u8>,
    size: u64,
    hasher: Hasher,
    digest: Digest,
    at: u64,
    is_right: bool,
}

impl Check {
    fn new(member: &Member) -> Self {
        Self {
            header: member.header(),
            size: member.size,
            hasher: member.digest.hasher(),
            digest: member.digest.clone(),
            at: 0,
            is_right: true,
        }
    }

    fn take(&mut self, mut piece: Bytes) {
        let header = self.header.len() as u64;
        let mut next = |at: u64, end: u64| {
            let length = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
            piece.split_to(length.min(piece.len()))
        };
        let part = next(self.at, header);
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        self.is_right &= part.is_empty() || self.header.get(at..at + part.len()) == Some(&part);
        self.at += part.len() as u64;
        let part = next(self.at, header + self.size);
        self.hasher.update(&part);
        self.at += part.len() as u64;
        self.is_right &= piece.iter().all(|byte| *byte == 0);
        self.at += piece.len() as u64;
    }

    fn finish(self) -> bool {
        self.is_right && self.hasher.finish() == self.digest
    }
}

impl Archive {
    /// Reads files of it, checks them, and returns those that are damaged; `read` is called with the number of bytes that were
    /// read. `None` means all files, and what stands between and behind them.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn verify(
        self: &Arc<Self>,
        only: Option<&HashSet<Digest>>,
        read: impl Fn(u64),
    ) -> Result<Vec<Damage>, Error> {
        let mut damages = Vec::new();
        if only.is_none() {
            damages.extend(self.check_front());
            damages.extend(self.check_end().await?);
        }
        let members = self.index.members.iter().enumerate();
        let wanted =
            members.filter(|(_, member)| only.is_none_or(|only| only.contains(&member.digest)));
        // The largest first, so that none is left alone at the end.
        let mut wanted: Vec<(usize, u64)> = wanted
            .map(|(number, member)| (number, member.size))
            .collect();
        wanted.sort_by_key(|(number, size)| (std::cmp::Reverse(*size), *number));
        let checks = wanted.into_iter().map(|(number, _)| {
            let archive = Arc::clone(self);
            let check = async move {
                (
                    number,
                    archive.is_whole(&archive.index.members[number]).await,
                )
            };
            tokio_util::task::AbortOnDropHandle::new(tokio::spawn(check))
        });
        let mut checks = stream::iter(checks).buffer_unordered(self.ranges.at_once());
        while let Some(checked) = checks.next().await {
            let (number, is_whole) = match checked {
                Ok(checked) => checked,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            let member = &self.index.members[number];
            read(member.size);
            if !is_whole? {
                damages.push(Damage {
                    path: member.path.clone(),
                    offset: member.offset,
                });
            }
        }
        damages.sort_by_key(|damage| damage.offset);
        Ok(damages)
    }

    async fn is_whole(&self, member: &Member) -> Result<bool, Error> {
        let blob = self.ranges.read(member.begin(), member.span()).await?;
        let check = blob.try_fold(Check::new(member), |mut check, piece| {
            check.take(piece);
            futures_util::future::ready(Ok(check))
        });
        Ok(check.await?.finish())
    }

    /// The padding behind the checksum and the index, whose contents were checked.
    fn check_front(&self) -> Option<Damage> {
        let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        let block = tar::BLOCK;
        let checksum =
            tar::size(&self.front[..block], super::index::CHECKSUM_PATH).unwrap_or_default();
        let index =
            tar::size(&self.front[2 * block..3 * block], super::index::PATH).unwrap_or_default();
        let behind = |start: usize, size: u64, end: usize| {
            let start = start + usize::try_from(size).unwrap_or_default();
            self.front.get(start..end).is_some_and(is_zero)
        };
        let is_whole =
            behind(block, checksum, 2 * block) && behind(3 * block, index, self.front.len());
        (!is_whole).then(|| Damage {
            path: super::index::PATH.to_owned(),
            offset: 3 * tar::BLOCK_BYTES,
        })
    }

    async fn check_end(&self) -> Result<Option<Damage>, Error> {
        let from = self.index.size - tar::END;
        let blob = self.ranges.read(from, tar::END).await?;
        let pieces: Vec<Bytes> = blob.try_collect().await?;
        let is_whole = pieces.iter().flatten().all(|byte| *byte == 0);
        Ok((!is_whole).then(|| Damage {
            path: "the end of the archive".to_owned(),
            offset: from,
        }))
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (at byte {})", self.path, self.offset)
    }
}
