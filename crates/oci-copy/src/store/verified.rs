//! Bytes that are checked while they flow.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use crate::manifest::Descriptor;
use crate::reference::{Digest, Hasher};

use super::{Blob, Error};

/// From this size on, in bytes, a separate thread hashes a blob: below, handing over costs more.
const HASHED_APART: u64 = 16 * 1024 * 1024;

/// Pieces that wait to be hashed.
const AHEAD: usize = 2;

/// A blob whose length and digest are checked while it flows. The last bytes come out only when the
/// digest is right, so that a reader that counts bytes never takes damaged content as complete.
pub struct Verified {
    blob: Blob,
    digest: Digest,
    wanted: u64,
    seen: u64,
    hasher: Option<Hasher>,
}

impl Verified {
    /// Checks a blob against its descriptor.
    #[must_use]
    pub fn new(blob: Blob, descriptor: &Descriptor) -> Self {
        let hasher = Some(descriptor.digest.hasher());
        Self {
            blob,
            digest: descriptor.digest.clone(),
            wanted: descriptor.size,
            seen: 0,
            hasher,
        }
    }

    fn length(&self) -> Error {
        Error::Length {
            digest: self.digest.clone(),
            wanted: self.wanted,
            found: self.seen,
        }
    }

    /// Takes in a piece; at the promised length it must have been the right one.
    fn check(&mut self, piece: &Bytes) -> Result<(), Error> {
        self.seen += piece.len() as u64;
        if self.seen > self.wanted {
            return Err(self.length());
        }
        let Some(hasher) = &mut self.hasher else {
            return Ok(());
        };
        hasher.update(piece);
        if self.seen == self.wanted {
            self.check_digest()
        } else {
            Ok(())
        }
    }

    fn check_digest(&mut self) -> Result<(), Error> {
        let Some(hasher) = self.hasher.take() else {
            return Ok(());
        };
        let found = hasher.finish();
        if found == self.digest {
            Ok(())
        } else {
            Err(Error::Digest {
                wanted: self.digest.clone(),
                found,
            })
        }
    }
}

/// Checks a blob against its descriptor while it flows: its length always, its digest if `hash` says
/// so. Big blobs are hashed by a thread of their own, so that hashing one piece and moving the next go
/// on at the same time; the last piece still waits for the whole to be right.
#[must_use]
pub fn verified(blob: Blob, descriptor: &Descriptor, hash: bool) -> Blob {
    let mut checked = Verified::new(blob, descriptor);
    if hash && descriptor.size < HASHED_APART {
        return checked.boxed();
    }
    let Some(mut hasher) = checked.hasher.take().filter(|_| hash) else {
        return checked.boxed();
    };
    let (pieces, mut to_hash) = mpsc::channel::<Bytes>(AHEAD);
    let digest = tokio::task::spawn_blocking(move || {
        while let Some(piece) = to_hash.blocking_recv() {
            hasher.update(&piece);
        }
        hasher.finish()
    });
    let state = (checked, Some((pieces, digest)));
    stream::try_unfold(state, |(mut checked, mut apart)| async move {
        let Some(piece) = checked.try_next().await? else {
            return Ok(None);
        };
        if let Some((pieces, _)) = &apart {
            // It ends only when there is nothing more to hash.
            drop(pieces.send(piece.clone()).await);
        }
        if checked.seen == checked.wanted
            && let Some((pieces, digest)) = apart.take()
        {
            drop(pieces);
            let found = match digest.await {
                Ok(found) => found,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            if found != checked.digest {
                return Err(Error::Digest {
                    wanted: checked.digest.clone(),
                    found,
                });
            }
        }
        Ok(Some((piece, (checked, apart))))
    })
    .boxed()
}

impl Stream for Verified {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.blob.poll_next_unpin(context));
        Poll::Ready(match next {
            Some(Ok(piece)) => Some(self.check(&piece).map(|()| piece)),
            Some(Err(error)) => Some(Err(error)),
            None if self.seen < self.wanted => Some(Err(self.length())),
            // Content without bytes is checked here.
            None => self.check_digest().err().map(Err),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{TryStreamExt, stream};

    async fn read(pieces: &[&'static [u8]], promised: &[u8]) -> Result<Vec<Bytes>, Error> {
        let pieces: Vec<Result<Bytes, Error>> = pieces
            .iter()
            .map(|piece| Ok(Bytes::from_static(piece)))
            .collect();
        Verified::new(stream::iter(pieces).boxed(), &Descriptor::of("x", promised))
            .try_collect()
            .await
    }

    #[tokio::test]
    async fn only_what_was_promised_comes_out_whole() {
        assert_eq!(
            read(&[b"ab", b"cd"], b"abcd").await.unwrap().concat(),
            b"abcd"
        );
        assert!(read(&[], b"").await.unwrap().is_empty());
        assert!(matches!(
            read(&[b"ab", b"cX"], b"abcd").await,
            Err(Error::Digest { .. })
        ));
        assert!(matches!(
            read(&[b"ab"], b"abcd").await,
            Err(Error::Length { .. })
        ));
        assert!(matches!(
            read(&[b"abcd", b"e"], b"abcd").await,
            Err(Error::Length { .. })
        ));
    }

    #[tokio::test]
    async fn a_big_blob_is_checked_too_and_one_that_is_left_to_the_target_only_for_its_length() {
        let piece = Bytes::from(vec![7; 1024 * 1024]);
        let whole = vec![7; 20 * 1024 * 1024];
        let mut wrong = whole.clone();
        wrong[5] = 8;
        let read = |promised: &[u8], pieces: usize, hash: bool| {
            let pieces: Vec<_> = (0..pieces).map(|_| Ok(piece.clone())).collect();
            let blob = stream::iter(pieces).boxed();
            verified(blob, &Descriptor::of("x", promised), hash).try_collect::<Vec<_>>()
        };
        assert_eq!(read(&whole, 20, true).await.unwrap().len(), 20);
        assert!(matches!(
            read(&wrong, 20, true).await,
            Err(Error::Digest { .. })
        ));
        assert!(matches!(
            read(&whole, 19, true).await,
            Err(Error::Length { .. })
        ));
        assert!(read(&wrong, 20, false).await.is_ok());
        assert!(matches!(
            read(&whole, 21, false).await,
            Err(Error::Length { .. })
        ));
    }

    #[tokio::test]
    async fn damaged_content_never_reaches_its_promised_length() {
        let pieces: Vec<Result<Bytes, Error>> =
            vec![Ok(Bytes::from_static(b"ab")), Ok(Bytes::from_static(b"cX"))];
        let mut verified =
            Verified::new(stream::iter(pieces).boxed(), &Descriptor::of("x", b"abcd"));
        assert_eq!(verified.next().await.unwrap().unwrap(), "ab");
        assert!(verified.next().await.unwrap().is_err());
    }
}
