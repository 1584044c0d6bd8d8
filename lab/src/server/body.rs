//! Bodies that stream, are counted, and can be made to misbehave.

use crate::faults::Fault;
use crate::wire::Entry;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::Response;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::header::CONTENT_LENGTH;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The body of every request and answer in the lab.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// No bytes.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Bytes at hand.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Bytes that come one piece after the other.
pub(crate) fn streamed(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    use futures_util::StreamExt as _;
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync()
}

/// The whole body in memory: for manifests, documents and other small things.
pub(crate) async fn collect(body: Body) -> io::Result<Bytes> {
    Ok(body.collect().await?.to_bytes())
}

/// The next piece of a body.
pub(crate) async fn next_piece(body: &mut Body) -> Option<io::Result<Bytes>> {
    loop {
        match body.frame().await? {
            Ok(frame) => match frame.into_data() {
                Ok(bytes) => return Some(Ok(bytes)),
                Err(_trailers) => {}
            },
            Err(error) => return Some(Err(error)),
        }
    }
}

/// The body of a request on its way in: counted, and cut after some bytes if a fault says so.
pub(crate) struct Upstream {
    /// The connection's side, and how many bytes came from it.
    source: Mutex<(Incoming, u64)>,
    entry: Arc<Entry>,
    drop_after: Option<u64>,
}

impl Upstream {
    pub(crate) fn new(incoming: Incoming, entry: Arc<Entry>, drop_after: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            source: Mutex::new((incoming, 0)),
            entry,
            drop_after,
        })
    }

    /// The body as a handler gets it.
    pub(crate) fn body(self: &Arc<Self>) -> Body {
        streamed(stream::unfold(self.clone(), async |upstream| {
            let piece = upstream.next().await?;
            Some((piece, upstream))
        }))
    }

    /// Reads what a handler left, for a second at most: a connection that is closed over unread bytes
    /// may take the answer with it, and then the client cannot tell a refusal from a broken network.
    pub(crate) async fn drain(&self) {
        let rest = async { while let Some(Ok(_)) = self.next().await {} };
        tokio::time::timeout(Duration::from_secs(1), rest)
            .await
            .ok();
    }

    async fn next(&self) -> Option<io::Result<Bytes>> {
        let (source, seen) = &mut *self.source.lock().await;
        if self.drop_after.is_some_and(|after| *seen >= after) {
            return Some(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let mut piece = loop {
            match source.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(bytes) => break bytes,
                    Err(_trailers) => {}
                },
                Err(error) => return Some(Err(io::Error::other(error))),
            }
        };
        if let Some(after) = self.drop_after {
            piece.truncate(usize::try_from(after - *seen).unwrap_or(usize::MAX));
        }
        *seen += piece.len() as u64;
        self.entry
            .update(|logged| logged.bytes_in += piece.len() as u64);
        Some(Ok(piece))
    }
}

/// An answer on its way out: its bytes are counted, its body bent as the fault says. The log's entry
/// is closed when the body has been sent or dropped.
pub(crate) fn outgoing(
    response: Response<Body>,
    entry: Arc<Entry>,
    fault: Option<Fault>,
) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    entry.update(|logged| logged.status = head.status.as_u16());
    // The length is promised here: once the body is a stream, it is unknown.
    if let Some(length) = body.size_hint().exact()
        && !head.headers.contains_key(CONTENT_LENGTH)
        && head.status != hyper::StatusCode::NO_CONTENT
    {
        head.headers.insert(CONTENT_LENGTH, length.into());
    }
    let length = head
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let sender = Sender {
        body,
        entry,
        fault,
        length,
        sent: 0,
        rest: Bytes::new(),
    };
    Response::from_parts(head, streamed(stream::unfold(sender, Sender::next)))
}

struct Sender {
    body: Body,
    entry: Arc<Entry>,
    fault: Option<Fault>,
    /// The promised length.
    length: Option<u64>,
    sent: u64,
    /// What a fault held back from the last piece.
    rest: Bytes,
}

impl Sender {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        let mut piece = std::mem::take(&mut self.rest);
        if piece.is_empty() {
            match next_piece(&mut self.body).await? {
                Ok(bytes) => piece = bytes,
                Err(error) => return Some((Err(error), self)),
            }
        }
        match self.fault {
            Some(Fault::Truncate { after }) => {
                if self.sent >= after {
                    // A moment to let what was sent reach the client before the connection ends.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    return Some((Err(io::ErrorKind::ConnectionReset.into()), self));
                }
                self.rest = split(&mut piece, after - self.sent);
            }
            Some(Fault::StallWithin { after, pause }) => {
                if self.sent == after {
                    tokio::time::sleep(pause).await;
                    self.fault = None;
                } else {
                    self.rest = split(&mut piece, after.saturating_sub(self.sent));
                }
            }
            Some(Fault::Corrupt { at }) => {
                let at = self
                    .length
                    .map_or(at, |length| at.min(length.saturating_sub(1)));
                let index = at
                    .checked_sub(self.sent)
                    .and_then(|index| usize::try_from(index).ok());
                if let Some(index) = index.filter(|index| *index < piece.len()) {
                    let mut bytes = piece.to_vec();
                    bytes[index] = !bytes[index];
                    piece = bytes.into();
                }
            }
            Some(Fault::Drip { pause, .. }) => {
                self.rest = split(&mut piece, 1);
                tokio::time::sleep(pause).await;
            }
            Some(Fault::Slow { bytes_per_second }) => {
                let speed = bytes_per_second.max(1);
                self.rest = split(&mut piece, (speed / 20).max(1));
                tokio::time::sleep(Duration::from_micros(
                    piece.len() as u64 * 1_000_000 / speed,
                ))
                .await;
            }
            _ => {}
        }
        self.sent += piece.len() as u64;
        self.entry
            .update(|logged| logged.bytes_out += piece.len() as u64);
        Some((Ok(piece), self))
    }
}

/// Shortens a piece to `keep` bytes and gives back the rest.
fn split(piece: &mut Bytes, keep: u64) -> Bytes {
    let keep = usize::try_from(keep).unwrap_or(usize::MAX).min(piece.len());
    piece.split_off(keep)
}
